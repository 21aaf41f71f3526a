"""Signing in through an OpenID Connect provider on loopback: who comes in, and everything that is refused."""

import asyncio
import time
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
import pytest
from sqlalchemy import select

from postrider.access.ports import IdentityProvider
from postrider.access.tables import User
from postrider.app import App, build
from postrider.settings import Settings, SettingsError, load_settings
from tests.conftest import Installation
from tests.people.browser_rig import served
from tests.people.provider import CLIENT_ID, CLIENT_SECRET, Provider, path_of
from tests.people.rig import Person, cookies_of, person_at


@pytest.fixture(scope="module")
def listening() -> Iterator[tuple[str, Provider]]:
    """One provider for all tests; each has it behave."""
    provider = Provider()

    async def make() -> Any:
        return provider.app()

    with served(make) as server:
        yield server.url, provider


@pytest.fixture
def provider(listening: tuple[str, Provider]) -> Provider:
    url, provider = listening
    fresh = Provider(issuer=url)
    for name in ("issuer", "person", "claims", "signs", "metadata", "by_userinfo", "asked", "key", "codes"):
        setattr(provider, name, getattr(fresh, name))
    return provider


@pytest.fixture
def settings(tmp_path: Path, provider: Provider) -> Settings:
    return load_settings(
        {
            "POSTRIDER_DATA_DIR": str(tmp_path / "data"),
            "POSTRIDER_ALLOW_PRIVATE_HOSTS": "true",
            "POSTRIDER_OIDC_ISSUER": provider.issuer,
            "POSTRIDER_OIDC_CLIENT_ID": CLIENT_ID,
            "POSTRIDER_OIDC_CLIENT_SECRET": CLIENT_SECRET,
            "POSTRIDER_OIDC_NAME": "Example ID",
        }
    )


@dataclass
class Traveller:
    """A browser that goes to the provider and comes back."""

    person: Person

    async def leave(self, wanted: str = "/") -> str:
        """Where the browser is sent."""
        led = await self.person.get("/sign-in/provider", params={"next": wanted})
        assert led.status_code == 303, led.text
        return led.headers["location"]

    async def sign_in_there(self, address: str) -> str:
        """The path that the provider sends the browser back to."""
        async with httpx.AsyncClient() as client:
            answer = await client.get(address)
        assert answer.status_code == 302
        return path_of(answer.headers["location"])

    async def travel(self, wanted: str = "/") -> httpx.Response:
        """The answer to the return."""
        return await self.person.get(await self.sign_in_there(await self.leave(wanted)))


@pytest.fixture
async def traveller(installation: Installation) -> AsyncIterator[Traveller]:
    async with person_at(installation.app) as person:
        yield Traveller(person)


async def user(app: App, user_id: str) -> User:
    return await app.database.read(lambda session: session.get_one(User, user_id))


async def test_a_person_comes_in_by_a_verified_address_and_later_by_who_they_are(
    installation: Installation, provider: Provider, traveller: Traveller
) -> None:
    page = (await traveller.person.get("/sign-in?next=/apps")).text
    assert "Sign in with Example ID" in page and 'href="/sign-in/provider?next=/apps"' in page
    answer = await traveller.travel("/apps")
    assert (answer.status_code, answer.headers["location"]) == (303, "/apps")
    assert "ann@ann.test" in (await traveller.person.get("/")).text
    row = await user(installation.app, installation.ann.user_id)
    assert (row.oidc_issuer, row.oidc_subject, row.password_hash) == (provider.issuer, "1", None)
    provider.person = {"sub": "1", "email": "elsewhere@other.test", "email_verified": False}
    async with person_at(installation.app) as again:
        assert (await Traveller(again).travel()).status_code == 303
        assert "ann@ann.test" in (await again.get("/")).text


async def test_the_request_has_state_nonce_and_an_s256_challenge(provider: Provider, traveller: Traveller) -> None:
    address = await traveller.leave()
    query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    assert query["response_type"] == "code" and query["client_id"] == CLIENT_ID and query["tenant"] == "one"
    assert query["redirect_uri"] == "http://127.0.0.1:8025/sign-in/provider/return"
    assert query["code_challenge_method"] == "S256" and len(query["code_challenge"]) == 43
    assert len(query["nonce"]) == 64 and "openid" in query["scope"].split()
    assert (await traveller.person.get(await traveller.sign_in_there(address))).status_code == 303
    [(_, sent)] = [asked for asked in provider.asked if asked[0] == "/token"]
    assert "client_secret" not in sent and sent["code_verifier"] not in address
    pair = b64decode(sent["authorization"].removeprefix("Basic ")).decode().split(":")
    assert [unquote(each) for each in pair] == [CLIENT_ID, CLIENT_SECRET]


