"""Makes the product tell which secrets there are: each that is wrapped, each key of a vault, each in the settings."""

import base64
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, Final
from urllib.parse import urlsplit

from postrider.kernel.secret import Secret
from postrider.kernel.vault import Vault
from postrider.settings import Settings

_INIT: Final = "__init__"


def tell(hear: Callable[[str], object]) -> None:
    """From now on, ``hear`` is called with the text of every secret that comes into being in this process."""
    for kind, texts in ((Secret, _of_secret), (Vault, _of_vault), (Settings, _of_settings)):
        _tell_of(kind, texts, hear)


def _tell_of(kind: type[Any], texts: Callable[[Any], Iterator[str | None]], hear: Callable[[str], object]) -> None:
    first = getattr(kind, _INIT)

    @wraps(first)
    def init(self: Any, *arguments: Any, **named: Any) -> None:
        first(self, *arguments, **named)
        for text in texts(self):
            if text:
                hear(text)

    setattr(kind, _INIT, init)


def _of_secret(secret: Secret) -> Iterator[str | None]:
    # Some tests hand over what is no text, to see it refused.
    value = secret.reveal()
    yield value if isinstance(value, str) else None


def _of_vault(vault: Vault) -> Iterator[str | None]:
    key = vault._key
    yield from (key.hex(), base64.urlsafe_b64encode(key).decode(), base64.b64encode(key).decode(), repr(key)[2:-1])


def _of_settings(settings: Settings) -> Iterator[str | None]:
    yield from (settings.secret_key, settings.anthropic_api_key, settings.oidc_client_secret)
    yield from (urlsplit(url).password for url in (settings.database_url, settings.smtp_url) if url)
