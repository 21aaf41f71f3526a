"""What a workspace has decided for all of its mail: the lines that the law asks for, and unsubscribe headers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from postrider.access.tables import Workspace
from postrider.kernel.errors import InvalidInput
from postrider.kernel.zones import rfc3339_milliseconds

LONGEST_LINE: Final = 300
_STORED_AS: Final = {
    "postal_address": "physicalAddress",
    "opt_out_line": "optOutLine",
    "unsubscribe_headers": "unsubscribeHeaders",
}


@dataclass(frozen=True, slots=True)
class House:
    """The decisions of one workspace. Empty lines are not written; the headers are sent unless turned off.

    ``paused_at``: since when nothing is sent; None while it is.
    """

    postal_address: str = ""
    opt_out_line: str = ""
    unsubscribe_headers: bool = True
    paused_at: datetime | None = None

    @property
    def legal_lines(self) -> tuple[str, ...]:
        """What stands under every email of a campaign: how to opt out, then where the sender is found."""
        return tuple(line for line in (self.opt_out_line, self.postal_address) if line)


_ONE: Final = select(Workspace.settings, Workspace.paused_at).where(Workspace.id == bindparam("id"))


def house_of(session: Session, workspace_id: str) -> House:
    """The decisions of a workspace."""
    row = session.execute(_ONE, {"id": workspace_id}).first()
    return House() if row is None else house_from(*row)


def house_from(stored: Mapping[str, Any], paused_at: datetime | None) -> House:
    """The decisions that stand in a workspace's settings."""
    return House(
        postal_address=str(stored.get(_STORED_AS["postal_address"]) or ""),
        opt_out_line=str(stored.get(_STORED_AS["opt_out_line"]) or ""),
        unsubscribe_headers=stored.get(_STORED_AS["unsubscribe_headers"]) is not False,
        paused_at=paused_at,
    )


def pause_warnings(session: Session, workspace_id: str) -> list[str]:
    """What is to be said wherever somebody waits for mail of this workspace; nothing unless it is paused."""
    paused_at = session.scalar(select(Workspace.paused_at).where(Workspace.id == workspace_id))
    if paused_at is None:
        return []
    return [
        f"The workspace is paused since {rfc3339_milliseconds(paused_at)}: nothing is sent until resume_workspace "
        "lets it go on."
    ]


def change_house(session: Session, workspace_id: str, changes: Mapping[str, str | bool], now: datetime) -> House:
    """The decisions with ``changes`` (by field of House) made; mail that is composed from now on follows them.

    Raises: InvalidInput for a line that is no single line of LONGEST_LINE characters.
    """
    row = session.get_one(Workspace, workspace_id, with_for_update=True)
    kept = {
        _STORED_AS[name]: _line(name, value) if isinstance(value, str) else value for name, value in changes.items()
    }
    row.settings = {**row.settings, **kept}
    row.updated_at = now
    session.flush()
    return house_of(session, workspace_id)


def _line(name: str, text: str) -> str:
    line = text.strip()
    if len(line) > LONGEST_LINE or not line.isprintable():
        option = f"--{name.replace('_', '-')}"
        raise InvalidInput(
            f"{option} has to be one line of at most {LONGEST_LINE} printable characters.",
            field=option,
            hint="Part an address with commas: Acme Ltd, 12 High Street, London. An empty text takes the line out.",
        )
    return line
