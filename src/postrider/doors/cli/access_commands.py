"""The commands for people, API keys, connected apps and approvals. Like the others, each imports when it runs."""

from enum import StrEnum
from typing import Annotated

import typer

from postrider.doors.cli.words import explained

people = typer.Typer(help="Who may sign in, and links to set a password.", no_args_is_help=True)
keys = typer.Typer(help="API keys: what each may do, make one, take one back.", no_args_is_help=True)
apps = typer.Typer(help="Apps that people have let in by signing in.", no_args_is_help=True)
approvals = typer.Typer(help="Calls that wait for a person.", no_args_is_help=True)

Workspace = Annotated[str | None, typer.Option("--workspace", "-w", help="Id or name; needed where there are several.")]
Url = Annotated[
    str | None,
    typer.Option(
        help="The server's address, as postrider serve prints it; else POSTRIDER_PUBLIC_URL or the usual one."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Role(StrEnum):
    """What somebody is in a workspace."""

    ADMIN = "admin"
    MEMBER = "member"


class Scope(StrEnum):
    """What a key may do."""

    READ = "read"
    PREPARE = "prepare"
    SEND = "send"
    DELETE = "delete"
    ADMINISTER = "administer"


class Autonomy(StrEnum):
    """How far a key may go by itself."""

    READONLY = "readonly"
    DRAFT = "draft"
    CONFIRM = "confirm"
    FREE = "free"


@people.command("list")
def people_list(as_json: Json = False) -> None:
    """Show everybody, how they sign in, and what they belong to."""
    from postrider.doors.cli.people import show

    with explained():
        show(as_json)


@people.command("add")
def people_add(
    email: Annotated[str, typer.Argument(help="The address that they sign in with.")],
    name: Annotated[str, typer.Option(help="What they are called.")],
    role: Annotated[Role, typer.Option(help="admin: may also make keys and revoke everybody's apps.")] = Role.MEMBER,
    workspace: Workspace = None,
    url: Url = None,
) -> None:
    """Let somebody into a workspace, or give them another role, and print a link with which they set a password."""
    from postrider.doors.cli.people import add

    with explained():
        add(email, name, role.value, workspace, url)


@people.command("set-password")
def people_set_password(email: Annotated[str, typer.Argument(help="Whose password.")]) -> None:
    """Set somebody's password, which is asked for; they are signed out everywhere."""
    from postrider.doors.cli.people import set_by_hand

    with explained():
        set_by_hand(email)


@people.command("reset-link")
def people_reset_link(email: Annotated[str, typer.Argument(help="Whose password.")], url: Url = None) -> None:
    """Print a link, good once and for an hour, with which somebody sets a new password."""
    from postrider.doors.cli.people import reset_link

    with explained():
        reset_link(email, url)


@keys.command("list")
def keys_list(workspace: Workspace = None, as_json: Json = False) -> None:
    """Show the keys of the workspace, and the platform keys, which reach all of their owner's."""
    from postrider.doors.cli.keys import show

    with explained():
        show(workspace, as_json)


@keys.command("create")
def keys_create(
    name: Annotated[str, typer.Option(help="What it is for.")],
    scope: Annotated[list[Scope], typer.Option(help="Give it several times for several.")],
    autonomy: Annotated[Autonomy, typer.Option(help="How far it goes by itself.")] = Autonomy.CONFIRM,
    toolset: Annotated[list[str] | None, typer.Option(help="Only these; give it several times.")] = None,
    daily_sends: Annotated[int | None, typer.Option(help="Messages in a day.")] = None,
    first_day_sends: Annotated[int | None, typer.Option(help="Messages on its first day.")] = None,
    expires_at: Annotated[str | None, typer.Option(help="Such as 2027-01-31T00:00:00Z; else never.")] = None,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Make a key for the workspace and print it (shown once)."""
    from postrider.doors.cli.keys import create

    asked = {
        "name": name,
        "scopes": [each.value for each in scope],
        "autonomy": autonomy.value,
        "toolsets": toolset or None,
        "dailySends": daily_sends,
        "firstDaySends": first_day_sends,
        "expiresAt": expires_at,
    }
    with explained():
        create({field: value for field, value in asked.items() if value is not None}, workspace, as_json)


@keys.command("revoke")
def keys_revoke(key: Annotated[str, typer.Argument(help="Its id (key_…).")], workspace: Workspace = None) -> None:
    """Take a key back, also a platform key; it is refused within a second."""
    from postrider.doors.cli.keys import revoke

    with explained():
        revoke(key, workspace)


@apps.command("list")
def apps_list(workspace: Workspace = None, as_json: Json = False) -> None:
    """Show the connected apps of the workspace, what each may do, and when it was last here."""
    from postrider.doors.cli.apps import show

    with explained():
        show(workspace, as_json)


@apps.command("revoke")
def apps_revoke(app: Annotated[str, typer.Argument(help="Its id (grt_…).")], workspace: Workspace = None) -> None:
    """Put an app out, with all that its person ever let it do; it is refused within a second."""
    from postrider.doors.cli.apps import revoke

    with explained():
        revoke(app, workspace)


@approvals.command("list")
def approvals_list(workspace: Workspace = None, as_json: Json = False) -> None:
    """Show the calls that wait for a person, with their facts."""
    from postrider.doors.cli.approvals import show

    with explained():
        show(workspace, as_json)


@approvals.command("grant")
def approvals_grant(
    approval: Annotated[str, typer.Argument(help="Its id (apr_…).")], workspace: Workspace = None
) -> None:
    """Say yes: the same call goes through, once."""
    from postrider.doors.cli.approvals import answer

    with explained():
        answer(approval, workspace, yes=True)


@approvals.command("deny")
def approvals_deny(
    approval: Annotated[str, typer.Argument(help="Its id (apr_…).")], workspace: Workspace = None
) -> None:
    """Say no."""
    from postrider.doors.cli.approvals import answer

    with explained():
        answer(approval, workspace, yes=False)
