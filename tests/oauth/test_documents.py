"""Client ids that are addresses of documents: fetched carefully, believed for a while, and shown by their host (O6)."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from sqlalchemy import select, update

from postrider.adapters.client_documents import FetchedDocuments
from postrider.adapters.egress import Egress
from postrider.doors.oauth.documents import FETCHES_PER_HOST
from postrider.grants.ports import ClientDocuments
from postrider.grants.rules import document_problem
from postrider.grants.tables import OAuthClient
from tests.conftest import Installation
from tests.oauth.conftest import on_one_database, rig_of
from tests.oauth.document_servers import HOST, DocumentServer, Names, canary, document, document_server
from tests.oauth.rig import REDIRECT, OAuthRig, tokens_in, verifier_and_challenge

PORT = 8443
"""One that a document may be fetched from."""

INWARD: dict[str, str] = {
    "IPv4 loopback": "https://127.0.0.1:8443/app",
    "IPv6 loopback": "https://[::1]:8443/app",
    "decimal": "https://2130706433:8443/app",
    "octal": "https://0177.0.0.1:8443/app",
    "hexadecimal": "https://0x7f000001:8443/app",
    "short": "https://127.1:8443/app",
    "nothing": "https://0.0.0.0:8443/app",
    "mapped": "https://[::ffff:127.0.0.1]:8443/app",
    "name to loopback": "https://loopback.documents.test:8443/app",
    "name to IPv6 loopback": "https://loopback6.documents.test:8443/app",
    "name to both": "https://both.documents.test:8443/app",
    "name to metadata service": "https://metadata.documents.test:8443/app",
    "name to private network": "https://private.documents.test:8443/app",
    "name to unique local": "https://local6.documents.test:8443/app",
    "name to NAT64 loopback": "https://nat64.documents.test:8443/app",
    "name with a dot at its end": "https://loopback.documents.test.:8443/app",
    "localhost": "https://localhost:8443/app",
    "other port": "https://public.documents.test:22/app",
    "user name": "https://public.documents.test@127.0.0.1:8443/app",
    "backslash": "https://public.documents.test\\@127.0.0.1:8443/app",
    "http": "http://loopback.documents.test:8443/app",
    "file": "file:///etc/passwd",
    "no such name": "https://absent.documents.test:8443/app",
}
NAMES: dict[str, list[Sequence[str]]] = {
    "loopback.documents.test": [["127.0.0.1"]],
    "loopback6.documents.test": [["::1"]],
    "both.documents.test": [["8.8.8.8", "127.0.0.1"]],
    "metadata.documents.test": [["169.254.169.254"]],
    "private.documents.test": [["10.0.0.8"]],
    "local6.documents.test": [["fd00::1"]],
    "nat64.documents.test": [["64:ff9b::7f00:1"]],
    "localhost": [["127.0.0.1"]],
    "public.documents.test": [["127.0.0.1"]],
}


@on_one_database
@pytest.mark.parametrize("private_hosts", [False, True])
async def test_no_address_leads_inwards_whatever_the_settings_say(
    installation: Installation, private_hosts: bool
) -> None:
    fetcher = FetchedDocuments(Egress(False, Names(dict(NAMES))))
    async with (
        canary("127.0.0.1", PORT) as first,
        canary("::1", PORT) as second,
        rig_of(installation, ports={ClientDocuments: fetcher}, allow_private_hosts=private_hosts) as oauth,
    ):
        await oauth.sign_in()
        for name, url in INWARD.items():
            answer = await oauth.browser.get(oauth.request(url, "A" * 43))
            assert answer.status_code in (400, 429, 502) and "location" not in answer.headers, name
        assert (first.visits, second.visits) == (0, 0)


@on_one_database
async def test_the_adapter_of_an_installation_is_the_one_without_private_hosts(installation: Installation) -> None:
    adapter = installation.app.port(ClientDocuments)
    assert isinstance(adapter, FetchedDocuments)
    assert adapter._egress._allow_private is False


@dataclass
class Documented:
    """A rig whose names lead to a server of documents."""

    oauth: OAuthRig
    server: DocumentServer
    names: Names

    async def shown(self, url: str) -> Any:
        return await self.oauth.browser.get(self.oauth.request(url, "A" * 43))


@pytest.fixture
async def documented(installation: Installation, tmp_path: Path) -> AsyncIterator[Documented]:
    async with document_server(tmp_path) as server:
        names = Names({HOST: [["127.0.0.1"]], "other.documents.test": [["127.0.0.1"]]})
        async with rig_of(installation, ports={ClientDocuments: server.fetcher(names)}) as oauth:
            await oauth.sign_in()
            yield Documented(oauth, server, names)


async def test_an_app_is_let_in_by_its_document(documented: Documented) -> None:
    oauth, url = documented.oauth, documented.server.url("/app")
    documented.server.serves("/app", document(url))
    page = await documented.shown(url)
    assert page.status_code == 200 and f"{HOST}:{documented.server.port}" in page.text and "checked" in page.text
    verifier, challenge = verifier_and_challenge()
    code = await oauth.code(url, challenge)
    tokens = tokens_in(url, await oauth.redeem(url, code, verifier))
    assert (await oauth.mcp(tokens.access)).status_code == 200
    assert (await oauth.refresh(tokens)).status_code == 200
    assert documented.server.visits == ["/app"], "fetched once, and believed for a while"


async def test_the_secret_of_a_public_app_is_no_secret(documented: Documented) -> None:
    oauth, url = documented.oauth, documented.server.url("/app")
    documented.server.serves("/app", document(url))
    verifier, challenge = verifier_and_challenge()
    code = await oauth.code(url, challenge)
    answer = await oauth.redeem(url, code, verifier, client_secret="guessed")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_a_document_is_fetched_anew_when_it_is_old(documented: Documented) -> None:
    url = documented.server.url("/app")
    documented.server.serves("/app", document(url))
    await documented.shown(url)
    documented.server.serves("/app", document(url, client_name="Renamed app"))
    assert "Document app" in (await documented.shown(url)).text
    hour = update(OAuthClient).values(fetched_ms=OAuthClient.fetched_ms - 3_600_000)
    await documented.oauth.installation.app.database.write(lambda s: s.execute(hour) and None)
    assert "Renamed app" in (await documented.shown(url)).text
    documented.server.answers.clear()
    await documented.oauth.installation.app.database.write(lambda s: s.execute(hour) and None)
    assert (await documented.shown(url)).status_code == 502, "what is not there any more is not believed"


@on_one_database
async def test_for_somebody_who_has_not_signed_in_nothing_is_fetched(documented: Documented) -> None:
    url = documented.server.url("/app")
    documented.server.serves("/app", document(url))
    documented.oauth.browser.cookies.clear()
    answer = await documented.shown(url)
    assert answer.status_code == 303 and answer.headers["location"].startswith("/sign-in?next=%2Foauth%2Fauthorize")
    assert documented.server.visits == [] and documented.names.asked == []


UNFIT: dict[str, dict[str, Any]] = {
    "the id of another": {"client_id": "https://app.documents.test/other"},
    "the id with a slash more": {"client_id": "{url}/"},
    "no id": {"client_id": None},
    "no redirect address": {"redirect_uris": None},
    "an empty list": {"redirect_uris": []},
    "a text for a list": {"redirect_uris": REDIRECT},
    "an address that nobody may use": {"redirect_uris": [REDIRECT, "http://app.test/callback"]},
    "a script": {"redirect_uris": ["javascript:alert(1)"]},
    "too many addresses": {"redirect_uris": [f"{REDIRECT}/{number}" for number in range(11)]},
    "a secret": {"client_secret": "public"},
    "a secret method": {"token_endpoint_auth_method": "client_secret_basic"},
    "keys": {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://app.documents.test/keys"},
    "another grant": {"grant_types": ["client_credentials"]},
    "another answer": {"response_types": ["token"]},
}


@on_one_database
@pytest.mark.parametrize("changes", UNFIT.values(), ids=UNFIT.keys())
async def test_what_does_not_fit_is_not_believed(documented: Documented, changes: dict[str, Any]) -> None:
    url = documented.server.url("/app")
    said = {name: value.replace("{url}", url) if isinstance(value, str) else value for name, value in changes.items()}
    documented.server.serves("/app", document(url, **said))
    answer = await documented.shown(url)
    assert answer.status_code == 400 and "location" not in answer.headers
    assert await documented.oauth.count(OAuthClient) == 0


@on_one_database
async def test_what_is_no_document_is_not_believed(documented: Documented) -> None:
    server = documented.server
    good = document(server.url("/app"))
    async with canary() as other:
        rows = {
            "redirect": server.serves("/1", b"", "302 Found", Location=f"https://{HOST}:{other.port}/app"),
            "gzip": server.serves("/2", good, Content_Encoding="gzip"),
            "HTML": server.serves("/3", good, Content_Type="text/html"),
            "not JSON": server.serves("/4", b"{"),
            "a list": server.serves("/5", b"[]"),
            "too deep": server.serves("/6", b'{"a":' * 200 + b"1" + b"}" * 200),
            "twice": server.serves("/7", good[:-1] + b', "client_id": "x"}'),
            "not UTF-8": server.serves("/8", b'{"client_id": "\xff"}'),
            "too large": server.serves("/9", good + b" " * 65_536),
            "absent": server.url("/absent"),
        }
        for name, url in rows.items():
            answer = await documented.shown(url)
            assert answer.status_code in (400, 502), name
            assert "location" not in answer.headers and "127.0.0.1" not in answer.text, name
        assert other.visits == 0
    assert await documented.oauth.count(OAuthClient) == 0


@on_one_database
async def test_a_body_without_end_is_cut_off(documented: Documented) -> None:
    assert (await documented.shown(documented.server.url("/endless"))).status_code == 502
    assert documented.server.sent_bytes < 8 * 1024 * 1024


@on_one_database
async def test_a_slow_server_is_given_five_seconds(documented: Documented) -> None:
    start = monotonic()
    assert (await documented.shown(documented.server.url("/slow"))).status_code == 502
    assert 4.5 < monotonic() - start < 8


@on_one_database
async def test_a_certificate_for_another_name_is_refused(documented: Documented) -> None:
    documented.server.serves("/app", document(documented.server.url("/app", "other.documents.test")))
    assert (await documented.shown(documented.server.url("/app", "other.documents.test"))).status_code == 502
    assert documented.server.visits == []


@on_one_database
async def test_a_name_is_looked_up_once_and_the_address_that_was_checked_is_used(documented: Documented) -> None:
    async with canary("127.0.0.2", documented.server.port) as other:
        documented.names.answers[HOST] = [["127.0.0.1"], ["127.0.0.2"]]
        url = documented.server.url("/app")
        documented.server.serves("/app", document(url))
        assert (await documented.shown(url)).status_code == 200
        assert documented.names.asked == [HOST] and other.visits == 0


@on_one_database
async def test_one_host_is_not_asked_without_end(documented: Documented) -> None:
    answers = [await documented.shown(documented.server.url(f"/absent/{number}")) for number in range(FETCHES_PER_HOST)]
    assert {answer.status_code for answer in answers} == {502}
    answer = await documented.shown(documented.server.url("/absent/more"))
    assert answer.status_code == 429 and int(answer.headers["retry-after"]) > 0
    assert len(documented.server.visits) == FETCHES_PER_HOST


@pytest.mark.parametrize(
    "url",
    [
        "https://app.test",
        "https://app.test/",
        "https://app.test/app?x=1",
        "https://app.test/app?",
        "https://app.test/app#x",
        "https://app.test/a/../app",
        "http://127.0.0.1/app",
        "HTTPS://app.test/app",
        "https://user@app.test/app",
    ],
)
def test_not_every_address_is_one_of_a_document(url: str) -> None:
    assert document_problem(url) is not None
    assert document_problem("https://app.test/app") is None


async def test_documents_that_nobody_let_in_are_forgotten_after_a_day(documented: Documented) -> None:
    url = documented.server.url("/app")
    documented.server.serves("/app", document(url))
    await documented.shown(url)
    day = update(OAuthClient).values(created_ms=OAuthClient.created_ms - 86_400_001)
    await documented.oauth.installation.app.database.write(lambda s: s.execute(day) and None)
    registered = (await documented.oauth.register())["client_id"]
    kept = await documented.oauth.installation.app.database.read(lambda s: list(s.scalars(select(OAuthClient.id))))
    assert kept == [registered]
