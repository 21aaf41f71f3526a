"""Who issued it, said byte for byte the same everywhere (O4); and to which names the endpoints answer (M1)."""

from typing import Any

import pytest

from tests.conftest import Installation
from tests.oauth.conftest import on_one_database, rig_of
from tests.oauth.rig import ORIGIN, RESOURCE, STATE, OAuthRig, answer_in, verifier_and_challenge

PUBLIC = "https://outreach.example.test"
PATHS = ("", "/mcp", "/mcp/full", "/mcp/readonly", "/mcp/x/leads,inbox")


async def server_metadata(oauth: OAuthRig, **headers: str) -> dict[str, Any]:
    answer = await oauth.http.get("/.well-known/oauth-authorization-server", headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("public_url", [None, PUBLIC, "https://example.test:8443", "https://example.test/outreach"])
@on_one_database
async def test_success_and_error_redirects_name_the_issuer_of_the_metadata(
    installation: Installation, public_url: str | None
) -> None:
    async with rig_of(installation, public_url=public_url) as oauth:
        await oauth.sign_in()
        metadata = await server_metadata(oauth)
        issuer, resource = metadata["issuer"], f"{public_url or ORIGIN}/mcp"
        assert issuer == (public_url or ORIGIN) and metadata["authorization_response_iss_parameter_supported"] is True
        client_id = (await oauth.register())["client_id"]
        _, challenge = verifier_and_challenge()
        address = oauth.request(client_id, challenge, resource=resource)
        answers = {
            "yes": await oauth.consent(address),
            "no": await oauth.consent(address, decision=["deny"]),
            "error": await oauth.browser.get(oauth.request(client_id, challenge, response_type="token")),
        }
    for name, answer in answers.items():
        told = answer_in(answer.headers["location"])
        assert (told["iss"], told["state"]) == (issuer, STATE), name
        assert ("code" in told) == (name == "yes") and ("error" in told) == (name != "yes")
    assert answer_in(answers["no"].headers["location"])["error"] == "access_denied"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"response_mode": "form_post"}, "invalid_request"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"scope": "read toolset:nowhere"}, "invalid_scope"),
        ({"scope": "toolset:leads"}, "invalid_scope"),
        ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"),
        ({"request_uri": "https://app.test/request"}, "request_not_supported"),
        ({"resource": "https://other.test/mcp"}, "invalid_target"),
        ({"resource": f"{RESOURCE}/"}, "invalid_target"),
        ({"resource": f"{RESOURCE}/full"}, "invalid_target"),
        ({"resource": RESOURCE.upper()}, "invalid_target"),
        ({"resource": ORIGIN}, "invalid_target"),
        ({"state": "x" * 2_001}, "invalid_request"),
    ],
)
@on_one_database
async def test_what_is_wrong_is_told_to_the_app(oauth: OAuthRig, changes: dict[str, str | None], error: str) -> None:
    client_id = (await oauth.register())["client_id"]
    _, challenge = verifier_and_challenge()
    answer = await oauth.browser.get(oauth.request(client_id, challenge, **changes))
    assert answer.status_code == 302, answer.text
    told = answer_in(answer.headers["location"])
    assert (told["error"], told["iss"]) == (error, ORIGIN)


@pytest.mark.parametrize("name", ["response_type", "scope", "state", "code_challenge", "resource"])
@on_one_database
async def test_a_parameter_that_comes_twice_is_refused(oauth: OAuthRig, name: str) -> None:
    client_id = (await oauth.register())["client_id"]
    _, challenge = verifier_and_challenge()
    answer = await oauth.browser.get(oauth.request(client_id, challenge) + f"&{name}=second")
    assert answer_in(answer.headers["location"])["error"] == "invalid_request"


@on_one_database
async def test_scopes_of_other_servers_are_passed_over(oauth: OAuthRig) -> None:
    tokens = await oauth.connected(scope="openid read offline_access")
    assert tokens.scope == "read"


@on_one_database
async def test_without_a_scope_an_app_asks_for_little(oauth: OAuthRig) -> None:
    assert (await oauth.connected(scope="")).scope == "read prepare"


@pytest.mark.parametrize("path", PATHS)
@on_one_database
async def test_each_endpoint_has_metadata_that_names_the_canonical_resource(oauth: OAuthRig, path: str) -> None:
    answer = await oauth.http.get(f"/.well-known/oauth-protected-resource{path}")
    assert answer.json() == {
        "resource": RESOURCE,
        "authorization_servers": [ORIGIN],
        "scopes_supported": ["read", "prepare", "send", "delete", "administer"],
        "bearer_methods_supported": ["header"],
        "resource_name": "Postrider",
    }


@pytest.mark.parametrize("path", ["/mcp/nowhere", "/v1", "/mcp/x/", "/mcp/x/nothing", "/x"])
@on_one_database
async def test_what_is_no_endpoint_has_no_metadata(oauth: OAuthRig, path: str) -> None:
    for kind in ("protected-resource", "authorization-server"):
        assert (await oauth.http.get(f"/.well-known/oauth-{kind}{path}")).status_code == 404


