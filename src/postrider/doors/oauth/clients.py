"""How an app proves who it is at the token endpoints: by its secret, if it has one, else by its name alone."""

import base64
import binascii
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_plus

from starlette.requests import Request

from postrider.doors.oauth.answers import single
from postrider.doors.oauth.documents import Clients
from postrider.doors.web.forms import Form
from postrider.grants.rules import document_problem, is_document
from postrider.kernel.errors import InvalidInput, Unauthenticated

_HINT: Final = "The app's id or secret is not right."


@dataclass(frozen=True, slots=True)
class _Claimed:
    client_id: str
    secret: str | None


async def authenticate_client(request: Request, form: Form, clients: Clients, key: bytes) -> str:
    """The id of the app that calls. Raises: Unauthenticated, InvalidInput.

    An app that is known by its document is public; whether the document still stands there matters to nobody who holds
    a code or a token for it.
    """
    claimed = _claimed(request, form)
    if is_document(claimed.client_id):
        if claimed.secret is not None or document_problem(claimed.client_id) is not None:
            raise Unauthenticated(_HINT)
        return claimed.client_id
    client = await clients.known(claimed.client_id)
    if client is None or not client.holds(claimed.secret, key):
        raise Unauthenticated(_HINT)
    return client.id


def _claimed(request: Request, form: Form) -> _Claimed:
    in_form = single(form, "client_id")
    headers = request.headers.getlist("authorization")
    if not headers:
        if in_form is None:
            raise InvalidInput("The parameter client_id is missing.", field="client_id")
        return _Claimed(in_form, single(form, "client_secret"))
    if len(headers) > 1 or single(form, "client_secret") is not None:
        raise InvalidInput("The app has to prove who it is in one way.")
    basic = _basic(headers[0])
    if in_form not in (None, basic.client_id):
        raise InvalidInput("The app names itself twice, and differently.", field="client_id")
    return basic


def _basic(header: str) -> _Claimed:
    """Both parts are form-encoded inside. Source: RFC 6749 section 2.3.1."""
    scheme, _, text = header.partition(" ")
    try:
        name, colon, secret = base64.b64decode(text.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        name, colon, secret = "", "", ""
    if scheme.lower() != "basic" or not colon:
        raise Unauthenticated(_HINT)
    return _Claimed(unquote_plus(name), unquote_plus(secret) or None)
