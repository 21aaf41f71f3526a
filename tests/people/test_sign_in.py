"""Signing in and out with a password: cookies, forms, destinations, and guessing."""

import re

import httpx
import pytest
from sqlalchemy import select

from postrider.access.sessions import IDLE_MS, LONGEST_MS
from postrider.access.tables import WebSession
from postrider.doors.http import Binding
from postrider.doors.web.destinations import safe_next
from postrider.doors.web.entrance import TRIES
from postrider.storage.leases import wall_ms_now
from tests.conftest import Installation
from tests.people.rig import PASSWORD, Person, cookies_of, hidden_fields, person_at


async def session_rows(house: Installation) -> list[WebSession]:
    return await house.app.database.read(lambda session: list(session.scalars(select(WebSession))))


async def test_somebody_who_is_not_signed_in_is_led_to_sign_in_and_back(visitor: Person) -> None:
    led = await visitor.get("/keys?workspace=ws_1")
    assert (led.status_code, led.headers["location"]) == (303, "/sign-in?next=%2Fkeys%3Fworkspace%3Dws_1")
    shown = await visitor.get(led.headers["location"])
    signed_in = await visitor.client.post(
        "/sign-in", data={**hidden_fields(shown.text), "email": "ann@ann.test", "password": PASSWORD}
    )
    assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/keys?workspace=ws_1")


async def test_the_address_counts_in_any_case_and_with_spaces_around(visitor: Person) -> None:
    assert (await visitor.sign_in("  ANN@Ann.test ")).status_code == 303
    assert "ann@ann.test" in (await visitor.get("/")).text


async def test_a_session_is_a_row_by_keyed_hash_and_the_cookie_is_not_in_it(
    house: Installation, visitor: Person
) -> None:
    cookie = cookies_of(await visitor.sign_in("ann@ann.test"))["postrider-session"]
    token = cookie.partition("=")[2].partition(";")[0]
    assert re.fullmatch(r"[0-9a-z]{52}", token)
    [row] = await session_rows(house)
    assert row.user_id == house.ann.user_id and token.encode() not in row.digest
    assert row.expires_ms - row.created_ms == IDLE_MS


