"""The command line. Each command imports what it needs when it runs, so that ``--help`` is quick."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from postrider.doors.cli import access_commands
from postrider.doors.cli.words import explained

app = typer.Typer(
    name="postrider",
    help="Self-hosted cold-email outreach that AI agents drive.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
db = typer.Typer(
    help="The database: its revision, upgrades, and the hold after a restored backup.", no_args_is_help=True
)
app.add_typer(db, name="db")
workspace_commands = typer.Typer(help="What a workspace has decided for all of its mail.", no_args_is_help=True)
app.add_typer(workspace_commands, name="workspace")
audit_commands = typer.Typer(help="Who did what: prove that nothing was changed, and export it.", no_args_is_help=True)
app.add_typer(audit_commands, name="audit")

app.add_typer(access_commands.people, name="people")
app.add_typer(access_commands.keys, name="keys")
app.add_typer(access_commands.apps, name="apps")
app.add_typer(access_commands.approvals, name="approvals")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"postrider {version('postrider')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of every command."""


Workspace = Annotated[str | None, typer.Option("--workspace", "-w", help="Id or name; needed where there are several.")]


def main() -> None:
    """Runs the command line."""
    app()


@app.command()
def init(
    email: Annotated[str, typer.Option(help="Address of the owner.")],
    name: Annotated[str, typer.Option(help="Name of the owner.")],
    workspace: Annotated[str, typer.Option(help="Name of the new workspace.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Create an owner and a workspace, and print their API keys (shown once)."""
    from postrider.doors.cli.owner import create

    with explained():
        create(email, name, workspace, as_json)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to bind to.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one and prints it.")] = 8025,
    engine: Annotated[bool, typer.Option("--engine/--no-engine", help="Run the engine in this process too.")] = True,
) -> None:
    """Serve REST, MCP and the web pages over HTTP, and run the engine."""
    from postrider.doors.cli.serving import serve_http

    with explained():
        serve_http(host, port, engine)


@app.command()
def engine() -> None:
    """Run the engine alone: it sends, receives and works off jobs."""
    from postrider.doors.cli.serving import run_engine_alone

    with explained():
        run_engine_alone()


@app.command()
def stdio(
    workspace: Annotated[
        str | None, typer.Option("--workspace", "-w", help="Id or name; else the one that was made first.")
    ] = None,
    surface: Annotated[
        str, typer.Option(help="Which tools: core, full, readonly, or toolsets with commas, such as leads,inbox.")
    ] = "core",
) -> None:
    """Serve MCP over standard input and output, as the local owner, and run the engine."""
    from postrider.doors.cli.stdio import serve

    with explained():
        serve(workspace, surface)


@app.command()
def demo() -> None:
    """Run a whole campaign in virtual time against a sandbox mail server."""
    with explained():
        from postrider.demo.run import run_demo

        run_demo()


@app.command()
def operations(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List every operation that `call` knows."""
    from postrider.doors.cli.calling import list_operations

    with explained():
        list_operations(as_json)


@app.command()
def call(
    operation: Annotated[str, typer.Argument(help="A name of `postrider operations`.")],
    arguments: Annotated[
        str, typer.Option("--json", help="Arguments as a JSON object; - reads standard input.")
    ] = "{}",
    workspace: Workspace = None,
    file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="For operations that take one.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="See an import to its end and print its result; Ctrl-C cancels it.")
    ] = False,
    idempotency_key: Annotated[
        str | None, typer.Option(help="Repetitions of the call with this key change nothing and print its answer.")
    ] = None,
) -> None:
    """Call one operation as the local owner and print its output as JSON."""
    from postrider.doors.cli.calling import call_operation

    with explained():
        call_operation(operation, arguments, workspace, file, wait=wait, idempotency_key=idempotency_key)


class Settled(StrEnum):
    """What a person knows of a message."""

    SENT = "sent"
    NOT_SENT = "not-sent"


@app.command("settle-unknown")
def settle_unknown(
    campaign: Annotated[str, typer.Option(help="The campaign's id.")],
    lead: Annotated[str, typer.Option(help="The lead's id.")],
    settled: Annotated[Settled, typer.Option("--as", help="What you found out; not-sent sends it again.")],
    workspace: Workspace = None,
) -> None:
    """Say whether a message with an unknown outcome left, so that its lead goes on."""
    from postrider.doors.cli.settling import settle

    with explained():
        settle(campaign, lead, workspace, sent=settled is Settled.SENT)


@workspace_commands.command("show")
def workspace_show(
    workspace: Workspace = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the lines under every email, whether unsubscribe headers are sent, and whether sending is paused."""
    from postrider.doors.cli.house import show

    with explained():
        show(workspace, as_json)


class Approval(StrEnum):
    """Whose yes a grave call wants."""

    HUMAN = "human"
    NONE = "none"


@workspace_commands.command("set")
def workspace_set(
    workspace: Workspace = None,
    postal_address: Annotated[
        str | None, typer.Option(help="One line under every email of a campaign; an empty one is none.")
    ] = None,
    opt_out_line: Annotated[
        str | None, typer.Option(help="One line above it, saying how to opt out; an empty one is none.")
    ] = None,
    unsubscribe_headers: Annotated[
        bool | None,
        typer.Option("--unsubscribe-headers/--no-unsubscribe-headers", help="List-Unsubscribe on every email."),
    ] = None,
    approval: Annotated[
        Approval | None, typer.Option(help="human: a person grants whatever makes mail leave or destroys data.")
    ] = None,
    approval_above: Annotated[
        str | None, typer.Option(help="A person grants what concerns more people than this; off: nobody has to.")
    ] = None,
    reply_hold_seconds: Annotated[
        int | None, typer.Option(help="Between sending a reply and its leaving, so that it can be taken back.")
    ] = None,
    lockdown: Annotated[
        bool | None, typer.Option("--lockdown/--no-lockdown", help="Withhold bodies by senders not written to.")
    ] = None,
    first_day_sends: Annotated[
        int | None, typer.Option(help="Messages that an app connected from now on may cause on its first day.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Change what is given and show the result; emails composed and calls made from now on follow it."""
    from postrider.doors.cli.house import change, people_above

    given = {
        "postal_address": postal_address,
        "opt_out_line": opt_out_line,
        "unsubscribe_headers": unsubscribe_headers,
    }
    demands = {
        "approval": approval.value if approval is not None else None,
        "replyHoldSeconds": reply_hold_seconds,
        "lockdown": lockdown,
        "firstDaySends": first_day_sends,
    }
    with explained():
        kept: dict[str, str | int | None] = {name: value for name, value in demands.items() if value is not None}
        if approval_above is not None:
            kept["approvalAbove"] = people_above(approval_above)
        change(workspace, {name: value for name, value in given.items() if value is not None}, kept, as_json)


@audit_commands.command("verify")
def audit_verify(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Walk the chain of every workspace; exit 1 when a row was changed, taken away, added or moved."""
    from postrider.doors.cli.audit import verify

    with explained():
        verify(as_json)


class AuditFormat(StrEnum):
    """How exported events are written."""

    CSV = "csv"
    JSONL = "jsonl"


@audit_commands.command("export")
def audit_export(
    workspace: Workspace = None,
    form: Annotated[AuditFormat, typer.Option("--format", help="CSV, or one JSON object per line.")] = AuditFormat.CSV,
    since: Annotated[
        str | None, typer.Option("--from", help="From this instant, such as 2026-03-02T00:00:00Z.")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="Before this instant.")] = None,
    out: Annotated[Path | None, typer.Option(dir_okay=False, help="Where to put the file.")] = None,
) -> None:
    """Write the events of a workspace into a file, and print its path."""
    from postrider.doors.cli.audit import export

    given = {"format": form.value, "from": since, "to": until}
    with explained():
        export(workspace, {name: value for name, value in given.items() if value is not None}, out)


@db.command("upgrade")
def db_upgrade() -> None:
    """Bring the database to the revision that this program needs."""
    from postrider.doors.cli.database import upgrade

    with explained():
        upgrade()


@db.command("status")
def db_status() -> None:
    """Show which revision the database has; exit 1 when it is not the needed one."""
    from postrider.doors.cli.database import status

    with explained():
        status()


@db.command("release-hold")
def db_release_hold() -> None:
    """Let mail leave again after a backup was restored."""
    from postrider.doors.cli.database import release_hold

    with explained():
        release_hold()


@app.command()
def doctor(
    host: Annotated[str, typer.Option(help="Where `serve` would bind.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535)] = 8025,
) -> None:
    """Check this installation and say what to mend; exit 1 when something is broken."""
    from postrider.doors.cli.checking import report

    with explained():
        report(host, port)
