"""An OpenID Connect provider on loopback: real keys, real endpoints, and told to misbehave where a test wants it."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT_ID: Final = "postrider"
CLIENT_SECRET: Final = "a secret of the client: with signs"
ANN: Final = {"sub": "1", "email": "Ann@ann.test", "email_verified": True}


@cache
def _key(name: str, number: int = 0) -> RSAKey:
    """A key of that name; making one takes a while."""
    return RSAKey.generate_key(2048, {"kid": name, "use": "sig"}, private=True)


@dataclass
class Provider:
    """One provider. ``person``: whoever signs in at it. ``claims``: changes the claims of its ID tokens.

    ``signs``: how its tokens are signed: RS256 (its own key), foreign (another one), none, or HS256 with the public
    key as the secret. ``asked``: the paths and bodies that came in.
    """

    issuer: str = ""
    person: dict[str, Any] = field(default_factory=lambda: dict(ANN))
    claims: Callable[[dict[str, Any]], dict[str, Any]] = lambda claims: claims
    signs: str = "RS256"
    metadata: dict[str, Any] = field(default_factory=dict)
    by_userinfo: bool = False
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.key, self.other = _key("one"), _key("one", 1)
        self.codes: dict[str, dict[str, str]] = {}

    def rotate(self) -> None:
        """Signs with a new key from now on."""
        self.key = _key("two")

    def app(self) -> Starlette:
        """Its endpoints."""
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._describe),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
                Route("/keys", self._keys),
                Route("/userinfo", self._userinfo),
            ]
        )

    async def _describe(self, request: Request) -> Response:
        base = self.issuer
        return JSONResponse(
            {
                "issuer": base,
                "authorization_endpoint": f"{base}/authorize?tenant=one",
                "token_endpoint": f"{base}/token",
                "jwks_uri": f"{base}/keys",
                "userinfo_endpoint": f"{base}/userinfo",
                **self.metadata,
            }
        )

    async def _authorize(self, request: Request) -> Response:
        """Signs the person in without asking, and sends the browser back."""
        query = dict(request.query_params)
        self.asked.append(("/authorize", query))
        code = f"code-{len(self.codes)}"
        self.codes[code] = query
        answer = {"code": code, "state": query["state"], "iss": self.issuer}
        return RedirectResponse(f"{query['redirect_uri']}?{urlencode(answer)}", 302)

    async def _token(self, request: Request) -> Response:
        fields = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        self.asked.append(("/token", fields | {"authorization": request.headers.get("authorization", "")}))
        asked = self.codes.pop(fields.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(fields.get("code_verifier", "").encode()).digest())
        if asked is None or asked["code_challenge"] != challenge.decode().rstrip("="):
            return JSONResponse({"error": "invalid_grant"}, 400)
        if asked["redirect_uri"] != fields.get("redirect_uri"):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        person = {"sub": self.person["sub"]} if self.by_userinfo else self.person
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": asked["nonce"], **person}
        return JSONResponse(
            {"access_token": "at-1", "token_type": "Bearer", "id_token": self._signed(self.claims(claims))}
        )

    async def _keys(self, request: Request) -> Response:
        self.asked.append(("/keys", {}))
        foreign = {"kty": "unheard of", "kid": "x"}
        return JSONResponse({"keys": [self.key.as_dict(private=False), foreign]})

    async def _userinfo(self, request: Request) -> Response:
        if request.headers.get("authorization") != "Bearer at-1":
            return JSONResponse({}, 401)
        return JSONResponse(self.person)

    def _signed(self, claims: dict[str, Any]) -> str:
        if self.signs == "none":
            head, body = ({"alg": "none", "typ": "JWT"}, claims)
            return ".".join(_part(each) for each in (head, body)) + "."
        if self.signs == "HS256":
            # By hand: the library refuses to take a public key for a secret.
            signed = f"{_part({'alg': 'HS256', 'kid': 'one'})}.{_part(claims)}"
            mac = hmac.digest(self.key.as_pem(private=False), signed.encode(), "sha256")
            return f"{signed}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
        key = self.other if self.signs == "foreign" else self.key
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, key)


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def path_of(url: str) -> str:
    """The path and query of an address."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"
