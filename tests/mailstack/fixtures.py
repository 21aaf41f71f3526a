"""Fixtures for tests against real mail servers."""

from collections.abc import Iterator

import pytest

from tests.mailstack.stack import MailStack


@pytest.fixture(scope="session")
def mail_stack() -> Iterator[MailStack]:
    """One mail server for the whole run of this process; take accounts from ``new_account`` to stay apart."""
    with MailStack() as stack:
        yield stack
