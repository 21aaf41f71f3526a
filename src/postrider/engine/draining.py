"""How a loop that was told to stop ends what is on its way, within the time that service managers give (30 s)."""

import asyncio
from collections.abc import Callable, Set
from typing import Any, Final

ANSWER_SECONDS: Final = 15.0
"""How long the answers to dots that have been sent are awaited; then the connections are broken off."""
OUTCOME_SECONDS: Final = 3.0
"""How long the outcomes of those, which nobody knows, are given to be written."""


async def drain(tasks: "Set[asyncio.Task[Any]]", hang_up: Callable[[], None]) -> None:
    """Returns when all ``tasks`` have ended, after 18 seconds at most. ``hang_up``: see MailTransport.

    What has not come to its dot returns to the queue at once: whoever stops a server may want to stop mail.
    """
    call_back(tasks)
    if tasks:
        await asyncio.wait(tasks, timeout=ANSWER_SECONDS)
    if tasks:
        hang_up()
        await asyncio.wait(tasks, timeout=OUTCOME_SECONDS)


def call_back(tasks: "Set[asyncio.Task[Any]]") -> None:
    """Ends what has not come to its dot. What has still gets its outcome."""
    for task in list(tasks):
        task.cancel()
