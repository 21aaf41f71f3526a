"""What callers are told about IMAP servers: coarse words, stable codes, never a server's own text or a password."""

import imaplib
from collections.abc import Iterator
from contextlib import contextmanager

from imap_tools import ImapToolsError, UnexpectedCommandStatusError

from postrider.kernel.errors import Upstream

AUTH_FAILED = "IMAP_AUTH_FAILED"
BUSY = "IMAP_BUSY"
CONNECTION_LOST = "IMAP_CONNECTION_LOST"
NOT_CONFIGURED = "IMAP_NOT_CONFIGURED"
PROTOCOL_ERROR = "IMAP_PROTOCOL_ERROR"
REFUSED = "IMAP_REFUSED"
TIMEOUT = "IMAP_TIMEOUT"
TLS_FAILED = "IMAP_TLS_FAILED"
UNREACHABLE = "IMAP_UNREACHABLE"


class TooMuchData(Exception):
    """The server sent more than the command allowed for."""


def not_configured() -> Upstream:
    """For an account that has no incoming server."""
    return Upstream("This mailbox has no IMAP server.", retryable=False, code=NOT_CONFIGURED)


def unreachable() -> Upstream:
    """For a connection that did not come about."""
    return Upstream("The IMAP server could not be reached.", retryable=True, code=UNREACHABLE)


def timed_out(hint: str | None = None) -> Upstream:
    """For a server that did not finish in time."""
    return Upstream("The IMAP server did not answer in time.", retryable=True, code=TIMEOUT, hint=hint)


def no_greeting() -> Upstream:
    """For a server that says nothing on a connection without TLS: as a rule it waits for TLS to begin."""
    return timed_out(
        "Check host, port and security: a port that expects TLS at once, such as 993, needs security: 'tls'; "
        "'starttls' is usual on port 143."
    )


def connection_lost() -> Upstream:
    """For a connection that ended under way."""
    return Upstream("The connection to the IMAP server was lost.", retryable=True, code=CONNECTION_LOST)


def tls_failed(*, retryable: bool) -> Upstream:
    """For a server that cannot prove who it is, or does not offer the TLS that the account asks for."""
    return Upstream(
        "No secure connection to the IMAP server: TLS failed.",
        retryable=retryable,
        code=TLS_FAILED,
        hint="Check host, port and security: 'tls' is usual on port 993, 'starttls' on port 143. "
        "The certificate must be valid for the host name. The password was not sent.",
    )


def auth_failed() -> Upstream:
    """For a server that does not accept the username and password."""
    return Upstream(
        "The IMAP server did not accept the username and password.",
        retryable=False,
        code=AUTH_FAILED,
        hint="Check both. Gmail, Yahoo and iCloud want an app password instead of the account's own.",
    )


def busy() -> Upstream:
    """For a server that turns the sign-in away for now."""
    return Upstream("The IMAP server takes no sign-in just now.", retryable=True, code=BUSY)


def refused() -> Upstream:
    """For a command that the server answered with NO."""
    return Upstream("The IMAP server refused the request.", retryable=True, code=REFUSED)


def garbled() -> Upstream:
    """For an answer that is not IMAP, or breaks a limit."""
    return Upstream("The server did not answer as an IMAP server does.", retryable=True, code=PROTOCOL_ERROR)


@contextmanager
def coarse_errors() -> Iterator[None]:
    """Turns what sockets and the IMAP library raise into Upstream; the original is dropped, it may quote the server."""
    try:
        yield
    except TimeoutError:
        raise timed_out() from None
    except OSError:
        raise connection_lost() from None
    except imaplib.IMAP4.abort as error:
        raise _of_abort(error) from None
    except UnexpectedCommandStatusError:
        raise refused() from None
    # A hostile answer can trip the library in many places: as a wrong type, a bad number, a missing key.
    except (imaplib.IMAP4.error, ImapToolsError, TooMuchData, ValueError, LookupError, TypeError):
        raise garbled() from None


def _of_abort(error: imaplib.IMAP4.abort) -> Upstream:
    """imaplib aborts both for a lost connection and for a line that it cannot read."""
    text = str(error)
    return garbled() if "unexpected" in text or "unterminated" in text else connection_lost()
