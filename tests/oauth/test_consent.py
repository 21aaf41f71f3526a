"""What a person is shown, and that nothing but their own yes to just that gives an app anything (O9)."""

from dataclasses import replace

import pytest
from sqlalchemy import update

from postrider.access.queries import create_workspace
from postrider.access.tables import Membership
from postrider.dispatch import Call
from postrider.grants.tables import AuthorizationCode, Grant, OAuthClient
from postrider.kernel.errors import Forbidden
from tests.conftest import Installation
from tests.oauth.conftest import on_one_database, rig_of
from tests.oauth.rig import ALL, REDIRECT, STATE, OAuthRig, Page, answer_in, verifier_and_challenge


async def asked(oauth: OAuthRig, **changes: str | None) -> tuple[str, Page]:
    """The address of a fresh app's request, and the page there."""
    client_id = (await oauth.register())["client_id"]
    address = oauth.request(client_id, verifier_and_challenge()[1], **changes)
    return address, Page.of(await oauth.browser.get(address))


@on_one_database
async def test_the_page_says_who_asks_for_what_and_where_the_answer_goes(oauth: OAuthRig) -> None:
    client_id = (await oauth.register(client_name="Ann's <b>Outlook</b>"))["client_id"]
    address = oauth.request(client_id, "A" * 43, scope="read send")
    page = await oauth.browser.get(address)
    assert page.status_code == 200
    for shown in ("Ann&#39;s &lt;b&gt;Outlook&lt;/b&gt;", "app.test", "Nobody has checked this name", "ann@ann.test"):
        assert shown in page.text, shown
    assert Page.of(page).fields["scope"] == ["read", "send"]
    assert Page.of(page).fields["autonomy"] == ["confirm"]


@on_one_database
async def test_the_page_promises_no_more_than_an_app_gets(oauth: OAuthRig) -> None:
    _, page = await asked(oauth, scope="administer")
    assert "It makes no keys." in page.text and "make API keys" not in page.text
    app = replace(oauth.installation.actor(), kind="oauth_grant", autonomy="free")
    call = Call("create_api_key", {"name": "Mine", "scopes": ["read"]}, app)
    with pytest.raises(Forbidden) as refused:
        await oauth.installation.app.dispatcher.call(call)
    assert refused.value.error_code == "APP_MAKES_NO_KEYS"


@on_one_database
async def test_no_page_can_frame_it_and_nothing_in_it_runs(oauth: OAuthRig) -> None:
    address, _ = await asked(oauth)
    for answer in (await oauth.browser.get(address), await oauth.browser.get("/oauth/authorize")):
        policy = answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy and "default-src 'none'" in policy
        assert answer.headers["x-frame-options"] == "DENY" and answer.headers["cache-control"] == "no-store"
    assert (await oauth.browser.get(address)).headers["content-security-policy"].count("form-action 'self'") == 1


@on_one_database
async def test_nobody_who_is_not_signed_in_is_shown_or_gives_anything(oauth: OAuthRig) -> None:
    address, page = await asked(oauth)
    oauth.browser.cookies.clear()
    shown = await oauth.browser.get(address)
    given = await oauth.browser.post(page.action, data={**page.fields, "decision": ["allow"]})
    for answer in (shown, given):
        assert answer.status_code == 303 and answer.headers["location"].startswith("/sign-in?next=%2Foauth%2F")
    assert await oauth.count(AuthorizationCode) == 0


@on_one_database
async def test_a_form_without_its_token_or_of_another_session_gives_nothing(oauth: OAuthRig) -> None:
    address, page = await asked(oauth)
    yes = {**page.fields, "decision": ["allow"]}
    bare = await oauth.browser.post(page.action, data={name: yes[name] for name in yes if name != "csrf"})
    await oauth.sign_in(oauth.installation.bob)
    other = await oauth.browser.post(page.action, data=yes)
    other_csrf = Page.of(await oauth.browser.get(address)).fields["csrf"]
    mixed = await oauth.browser.post(page.action, data={**yes, "csrf": other_csrf})
    assert (bare.status_code, other.status_code) == (403, 403)
    assert mixed.status_code == 200 and "Look again" in mixed.text
    assert await oauth.count(AuthorizationCode) == 0


