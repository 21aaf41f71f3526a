"""Uploads while they are sent: one sender at a time, room in the workspace, what is written down; on both databases."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest
from anyio import fail_after
from sqlalchemy import Engine, create_engine, event, text, update
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool
from starlette.types import ASGIApp, Message

from postrider.doors.http import http_app
from postrider.doors.web import files
from postrider.files.claims import claim_upload, give_back, receive_upload, renew_claim
from postrider.files.links import Linked
from postrider.files.queries import MOST_BYTES
from postrider.files.store import path_of
from postrider.files.tables import StoredFile
from postrider.kernel.errors import Conflict, LimitReached, NotFound
from tests.audit.audit_rig import audit_rows, first_break, seal
from tests.conftest import Installation
from tests.features.lead_rig import change
from tests.features.test_files import CSV, kept, upload, web

__all__ = ["web"]

LARGEST = 50 * 1024 * 1024


@dataclass
class Sender:
    """Somebody who sends a file part by part, as the test says. ``waits``: all that was sent has been taken in."""

    app: ASGIApp
    path: str
    waits: asyncio.Event = field(default_factory=asyncio.Event)
    status: int = 0
    _messages: asyncio.Queue[Message] = field(default_factory=asyncio.Queue)

    def part(self, content: bytes, *, last: bool = False) -> None:
        """Sends some of the file."""
        self._put({"type": "http.request", "body": content, "more_body": not last})

    def leave(self) -> None:
        """Goes away in the middle of it."""
        self._put({"type": "http.disconnect"})

    async def send(self) -> int:
        """The status of the answer."""
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "PUT",
            "scheme": "http",
            "path": self.path,
            "raw_path": self.path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"127.0.0.1:8025")],
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 8025),
        }
        await self.app(scope, self._receive, self._answer)
        return self.status

    def _put(self, message: Message) -> None:
        self.waits.clear()
        self._messages.put_nowait(message)

    async def _receive(self) -> Message:
        if self._messages.empty():
            self.waits.set()
        return await self._messages.get()

    async def _answer(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]


async def begin(installation: Installation, path: str) -> tuple[Sender, asyncio.Task[int]]:
    """A sender whose first part has been taken in."""
    sender = Sender(http_app(installation.app), path)
    sending = asyncio.create_task(sender.send())
    sender.part(CSV[:5])
    await taken_in(sender)
    return sender, sending


async def taken_in(sender: Sender) -> None:
    """Waits until all that was sent has been taken in."""
    with fail_after(20):
        await sender.waits.wait()


def linked_to(installation: Installation, made: dict[str, Any]) -> Linked:
    return Linked(installation.ann.workspace_id, made["uploadId"])


RUN_OUT = update(StoredFile).values(claimed_until_ms=1)


async def fill(installation: Installation, left: int) -> None:
    """Files that leave so much room in Ann's workspace."""
    made = await upload(installation)
    await change(
        installation,
        update(StoredFile).where(StoredFile.id == made["uploadId"]).values(state="ready", size_bytes=MOST_BYTES - left),
    )


async def test_an_address_takes_one_file(installation: Installation, web: httpx.AsyncClient) -> None:
    made = await upload(installation)
    answers = await asyncio.gather(*(web.put(made["putUrl"], content=CSV) for _ in range(8)))
    assert {answer.status_code for answer in answers} <= {201, 404, 409}
    assert sum(answer.status_code == 201 for answer in answers) == 1
    assert (await web.put(made["putUrl"], content=CSV)).status_code == 404
    assert len(kept(installation)) == 1


async def test_while_somebody_is_sending_nobody_else_can(installation: Installation, web: httpx.AsyncClient) -> None:
    made = await upload(installation)
    sender, sending = await begin(installation, made["putUrl"])
    second = await web.put(made["putUrl"], content=CSV)
    assert (second.status_code, second.json()["error"]["code"]) == (409, "CONFLICT")
    assert len(kept(installation)) == 1, "nothing of the second is taken in"
    sender.part(CSV[5:], last=True)
    assert await sending == 201
    assert (await web.put(made["putUrl"], content=CSV)).status_code == 404


async def test_a_sender_who_leaves_gives_the_address_back(installation: Installation, web: httpx.AsyncClient) -> None:
    made = await upload(installation)
    sender, sending = await begin(installation, made["putUrl"])
    sender.leave()
    assert await sending == 400
    assert kept(installation) == [] and await audit_names(installation) == ["create_upload"]
    assert (await web.put(made["putUrl"], content=CSV)).status_code == 201


