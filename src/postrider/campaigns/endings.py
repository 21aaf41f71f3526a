"""Why a lead's sequence ended: a word for programs and, where that does not say it all, a text for people. Pure."""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

StopReason = Literal[
    "replied",
    "company_replied",
    "auto_replied",
    "labelled",
    "unsubscribed",
    "complained",
    "on_dnc",
    "bounced",
    "mailbox_full",
    "returned",
    "refused",
    "not_accepted",
    "cannot_be_sent",
]
_PHRASES: Final[Mapping[str, str]] = {
    "replied": "they replied",
    "company_replied": "somebody of their company replied",
    "auto_replied": "a machine answered for them",
    "labelled": "by the label of their conversation",
    "unsubscribed": "they unsubscribed",
    "complained": "they called a message spam",
    "on_dnc": "on the do-not-contact list",
    "bounced": "the address does not take mail",
    "mailbox_full": "the recipient's mailbox is full",
    "returned": "returned by the recipient's server",
    "refused": "refused by the server",
    "not_accepted": "not accepted within 48 hours",
    "cannot_be_sent": "cannot be sent",
}
_MAX_DETAIL: Final = 500


class Stop(NamedTuple):
    """``detail`` may quote a mail server, a label or an address."""

    reason: StopReason
    detail: str | None = None

    def columns(self) -> dict[str, object]:
        """As an enrollment keeps it."""
        return {"stop_reason": self.reason, "stop_detail": self.detail[:_MAX_DETAIL] if self.detail else None}


def in_words(reason: str, detail: str | None) -> str:
    """What an enrollment keeps, as part of a sentence."""
    phrase = _PHRASES.get(reason, reason)
    return f"{phrase} ({detail})" if detail else phrase
