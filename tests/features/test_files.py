"""Files that are sent and fetched by signed addresses, over HTTP, on both databases."""

import csv
import io
import json
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio import fail_after
from mcp.client.client import ConnectMode
from sqlalchemy import select, update

from postrider.audit.tables import AuditEvent
from postrider.dispatch import Call
from postrider.doors.http import Binding, http_app
from postrider.engine.sweeper import SweeperLoop
from postrider.files.links import Linked, read_link, sign_link
from postrider.files.rules import MAX_NAME_BYTES, display_name, guarded_cell, unguarded_cell
from postrider.files.tables import StoredFile
from postrider.kernel.errors import InvalidInput, NotFound
from postrider.kernel.ids import new_id
from postrider.kernel.vault import Vault
from postrider.undo.tables import UndoEntry
from tests.conftest import Installation
from tests.e2e.mcp_rig import ERAS, served
from tests.features.lead_rig import change, run_job

CSV = b"email\na@b.test\nc@d.test\n"


@pytest.fixture
async def web(installation: Installation) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(http_app(installation.app))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8025") as client:
        yield client


async def upload(installation: Installation, size: int = len(CSV), **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = await installation.call("create_upload", name="leads.csv", sizeBytes=size, **more)
    return made


def kept(installation: Installation) -> list[Path]:
    return [path for path in (installation.app.settings.data_dir / "files").rglob("*") if path.is_file()]


async def test_a_file_that_was_sent_is_imported_by_its_id(installation: Installation, web: httpx.AsyncClient) -> None:
    made = await upload(installation)
    sent = await web.put(made["putUrl"], content=CSV)
    assert (sent.status_code, sent.json()) == (201, {"uploadId": made["uploadId"], "sizeBytes": len(CSV)})
    [path] = kept(installation)
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert path.name.partition(".")[0] == made["uploadId"]
    started = await installation.call("import_leads_csv", uploadId=made["uploadId"])
    assert (await run_job(installation, started["jobId"]))["result"]["imported"] == 2


@pytest.mark.parametrize(("content", "status"), [(CSV + b"x", 413), (CSV[:-1], 400), (b"", 400)])
async def test_another_size_than_was_announced_is_refused_and_may_be_sent_again(
    installation: Installation, web: httpx.AsyncClient, content: bytes, status: int
) -> None:
    made = await upload(installation)
    assert (await web.put(made["putUrl"], content=content)).status_code == status

    async def unannounced() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 5):
            yield content[start : start + 5]

    assert (await web.put(made["putUrl"], content=unannounced())).status_code == status
    assert kept(installation) == []
    assert (await web.put(made["putUrl"], content=CSV)).status_code == 201


async def test_an_upload_of_another_workspace_or_without_its_file_is_not_there(
    installation: Installation, web: httpx.AsyncClient
) -> None:
    made = await upload(installation)
    words = set()
    for owner, upload_id in ((None, made["uploadId"]), (None, new_id("file"))):
        with pytest.raises(NotFound) as refused:
            await installation.call("import_leads_csv", owner=owner, uploadId=upload_id)
        words.add(refused.value.message)
    await web.put(made["putUrl"], content=CSV)
    with pytest.raises(NotFound) as refused:
        await installation.call("import_leads_csv", owner=installation.bob, uploadId=made["uploadId"])
    assert words == {refused.value.message}


@pytest.mark.parametrize(
    "wrong", ["..", "../../secret.key", "file_../x", "lead_" + "0" * 26, "%2e%2e", "CON", "a\x00b"]
)
async def test_what_is_no_id_of_a_file_is_never_a_path(installation: Installation, wrong: str) -> None:
    with pytest.raises(InvalidInput):
        await installation.call("import_leads_csv", uploadId=wrong)


async def test_after_an_hour_an_address_and_its_file_are_gone(
    installation: Installation, web: httpx.AsyncClient
) -> None:
    made = await upload(installation)
    await web.put(made["putUrl"], content=CSV)
    late = await upload(installation)
    installation.clock.advance(timedelta(hours=1))
    assert (await web.put(late["putUrl"], content=CSV)).status_code == 404
    await upload(installation)
    assert kept(installation) == []
    rows = await installation.app.database.read(lambda s: len(s.scalars(select(StoredFile)).all()))
    assert rows == 1


