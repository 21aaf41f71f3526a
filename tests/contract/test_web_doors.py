"""The web's doors: which host names each answers to, and where the links of previews lead."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx
import pytest
from sqlalchemy import func, select

from postrider.dnc.tables import DncEntry
from postrider.doors.http import Binding
from postrider.sending.letter import SAMPLE_TOKEN
from postrider.settings import Settings, load_settings
from tests.conftest import Installation
from tests.contract.rest_world import rest_client


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """SQLite only: the doors do not know which database there is."""
    return load_settings({"POSTRIDER_DATA_DIR": str(tmp_path / "data")})


@pytest.fixture
async def client(installation: Installation) -> AsyncIterator[httpx.AsyncClient]:
    async with rest_client(installation) as opened:
        yield opened


@pytest.mark.parametrize("path", ["/v1/tags", "/metrics", "/openapi.json", "/nowhere"])
async def test_every_path_but_probes_and_recipients_links_refuses_a_foreign_host(
    client: httpx.AsyncClient, path: str
) -> None:
    assert (await client.get(path, headers={"Host": "evil.test"})).status_code == 421
    assert (await client.get(path, headers={"Origin": "https://evil.test"})).status_code == 403
    assert (await client.get(path)).status_code in (200, 404)


@pytest.mark.parametrize(("path", "status"), [("/healthz", 200), ("/readyz", 200), ("/u/x", 404), ("/t/c/x", 404)])
async def test_probes_and_recipients_links_work_under_any_name(
    client: httpx.AsyncClient, path: str, status: int
) -> None:
    assert (await client.get(path, headers={"Host": "an-older-name.test"})).status_code == status


async def test_metrics_are_reached_by_address_where_every_interface_is_bound(installation: Installation) -> None:
    async with rest_client(installation, binding=Binding("0.0.0.0")) as client:
        assert (await client.get("/metrics", headers={"Host": "10.0.0.7:8025"})).status_code == 200


async def test_the_unsubscribe_link_of_a_preview_leads_to_a_page_that_says_so(
    client: httpx.AsyncClient, installation: Installation
) -> None:
    shown = await client.get(f"/u/{SAMPLE_TOKEN}")
    pressed = await client.post(f"/u/{SAMPLE_TOKEN}", data={"List-Unsubscribe": "One-Click"})
    for page in (shown, pressed):
        assert page.status_code == 200
        assert "test message" in page.text and "nothing has been changed" in page.text
        assert "<form" not in page.text and "<button" not in page.text
    entries = await installation.app.database.read(lambda s: s.scalar(select(func.count()).select_from(DncEntry)))
    assert entries == 0


@pytest.mark.parametrize("name", ["Host", "Origin", "X-Workspace-Id"])
@pytest.mark.parametrize("path", ["/v1/tags", "/mcp", "/u/x"])
async def test_a_header_that_decides_who_is_meant_may_stand_once(
    client: httpx.AsyncClient, path: str, name: str
) -> None:
    response = await client.post(path, headers=[("Host", "127.0.0.1"), (name, "one.test"), (name, "two.test")])
    assert response.status_code == 400
    assert f"The header {name} stands there more than once." in response.text


@pytest.mark.parametrize("path", ["/u/" + "a" * 32, "/mcp"])
async def test_a_body_that_does_not_arrive_ends_the_request_in_words(
    installation: Installation, path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("postrider.doors.rest.body.IDLE_SECONDS", 0.05)

    async def stalls() -> AsyncIterator[bytes]:
        yield b"{"
        await anyio.sleep_forever()

    async with rest_client(installation) as opened:
        key = {"X-Api-Key": installation.ann.workspace_key.reveal(), "Content-Type": "application/json"}
        response = await opened.post(path, headers=key, content=stalls())
    assert response.status_code == 408
    assert "did not arrive in time" in response.text
    assert [record for record in caplog.records if record.exc_info] == []


async def test_an_object_with_very_many_fields_is_refused_before_they_are_looked_at(
    installation: Installation,
) -> None:
    wide = {f"k{number}": 1 for number in range(200_000)} | {"name": "x"}
    async with rest_client(installation) as opened:
        key = {"X-Api-Key": installation.ann.workspace_key.reveal()}
        response = await opened.post("/v1/tags", headers=key, json=wide)
        inner = await opened.post("/v1/tags", headers=key, json={"name": "x", "more": wide})
    assert response.status_code == inner.status_code == 400
    assert "The input has 200,001 fields; an object may have 1,000." in response.text
    assert "more has 200,001 fields" in inner.text
