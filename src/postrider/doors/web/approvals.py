"""Approvals: the calls that wait for a person of the workspace, with their facts, and the answer."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from postrider.access.people_rules import scopes_of
from postrider.access.tables import ApiKey, User
from postrider.catalogue import Catalogue
from postrider.confirmations.approvals import approvals_of, decide
from postrider.confirmations.tables import Approval
from postrider.doors.web.desk import Desk, Visitor, see_other
from postrider.grants.tables import Grant
from postrider.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound

APPROVALS: Final = "/approvals"
_MOST_WAITING: Final = 100
_MOST_SETTLED: Final = 10
_DOORS: Final = {"mcp": "MCP", "v1": "the REST API", "cli": "the command line", "stdio": "MCP on this machine"}


@dataclass(frozen=True, slots=True)
class Shown:
    """One approval in words. ``who``: the app or key that asks, ``whose``: the person it acts for."""

    id: str
    workspace_id: str
    place: str
    title: str
    summary: str
    details: tuple[str, ...]
    people: int
    first_send_at: str | None
    who: str
    whose: str
    door: str
    status: str
    created_at: datetime
    expires_at: datetime
    may_grant: bool


class ApprovalPages:
    """For all members of a workspace. What may be granted is what one's own role may do; anything may be denied."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._database = desk.installation.database
        self._catalogue = desk.installation.dispatcher.catalogue

    def routes(self) -> list[BaseRoute]:
        """Its paths."""
        desk = self._desk
        return [
            Route(APPROVALS, desk.private(self.show)),
            Route(f"{APPROVALS}/{{id}}", desk.private(self.answer), methods=["POST"]),
        ]

    async def show(self, request: Request, visitor: Visitor) -> Response:
        """What waits in all workspaces of the visitor, and what was settled last."""
        now = self._desk.installation.clock.now()

        def look(session: Session, *, waiting: bool, most: int) -> list[Shown]:
            return [
                shown(session, self._catalogue, row, place.name, place.role, now)
                for place in visitor.places
                for row in approvals_of(session, place.id, now, waiting=waiting, most=most)
            ]

        waiting = await self._database.read(lambda session: look(session, waiting=True, most=_MOST_WAITING))
        settled = await self._database.read(lambda session: look(session, waiting=False, most=_MOST_SETTLED))
        done = request.query_params.get("done")
        return self._desk.show(
            visitor,
            "approvals.html",
            here=APPROVALS,
            waiting=waiting,
            settled=settled,
            done=done if done in ("granted", "denied") else None,
            several=len(visitor.places) > 1,
        )

    async def answer(self, request: Request, visitor: Visitor) -> Response:
        """Grants or denies, once."""
        form = await self._desk.form(request, visitor.person)
        word, now = form.one("answer"), self._desk.installation.clock.now()
        if word not in ("grant", "deny"):
            raise InvalidInput("Grant it or deny it.", field="answer")
        place = next((each for each in visitor.places if each.id == form.one("workspace")), None)
        if place is None:
            raise NotFound("There is no such approval in your workspaces.", hint="See the list of approvals.")
        user_id = visitor.person.user_id
        await self._database.write(
            lambda session: settle(
                session, self._catalogue, place.id, request.path_params["id"], word == "grant", user_id, place.role, now
            )
        )
        return see_other(visitor.path(APPROVALS, done="granted" if word == "grant" else "denied"))


def settle(
    session: Session,
    catalogue: Catalogue,
    workspace_id: str,
    approval_id: str,
    yes: bool,
    user_id: str,
    role: str,
    now: datetime,
) -> Approval:
    """The approval with its answer. Raises: NotFound, Forbidden where the role may not, Conflict when too late."""
    row = session.get(Approval, (workspace_id, approval_id))
    if row is None:
        raise NotFound("There is no such approval in your workspaces.", hint="See the list of approvals.")
    if yes and not _may_grant(catalogue, row.operation, role):
        raise Forbidden("Only owners and admins may grant this.", hint="Ask one of them; you can deny it.")
    decided = decide(session, workspace_id, approval_id, yes, user_id, now)
    if decided is None:
        raise Conflict("That was answered already, or it has run out.", hint="See the list of approvals.")
    return decided


def shown(session: Session, catalogue: Catalogue, row: Approval, place: str, role: str, now: datetime) -> Shown:
    """An approval as people see it. The facts are in our own words, and others' stand in quotes; of the arguments
    nothing is shown."""
    operation = catalogue.find(row.operation)
    people, first, details = (row.facts.get(name) for name in ("people", "firstSendAt", "details"))
    out = row.expires_at <= now and row.status in ("pending", "granted")
    return Shown(
        id=row.id,
        workspace_id=row.workspace_id,
        place=place,
        title=row.operation if operation is None else operation.title,
        summary=str(row.facts.get("summary", "")),
        details=tuple(map(str, details)) if isinstance(details, list) else (),
        people=people if isinstance(people, int) else 0,
        first_send_at=first if isinstance(first, str) else None,
        who=_who(session, row),
        whose=session.scalar(select(User.email).where(User.id == row.user_id)) or "somebody",
        door=_DOORS.get(row.door, row.door),
        status="expired" if out else row.status,
        created_at=row.created_at,
        expires_at=row.expires_at,
        may_grant=_may_grant(catalogue, row.operation, role),
    )


def _may_grant(catalogue: Catalogue, operation: str, role: str) -> bool:
    found = catalogue.find(operation)
    return found is not None and found.scope in scopes_of(role)


def _who(session: Session, row: Approval) -> str:
    """What the asking credential is called."""
    grant = session.get(Grant, (row.workspace_id, row.credential_id))
    if grant is not None:
        return grant.client_name
    key = session.get(ApiKey, row.credential_id)
    return f"API key {key.name}" if key is not None else "an agent on this machine"