async def test_a_provider_that_wants_the_secret_in_the_body_gets_it_there(
    provider: Provider, traveller: Traveller
) -> None:
    provider.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    assert (await traveller.travel()).status_code == 303
    [(_, sent)] = [asked for asked in provider.asked if asked[0] == "/token"]
    assert (sent["client_id"], sent["client_secret"], sent["authorization"]) == (CLIENT_ID, CLIENT_SECRET, "")


async def test_the_address_may_come_from_userinfo(provider: Provider, traveller: Traveller) -> None:
    provider.by_userinfo = True
    assert (await traveller.travel()).status_code == 303


STRANGERS: dict[str, dict[str, Any]] = {
    "an address that nobody here has": {"sub": "9", "email": "mallory@evil.test", "email_verified": True},
    "an address that is not verified": {"sub": "9", "email": "ann@ann.test", "email_verified": False},
    "an address of which nothing is said": {"sub": "9", "email": "ann@ann.test"},
    "verified as a word": {"sub": "9", "email": "ann@ann.test", "email_verified": "true"},
    "no address": {"sub": "9"},
}


@pytest.mark.parametrize("who", STRANGERS)
async def test_nobody_is_ever_made_or_guessed(
    installation: Installation, provider: Provider, traveller: Traveller, who: str
) -> None:
    provider.person = STRANGERS[who]
    answer = await traveller.travel()
    assert answer.status_code == 403 and "postrider people add" in answer.text
    emails = await installation.app.database.read(lambda s: list(s.scalars(select(User.email).order_by(User.email))))
    assert emails == ["ann@ann.test", "bob@bob.test"]
    assert (await user(installation.app, installation.ann.user_id)).oidc_subject is None


async def test_somebody_elses_account_there_does_not_take_a_person_over(
    installation: Installation, provider: Provider, traveller: Traveller
) -> None:
    assert (await traveller.travel()).status_code == 303
    provider.person = {"sub": "2", "email": "ann@ann.test", "email_verified": True}
    async with person_at(installation.app) as other:
        assert (await Traveller(other).travel()).status_code == 403
    assert (await user(installation.app, installation.ann.user_id)).oidc_subject == "1"


def later(claims: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**claims, **changes}.items() if value is not None}


BAD_CLAIMS: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://evil.test"},
    "no issuer": {"iss": None},
    "another audience": {"aud": "somebody-else"},
    "several audiences, none of them us": {"aud": ["a", "b"]},
    "several audiences and another party": {"aud": [CLIENT_ID, "b"], "azp": "b"},
    "no audience": {"aud": None},
    "run out": {"exp": 1},
    "no end": {"exp": None},
    "from the future": {"iat": int(time.time()) + 86_400, "exp": int(time.time()) + 90_000},
    "not yet good": {"nbf": int(time.time()) + 86_400},
    "another nonce": {"nonce": "0" * 64},
    "no nonce": {"nonce": None},
    "a nonce that is no text": {"nonce": 1},
    "no subject": {"sub": None},
    "an empty subject": {"sub": ""},
    "a subject that is no text": {"sub": 7},
    "a subject of any length": {"sub": "1" * 300},
}


@pytest.mark.parametrize("what", BAD_CLAIMS)
async def test_a_token_that_is_not_for_us_for_now_for_this_browser_is_refused(
    installation: Installation, provider: Provider, traveller: Traveller, what: str
) -> None:
    provider.claims = lambda claims: later(claims, **BAD_CLAIMS[what])
    answer = await traveller.travel()
    assert answer.status_code == 403 and "postrider-session" not in cookies_of(answer)


@pytest.mark.parametrize("signs", ["foreign", "none", "HS256"])
async def test_a_token_that_its_key_did_not_sign_is_refused(
    provider: Provider, traveller: Traveller, signs: str
) -> None:
    provider.signs = signs
    assert (await traveller.travel()).status_code == 403


