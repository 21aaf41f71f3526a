"""Why a lead's sequence ended, as a word for programs and a text for people. Pure."""

from typing import Final, NamedTuple

_WORDS: Final = (
    ("complaint", "complained"),
    ("label ", "labelled"),
    ("replied", "replied"),
    ("somebody at ", "company_replied"),
    ("auto-reply", "auto_replied"),
    ("on the do-not-contact list", "on_dnc"),
    ("the recipient's mailbox is full", "mailbox_full"),
    ("returned by the recipient's server", "returned"),
    ("refused by the server", "refused"),
    ("not accepted within", "not_accepted"),
)
"""How a noted reason begins, and its word."""


class Stop(NamedTuple):
    """``detail`` may quote a mail server or a label; None where the word says it all."""

    reason: str | None
    detail: str | None


def stop_of(status: str, noted: str | None) -> Stop:
    """What to tell of a lead in ``status`` whose end was noted as ``noted``.

    The word is the status itself where nothing more exact is known (bounced, unsubscribed, stopped, failed).
    """
    if not noted:
        return Stop(None, None)
    reason = next((word for beginning, word in _WORDS if noted.startswith(beginning)), status)
    return Stop(reason, None if noted == reason else noted)
