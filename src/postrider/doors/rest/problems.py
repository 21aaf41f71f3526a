"""Errors as /v1 answers them: status, envelope and headers."""

from typing import Final

from starlette.responses import JSONResponse

from postrider.kernel.errors import (
    ConfirmationNeeded,
    Conflict,
    Forbidden,
    InvalidInput,
    LimitReached,
    NotFound,
    PostriderError,
    Unauthenticated,
    Upstream,
)

STATUSES: Final[dict[type[PostriderError], int]] = {
    InvalidInput: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    ConfirmationNeeded: 409,
    LimitReached: 429,
    Upstream: 502,
}


class MethodNotAllowed(PostriderError):
    """The path exists, the method does not."""

    code = "METHOD_NOT_ALLOWED"


class BodyTooLarge(PostriderError):
    """The body passes the limit of this path."""

    code = "BODY_TOO_LARGE"


class TooSlow(PostriderError):
    """The body did not arrive in time."""

    code = "REQUEST_TIMEOUT"


class WrongHost(PostriderError):
    """The request is addressed to a host that this server is not."""

    code = "WRONG_HOST"


class ForeignOrigin(PostriderError):
    """A page of another site sent the request."""

    code = "FOREIGN_ORIGIN"


_TRANSPORT: Final[dict[type[PostriderError], int]] = {
    MethodNotAllowed: 405,
    TooSlow: 408,
    BodyTooLarge: 413,
    WrongHost: 421,
    ForeignOrigin: 403,
}


def status_of(error: PostriderError) -> int:
    """The HTTP status of ``error``: that of its nearest class in the table."""
    table = STATUSES | _TRANSPORT
    return next((table[kind] for kind in type(error).__mro__ if kind in table), 500)


def problem_response(error: PostriderError) -> JSONResponse:
    """The answer to a call that failed: what happened, the next step, and details for programs."""
    body: dict[str, object] = {"code": error.error_code, "message": error.message}
    if error.hint is not None:
        body["hint"] = error.hint
    if error.details:
        body["details"] = error.details
    response = JSONResponse({"success": False, "error": body}, status_of(error))
    if isinstance(error, LimitReached) and error.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, Unauthenticated):
        response.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, MethodNotAllowed):
        response.headers["Allow"] = ", ".join(error.details["allowed"])
    return response


def incident_response(incident: str) -> JSONResponse:
    """The answer after a bug: a number to quote, and nothing of the exception."""
    error = PostriderError(
        "Something went wrong on this server; it has been logged.",
        hint=f"Tell the operator the incident id {incident}. Check what was done before you call again.",
        details={"incident": incident},
    )
    return problem_response(error)