async def test_the_engine_forgets_what_has_run_out_in_every_workspace(
    installation: Installation, web: httpx.AsyncClient
) -> None:
    made = await upload(installation)
    await web.put(made["putUrl"], content=CSV)
    await installation.call("update_tag", name="neutral", color="#111111")
    app = installation.app
    loop = SweeperLoop(app.database, app.clock, app.settings.data_dir)

    def left(session: Any) -> list[int]:
        return [len(session.scalars(select(table)).all()) for table in (StoredFile, UndoEntry)]

    await loop.sweep()
    assert (await app.database.read(left), len(kept(installation))) == ([1, 1], 1)
    installation.clock.advance(timedelta(hours=25))
    await loop.sweep()
    assert (await app.database.read(left), kept(installation)) == ([0, 0], [])


async def test_files_that_no_row_speaks_of_are_forgotten_when_they_are_old(
    installation: Installation, web: httpx.AsyncClient
) -> None:
    made = await upload(installation)
    await web.put(made["putUrl"], content=CSV)
    [path] = kept(installation)
    young, old = path.with_name(f"{new_id('file')}.x"), path.with_name(f"{new_id('file')}.x")
    for each in (young, old):
        each.write_bytes(CSV)
    for each in (path, old):
        os.utime(each, (0, 0))
    app = installation.app
    await SweeperLoop(app.database, app.clock, app.settings.data_dir).sweep()
    assert sorted(kept(installation)) == sorted([path, young])


async def test_an_export_is_fetched_by_its_link_as_a_file_to_save(
    installation: Installation, web: httpx.AsyncClient
) -> None:
    await installation.call("create_tag", name="x")
    await installation.call("create_tag", name="y")
    await change(installation, update(AuditEvent).values(request_id="=1+1"))
    exported = await installation.call("export_audit_events")
    assert (exported["rows"], exported["path"]) == (2, None)
    fetched = await web.get(exported["url"])
    assert fetched.status_code == 200
    assert fetched.headers["content-disposition"] == 'attachment; filename="audit-2026-03-02.csv"'
    assert fetched.headers["x-content-type-options"] == "nosniff"
    assert fetched.headers["cache-control"] == "private, no-store"
    lines = list(csv.DictReader(io.StringIO(fetched.text)))
    assert [line["operation"] for line in lines] == ["create_tag", "create_tag"]
    assert {line["requestId"] for line in lines} == {"'=1+1"}
    assert len(fetched.content) == exported["sizeBytes"]


async def test_an_export_as_json_lines_has_what_the_list_shows(
    installation: Installation, web: httpx.AsyncClient
) -> None:
    await installation.call("create_tag", name="x")
    listed = (await installation.call("list_audit_events"))["items"]
    exported = await installation.call("export_audit_events", format="jsonl", outcome="done")
    fetched = await web.get(exported["url"])
    assert [json.loads(line) for line in fetched.text.splitlines()] == listed


async def test_at_the_machine_an_export_is_a_path(installation: Installation) -> None:
    local = replace(installation.actor(), kind="local", door="stdio")
    answer = await installation.app.dispatcher.call(Call("export_audit_events", {}, local))
    exported = answer.output.model_dump()
    assert exported["url"] is None
    assert os.stat(exported["path"]).st_mode & 0o777 == 0o600


async def test_over_http_the_addresses_are_whole(installation: Installation, web: httpx.AsyncClient) -> None:
    key = {"X-Api-Key": installation.ann.workspace_key.reveal()}
    made = await web.post("/v1/uploads", headers=key, json={"name": "leads.csv", "sizeBytes": len(CSV)})
    address = made.json()["data"]["putUrl"]
    assert address.startswith("http://127.0.0.1:8025/uploads/") and f"'{address}'" in made.json()["data"]["how"]
    assert (await web.put(address, content=CSV)).status_code == 201
    exported = (await web.post("/v1/audit/export", headers=key)).json()["data"]["url"]
    assert exported.startswith("http://127.0.0.1:8025/files/") and (await web.get(exported)).status_code == 200


@pytest.mark.parametrize("mode", ERAS)
async def test_over_mcp_the_addresses_are_whole(installation: Installation, mode: ConnectMode) -> None:
    with fail_after(60):
        async with (
            served(installation.app) as running,
            running.client(installation.ann.workspace_key.reveal(), mode) as client,
        ):
            made = await client.call_tool("create_upload", {"name": "leads.csv", "sizeBytes": len(CSV)})
    assert made.structured_content is not None
    assert made.structured_content["putUrl"].startswith(f"http://127.0.0.1:{running.port}/uploads/")


async def test_where_nobody_can_tell_the_address_it_is_a_path(installation: Installation) -> None:
    # Without https, and from another machine, there is no address that is safe to give.
    key = {"X-Api-Key": installation.ann.workspace_key.reveal()}
    transport = httpx.ASGITransport(http_app(installation.app, Binding("0.0.0.0")))
    async with httpx.AsyncClient(transport=transport, base_url="http://10.0.0.7:8025", headers=key) as client:
        answer = await client.post("/v1/uploads", json={"name": "leads.csv", "sizeBytes": 5})
    made = answer.json()["data"]
    assert made["putUrl"].startswith("/uploads/") and "http://ADDRESS-OF-THIS-SERVER/uploads/" in made["how"]


