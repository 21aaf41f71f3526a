"""Where an app's answers may go: the addresses that it named, character by character; a free port on loopback (O1)."""

import pytest

from postrider.grants.rules import redirect_matches, redirect_problem
from tests.oauth.conftest import on_one_database
from tests.oauth.rig import OAuthRig, verifier_and_challenge

WEB = "https://app.test/callback"
NATIVE = "http://127.0.0.1:8765/callback"
NATIVE_V6 = "http://[::1]/callback"
NAMED = "http://localhost:3000/cb?x=1"
REGISTERED = (WEB, NATIVE, NATIVE_V6, NAMED, "https://app.test/other?tenant=1")

FITTING = (
    WEB,
    NATIVE,
    "http://127.0.0.1:50123/callback",
    "http://127.0.0.1/callback",
    "http://[::1]:50123/callback",
    NATIVE_V6,
    "http://localhost:1/cb?x=1",
    "https://app.test/other?tenant=1",
)

FOREIGN = (
    "https://app.test/callback/",
    "https://app.test/callback/more",
    "https://app.test/callbac",
    "https://app.test/",
    "https://app.test",
    "https://app.test/callback?x=1",
    "https://app.test/callback?",
    "https://app.test/callback#",
    "https://app.test/callback#fragment",
    "https://app.test/Callback",
    "https://APP.test/callback",
    "HTTPS://app.test/callback",
    "https://app.test:443/callback",
    "https://app.test:8443/callback",
    "http://app.test/callback",
    "https://app.test./callback",
    "https://app.test.evil.test/callback",
    "https://evil.test/https://app.test/callback",
    "https://app.test@evil.test/callback",
    "https://user:pass@app.test/callback",
    "https://evil.test\\@app.test/callback",
    "https://app.test\\.evil.test/callback",
    "https://app.test/callback/../evil",
    "https://app.test/x/../callback",
    "https://app.test/./callback",
    "https://app.test/%63allback",
    "https://app.test//callback",
    " https://app.test/callback",
    "https://app.test/callback ",
    "https://app.test/callback\r\nX-Evil: 1",
    "https://app.test/callback%0d%0a",
    "//app.test/callback",
    "/callback",
    "https:app.test/callback",
    "javascript:alert(1)//https://app.test/callback",
    "data:text/html,https://app.test/callback",
    "https://app.test/other?tenant=2",
    "https://app.test/other",
    "https://аpp.test/callback",
    "http://127.0.0.1:50123/callback/",
    "http://127.0.0.1:50123/Callback",
    "http://127.0.0.1:50123/callback?x=1",
    "http://127.0.0.1:80@evil.test/callback",
    "http://127.0.0.1.evil.test:50123/callback",
    "http://127.0.0.2:50123/callback",
    "http://127.1:50123/callback",
    "http://0x7f000001/callback",
    "http://localhost:50123/callback",
    "http://localhost:1/cb?x=2",
    "http://127.0.0.1:0/callback",
    "http://127.0.0.1:65536/callback",
    "http://127.0.0.1:/callback",
    "https://127.0.0.1:8765/callback",
)

UNFIT = (
    "javascript:alert(1)",
    "data:text/html,x",
    "vbscript:x",
    "file:///etc/passwd",
    "blob:https://app.test/x",
    "myapp://callback",
    "com.example.app:/callback",
    "http://app.test/callback",
    "http://10.0.0.5/callback",
    "http://localhost.evil.test/callback",
    "https://user@app.test/callback",
    "https://app.test/callback#x",
    "https://app.test/a/../callback",
    "https://app.test/a/%2e%2E/callback",
    "https://*.app.test/callback",
    "https://app.test/*",
    "https:///callback",
    "https://app.test:99999/callback",
    "https://app.test/\x00",
    "https://app.test/" + "a" * 1_000,
    "",
    7,
    None,
)


@pytest.mark.parametrize("uri", FITTING)
def test_an_address_that_was_named_fits(uri: str) -> None:
    assert redirect_matches(REGISTERED, uri)


@pytest.mark.parametrize("uri", FOREIGN)
def test_any_other_address_does_not_fit(uri: str) -> None:
    assert not redirect_matches(REGISTERED, uri)


