"""Behind proxies: whose word counts, and what follows from it."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from postrider.app import build
from postrider.doors.http import Binding, http_app
from postrider.doors.proxies import BehindProxies
from postrider.doors.web.entrance import TRIES
from postrider.settings import Settings, SettingsError, load_settings
from tests.conftest import Installation
from tests.engine.inbound import make_mailroom
from tests.features.test_tracking import PERSON, Public, hits
from tests.people.rig import PASSWORD, cookies_of, hidden_fields, person_at

TRUSTED = "10.0.0.0/8,192.168.1.5/32,fd00::/8"
PUBLIC = "https://mail.example.com"


async def seen(peer: str, headers: list[tuple[str, str]], trusted: str = TRUSTED) -> tuple[str, str, str, list[str]]:
    """The client, scheme and host that an application sees, and the headers of proxies that are left."""

    async def tell(request: Request) -> JSONResponse:
        left = [name for name in request.headers if name.startswith("x-forwarded") or name == "forwarded"]
        host = request.client.host if request.client else ""
        return JSONResponse([host, request.url.scheme, ",".join(request.headers.getlist("host")), left])

    app = BehindProxies(Starlette(routes=[Route("/", tell)]), trusted)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app, client=(peer, 1)), base_url="http://inside:8025"
    ) as client:
        host, scheme, name, left = (await client.get("/", headers=headers)).json()
    return host, scheme, name, left


FORWARDED = {
    "one hop": ("10.1.1.1", "203.0.113.9", "203.0.113.9"),
    "a spoofed hop before it": ("10.1.1.1", "127.0.0.1, 203.0.113.9", "203.0.113.9"),
    "many spoofed hops": ("10.1.1.1", "17.0.0.1, 10.0.0.1, 203.0.113.9", "203.0.113.9"),
    "through a second proxy of ours": ("10.1.1.1", "203.0.113.9, 192.168.1.5", "203.0.113.9"),
    "from inside only": ("10.1.1.1", "10.2.2.2, 10.3.3.3", "10.2.2.2"),
    "none": ("10.1.1.1", "", "10.1.1.1"),
    "nonsense": ("10.1.1.1", "unknown", "10.1.1.1"),
    "nonsense before a hop": ("10.1.1.1", "evil, 203.0.113.9", "203.0.113.9"),
    "nonsense behind a hop": ("10.1.1.1", "203.0.113.9, _hidden", "10.1.1.1"),
    "with a port": ("10.1.1.1", "203.0.113.9:4711", "203.0.113.9"),
    "IPv6": ("10.1.1.1", "2001:db8::9", "2001:db8::9"),
    "IPv6 in brackets with a port": ("10.1.1.1", "[2001:db8::9]:4711", "2001:db8::9"),
    "IPv4 in IPv6": ("::ffff:10.1.1.1", "::ffff:203.0.113.9", "203.0.113.9"),
    "a trusted IPv6 proxy": ("fd00::1", "203.0.113.9", "203.0.113.9"),
    "not from a proxy": ("203.0.113.7", "127.0.0.1", "203.0.113.7"),
    "not from this very address": ("192.168.1.6", "127.0.0.1", "192.168.1.6"),
}


@pytest.mark.parametrize("case", FORWARDED)
async def test_the_client_is_the_last_hop_that_is_not_trusted(case: str) -> None:
    peer, hops, client = FORWARDED[case]
    assert (await seen(peer, [("X-Forwarded-For", hops)] if hops else []))[0] == client


async def test_a_list_in_several_lines_is_one_list() -> None:
    lines = [("X-Forwarded-For", "127.0.0.1"), ("X-Forwarded-For", "203.0.113.9, 10.0.0.2")]
    assert (await seen("10.1.1.1", lines))[0] == "203.0.113.9"


async def test_scheme_and_host_are_what_the_nearest_proxy_says() -> None:
    headers = [("X-Forwarded-Proto", "http, https"), ("X-Forwarded-Host", "evil.test, mail.example.com")]
    assert (await seen("10.1.1.1", headers))[1:3] == ("https", "mail.example.com")
    assert (await seen("10.1.1.1", [("X-Forwarded-Proto", "ftp")]))[1] == "http"


async def test_of_anybody_else_nothing_is_believed_and_nothing_is_passed_on() -> None:
    headers = [
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil.test"),
        ("Forwarded", "for=127.0.0.1"),
    ]
    assert await seen("203.0.113.7", headers) == ("203.0.113.7", "http", "inside:8025", [])
    assert (await seen("10.1.1.1", headers))[3] == []


def test_the_setting_takes_addresses_and_networks() -> None:
    assert load_settings({"POSTRIDER_TRUSTED_PROXIES": "127.0.0.1, 10.1.2.3/8,"}).trusted_proxies == (
        "127.0.0.1/32,10.0.0.0/8"
    )
    assert load_settings({}).trusted_proxies is None
    with pytest.raises(SettingsError, match="TRUSTED_PROXIES"):
        load_settings({"POSTRIDER_TRUSTED_PROXIES": "the proxy"})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(
        {
            "POSTRIDER_DATA_DIR": str(tmp_path / "data"),
            "POSTRIDER_TRUSTED_PROXIES": "10.0.0.0/8",
            "POSTRIDER_PUBLIC_URL": PUBLIC,
        }
    )


BY_PROXY = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "mail.example.com"}


async def test_somebody_behind_a_proxy_gets_a_secure_cookie_and_limits_of_their_own(house: Installation) -> None:
    binding = Binding("0.0.0.0")
    async with person_at(house.app, "https://mail.example.com", binding, ("10.9.9.9", 1)) as person:
        guesser, other = ({**BY_PROXY, "X-Forwarded-For": hop} for hop in ("198.51.100.1", "198.51.100.2"))
        hidden = hidden_fields((await person.get("/sign-in", headers=guesser)).text)
        wrong = {**hidden, "email": "ann@ann.test", "password": "not her password"}
        for number in range(TRIES + 1):
            # What stands to the left of the real hop is the guesser's own invention.
            forged = {**guesser, "X-Forwarded-For": f"192.0.2.{number}, 198.51.100.1"}
            status = (await person.client.post("/sign-in", data=wrong, headers=forged)).status_code
        assert status == 429
        right = {**hidden, "email": "ann@ann.test", "password": PASSWORD}
        signed_in = await person.client.post("/sign-in", data=right, headers=other)
        assert signed_in.status_code == 303
        assert "; Secure" in cookies_of(signed_in)["__Host-postrider-session"]


PLAIN_HTTP = {
    "to the public name": {"X-Forwarded-Host": "mail.example.com"},
    "to loopback's name": {"X-Forwarded-Host": "127.0.0.1:8742"},
    "by a local name that the proxy passes on": {"Host": "localhost:8742"},
}


@pytest.mark.parametrize("case", PLAIN_HTTP)
async def test_who_came_to_the_proxy_by_plain_http_signs_in_nowhere(house: Installation, case: str) -> None:
    by_http = {"X-Forwarded-For": "203.0.113.8", "X-Forwarded-Proto": "http", **PLAIN_HTTP[case]}
    async with person_at(house.app, PUBLIC, client=("10.9.9.9", 1)) as person:
        hidden = hidden_fields((await person.get("/sign-in", headers=BY_PROXY)).text)
        fields = {**hidden, "email": "ann@ann.test", "password": PASSWORD}
        for answer in (
            await person.client.post("/sign-in", data=fields, headers=by_http),
            await person.get("/sign-in", headers=by_http),
        ):
            assert answer.status_code == 403 and "needs https" in answer.text
            assert "set-cookie" not in answer.headers
        assert (await person.client.post("/sign-in", data=fields, headers=BY_PROXY)).status_code == 303


async def test_a_browser_on_this_machine_needs_no_tls_beside_the_proxy(house: Installation) -> None:
    async with person_at(house.app, "http://127.0.0.1:8025", client=("127.0.0.1", 1)) as person:
        signed_in = await person.sign_in("ann@ann.test")
        assert signed_in.status_code == 303 and "Secure" not in cookies_of(signed_in)["postrider-session"]


@pytest.mark.parametrize(("client", "status"), [("127.0.0.1", 303), ("::ffff:127.0.0.1", 303), ("10.9.9.8", 403)])
async def test_a_proxy_that_is_not_named_is_believed_on_this_machine_only(
    house: Installation, client: str, status: int
) -> None:
    app = replace(house.app, settings=replace(house.app.settings, trusted_proxies=None))
    async with person_at(app, "http://mail.example.com", client=("127.0.0.1", 1)) as near:
        hidden = hidden_fields((await near.get("/sign-in")).text)
        visit = cookies_of(await near.get("/sign-in"))["__Host-postrider-visit"].partition(";")[0]
    assert hidden
    async with person_at(app, "http://mail.example.com", client=(client, 1)) as person:
        shown = await person.get("/sign-in", headers={"Cookie": visit})
        fields = {**hidden_fields(shown.text), "email": "ann@ann.test", "password": PASSWORD}
        answer = await person.client.post("/sign-in", data=fields, headers={"Cookie": visit})
        assert answer.status_code == status
        assert status == 403 or "; Secure" in cookies_of(answer)["__Host-postrider-session"]


async def test_a_client_elsewhere_that_calls_us_by_a_local_name_is_elsewhere(house: Installation) -> None:
    app = replace(house.app, settings=replace(house.app.settings, trusted_proxies=None, public_url=None))
    async with person_at(app, "http://127.0.0.1:8025", client=("192.0.2.9", 1)) as person:
        assert (await person.get("/sign-in")).status_code == 403


async def test_without_the_setting_a_forwarded_scheme_opens_nothing(house: Installation) -> None:
    app = replace(house.app, settings=replace(house.app.settings, trusted_proxies=None, public_url=None))
    async with person_at(app, "http://10.9.9.9:8025", Binding("0.0.0.0"), ("10.9.9.8", 1)) as person:
        answer = await person.get("/sign-in", headers={**BY_PROXY, "X-Forwarded-For": "127.0.0.1"})
        assert answer.status_code == 403 and "needs https" in answer.text


async def test_tracking_tells_apples_machines_by_the_address_behind_the_proxy(installation: Installation) -> None:
    room = await make_mailroom(installation)
    public = Public(room)
    agent = {"User-Agent": PERSON.user_agent}
    async with person_at(installation.app, PUBLIC, client=("10.9.9.9", 1)) as person:
        for hops in ("17.58.0.1", "17.58.0.1, 198.51.100.2"):
            opened = await person.get(f"/t/o/{public.pixel()}", headers={**agent, "X-Forwarded-For": hops})
            assert opened.status_code == 200
            installation.clock.advance(timedelta(hours=1))
    verdicts = [verdict for _, verdict in await hits(room)]
    assert verdicts[0] != "person" and verdicts[1] == "person"


def test_the_application_is_built_with_the_setting(settings: Settings) -> None:
    assert isinstance(http_app(build(settings)), BehindProxies)
