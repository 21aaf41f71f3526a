"""What reaches the log: events as JSON, and no secret by name or by look."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from postrider.kernel.secret import Secret
from postrider.logs import configure_logs, redact_text

KEY = "sk_user_0123456789_" + "a" * 32


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logs("INFO", as_json=True, stream=stream)
    yield stream
    configure_logs("WARNING", as_json=False)
    root.handlers, root.level = handlers, level


def last(stream: io.StringIO) -> Any:
    return json.loads(stream.getvalue().splitlines()[-1])


def test_an_event_is_one_line_of_json(log: io.StringIO) -> None:
    structlog.get_logger("postrider.test").info("sent", count=3)
    event = last(log)
    assert event["event"] == "sent" and event["count"] == 3 and event["logger"] == "postrider.test"
    assert event["timestamp"].endswith("Z")


def test_events_below_the_level_are_left_out(log: io.StringIO) -> None:
    structlog.get_logger("postrider.test").debug("detail")
    assert log.getvalue() == ""


def test_libraries_that_write_whole_answers_say_nothing_below_a_warning(log: io.StringIO) -> None:
    configure_logs("DEBUG", as_json=True, stream=log)
    for name in ("sse_starlette.sse", "httpcore.http11", "httpcore2.http11"):
        logging.getLogger(name).debug("chunk: %s", b"event: message")
        assert log.getvalue() == "", name


def test_secrets_are_starred_out_by_the_name_of_their_field(log: io.StringIO) -> None:
    structlog.get_logger("x").info(
        "call", password="one", headers={"X-Api-Key": "two", "Authorization": "three"}, smtp=Secret("four"), count=1
    )
    text = log.getvalue()
    assert not any(word in text for word in ("one", "two", "three", "four"))
    assert last(log)["headers"] == {"X-Api-Key": "***", "Authorization": "***"}


def test_secrets_are_starred_out_by_their_look_anywhere_in_an_event(log: io.StringIO) -> None:
    structlog.get_logger("x").info(f"got {KEY}", items=[("a", f"Bearer {KEY}")])
    logging.getLogger("library").warning("postgresql://user:swordfish@db/x and %s", KEY)
    assert KEY not in log.getvalue() and "swordfish" not in log.getvalue()


def test_a_logged_exception_keeps_its_traceback_without_the_secret(log: io.StringIO) -> None:
    try:
        raise RuntimeError(f"refused {KEY}")
    except RuntimeError:
        structlog.get_logger("x").exception("crashed")
    event = last(log)
    assert "RuntimeError: refused ***" in event["exception"] and "test_logs.py" in event["exception"]


def test_ordinary_text_is_left_alone() -> None:
    text = "https://example.com/a:b@c task_0123456789 bearer of news"
    assert redact_text(text) == text


def test_what_a_refused_request_had_in_its_headers_is_cut_and_cleaned(log: io.StringIO) -> None:
    sent = "evil.test\x1b[2J\u202e" + "x" * 5_000
    for header in ("Host", "Origin"):
        logging.getLogger("mcp.server.transport_security").warning(f"Invalid {header} header: {sent}%s")
        event = last(log)["event"]
        assert event.startswith(f"Invalid {header} header: evil.test?[2J?xxx")
        assert len(event) < 120 and event.endswith("…")
