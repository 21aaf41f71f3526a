"""Writes per second of 16 callers at once on SQLite with synchronous=FULL, against raw sqlite3 in the same run.

``operations``: add_dnc_entries with one address, through the dispatcher, one transaction per call; its floor is the
same row inserted by raw sqlite3, one transaction per row. ``hot``: one event through the hot lane, where callers share
commits; its floor is the same event by raw sqlite3, one transaction each.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from benchmarks.databases import fresh_settings
from sqlalchemy import Table
from tests.conftest import Installation

from postrider.app import App, build
from postrider.dispatch import Call
from postrider.dnc.queries import hash_value
from postrider.dnc.tables import DncEntry
from postrider.kernel.ids import new_id
from postrider.sending.events import Subject, record_event
from postrider.sending.tables import Event

CALLERS: Final = 16
WRITES: Final = 2_000
ROUNDS: Final = 5

Write = Callable[[int], Awaitable[object]]


def measure() -> dict[str, float]:
    """Writes per second of both lanes and of their floors, best of alternating rounds, and the ratios."""
    with fresh_settings("sqlite") as settings:
        app = build(settings)
        return asyncio.run(_measure(app, settings.sqlite_path))


async def _measure(app: App, path: Path) -> dict[str, float]:
    try:
        installation = await Installation.on(app)
        best = dict.fromkeys(("operations", "raw_operations", "hot", "raw_hot"), 0.0)
        for number in range(ROUNDS):
            rates = {
                "operations": await _rate(_operation(installation, number)),
                "raw_operations": _raw_rate(path, DncEntry.__table__, _dnc_rows(installation, number)),
                "hot": await _rate(_hot(installation)),
                "raw_hot": _raw_rate(path, Event.__table__, _event_rows(installation)),
            }
            best = {name: max(best[name], rate) for name, rate in rates.items()}
    finally:
        await app.close()
    return {
        **{f"{name}_per_second": rate for name, rate in best.items()},
        "operations_ratio": best["operations"] / best["raw_operations"],
        "hot_ratio": best["hot"] / best["raw_hot"],
    }


async def _rate(write: Write) -> float:
    numbers = iter(range(WRITES))

    async def caller() -> None:
        for number in numbers:
            await write(number)

    start = perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return WRITES / (perf_counter() - start)


def _operation(installation: Installation, part: int) -> Write:
    actor, dispatcher = installation.actor(), installation.app.dispatcher

    async def write(number: int) -> object:
        entries = [{"email": f"ours{part}-{number}@lead.test"}]
        return await dispatcher.call(Call("add_dnc_entries", {"entries": entries}, actor))

    return write


def _hot(installation: Installation) -> Write:
    database, now = installation.app.database, installation.app.clock.now()
    subject = Subject(installation.ann.workspace_id)

    async def write(number: int) -> object:
        return await database.hot(lambda connection: record_event(connection, "noted", subject, now))

    return write


def _raw_rate(path: Path, table: Any, rows: list[dict[str, object]]) -> float:
    """Inserts per second of the standard library's driver with the same pragmas, one transaction per row."""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
    statement = _insert(table)
    start = perf_counter()
    for row in rows:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(statement, row)
        connection.execute("COMMIT")
    elapsed = perf_counter() - start
    connection.close()
    return len(rows) / elapsed


def _insert(table: Table) -> str:
    names = [column.name for column in table.columns]
    return f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join(':' + name for name in names)})"


def _dnc_rows(installation: Installation, part: int) -> list[dict[str, object]]:
    workspace_id, vault = installation.ann.workspace_id, installation.app.vault
    at = int(installation.app.clock.now().timestamp() * 1_000_000)
    fixed = {"workspace_id": workspace_id, "kind": "email", "reason": "added by hand", "source": "manual"}
    return [
        {**fixed, "id": new_id("dnc"), "value": email, "value_hash": hash_value(vault, workspace_id, email)}
        | {"created_at": at}
        for email in (f"raw{part}-{number}@lead.test" for number in range(WRITES))
    ]


def _event_rows(installation: Installation) -> list[dict[str, object]]:
    at = int(installation.app.clock.now().timestamp() * 1_000_000)
    empty = dict.fromkeys(("campaign_id", "enrollment_id", "lead_id", "mailbox_id", "attempt_id"))
    fixed = {**empty, "workspace_id": installation.ann.workspace_id, "at": at, "kind": "noted", "data": "{}"}
    return [{**fixed, "id": new_id("evt")} for _ in range(WRITES)]


if __name__ == "__main__":
    for name, figure in measure().items():
        print(f"{name:28} {figure:12,.2f}")
