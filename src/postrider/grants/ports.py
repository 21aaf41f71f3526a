"""What connected apps need of the outside world."""

from typing import Protocol


class ClientDocuments(Protocol):
    """Fetches the metadata documents by which apps describe themselves."""

    async def fetch(self, url: str) -> bytes:
        """The document at an https address, of at most 64 KiB. Raises: Upstream, coarse and harmless."""
        ...