async def test_a_file_longer_than_announced_is_told_both_sizes(
    installation: Installation, web: httpx.AsyncClient
) -> None:
    async def in_parts() -> AsyncIterator[bytes]:
        yield CSV

    made = await upload(installation, 5)
    for content in (CSV, in_parts()):
        refused = await web.put(made["putUrl"], content=content)
        error = refused.json()["error"]
        assert refused.status_code == 413 and "longer than the 5 bytes" in error["message"]
        assert "Create another upload" in error["hint"] and "KiB" not in refused.text


async def test_any_other_address_is_not_there(installation: Installation, web: httpx.AsyncClient) -> None:
    exported = await installation.call("export_audit_events")
    token = exported["url"].rpartition("/")[2]
    for place in range(0, len(token), 7):
        other = token[:place] + ("0" if token[place] != "0" else "1") + token[place + 1 :]
        assert (await web.get(f"/files/{other}")).status_code == 404, other
    made = await upload(installation)
    swapped = made["putUrl"].rpartition("/")[2]
    assert (await web.get(f"/files/{swapped}")).status_code == 404
    assert (await web.put(f"/uploads/{token}", content=b"x")).status_code == 404
    assert (await web.post(exported["url"])).status_code == 405
    for strange in ("..%2f..%2fsecret.key", "%2e%2e", "x" * 5_000, "%00"):
        assert (await web.get(f"/files/{strange}")).status_code in (400, 404)


def test_a_link_is_bound_to_file_workspace_purpose_and_time() -> None:
    vault, linked = Vault(b"k" * 32), Linked(new_id("ws"), new_id("file"))
    now = 1_800_000_000_000
    token = sign_link(vault, "fetch", linked, now + 1)
    assert read_link(vault, "fetch", token, now) == linked
    assert read_link(vault, "fetch", token, now + 1) is None
    assert read_link(vault, "send", token, now) is None
    assert read_link(Vault(b"j" * 32), "fetch", token, now) is None
    assert read_link(vault, "fetch", token.replace(linked.file_id, new_id("file")), now) is None
    assert read_link(vault, "fetch", token.replace(linked.workspace_id, new_id("ws")), now) is None


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("leads.csv", "leads.csv"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("..%2f..%2fetc%2fpasswd", "passwd"),
        ("a%2e%2e", "a_2e_2e"),
        ("CON", "_CON"),
        ("con.csv", "_con.csv"),
        ("LPT1.txt", "_LPT1.txt"),
        ("console.csv", "console.csv"),
        ("evil\u202evsc.exe", "evilvsc.exe"),
        ("a\u200bb\ufeff.csv", "ab.csv"),
        ("a\x00b\r\nc.csv", "abc.csv"),
        ('a"b;c.csv', "a_b;c.csv"),
        ("...", "leads.csv"),
        ("", "leads.csv"),
        ("/", "leads.csv"),
        (" .hidden. ", "hidden"),
        ("ä.csv", "ä.csv"),
        ("\ud800.csv", "_.csv"),
    ],
)
def test_a_name_is_for_people_and_harmless(given: str, shown: str) -> None:
    assert display_name(given, "leads.csv") == shown


@pytest.mark.parametrize("name", ["x" * 300, "x" * 296 + ".csv", "ä" * 300 + ".csv", "x." + "y" * 300, "𝄞" * 75])
def test_a_long_name_is_cut_to_whole_characters_and_keeps_its_ending(name: str) -> None:
    shown = display_name(name, "leads.csv")
    assert 100 <= len(shown.encode()) <= MAX_NAME_BYTES
    assert shown.endswith(".csv") is name.endswith(".csv")


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "'=1", "''=1", "plain", "'tis", "", "'", "a=b"]
)
def test_no_cell_starts_as_a_formula_does_and_every_one_can_be_had_back(cell: str) -> None:
    written = guarded_cell(cell)
    assert not written.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert unguarded_cell(written) == cell


@pytest.mark.parametrize(
    ("cell", "text"),
    [("'=1+1", "=1+1"), ("'+49 30", "+49 30"), ("''=x", "'=x"), ("'t Hooft", "'t Hooft"), ("'", "'"), ("=x", "=x")],
)
def test_nothing_but_the_guard_of_an_export_is_taken_off(cell: str, text: str) -> None:
    assert unguarded_cell(cell) == text
