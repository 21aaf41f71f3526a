"""The application on a port of its own, and a person who answers what it asks."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import httpx
import uvicorn
from mcp.shared.auth import AuthorizationCodeResult

from postrider.doors.http import Binding, http_app
from tests.conftest import Installation
from tests.oauth.rig import Page, answer_in
from tests.people.rig import PASSWORD


@dataclass
class Visitor:
    """A person at a browser, who signs in when asked, and says yes to all that is asked for."""

    http: httpx.AsyncClient
    asked: list[str | None] = field(default_factory=list)
    answer: dict[str, str] = field(default_factory=dict)

    async def agree(self, address: str) -> str:
        """Where the browser is sent in the end."""
        self.asked.append(answer_in(address).get("scope"))
        page = await self.http.get(address, follow_redirects=True)
        if 'type="password"' in page.text:
            page = await self._send(page, True, email=["ann@ann.test"], password=[PASSWORD])
        back = await self._send(page, False, decision=["allow"])
        assert back.status_code == 303, back.text
        return back.headers["location"]

    async def open(self, address: str) -> None:
        """For a client in this process, which looks at ``returned`` afterwards."""
        self.answer = answer_in(await self.agree(address))

    async def returned(self) -> AuthorizationCodeResult:
        return AuthorizationCodeResult(**self.answer)

    async def _send(self, page: httpx.Response, follow: bool, **filled_in: list[str]) -> httpx.Response:
        form = Page.of(page)
        target = str(page.url.join(form.action))
        return await self.http.post(target, data={**form.fields, **filled_in}, follow_redirects=follow)


@asynccontextmanager
async def serving(installation: Installation) -> AsyncIterator[str]:
    """The address of the whole application on a free port."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = int(listener.getsockname()[1])
    app = http_app(installation.app, Binding(port=port))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, lifespan="on"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, [listener])
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
