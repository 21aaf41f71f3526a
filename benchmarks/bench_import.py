"""Rows per second of a CSV import against raw inserts of the same rows into the same tables, in one run.

The denominator is executemany on SQLite and COPY → temporary table → INSERT on PostgreSQL, in transactions of the same
size. ``job`` is the import's own inserting (what the engine does); ``whole`` also reads, maps, cleans up and keeps the
file before that.
"""

import asyncio
import csv
import io
import json
import os
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Final

from sqlalchemy import create_engine, delete, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from postrider.access.queries import NewOwner, create_owner
from postrider.app import App, build
from postrider.dispatch import Call
from postrider.engine.jobs import run_pending
from postrider.kernel.context import ALL_SCOPES, Actor, UploadedFile
from postrider.kernel.ids import new_id
from postrider.leads.imports import BATCH_ROWS
from postrider.leads.tables import Lead
from postrider.settings import Settings, load_settings
from postrider.storage.schema import upgrade_schema

ROWS: Final = 50_000
ROUNDS: Final = 3
GOAL_RATIO: Final = 0.6
POSTGRES: Final = os.environ.get("POSTRIDER_TEST_POSTGRES_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")

_HEADER: Final = ("Email", "First Name", "Last Name", "Company", "Job Title", "Phone", "City", "Country", "Industry")
_NOW: Final = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
_COLUMNS: Final = tuple(column.name for column in Lead.__table__.columns)


def sample_row(number: int) -> tuple[str, ...]:
    """One row of the file: 5,000 companies, and names that differ."""
    company = number % 5_000
    return (
        *(f"person{number}@company{company}.test", f"Jane{number % 900}", f"Müller{number % 700}"),
        *(f"Company {company} GmbH", "Head of Sales", f"+49 30 {1_000_000 + number}", "Berlin", "Germany", "SaaS"),
    )


def sample_file() -> bytes:
    """The file that is imported."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_HEADER)
    writer.writerows(sample_row(number) for number in range(ROWS))
    return out.getvalue().encode()


def raw_rows(workspace_id: str, instant: object) -> list[tuple[object, ...]]:
    """The same leads as the database stores them."""
    rows: list[tuple[object, ...]] = []
    for number in range(ROWS):
        email, first, last, company, title, phone, city, country, industry = sample_row(number)
        values = {
            **dict.fromkeys(_COLUMNS),
            "workspace_id": workspace_id,
            "id": new_id("lead"),
            "email": email,
            "first_name": first,
            "company_domain": email.partition("@")[2],
            "last_name": last,
            "company_name": company,
            "job_title": title,
            "phone": phone.replace(" ", ""),
            "city": city,
            "country": country,
            "custom_fields": json.dumps({"Industry": industry}),
            "email_verification_status": "unverified",
            "created_at": instant,
            "updated_at": instant,
        }
        rows.append(tuple(values[column] for column in _COLUMNS))
    return rows


def raw_sqlite(session: Session, rows: list[tuple[object, ...]]) -> None:
    """One transaction of the denominator on SQLite."""
    driver: Any = session.connection().connection.driver_connection
    driver.executemany(f"INSERT INTO leads VALUES ({', '.join('?' * len(_COLUMNS))})", rows)


def raw_postgresql(session: Session, rows: list[tuple[object, ...]]) -> None:
    """One transaction of the denominator on PostgreSQL."""
    driver: Any = session.connection().connection.driver_connection
    listed = ", ".join(_COLUMNS)
    driver.execute("CREATE TEMP TABLE IF NOT EXISTS raw_leads (LIKE leads) ON COMMIT DELETE ROWS")
    with driver.cursor() as cursor, cursor.copy(f"COPY raw_leads ({listed}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
    driver.execute(f"INSERT INTO leads ({listed}) SELECT {listed} FROM raw_leads ON CONFLICT DO NOTHING")


async def _raw(app: App, insert: Callable[[Session, list[tuple[object, ...]]], None], owner: NewOwner) -> float:
    on_sqlite = app.database.dialect_name == "sqlite"
    rows = raw_rows(owner.workspace_id, int(_NOW.timestamp()) * 1_000_000 if on_sqlite else _NOW)
    start = perf_counter()
    for at in range(0, ROWS, BATCH_ROWS):
        part = rows[at : at + BATCH_ROWS]
        await app.database.write(lambda s, part=part: insert(s, part))  # type: ignore[misc]
    return perf_counter() - start


async def _ours(app: App, file: UploadedFile, owner: NewOwner) -> tuple[float, float]:
    actor = Actor("workspace_key", "key_bench", owner.user_id, owner.workspace_id, ALL_SCOPES, "free", "v1")
    start = perf_counter()
    answer = await app.dispatcher.call(Call("import_leads_csv", {}, actor, files={"file": file}))
    stored = perf_counter()
    job_id = answer.output.model_dump()["job_id"]
    await run_pending(app.database, app.clock, app.signals, owner.workspace_id, job_id)
    end = perf_counter()
    job = await app.dispatcher.call(Call("get_job", {"id": job_id}, actor))
    if job.output.model_dump()["result"]["imported"] != ROWS:
        raise RuntimeError("the import did not import everything")
    return end - stored, end - start


async def _clear(app: App) -> None:
    await app.database.write(lambda s: s.execute(delete(Lead)) and None)


async def _measure(settings: Settings, insert: Callable[[Session, list[tuple[object, ...]]], None]) -> dict[str, float]:
    app = build(settings)
    pepper = app.vault.derive("api-keys")
    owner = await app.database.write(lambda s: create_owner(s, pepper, "ann@ann.test", "Ann", "Ann's", _NOW))
    path = settings.data_dir / "leads.csv"
    path.write_bytes(sample_file())
    file = UploadedFile(path, "leads.csv", path.stat().st_size)
    raw = job = whole = float("inf")
    for _ in range(ROUNDS):
        raw = min(raw, await _raw(app, insert, owner))
        await _clear(app)
        seconds = await _ours(app, file, owner)
        job, whole = min(job, seconds[0]), min(whole, seconds[1])
        await _clear(app)
    await app.close()
    name = app.database.dialect_name
    return {
        f"{name}_raw_rows_per_second": ROWS / raw,
        f"{name}_job_rows_per_second": ROWS / job,
        f"{name}_whole_rows_per_second": ROWS / whole,
        f"{name}_job_ratio": raw / job,
        f"{name}_whole_ratio": raw / whole,
    }


@contextmanager
def _postgresql_settings(folder: str) -> Iterator[Settings]:
    name = f"pr_bench_{uuid.uuid4().hex[:12]}"
    engine = create_engine(POSTGRES, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        url = POSTGRES.rsplit("/", 1)[0] + "/" + name
        settings = load_settings({"POSTRIDER_DATA_DIR": folder, "POSTRIDER_DATABASE_URL": url})
        settings.data_dir.mkdir(exist_ok=True)
        upgrade_schema(settings)
        yield settings
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


def measure() -> dict[str, float]:
    """The figures of both databases, each the best of three rounds in which raw and ours take turns."""
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(_measure(load_settings({"POSTRIDER_DATA_DIR": folder}), raw_sqlite))
    with tempfile.TemporaryDirectory() as folder, _postgresql_settings(folder) as settings:
        figures |= asyncio.run(_measure(settings, raw_postgresql))
    return figures


if __name__ == "__main__":
    for name, figure in measure().items():
        print(f"{name:34} {figure:12,.2f}")
    print(f"goal: ratios at least {GOAL_RATIO}", file=sys.stderr)
