"""End-to-end sends per second: claim → render → markers → SMTP → outcome, against pooled aiosmtplib of ready bytes.

Both over 32 connections to the same sink in a process of its own, in one run: on SQLite with synchronous=FULL, and on
PostgreSQL. The floor sends, again and again, the octets of one message that the engine has sent.
"""

import asyncio
import sys
import time
from dataclasses import replace

import aiosmtplib
from benchmarks.databases import KINDS, Kind, fresh_settings
from tests.conftest import Installation
from tests.engine.world import EMAIL, USERS, make_world, running_engine
from tests.integration.smtp_rig import transport_with
from tests.integration.smtp_sink import SmtpSink

from postrider.adapters.smtp_pool import PoolLimits
from postrider.app import build
from postrider.doors.cli.serving import settle_memory
from postrider.kernel.clock import SystemClock

CONNECTIONS = 32
MAILBOXES = 8
MESSAGES = 3_000
BODY = (
    "<p>Hi {{firstName|there}},</p><p>{I noticed|I saw|We saw} that {{companyName|your team}} is {growing|scaling}. "
    '<a href="https://example.com/case">Here is a case study</a> on how similar teams cut costs by 40%.</p>'
    + "<p>Would a short call next week make sense? Happy to work around your calendar.</p>" * 8
    + "<p>Best,<br>{{senderName}}</p>"
)


async def start_sink() -> "tuple[asyncio.subprocess.Process, int]":
    """A sink in a process of its own, and its port."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *(
            "-m",
            "tests.integration.smtp_sink",
            "--port",
            "0",
            "--behaviour",
            '{"keep": false, "users": {"user": "password"}}',
        ),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    return process, int(await process.stdout.readline())


async def floor(port: int, data: bytes, messages: int) -> float:
    """Messages per second of bare aiosmtplib with ready bytes over 32 signed-in connections."""
    clients = [aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) for _ in range(CONNECTIONS)]
    for client in clients:
        await client.connect()
        await client.login("user", "password")
    left = iter(range(messages))

    async def pump(client: aiosmtplib.SMTP) -> None:
        for number in left:
            await client.sendmail("sender0@acme.test", [f"lead{number}@lead{number}.test"], data)

    started = time.perf_counter()
    await asyncio.gather(*(pump(client) for client in clients))
    elapsed = time.perf_counter() - started
    for client in clients:
        await client.quit()
    return messages / elapsed


async def ours(kind: Kind, port: int, messages: int) -> float:
    """Messages per second of the whole engine on a fresh database."""
    with fresh_settings(kind) as settings:
        app = build(
            replace(settings, public_url="https://outreach.example.com", allow_private_hosts=True), clock=SystemClock()
        )
        installation = await Installation.on(app)
        step = EMAIL.model_copy(update={"body": BODY})
        world = await make_world(installation, port=port, leads=messages, steps=(step,), mailboxes=MAILBOXES)
        transport = transport_with(limits=PoolLimits(connections_per_account=CONNECTIONS // MAILBOXES))
        settle_memory()
        started = time.perf_counter()
        async with running_engine(installation, transport):
            while await world.count_attempts("sent") < messages:
                await asyncio.sleep(0.3)
            elapsed = time.perf_counter() - started
        await app.close()
    return messages / elapsed


async def one_message() -> bytes:
    """The octets of one message, as a server takes it from the engine."""
    async with SmtpSink(users=USERS) as sink:
        await ours("sqlite", sink.port, 1)
        [mail] = sink.accepted
    return mail.data


async def measure_async(messages: int = MESSAGES) -> dict[str, float]:
    """The rates on both databases, each beside the mean of a floor before it and one after it."""
    data = await one_message()
    process, port = await start_sink()
    figures: dict[str, float] = {"octets": len(data)}
    try:
        before = await floor(port, data, messages)
        for kind in KINDS:
            rate = await ours(kind, port, messages)
            after = await floor(port, data, messages)
            mean_floor = (before + after) / 2
            figures |= {f"{kind}_floor_per_second": mean_floor, f"{kind}_ours_per_second": rate}
            figures[f"{kind}_ratio"] = rate / mean_floor
            before = after
    finally:
        process.terminate()
        await process.wait()
    return figures


def measure(messages: int = MESSAGES) -> dict[str, float]:
    """All rates and their ratios, in one run."""
    return asyncio.run(measure_async(messages))


if __name__ == "__main__":
    for name, value in measure().items():
        print(f"{name}: {value:,.2f}")
