"""Choices that look random and are not: the same seed and names always give the same answer."""

from collections.abc import Iterable
from functools import lru_cache

from postrider.kernel.keyed import keyed_digest

JITTER_PERCENT = 30


@lru_cache(maxsize=16_384)
def rank(seed: bytes, *names: str) -> int:
    """A number below 2**64, evenly spread, that depends on the seed and the names alone."""
    return int.from_bytes(keyed_digest(seed, "|".join(names).encode())[:8], "big")


def pick_variant(seed: bytes, lead_id: str, step_id: str, labels: Iterable[str]) -> str:
    """The label of the variant this lead gets in this step.

    Each label draws a rank and the highest wins, so disabling one variant moves only the leads that had it.

    Raises: ValueError when no label is given.
    """
    return max(labels, key=lambda label: (rank(seed, "variant", lead_id, step_id, label), label))


def gap_seconds(seed: bytes, mailbox_id: str, send_key: str, interval_seconds: int) -> int:
    """The pause of a mailbox after one send: the interval plus 0 to 30 percent of it."""
    spread = interval_seconds * JITTER_PERCENT // 100
    return interval_seconds + rank(seed, "gap", mailbox_id, send_key) % (spread + 1)
