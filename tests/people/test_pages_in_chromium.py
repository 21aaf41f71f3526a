"""Every page in a real Chromium: nothing that axe finds, nothing wider than the window, usable by keyboard, forms that
browsers let through. ``POSTRIDER_TEST_SCREENSHOTS=yes`` writes the pictures of docs/screenshots anew."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from postrider.access.queries import create_workspace
from postrider.app import App, build
from postrider.doors.http import http_app
from postrider.doors.web.consent import Choice, ConsentView, consent_page, read_consent
from postrider.doors.web.forms import read_form
from postrider.doors.web.sessions import Sessions, check_csrf
from postrider.settings import load_settings
from tests.conftest import Installation
from tests.people.browser_rig import WIDTHS, Looker, Served, chromium, screenshot_path, served, window
from tests.people.rig import PASSWORD, give_password, link_token
from tests.people.test_pages import ask, connect

PAGES = {
    "sign-in": "/sign-in",
    "forgotten": "/reset",
    "gone": "/reset/gone",
    "nowhere": "/nonsense",
    "not-to-open": "/sign-out",
    "home": "/",
    "approvals": "/approvals",
    "apps": "/apps",
    "keys": "/keys",
    "password": "/password",
    "consent": "/consent",
    "consent-unchecked": "/consent?unchecked=yes",
}
PUBLIC = frozenset({"sign-in", "forgotten", "gone", "nowhere", "not-to-open"})
KEPT = frozenset(
    {"sign-in-1280", "consent-360", "consent-1280", "approvals-1280", "apps-1280", "keys-1280", "home-360"}
)


@dataclass
class House:
    """A server whose first workspace has an app, a key and two calls that wait."""

    served: Served
    app: App
    client: str

    @property
    def url(self) -> str:
        return self.served.url


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def other_site() -> Iterator[str]:
    """Where a connected app waits for its answer: another origin."""

    async def make() -> Any:
        from starlette.applications import Starlette

        async def answer(request: Request) -> Response:
            return PlainTextResponse(f"The app has {request.query_params.get('code', 'nothing')}.")

        return Starlette(routes=[Route("/callback", answer)])

    with served(make) as client:
        yield client.url


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, prepared_sqlite: Path, other_site: str) -> Iterator[House]:
    settings = load_settings({"POSTRIDER_DATA_DIR": str(tmp_path_factory.mktemp("pages") / "data")})
    settings.data_dir.mkdir(mode=0o700)
    shutil.copy2(prepared_sqlite, settings.sqlite_path)
    built: list[App] = []

    async def make() -> Any:
        app = build(settings)
        built.append(app)
        await _furnish(app)
        application = http_app(app)
        application.router.routes[:0] = _consent_routes(app, other_site)  # type: ignore[attr-defined]  # a Starlette
        return application

    with served(make) as server:
        yield House(server, built[0], other_site)
        server.run(built[0].close())


async def _furnish(app: App) -> None:
    installation = await Installation.on(app)
    installation.clock = app.clock  # type: ignore[assignment]  # of the machine here
    await give_password(app, "ann@ann.test")
    # It asked for more later.
    _, grant_id = [await connect(installation, installation.ann.user_id, "Claude") for _ in range(2)]
    await ask(installation, credential=grant_id)
    words = (
        "Mail of ben@ann.test is sent through smtp.ann.test and read through imap.ann.test, with the password given."
    )
    await ask(installation, "create_mailbox", grant_id, words, 0, ())
    now = app.clock.now()
    await app.database.write(
        lambda session: create_workspace(session, installation.ann.user_id, "Second team", now) and None
    )


def _consent_routes(app: App, client: str) -> list[Route]:
    """The consent page as the authorization of apps shows it, which then redirects to the app."""
    sessions = Sessions(app)

    async def view(request: Request) -> ConsentView:
        person = await sessions.person_of(request)
        assert person is not None
        checked = request.query_params.get("unchecked") is None
        return ConsentView(
            person=person,
            client_name="Claude" if checked else "Claude, really",
            client_host="claude.example" if checked else None,
            redirect_uri=f"{client}/callback",
            workspaces=[Choice("ws_1", "Ann's"), Choice("ws_2", "Second team")],
            scopes=["read", "prepare", "send", "delete", "administer"],
            toolsets=["campaigns", "leads", "inbox", "mailboxes"],
            hidden={"state": "s"},
            action="/consent",
            first_day_sends=100,
        )

    async def show(request: Request) -> Response:
        return consent_page(await view(request))

    async def answer(request: Request) -> Response:
        form, shown = await read_form(request), await view(request)
        check_csrf(shown.person, form)
        said = read_consent(form, shown)
        words = "-".join(sorted(said.scopes)) if said.allowed else "no"
        return RedirectResponse(f"{client}/callback?code={words}-{said.autonomy}-{said.daily_sends}", 302)

    return [Route("/consent", show), Route("/consent", answer, methods=["POST"])]


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


async def sign_in(looker: Looker, house: House) -> None:
    await looker.page.goto(f"{house.url}/sign-in")
    await looker.page.fill("#email", "ann@ann.test")
    await looker.page.fill("#password", PASSWORD)
    await looker.page.press("#password", "Enter")
    await looker.page.wait_for_url(f"{house.url}/")


async def keep(looker: Looker, name: str) -> None:
    if os.environ.get("POSTRIDER_TEST_SCREENSHOTS") and name in KEPT:
        await looker.page.screenshot(path=str(screenshot_path(name)), full_page=not name.startswith("keys"))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_and_nothing_is_wider_than_the_window(
    browser: Browser, house: House, width: int, scheme: str
) -> None:
    setup = house.served.run(link_token(house.app, "setup"))
    reset = house.served.run(link_token(house.app, "reset", "ann@ann.test"))
    pages = PAGES | {"set-up": f"/set-up/{setup}", "reset": f"/reset/{reset}"}
    async with window(browser, width=width, scheme=scheme) as looker:
        for name, path in sorted(pages.items(), key=lambda entry: entry[0] not in PUBLIC):
            if name not in PUBLIC and looker.page.url.endswith(tuple(PAGES[each] for each in PUBLIC)):
                await sign_in(looker, house)
            await looker.page.goto(f"{house.url}{path}")
            assert await looker.violations() == [], name
            assert await looker.overflow() <= 0, name
            if scheme == "light":
                await keep(looker, f"{name}-{width}")
        policy = [words for words in looker.complaints if "Failed to load resource" not in words]
        assert policy == []


async def test_a_person_signs_in_with_the_keyboard_alone(browser: Browser, house: House) -> None:
    async with window(browser) as looker:
        await looker.page.goto(f"{house.url}/sign-in?next=/keys")
        reached = []
        for _ in range(5):
            await looker.page.keyboard.press("Tab")
            reached.append(
                await looker.page.evaluate("document.activeElement.id || document.activeElement.textContent")
            )
        assert reached == ["Skip to the content", "email", "password", "Sign in", "Forgotten your password?"]
        await looker.page.focus("#email")
        await looker.page.keyboard.type("ann@ann.test")
        await looker.page.keyboard.press("Tab")
        await looker.page.keyboard.type(PASSWORD)
        await looker.page.keyboard.press("Enter")
        await looker.page.wait_for_url(f"{house.url}/keys")


async def test_a_key_is_made_and_revoked(browser: Browser, house: House) -> None:
    async with window(browser) as looker:
        await sign_in(looker, house)
        page = looker.page
        await page.click("nav[aria-label=Pages] >> text=API keys")
        await page.fill("#name", "Nightly import")
        await page.check("input[name=scope][value=prepare]")
        await page.click("text=Make the key")
        assert (await page.text_content("#key") or "").startswith("sk_")
        await page.click('button[aria-label="Revoke Nightly import"]')
        assert "The key is revoked" in (await page.text_content("[role=status]") or "")


async def test_an_approval_is_granted(browser: Browser, house: House) -> None:
    async with window(browser) as looker:
        await sign_in(looker, house)
        await looker.page.click("nav[aria-label=Pages] >> text=Approvals")
        await looker.page.click('button[aria-label="Grant Start a campaign"]')
        assert "Granted" in (await looker.page.text_content("[role=status]") or "")


@pytest.mark.parametrize(("press", "code"), [("Connect", "prepare-read-confirm-50"), ("Cancel", "no-readonly-None")])
async def test_the_browser_lets_consent_lead_back_to_the_app(
    browser: Browser, house: House, press: str, code: str
) -> None:
    async with window(browser) as looker:
        await sign_in(looker, house)
        page = looker.page
        await page.goto(f"{house.url}/consent")
        for scope in ("send", "delete", "administer"):
            await page.uncheck(f"input[value={scope}]")
        await page.click("summary")
        await page.fill("#daily_sends", "50")
        await page.click(f"text={press} >> visible=true >> nth=-1" if press == "Cancel" else 'button[value="allow"]')
        await page.wait_for_url(f"{house.client}/callback?code={code}")
        assert code in (await page.text_content("body") or "")


async def test_the_policy_of_other_pages_lets_no_form_lead_away(browser: Browser, house: House) -> None:
    async with window(browser) as looker:
        await sign_in(looker, house)
        await looker.page.goto(f"{house.url}/password")
        async with looker.page.expect_console_message(lambda line: "form-action" in line.text):
            form = "document.forms[1]"
            await looker.page.evaluate(f"{form}.action = '{house.client}/callback'; {form}.submit()")
        assert looker.page.url == f"{house.url}/password"
