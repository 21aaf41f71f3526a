"""Messages per second through the SMTP adapter, against bare aiosmtplib, to the same sink in the same run.

Both keep 32 connections and send the same prebuilt bytes; the adapter's marker does nothing. Run:
``python -m benchmarks.bench_smtp``
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiosmtplib

from postrider.adapters.egress import Egress
from postrider.adapters.smtp import SmtpTransport
from postrider.adapters.smtp_pool import PoolLimits
from postrider.kernel.secret import Secret
from postrider.mailboxes.ports import MailAccount, ServerAccess
from postrider.sending.outcomes import Delivered
from postrider.sending.ports import Envelope

CONNECTIONS = 32
MESSAGES = 4_000
ROUNDS = 3
_ROOT = Path(__file__).parents[1]
_HEAD = (
    b"From: me@sender.example\r\nTo: lead@lead.example\r\nSubject: A short question\r\nMIME-Version: 1.0\r\n"
    b"Message-ID: <bench@sender.example>\r\nDate: Mon, 2 Mar 2026 09:00:00 +0000\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
)
DATA = _HEAD + (b"All work and no play makes a dull message, seventy-two bytes a line. \r\n" * 40)

SendOne = Callable[[int], Awaitable[None]]


@asynccontextmanager
async def sink_process() -> AsyncIterator[int]:
    """The port of a sink in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.integration.smtp_sink", "--until-stdin-closes"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=_ROOT,
    )
    assert process.stdout is not None and process.stdin is not None
    try:
        yield int(await process.stdout.readline())
    finally:
        process.stdin.close()
        await process.wait()


async def _rate(send_one: SendOne, messages: int) -> float:
    """Messages per second with one worker per connection."""
    numbers = iter(range(messages))

    async def work(worker: int) -> None:
        for _ in numbers:
            await send_one(worker)

    started = time.perf_counter()
    await asyncio.gather(*(work(worker) for worker in range(CONNECTIONS)))
    return messages / (time.perf_counter() - started)


async def _adapter_rate(port: int, messages: int) -> float:
    access = ServerAccess("127.0.0.1", port, "none", "", Secret(""))
    account = MailAccount("workspace_1", "mailbox_1", "me@sender.example", "custom", access, None)
    envelope = Envelope("me@sender.example", ("lead@lead.example",), "<bench@sender.example>", DATA)
    limits = PoolLimits(connections_per_account=CONNECTIONS, messages_per_connection=messages)
    transport = SmtpTransport(Egress(allow_private=True), limits=limits)

    async def marker() -> bool:
        return True

    async def send_one(worker: int) -> None:
        outcome = await transport.send(account, envelope, marker)
        assert isinstance(outcome, Delivered), outcome

    await _rate(send_one, CONNECTIONS)  # opens the connections
    rate = await _rate(send_one, messages)
    await transport.close()
    return rate


async def _library_rate(port: int, messages: int) -> float:
    clients = [aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) for _ in range(CONNECTIONS)]
    await asyncio.gather(*(client.connect() for client in clients))

    async def send_one(worker: int) -> None:
        await clients[worker].sendmail("me@sender.example", ["lead@lead.example"], DATA)

    await _rate(send_one, CONNECTIONS)
    rate = await _rate(send_one, messages)
    for client in clients:
        client.close()
    return rate


async def measure() -> dict[str, float]:
    """Both rates, the best of three alternating rounds each, and adapter over library as ``ratio``."""
    async with sink_process() as port:
        adapter = library = 0.0
        for _ in range(ROUNDS):
            library = max(library, await _library_rate(port, MESSAGES))
            adapter = max(adapter, await _adapter_rate(port, MESSAGES))
    return {"adapter_per_second": adapter, "aiosmtplib_per_second": library, "ratio": adapter / library}


def main() -> None:
    """Prints what was measured."""
    for name, value in asyncio.run(measure()).items():
        print(f"{name:24} {value:10.2f}")


if __name__ == "__main__":
    main()
