"""Streams that stay open end with the credential that opened them."""

from collections.abc import Awaitable, Callable
from typing import Final

import anyio
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.types import Message, Send

from postrider.kernel.context import Actor
from postrider.kernel.errors import PostriderError

LOOK_SECONDS: Final = 0.2
"""How often a stream is looked after. The database is asked less often: the door remembers good credentials."""

_LISTENS: Final = "subscriptions/listen"


def stays_open(request: Request) -> bool:
    """Whether the answer is a stream without an end of its own, in either era."""
    return request.method == "GET" or request.headers.get("mcp-method") == _LISTENS


async def while_good(
    answer: Callable[[Send], Awaitable[None]], send: Send, authenticate: Callable[[], Awaitable[Actor]]
) -> None:
    """Answers until the stream ends by itself or its credential is not good any more."""
    state = "before"

    async def send_watched(message: Message) -> None:
        nonlocal state
        await send(message)
        if message["type"] == "http.response.start":
            state = "open"
        elif not message.get("more_body", False):
            state = "ended"

    async with anyio.create_task_group() as tasks:

        async def watch() -> None:
            while True:
                await anyio.sleep(LOOK_SECONDS)
                try:
                    await authenticate()
                except PostriderError:
                    tasks.cancel_scope.cancel()
                    return
                except SQLAlchemyError:
                    # Nobody is put out because the database is away.
                    continue

        tasks.start_soon(watch)
        await answer(send_watched)
        tasks.cancel_scope.cancel()
    if state == "open":
        await send({"type": "http.response.body", "body": b"", "more_body": False})
