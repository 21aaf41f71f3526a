"""A REST client on the HTTP application, with the sample operations beside the real ones."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx

from postrider.app import App
from postrider.catalogue import Catalogue, load_catalogue
from postrider.dispatch import Dispatcher
from postrider.doors.http import Binding, http_app
from postrider.jobs import operations as jobs
from postrider.kernel.context import Actor
from postrider.tags import operations as tags
from tests.conftest import Installation
from tests.contract import sample_operations

RunJob = Callable[[Actor, str], Awaitable[None]]
BASE = "http://127.0.0.1:8025"


def sample_catalogue() -> Catalogue:
    """The sample operations, and those of tags and jobs."""
    return load_catalogue((tags, jobs, sample_operations))


def with_samples(app: App) -> App:
    """The same installation with the sample catalogue."""
    dispatcher = Dispatcher(
        sample_catalogue(), app.database, app.settings, app.vault, app.clock, app.signals, app.ports
    )
    return replace(app, dispatcher=dispatcher)


@asynccontextmanager
async def rest_client(
    installation: Installation, run_job: RunJob | None = None, binding: Binding | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """A client with Ann's workspace key."""
    transport = httpx.ASGITransport(http_app(with_samples(installation.app), binding, run_job))
    key = installation.ann.workspace_key.reveal()
    async with httpx.AsyncClient(transport=transport, base_url=BASE, headers={"X-Api-Key": key}) as client:
        yield client


def error(response: httpx.Response, status: int) -> Any:
    """What a refusal with ``status`` says."""
    assert response.status_code == status, response.text
    answer = response.json()
    assert answer["success"] is False
    return answer["error"]
