"""What programs are answered by the endpoints: JSON in the words of RFC 6749 section 5.2."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from postrider.doors.rest.problems import BodyTooLarge, TooSlow
from postrider.doors.web.forms import Form
from postrider.kernel.errors import InvalidInput, LimitReached, NotFound, PostriderError, Unauthenticated, Upstream

NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_CODES: Final[dict[type[PostriderError], tuple[int, str]]] = {
    InvalidInput: (400, "invalid_request"),
    Unauthenticated: (401, "invalid_client"),
    NotFound: (404, "invalid_request"),
    LimitReached: (429, "temporarily_unavailable"),
    TooSlow: (408, "invalid_request"),
    BodyTooLarge: (413, "invalid_request"),
    Upstream: (502, "temporarily_unavailable"),
}
_OWN: Final = ("INVALID_REDIRECT_URI", "INVALID_CLIENT_METADATA", "UNSUPPORTED_GRANT_TYPE", "INVALID_SCOPE")


def failure(status: int, error: str, description: str) -> JSONResponse:
    """A refusal."""
    return JSONResponse({"error": error, "error_description": description}, status, headers=NO_STORE)


def problem(error: PostriderError) -> JSONResponse:
    """A refusal for an error of ours."""
    status, word = next((found for kind, found in _CODES.items() if isinstance(error, kind)), (400, "invalid_request"))
    if error.error_code in _OWN:
        word = error.error_code.lower()
    response = failure(status, word, error.message)
    if isinstance(error, LimitReached) and error.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


def answering(handle: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """``handle`` with its errors answered as JSON."""

    async def answer(request: Request) -> Response:
        try:
            return await handle(request)
        except PostriderError as error:
            return problem(error)
        except ClientDisconnect:
            return Response(status_code=400)

    return answer


def single(form: Form, name: str) -> str | None:
    """The one value of a parameter; None when it is absent or empty. Raises: InvalidInput when it is repeated.

    Source: RFC 6749 section 3.1: without a value it is treated as omitted, and none may stand there twice.
    """
    values = form.fields.get(name, ())
    if len(values) > 1:
        raise InvalidInput(f"The parameter {name} stands there more than once.", field=name)
    return values[0] or None if values else None


def required(form: Form, name: str) -> str:
    """The one value of a parameter. Raises: InvalidInput."""
    value = single(form, name)
    if value is None:
        raise InvalidInput(f"The parameter {name} is missing.", field=name)
    return value


def document(body: Mapping[str, Any], max_age_seconds: int) -> JSONResponse:
    """A public document."""
    return JSONResponse(dict(body), headers={"Cache-Control": f"public, max-age={max_age_seconds}"})
