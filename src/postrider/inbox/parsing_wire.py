"""How a message travels to the parsing process and back: frames of a length and bytes; the answer is JSON."""

import struct
from typing import BinaryIO

from pydantic import TypeAdapter

from postrider.inbox.parsing import ParsedMail, Poison

READY = b"ready"
MAX_FRAME_BYTES = 256 * 1024 * 1024

_LENGTH = struct.Struct(">I")
LENGTH_BYTES = _LENGTH.size
_ANSWER: TypeAdapter[ParsedMail | Poison] = TypeAdapter(ParsedMail | Poison)


def frame(payload: bytes) -> bytes:
    """The payload behind its length."""
    return _LENGTH.pack(len(payload)) + payload


def frame_length(head: bytes) -> int:
    """The length that a frame's first bytes announce. Raises: ValueError beyond ``MAX_FRAME_BYTES``."""
    length = int(_LENGTH.unpack(head)[0])
    if length > MAX_FRAME_BYTES:
        raise ValueError(f"a frame of {length} bytes is longer than {MAX_FRAME_BYTES}")
    return length


def read_frame(stream: BinaryIO) -> bytes | None:
    """The next payload of a blocking stream; None when the other side has closed it."""
    head = stream.read(LENGTH_BYTES)
    if len(head) < LENGTH_BYTES:
        return None
    length = frame_length(head)
    payload = stream.read(length)
    return payload if len(payload) == length else None


def dump_answer(answer: ParsedMail | Poison) -> bytes:
    """The answer as JSON."""
    return _ANSWER.dump_json(answer)


def load_answer(data: bytes) -> ParsedMail | Poison:
    """The answer behind that JSON. Raises: ValueError when it is none."""
    return _ANSWER.validate_json(data)
