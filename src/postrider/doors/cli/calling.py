"""``operations`` and ``call``: every operation as a command."""

import asyncio
import difflib
import json
import math
import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from postrider.app import App, run_job
from postrider.catalogue import load_catalogue
from postrider.dispatch import Answer, Call
from postrider.doors.cli.opening import cli_actor, opened
from postrider.doors.cli.stopping import on_stop_signal
from postrider.doors.cli.words import complain, remark, say
from postrider.doors.heartbeat import engine_runs
from postrider.doors.waiting import JobView, Watch, job_id_of, keep_waiting, wait_for_job
from postrider.kernel.context import Actor, UploadedFile
from postrider.kernel.errors import Conflict, InvalidInput, NotFound
from postrider.kernel.operation import Operation

_BEGINS_SENDING: Final = frozenset({"start_campaign", "resume_campaign", "resume_workspace", "send_reply"})
"""What only an engine makes true."""
_INTERRUPTED: Final = 130
"""The exit status of what a person has stopped."""


def list_operations(as_json: bool) -> None:
    """Prints every operation with what it does."""
    rows = [
        {"name": each.name, "title": each.title, "feature": each.feature, "effect": each.effect.value}
        for each in load_catalogue()
    ]
    if as_json:
        say(json.dumps(rows, indent=2))
        return
    table = Table("operation", "does", "feature", "effect", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row.values())
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 140).print(table)


def call_operation(
    name: str,
    arguments: str,
    workspace: str | None,
    file: Path | None,
    *,
    wait: bool,
    idempotency_key: str | None = None,
) -> None:
    """Calls one operation and prints its output. ``wait``: sees a job that it starts to its end, and prints its result.

    A job that did not finish is printed as get_job shows it; then the exit status is 1, or 130 if a signal stopped it.
    """
    parsed = _parse(sys.stdin.read() if arguments == "-" else arguments)
    output, status = asyncio.run(_call(name, parsed, workspace, file, wait, idempotency_key))
    say(json.dumps(output, indent=2, ensure_ascii=not _is_utf8(sys.stdout.encoding)))
    if status:
        raise typer.Exit(status)


async def _call(
    name: str,
    arguments: dict[str, Any],
    workspace: str | None,
    file: Path | None,
    wait: bool,
    idempotency_key: str | None,
) -> tuple[dict[str, Any], int]:
    async with opened() as app:
        operation = app.dispatcher.catalogue.find(name)
        if operation is None:
            raise _unknown(app, name)
        actor = await cli_actor(app, workspace)
        async with _progress() as bar:
            call = Call(
                name,
                arguments,
                actor,
                files=_files(operation, file),
                progress=bar.report,
                idempotency_key=idempotency_key,
            )
            answer = await app.dispatcher.call(call)
            _say_outcome(answer)
            if operation.rest.waits_for_job and wait:
                return await _follow(app, actor, job_id_of(answer.output), bar.watch)
        if operation.rest.waits_for_job:
            await _say_who_works(app, job_id_of(answer.output), workspace)
        elif name in _BEGINS_SENDING and not await app.database.read(engine_runs):
            remark(
                "No engine is running here, so nothing is sent until one does: postrider serve, or postrider engine."
            )
        return answer.output.model_dump(mode="json", by_alias=True), 0


def _say_outcome(answer: Answer) -> None:
    if answer.replayed:
        remark("This was done before: it is the answer of the first call with the same idempotency key.")
    if answer.undo_id is not None:
        undo = json.dumps({"id": answer.undo_id})
        remark(f"To take it back within 24 hours: postrider call undo_operation --json '{undo}'")


def _unknown(app: App, name: str) -> NotFound:
    near = difflib.get_close_matches(name, [each.name for each in app.dispatcher.catalogue], n=1)
    hint = f"Did you mean {near[0]}?" if near else "List them with: postrider operations"
    return NotFound(f"There is no operation {name!r}.", hint=hint)


async def _say_who_works(app: App, job_id: str, workspace: str | None) -> None:
    if not await app.database.read(engine_runs):
        remark("No engine is running here, so the job waits until one does: postrider serve, or postrider engine.")
        remark("To have it done at once, call with --wait.")
    where = "" if workspace is None else f" --workspace {shlex.quote(workspace)}"
    remark(f"""See how far it has come: postrider call get_job{where} --json '{{"id": "{job_id}"}}'""")


async def _follow(app: App, actor: Actor, job_id: str, watch: Watch) -> tuple[dict[str, Any], int]:
    """The job's result, or the whole job if it did not finish; and the exit status. A stop signal cancels it."""
    stop = asyncio.Event()
    on_stop_signal(stop.set)

    async def watch_and_cancel(job: JobView) -> bool:
        if stop.is_set():
            with suppress(Conflict):
                await app.dispatcher.call(Call("cancel_job", {"id": job_id}, actor))
        return await watch(job)

    async def run(actor: Actor, job_id: str) -> None:
        await run_job(app, actor.workspace_id, job_id)

    job = await wait_for_job(
        app.dispatcher, actor, job_id, run_job=run, watch=watch_and_cancel, longest_seconds=math.inf
    )
    if job.state == "finished":
        return job.result(), 0
    complain(job.fields["error"] or f"The job was {job.state}.", "What was finished before stays: result counts it.")
    return job.fields, _INTERRUPTED if stop.is_set() else 1


class _Bar:
    """A progress bar on stderr that appears with the first report."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None, visible=False)

    async def report(self, done: int, total: int | None, message: str) -> None:
        """See kernel.context.Progress."""
        self._progress.update(self._task, completed=done, total=total, description=message, visible=True)

    async def watch(self, job: JobView) -> bool:
        """Shows how far a job has come, and goes on waiting."""
        await self.report(job.done, job.total, job.state)
        return True


class _Silence:
    """For output that nobody watches."""

    watch = staticmethod(keep_waiting)

    async def report(self, done: int, total: int | None, message: str) -> None:
        """Says nothing."""


@asynccontextmanager
async def _progress() -> AsyncIterator[_Bar | _Silence]:
    if not sys.stderr.isatty():
        yield _Silence()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield _Bar(progress)


def _parse(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidInput(f"--json is not JSON: {error}.", hint="""Example: --json '{"limit": 10}'""") from None
    except ValueError:
        raise InvalidInput("--json has a number with too many digits.", hint="Give a shorter one.") from None
    if not isinstance(found, dict):
        raise InvalidInput("--json is not an object.", hint="""Example: --json '{"limit": 10}'""")
    return found


def _files(operation: Operation, path: Path | None) -> dict[str, UploadedFile]:
    if path is None:
        return {}
    field = operation.rest.file_field
    if field is None:
        raise InvalidInput(f"{operation.name} takes no file.", hint="Leave --file out.")
    return {field: UploadedFile(path, path.name, path.stat().st_size)}


def _is_utf8(encoding: str | None) -> bool:
    return (encoding or "").lower().replace("-", "") == "utf8"