async def test_on_loopback_the_cookie_is_http_only_and_lax(visitor: Person) -> None:
    cookie = cookies_of(await visitor.sign_in("ann@ann.test"))["postrider-session"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie and "path=/" in cookie
    assert "secure" not in cookie and "domain" not in cookie


async def test_by_https_the_cookie_is_a_host_cookie(house: Installation) -> None:
    async with person_at(house.app, "https://127.0.0.1:8025") as person:
        cookie = cookies_of(await person.sign_in("ann@ann.test"))["__Host-postrider-session"].lower()
        assert "; secure" in cookie and "httponly" in cookie and "samesite=lax" in cookie and "path=/" in cookie
        assert "domain" not in cookie
        assert (await person.get("/")).status_code == 200


async def test_a_cookie_without_the_prefix_is_not_taken_by_https(house: Installation, visitor: Person) -> None:
    await visitor.sign_in("ann@ann.test")
    token = visitor.client.cookies["postrider-session"]
    async with person_at(house.app, "https://127.0.0.1:8025") as person:
        answer = await person.get("/", headers={"Cookie": f"postrider-session={token}"})
        assert answer.status_code == 303


async def test_over_a_network_without_tls_nobody_signs_in(house: Installation) -> None:
    async with person_at(house.app, "http://10.0.0.7:8025", Binding("0.0.0.0")) as person:
        for path in ("/sign-in", "/set-up/x", "/reset", "/"):
            refused = await person.get(path)
            assert refused.status_code == 403 and "needs https" in refused.text
            assert "set-cookie" not in refused.headers


async def test_signing_in_again_ends_the_session_before(house: Installation, visitor: Person) -> None:
    await visitor.sign_in("ann@ann.test")
    before = visitor.client.cookies["postrider-session"]
    shown = await visitor.get("/sign-in")
    assert shown.status_code == 303, "somebody who is signed in does not see the form"
    async with person_at(house.app) as other:
        page = await other.get("/sign-in")
        other.client.cookies.set("postrider-session", before, domain="127.0.0.1")
        again = await other.client.post(
            "/sign-in", data={**hidden_fields(page.text), "email": "bob@bob.test", "password": PASSWORD}
        )
        assert cookies_of(again)["postrider-session"].partition(";")[0] != f"postrider-session={before}"
    assert (await visitor.get("/")).status_code == 303
    assert [row.user_id for row in await session_rows(house)] == [house.bob.user_id]


async def test_signing_out_ends_the_session_here_and_there(house: Installation, ann: Person) -> None:
    token = ann.client.cookies["postrider-session"]
    page = (await ann.get("/")).text
    [csrf] = set(re.findall(r'name="csrf" value="([0-9a-f]{64})"', page))
    out = await ann.client.post("/sign-out", data={"csrf": csrf})
    assert (out.status_code, out.headers["location"]) == (303, "/sign-in")
    assert await session_rows(house) == []
    assert (await ann.get("/", headers={"Cookie": f"postrider-session={token}"})).status_code == 303


async def test_a_session_runs_out_after_two_weeks_unused_and_is_renewed_when_used(
    house: Installation, ann: Person
) -> None:
    hour = 3_600_000

    async def age(used: int, created: int) -> int:
        def write(session):  # type: ignore[no-untyped-def]
            row = session.scalars(select(WebSession)).one()
            row.used_ms, row.created_ms = wall_ms_now() - used, wall_ms_now() - created
            row.expires_ms = row.used_ms + IDLE_MS
            return row.expires_ms

        return int(await house.app.database.write(write))

    before = await age(13 * 24 * hour, 13 * 24 * hour)
    assert (await ann.get("/")).status_code == 200
    [row] = await session_rows(house)
    assert row.expires_ms > before + 12 * 24 * hour
    await age(2 * hour, 89 * 24 * hour)
    assert (await ann.get("/")).status_code == 200
    [row] = await session_rows(house)
    assert row.expires_ms == row.created_ms + LONGEST_MS, "nobody stays signed in for ever"
    await age(15 * 24 * hour, 15 * 24 * hour)
    assert (await ann.get("/")).status_code == 303


FOREIGN = ["", "0" * 64, "x"]


@pytest.mark.parametrize("csrf", FOREIGN)
@pytest.mark.parametrize("path", ["/sign-out", "/keys", "/password", "/apps/grt_1/revoke", "/approvals/apr_1"])
async def test_a_form_that_was_not_shown_to_the_person_does_nothing(
    house: Installation, ann: Person, path: str, csrf: str
) -> None:
    answer = await ann.client.post(path, data={"csrf": csrf, "name": "x", "scope": "read", "answer": "grant"})
    assert answer.status_code == 403 and "not the one that was shown to you" in answer.text
    assert (await ann.get("/")).status_code == 200


async def test_the_form_of_one_session_is_not_taken_from_another(house: Installation, ann: Person) -> None:
    async with person_at(house.app) as bob:
        await bob.sign_in("bob@bob.test")
        stolen = hidden_fields((await bob.get("/keys")).text)
    answer = await ann.client.post("/keys", data={**stolen, "name": "x", "scope": "read", "lifetime": "never"})
    assert answer.status_code == 403


async def test_a_sign_in_that_another_site_prepared_is_refused(visitor: Person) -> None:
    answer = await visitor.client.post("/sign-in", data={"email": "ann@ann.test", "password": PASSWORD})
    assert answer.status_code == 403 and "postrider-session" not in visitor.client.cookies
    page = await visitor.get("/sign-in")
    foreign = await visitor.client.post(
        "/sign-in",
        data={**hidden_fields(page.text), "email": "ann@ann.test", "password": PASSWORD},
        headers={"Origin": "https://evil.test"},
    )
    assert foreign.status_code == 403


async def test_a_wrong_password_and_an_unknown_address_are_answered_alike(visitor: Person) -> None:
    def shape(answer: httpx.Response, email: str) -> tuple[int, str]:
        return answer.status_code, re.sub(r'value="[0-9a-f]{64}"', "", answer.text).replace(email, "")

    known = shape(await visitor.sign_in("ann@ann.test", "not her password"), "ann@ann.test")
    unknown = shape(await visitor.sign_in("nobody@nowhere.test", "not her password"), "nobody@nowhere.test")
    assert known == unknown and known[0] == 401 and "do not belong together" in known[1]


async def test_who_guesses_is_kept_waiting_and_nobody_else(house: Installation, visitor: Person) -> None:
    for _ in range(TRIES):
        assert (await visitor.sign_in("ann@ann.test", "not her password")).status_code == 401
    for password in ("not her password", PASSWORD):
        late = await visitor.sign_in("ann@ann.test", password)
        assert late.status_code == 429 and 0 < int(late.headers["retry-after"]) <= 900
        assert re.search(r"Try again in 1[45] minutes\.", late.text)
    assert (await visitor.sign_in("bob@bob.test")).status_code == 303


async def test_a_right_password_forgives_the_wrong_ones(visitor: Person) -> None:
    for _ in range(TRIES - 1):
        await visitor.sign_in("ann@ann.test", "not her password")
    assert (await visitor.sign_in("ann@ann.test")).status_code == 303
    page = (await visitor.get("/")).text
    [csrf] = set(re.findall(r'name="csrf" value="([0-9a-f]{64})"', page))
    await visitor.client.post("/sign-out", data={"csrf": csrf})
    assert (await visitor.sign_in("ann@ann.test", "not her password")).status_code == 401


NEXT = {
    "/": "/",
    "/keys": "/keys",
    "/oauth/authorize?client_id=https%3A%2F%2Fapp.test%2Fc&state=a%20b": (
        "/oauth/authorize?client_id=https%3A%2F%2Fapp.test%2Fc&state=a%20b"
    ),
    "/approvals?done=granted&x=//y": "/approvals?done=granted&x=//y",
    "": "/",
    "keys": "/",
    "//evil.test": "/",
    "//evil.test/keys": "/",
    "///evil.test": "/",
    "/\\evil.test": "/",
    "/\\/evil.test": "/",
    "\\\\evil.test": "/",
    "/keys\\..\\evil": "/",
    "https://evil.test": "/",
    "http:evil.test": "/",
    "HTTPS://evil.test/": "/",
    "javascript:alert(1)": "/",
    "data:text/html,x": "/",
    "/\t/evil.test": "/",
    "/\n/evil.test": "/",
    "/keys\r\nSet-Cookie: a=b": "/",
    "/keys\nLocation: https://evil.test": "/",
    "\r\n//evil.test": "/",
    " //evil.test": "/",
    "/ /evil.test": "/",
    "/%0d%0aSet-Cookie:a": "/%0d%0aSet-Cookie:a",
    "/é": "/",
    "/\u2028/evil.test": "/",
    "/keys#//evil.test": "/",
    "/" + "a" * 5_000: "/",
    "@evil.test": "/",
    "/@evil.test": "/@evil.test",
    "/:@evil.test": "/:@evil.test",
    "//[::1": "/",
    "?next=//evil.test": "/",
    "./keys": "/",
    "//": "/",
}


@pytest.mark.parametrize(("wanted", "leads_to"), NEXT.items(), ids=[repr(wanted)[:40] for wanted in NEXT])
def test_only_a_path_of_this_server_is_a_destination(wanted: str, leads_to: str) -> None:
    assert safe_next(wanted) == leads_to


async def test_signing_in_leads_to_paths_of_this_server_only(house: Installation, visitor: Person) -> None:
    for wanted, leads_to in NEXT.items():
        page = await visitor.get("/sign-in", params={"next": wanted})
        assert hidden_fields(page.text)["next"] == leads_to
        answer = await visitor.sign_in("ann@ann.test", next=wanted)
        assert (answer.status_code, answer.headers["location"]) == (303, leads_to)
        visitor.client.cookies.clear()


def test_a_destination_with_a_nul_is_none() -> None:
    assert safe_next("/keys\x00") == "/"


async def test_every_page_is_under_a_policy_that_lets_nothing_run_load_or_frame(ann: Person, visitor: Person) -> None:
    pages = [await ann.get(path) for path in ("/", "/keys", "/apps", "/approvals", "/password")]
    pages += [await visitor.get(path) for path in ("/sign-in", "/reset", "/set-up/nothing", "/reset/nothing")]
    for page in pages:
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "base-uri 'none'" in policy
        assert "form-action 'self'" in policy and "unsafe" not in policy and "script-src" not in policy
        assert page.headers["x-frame-options"] == "DENY" and page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["cache-control"] == "no-store"
        assert "<script" not in page.text and "style=" not in page.text and "<style" not in page.text
        assert not re.search(r"\son[a-z]+=", page.text)


async def test_the_style_sheet_may_be_kept_for_ever(visitor: Person) -> None:
    page = (await visitor.get("/sign-in")).text
    [path] = re.findall(r'rel="stylesheet" href="([^"]+)"', page)
    sheet = await visitor.get(path)
    assert sheet.headers["content-type"].startswith("text/css") and "immutable" in sheet.headers["cache-control"]
    assert re.fullmatch(r"/static/[0-9a-f]{16}\.css", path)


async def test_a_form_of_any_size_or_kind_is_refused_in_words(visitor: Person) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    large = await visitor.client.post("/sign-in", content=b"a=" + b"b" * 100_000, headers=form)
    many = await visitor.client.post("/sign-in", content=b"&".join(b"a=1" for _ in range(500)), headers=form)
    nul = await visitor.client.post("/sign-in", content=b"email=%00", headers=form)
    other = await visitor.client.post("/sign-in", json={"email": "ann@ann.test"})
    assert (large.status_code, many.status_code, nul.status_code, other.status_code) == (413, 400, 400, 400)
    assert all("<h1>" in answer.text for answer in (large, many, nul, other))