async def test_a_sender_who_is_cut_off_by_a_stop_gives_the_address_back(
    installation: Installation, web: httpx.AsyncClient
) -> None:
    made = await upload(installation)
    _, sending = await begin(installation, made["putUrl"])
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert (await web.put(made["putUrl"], content=CSV)).status_code == 201


async def test_a_claim_that_a_dead_process_held_runs_out_and_whoever_had_it_gets_nothing(
    installation: Installation, web: httpx.AsyncClient
) -> None:
    made = await upload(installation)
    sender, sending = await begin(installation, made["putUrl"])
    await change(installation, RUN_OUT)
    assert (await web.put(made["putUrl"], content=CSV)).status_code == 201
    sender.part(CSV[5:], last=True)
    assert await sending == 409
    assert [path.name.partition(".")[0] for path in kept(installation)] == [made["uploadId"]]
    assert await audit_names(installation) == ["create_upload", "receive_upload"]
    await installation.call("import_leads_csv", uploadId=made["uploadId"])


async def test_a_file_that_cannot_be_put_in_place_is_not_received(
    installation: Installation, web: httpx.AsyncClient
) -> None:
    made = await upload(installation)
    sender, sending = await begin(installation, made["putUrl"])
    [unfinished] = kept(installation)
    unfinished.unlink()
    sender.part(CSV[5:], last=True)
    with pytest.raises(FileNotFoundError):
        await sending
    assert await audit_names(installation) == ["create_upload"]
    assert (await web.put(made["putUrl"], content=CSV)).status_code == 201
    await installation.call("import_leads_csv", uploadId=made["uploadId"])


