"""Secrets at rest: AES-256-GCM with the row's identity as associated data: a row's secret opens nowhere else."""

import base64
import hashlib
import os
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from postrider.kernel.keyed import keyed_digest
from postrider.kernel.secret import Secret

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_VERSION: Final = b"\x01"


class VaultError(RuntimeError):
    """The key is missing or does not fit what is stored."""


def load_or_create_key(secret_key: str | None, key_file: Path) -> bytes:
    """The installation's 32-byte key: from the setting, else from ``key_file`` (made 0600 on the first run).

    Raises: VaultError when the setting is too short or the file can be read by others.
    """
    if secret_key is not None:
        if len(secret_key) < 32:
            raise VaultError("POSTRIDER_SECRET_KEY is too short: use at least 32 random characters.")
        return hashlib.sha256(b"postrider-key\0" + secret_key.encode()).digest()
    if not key_file.exists():
        _create_key_file(key_file)
    if key_file.stat().st_mode & 0o077:
        raise VaultError(f"{key_file} can be read by others: run chmod 600 on it.")
    try:
        key = base64.urlsafe_b64decode(key_file.read_text().strip())
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise VaultError(f"{key_file} does not hold a Postrider key: restore it from a backup.")
    return key


def _create_key_file(key_file: Path) -> None:
    key_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = key_file.with_name(f"{key_file.name}.{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.urlsafe_b64encode(os.urandom(_KEY_BYTES)))
        file.flush()
        os.fsync(file.fileno())
    try:
        # A hard link never overwrites: of two processes that start at once, the second keeps the first one's key.
        os.link(temporary, key_file)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


class Vault:
    """Seals and opens secrets, and derives the keys for other purposes, from the installation's one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._derived: dict[str, bytes] = {}
        self._cipher = AESGCM(self.derive("sealing"))

    def derive(self, purpose: str) -> bytes:
        """A 32-byte key of its own for ``purpose``."""
        known = self._derived.get(purpose)
        if known is None:
            known = self._derived[purpose] = keyed_digest(self._key, b"postrider:" + purpose.encode())
        return known

    def seal(self, secret: Secret, owner: str) -> bytes:
        """``secret`` encrypted for the row that ``owner`` names (workspace, row and field)."""
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, secret.reveal().encode(), owner.encode())

    def open(self, sealed: bytes, owner: str) -> Secret:
        """The secret sealed for ``owner``. Raises: VaultError when key or owner differ."""
        if sealed[:1] != _VERSION:
            raise VaultError("A stored secret has an unknown format.")
        nonce, text = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return Secret(self._cipher.decrypt(nonce, text, owner.encode()).decode())
        except InvalidTag:
            raise VaultError("A stored secret does not open with this installation's key.") from None

    def fingerprint(self, purpose: str, text: str) -> str:
        """A keyed hash of ``text`` (hex, 64 characters) for look-ups that must not store the text."""
        return keyed_digest(self.derive(purpose), text.encode()).hex()
