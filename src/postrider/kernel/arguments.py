"""Checked arguments as one text: what a yes, an idempotency key and an audit row are bound to."""

import hashlib
import json

from pydantic import BaseModel


def hash_arguments(checked: BaseModel) -> str:
    """SHA-256 (hex) of checked arguments in one form: by outside name, sorted, defaults filled in, secrets masked."""
    text = json.dumps(checked.model_dump(mode="json", by_alias=True), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def digest_of(content: object) -> str:
    """A short digest (16 hex digits) of JSON values, to tell one content from another."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
