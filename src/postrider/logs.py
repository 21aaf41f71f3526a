"""Logs: one event per line on stderr, with everything that looks like a credential starred out."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, TextIO

import structlog

STARS: Final = "***"
_SECRET_NAMES: Final = re.compile(
    r"(?i)(^|[_-])"
    r"((api|platform|workspace|secret)[_-]?key|secret|password|passwd|token|authorization|cookie|pepper)$"
)
_SECRET_TEXTS: Final = re.compile(
    r"\bsk_(?:user_)?[0-9a-z]{10}_[0-9a-z]{32}\b"
    r"|\bpr_(?:ac|at|rt|cs)_[0-9a-z]{8,}"
    r"|\bsk-ant-[\w-]{8,}"
    r"|(?<=://)[^\s/:@]*:[^\s/@]+(?=@)"
    r"|(?i:(?<=\bbearer )[\w.~+/=-]{8,})"
)
_DEEPEST: Final = 6
_QUOTES_STRANGERS: Final = ("mcp.server.transport_security",)
"""Loggers of libraries that write what a refused request had in its headers."""
_LONGEST_QUOTE: Final = 80
_KEPT_SHORT: Final = ("httpx", "httpx2", "httpcore", "httpcore2", "sse_starlette", "mcp", "uvicorn", "alembic")
"""Libraries that repeat, at INFO, what our own events say, or write at DEBUG the headers of what other servers answered
or the whole of what a tool answers; only their warnings are kept."""


def configure_logs(level: str, *, as_json: bool | None = None, stream: TextIO | None = None) -> None:
    """Sends our own events and those of libraries to stderr, as JSON or (on a terminal) for reading.

    ``level``: DEBUG, INFO, WARNING or ERROR. ``as_json`` None: unless the stream is a terminal.
    """
    target = stream or sys.stderr
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(_formatter(shared, not target.isatty() if as_json is None else as_json))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in _QUOTES_STRANGERS:
        logging.getLogger(name).addFilter(shorten_quote)
    for name in _KEPT_SHORT:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _formatter(shared: list[structlog.typing.Processor], as_json: bool) -> logging.Formatter:
    last: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    )
    # The traceback becomes text before redaction, so that a secret inside an exception is starred out as well.
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            redact,
            last,
        ],
    )


def redact(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """``event`` without secrets: by the name of the field, and by the look of the text."""
    for key in event:
        event[key] = STARS if _SECRET_NAMES.search(key) else _clean(event[key], _DEEPEST)
    return event


def shorten_quote(record: logging.LogRecord) -> bool:
    """A filter that lets every record pass; of what stands behind its colon, at most 80 printable characters."""
    what, colon, quoted = record.getMessage().partition(": ")
    shown = "".join(character if character.isprintable() else "?" for character in quoted[:_LONGEST_QUOTE])
    record.msg, record.args = f"{what}{colon}{shown}{'…' if len(quoted) > _LONGEST_QUOTE else ''}", ()
    return True


def redact_text(text: str) -> str:
    """``text`` with keys, bearer tokens and passwords in addresses starred out."""
    return _SECRET_TEXTS.sub(STARS, text)


def _clean(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bool | int | float) or value is None:
        return value
    if depth == 0:
        return "…"
    if isinstance(value, Mapping):
        return {
            str(key): STARS if _SECRET_NAMES.search(str(key)) else _clean(item, depth - 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(item, depth - 1) for item in value]
    return redact_text(repr(value))
