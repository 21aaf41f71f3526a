"""How an app describes itself, at registration or in its metadata document: what is accepted of that, and kept."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NoReturn, get_args
from urllib.parse import urlsplit

from postrider.grants.rules import is_app_scheme, redirect_problem, shown_name
from postrider.kernel.errors import InvalidInput
from postrider.storage.base import JsonObject

AuthMethod = Literal["none", "client_secret_post", "client_secret_basic"]
AUTH_METHODS: Final[tuple[AuthMethod, ...]] = get_args(AuthMethod)
GRANT_TYPES: Final = ("authorization_code", "refresh_token")
BAD_REDIRECT: Final = "INVALID_REDIRECT_URI"
BAD_METADATA: Final = "INVALID_CLIENT_METADATA"
UNNAMED: Final = "An app without a name"
_MOST_REDIRECTS: Final = 10
_KEPT: Final = ("client_uri", "software_id", "software_version")
_LONGEST_KEPT: Final = 200


@dataclass(frozen=True, slots=True)
class Description:
    """What an app says of itself. ``details``: further facts that are kept; no address in them is ever fetched."""

    name: str
    redirect_uris: tuple[str, ...]
    auth_method: AuthMethod
    details: JsonObject = field(default_factory=dict)


def read_registration(found: Mapping[str, object]) -> Description:
    """The description in a registration request. Source: RFC 7591 section 2. Raises: InvalidInput."""
    name = found.get("client_name")
    method = found.get("token_endpoint_auth_method") or "none"
    if method not in AUTH_METHODS:
        _refuse("token_endpoint_auth_method", f"has to be one of {', '.join(AUTH_METHODS)}")
    _check_types(found)
    return Description(
        name=(shown_name(name) if isinstance(name, str) else "") or UNNAMED,
        redirect_uris=_redirect_uris(found),
        auth_method=next(each for each in AUTH_METHODS if each == method),
        details=_details(found),
    )


def read_document(url: str, found: Mapping[str, object]) -> Description:
    """The description in the metadata document at ``url``. Raises: InvalidInput.

    Source: draft-ietf-oauth-client-id-metadata-document, section 4.1.
    """
    if found.get("client_id") != url:
        _refuse("client_id", "has to be the address of the document, character by character")
    if "client_secret" in found or "client_secret_expires_at" in found:
        _refuse("client_secret", "cannot be part of a public document")
    if found.get("token_endpoint_auth_method", "none") != "none":
        _refuse("token_endpoint_auth_method", "has to be none; other ways are not offered for documents")
    _check_types(found)
    name = found.get("client_name")
    return Description(
        name=(shown_name(name) if isinstance(name, str) else "") or urlsplit(url).netloc,
        redirect_uris=_redirect_uris(found),
        auth_method="none",
        details=_details(found),
    )


def _redirect_uris(found: Mapping[str, object]) -> tuple[str, ...]:
    uris = found.get("redirect_uris")
    if not isinstance(uris, list) or not 0 < len(uris) <= _MOST_REDIRECTS:
        _refuse("redirect_uris", f"has to be a list of 1 to {_MOST_REDIRECTS} addresses", BAD_REDIRECT)
    kept: dict[str, None] = {}
    for place, uri in enumerate(uris):
        problem = redirect_problem(uri) if isinstance(uri, str) else "has to be a text"
        if problem is None:
            kept[uri] = None
        elif not isinstance(uri, str) or not is_app_scheme(uri):
            _refuse(f"redirect_uris[{place}]", problem, BAD_REDIRECT)
    if not kept:
        _refuse("redirect_uris", "has to hold an https address, or one on loopback", BAD_REDIRECT)
    return tuple(kept)


def _check_types(found: Mapping[str, object]) -> None:
    grants, answers = found.get("grant_types"), found.get("response_types")
    if grants is not None and (not isinstance(grants, list) or "authorization_code" not in grants):
        _refuse("grant_types", "has to contain authorization_code")
    if answers is not None and (not isinstance(answers, list) or "code" not in answers):
        _refuse("response_types", "has to contain code")


def _details(found: Mapping[str, object]) -> JsonObject:
    texts = {name: value for name in _KEPT if isinstance(value := found.get(name), str)}
    return {name: shown_name(value) for name, value in texts.items() if len(value) <= _LONGEST_KEPT}


def _refuse(field_name: str, problem: str, code: str = BAD_METADATA) -> NoReturn:
    raise InvalidInput(f"{field_name} {problem}.", code=code, field=field_name)