@on_one_database
@pytest.mark.parametrize(
    "changes",
    [
        {"scope": ALL},
        {"redirect_uri": "https://app.test/other"},
        {"code_challenge": "B" * 43},
        {"state": "another"},
        {"client_id": "{other}"},
    ],
    ids=lambda changes: next(iter(changes)),
)
async def test_a_yes_to_one_request_is_none_to_another(oauth: OAuthRig, changes: dict[str, str]) -> None:
    first, other = [(await oauth.register(REDIRECT, "https://app.test/other"))["client_id"] for _ in range(2)]
    shown = Page.of(await oauth.browser.get(oauth.request(first, "A" * 43, scope="read")))
    meant = {
        "client_id": first,
        "challenge": "A" * 43,
        "scope": "read",
        **{name: value.replace("{other}", other) for name, value in changes.items()},
    }
    client_id, challenge = meant.pop("client_id"), meant.pop("challenge")
    answer = await oauth.browser.post(
        oauth.request(client_id, challenge, **meant), data={**shown.fields, "decision": ["allow"]}
    )
    assert answer.status_code == 200 and "Look again" in answer.text
    assert await oauth.count(AuthorizationCode) == 0


@on_one_database
async def test_a_name_that_changed_since_has_to_be_seen_again(oauth: OAuthRig) -> None:
    _, page = await asked(oauth)
    renamed = update(OAuthClient).values(name="Another name")
    await oauth.installation.app.database.write(lambda s: s.execute(renamed) and None)
    answer = await oauth.browser.post(page.action, data={**page.fields, "decision": ["allow"]})
    assert answer.status_code == 200 and "Look again" in answer.text and "Another name" in answer.text


@on_one_database
async def test_a_page_that_was_shown_long_ago_has_to_be_seen_again(oauth: OAuthRig) -> None:
    _, page = await asked(oauth)
    stamp, _, seal = page.fields["seen"][0].partition(".")
    for seen in ("", "x", f"1.{seal}", f"{int(stamp) + 1}.{seal}", f"{stamp}.", "9" * 400 + "." + seal):
        answer = await oauth.browser.post(page.action, data={**page.fields, "seen": seen, "decision": ["allow"]})
        assert answer.status_code == 200 and "Look again" in answer.text, seen
    assert await oauth.count(AuthorizationCode) == 0


async def test_each_sign_in_of_an_app_is_asked_for_anew(oauth: OAuthRig) -> None:
    first = await oauth.connected(scope="read")
    again = await oauth.browser.get(oauth.request(first.client_id, "A" * 43, scope="read"))
    assert again.status_code == 200 and "decision" in again.text


async def test_a_person_may_give_less(oauth: OAuthRig) -> None:
    client_id = (await oauth.register())["client_id"]
    verifier, challenge = verifier_and_challenge()
    chosen = {"scope": ["send"], "autonomy": ["draft"], "daily_sends": ["40"], "toolset": ["leads", "tags"]}
    answer = await oauth.consent(oauth.request(client_id, challenge), **chosen)
    given = await oauth.redeem(client_id, answer_in(answer.headers["location"])["code"], verifier)
    (grant,) = await oauth.grants()
    assert given.json()["scope"] == "read prepare send toolset:leads toolset:tags"
    assert (grant.scopes, grant.toolsets, grant.autonomy) == (["send"], ["leads", "tags"], "draft")
    assert (grant.daily_sends, grant.first_day_sends) == (40, 100)


