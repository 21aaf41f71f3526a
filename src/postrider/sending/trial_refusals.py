"""What a mail server's no to a test email means."""

from typing import Final, NamedTuple

from postrider.kernel.errors import Upstream
from postrider.sending.outcomes import Deferred, Rejected


class _Said(NamedTuple):
    words: str
    hint: str


_LATER: Final = "Send it again later."
_SAID: Final[dict[str, _Said]] = {
    "transient": _Said("the mail server cannot take it just now", _LATER),
    "throttle": _Said("the mail server wants fewer messages from this mailbox", _LATER),
    "connection": _Said(
        "the mail server could not be reached, or broke off",
        "Check host, port and security of the mailbox (get_mailbox).",
    ),
    "auth": _Said(
        "the mail server refused the sign-in", "Call create_mailbox again with the right user name and password."
    ),
    "hard": _Said("the mail server says that the address does not exist", "Check the address."),
    "soft": _Said("the recipient's mailbox is full or turned off", "Use another address, or send it again later."),
    "policy": _Said(
        "the mail server does not want this message", "Look at its text and links, and at the domain's SPF and DKIM."
    ),
    "sender": _Said(
        "the mail server does not let this mailbox send",
        "Look into the provider's settings: the account may be locked, or may not send from this address.",
    ),
    "other": _Said("the mail server refused the message", "Check the mailbox with get_mailbox, and the address."),
}
"""What a refusal of each kind means."""
_NOT_OFFERED: Final = _Said(
    "an address in it cannot be used with this mailbox's server",
    "Use addresses of plain letters, or a server that offers SMTPUTF8.",
)


def refused(outcome: Deferred | Rejected) -> Upstream:
    """In words of ours: what a mail server writes may be a stranger's, and errors hold none of it."""
    codes = " ".join(str(code) for code in (outcome.code, outcome.enhanced) if code is not None)
    said = _NOT_OFFERED if isinstance(outcome, Rejected) and outcome.code is None else _SAID[outcome.kind]
    return Upstream(
        f"The test was not accepted: {said.words}{f' (code {codes})' if codes else ''}.",
        retryable=outcome.kind in ("transient", "throttle", "connection"),
        # An address that a server says is bad is on the do-not-contact list now.
        nothing_done=outcome.kind != "hard",
        code="SEND_REFUSED",
        hint=said.hint,
        details={"kind": outcome.kind, "code": outcome.code, "enhanced": outcome.enhanced, "stage": outcome.stage},
    )
