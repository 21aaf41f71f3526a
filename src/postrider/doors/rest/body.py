"""Request bodies: read within a limit, and JSON without the traps that the standard parser lets through."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, NoReturn

from starlette.requests import ClientDisconnect, Request

from postrider.doors.rest.problems import BodyTooLarge, TooSlow
from postrider.kernel.errors import InvalidInput

MAX_JSON_BYTES: Final = 4 * 1024 * 1024
MAX_DEPTH: Final = 64
IDLE_SECONDS: Final = 20.0
JSON_SECONDS: Final = 60.0
_BAD_ESCAPE: Final = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
"""What text that no database stores can only come from: raw UTF-8 has no surrogates, JSON no raw NUL."""
_HINT: Final = "Send one JSON object as application/json, in UTF-8."


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """The whole body.

    Raises: BodyTooLarge, before reading when the length is announced, else on the way; TooSlow; InvalidInput.
    """
    check_announced(request, limit_bytes)
    parts, size = [], 0
    async for part in chunks(request, JSON_SECONDS):
        size += len(part)
        if size > limit_bytes:
            raise too_large(limit_bytes)
        parts.append(part)
    return b"".join(parts)


async def chunks(request: Request, longest_seconds: float) -> AsyncIterator[bytes]:
    """The body as it arrives.

    Raises: TooSlow after IDLE_SECONDS without a byte, or ``longest_seconds`` in all; ClientDisconnect.
    """
    end = time.monotonic() + longest_seconds
    while True:
        try:
            async with asyncio.timeout(min(IDLE_SECONDS, end - time.monotonic())):
                message = await request.receive()
        except TimeoutError:
            raise TooSlow("The body did not arrive in time.", hint="Send it without pauses.") from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        if part := message.get("body", b""):
            yield part
        if not message.get("more_body", False):
            return


def check_announced(request: Request, limit_bytes: int, refusal: Callable[[int], BodyTooLarge] | None = None) -> None:
    """Raises: BodyTooLarge when Content-Length is over the limit; InvalidInput for a compressed body.

    ``refusal``: the error for a body over a limit, if it is not ``too_large``.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise InvalidInput("Compressed request bodies are not taken.", hint="Send the body without Content-Encoding.")
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > limit_bytes:
        raise (refusal or too_large)(limit_bytes)


def too_large(limit_bytes: int) -> BodyTooLarge:
    """The error for a body over ``limit_bytes``."""
    return BodyTooLarge(
        f"The body, or a part of it, is larger than {limit_bytes // 1024:,} KiB.",
        hint="Send less at once; long lists go in as a CSV file.",
        details={"limitBytes": limit_bytes},
    )


def parse_object(body: bytes, content_type: str) -> dict[str, Any]:
    """The JSON object in ``body``; an empty body is an empty object. Raises: InvalidInput."""
    if not body.strip():
        return {}
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type and media_type != "application/json" and not media_type.endswith("+json"):
        raise InvalidInput(f"This path takes JSON, not {media_type[:60]!a}.", hint=_HINT)
    found = parse_json(body)
    if not isinstance(found, dict):
        raise InvalidInput("The body is JSON, but not an object.", hint=_HINT)
    return found


def parse_json(body: bytes) -> Any:
    """The value in ``body``: nested at most MAX_DEPTH deep, no key twice, finite numbers, storable text.

    Raises: InvalidInput.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"The body is not UTF-8: byte {error.start} does not fit.", hint=_HINT) from None
    try:
        found = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant, parse_float=_finite)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidInput(f"The body is not JSON: {error.msg} at {where}.", hint=_HINT) from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        # Python reads no longer ones: turning text into a number takes time that grows with the square of its length.
        raise InvalidInput(
            "The body has a number with too many digits.", hint="Send a shorter number, or text in quotes."
        ) from None
    _check_depth(found)
    if _BAD_ESCAPE.search(text):
        _check_texts(found)
    return found


def check_text(text: str, where: str) -> None:
    """Raises: InvalidInput for what no database stores: NUL, and halves of surrogate pairs."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"{where} contains half a surrogate pair.", hint="Send whole characters.") from None
    if "\x00" in text:
        raise InvalidInput(f"{where} contains a NUL character.", hint="Send text without NUL.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(f"The key {double[:100]!a} stands twice in one object.", hint="Send every key once.")
    return found


def _no_constant(name: str) -> NoReturn:
    raise InvalidInput(f"{name} is not JSON.", hint="Send a finite number or null.")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise InvalidInput(f"The number {text[:30]} is too large.", hint="Send a smaller number.")
    return number


def _too_deep() -> InvalidInput:
    return InvalidInput(f"The body is nested more than {MAX_DEPTH} deep.", hint="Send a flatter object.")


def _check_depth(found: Any) -> None:
    level, depth = [found], 0
    while level:
        containers = [value for value in level if isinstance(value, dict | list)]
        depth += bool(containers)
        if depth > MAX_DEPTH:
            raise _too_deep()
        level = [item for value in containers for item in (value.values() if isinstance(value, dict) else value)]


def _check_texts(found: Any) -> None:
    waiting = [found]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            check_text(value, "The body")
        elif isinstance(value, dict):
            waiting.extend(value.keys())
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
