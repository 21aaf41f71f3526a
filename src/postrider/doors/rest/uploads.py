"""Files that come with a call: a multipart body, streamed to disk, deleted once the call is over."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from postrider.doors.rest.body import MAX_JSON_BYTES, check_announced, chunks, too_large
from postrider.kernel.context import UploadedFile
from postrider.kernel.errors import InvalidInput
from postrider.kernel.ids import encode_bits

MAX_FILE_BYTES: Final = 50 * 1024 * 1024
_MAX_BODY_BYTES: Final = MAX_FILE_BYTES + MAX_JSON_BYTES
_MAX_FIELDS: Final = 100
_MAX_FIELD_BYTES: Final = 256 * 1024
_UPLOAD_SECONDS: Final = 900.0
_STALE_SECONDS: Final = 24 * 3600
_HINT: Final = "Send multipart/form-data with the file in one part and every other field in a part of its own."


@dataclass(slots=True)
class Form:
    """What a multipart body held: text fields in order, and at most one file."""

    pairs: list[tuple[str, str]] = field(default_factory=list)
    files: dict[str, UploadedFile] = field(default_factory=dict)


def is_multipart(request: Request) -> bool:
    """Whether the body says that it is multipart/form-data."""
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


@asynccontextmanager
async def receive_form(request: Request, folder: Path, file_field: str) -> AsyncIterator[Form]:
    """The form in the body, its file in ``folder`` until the context is left.

    Raises: InvalidInput, BodyTooLarge.
    """
    check_announced(request, _MAX_BODY_BYTES)
    _, options = parse_options_header(request.headers["content-type"])
    boundary = options.get(b"boundary")
    if not boundary:
        raise InvalidInput("The multipart body names no boundary.", hint=_HINT)
    reader = _FormReader(folder, file_field)
    try:
        await _feed(request, boundary, reader)
        yield reader.form
    finally:
        reader.discard()


async def _feed(request: Request, boundary: bytes, reader: "_FormReader") -> None:
    try:
        parser = MultipartParser(boundary, reader.callbacks())  # type: ignore[arg-type]  # a TypedDict of these names
        async for chunk in chunks(request, _UPLOAD_SECONDS):
            parser.write(chunk)
        parser.finalize()
    except FormParserError:
        raise InvalidInput("The multipart body is malformed.", hint=_HINT) from None
    if not reader.ended:
        raise InvalidInput("The multipart body ends too early.", hint=_HINT)


def remove_stale(folder: Path, pattern: str = "*.upload") -> None:
    """Deletes files that a killed process left behind, half written, a day ago or longer."""
    if not folder.is_dir():
        return
    # The file system's own time: the clock of the installation may be a virtual one.
    mark = folder / f"{os.getpid()}.now"
    mark.touch()
    now = mark.stat().st_mtime
    mark.unlink()
    for path in folder.glob(pattern):
        with suppress(FileNotFoundError):
            if now - path.stat().st_mtime > _STALE_SECONDS:
                path.unlink()


class _FormReader:
    """Receives the parser's callbacks: text fields into memory, the file's bytes to disk."""

    def __init__(self, folder: Path, file_field: str) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.form = Form()
        self.ended = False
        self._path = folder / f"{encode_bits(int.from_bytes(os.urandom(15), 'big'), 24)}.upload"
        self._file_field = file_field
        self._sink: BinaryIO | None = None
        self._header_name = self._header_value = b""
        self._disposition = b""
        self._name = self._file_name = ""
        self._text = bytearray()
        self._size = 0

    def callbacks(self) -> dict[str, object]:
        """What the parser calls, by its names."""
        return {
            "on_part_begin": self._part_begins,
            "on_header_field": self._header_field,
            "on_header_value": self._header_text,
            "on_header_end": self._header_ends,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._part_data,
            "on_part_end": self._part_ends,
            "on_end": self._body_ends,
        }

    def discard(self) -> None:
        """Deletes the file, also when the body broke off inside it."""
        self._close()
        self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._sink is not None:
            self._sink.close()
            self._sink = None

    def _part_begins(self) -> None:
        self._disposition, self._text, self._size = b"", bytearray(), 0
        self._name = self._file_name = ""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _header_text(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_ends(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = _decode(options.get(b"name", b""))
        if b"filename" not in options:
            return
        if self._name != self._file_field or self._name in self.form.files or self._sink is not None:
            raise InvalidInput(
                f"The file goes once, in the field {self._file_field!r}.", field=self._file_field, hint=_HINT
            )
        self._file_name = _decode(options[b"filename"])
        self._sink = open(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")  # noqa: SIM115

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._size += end - start
        if self._sink is not None:
            if self._size > MAX_FILE_BYTES:
                raise too_large(MAX_FILE_BYTES)
            self._sink.write(data[start:end])
            return
        if self._size > _MAX_FIELD_BYTES:
            raise too_large(_MAX_FIELD_BYTES)
        self._text += data[start:end]

    def _part_ends(self) -> None:
        if self._sink is not None:
            self._close()
            self.form.files[self._name] = UploadedFile(self._path, self._file_name, self._size)
            return
        if len(self.form.pairs) == _MAX_FIELDS:
            raise InvalidInput(f"The form has more than {_MAX_FIELDS} fields.", hint=_HINT)
        self.form.pairs.append((self._name, _decode(bytes(self._text))))

    def _body_ends(self) -> None:
        self.ended = True


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise InvalidInput("The form has text that is not UTF-8.", hint=_HINT) from None
