"""The one JSON-RPC message in the body of a POST: read within limits, checked, and looked at for the tool it calls."""

from typing import Any, Final, NamedTuple

from mcp_types import jsonrpc_message_adapter
from pydantic import ValidationError
from pydantic_core import from_json
from starlette.requests import Request
from starlette.types import Message, Receive

from postrider.doors.rest.body import MAX_JSON_BYTES, read_body
from postrider.kernel.errors import InvalidInput

NO_JSON: Final = "PARSE_ERROR"
_CALLS_A_TOOL: Final = "tools/call"
_TOO_DEEP: Final = "recursion limit exceeded"


class ToolCall(NamedTuple):
    """What a message asks for, as it came: nothing of it is checked."""

    name: Any
    arguments: Any


async def receive_message(request: Request, receive: Receive) -> tuple[Receive, ToolCall | None]:
    """A receive that gives the whole body at once, read here within the limits of size and time of every door; and the
    tool that it calls, if it does.

    Raises: ClientDisconnect, BodyTooLarge, TooSlow, InvalidInput.
    """
    if request.method != "POST":
        return receive, None
    body = await read_body(request, MAX_JSON_BYTES)
    call = _tool_call(_message(body))
    whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return whole.pop() if whole else await receive()

    return receive_again, call


def _tool_call(message: dict[str, Any]) -> ToolCall | None:
    params = message.get("params")
    if message.get("method") != _CALLS_A_TOOL or not isinstance(params, dict):
        return None
    return ToolCall(params.get("name"), params.get("arguments"))


def _message(body: bytes) -> dict[str, Any]:
    """The message in ``body``: the transport would answer anything else in its parser's words.

    Raises: InvalidInput.
    """
    found = _plain_request(body)
    if found is not None:
        return found
    try:
        return jsonrpc_message_adapter.validate_json(body, by_name=False).model_dump()
    except ValidationError as error:
        raise _refusal_of(error) from None


def _plain_request(body: bytes) -> dict[str, Any] | None:
    """A request as nearly all are: seen in a fifth of the time that the whole check takes."""
    try:
        found = from_json(body, allow_inf_nan=False)
    except ValueError:
        return None
    if not isinstance(found, dict) or found.get("jsonrpc") != "2.0" or not isinstance(found.get("method"), str):
        return None
    plain = type(found.get("id")) in (int, str) and isinstance(found.get("params", {}), dict)
    return found if plain else None


def _refusal_of(error: ValidationError) -> InvalidInput:
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] != "json_invalid":
        return InvalidInput(
            "The body is not one JSON-RPC 2.0 message.",
            hint='Send one object such as {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}, no batch.',
        )
    if _TOO_DEEP in first["msg"]:
        return InvalidInput("The body is nested too deep.", hint="Send a flatter object.")
    return InvalidInput("The body is not JSON.", code=NO_JSON, hint="Send one JSON object in UTF-8.")