@on_one_database
async def test_with_a_path_in_the_public_address_metadata_has_it_behind(installation: Installation) -> None:
    async with rig_of(installation, public_url="https://example.test/outreach") as oauth:
        server = await oauth.http.get("/.well-known/oauth-authorization-server/outreach")
        resource = await oauth.http.get("/.well-known/oauth-protected-resource/outreach/mcp")
        refused = await oauth.mcp(None)
    assert server.json()["issuer"] == "https://example.test/outreach"
    assert server.json()["token_endpoint"] == "https://example.test/outreach/oauth/token"
    assert resource.json()["resource"] == "https://example.test/outreach/mcp"
    wanted = "https://example.test/.well-known/oauth-protected-resource/outreach/mcp"
    assert f'resource_metadata="{wanted}"' in refused.headers["www-authenticate"]


@on_one_database
async def test_without_a_public_address_the_issuer_is_the_loopback_name_that_was_used(oauth: OAuthRig) -> None:
    for host in ("localhost:8025", "127.0.0.1:8025", "[::1]:8025"):
        metadata = await server_metadata(oauth, Host=host)
        assert metadata["issuer"] == f"http://{host}"
        assert all(url.startswith(f"http://{host}/") for name, url in metadata.items() if name.endswith("_endpoint"))


async def test_a_token_of_one_loopback_name_is_no_token_of_another(oauth: OAuthRig) -> None:
    tokens = await oauth.connected()
    assert (await oauth.mcp(tokens.access, Host="localhost:8025")).status_code == 401
    assert (await oauth.mcp(tokens.access)).status_code == 200


@on_one_database
async def test_where_tokens_would_travel_in_clear_there_is_no_authorization(installation: Installation) -> None:
    async with rig_of(installation, public_url="http://outreach.example.test") as oauth:
        await oauth.sign_in()
        client_id = (await oauth.register())["client_id"]
        page = await oauth.browser.get(oauth.request(client_id, "A" * 43))
        refused = await oauth.mcp(None)
        for kind in ("protected-resource", "authorization-server"):
            assert (await oauth.http.get(f"/.well-known/oauth-{kind}")).status_code == 404
    assert page.status_code == 400 and "https" in page.text
    assert refused.headers["www-authenticate"] == "Bearer"


ENDPOINTS = (
    ("GET", "/.well-known/oauth-protected-resource/mcp"),
    ("GET", "/.well-known/oauth-authorization-server"),
    ("GET", "/oauth/authorize"),
    ("POST", "/oauth/authorize"),
    ("POST", "/oauth/token"),
    ("POST", "/oauth/register"),
    ("POST", "/oauth/revoke"),
    ("POST", "/mcp"),
)


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
@on_one_database
async def test_a_name_that_is_not_ours_is_refused_before_anything_is_read(
    oauth: OAuthRig, method: str, path: str
) -> None:
    for host in ("evil.test", "127.0.0.1.evil.test:8025", "evil.test@127.0.0.1:8025"):
        answer = await oauth.http.request(method, path, headers={"Host": host}, content=b"{not read")
        assert answer.status_code == 421, host


@pytest.mark.parametrize(("method", "path"), [each for each in ENDPOINTS if "well-known" not in each[1]])
@on_one_database
async def test_a_page_of_another_site_is_refused_and_may_read_nothing(oauth: OAuthRig, method: str, path: str) -> None:
    for origin in ("https://evil.test", "null", "http://127.0.0.1:9999"):
        answer = await oauth.http.request(method, path, headers={"Origin": origin}, content=b"{not read")
        assert answer.status_code == 403 and "access-control-allow-origin" not in answer.headers, origin


@on_one_database
async def test_pages_on_the_list_may_use_the_token_endpoints_and_the_door(installation: Installation) -> None:
    own, foreign = "https://inspector.example.test", "https://evil.test"
    async with rig_of(installation, cors_origins=(own,)) as oauth:
        for path in ("/oauth/token", "/oauth/register", "/oauth/revoke", "/mcp"):
            asks = {
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization, mcp-name",
            }
            leave = await oauth.http.options(path, headers={"Origin": own, **asks})
            assert leave.status_code == 204 and leave.headers["access-control-allow-origin"] == own, path
            assert leave.headers["access-control-allow-headers"] == "authorization, mcp-name"
            assert "access-control-allow-credentials" not in leave.headers
            none = await oauth.http.options(path, headers={"Origin": foreign, **asks})
            assert none.status_code == 403 and "access-control-allow-origin" not in none.headers, path
            answer = await oauth.http.post(path, headers={"Origin": own}, json={})
            assert answer.headers["access-control-allow-origin"] == own and answer.status_code in (400, 401)
            assert "WWW-Authenticate" in answer.headers["access-control-expose-headers"]
        page = await oauth.http.get("/oauth/authorize", headers={"Origin": own})
        assert page.status_code == 403, "a page that people look at is nobody else's to read"


@on_one_database
async def test_metadata_may_be_read_by_every_page_and_knows_no_cookie(oauth: OAuthRig) -> None:
    for kind in ("protected-resource", "authorization-server"):
        answer = await oauth.http.get(f"/.well-known/oauth-{kind}", headers={"Origin": "https://any.test"})
        assert answer.status_code == 200 and answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers
        assert answer.headers["cache-control"] == "public, max-age=300"
