"""Signing people in through an OpenID Connect provider: discovery, code flow with PKCE, a verified ID token.

Source: OpenID Connect Core 1.0, sections 3.1.2 and 3.1.3; Discovery 1.0, section 4; RFC 7636; RFC 9207.
"""

import hmac
import json
import time
from base64 import b64encode
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote, urlsplit

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from postrider.access.ports import Identity, Journey
from postrider.adapters.http import HttpClient, HttpRequest
from postrider.kernel.errors import Forbidden, Upstream
from postrider.kernel.secret import Secret

ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
)
"""With a public key. Never none, and never a shared secret: a provider's public key would be one."""

LEEWAY_SECONDS: Final = 60
_KEPT_SECONDS: Final = 3_600.0
_TIMEOUT_SECONDS: Final = 10.0
_MOST_BYTES: Final = 256 * 1024
_FORM: Final = "application/x-www-form-urlencoded"
_LONGEST_EMAIL: Final = 254
_LONGEST_SUBJECT: Final = 255


class OpenIdProvider:
    """Implements IdentityProvider."""

    def __init__(
        self,
        http: HttpClient,
        issuer: str,
        client_id: str,
        client_secret: Secret | None,
        name: str,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = http
        self._issuer = issuer
        self._client_id = client_id
        self._secret = client_secret
        self._name = name
        self._now = now
        self._known: dict[str, tuple[float, dict[str, Any]]] = {}

    @property
    def name(self) -> str:
        """See IdentityProvider.name."""
        return self._name

    async def way_there(self, journey: Journey) -> str:
        """See IdentityProvider.way_there."""
        endpoint = _address(await self._metadata(), "authorization_endpoint")
        if urlsplit(endpoint).scheme not in ("https", urlsplit(self._issuer).scheme):
            raise _unusable("Its sign-in page is not reached by https.")
        return str(
            prepare_grant_uri(
                endpoint,
                client_id=self._client_id,
                response_type="code",
                redirect_uri=journey.return_to,
                scope="openid email",
                state=journey.state,
                nonce=journey.nonce,
                code_challenge=create_s256_code_challenge(journey.verifier.reveal()),
                code_challenge_method="S256",
            )
        )

    async def identity(self, journey: Journey, code: str, issuer: str | None) -> Identity:
        """See IdentityProvider.identity."""
        metadata = await self._metadata()
        announced = metadata.get("authorization_response_iss_parameter_supported") is True
        if (issuer is not None and issuer != self._issuer) or (announced and issuer is None):
            raise _refused("The answer names another provider.")
        tokens = await self._tokens(metadata, journey, code)
        claims = await self._verified(metadata, str(tokens.get("id_token", "")), journey.nonce)
        if "email" not in claims and "userinfo_endpoint" in metadata:
            claims = claims | await self._userinfo(metadata, str(tokens.get("access_token", "")), claims["sub"])
        return Identity(self._issuer, claims["sub"], _verified_email(claims))

    async def _metadata(self) -> dict[str, Any]:
        base = self._issuer.removesuffix("/")
        metadata = await self._document(f"{base}/.well-known/openid-configuration")
        if metadata.get("issuer") != self._issuer:
            raise _unusable("It calls itself by another name than the settings do.")
        return metadata

    async def _tokens(self, metadata: dict[str, Any], journey: Journey, code: str) -> dict[str, Any]:
        headers = {"content-type": _FORM, "accept": "application/json"}
        fields = {"code": code, "code_verifier": journey.verifier.reveal()}
        methods = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if self._secret is None:
            fields["client_id"] = self._client_id
        elif "client_secret_basic" in methods:
            pair = f"{quote(self._client_id, safe='')}:{quote(self._secret.reveal(), safe='')}"
            headers["authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        else:
            fields |= {"client_id": self._client_id, "client_secret": self._secret.reveal()}
        body = prepare_token_request("authorization_code", redirect_uri=journey.return_to, **fields)
        endpoint = _address(metadata, "token_endpoint")
        status, answer = await self._ask("POST", endpoint, headers, body.encode())
        if status in (400, 401, 403):
            raise _refused("The provider did not accept the answer of its own page.")
        if status != 200:
            raise _unusable("It gave no token.")
        return answer

    async def _verified(self, metadata: dict[str, Any], token: str, nonce: str) -> dict[str, Any]:
        """The claims of an ID token that is the provider's, for us, for this journey and not over."""
        address = _address(metadata, "jwks_uri")
        try:
            try:
                decoded = jwt.decode(token, _keys(await self._document(address)), algorithms=ALGORITHMS)
            except (JoseError, ValueError):
                # The provider may have got new keys since.
                self._known.pop(address, None)
                decoded = jwt.decode(token, _keys(await self._document(address)), algorithms=ALGORITHMS)
            claims = CodeIDToken(
                decoded.claims,
                decoded.header,
                {
                    "iss": {"essential": True, "value": self._issuer},
                    "aud": {"essential": True, "value": self._client_id},
                    "sub": {"essential": True},
                },
                {"nonce": nonce, "client_id": self._client_id},
            )
            claims.validate(leeway=LEEWAY_SECONDS)
        except (JoseError, ValueError, TypeError, KeyError):
            raise _refused("The provider's word about you could not be verified.") from None
        subject, given = claims["sub"], claims.get("nonce")
        if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
            raise _refused("The provider's word was meant for somebody else's browser.")
        if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT:
            raise _refused("The provider did not say who you are.")
        return dict(claims)

    async def _userinfo(self, metadata: dict[str, Any], token: str, subject: str) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
        status, answer = await self._ask("GET", _address(metadata, "userinfo_endpoint"), headers, b"")
        if status != 200 or answer.get("sub") != subject:
            return {}
        return {name: answer[name] for name in ("email", "email_verified") if name in answer}

    async def _document(self, address: str) -> dict[str, Any]:
        until, known = self._known.get(address, (0.0, {}))
        if until > self._now():
            return known
        status, found = await self._ask("GET", address, {"accept": "application/json"}, b"")
        if status != 200:
            raise _unusable("It does not describe itself.")
        self._known[address] = (self._now() + _KEPT_SECONDS, found)
        return found

    async def _ask(self, method: str, url: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        request = HttpRequest(method, url, headers, body, _TIMEOUT_SECONDS, _MOST_BYTES)
        answer = await self._http.send(request)
        try:
            found = json.loads(answer.body)
        except (ValueError, RecursionError):
            found = None
        return answer.status, found if isinstance(found, dict) else {}


def _keys(document: dict[str, Any]) -> KeySet:
    """The keys that we understand; a provider may have others too."""
    keys = document.get("keys")
    usable = [key for key in keys if isinstance(key, dict) and key.get("kty") in ("RSA", "EC", "OKP")] if keys else []
    return KeySet.import_key_set({"keys": [key for key in usable if key.get("use", "sig") == "sig"]})


def _address(metadata: dict[str, Any], name: str) -> str:
    found = metadata.get(name)
    if not isinstance(found, str) or not found:
        raise _unusable("It does not say where it is asked.")
    return found


def _verified_email(claims: dict[str, Any]) -> str | None:
    email = claims.get("email")
    if claims.get("email_verified") is not True or not isinstance(email, str) or len(email) > _LONGEST_EMAIL:
        return None
    return email.strip().lower()


def _unusable(reason: str) -> Upstream:
    return Upstream(
        f"The sign-in provider cannot be used just now. {reason}",
        retryable=True,
        code="PROVIDER_UNUSABLE",
        hint="Try again, or sign in with a password. Whoever runs this server finds the setting in docs/people.md.",
    )


def _refused(reason: str) -> Forbidden:
    return Forbidden(f"{reason} You are not signed in.", code="NOT_VERIFIED", hint="Begin again at the sign-in page.")
