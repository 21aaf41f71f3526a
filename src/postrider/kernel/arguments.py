"""Checked arguments as one text: what a yes, an idempotency key and an audit row are bound to."""

import hashlib
import json
from collections.abc import Mapping

from pydantic import BaseModel

from postrider.kernel.secret import Secret
from postrider.kernel.vault import Vault


def hash_arguments(vault: Vault, checked: BaseModel, files: Mapping[str, str] | None = None) -> str:
    """A keyed hash (hex) of checked arguments in one form: by outside name, sorted, defaults filled in.

    Keyed, because a single address could be guessed from a bare one; so secrets can count as well. ``files``: digests
    of what came beside the arguments.
    """
    values = [checked.model_dump(by_alias=True), *([dict(files)] if files else [])]
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), default=_plain)
    return vault.fingerprint("arguments", text)


def _plain(value: object) -> str:
    return value.reveal() if isinstance(value, Secret) else str(value)


def digest_of(content: object) -> str:
    """A short digest (16 hex digits) of JSON values, to tell one content from another."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
