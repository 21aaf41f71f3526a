"""Programs on the Node that the lock of this folder names."""

import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio
from anyio.abc import ByteReceiveStream
from anyio.streams.text import TextReceiveStream

FOLDER: Final = Path(__file__).parent
PACKAGES: Final = FOLDER / "node_modules" / "@modelcontextprotocol"
CONFORMANCE: Final = PACKAGES / "conformance" / "dist" / "index.js"
INSPECTOR: Final = PACKAGES / "inspector" / "clients" / "launcher" / "build" / "index.js"

_BINARY: Final = FOLDER / "node_modules" / "node" / "bin" / "node"
_SECONDS: Final = 90
_OPEN: Final = '{"open":'

Browser = Callable[[str], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Ended:
    """A program that came to its end."""

    status: int
    stdout: str
    stderr: str

    def __str__(self) -> str:
        return f"status {self.status}\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"


class Node:
    """Runs programs that know nothing of this machine but a home of their own, and reach nothing but loopback."""

    def __init__(self, home: Path) -> None:
        home.mkdir()
        self._attempts = home / "refused.txt"
        self._attempts.touch()
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "CI": "1",
            "NO_COLOR": "1",
            "NODE_OPTIONS": f"--import={(FOLDER / 'only_loopback.mjs').as_uri()}",
            "REFUSED_ADDRESSES": str(self._attempts),
        }

    def refused(self) -> list[str]:
        """The addresses elsewhere that a program tried to reach."""
        return self._attempts.read_text().splitlines()

    def forget(self) -> None:
        """Takes the refused addresses as expected."""
        self._attempts.write_text("")

    async def run(self, program: Path, *arguments: str, seconds: float = _SECONDS) -> Ended:
        """The end of ``program``. Raises: TimeoutError."""
        return await self.attend(program, *arguments, seconds=seconds)

    async def attend(
        self, program: Path, *arguments: str, opened: Browser | None = None, seconds: float = _SECONDS
    ) -> Ended:
        """The end of ``program``; whatever address it asks a person to open is given to ``opened`` meanwhile.

        It asks with a line {"open": ADDRESS}, or with the address alone on a line. Raises: TimeoutError.
        """
        command = [str(_BINARY), str(program), *arguments]
        errors: list[str] = []
        lines: list[str] = []
        with anyio.fail_after(seconds):
            async with (
                await anyio.open_process(
                    command, env=self.environment, cwd=FOLDER, stdin=subprocess.DEVNULL
                ) as process,
                anyio.create_task_group() as tasks,
            ):
                assert process.stdout is not None and process.stderr is not None
                tasks.start_soon(_collect, process.stderr, errors)
                async for line in _lines(process.stdout):
                    lines.append(line)
                    address = _address(line)
                    if opened is not None and address is not None:
                        tasks.start_soon(opened, address)
            status = await process.wait()
        return Ended(status, "\n".join(lines), "".join(errors))

    async def converse(self, client: str, task: Mapping[str, Any], opened: Browser | None = None) -> dict[str, Any]:
        """What the client program ``client`` learnt in its conversation. ``task``: see conversation.mjs."""
        ended = await self.attend(FOLDER / client, json.dumps(task), opened=opened)
        assert ended.status == 0, str(ended)
        learnt: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
        return learnt


def _address(line: str) -> str | None:
    if line.startswith(_OPEN):
        return str(json.loads(line)["open"])
    return line if line.startswith("http://127.0.0.1:") and "response_type=code" in line else None


async def _collect(stream: ByteReceiveStream, parts: list[str]) -> None:
    async for part in TextReceiveStream(stream):
        parts.append(part)


async def _lines(stream: ByteReceiveStream) -> AsyncIterator[str]:
    rest = ""
    async for part in TextReceiveStream(stream):
        *whole, rest = (rest + part).split("\n")
        for line in whole:
            yield line
    if rest:
        yield rest