def test_what_was_stored_once_and_may_not_be_used_any_more_does_not_fit_itself() -> None:
    assert not redirect_matches(["http://app.test/callback"], "http://app.test/callback")
    assert redirect_problem(WEB) is None


@on_one_database
async def test_with_a_foreign_address_there_is_a_page_and_no_redirect(oauth: OAuthRig) -> None:
    client_id = (await oauth.register(*REGISTERED))["client_id"]
    _, challenge = verifier_and_challenge()
    for uri in FOREIGN:
        answer = await oauth.browser.get(oauth.request(client_id, challenge, redirect_uri=uri))
        assert answer.status_code == 400 and "location" not in answer.headers, uri
        assert answer.headers["content-type"].startswith("text/html")
    for uri in FITTING:
        answer = await oauth.browser.get(oauth.request(client_id, challenge, redirect_uri=uri))
        assert answer.status_code == 200 and "Test app" in answer.text, uri


@on_one_database
async def test_two_addresses_or_none_are_no_address(oauth: OAuthRig) -> None:
    client_id = (await oauth.register(WEB))["client_id"]
    _, challenge = verifier_and_challenge()
    twice = oauth.request(client_id, challenge, redirect_uri=WEB) + "&redirect_uri=https%3A%2F%2Fevil.test%2F"
    for address in (twice, oauth.request(client_id, challenge, redirect_uri=None)):
        answer = await oauth.browser.get(address)
        assert answer.status_code == 400 and "location" not in answer.headers


@pytest.mark.parametrize("uri", UNFIT, ids=lambda uri: str(uri)[:30])
@on_one_database
async def test_what_no_app_may_name_is_refused_at_registration(oauth: OAuthRig, uri: object) -> None:
    answer = await oauth.http.post("/oauth/register", json={"redirect_uris": [WEB, uri]})
    assert answer.status_code == 400 and answer.json()["error"] in ("invalid_redirect_uri", "invalid_request")


@on_one_database
async def test_an_unknown_app_gets_a_page_and_no_redirect(oauth: OAuthRig) -> None:
    _, challenge = verifier_and_challenge()
    for client_id in ("pr_app_unknown", "", "x" * 2_000, "a\x00b"):
        answer = await oauth.browser.get(oauth.request(client_id, challenge))
        assert answer.status_code in (400, 404) and "location" not in answer.headers


async def test_the_port_of_the_request_is_part_of_the_code(oauth: OAuthRig) -> None:
    client_id = (await oauth.register(NATIVE))["client_id"]
    verifier, challenge = verifier_and_challenge()
    asked = "http://127.0.0.1:50123/callback"
    code = await oauth.code(client_id, challenge, redirect_uri=asked)
    other = await oauth.redeem(client_id, code, verifier, redirect_uri=NATIVE)
    assert other.json()["error"] == "invalid_grant"
    assert (await oauth.redeem(client_id, code, verifier, redirect_uri=asked)).status_code == 200


@on_one_database
async def test_an_address_in_an_app_s_own_scheme_is_passed_over_beside_others(oauth: OAuthRig) -> None:
    own = "cursor://anysphere.cursor-mcp/oauth/callback"
    registered = await oauth.register(own, WEB)
    assert registered["redirect_uris"] == [WEB]
    _, challenge = verifier_and_challenge()
    answer = await oauth.browser.get(oauth.request(registered["client_id"], challenge, redirect_uri=own))
    assert answer.status_code == 400 and "location" not in answer.headers
    refused = await oauth.http.post("/oauth/register", json={"client_name": "App", "redirect_uris": [own]})
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_redirect_uri")


@pytest.mark.parametrize("uri", ["javascript://app.test/%0aalert(1)", "data://app.test/", "file://app.test/x"])
@on_one_database
async def test_beside_others_a_dangerous_scheme_is_still_refused(oauth: OAuthRig, uri: str) -> None:
    refused = await oauth.http.post("/oauth/register", json={"client_name": "App", "redirect_uris": [WEB, uri]})
    assert refused.status_code == 400
