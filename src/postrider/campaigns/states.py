"""The words for the state of a campaign and of an enrollment, and the queues an enrollment can stand in."""

from typing import Final, Literal, get_args

CampaignStatus = Literal["draft", "active", "paused", "completed", "archived"]
EnrollmentStatus = Literal[
    "pending", "active", "paused", "completed", "replied", "bounced", "unsubscribed", "stopped", "failed", "removed"
]

ALL_STATUSES: Final[tuple[EnrollmentStatus, ...]] = get_args(EnrollmentStatus)

RUNNING: Final = frozenset({"pending", "active", "paused"})
"""Enrollment states that may still lead to a send."""

QUEUE_FOLLOW_UP: Final = 0
QUEUE_NEW: Final = 1
QUEUE_HELD: Final = 2
"""Held: something about the lead must be mended first (``hold_reason``); an edit of lead or campaign lets it go on."""

UNKNOWN_OUTCOME: Final = "unknown_outcome"
"""The hold of a lead whose last message has an unknown outcome."""


def queue_for(next_step: int) -> int:
    """The queue of an enrollment that is not held."""
    return QUEUE_NEW if next_step == 0 else QUEUE_FOLLOW_UP
