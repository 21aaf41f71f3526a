"""The witness of all tests: it hears a secret that is logged here, and in a process that a test starts."""

import json
import logging
import sys

import pytest
import structlog

from postrider.kernel.secret import Secret
from tests.witness.listening import WITNESS, start

PROCESS = """
import logging
from postrider.kernel.secret import Secret
from postrider.logs import configure_logs
from postrider.settings import load_settings
configure_logs(load_settings().log_level)
logging.getLogger("some.library").debug("it is %s", Secret("zyx of a process").reveal())
"""


def test_a_secret_that_is_logged_in_this_process_is_heard() -> None:
    secret = Secret('zyx "quoted" in here')
    structlog.get_logger("postrider.test").debug("kept", what=secret)
    assert WITNESS.leaks() == []
    structlog.get_logger("postrider.test").debug("told", what=secret.reveal())
    [line] = WITNESS.leaks()
    assert json.loads(line.partition(": ")[2])["event"] == "told"
    assert WITNESS.leaks() == []


@pytest.mark.parametrize(
    "text",
    [
        f"ct_{'0a' * 13}_{'1' * 13}_{'0f' * 32}",
        f"ws_{'0a' * 13}.file_{'0a' * 13}.{'1' * 13}.{'0f' * 32}",
        f"http://127.0.0.1:8025/set-up/{'0a' * 20}",
    ],
)
def test_what_has_the_look_of_a_token_is_heard_although_nobody_told_of_it(text: str) -> None:
    logging.getLogger("some.library").debug("asked for %s", text)
    [line] = WITNESS.leaks()
    assert text in line


def test_a_secret_that_a_process_logs_is_heard() -> None:
    with start([sys.executable, "-c", PROCESS], {}) as running:
        running.communicate(timeout=60)
    [line] = WITNESS.leaks()
    WITNESS.forget()
    assert "it is zyx of a process" in line
    assert WITNESS.leaks() == []
