"""How often somebody may try: counted in this process, by whatever names who tries."""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final

from starlette.requests import Request

from postrider.kernel.errors import LimitReached
from postrider.kernel.words import counted

_REMEMBERED: Final = 20_000
_MINUTE: Final = 60
_V6_NETWORK: Final = 64
"""Who has one IPv6 address has this whole network of them."""


@dataclass(slots=True)
class _Count:
    since: float
    tries: int


class Throttle:
    """At most ``most`` tries by each name within ``seconds``."""

    def __init__(self, most: int, seconds: float, now: Callable[[], float] = monotonic) -> None:
        self._most = most
        self._seconds = seconds
        self._now = now
        self._counts: OrderedDict[str, _Count] = OrderedDict()

    def take(self, *name: str) -> None:
        """Counts one try. Raises: LimitReached when that was one too many; it is not counted then."""
        key, now = "\0".join(name), self._now()
        count = self._counts.get(key)
        if count is None or now - count.since >= self._seconds:
            count = self._counts[key] = _Count(now, 0)
        if count.tries >= self._most:
            wait = int(self._seconds - (now - count.since)) + 1
            # In the message itself: where OAuth words the answer there is no hint.
            raise LimitReached(f"Too many tries. Try again in {_in_words(wait)}.", retry_after_seconds=wait)
        count.tries += 1
        self._counts.move_to_end(key)
        if len(self._counts) > _REMEMBERED:
            self._counts.popitem(last=False)

    def forgive(self, *name: str) -> None:
        """Forgets the tries of a name: the last one was right."""
        self._counts.pop("\0".join(name), None)


def _in_words(seconds: int) -> str:
    if seconds <= _MINUTE:
        return counted(seconds, "second", "seconds")
    return f"{-(-seconds // _MINUTE)} minutes"


def address_of(request: Request) -> str:
    """Where a request came from, as coarsely as it takes to tell people apart."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((int(address), _V6_NETWORK), strict=False))
    return host
