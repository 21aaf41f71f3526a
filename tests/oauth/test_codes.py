"""A code works once, for a minute, for whom it was made; replayed, it ends what it gave (O2). PKCE is S256 (O3)."""

import asyncio

import pytest
from sqlalchemy import select, update

from postrider.access.tables import Membership
from postrider.audit.tables import AuditEvent
from postrider.grants.tables import AuthorizationCode, Grant, Token
from tests.oauth.conftest import on_one_database
from tests.oauth.rig import REDIRECT, RESOURCE, STATE, OAuthRig, answer_in, tokens_in, verifier_and_challenge

OTHER = "https://app.test/other"


async def test_of_fifty_redemptions_at_once_one_gets_tokens_and_then_the_family_is_revoked(oauth: OAuthRig) -> None:
    client_id = (await oauth.register())["client_id"]
    verifier, challenge = verifier_and_challenge()
    code = await oauth.code(client_id, challenge)
    answers = await asyncio.gather(*(oauth.redeem(client_id, code, verifier) for _ in range(50)))
    good = [answer for answer in answers if answer.status_code == 200]
    assert len(good) == 1
    assert {answer.status_code for answer in answers} <= {200, 400, 429}
    tokens = tokens_in(client_id, good[0])
    assert (await oauth.mcp(tokens.access)).status_code == 401
    assert (await oauth.refresh(tokens)).status_code in (400, 429)
    (grant,) = await oauth.grants()
    assert grant.revoked_at is not None and grant.revoked_reason == "its code was presented twice"
    assert await oauth.count(Token) == 0


async def test_a_replay_later_on_ends_the_grant_whoever_replays(oauth: OAuthRig) -> None:
    client_id, thief = [(await oauth.register())["client_id"] for _ in range(2)]
    verifier, challenge = verifier_and_challenge()
    code = await oauth.code(client_id, challenge)
    tokens = tokens_in(client_id, await oauth.redeem(client_id, code, verifier))
    assert (await oauth.mcp(tokens.access)).status_code == 200
    assert (await oauth.redeem(thief, code, "x" * 43)).json()["error"] == "invalid_grant"
    assert (await oauth.refresh(tokens)).json()["error"] == "invalid_grant"

    events = await oauth.installation.app.database.read(lambda s: list(s.scalars(select(AuditEvent))))
    assert [event.operation for event in sorted(events, key=lambda each: each.id)] == [
        "connect_app",
        "revoke_connected_app",
    ]
    assert {event.client_id for event in events} == {client_id}


async def test_a_code_for_one_is_nothing_for_another_and_stays_good_for_its_own(oauth: OAuthRig) -> None:
    client_id, other = [(await oauth.register(REDIRECT, OTHER))["client_id"] for _ in range(2)]
    verifier, challenge = verifier_and_challenge()
    code = await oauth.code(client_id, challenge)
    wrong = {
        "client": await oauth.redeem(other, code, verifier),
        "redirect": await oauth.redeem(client_id, code, verifier, redirect_uri=OTHER),
        "verifier": await oauth.redeem(client_id, code, verifier_and_challenge()[0]),
        "code": await oauth.redeem(client_id, code[:-1] + ("0" if code[-1] != "0" else "1"), verifier),
    }
    for name, answer in wrong.items():
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant"), name
    target = await oauth.redeem(client_id, code, verifier, resource="https://other.test/mcp")
    assert target.json()["error"] == "invalid_target"
    assert (await oauth.redeem(client_id, code, verifier)).status_code == 200


@pytest.mark.parametrize("left_out", ["code", "redirect_uri", "code_verifier", "grant_type", "client_id"])
@on_one_database
async def test_what_is_left_out_is_named(oauth: OAuthRig, left_out: str) -> None:
    client_id = (await oauth.register())["client_id"]
    verifier, challenge = verifier_and_challenge()
    code = await oauth.code(client_id, challenge)
    answer = await oauth.redeem(client_id, code, verifier, **{left_out: None})
    assert answer.status_code == 400 and answer.json()["error"] == "invalid_request"
    assert left_out in answer.json()["error_description"]


