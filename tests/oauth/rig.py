"""An app that asks, a browser that a person sits at, and the MCP door: all by HTTP, against the whole application."""

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from sqlalchemy import func, select
from starlette.types import ASGIApp

from postrider.access.queries import NewOwner
from postrider.access.sessions import begin_session
from postrider.grants.tables import AuthorizationCode, Grant, OAuthClient, Token
from postrider.storage.leases import wall_ms_now
from tests.conftest import Installation

ORIGIN = "http://127.0.0.1:8025"
RESOURCE = f"{ORIGIN}/mcp"
REDIRECT = "https://app.test/callback"
STATE = "a state, to be given back & unchanged"
ALL = "read prepare send delete administer"


def verifier_and_challenge() -> tuple[str, str]:
    verifier = secrets.token_urlsafe(48)
    return verifier, base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def answer_in(location: str) -> dict[str, str]:
    """The parameters that a redirect brings back."""
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


@dataclass
class Page:
    """A page with one form, as far as a test looks at it."""

    text: str
    action: str
    fields: dict[str, list[str]]

    @classmethod
    def of(cls, answer: httpx.Response) -> "Page":
        found = re.search(r'<form[^>]*action="([^"]*)"', answer.text)
        assert found, answer.text
        fields: dict[str, list[str]] = {}
        for tag in re.findall(r"<input[^>]*>", answer.text):
            parts = dict(re.findall(r'(\w+)="([^"]*)"', tag))
            ticked = parts.get("type") not in ("checkbox", "radio") or " checked" in tag
            if ticked and "name" in parts:
                fields.setdefault(unescape(parts["name"]), []).append(unescape(parts.get("value", "")))
        return cls(answer.text, unescape(found.group(1)), fields)


@dataclass
class Tokens:
    """What an app holds once it is connected."""

    client_id: str
    access: str
    refresh: str
    scope: str


@dataclass
class OAuthRig:
    """``http``: programs. ``browser``: keeps cookies, and nobody is signed in there at first."""

    installation: Installation
    app: ASGIApp
    http: httpx.AsyncClient
    browser: httpx.AsyncClient
    asked: dict[str, str] = field(default_factory=dict)

    async def sign_in(self, owner: NewOwner | None = None) -> None:
        """Puts a session of the person's into the browser."""
        who = owner or self.installation.ann
        app = self.installation.app
        key = app.vault.derive("web-sessions")
        token = await app.database.write(lambda s: begin_session(s, key, who.user_id, wall_ms_now()))
        self.browser.cookies.set("postrider-session", token.reveal(), domain="127.0.0.1")

    async def register(self, *redirect_uris: str, **metadata: Any) -> dict[str, Any]:
        body = {"client_name": "Test app", "redirect_uris": list(redirect_uris or (REDIRECT,)), **metadata}
        answer = await self.http.post("/oauth/register", json=body)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def request(self, client_id: str, challenge: str, /, **changes: str | None) -> str:
        """The address that an app sends the browser to; None leaves a parameter out."""
        asked: dict[str, str | None] = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": REDIRECT,
            "scope": ALL,
            "state": STATE,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "resource": RESOURCE,
            **changes,
        }
        return "/oauth/authorize?" + urlencode({name: value for name, value in asked.items() if value is not None})

    async def consent(self, address: str, **changes: list[str]) -> httpx.Response:
        """What the server answers to the form of the page at ``address``, some of its fields changed."""
        page = Page.of(await self.browser.get(address))
        fields = {**page.fields, "decision": ["allow"], **changes}
        return await self.browser.post(page.action, data=fields)

    async def code(self, client_id: str, challenge: str, **changes: str | None) -> str:
        """A code, consented to by whoever is signed in at the browser."""
        answer = await self.consent(self.request(client_id, challenge, **changes))
        assert answer.status_code == 303, answer.text
        return answer_in(answer.headers["location"])["code"]

    async def redeem(self, client_id: str, code: str, verifier: str, /, **changes: str | None) -> httpx.Response:
        form: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "client_id": client_id,
            "code": code,
            "redirect_uri": REDIRECT,
            "code_verifier": verifier,
            "resource": RESOURCE,
            **changes,
        }
        return await self.http.post("/oauth/token", data={name: value for name, value in form.items() if value})

    async def refresh(self, tokens: Tokens, **changes: str) -> httpx.Response:
        form = {"grant_type": "refresh_token", "client_id": tokens.client_id, "refresh_token": tokens.refresh}
        return await self.http.post("/oauth/token", data={**form, **changes})

    async def connected(
        self, *, scope: str = ALL, client_id: str | None = None, redirect_uri: str = REDIRECT, **form: list[str]
    ) -> Tokens:
        """An app (a new one, else ``client_id`` once more) that a person has let in, with its tokens.

        ``form``: what is changed on the consent page.
        """
        client = client_id or (await self.register())["client_id"]
        verifier, challenge = verifier_and_challenge()
        address = self.request(client, challenge, scope=scope, redirect_uri=redirect_uri)
        code = answer_in((await self.consent(address, **form)).headers["location"])["code"]
        return tokens_in(client, await self.redeem(client, code, verifier, redirect_uri=redirect_uri))

    async def mcp(
        self, token: str | None, tool: str = "list_tags", path: str = "/mcp", **headers: str
    ) -> httpx.Response:
        """One modern tools/call with ``token`` and no arguments; its answer as it came."""
        return await self.mcp_with(token, tool, {}, path, **headers)

    async def mcp_with(
        self, token: str | None, tool: str, arguments: dict[str, Any], path: str = "/mcp", **headers: str
    ) -> httpx.Response:
        """The same with arguments."""
        meta = {
            "protocolVersion": "2026-07-28",
            "clientInfo": {"name": "test", "version": "1"},
            "clientCapabilities": {},
        }
        params = {
            "name": tool,
            "arguments": arguments,
            "_meta": {f"io.modelcontextprotocol/{name}": value for name, value in meta.items()},
        }
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        routing = {
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": "tools/call",
            "Mcp-Name": tool,
        }
        credential = {} if token is None else {"Authorization": f"Bearer {token}"}
        return await self.http.post(path, json=message, headers=routing | credential | headers)

    async def count(self, table: type[Any]) -> int:
        found = await self.installation.app.database.read(lambda s: s.scalar(select(func.count()).select_from(table)))
        assert isinstance(found, int)
        return found

    async def grants(self) -> list[Grant]:
        return await self.installation.app.database.read(lambda s: list(s.scalars(select(Grant).order_by(Grant.id))))


def tokens_in(client_id: str, answer: httpx.Response) -> Tokens:
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return Tokens(client_id, body["access_token"], body["refresh_token"], body["scope"])


TABLES = (OAuthClient, Grant, AuthorizationCode, Token)
