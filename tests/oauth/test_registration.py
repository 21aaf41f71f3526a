"""Apps that register themselves: bounded in rate and number, forgotten when nobody lets them in (O7)."""

import base64
import re
from typing import Any

import httpx
import pytest
from sqlalchemy import update
from starlette.applications import Starlette

from postrider.doors.oauth.bridge import oauth_routes
from postrider.doors.oauth.register import PER_CALLER, RegisterDoor
from postrider.grants.clients import MOST_UNUSED
from postrider.grants.tables import OAuthClient
from tests.conftest import Installation
from tests.oauth.conftest import on_one_database
from tests.oauth.rig import REDIRECT, RESOURCE, OAuthRig, tokens_in, verifier_and_challenge

BODY = {"client_name": "Flood", "redirect_uris": [REDIRECT]}


async def test_ten_thousand_registrations_by_one_caller_are_refused_with_a_time_to_wait(oauth: OAuthRig) -> None:
    good = [await oauth.http.post("/oauth/register", json=BODY) for _ in range(PER_CALLER)]
    assert {answer.status_code for answer in good} == {201}
    for _ in range(10_000 - PER_CALLER):
        answer = await oauth.http.post("/oauth/register", json=BODY)
        assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 3_600
    assert answer.json()["error"] == "temporarily_unavailable"
    assert re.fullmatch(r"Too many tries. Try again in (59|60) minutes.", answer.json()["error_description"])
    assert await oauth.count(OAuthClient) == PER_CALLER


async def test_callers_without_number_fill_it_to_the_cap_and_no_further(installation: Installation) -> None:
    door = RegisterDoor(installation.app, most_unused=20)
    app = Starlette(routes=oauth_routes(installation.app, register=door))
    statuses = []
    for number in range(60):
        transport = httpx.ASGITransport(app, client=(f"198.51.100.{number}", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8025") as http:
            statuses.append((await http.post("/oauth/register", json=BODY)).status_code)
    assert statuses == [201] * 20 + [429] * 40

    day = update(OAuthClient).values(created_ms=OAuthClient.created_ms - 86_400_001)
    await installation.app.database.write(lambda s: s.execute(day) and None)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8025") as http:
        assert (await http.post("/oauth/register", json=BODY)).status_code == 201
    rig = OAuthRig(installation, app, http, http)
    assert await rig.count(OAuthClient) == 1, "after a day without use they are gone"
    assert MOST_UNUSED == 1_000


async def test_an_app_that_somebody_let_in_is_not_forgotten(oauth: OAuthRig) -> None:
    tokens = await oauth.connected()
    month = update(OAuthClient).values(created_ms=OAuthClient.created_ms - 30 * 86_400_000)
    await oauth.installation.app.database.write(lambda s: s.execute(month) and None)
    await oauth.register()
    assert await oauth.count(OAuthClient) == 2
    assert (await oauth.refresh(tokens)).status_code == 200


async def test_the_answer_says_what_was_accepted(oauth: OAuthRig) -> None:
    said = {
        "client_name": "Nice\u202eapp \x07 name",
        "client_uri": "https://app.test",
        "logo_uri": "https://app.test/logo.png",
        "scope": "everything",
        "software_id": "x" * 500,
        "unknown": {"nested": True},
    }
    found = await oauth.register(**said)
    assert found["client_id"].startswith("pr_app_") and found["client_id_issued_at"] > 1_700_000_000
    del found["client_id"], found["client_id_issued_at"]
    assert found == {
        "client_name": "Niceapp name",
        "redirect_uris": [REDIRECT],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "scope": "read prepare send delete administer",
        "client_uri": "https://app.test",
    }


UNFIT: dict[str, Any] = {
    "no addresses": {},
    "not a list": {"redirect_uris": REDIRECT},
    "none": {"redirect_uris": []},
    "eleven": {"redirect_uris": [f"{REDIRECT}/{number}" for number in range(11)]},
    "method": {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "private_key_jwt"},
    "grant": {"redirect_uris": [REDIRECT], "grant_types": ["password"]},
    "implicit": {"redirect_uris": [REDIRECT], "response_types": ["token"]},
    "a list": [],
    "a text": "x",
}


@on_one_database
@pytest.mark.parametrize("body", UNFIT.values(), ids=UNFIT.keys())
async def test_what_does_not_fit_is_refused(oauth: OAuthRig, body: Any) -> None:
    answer = await oauth.http.post("/oauth/register", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"] in ("invalid_redirect_uri", "invalid_client_metadata", "invalid_request")
    assert await oauth.count(OAuthClient) == 0


@on_one_database
async def test_a_description_larger_than_16_kib_is_not_read(oauth: OAuthRig) -> None:
    answer = await oauth.http.post("/oauth/register", json={**BODY, "x": "y" * 17_000})
    assert answer.status_code == 413


@pytest.mark.parametrize("method", ["client_secret_post", "client_secret_basic"])
async def test_an_app_with_a_secret_has_to_know_it(oauth: OAuthRig, method: str) -> None:
    app = await oauth.register(token_endpoint_auth_method=method)
    client_id, secret = app["client_id"], app["client_secret"]
    assert app["client_secret_expires_at"] == 0 and app["token_endpoint_auth_method"] == method
    verifier, challenge = verifier_and_challenge()
    code = await oauth.code(client_id, challenge)
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": REDIRECT,
        "code_verifier": verifier,
        "resource": RESOURCE,
    }

    def basic(password: str) -> dict[str, str]:
        return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{password}".encode()).decode()}

    for wrong in ("guessed", secret[:-1], ""):
        posted = await oauth.http.post("/oauth/token", data={**form, "client_id": client_id, "client_secret": wrong})
        by_header = await oauth.http.post("/oauth/token", data=form, headers=basic(wrong))
        for answer in (posted, by_header):
            assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert by_header.headers["www-authenticate"].startswith("Basic")
    twice = await oauth.http.post("/oauth/token", data={**form, "client_secret": secret}, headers=basic(secret))
    other = await oauth.http.post("/oauth/token", data={**form, "client_id": "pr_app_other"}, headers=basic(secret))
    assert (twice.status_code, other.status_code) == (400, 400)
    if method == "client_secret_basic":
        answer = await oauth.http.post("/oauth/token", data=form, headers=basic(secret))
    else:
        answer = await oauth.http.post("/oauth/token", data={**form, "client_id": client_id, "client_secret": secret})
    tokens_in(client_id, answer)


@on_one_database
async def test_who_fails_at_the_token_endpoint_again_and_again_has_to_wait(oauth: OAuthRig) -> None:
    tokens = await oauth.connected()
    wrong = [await oauth.redeem(tokens.client_id, "pr_ac_guess", "A" * 43) for _ in range(21)]
    assert [answer.status_code for answer in wrong] == [400] * 20 + [429]
    assert 0 < int(wrong[-1].headers["retry-after"]) <= 60
    unknown = await oauth.redeem("pr_app_unknown", "pr_ac_guess", "A" * 43)
    assert unknown.status_code == 429
    assert (await oauth.refresh(tokens)).status_code == 200, "a good token is not kept waiting"
