"""The model adapter and the way out by HTTP, against a loopback server that speaks the Messages API or misbehaves."""

import asyncio
import gzip
import json
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from postrider.adapters.anthropic_model import AnthropicModel, reply_model
from postrider.adapters.egress import Egress
from postrider.adapters.http import HttpClient, HttpRequest
from postrider.agents.ports import Prompt, Turn
from postrider.kernel.errors import Upstream
from postrider.settings import load_settings
from tests.integration.certificates import Authority

PROMPT = Prompt("Be brief.", (Turn("user", "Draft."), Turn("assistant", "Hm."), Turn("user", "Again.")), 99)
KEY = "sk-ant-secret-canary-0123456789"
HANG = b"hang"


def message(text: str = '{"body": "Hello"}') -> bytes:
    """What the Messages API answers."""
    return json.dumps(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-test",
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 12, "output_tokens": 5},
        }
    ).encode()


def http(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """One whole HTTP answer."""
    head = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


def trouble(status: str, *headers: str) -> bytes:
    """An error answer that quotes the key, as a careless proxy might."""
    body = {"type": "error", "error": {"type": "some_error", "message": f"bad key {KEY}"}}
    return http(json.dumps(body).encode(), status, *headers)


@dataclass
class Server:
    """Gives the next of its answers to each request, and keeps what it was asked."""

    answers: list[bytes]
    port: int = 0
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://model.test:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.requests.append((first, headers, body))
        answer = self.answers.pop(0)
        if answer == HANG:
            await reader.read()
        else:
            writer.write(answer)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def serving(*answers: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server(list(answers))
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()


async def loopback(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


def client(**more: Any) -> HttpClient:
    return HttpClient(Egress(True, loopback), plain=True, **more)


def model_on(server: Server, *, retries: int = 0, timeout_seconds: float = 5.0) -> AnthropicModel:
    return AnthropicModel(
        KEY, "claude-test", client(), base_url=server.url, retries=retries, timeout_seconds=timeout_seconds
    )


async def test_a_prompt_becomes_one_request_without_tools() -> None:
    async with serving(http(message())) as server:
        completion = await model_on(server).complete(PROMPT)
    assert (completion.text, completion.model) == ('{"body": "Hello"}', "claude-test")
    assert (completion.input_tokens, completion.output_tokens) == (12, 5)
    [(first, headers, body)] = server.requests
    assert first == "POST /v1/messages HTTP/1.1"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["host"] == f"model.test:{server.port}"
    assert headers["accept-encoding"] == "identity"
    assert json.loads(body) == {
        "model": "claude-test",
        "max_tokens": 99,
        "system": "Be brief.",
        "messages": [
            {"role": "user", "content": "Draft."},
            {"role": "assistant", "content": "Hm."},
            {"role": "user", "content": "Again."},
        ],
    }


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [
        ("400 Bad Request", "AI_REFUSED", False),
        ("401 Unauthorized", "AI_KEY_REFUSED", False),
        ("403 Forbidden", "AI_KEY_REFUSED", False),
        ("404 Not Found", "AI_REFUSED", False),
        ("413 Too Large", "AI_REFUSED", False),
        ("429 Too Many Requests", "AI_BUSY", True),
        ("500 Internal Server Error", "AI_UNAVAILABLE", True),
        ("529 Overloaded", "AI_UNAVAILABLE", True),
        ("302 Found", "AI_REFUSED", False),
    ],
)
async def test_every_refusal_is_said_in_our_words(status: str, code: str, retryable: bool) -> None:
    async with serving(trouble(status, "Location: http://127.0.0.1:1/")) as server:
        with pytest.raises(Upstream) as failed:
            await model_on(server).complete(PROMPT)
    assert (failed.value.error_code, failed.value.retryable) == (code, retryable)
    assert KEY not in f"{failed.value} {failed.value.hint} {failed.value.details}"
    assert len(server.requests) == 1


async def test_a_passing_trouble_is_tried_once_more() -> None:
    async with serving(trouble("500 Oops", "retry-after-ms: 1"), http(message("again"))) as server:
        completion = await model_on(server, retries=1).complete(PROMPT)
    assert completion.text == "again"
    assert len(server.requests) == 2


async def test_tries_are_bounded() -> None:
    async with serving(*[trouble("503 Away", "retry-after-ms: 1")] * 5) as server:
        with pytest.raises(Upstream, match="trouble"):
            await model_on(server, retries=1).complete(PROMPT)
    assert len(server.requests) == 2


async def test_a_server_that_does_not_answer_is_given_up() -> None:
    async with serving(HANG) as server:
        with pytest.raises(Upstream) as failed:
            await model_on(server, timeout_seconds=0.3).complete(PROMPT)
    assert failed.value.retryable is True


@pytest.mark.parametrize(
    "answer",
    [
        http(b"<html>busy</html>"),
        http(b'{"type": "message"}'),
        b"garbage\r\n\r\n",
        b"",
        http(b"[" * 100),
        http(gzip.compress(message()), "200 OK", "Content-Encoding: gzip"),
        http(b'"' + b"x" * 1_100_000 + b'"'),
    ],
    ids=["html", "incomplete", "no http", "nothing", "broken json", "packed", "huge"],
)
async def test_an_unreadable_answer_is_an_upstream_error(answer: bytes) -> None:
    async with serving(answer) as server:
        with pytest.raises(Upstream):
            await model_on(server).complete(PROMPT)


async def test_a_private_address_is_refused_before_anything_is_sent() -> None:
    async with serving(http(message())) as server:
        guarded = HttpClient(Egress(False, loopback), plain=True)
        model = AnthropicModel(KEY, "claude-test", guarded, base_url=server.url, retries=0)
        with pytest.raises(Upstream) as failed:
            await model.complete(PROMPT)
    assert (failed.value.error_code, failed.value.retryable) == ("HOST_NOT_ALLOWED", False)
    assert server.requests == []


async def test_without_a_key_there_is_no_model() -> None:
    assert reply_model(load_settings({}), client()) is None
    assert reply_model(load_settings({"POSTRIDER_ANTHROPIC_API_KEY": KEY}), client()) is not None


def test_the_library_is_imported_with_the_first_call_only() -> None:
    program = "import sys, postrider.adapters.anthropic_model; print('anthropic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# --- The way out by HTTP itself ---


async def test_an_answer_comes_back_whole_and_a_redirect_is_not_followed() -> None:
    async with serving(http(b"moved", "301 Moved", "Location: http://elsewhere.test/")) as server:
        answer = await client().send(HttpRequest("POST", f"{server.url}/hook?a=1", {"X-Mine": "1"}, b"payload"))
    assert (answer.status, answer.headers["location"], answer.body) == (301, "http://elsewhere.test/", b"moved")
    [(first, headers, body)] = server.requests
    assert first == "POST /hook?a=1 HTTP/1.1"
    assert (headers["x-mine"], headers["user-agent"], body) == ("1", "postrider", b"payload")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://model.test/",
        "http://user:pass@model.test/",
        "file:///etc/passwd",
        "http:///x",
        "//model.test",
        "model.test",
        "http://model.test:99999/",
        "http://" + "a" * 9000,
        "http://[::1",
        "http://model.test\r\nX: y/",
    ],
)
async def test_what_is_not_a_plain_address_is_refused(url: str) -> None:
    with pytest.raises(Upstream):
        await client().send(HttpRequest("GET", url))


