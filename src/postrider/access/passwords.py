"""Passwords: argon2id, in threads, a few at once, and as slow for somebody unknown as for anybody else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Final

from pwdlib import PasswordHash
from pwdlib.exceptions import PwdlibError
from pwdlib.hashers.argon2 import Argon2Hasher

from postrider.access.people_rules import fits_a_password
from postrider.kernel.errors import LimitReached
from postrider.kernel.secret import Secret

AT_ONCE: Final = 2
"""Each hash takes 64 MiB and a core for a while."""

MOST_WAITING: Final = 50
"""Whoever comes on top of these is asked to come again: memory is not for those who only knock."""


@cache
def _hasher() -> PasswordHash:
    return PasswordHash((Argon2Hasher(),))


@cache
def _nobodys() -> str:
    """A hash that no password fits: what a stranger's is compared with, so that the answer takes as long."""
    return _hasher().hash("\0 nobody has this password \0")


def hash_password(password: Secret) -> str:
    """The hash in its own text form, with a fresh salt. Takes a tenth of a second or so."""
    return _hasher().hash(password.reveal())


def password_fits(password: Secret, stored: str | None) -> bool:
    """Whether a password belongs to a stored hash; without one, False after the same work."""
    text = password.reveal() if fits_a_password(password.reveal()) else ""
    try:
        fits = _hasher().verify(text, stored if stored is not None else _nobodys())
    except PwdlibError:
        return False
    return fits and stored is not None and bool(text)


class PasswordWork:
    """The same, away from the event loop."""

    def __init__(self) -> None:
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def hash(self, password: Secret) -> str:
        """See hash_password. Raises: LimitReached."""
        async with self._turn():
            return await asyncio.to_thread(hash_password, password)

    async def fits(self, password: Secret, stored: str | None) -> bool:
        """See password_fits. Raises: LimitReached."""
        async with self._turn():
            return await asyncio.to_thread(password_fits, password, stored)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._waiting >= MOST_WAITING:
            raise LimitReached("Too many people sign in at once.", retry_after_seconds=5, hint="Try again in a moment.")
        self._waiting += 1
        try:
            async with self._gate:
                yield
        finally:
            self._waiting -= 1
