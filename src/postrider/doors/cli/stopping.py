"""Ending a process well: the first signal asks, what is under way is finished, a deadline ends the waiting."""

import asyncio
import signal
from collections.abc import Callable
from typing import Final

import structlog

DRAIN_SECONDS: Final = 25.0
"""Service managers give 30 seconds before they kill."""

_log: Final = structlog.get_logger("postrider.process")


def on_stop_signal(act: Callable[[], None]) -> None:
    """Calls ``act`` in the running loop on SIGTERM and SIGINT."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, act)


async def drain(task: "asyncio.Task[None]", seconds: float = DRAIN_SECONDS) -> None:
    """Waits for ``task``, which was told to stop; cancels it after ``seconds``. Raises: what the task raised."""
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if not done:
        _log.warning("stopped_before_everything_was_finished", waited_seconds=seconds)
        task.cancel()
        await asyncio.wait({task})
    if not task.cancelled():
        task.result()
