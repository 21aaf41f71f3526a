"""People: who may sign in, what they belong to, and as whom they act."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from postrider.access.links import drop_links
from postrider.access.people_rules import Role, scopes_of
from postrider.access.queries import create_user, create_workspace
from postrider.access.sessions import end_all_sessions
from postrider.access.tables import Membership, User, Workspace
from postrider.kernel.context import Actor
from postrider.kernel.errors import Conflict, NotFound


class Place(NamedTuple):
    """A workspace that somebody belongs to, and as what."""

    id: str
    name: str
    role: str


class Known(NamedTuple):
    """A person as others may see them. ``signs_in``: password, provider, both or nothing."""

    id: str
    email: str
    name: str
    signs_in: str
    workspaces: list[Place]


def find_person(session: Session, email: str) -> User | None:
    """The person of that address (as it is stored: in lower case)."""
    return session.scalar(select(User).where(User.email == email))


def named_person(session: Session, email: str) -> User:
    """The person of that address. Raises: NotFound."""
    person = find_person(session, email)
    if person is None:
        raise NotFound(f"Nobody here has the address {email}.", hint="See who is known: postrider people list")
    return person


def people(session: Session) -> list[Known]:
    """Everybody, by address."""
    rows = session.scalars(select(User).order_by(User.email))
    return [Known(row.id, row.email, row.name, _ways_in(row), workspaces_of(session, row.id)) for row in rows]


def workspaces_of(session: Session, user_id: str) -> list[Place]:
    """The living workspaces that somebody belongs to, the first one first."""
    query = (
        select(Workspace.id, Workspace.name, Membership.role)
        .join(Membership, Membership.workspace_id == Workspace.id)
        .where(Membership.user_id == user_id, Workspace.status == "active")
        .order_by(Workspace.created_at, Workspace.id)
    )
    return [Place(*row) for row in session.execute(query)]


def person_actor(session: Session, user_id: str, workspace_id: str) -> Actor:
    """Somebody who is signed in, acting in a workspace with what their role allows.

    Raises: NotFound for a workspace that they do not belong to.
    """
    place = next((each for each in workspaces_of(session, user_id) if each.id == workspace_id), None)
    if place is None:
        raise NotFound("Workspace not found.", hint="Choose one that you belong to.")
    return Actor("person", user_id, user_id, workspace_id, scopes_of(place.role), "free", "web")


def can_anybody_sign_in(session: Session) -> bool:
    """Whether any person has a password, or has come through the provider before."""
    way_in = or_(User.password_hash.is_not(None), User.oidc_subject.is_not(None))
    return session.scalar(select(User.id).where(way_in).limit(1)) is not None


def first_owner(session: Session) -> User | None:
    """The owner of the first workspace, if there is one yet."""
    query = select(User).join(Workspace, Workspace.owner_id == User.id).where(Workspace.status == "active")
    return session.scalar(query.order_by(Workspace.created_at, Workspace.id).limit(1))


def add_person(session: Session, email: str, name: str, now: datetime) -> User:
    """A new person, who cannot sign in yet. Raises: Conflict when the address is somebody's already."""
    if find_person(session, email) is not None:
        raise Conflict(f"Somebody has the address {email} already.", hint="See who is known: postrider people list")
    return create_user(session, email, name, now)


def add_member(session: Session, workspace_id: str, user_id: str, role: Role, now: datetime) -> str | None:
    """Lets somebody into a workspace, or gives them another role there; the role that they had, None if they are new.

    Raises: Conflict for an owner, who stays one.
    """
    member = session.get(Membership, (workspace_id, user_id))
    if member is None:
        session.add(Membership(workspace_id=workspace_id, user_id=user_id, role=role, created_at=now))
        session.flush()
        return None
    before = member.role
    if before == "owner":
        raise Conflict(
            "That person owns the workspace: an owner stays one, in every role that is asked for.",
            hint="For a link to set their password: postrider people reset-link",
        )
    member.role = role
    session.flush()
    return before


def set_password(session: Session, user_id: str, password_hash: str) -> None:
    """Gives somebody a new password: they are signed out everywhere, and links to set another one work no more."""
    session.get_one(User, user_id).password_hash = password_hash
    end_all_sessions(session, user_id)
    drop_links(session, "reset", user_id)
    session.flush()


def move_in(session: Session, owner_id: str | None, email: str, name: str, workspace_name: str, now: datetime) -> User:
    """The first person of an installation: the owner that there is, under this address and name, or a new one with a
    first workspace. Raises: Conflict when the address is somebody else's."""
    if owner_id is None:
        person = add_person(session, email, name, now)
        create_workspace(session, person.id, workspace_name, now)
        return person
    person = session.get_one(User, owner_id)
    other = find_person(session, email)
    if other is not None and other.id != person.id:
        raise Conflict("Somebody else has that address already.", hint="Use another one.")
    person.email, person.name = email, name
    session.flush()
    return person


def person_at_provider(session: Session, issuer: str, subject: str, verified_email: str | None) -> User | None:
    """The person whom an OpenID Connect provider names: known by issuer and subject, and the first time by an address
    that the provider has verified. Nobody is ever made, and nobody's provider is ever replaced."""
    known = session.scalar(select(User).where(User.oidc_issuer == issuer, User.oidc_subject == subject))
    if known is not None or verified_email is None:
        return known
    person = find_person(session, verified_email)
    if person is None or person.oidc_subject is not None:
        return None
    person.oidc_issuer, person.oidc_subject = issuer, subject
    session.flush()
    return person


def _ways_in(row: User) -> str:
    ways = [name for name, way in (("password", row.password_hash), ("provider", row.oidc_subject)) if way is not None]
    return " and ".join(ways) or "nothing yet"
