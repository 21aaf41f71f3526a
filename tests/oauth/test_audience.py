"""Only our own access tokens for this very resource are tokens (O5); and what a credential may, it may nowhere else."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from sqlalchemy import select, update

from postrider.grants.tables import Token
from postrider.storage.base import Base
from tests.oauth.conftest import on_one_database
from tests.oauth.rig import ORIGIN, REDIRECT, RESOURCE, OAuthRig, tokens_in, verifier_and_challenge


def _part(value: dict[str, Any] | bytes) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def minted(algorithm: str, key: bytes = b"", **claims: Any) -> str:
    """A JWT as an attacker makes it: what it claims is right unless it is changed."""
    now = int(time.time())
    body = {
        "iss": ORIGIN,
        "aud": RESOURCE,
        "sub": "usr_1",
        "scope": "read send",
        "exp": now + 600,
        "nbf": now,
        **claims,
    }
    head = f"{_part({'alg': algorithm, 'typ': 'at+jwt', 'kid': '1'})}.{_part(body)}"
    sealed = b"" if algorithm == "none" else hmac.digest(key, head.encode(), hashlib.sha256)
    return f"{head}.{_part(sealed)}"


FOREIGN: dict[str, str] = {
    "alg none": minted("none"),
    "HS256 with an empty key": minted("HS256"),
    "RS256 signed as HS256": minted("RS256", b"-----BEGIN PUBLIC KEY-----"),
    "other audience": minted("HS256", b"k", aud="https://other.test/mcp"),
    "other issuer": minted("HS256", b"k", iss="https://other.test"),
    "expired": minted("HS256", b"k", exp=1),
    "not yet": minted("HS256", b"k", nbf=2**40),
    "an ID token": minted("HS256", b"k", nonce="n", aud="pr_app_1"),
    "unknown, of our form": "pr_at_" + "0" * 32,
    "our prefix alone": "pr_at_",
    "very long": "pr_at_" + "0" * 10_000,
    "an unknown key": "sk_0123456789_" + "0" * 32,
    "nothing": "",
    "not ASCII": "pr_at_\u00e9",
}


@pytest.mark.parametrize("token", FOREIGN.values(), ids=FOREIGN.keys())
@on_one_database
async def test_what_we_did_not_issue_is_refused_with_the_way_to_ask(oauth: OAuthRig, token: str) -> None:
    answer = await oauth.http.post(
        "/mcp",
        headers={b"Authorization": f"Bearer {token}".encode()},
        json={"jsonrpc": "2.0", "id": 1, "method": "ping"},
    )
    assert answer.status_code == 401
    challenge = answer.headers["www-authenticate"]
    assert f'resource_metadata="{ORIGIN}/.well-known/oauth-protected-resource/mcp"' in challenge
    assert 'error="invalid_token"' in challenge and 'scope="read prepare"' in challenge
    assert token not in answer.text or not token


@pytest.mark.parametrize(
    "resource",
    ["https://other.test/mcp", f"{RESOURCE}/", f"{RESOURCE}/full", ORIGIN, "", "http://127.0.0.1:8026/mcp", "HTTP://x"],
)
@on_one_database
async def test_a_token_for_another_resource_is_refused(oauth: OAuthRig, resource: str) -> None:
    tokens = await oauth.connected()
    stored = await oauth.installation.app.database.read(lambda s: list(s.scalars(select(Token))))
    assert {token.resource for token in stored} == {RESOURCE}
    moved = update(Token).values(resource=resource)
    await oauth.installation.app.database.write(lambda s: s.execute(moved) and None)
    assert (await oauth.mcp(tokens.access)).status_code == 401


async def test_without_a_resource_it_is_the_canonical_one(oauth: OAuthRig) -> None:
    client_id = (await oauth.register())["client_id"]
    verifier, challenge = verifier_and_challenge()
    code = await oauth.code(client_id, challenge, resource=None)
    tokens = tokens_in(client_id, await oauth.redeem(client_id, code, verifier, resource=None))
    stored = await oauth.installation.app.database.read(lambda s: list(s.scalars(select(Token))))
    assert {token.resource for token in stored} == {RESOURCE}
    for path in ("/mcp", "/mcp/full", "/mcp/readonly", "/mcp/x/tags"):
        assert (await oauth.mcp(tokens.access, path=path)).status_code == 200, path


async def test_a_token_that_has_run_out_is_refused(oauth: OAuthRig) -> None:
    tokens = await oauth.connected()
    hour = update(Token).values(expires_ms=Token.expires_ms - 3_600_000)
    await oauth.installation.app.database.write(lambda s: s.execute(hour) and None)
    assert (await oauth.mcp(tokens.access)).status_code == 401


@on_one_database
async def test_a_token_counts_in_the_authorization_header_only(oauth: OAuthRig) -> None:
    token = (await oauth.connected()).access
    message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    elsewhere = [
        await oauth.http.post("/mcp", headers={"X-Api-Key": token}, json=message),
        await oauth.http.post(f"/mcp?access_token={token}", json=message),
        await oauth.http.post("/mcp", headers={"Cookie": f"access_token={token}"}, json=message),
        await oauth.http.post("/mcp", data={"access_token": token}),
    ]
    assert [answer.status_code for answer in elsewhere] == [401] * 4
    both = await oauth.http.post("/mcp", headers={"X-Api-Key": token, "Authorization": f"Bearer {token}"}, json=message)
    assert both.status_code == 401


@on_one_database
async def test_at_the_rest_door_it_is_no_credential(oauth: OAuthRig) -> None:
    token = (await oauth.connected()).access
    answer = await oauth.http.get("/v1/tags", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401 and answer.headers["www-authenticate"].startswith("Bearer")


async def test_an_api_key_goes_on_working_beside_it(oauth: OAuthRig) -> None:
    key = oauth.installation.ann.workspace_key.reveal()
    assert (await oauth.mcp(key)).status_code == 200
    assert (await oauth.mcp(None, **{"X-Api-Key": key})).status_code == 200


async def test_no_secret_of_it_stands_in_the_database(oauth: OAuthRig) -> None:
    secret_app = await oauth.register(token_endpoint_auth_method="client_secret_post")
    tokens = await oauth.connected()
    canaries = [tokens.access, tokens.refresh, secret_app["client_secret"]]

    def dump(session: Any) -> str:
        return repr([tuple(row) for table in Base.metadata.sorted_tables for row in session.execute(select(table))])

    rows = await oauth.installation.app.database.read(dump)
    assert REDIRECT in rows and not [canary for canary in canaries if canary in rows or canary[6:] in rows]
