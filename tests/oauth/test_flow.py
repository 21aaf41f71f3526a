"""From nothing but an address to a call, and back out again."""

import re

from mcp.shared.auth import OAuthClientInformationFull, OAuthMetadata, ProtectedResourceMetadata

from tests.oauth.rig import (
    ALL,
    ORIGIN,
    REDIRECT,
    RESOURCE,
    STATE,
    OAuthRig,
    answer_in,
    verifier_and_challenge,
)


async def test_an_app_finds_its_way_from_a_401_to_a_call(oauth: OAuthRig) -> None:
    refused = await oauth.mcp(None)
    assert refused.status_code == 401
    metadata_url = re.search(r'resource_metadata="([^"]*)"', refused.headers["www-authenticate"])
    assert metadata_url is not None
    assert metadata_url[1] == f"{ORIGIN}/.well-known/oauth-protected-resource/mcp"
    resource = ProtectedResourceMetadata.model_validate((await oauth.http.get(metadata_url[1])).json())
    assert str(resource.resource) == RESOURCE and str(resource.authorization_servers[0]) == ORIGIN
    server_url = f"{resource.authorization_servers[0]}/.well-known/oauth-authorization-server"
    server = OAuthMetadata.model_validate((await oauth.http.get(server_url)).json())
    assert str(server.issuer) == ORIGIN

    client = OAuthClientInformationFull.model_validate(await oauth.register())
    verifier, challenge = verifier_and_challenge()
    back = await oauth.consent(oauth.request(client.client_id, challenge))
    assert back.status_code == 303 and back.headers["location"].startswith(REDIRECT + "?")
    answer = answer_in(back.headers["location"])
    assert answer == {"code": answer["code"], "state": STATE, "iss": ORIGIN}

    given = await oauth.redeem(client.client_id, answer["code"], verifier)
    assert given.headers["cache-control"] == "no-store"
    body = given.json()
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 3600, ALL)
    assert body["access_token"].startswith("pr_at_") and body["refresh_token"].startswith("pr_rt_")

    called = await oauth.mcp(body["access_token"])
    assert called.status_code == 200 and "interested" in called.text