@on_one_database
@pytest.mark.parametrize(
    "chosen",
    [
        {"scope": ["read", "administer"]},
        {"scope": []},
        {"scope": ["nonsense"]},
        {"workspace": ["ws_00000000000000000000000000"]},
        {"autonomy": ["everything"]},
        {"toolset": ["nowhere"]},
        {"toolset": ["inbox"]},
        {"daily_sends": ["-1"]},
    ],
    ids=str,
)
async def test_a_person_may_not_give_what_was_not_offered(oauth: OAuthRig, chosen: dict[str, list[str]]) -> None:
    address, _ = await asked(oauth, scope="read prepare toolset:leads")
    answer = await oauth.consent(address, **chosen)
    assert answer.status_code == 200 and 'role="alert"' in answer.text
    assert await oauth.count(AuthorizationCode) == 0


@on_one_database
async def test_other_workspaces_cannot_be_given(oauth: OAuthRig) -> None:
    address, _ = await asked(oauth)
    answer = await oauth.consent(address, workspace=[oauth.installation.bob.workspace_id])
    assert answer.status_code == 200 and await oauth.count(AuthorizationCode) == 0


async def test_of_several_workspaces_the_chosen_one_is_reached_and_no_other(oauth: OAuthRig) -> None:
    app, ann = oauth.installation.app, oauth.installation.ann
    second = await app.database.write(
        lambda s: create_workspace(s, ann.user_id, "Ann's second", oauth.installation.clock.now()).id
    )
    tokens = await oauth.connected(workspace=[second])
    (grant,) = await oauth.grants()
    assert grant.workspace_id == second
    assert (await oauth.mcp(tokens.access, **{"X-Workspace-Id": second})).status_code == 200
    other = await oauth.mcp(tokens.access, **{"X-Workspace-Id": ann.workspace_id})
    assert other.status_code == 403 and "Workspace not found" in other.text


async def test_a_member_cannot_let_an_app_administer(oauth: OAuthRig) -> None:
    database = oauth.installation.app.database
    member = update(Membership).where(Membership.user_id == oauth.installation.ann.user_id).values(role="member")
    tokens = await oauth.connected()
    assert (await oauth.mcp(tokens.access, "list_connected_apps")).status_code == 200
    await database.write(lambda s: s.execute(member) and None)
    _, page = await asked(oauth)
    assert page.fields["scope"] == ["read", "prepare", "send", "delete"]
    async with rig_of(oauth.installation) as other:
        answer = await other.mcp(tokens.access, "list_connected_apps")
    assert answer.status_code == 403, "nor does one keep what its person may not do any more"
    fresh = await oauth.connected()
    assert "administer" not in fresh.scope
    assert (await oauth.mcp(fresh.access, "list_connected_apps")).status_code == 403


async def test_a_no_is_told_to_the_app_and_leaves_nothing(oauth: OAuthRig) -> None:
    address, _ = await asked(oauth)
    answer = await oauth.consent(address, decision=["deny"])
    told = answer_in(answer.headers["location"])
    assert answer.status_code == 303 and (told["error"], told["state"]) == ("access_denied", STATE)
    assert (await oauth.count(AuthorizationCode), await oauth.count(Grant)) == (0, 0)


@on_one_database
async def test_over_https_the_cookie_is_one_of_this_host_alone(installation: Installation) -> None:
    async with rig_of(installation, public_url="https://outreach.example.test") as oauth:
        client_id = (await oauth.register())["client_id"]
        address = oauth.request(client_id, "A" * 43, resource="https://outreach.example.test/mcp")
        await oauth.sign_in()
        host = {"Host": "outreach.example.test"}
        plain_cookie = await oauth.browser.get(address, headers=host)
        token = oauth.browser.cookies["postrider-session"]
        oauth.browser.cookies.clear()
        own = await oauth.browser.get(address, headers={**host, "Cookie": f"__Host-postrider-session={token}"})
    assert plain_cookie.status_code == 303, "a cookie that any neighbour could have set counts for nothing"
    assert own.status_code == 200 and "Test app" in own.text
