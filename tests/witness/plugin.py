"""For pytest: a test during which a secret was logged, by this process or by one that it started, fails."""

from collections.abc import Generator

import pytest

from tests.witness.listening import WITNESS
from tests.witness.telling import tell

tell(WITNESS.secrets.add)


def pytest_collection_finish() -> None:
    """Secrets that modules made when they were imported are there for all tests."""
    WITNESS.lasting.update(WITNESS.secrets)


def pytest_unconfigure() -> None:
    """After the last test."""
    WITNESS.end()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """A test before may have sent the log elsewhere."""
    WITNESS.listen()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, None, None]:
    """Looks once everything is torn down that is torn down after this test."""
    yield
    for ear in WITNESS.ears:
        item.add_report_section("teardown", "stderr of a process", ear.heard()[-4_000:])
    leaks = WITNESS.leaks()
    if nextitem is None or nextitem.path != item.path:
        WITNESS.forget()
    if leaks:
        pytest.fail("A secret was logged:\n" + "\n".join(leaks[:10]), pytrace=False)
