"""A Chromium that may fetch nothing, and in it a host that shows views.

The host's files and the views are handed to it directly. All else that any frame, worker or the browser itself asks for
goes to a proxy that writes it down and answers nothing.
"""

import asyncio
import mimetypes
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.async_api import Browser, FrameLocator, Page, Route, async_playwright, expect

from postrider.doors.mcp.views.registry import VIEWS, View, document, view_of
from tests.clients.nodejs import FOLDER

HOST: Final = "http://host.test"
VIEW: Final = "http://view.test"
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
BROWSERS_OWN: Final = re.compile(r"^[A-Z]+ (?:https?://)?[\w.-]+\.(?:googleapis|google|gvt1)\.com[:/]")
"""What Chromium asks for by itself whatever it shows. An empty line is a connection opened in advance and not used."""

EVERYTHING: Final[dict[str, Any]] = {"serverTools": {}, "message": {"text": {}}}
"""A host that lets views call tools and write into the chat."""

expect.set_options(timeout=30_000)

_PAGES: Final = Path(__file__).parent / "host"
_POLICY: Final = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "media-src 'self' data:; font-src 'self'; connect-src 'none'; frame-src 'none'; object-src 'none'; base-uri 'self'"
)
"""What the extension has a host serve views under that ask for no origin."""


@dataclass(frozen=True)
class Chromium:
    """A running browser. ``strays``: every request that left it."""

    browser: Browser
    strays: list[str]


@dataclass
class Host:
    """The page of a host. ``strays``: every request that is not for the host itself or the document of a view."""

    page: Page
    strays: list[str]
    dialogs: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def view(self) -> FrameLocator:
        """What the view shows."""
        return self.page.frame_locator("iframe[title=View]")

    async def show(self, tool: str, result: dict[str, Any], **more: Any) -> None:
        """Shows the result of a tool in its view and waits until it is drawn. ``more``: see mount in host.js."""
        view = view_of(tool)
        assert view is not None
        given = {"input": {}, "context": {"theme": "light"}, "capabilities": EVERYTHING, "replies": {}} | more
        await self.page.evaluate(
            "given => window.host.mount(given)",
            {"url": f"{VIEW}/{view.name}", "tool": tool, "result": result, **given},
        )
        await self.view.locator("#view:not([aria-busy])").wait_for()

    async def seen(self, name: str) -> Any:
        """What the host was told: calls, messages, sizes, errors."""
        return await self.page.evaluate("name => window.host.seen[name]", name)

    async def violations(self) -> list[str]:
        """What axe finds wrong in the view."""
        frame = next(frame for frame in self.page.frames if frame.url.startswith(VIEW))
        await frame.evaluate(AXE.read_text(encoding="utf-8"))
        found = await frame.evaluate("axe.run(document, {iframes: false})")
        return [f"{rule['id']}: {node['html'][:200]}" for rule in found["violations"] for node in rule["nodes"]]

    async def widest(self) -> int:
        """How many pixels the view's content is wider than the view."""
        frame = next(frame for frame in self.page.frames if frame.url.startswith(VIEW))
        return int(await frame.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def forget(self) -> None:
        """Begins anew."""
        for seen in (self.strays, self.dialogs, self.errors):
            seen.clear()

    def at_peace(self) -> bool:
        """Whether nothing was asked for outside, nothing popped up and nothing was complained of."""
        return not (self.strays or self.dialogs or self.errors)


@asynccontextmanager
async def chromium() -> AsyncIterator[Chromium]:
    """A browser that reaches nothing but the proxy."""
    strays: list[str] = []

    async def write_down(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readline()).decode(errors="replace").strip()
        if asked and not BROWSERS_OWN.search(asked):
            strays.append(asked)
        writer.close()

    proxy = await asyncio.start_server(write_down, "127.0.0.1", 0)
    port = proxy.sockets[0].getsockname()[1]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=list(FLAGS),
            proxy={"server": f"http://127.0.0.1:{port}", "bypass": "<-loopback>"},
        )
        yield Chromium(browser, strays)
        await browser.close()
    proxy.close()
    await proxy.wait_closed()


@asynccontextmanager
async def host_in(chromium: Chromium, *, width: int = 1280, theme: Any = "light") -> AsyncIterator[Host]:
    """A host in a window of its own."""
    context = await chromium.browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=theme, locale="en-GB"
    )
    host = Host(await context.new_page(), chromium.strays)
    for origin in (HOST, VIEW):
        await context.route(f"{origin}/**", _serve)
    host.page.on("dialog", lambda dialog: host.dialogs.append(dialog.message))
    host.page.on("pageerror", lambda error: host.errors.append(str(error)))
    host.page.on("console", lambda line: host.errors.append(line.text) if line.type == "error" else None)
    host.page.on("websocket", lambda socket: host.strays.append(socket.url))
    context.on("page", lambda page: host.strays.append(f"window {page.url}"))
    await host.page.goto(f"{HOST}/index.html")
    await host.page.wait_for_function("window.host !== undefined")
    host.forget()
    yield host
    await context.close()


async def _serve(route: Route) -> None:
    url = urlsplit(route.request.url)
    origin, path = f"{url.scheme}://{url.netloc}", url.path.removeprefix("/")
    if origin == VIEW and (view := _named(path)) and not url.query:
        headers = {"content-security-policy": _POLICY, "content-type": "text/html; charset=utf-8"}
        await route.fulfill(body=document(view), headers=headers)
    elif origin == HOST and (file := _file(path)):
        kind = "text/javascript" if file.suffix == ".mjs" else mimetypes.guess_type(file.name)[0]
        await route.fulfill(body=file.read_bytes(), content_type=kind or "application/octet-stream")
    else:
        await route.continue_()


def _named(path: str) -> View | None:
    return next((view for view in VIEWS if view.name == path), None)


def _file(path: str) -> Path | None:
    place = (FOLDER if path.startswith("node_modules/") else _PAGES) / path
    return place if place.is_file() else None
