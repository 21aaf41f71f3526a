"""The error tree. The domain raises these; each door words them for its client.

PostriderError
├ InvalidInput         a field does not fit
├ Unauthenticated      no or bad credential
├ Forbidden            scope or role is missing
├ NotFound             absent, or another workspace's
├ Conflict             the state forbids it; says which state
├ ConfirmationNeeded   policy wants a yes first
├ LimitReached         retry_after_seconds
└ Upstream             SMTP, IMAP, provider; retryable
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class PostriderError(Exception):
    """What a caller may be told: a stable code, a message for people, a next step, details for programs."""

    code: ClassVar[str] = "INTERNAL_ERROR"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str | None = None,
        field: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.error_code = code or self.code
        self.hint = hint
        self.field = field
        self.details: dict[str, Any] = dict(details or {})
        if field is not None:
            self.details.setdefault("field", field)


class InvalidInput(PostriderError):
    """A field does not fit: names the field, what is allowed, and what to do."""

    code = "VALIDATION_ERROR"


class Unauthenticated(PostriderError):
    """No credential, or one that is not valid (any more)."""

    code = "UNAUTHENTICATED"


class Forbidden(PostriderError):
    """The credential is good, its scope or role is not enough."""

    code = "FORBIDDEN"


class NotFound(PostriderError):
    """Absent, or in another workspace: the two are never told apart."""

    code = "NOT_FOUND"


class Conflict(PostriderError):
    """The present state forbids it; the message says which state."""

    code = "CONFLICT"


class ConfirmationNeeded(PostriderError):
    """A policy wants a yes first; ``details`` carries the facts to show."""

    code = "CONFIRMATION_NEEDED"


class LimitReached(PostriderError):
    """Too much, too fast, or too many; ``retry_after_seconds`` where waiting helps."""

    code = "LIMIT_REACHED"

    def __init__(
        self,
        message: str,
        *,
        retry_after_seconds: int | None = None,
        code: str | None = None,
        hint: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, code=code, hint=hint, details=details)
        self.retry_after_seconds = retry_after_seconds
        if retry_after_seconds is not None:
            self.details["retryAfterSeconds"] = retry_after_seconds


class Upstream(PostriderError):
    """A mail server or provider failed; ``retryable`` says whether the same call may succeed later.

    ``nothing_done``: it is certain that nothing has come of the call; taken for so where it may be tried again.
    """

    code = "UPSTREAM_ERROR"

    def __init__(
        self,
        message: str,
        *,
        retryable: bool,
        nothing_done: bool | None = None,
        code: str | None = None,
        hint: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, code=code, hint=hint, details=details)
        self.retryable = retryable
        self.nothing_done = retryable if nothing_done is None else nothing_done
        self.details["retryable"] = retryable
