"""The address in List-Unsubscribe, asked by programs and by people, with a real lead's token, on both databases."""

from collections.abc import AsyncIterator

import httpx
import pytest

from postrider.doors.http import http_app
from tests.conftest import Installation
from tests.contract.rest_world import BASE
from tests.engine.inbound import Mailroom, make_mailroom

FORM = "application/x-www-form-urlencoded"
MULTIPART = 'multipart/form-data; boundary="b"'
PART = '--b\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n--b--\r\n'

WISHES: dict[str, tuple[str, str]] = {
    "as the header says": (FORM, "List-Unsubscribe=One-Click"),
    "with a charset": (f"{FORM}; charset=utf-8", "List-Unsubscribe=One-Click"),
    "among other fields": (FORM, "a=b&List-Unsubscribe=One-Click&c=d"),
    "percent-encoded": (FORM, "List%2DUnsubscribe=One%2DClick"),
    "in a part": (MULTIPART, PART.format("List-Unsubscribe", "One-Click")),
    "in a part after another": (MULTIPART, PART.format("a", "b")[:-7] + PART.format("List-Unsubscribe", "One-Click")),
}
NO_WISHES: dict[str, tuple[str, str]] = {
    "nothing": (FORM, ""),
    "another field": (FORM, "unsubscribe=yes"),
    "another value": (FORM, "List-Unsubscribe=No"),
    "no value": (FORM, "List-Unsubscribe="),
    "the value alone": (FORM, "One-Click"),
    "the value in another field": (FORM, "a=List-Unsubscribe&b=One-Click"),
    "another part": (MULTIPART, PART.format("unsubscribe", "One-Click")),
    "a part with another value": (MULTIPART, PART.format("List-Unsubscribe", "No")),
    "a part without value": (MULTIPART, PART.format("List-Unsubscribe", "")),
    "a form said to be parts": (MULTIPART, "List-Unsubscribe=One-Click"),
    "JSON": ("application/json", '{"List-Unsubscribe": "One-Click"}'),
    "too much": (FORM, f"a={'x' * 20_000}&List-Unsubscribe=One-Click"),
}


@pytest.fixture
async def browser(installation: Installation) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody without key, cookie or session."""
    transport = httpx.ASGITransport(http_app(installation.app))
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        yield client


Suppression = tuple[str, dict[str | None, str], dict[str, int]]


async def suppression(room: Mailroom) -> Suppression:
    """The lead's status, the do-not-contact list and the counts."""
    return (await room.enrollment()).status, await room.listed(), await room.counts()


NOTHING_HAPPENED: Suppression = ("active", {}, {})
UNSUBSCRIBED: Suppression = ("unsubscribed", {"lead0@lead0.test": "unsubscribe"}, {"unsubscribed": 1})


async def test_fetching_it_a_hundred_times_changes_nothing(
    installation: Installation, browser: httpx.AsyncClient
) -> None:
    room = await make_mailroom(installation)
    url = f"/u/{await room.token()}"
    for _ in range(100):
        shown, head = await browser.get(url), await browser.head(url)
        assert (shown.status_code, head.status_code, head.content) == (200, 200, b"")
    assert await suppression(room) == NOTHING_HAPPENED
    assert await room.events() == []
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS"):
        assert (await browser.request(method, url, content=b"List-Unsubscribe=One-Click")).status_code == 405
    assert (await browser.get(f"{url}?List-Unsubscribe=One-Click")).status_code == 200
    assert await suppression(room) == NOTHING_HAPPENED


async def test_its_page_has_a_button_that_unsubscribes(installation: Installation, browser: httpx.AsyncClient) -> None:
    room = await make_mailroom(installation)
    url = f"/u/{await room.token()}"
    page = (await browser.get(url)).text
    assert '<form method="post"' in page and 'name="List-Unsubscribe"' in page and 'value="One-Click"' in page


@pytest.mark.parametrize("wish", WISHES)
async def test_one_click_unsubscribes_at_once_and_once(
    installation: Installation, browser: httpx.AsyncClient, wish: str
) -> None:
    room = await make_mailroom(installation)
    url = f"/u/{await room.token()}"
    kind, body = WISHES[wish]
    for _ in range(3):
        answer = await browser.post(url, content=body.encode(), headers={"Content-Type": kind})
        assert (answer.status_code, answer.history, dict(answer.cookies)) == (200, [], {})
        assert await suppression(room) == UNSUBSCRIBED


@pytest.mark.parametrize("wish", NO_WISHES)
async def test_a_post_that_does_not_ask_for_it_changes_nothing(
    installation: Installation, browser: httpx.AsyncClient, wish: str
) -> None:
    room = await make_mailroom(installation)
    url = f"/u/{await room.token()}"
    kind, body = NO_WISHES[wish]
    for query in ("", "?List-Unsubscribe=One-Click"):
        answer = await browser.post(url + query, content=body.encode(), headers={"Content-Type": kind})
        assert answer.status_code == 400 and "Nothing was changed" in answer.text
    assert await suppression(room) == NOTHING_HAPPENED


async def test_a_form_as_a_browser_builds_it_works_too(installation: Installation, browser: httpx.AsyncClient) -> None:
    room = await make_mailroom(installation)
    url = f"/u/{await room.token()}"
    answer = await browser.post(url, files={"List-Unsubscribe": (None, "One-Click")})
    assert answer.request.headers["Content-Type"].startswith("multipart/form-data")
    assert answer.status_code == 200
    assert await suppression(room) == UNSUBSCRIBED
