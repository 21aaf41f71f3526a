"""The whole application behind ASGI, on each database, with a program's client and a browser."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from postrider.doors.http import Binding, http_app
from tests.conftest import Installation
from tests.oauth.rig import ORIGIN, OAuthRig

on_one_database = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
"""For what is decided before, or whatever, the database says."""


@asynccontextmanager
async def rig_of(
    installation: Installation, *, ports: Mapping[type, object] | None = None, **settings: Any
) -> AsyncIterator[OAuthRig]:
    """The application with other ``settings`` and further ``ports``."""
    app = replace(
        installation.app,
        settings=replace(installation.app.settings, **settings),
        ports={**installation.app.ports, **(ports or {})},
    )
    door = http_app(app, Binding(port=8025))
    assert isinstance(door, Starlette)
    transport = httpx.ASGITransport(door, client=("192.0.2.10", 1))
    async with (
        door.router.lifespan_context(door),
        httpx.AsyncClient(transport=transport, base_url=ORIGIN) as http,
        httpx.AsyncClient(transport=transport, base_url=ORIGIN) as browser,
    ):
        yield OAuthRig(installation, door, http, browser)


@pytest.fixture
async def oauth(installation: Installation) -> AsyncIterator[OAuthRig]:
    """Ann is signed in at the browser."""
    async with rig_of(installation) as rig:
        await rig.sign_in()
        yield rig