async def test_a_code_is_good_for_a_minute(oauth: OAuthRig) -> None:
    client_id = (await oauth.register())["client_id"]
    verifier, challenge = verifier_and_challenge()
    code = await oauth.code(client_id, challenge)
    database = oauth.installation.app.database

    def age(milliseconds: int) -> object:
        return update(AuthorizationCode).values(expires_ms=AuthorizationCode.expires_ms - milliseconds)

    row = await database.read(lambda s: s.scalars(select(AuthorizationCode)).one())
    assert row.digest != code.encode() and len(row.digest) == 32
    await database.write(lambda s: s.execute(age(60_000)) and None)  # type: ignore[call-overload]
    assert (await oauth.redeem(client_id, code, verifier)).json()["error"] == "invalid_grant"
    await database.write(lambda s: s.execute(age(-59_000)) and None)  # type: ignore[call-overload]
    assert (await oauth.redeem(client_id, code, verifier)).status_code == 200


async def test_somebody_who_left_the_workspace_meanwhile_connects_nothing(oauth: OAuthRig) -> None:
    client_id = (await oauth.register())["client_id"]
    verifier, challenge = verifier_and_challenge()
    code = await oauth.code(client_id, challenge)
    ann = oauth.installation.ann

    def leave(session: object) -> None:
        session.delete(session.get_one(Membership, (ann.workspace_id, ann.user_id)))  # type: ignore[attr-defined]

    await oauth.installation.app.database.write(leave)
    assert (await oauth.redeem(client_id, code, verifier)).json()["error"] == "invalid_grant"
    assert await oauth.count(Grant) == 0


GOOD = "A" * 43
DOWNGRADES: dict[str, dict[str, str | None]] = {
    "no challenge": {"code_challenge": None, "code_challenge_method": None},
    "no challenge, S256": {"code_challenge": None},
    "empty": {"code_challenge": ""},
    "no method": {"code_challenge_method": None},
    "plain": {"code_challenge_method": "plain"},
    "lower case": {"code_challenge_method": "s256"},
    "S512": {"code_challenge_method": "S512"},
    "too short": {"code_challenge": "A" * 42},
    "too long": {"code_challenge": "A" * 44},
    "padded": {"code_challenge": "A" * 42 + "="},
    "not base64url": {"code_challenge": "A" * 42 + "+"},
}


@pytest.mark.parametrize("changes", DOWNGRADES.values(), ids=DOWNGRADES.keys())
@on_one_database
async def test_without_s256_nobody_is_asked(oauth: OAuthRig, changes: dict[str, str | None]) -> None:
    client_id = (await oauth.register())["client_id"]
    answer = await oauth.browser.get(oauth.request(client_id, GOOD, **changes))
    assert answer.status_code == 302
    told = answer_in(answer.headers["location"])
    assert (told["error"], told["state"], told["iss"]) == ("invalid_request", STATE, "http://127.0.0.1:8025")
    assert "S256" in told["error_description"]


@pytest.mark.parametrize("verifier", ["", "short", "A" * 42, "A" * 129, "A" * 42 + " ", "Ä" * 43])
@on_one_database
async def test_what_is_no_verifier_opens_nothing(oauth: OAuthRig, verifier: str) -> None:
    client_id = (await oauth.register())["client_id"]
    _, challenge = verifier_and_challenge()
    code = await oauth.code(client_id, challenge)
    answer = await oauth.redeem(client_id, code, verifier)
    assert answer.status_code == 400 and answer.json()["error"] in ("invalid_grant", "invalid_request")


@on_one_database
async def test_the_challenge_itself_is_no_verifier(oauth: OAuthRig) -> None:
    client_id = (await oauth.register())["client_id"]
    _, challenge = verifier_and_challenge()
    code = await oauth.code(client_id, challenge)
    assert (await oauth.redeem(client_id, code, challenge)).json()["error"] == "invalid_grant"


@on_one_database
async def test_only_s256_is_announced(oauth: OAuthRig) -> None:
    metadata = (await oauth.http.get("/.well-known/oauth-authorization-server")).json()
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    assert metadata["response_types_supported"] == ["code"] and RESOURCE.startswith(metadata["issuer"])