async def test_new_keys_of_the_provider_are_fetched_when_they_are_needed(
    installation: Installation, provider: Provider, traveller: Traveller
) -> None:
    assert (await traveller.travel()).status_code == 303
    provider.rotate()
    async with person_at(installation.app) as again:
        assert (await Traveller(again).travel()).status_code == 303


async def test_the_answer_counts_in_the_browser_that_set_out_and_once(
    installation: Installation, provider: Provider, traveller: Traveller
) -> None:
    back = await traveller.sign_in_there(await traveller.leave())
    async with person_at(installation.app) as other:
        stolen = await other.get(back)
        assert stolen.status_code == 403 and "not for this browser" in stolen.text
        own = await Traveller(other).leave()
        assert own and (await other.get(back)).status_code == 403, "a journey of one's own does not help"
    assert (await traveller.person.get(back)).status_code == 303
    assert (await traveller.person.get(back)).status_code == 403


async def test_an_answer_without_state_code_or_the_right_issuer_is_refused(
    provider: Provider, traveller: Traveller
) -> None:
    back = await traveller.sign_in_there(await traveller.leave())
    code, state = (parse_qs(urlsplit(back).query)[name][0] for name in ("code", "state"))
    path = "/sign-in/provider/return"
    for query in (
        {"code": code},
        {"code": code, "state": ""},
        {"code": code, "state": f"{state}0"},
        {"code": code, "state": f"0{state[1:]}" if state[0] != "0" else f"1{state[1:]}"},
        {"state": state},
        {"state": state, "error": "access_denied"},
        {"code": code, "state": state, "iss": "https://evil.test"},
        {"code": "another", "state": state},
    ):
        answer = await traveller.person.get(path, params=query)
        assert answer.status_code == 403 and "postrider-session" not in cookies_of(answer), query


async def test_where_the_issuer_is_announced_it_has_to_come(provider: Provider, traveller: Traveller) -> None:
    provider.metadata = {"authorization_response_iss_parameter_supported": True}
    back = await traveller.sign_in_there(await traveller.leave())
    assert (await traveller.person.get(back.partition("&iss=")[0])).status_code == 403


async def test_a_state_does_not_last(traveller: Traveller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postrider.doors.web.entrance._JOURNEY_MS", -1)
    assert (await traveller.travel()).status_code == 403


async def test_a_provider_that_calls_itself_otherwise_is_not_used(provider: Provider, traveller: Traveller) -> None:
    provider.metadata = {"issuer": "https://evil.test"}
    answer = await traveller.person.get("/sign-in/provider")
    assert answer.status_code == 502 and "cannot be used just now" in answer.text


async def test_where_private_hosts_are_not_allowed_a_private_provider_is_not_reached(
    tmp_path: Path, provider: Provider
) -> None:
    strict = load_settings(
        {
            "POSTRIDER_DATA_DIR": str(tmp_path / "strict"),
            "POSTRIDER_OIDC_ISSUER": provider.issuer,
            "POSTRIDER_OIDC_CLIENT_ID": CLIENT_ID,
        }
    )
    app = build(strict)
    async with person_at(app) as person:
        assert (await person.get("/sign-in/provider")).status_code == 502
    assert provider.asked == []
    await app.close()


async def test_twenty_returns_at_once_sign_nobody_in_twice(provider: Provider, traveller: Traveller) -> None:
    back = await traveller.sign_in_there(await traveller.leave())
    answers = await asyncio.gather(*(traveller.person.get(back) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [303] + [403] * 19


async def test_without_the_settings_there_is_no_such_way(house: Installation) -> None:
    ports = {kind: port for kind, port in house.app.ports.items() if kind is not IdentityProvider}
    async with person_at(replace(house.app, ports=ports)) as person:
        assert "Sign in with Example" not in (await person.get("/sign-in")).text
        assert (await person.get("/sign-in/provider")).status_code == 404


@pytest.mark.parametrize(
    "given",
    [
        {"OIDC_ISSUER": "https://id.example.com"},
        {"OIDC_CLIENT_ID": "postrider"},
        {"OIDC_CLIENT_SECRET": "only"},
        {"OIDC_ISSUER": "id.example.com", "OIDC_CLIENT_ID": "postrider"},
    ],
)
def test_half_a_setting_is_refused_without_showing_the_secret(given: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="OIDC") as refused:
        load_settings({f"POSTRIDER_{name}": value for name, value in given.items()})
    assert "only" not in str(refused.value).replace("_only", "")
