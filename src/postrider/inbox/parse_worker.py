"""The process that parses strangers' mail: ``python -m postrider.inbox.parse_worker``. It may be killed at any time.

It holds no secret, opens no file and no connection; it reads frames on standard input and answers on standard output
until its input ends. Its first argument is JSON: ``{"memory_bytes": …, "limits": {…}}``.
"""

import json
import os
import signal
import sys
from typing import BinaryIO

from postrider.inbox.parsing import ParsedMail, ParseLimits, Poison, parse_mail
from postrider.inbox.parsing_wire import READY, dump_answer, frame, read_frame


def main() -> int:
    """Answers frame by frame; the exit status is 0 when the input ended."""
    settings = json.loads(sys.argv[1])
    limits = ParseLimits(**settings["limits"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the parent, which closes our input
    _limit_memory(int(settings["memory_bytes"]))
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    _send(sink, READY)
    # From here on a library's complaint would hold words of the mail, which belong in no log.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    while (raw := read_frame(source)) is not None:
        _send(sink, dump_answer(_answer(raw, limits)))
    return 0


def _answer(raw: bytes, limits: ParseLimits) -> ParsedMail | Poison:
    try:
        return parse_mail(raw, limits)
    except MemoryError:
        return Poison("memory")


def _send(sink: BinaryIO, payload: bytes) -> None:
    sink.write(frame(payload))
    sink.flush()


def _limit_memory(memory_bytes: int) -> None:
    """Caps this process's address space where the system knows how (Linux; macOS ignores it, Windows lacks it)."""
    try:
        import resource
    except ImportError:
        return
    for kind, wanted in ((resource.RLIMIT_AS, memory_bytes), (resource.RLIMIT_CORE, 0)):
        try:
            resource.setrlimit(kind, (wanted, wanted))
        except (ValueError, OSError):
            continue


if __name__ == "__main__":
    sys.exit(main())
