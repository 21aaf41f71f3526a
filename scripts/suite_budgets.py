"""A pytest plugin that adds up test time by suite (the folder below tests/) and tells of those over budget.

``--suite-budget=unit=1``: the tests in tests/unit may take one minute in all, whichever worker runs them. Budgets are
made for a quiet machine of two cores; a run that needs half as much again fails.
"""

from collections import defaultdict
from collections.abc import Mapping

import pytest

_SECONDS = 60.0
_SLACK = 1.5


class SuiteBudgets:
    """Counts the seconds of every suite while reports come in, from this process or from workers."""

    def __init__(self, budget_minutes: Mapping[str, float]) -> None:
        self.budget_minutes = budget_minutes
        self.spent_seconds: defaultdict[str, float] = defaultdict(float)

    def over_budget(self, slack: float = 1.0) -> list[str]:
        """One line for each suite that took longer than it may, or than ``slack`` times as long."""
        return [
            f"tests/{suite} took {self.spent_seconds[suite]:.0f} s of test time; its budget is {minutes:g} min."
            for suite, minutes in self.budget_minutes.items()
            if self.spent_seconds[suite] > minutes * _SECONDS * slack
        ]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Books set-up, call and tear-down on the suite of the test."""
        folders = report.nodeid.split("/")
        suite = folders[1] if folders[0] == "tests" and len(folders) > 2 else "."
        self.spent_seconds[suite] += report.duration

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Turns a green run into a failed one when a suite is far over its budget."""
        if self.over_budget(_SLACK) and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Says where the time went, and what was too much."""
        spent = ", ".join(f"{suite} {seconds:.0f}" for suite, seconds in sorted(self.spent_seconds.items()))
        terminalreporter.write_line(f"test seconds by suite: {spent}")
        for line in self.over_budget():
            terminalreporter.write_line(line, red=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declares --suite-budget."""
    parser.addoption("--suite-budget", action="append", default=[], metavar="SUITE=MINUTES", help=__doc__)


def pytest_configure(config: pytest.Config) -> None:
    """Starts counting in the process that prints the result; a worker only runs tests."""
    if not hasattr(config, "workerinput"):
        pairs = [text.partition("=") for text in config.getoption("--suite-budget")]
        config.pluginmanager.register(SuiteBudgets({suite: float(minutes) for suite, _, minutes in pairs}))
