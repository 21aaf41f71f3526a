"""The named guards of a send, each a pure verdict over what was loaded. The first that objects stops the send."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from postrider.kernel.zones import rfc3339

MAILBOX_WORKS: Final = "active"
CLAIM_LOST: Final = "claim_lost"
"""The reason when a send is another engine's by now, or its own engine's lease has run out."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How everything that can forbid a send stands, read in the transaction that acts on it.

    Campaign and enrollment are None for mail that belongs to none (replies, tests). ``suppressed``: the reason of the
    do-not-contact entry that covers the recipient. ``claimed``: the claim that this send works under still holds.
    ``revision``: of the campaign. ``closes_at``: when the sending window ends; None for mail that has no window.
    ``listed_copy``: an address in cc or bcc that an entry covers.
    """

    workspace_paused: bool
    campaign_status: str | None
    enrollment_status: str | None
    mailbox_status: str | None
    mailbox_enabled: bool
    cool_until: datetime | None
    suppressed: str | None
    claimed: bool
    revision: int | None = None
    closes_at: datetime | None = None
    listed_copy: str | None = None


class Objection(NamedTuple):
    """A guard's no. ``reason`` is a stable word, ``detail`` is for people. ``until``: when it passes, if known."""

    guard: str
    reason: str
    detail: str
    until: datetime | None = None


Guard = Callable[[Standing, datetime], str | None]


def _workspace(standing: Standing, now: datetime) -> str | None:
    return "the workspace is paused" if standing.workspace_paused else None


def _campaign(standing: Standing, now: datetime) -> str | None:
    status = standing.campaign_status
    return f"the campaign is {status}" if status not in (None, "active") else None


def _lead(standing: Standing, now: datetime) -> str | None:
    status = standing.enrollment_status
    return f"the lead is {status}" if status not in (None, "active") else None


def _do_not_contact(standing: Standing, now: datetime) -> str | None:
    return f"on the do-not-contact list ({standing.suppressed})" if standing.suppressed is not None else None


def _window(standing: Standing, now: datetime) -> str | None:
    if standing.closes_at is None or now < standing.closes_at:
        return None
    return f"the sending window closed at {rfc3339(standing.closes_at)}"


def _mailbox(standing: Standing, now: datetime) -> str | None:
    if standing.mailbox_status is None:
        return "the mailbox is gone"
    if not standing.mailbox_enabled:
        return "sending is turned off for the mailbox"
    if standing.mailbox_status != MAILBOX_WORKS:
        return f"the mailbox is in state {standing.mailbox_status}"
    if standing.cool_until is not None and standing.cool_until > now:
        return f"the mailbox cools down until {rfc3339(standing.cool_until)}"
    return None


def _claim(standing: Standing, now: datetime) -> str | None:
    return None if standing.claimed else "another engine has taken this over"


GUARDS: Final[tuple[tuple[str, str, Guard], ...]] = (
    ("claim_holds", CLAIM_LOST, _claim),
    ("workspace_running", "workspace_paused", _workspace),
    ("campaign_active", "campaign_not_active", _campaign),
    ("lead_active", "lead_not_active", _lead),
    ("not_on_dnc", "on_dnc", _do_not_contact),
    ("mailbox_healthy", "mailbox_unavailable", _mailbox),
    ("window_open", "window_closed", _window),
)
"""Guard name, reason word, verdict.

Replies change the lead's state, so that ``lead_active`` covers them; day limits were counted with the claim.
"""


def objection(standing: Standing, now: datetime) -> Objection | None:
    """The first guard that objects, or None."""
    for guard, reason, verdict in GUARDS:
        detail = verdict(standing, now)
        if detail is not None:
            return Objection(guard, reason, detail)
    if standing.listed_copy is not None:
        # Not about the lead: the message goes back, and is made anew without that copy.
        return Objection("copies_not_on_dnc", "copy_on_dnc", f"{standing.listed_copy} is on the do-not-contact list")
    return None