@contextmanager
def held_up(word: str) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Statements that begin so wait, once they are done, for the second event; the first tells that one does."""
    there, go_on = threading.Event(), threading.Event()

    def wait(_: Any, __: Any, statement: str, *___: Any) -> None:
        if statement.startswith(word):
            there.set()
            assert go_on.wait(20)

    event.listen(Engine, "after_cursor_execute", wait)
    try:
        yield there, go_on
    finally:
        go_on.set()
        event.remove(Engine, "after_cursor_execute", wait)


async def test_a_sender_who_is_cut_off_while_it_is_written_down_has_sent_it(
    installation: Installation, web: httpx.AsyncClient
) -> None:
    made = await upload(installation)
    sender, sending = await begin(installation, made["putUrl"])
    with held_up("UPDATE stored_files SET state=") as (there, go_on):
        sender.part(CSV[5:], last=True)
        assert await asyncio.to_thread(there.wait, 20)
        sending.cancel()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await sending
    assert (await web.put(made["putUrl"], content=CSV)).status_code == 404
    assert await audit_names(installation) == ["create_upload", "receive_upload"]
    await installation.call("import_leads_csv", uploadId=made["uploadId"])


async def test_what_a_process_had_in_place_when_it_was_killed_is_not_received_and_goes_with_its_row(
    installation: Installation, web: httpx.AsyncClient
) -> None:
    made = await upload(installation)
    linked, now = linked_to(installation, made), installation.clock.now()
    claim = await installation.app.database.write(lambda session: claim_upload(session, linked, now))
    assert claim is not None
    path = path_of(installation.app.settings.data_dir, "upload", *linked, claim.token)
    path.parent.mkdir(parents=True)
    path.write_bytes(CSV)
    with pytest.raises(NotFound):
        await installation.call("import_leads_csv", uploadId=made["uploadId"])
    await change(installation, RUN_OUT)
    assert (await web.put(made["putUrl"], content=CSV)).status_code == 201
    assert len(kept(installation)) == 2
    installation.clock.advance(timedelta(hours=1))
    await upload(installation)
    assert kept(installation) == []


async def test_a_claim_is_renewed_with_what_arrives(
    installation: Installation, web: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "CLAIM_SECONDS", 0)
    made = await upload(installation)
    sender, sending = await begin(installation, made["putUrl"])
    await change(installation, RUN_OUT)
    sender.part(CSV[5:8])
    await taken_in(sender)
    assert (await web.put(made["putUrl"], content=CSV)).status_code == 409
    sender.part(CSV[8:], last=True)
    assert await sending == 201


async def test_a_sender_whose_claim_was_taken_over_is_told_with_the_next_part(
    installation: Installation, web: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "CLAIM_SECONDS", 0)
    made = await upload(installation)
    sender, sending = await begin(installation, made["putUrl"])
    await change(installation, RUN_OUT)
    other, taken = await begin(installation, made["putUrl"])
    sender.part(CSV[5:8])
    assert await sending == 409
    other.part(CSV[5:], last=True)
    assert await taken == 201


async def test_a_claim_is_held_by_its_token_alone(installation: Installation) -> None:
    linked, now = linked_to(installation, await upload(installation)), installation.clock.now()
    write = installation.app.database.write
    lost = await write(lambda session: claim_upload(session, linked, now))
    assert lost is not None and await write(lambda session: renew_claim(session, lost))
    with pytest.raises(Conflict):
        await write(lambda session: claim_upload(session, linked, now))
    await change(installation, RUN_OUT)
    held = await write(lambda session: claim_upload(session, linked, now))
    assert held is not None and held.token != lost.token
    assert await write(lambda session: give_back(session, lost))
    assert not await write(lambda session: renew_claim(session, lost))
    assert not await write(lambda session: receive_upload(session, lost, now))
    assert await write(lambda session: receive_upload(session, held, now))
    assert not await write(lambda session: give_back(session, held)), "its file is the one that counts"
    assert await write(lambda session: claim_upload(session, linked, now)) is None


async def test_what_is_announced_takes_no_room_and_what_is_there_does(
    installation: Installation, web: httpx.AsyncClient
) -> None:
    for _ in range(MOST_BYTES // LARGEST + 1):
        await upload(installation, LARGEST)
    await installation.call("export_audit_events")
    await fill(installation, 1)
    with pytest.raises(LimitReached):
        await installation.call("export_audit_events")
    with pytest.raises(LimitReached):
        await upload(installation, 2)
    await installation.call("create_upload", owner=installation.bob, name="x.csv", sizeBytes=2)


async def test_of_two_who_send_at_once_only_as_many_get_in_as_there_is_room_for(
    installation: Installation, web: httpx.AsyncClient
) -> None:
    made = [await upload(installation) for _ in range(2)]
    await fill(installation, len(CSV) + 1)
    sender, sending = await begin(installation, made[0]["putUrl"])
    second = await web.put(made[1]["putUrl"], content=CSV)
    assert (second.status_code, second.json()["error"]["code"]) == (429, "LIMIT_REACHED")
    sender.leave()
    assert await sending == 400
    assert (await web.put(made[1]["putUrl"], content=CSV)).status_code == 201
    assert (await web.put(made[0]["putUrl"], content=CSV)).status_code == 429


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
async def test_two_who_ask_for_the_last_room_in_the_same_instant_wait_for_each_other(
    installation: Installation, web: httpx.AsyncClient
) -> None:
    made = [await upload(installation) for _ in range(2)]
    await fill(installation, len(CSV) + 1)
    url = installation.app.settings.database_url
    assert url is not None
    engine = create_engine(url, poolclass=NullPool)
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    with Session(engine) as first, engine.connect() as watcher, fail_after(30):
        assert claim_upload(first, linked_to(installation, made[0]), installation.clock.now())
        second = asyncio.create_task(web.put(made[1]["putUrl"], content=CSV))
        while not second.done() and not watcher.execute(waiting).scalar():
            watcher.rollback()
            await asyncio.sleep(0)
        first.commit()
        assert (await second).status_code == 429


async def audit_names(installation: Installation) -> list[str]:
    return [row.operation for row in await audit_rows(installation)]


async def test_what_is_received_is_written_down_for_whoever_made_the_address(
    installation: Installation, web: httpx.AsyncClient
) -> None:
    made = await upload(installation)
    assert (await web.put(made["putUrl"], content=CSV[:-1])).status_code == 400
    assert await audit_names(installation) == ["create_upload"]
    assert (await web.put(made["putUrl"], content=CSV)).status_code == 201
    [created, received] = await audit_rows(installation)
    told = (received.operation, received.effect, received.outcome, received.door, received.target_id)
    assert told == ("receive_upload", "write", "done", "web", made["uploadId"])
    for name in ("actor_kind", "credential_id", "client_id", "user_id"):
        assert getattr(received, name) == getattr(created, name)
    assert made["putUrl"].rpartition("/")[2] not in repr(vars(received))
    assert await seal(installation) == 2 and await first_break(installation) is None
