"""The parsing process: what it returns, what it survives, and what never reaches it."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from postrider.adapters.mail_parser import MailParser
from postrider.inbox.parsing import DEFAULT_LIMITS, ParsedMail, ParseLimits, Poison, parse_mail
from tests.unit.inbox.mail_corpus import NAMES, read_mail, write_mail

MEBIBYTE = 1024 * 1024
PRODUCTION_SECONDS = 10.0
SLOW = b"Content-Type: text/html\r\n\r\n" + b"<a href=x>y</a>" * 1_000_000
SLOW_LIMITS = replace(DEFAULT_LIMITS, html_chars=20_000_000, text_chars=20_000_000)
"""Limits under which SLOW takes far longer than any time-out of these tests."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def running(
    *,
    workers: int = 1,
    timeout_seconds: float = 30.0,
    memory_bytes: int = 512 * MEBIBYTE,
    limits: ParseLimits = DEFAULT_LIMITS,
) -> AsyncIterator[MailParser]:
    parser = MailParser(workers=workers, timeout_seconds=timeout_seconds, memory_bytes=memory_bytes, limits=limits)
    try:
        yield parser
    finally:
        with anyio.fail_after(20):
            await parser.close()


def _script(folder: Path, commands: str) -> Path:
    script = folder / "python"
    script.write_text(f"#!/bin/sh\n{commands}\n")
    script.chmod(0o755)
    return script


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_the_process_answers_what_the_function_answers() -> None:
    async with running() as parser:
        assert parser.worker_pids == ()
        for name in NAMES:
            assert await parser.parse(read_mail(name)) == parse_mail(read_mail(name))
        assert len(parser.worker_pids) == 1


async def test_bombs_are_parsed_in_production_s_time_by_one_and_the_same_worker() -> None:
    nested = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n" for n in range(1000))
    recipients = ", ".join(f"u{n}@x.test" for n in range(20_000))
    references = " ".join(f"<{n}@x.test>" for n in range(200_000))
    bombs = (
        f"From: a@b.test\r\n{nested}\r\ndeep".encode(),
        f"From: a@b.test\r\nTo: {recipients}\r\nReferences: {references}\r\n\r\nhi".encode(),
        b"From: a@b.test\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 50_000,
        write_mail(message_id="<["),
        b"From: a@b.test\r\nContent-Type: text/plain; charset=bogus-9\r\n\r\nhi",
        b"From: a@b.test\r\n" + b"x" * (30 * MEBIBYTE),
    )
    async with running(timeout_seconds=PRODUCTION_SECONDS) as parser:
        await parser.parse(write_mail())
        before = parser.worker_pids
        for bomb in bombs:
            assert isinstance(await parser.parse(bomb), ParsedMail)
        assert parser.worker_pids == before


async def test_a_message_that_takes_too_long_is_poison_and_its_worker_is_replaced() -> None:
    async with running(timeout_seconds=0.5, limits=SLOW_LIMITS) as parser:
        assert isinstance(await parser.parse(write_mail("before")), ParsedMail)
        [killed] = parser.worker_pids
        assert await parser.parse(SLOW) == Poison("timeout")
        after = await parser.parse(write_mail("after"))
        assert isinstance(after, ParsedMail) and after.text == "after"
        assert killed not in parser.worker_pids
        with anyio.fail_after(10):
            while is_running(killed):
                await anyio.sleep(0.01)


async def test_a_message_that_takes_too_much_memory_is_poison() -> None:
    huge = b"Content-Transfer-Encoding: base64\r\nContent-Type: application/pdf\r\n\r\n" + b"QUJD" * (20 * MEBIBYTE)
    limits = replace(DEFAULT_LIMITS, message_bytes=100 * MEBIBYTE)
    async with running(memory_bytes=240 * MEBIBYTE, limits=limits) as parser:
        answer = await parser.parse(huge)
        assert isinstance(answer, Poison) and answer.reason in ("memory", "crashed")
        assert isinstance(await parser.parse(write_mail()), ParsedMail)


async def test_a_worker_that_died_while_idle_is_replaced_unnoticed() -> None:
    async with running() as parser:
        await parser.parse(write_mail())
        [pid] = parser.worker_pids
        os.kill(pid, signal.SIGKILL)
        assert isinstance(await parser.parse(write_mail()), ParsedMail)
        assert parser.worker_pids != (pid,)


async def test_a_cancelled_caller_leaves_no_half_read_answer_behind() -> None:
    big = write_mail("word " * 2_000_000)
    async with running() as parser:
        await parser.parse(write_mail())
        for delay_seconds in (0.0, 0.001, 0.01, 0.03):
            with anyio.move_on_after(delay_seconds):
                await parser.parse(big)
            answer = await parser.parse(write_mail("mine"))
            assert isinstance(answer, ParsedMail) and answer.text == "mine"


async def test_two_workers_serve_many_callers_and_each_gets_its_own_answer() -> None:
    answers: dict[int, ParsedMail | Poison] = {}

    async def ask(parser: MailParser, number: int) -> None:
        answers[number] = await parser.parse(write_mail(f"number {number}"))

    async with running(workers=2) as parser:
        async with anyio.create_task_group() as tasks:
            for number in range(40):
                tasks.start_soon(ask, parser, number)
        assert len(parser.worker_pids) == 2
    texts = {number: answer.text for number, answer in answers.items() if isinstance(answer, ParsedMail)}
    assert texts == {number: f"number {number}" for number in range(40)}


async def test_a_poison_message_keeps_its_sender_s_worker_and_leaves_the_other_to_everybody_else() -> None:
    parser = MailParser(limits=SLOW_LIMITS)
    poison = asyncio.create_task(parser.parse(SLOW))
    try:
        for number in range(5):
            answer = await parser.parse(write_mail(f"number {number}"))
            assert isinstance(answer, ParsedMail) and answer.text == f"number {number}"
        assert not poison.done()
    finally:
        poison.cancel()
        await asyncio.gather(poison, return_exceptions=True)
        await parser.close()


async def test_callers_get_the_workers_in_the_order_in_which_they_ask() -> None:
    answered: list[int] = []

    async def ask(parser: MailParser, number: int) -> None:
        await parser.parse(write_mail(f"number {number}"))
        answered.append(number)

    async with running(timeout_seconds=0.5, limits=SLOW_LIMITS) as parser:
        asks = [asyncio.create_task(parser.parse(SLOW)), *(asyncio.create_task(ask(parser, n)) for n in range(5))]
        await asyncio.gather(*asks)
    assert answered == list(range(5)), "each waits for those before it, at most one time-out long per poison"


async def test_closing_ends_the_processes() -> None:
    async with running() as parser:
        await parser.parse(write_mail())
        [pid] = parser.worker_pids
    assert not is_running(pid)


async def test_the_worker_is_given_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("POSTRIDER_MASTER_KEY", "canary-4711")
    monkeypatch.setattr("sys.executable", str(_script(tmp_path, "env >&2")))
    async with running() as parser:
        with pytest.raises(RuntimeError) as failure:
            await parser.parse(write_mail())
    assert "PATH=" in str(failure.value)
    assert "canary-4711" not in str(failure.value)


async def test_a_worker_that_cannot_start_is_an_error_and_not_a_poison(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.executable", str(_script(tmp_path, "echo 'no such module' >&2; exit 3")))
    async with running() as parser:
        with pytest.raises(RuntimeError, match="no such module"):
            await parser.parse(write_mail())
