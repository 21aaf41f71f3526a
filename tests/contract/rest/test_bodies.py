"""Bodies that /v1 does not take: broken, too large, too slow, of another kind."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from postrider.doors.rest import body
from tests.contract.rest_world import error


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"{", "not JSON"),
        (b'{"name": "\xff"}', "not UTF-8"),
        (b"[1]", "not an object"),
        (b'{"name": "a", "name": "b"}', "stands twice"),
        (b'{"filters": ' + b"[" * 70 + b"]" * 70 + b"}", "64 deep"),
        (b'{"filters": ' + b"[" * 100_000, "64 deep"),
        (b'{"name": NaN}', "NaN"),
        (b'{"name": 1e999}', "too large"),
        (b'{"name": ' + b"9" * 10_000 + b"}", "too many digits"),
        (b'{"name": "\\u0000"}', "NUL"),
        (b'{"name": "\\ud800"}', "surrogate"),
    ],
)
async def test_a_bad_body_is_refused_in_words(client: httpx.AsyncClient, sent: bytes, words: str) -> None:
    response = await client.post("/v1/things", content=sent, headers={"Content-Type": "application/json"})
    assert words in error(response, 400)["message"]


async def test_a_pair_of_surrogates_is_one_character(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/things", content=b'{"id": "t", "name": "\\ud83d\\ude00"}')
    assert response.json()["data"]["name"] == "😀"


async def test_other_media_types_and_compression_are_refused(client: httpx.AsyncClient) -> None:
    form = await client.post("/v1/things", data={"id": "t"})
    assert "application/x-www-form-urlencoded" in error(form, 400)["message"]
    packed = await client.post("/v1/things", content=b"x", headers={"Content-Encoding": "gzip"})
    assert "Compressed" in error(packed, 400)["message"]


async def test_a_body_over_4_mib_is_refused_announced_or_not(client: httpx.AsyncClient) -> None:
    big = b'{"id": "' + b"x" * 4 * 1024 * 1024 + b'"}'
    assert error(await client.post("/v1/things", content=big), 413)["code"] == "BODY_TOO_LARGE"

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(big), 65_536):
            yield big[start : start + 65_536]

    assert error(await client.post("/v1/things", content=pieces()), 413)["code"] == "BODY_TOO_LARGE"


async def test_a_body_that_stalls_is_given_up(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "IDLE_SECONDS", 0.05)

    async def stalling(start: bytes) -> AsyncIterator[bytes]:
        yield start
        await asyncio.Event().wait()

    for path, content_type, start in (
        ("/v1/things", "application/json", b'{"id": '),
        ("/v1/things/import/csv", "multipart/form-data; boundary=b", b"--b\r\nContent-"),
    ):
        response = await client.post(path, content=stalling(start), headers={"Content-Type": content_type})
        assert error(response, 408)["code"] == "REQUEST_TIMEOUT"
