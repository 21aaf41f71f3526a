"""A real server on loopback, on a thread of its own, and a Chromium that looks at it."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import uvicorn
from playwright.async_api import Browser, Page, async_playwright
from starlette.types import ASGIApp

from tests.clients.nodejs import FOLDER

AXE: Final = FOLDER / "node_modules" / "axe-core" / "axe.min.js"
CHROMIUM: Final = "/usr/bin/chromium"
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
WIDTHS: Final = (360, 1280)
T = TypeVar("T")


@dataclass
class Served:
    """A server, and a way to run coroutines where it lives."""

    url: str
    loop: asyncio.AbstractEventLoop

    def run(self, work: Awaitable[T]) -> T:
        """The result of ``work``, on the server's own loop."""

        async def inside() -> T:
            return await work

        return asyncio.run_coroutine_threadsafe(inside(), self.loop).result(30)


@contextmanager
def served(make: Callable[[], Awaitable[ASGIApp]]) -> Iterator[Served]:
    """Serves what ``make`` gives until the end of the block."""
    ready, stop = threading.Event(), threading.Event()
    found: dict[str, Any] = {}

    async def serve() -> None:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        found["url"], found["loop"] = f"http://127.0.0.1:{listener.getsockname()[1]}", asyncio.get_running_loop()
        config = uvicorn.Config(await make(), log_config=None, lifespan="on", ws="none", proxy_headers=False)
        server = uvicorn.Server(config)
        server.capture_signals = lambda: _nothing()  # type: ignore[method-assign]
        running = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started and not running.done():
            await asyncio.sleep(0.01)
        ready.set()
        while not stop.is_set() and not running.done():
            await asyncio.sleep(0.05)
        server.should_exit = True
        await running

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(30), "the server did not start"
    try:
        yield Served(found["url"], found["loop"])
    finally:
        stop.set()
        thread.join(30)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """The browser."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        await browser.close()


@dataclass
class Looker:
    """One window. ``complaints``: what the browser wrote to its console, such as a broken policy."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    async def violations(self) -> list[str]:
        """What axe finds wrong. Its script comes in by the browser's own door: the page's policy lets none run."""
        await self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = await self.page.evaluate("axe.run(document)")
        return [f"{rule['id']}: {node['html'][:200]}" for rule in found["violations"] for node in rule["nodes"]]

    async def overflow(self) -> int:
        """How many pixels the page is wider than its window."""
        root = "document.documentElement"
        return int(await self.page.evaluate(f"{root}.scrollWidth - {root}.clientWidth"))


@asynccontextmanager
async def window(browser: Browser, *, width: int = 1280, scheme: Any = "light") -> AsyncIterator[Looker]:
    """A window with cookies of its own."""
    context = await browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, locale="en-GB")
    looker = Looker(await context.new_page())
    looker.page.on("console", lambda line: looker.complaints.append(line.text) if line.type == "error" else None)
    yield looker
    await context.close()


def screenshot_path(name: str) -> Path:
    """Where a screenshot that is kept lives."""
    return Path(__file__).parents[2] / "docs" / "screenshots" / f"pages-{name}.png"
