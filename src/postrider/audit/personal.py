"""Writing down what concerns a person rather than one workspace: their passwords, their links, their platform keys."""

from dataclasses import replace
from datetime import datetime
from typing import Literal

from sqlalchemy.orm import Session

from postrider.access.people import person_actor, workspaces_of
from postrider.access.queries import local_actor
from postrider.audit.queries import Deed, record
from postrider.kernel.context import Actor


def record_personal(
    session: Session,
    user_id: str,
    operation: str,
    door: Literal["cli", "web"],
    now: datetime,
    *,
    effect: Literal["write", "destructive"] = "write",
    target_id: str | None = None,
    beside: str | None = None,
) -> None:
    """Adds a row to each workspace that the person belongs to: what they can do there is what has changed hands.

    At ``web`` the person has done it, at ``cli`` whoever has the machine. ``target_id``: of what, else of the person.
    ``beside``: a workspace whose row is written already.
    """
    for place in workspaces_of(session, user_id):
        if place.id == beside:
            continue
        actor = person_actor(session, user_id, place.id) if door == "web" else _machine(session, place.id)
        record(session, Deed(actor, operation, effect, "done", arguments_hash="", target_id=target_id or user_id), now)


def _machine(session: Session, workspace_id: str) -> Actor:
    owner = local_actor(session, workspace_id)
    assert owner is not None, "a workspace that is named is found or refused"
    return replace(owner, door="cli")
