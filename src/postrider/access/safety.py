"""What a workspace demands of those who act in it: when a person has to agree, and what strangers' mail may show."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from postrider.access.tables import Workspace
from postrider.kernel.errors import InvalidInput
from postrider.settings import Settings
from postrider.storage.base import JsonValue

Approval = Literal["none", "human"]
FIRST_DAY_SENDS: Final = 100
"""How many messages a connected app may cause on its first day, unless the workspace says otherwise."""

APPROVAL: Final = "approval"
APPROVAL_ABOVE: Final = "approvalAbove"
REPLY_HOLD_SECONDS: Final = "replyHoldSeconds"
LOCKDOWN: Final = "lockdown"
FIRST_DAY: Final = "firstDaySends"
_MOST: Final = {APPROVAL_ABOVE: 10_000_000, REPLY_HOLD_SECONDS: 86_400, FIRST_DAY: 10_000_000}


@dataclass(frozen=True, slots=True)
class Safety:
    """The demands of one workspace.

    ``approval`` human: a person grants every grave call. ``approval_above``: those that concern more people than this.
    ``reply_hold_seconds``: between "send this reply" and its leaving. ``lockdown``: bodies by senders that we did not
    write to are withheld. ``first_day_sends``: of a credential that is new, connected from now on.
    """

    approval: Approval = "none"
    approval_above: int | None = None
    reply_hold_seconds: int = 0
    lockdown: bool = False
    first_day_sends: int = FIRST_DAY_SENDS

    @property
    def may_want_person(self) -> bool:
        """Whether there is any call that a person has to grant."""
        return self.approval == "human" or self.approval_above is not None

    def wants_person(self, people: int) -> bool:
        """Whether a call that concerns so many people has to be granted by a person."""
        return self.approval == "human" or (self.approval_above is not None and people > self.approval_above)


def safety_of(session: Session, workspace_id: str) -> Safety:
    """The demands of a workspace."""
    stored = session.scalar(select(Workspace.settings).where(Workspace.id == workspace_id)) or {}
    return Safety(
        approval="human" if stored.get(APPROVAL) == "human" else "none",
        approval_above=_number(stored.get(APPROVAL_ABOVE)),
        reply_hold_seconds=_number(stored.get(REPLY_HOLD_SECONDS)) or 0,
        lockdown=stored.get(LOCKDOWN) is True,
        first_day_sends=FIRST_DAY_SENDS if (first := _number(stored.get(FIRST_DAY))) is None else first,
    )


def is_locked_down(session: Session, workspace_id: str, settings: Settings) -> bool:
    """Whether bodies by unknown senders are withheld: where the server says so, no workspace can loosen it."""
    return settings.lockdown or safety_of(session, workspace_id).lockdown


def change_safety(session: Session, workspace_id: str, changes: Mapping[str, JsonValue], now: datetime) -> Safety:
    """The demands with ``changes`` made (by the names above; approvalAbove None: no such limit).

    For a person alone: no operation comes here, because an agent could loosen what holds it. Raises: InvalidInput.
    """
    for name, value in changes.items():
        most = _MOST.get(name)
        if most is not None and isinstance(value, int) and not 0 <= value <= most:
            raise InvalidInput(f"{name} has to be from 0 to {most:,}.", field=name, hint="Give a number in between.")
    row = session.get_one(Workspace, workspace_id, with_for_update=True)
    row.settings = {**row.settings, **changes}
    row.updated_at = now
    session.flush()
    return safety_of(session, workspace_id)


def _number(stored: object) -> int | None:
    return stored if isinstance(stored, int) and not isinstance(stored, bool) else None
