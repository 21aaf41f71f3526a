"""Asking for a yes over MCP, in both eras: the facts go to the person as a form, the token comes back with the yes.

Clients of 2026-07-28 get the form as an answer, and call again with what was said; those of 2025-11-25 are asked in
the middle of the call. A client that shows no forms gets the facts and the token in an error, and so does everybody
where a form would not do: a person has to grant the call elsewhere.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

import anyio
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from postrider.confirmations.tokens import LIFETIME_MS
from postrider.dispatch import Call
from postrider.doors.mcp.server import RequestContext
from postrider.doors.mcp.words import with_details
from postrider.kernel.errors import ConfirmationNeeded, Forbidden, InvalidInput, PostriderError
from postrider.kernel.operation import CONFIRM_TOKEN, Operation

IDEMPOTENCY_META: Final = "postrider/idempotencyKey"
"""In ``_meta`` of a tools/call: repetitions of the call with the same key get the first one's answer."""

_QUESTION: Final = "confirm"
_FORM: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        _QUESTION: {
            "type": "boolean",
            "title": "Yes, do it",
            "description": "Nothing is done without.",
            "default": False,
        }
    },
    "required": [_QUESTION],
}
_MOST_QUESTIONS: Final = 2
"""In one call: what the person has said yes to may have changed meanwhile; then they are asked once more."""

_REQUEST_ID: Final = re.compile(r"[!-~]{1,100}")

Run = Callable[[Call], Awaitable[CallToolResult]]
Decline = Callable[[Call, PostriderError], Awaitable[None]]
"""Writes down that the person gave no yes."""


def idempotency_key_of(ctx: RequestContext) -> str | None:
    """The caller's key. Raises: InvalidInput."""
    key = (ctx.meta or {}).get(IDEMPOTENCY_META)
    if key is None or isinstance(key, str):
        return key
    raise InvalidInput(f"_meta {IDEMPOTENCY_META} has to be a text.", hint="Use a fresh UUID for each call.")


def request_id_of(ctx: RequestContext) -> str | None:
    """The request's JSON-RPC id, where it can be logged."""
    found = str(ctx.request_id)
    return found if ctx.request_id is not None and _REQUEST_ID.fullmatch(found) else None


async def with_questions(
    ctx: RequestContext, params: CallToolRequestParams, operation: Operation, call: Call, run: Run, decline: Decline
) -> CallToolResult | InputRequiredResult:
    """What ``run`` gives for the call, once there is a yes where one is wanted; or the question.

    Raises: Forbidden when the person says no, or nothing; ConfirmationNeeded where nobody can be asked.
    """
    said = (params.input_responses or {}).get(_QUESTION)
    # The sealed state is the token of an earlier answer.
    if params.request_state is not None and isinstance(said, ElicitResult):
        call = await _with_token(operation, call, params.request_state, said, decline)
    for _ in range(_MOST_QUESTIONS):
        try:
            return await run(call)
        except ConfirmationNeeded as needed:
            token = needed.details.get(CONFIRM_TOKEN)
            if not isinstance(token, str) or not _shows_forms(ctx):
                raise
            if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
                form = ElicitRequestFormParams(message=_words(operation, needed), requested_schema=_FORM)
                return InputRequiredResult(input_requests={_QUESTION: ElicitRequest(params=form)}, request_state=token)
            said = await _ask_now(ctx, _words(operation, needed), needed)
            call = await _with_token(operation, call, token, said, decline)
    return await run(call)


async def _with_token(operation: Operation, call: Call, token: str, said: ElicitResult, decline: Decline) -> Call:
    """The call with the yes. Raises: Forbidden unless the person said yes."""
    if said.action == "accept" and (said.content or {}).get(_QUESTION) is True:
        return replace(call, arguments={**call.arguments, CONFIRM_TOKEN: token})
    answered = "did not answer" if said.action == "cancel" else "said no"
    error = Forbidden(
        f"The person {answered}: {operation.name} was not called, and nothing was changed.",
        code="CONFIRMATION_DECLINED",
        hint="Ask them what they want instead; do not call it again unchanged.",
        details={"action": said.action},
    )
    await decline(call, error)
    raise error


async def _ask_now(ctx: RequestContext, question: str, needed: ConfirmationNeeded) -> ElicitResult:
    """What the person says, asked within the call. Raises: ConfirmationNeeded where the client cannot ask after all."""
    try:
        with anyio.move_on_after(LIFETIME_MS / 1000):
            return await ctx.session.elicit_form(question, _FORM, ctx.request_id)
    except (MCPError, ValidationError):
        raise needed from None
    return ElicitResult(action="cancel")


def _shows_forms(ctx: RequestContext) -> bool:
    """Whether the client has said that it can put a form before a person; an empty capability says so too."""
    capabilities = ctx.session.client_capabilities
    elicitation = capabilities.elicitation if capabilities is not None else None
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


def _words(operation: Operation, needed: ConfirmationNeeded) -> str:
    facts = needed.details["facts"]
    return with_details(f"{operation.title}? {facts['summary']}", facts["details"])
