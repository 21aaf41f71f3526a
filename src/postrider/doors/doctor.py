"""What is wrong with an installation, and how to mend each of it. Looks only; changes nothing."""

import os
import socket
import sqlite3
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal, NamedTuple

from sqlalchemy import Engine, create_engine, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from postrider.access.tables import Workspace
from postrider.doors.heartbeat import engine_runs
from postrider.inbox.queries import Strays, count_strays, mailboxes_unread_since
from postrider.kernel.clock import SystemClock
from postrider.kernel.vault import Vault, VaultError, load_or_create_key
from postrider.mailboxes.tables import Mailbox
from postrider.settings import Settings, SettingsError, load_settings, unknown_variables
from postrider.storage.canary import WRONG_KEY, key_fits
from postrider.storage.schema import HEAD, is_postgresql, read_revision, sqlite_path

State = Literal["ok", "note", "broken"]
UNREAD_AFTER: Final = timedelta(hours=2)
"""More than the longest poll interval and the longest pause after failures, which are an hour each."""

_OLDEST_PYTHON: Final = (3, 11)
_CONNECT_SECONDS: Final = 5
_MOST_NAMED: Final = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. ``mend`` says what to do, unless it is ok. A note does not stop anything from working."""

    subject: str
    state: State
    text: str
    mend: str | None = None


class Data(NamedTuple):
    """What the database says about itself."""

    engine_runs: bool
    mailboxes_in_error: int
    mailboxes_unread: int
    key_fits: bool
    paused: list[str]
    strays: Strays


def examine(host: str, port: int) -> Iterator[Finding]:
    """Every finding, in the order in which to mend them."""
    yield _python()
    try:
        settings = load_settings()
    except SettingsError as error:
        for each in error.each:
            yield Finding("settings", "broken", each, "Correct the variable, then run the doctor again.")
        yield from _unknown_variables()
        return
    yield Finding("settings", "ok", "All settings can be used.")
    yield from _unknown_variables()
    yield _data_dir(settings.data_dir)
    yield _key(settings)
    yield from _database(settings)
    yield _public_url(settings)
    yield _port(host, port)
    yield _ai_key(settings)


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < _OLDEST_PYTHON:
        return Finding("python", "broken", f"Python {found} is too old.", "Install Python 3.11 or newer.")
    return Finding("python", "ok", f"Python {found}")


def _unknown_variables() -> Iterator[Finding]:
    for name, near in unknown_variables().items():
        mend = f"Did you mean {near}?" if near else "Take it away, or see docs/settings.md for what there is."
        yield Finding("settings", "note", f"{name} is no setting of Postrider, so it has no effect.", mend)


def _data_dir(folder: Path) -> Finding:
    if not folder.exists():
        return Finding("data directory", "note", f"{folder} does not exist yet.", "It is made on the first run.")
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return Finding("data directory", "broken", f"{folder} cannot be written to.", f"chown or chmod {folder}.")
    if stat.S_IMODE(folder.stat().st_mode) & 0o077:
        return Finding("data directory", "broken", f"Others can look into {folder}.", f"Run: chmod 700 {folder}")
    return Finding("data directory", "ok", str(folder))


def _key(settings: Settings) -> Finding:
    file = settings.data_dir / "secret.key"
    if settings.secret_key is None and not file.exists():
        return Finding("key", "note", "There is no key yet.", "It is made on the first run; back it up apart.")
    try:
        load_or_create_key(settings.secret_key, file)
    except VaultError as error:
        return Finding("key", "broken", str(error), "What another key has sealed, such as passwords, does not open.")
    except OSError as error:
        return Finding("key", "broken", str(error), f"See who owns {file}, and whether it can be read.")
    source = "POSTRIDER_SECRET_KEY" if settings.secret_key is not None else str(file)
    return Finding("key", "ok", f"From {source}")


def _database(settings: Settings) -> Iterator[Finding]:
    try:
        revision = read_revision(settings)
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        reason = (str(error).strip().splitlines() or ["no answer"])[0]
        yield Finding("database", "broken", reason, "Check POSTRIDER_DATABASE_URL and that the server runs.")
        return
    if revision != HEAD:
        yield _revision(settings, revision)
        return
    yield Finding("database", "ok", f"{'PostgreSQL' if is_postgresql(settings) else 'SQLite'} at {HEAD}")
    data = _look(settings)
    if not data.key_fits:
        yield Finding("key", "broken", WRONG_KEY, "A lost key cannot be made again: restore it from a backup.")
    yield _engine(data.engine_runs)
    yield _sending(data.paused)
    yield _mailboxes(data.mailboxes_in_error)
    if data.engine_runs:
        yield _reading(data.mailboxes_unread)
    yield _strays(data.strays)


def _revision(settings: Settings, revision: str | None) -> Finding:
    if revision is None and not is_postgresql(settings):
        return Finding("database", "note", "There is none yet.", "It is made on the first run.")
    state = "is empty" if revision is None else f"is at {revision}"
    return Finding("database", "broken", f"It {state}, {HEAD} is needed.", "Run: postrider db upgrade")


def _look(settings: Settings) -> Data:
    engine = _connect(settings)
    with Session(engine) as session:
        runs = engine_runs(session)
        broken = session.scalar(select(func.count()).select_from(Mailbox).where(Mailbox.status == "error"))
        unread = len(mailboxes_unread_since(session, SystemClock().now() - UNREAD_AFTER))
        fits = _fits(settings, session)
        query = select(Workspace.name, Workspace.id).where(Workspace.paused_at.is_not(None))
        paused = [f"{name} ({each})" for name, each in session.execute(query.order_by(Workspace.paused_at))]
        strays = count_strays(session)
    engine.dispose()
    return Data(runs, broken or 0, unread, fits, paused, strays)


def _fits(settings: Settings, session: Session) -> bool:
    """False only for a key that can be read and is another one; what else is wrong with it is said elsewhere."""
    file = settings.data_dir / "secret.key"
    if settings.secret_key is None and not file.exists():
        return key_fits(session, Vault(bytes(32))) is None
    try:
        return key_fits(session, Vault(load_or_create_key(settings.secret_key, file))) is not False
    except (VaultError, OSError):
        return True


def _connect(settings: Settings) -> Engine:
    path = sqlite_path(settings)
    if path is not None:
        return create_engine(f"sqlite:///{path}", poolclass=NullPool)
    assert settings.database_url is not None
    return create_engine(settings.database_url, poolclass=NullPool, connect_args={"connect_timeout": _CONNECT_SECONDS})


def _engine(runs: bool) -> Finding:
    if runs:
        return Finding("engine", "ok", "One is running.")
    return Finding("engine", "note", "None is running, so nothing is sent or received.", "Run: postrider serve")


def _sending(paused: list[str]) -> Finding:
    if not paused:
        return Finding("sending", "ok", "No workspace is paused.")
    more = f" and {len(paused) - _MOST_NAMED} more" if len(paused) > _MOST_NAMED else ""
    return Finding(
        "sending",
        "note",
        f"Paused, so that nothing is sent: {', '.join(paused[:_MOST_NAMED])}{more}.",
        "Run: postrider call resume_workspace",
    )


def _mailboxes(broken: int) -> Finding:
    if broken == 0:
        return Finding("mailboxes", "ok", "None is in error.")
    return Finding(
        "mailboxes", "broken", f"{broken} in error.", "See list_mailboxes for the reason; correct host or password."
    )


def _reading(unread: int) -> Finding:
    hours = UNREAD_AFTER // timedelta(hours=1)
    if unread == 0:
        return Finding("incoming mail", "ok", f"Every mailbox was read within {hours} hours.")
    return Finding(
        "incoming mail",
        "broken",
        f"{unread} not read for more than {hours} hours, so replies are missed.",
        "See lastError in list_mailboxes: IMAP says what is wrong.",
    )


def _strays(strays: Strays) -> Finding:
    if not any(strays):
        return Finding("unmatched mail", "ok", "No wish to be left alone and nothing unreadable is among it.")
    return Finding(
        "unmatched mail",
        "note",
        f"{strays.wishes} wishes to be left alone came from addresses that nothing was sent to, "
        f"and {strays.unreadable} messages could not be read.",
        "Look for them in the mailboxes; whoever wants no mail goes on the list with add_dnc_entries.",
    )


def _public_url(settings: Settings) -> Finding:
    if settings.public_url is None:
        text = "Not set: mail carries no tracking and no one-click unsubscribe header."
        return Finding("public address", "note", text, "Set POSTRIDER_PUBLIC_URL to the https address of this server.")
    if not settings.tracks:
        text = f"{settings.public_url} is not https, so it is not used in mail."
        return Finding("public address", "broken", text, "Put a TLS proxy in front and name its https address.")
    return Finding("public address", "ok", settings.public_url)


def _port(host: str, port: int) -> Finding:
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(target)
    except OSError as error:
        text = f"{host}:{port} cannot be bound ({error.strerror or error})."
        return Finding("port", "note", text, "Fine if that is Postrider itself; else pass another --port to serve.")
    if port == 0:
        return Finding("port", "ok", f"{host} can be bound.")
    text = f"{host}:{port} is free, so no server runs there. For one on another port: postrider doctor --port N"
    return Finding("port", "ok", text)


def _ai_key(settings: Settings) -> Finding:
    if settings.anthropic_api_key is None:
        text = "Not set: replies are not drafted and not classified by a model."
        return Finding("AI key", "note", text, "Set POSTRIDER_ANTHROPIC_API_KEY if you want that.")
    return Finding("AI key", "ok", f"Set, for {settings.ai_model}.")