async def test_plain_http_needs_to_be_allowed() -> None:
    async with serving(http(b"")) as server:
        with pytest.raises(Upstream, match="https"):
            await HttpClient(Egress(True, loopback)).send(HttpRequest("GET", server.url))
    assert server.requests == []


async def test_headers_cannot_be_injected() -> None:
    async with serving(http(b"")) as server:
        with pytest.raises(Upstream):
            await client().send(HttpRequest("GET", server.url, {"X-A": "b\r\nX-Evil: 1"}))
    assert all("x-evil" not in headers for _, headers, _ in server.requests)


async def test_an_answer_may_not_be_too_large_or_too_slow() -> None:
    async with serving(http(b"x" * 2_000), HANG) as server:
        with pytest.raises(Upstream, match="too large"):
            await client().send(HttpRequest("GET", server.url, max_answer_bytes=1_999))
        with pytest.raises(Upstream, match="in time"):
            await client().send(HttpRequest("GET", server.url, timeout_seconds=0.2))


async def test_a_name_is_looked_up_once_and_the_checked_address_is_used() -> None:
    lookups: list[str] = []

    async def rebinding(host: str, port: int) -> Sequence[str]:
        lookups.append(host)
        return ["127.0.0.1"] if len(lookups) == 1 else ["169.254.169.254"]

    async with serving(http(b"ok")) as server:
        answer = await HttpClient(Egress(True, rebinding), plain=True).send(HttpRequest("GET", server.url))
    assert answer.body == b"ok"
    assert lookups == ["model.test"]


async def test_the_next_address_is_tried_when_the_first_does_not_answer() -> None:
    async def two(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.2", "127.0.0.1"]

    async with serving(http(b"ok")) as server:
        answer = await HttpClient(Egress(True, two), plain=True).send(HttpRequest("GET", server.url))
    assert answer.status == 200


async def test_nobody_listening_is_an_upstream_error_like_any_other() -> None:
    async with serving() as server:
        port = server.port
    with pytest.raises(Upstream, match="could not be reached"):
        await client().send(HttpRequest("GET", f"http://model.test:{port}/"))


@pytest.mark.parametrize(("name", "trusted"), [("model.test", True), ("other.test", False)])
async def test_tls_verifies_the_name_and_not_the_address(name: str, trusted: bool, tmp_path: Path) -> None:
    authority = Authority()
    async with serving(http(b"ok"), tls=authority.server_context("model.test", tmp_path / "server.pem")) as server:
        secure = HttpClient(Egress(True, loopback), tls_context=authority.client_context)
        request = HttpRequest("GET", f"https://{name}:{server.port}/")
        if trusted:
            assert (await secure.send(request)).body == b"ok"
        else:
            with pytest.raises(Upstream, match="could not be reached"):
                await secure.send(request)
    assert len(server.requests) == int(trusted)
