"""Refresh tokens rotate; one that comes twice ends its family, with no time of grace (O8)."""

import asyncio

from sqlalchemy import update

from postrider.grants.tables import Token
from tests.oauth.rig import ALL, OAuthRig, tokens_in


async def test_of_twenty_refreshes_at_once_one_succeeds_and_the_family_ends(oauth: OAuthRig) -> None:
    tokens = await oauth.connected()
    answers = await asyncio.gather(*(oauth.refresh(tokens) for _ in range(20)))
    good = [answer for answer in answers if answer.status_code == 200]
    assert len(good) == 1
    fresh = tokens_in(tokens.client_id, good[0])
    assert (await oauth.refresh(fresh)).json()["error"] == "invalid_grant"
    for token in (tokens.access, fresh.access):
        assert (await oauth.mcp(token)).status_code == 401
    (grant,) = await oauth.grants()
    assert grant.revoked_reason == "a refresh token was presented twice"


async def test_each_refresh_gives_new_tokens_and_the_old_access_token_lasts(oauth: OAuthRig) -> None:
    first = await oauth.connected()
    second = tokens_in(first.client_id, await oauth.refresh(first))
    third = tokens_in(first.client_id, await oauth.refresh(second))
    assert len({each for tokens in (first, second, third) for each in (tokens.access, tokens.refresh)}) == 6
    for tokens in (first, second, third):
        assert (await oauth.mcp(tokens.access)).status_code == 200


async def test_reuse_after_one_rotation_ends_everything(oauth: OAuthRig) -> None:
    first = await oauth.connected()
    second = tokens_in(first.client_id, await oauth.refresh(first))
    assert (await oauth.refresh(first)).json()["error"] == "invalid_grant"
    assert (await oauth.refresh(second)).json()["error"] == "invalid_grant"
    assert (await oauth.mcp(second.access)).status_code == 401


async def test_another_app_gets_nothing_for_it_and_ends_nothing(oauth: OAuthRig) -> None:
    tokens, other = await oauth.connected(), (await oauth.register())["client_id"]
    assert (await oauth.refresh(tokens, client_id=other)).json()["error"] == "invalid_grant"
    assert (await oauth.refresh(tokens)).status_code == 200


async def test_an_access_token_can_be_narrowed_and_the_family_keeps_its_reach(oauth: OAuthRig) -> None:
    first = await oauth.connected(scope="read prepare send")
    narrow = tokens_in(first.client_id, await oauth.refresh(first, scope="read"))
    assert narrow.scope == "read"
    assert (await oauth.mcp(narrow.access, "list_tags")).status_code == 200
    assert (await oauth.mcp(narrow.access, "create_tag")).status_code == 403
    whole = tokens_in(first.client_id, await oauth.refresh(narrow))
    assert whole.scope == "read prepare send"


async def test_it_cannot_be_widened_and_asking_costs_nothing(oauth: OAuthRig) -> None:
    tokens = await oauth.connected(scope="read prepare toolset:leads")
    assert tokens.scope == "read prepare toolset:leads"
    for scope in (ALL, "send", "read", "read toolset:inbox", "read toolset:nowhere", "nonsense"):
        assert (await oauth.refresh(tokens, scope=scope)).json()["error"] == "invalid_scope", scope
    wrong = await oauth.refresh(tokens, resource="https://other.test/mcp")
    assert wrong.json()["error"] == "invalid_target"
    assert (await oauth.refresh(tokens, scope="read toolset:leads")).status_code == 200


async def test_one_that_has_run_out_is_refused(oauth: OAuthRig) -> None:
    tokens = await oauth.connected()
    month = update(Token).where(Token.kind == "refresh").values(expires_ms=Token.expires_ms - 30 * 86_400_000)
    await oauth.installation.app.database.write(lambda s: s.execute(month) and None)
    assert (await oauth.refresh(tokens)).json()["error"] == "invalid_grant"


async def test_what_has_run_out_is_swept_when_tokens_are_given(oauth: OAuthRig) -> None:
    old = await oauth.connected()
    for _ in range(3):
        old = tokens_in(old.client_id, await oauth.refresh(old))
    assert await oauth.count(Token) == 8
    age = update(Token).values(expires_ms=1)
    await oauth.installation.app.database.write(lambda s: s.execute(age) and None)
    await oauth.connected()
    assert await oauth.count(Token) == 2


async def test_an_access_token_is_no_refresh_token_and_the_other_way_round(oauth: OAuthRig) -> None:
    tokens = await oauth.connected()
    assert (await oauth.refresh(tokens, refresh_token=tokens.access)).json()["error"] == "invalid_grant"
    assert (await oauth.mcp(tokens.refresh)).status_code == 401
