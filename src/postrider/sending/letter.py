"""One claimed step from its texts to the octets that leave."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

from postrider.content.links import SigningKey
from postrider.content.template import Chooser
from postrider.kernel.errors import InvalidInput
from postrider.kernel.vault import Vault
from postrider.sending.composing import (
    Composed,
    Parcel,
    Tracking,
    build_parcel,
    compose,
    in_thread,
    sender_facts,
    with_legal_lines,
)
from postrider.sending.outcomes import Rejected
from postrider.sending.ports import Envelope
from postrider.sending.work import Begun, StepWork
from postrider.settings import Settings

TRACKING_KEY_ID: Final = "1"
SAMPLE_TOKEN: Final = "preview"
"""The unsubscribe token of previews and test messages; nobody's."""

_SAFE_IN_MAILTO: Final = "@!$'*+"
"""Beside letters, digits and ``-._~``. Source: RFC 6068 section 2."""
_OF_THE_MAILBOX: Final = frozenset({"sender", "sender_name", "list_unsubscribe"})
"""The same in every message of a mailbox: what is wrong with them is wrong with all of its messages."""


@dataclass(frozen=True, slots=True)
class Stationery:
    """What all messages of an installation share: its public address and its keys."""

    public_url: str | None
    choices_seed: bytes
    tracking_key: SigningKey

    @classmethod
    def of(cls, settings: Settings, vault: Vault) -> "Stationery":
        """``public_url`` only where it may be used in mail (https)."""
        return cls(
            public_url=settings.public_url if settings.tracks else None,
            choices_seed=vault.derive("choices"),
            tracking_key=SigningKey(TRACKING_KEY_ID, vault.derive("tracking")),
        )

    def unsubscribe_url(self, token: str) -> str | None:
        """Where the holder of ``token`` unsubscribes; None without a public https address."""
        return f"{self.public_url}/u/{token}" if self.public_url else None


def tracking_keys(vault: Vault) -> dict[str, bytes]:
    """Every key that tracking tokens still in circulation may be signed with, by its id."""
    return {TRACKING_KEY_ID: vault.derive("tracking")}


# A mailbox has the same ones for every message, and a signature takes long to sanitise.
facts_of_sender = lru_cache(maxsize=1024)(sender_facts)


def compose_step(work: StepWork, stationery: Stationery, now: datetime) -> Composed:
    """The words of one step for its lead."""
    program, recipient, sender = work.program, work.recipient, work.sender
    variant = next(v for v in program.variants(work.email) if v.label == work.variant)
    composed = compose(
        variant,
        lead=recipient.facts,
        custom=recipient.custom,
        sender=facts_of_sender(sender.account.email, sender.display_name, sender.signature),
        chooser=Chooser(stationery.choices_seed, program.campaign_id, recipient.lead_id, work.email.id, work.variant),
        unsubscribe_url=stationery.unsubscribe_url(recipient.token),
        today=now.astimezone(ZoneInfo(program.schedule.timezone)).date(),
        footer=program.settings.include_unsubscribe_link,
    )
    return in_thread(with_legal_lines(composed, work.house.legal_lines), work.thread.subject)


def envelope_for(work: StepWork, begun: Begun, stationery: Stationery, now: datetime) -> Envelope:
    """The octets of an attempt that stands in the ledger. Raises: InvalidInput for what no server would take."""
    program, recipient, sender = work.program, work.recipient, work.sender
    unsubscribe_url = stationery.unsubscribe_url(recipient.token)
    text_only = program.settings.text_only
    has_headers = work.house.unsubscribe_headers
    in_reply_to = begun.content.get("inReplyTo")
    parcel = Parcel(
        workspace_id=work.workspace_id,
        attempt_id=begun.attempt_id,
        message_id=begun.message_id,
        date=now,
        sender_name=sender.display_name,
        sender_email=sender.account.email,
        recipient_name=" ".join(filter(None, (recipient.facts.first_name, recipient.facts.last_name))),
        recipient_email=recipient.email,
        copies=work.copies,
        subject=begun.content.get("subject") or "",
        html=None if text_only else begun.content.get("html"),
        text=begun.content.get("text") or "",
        in_reply_to=in_reply_to,
        # A first mail names itself: some providers replace the Message-ID, and the reply then still carries ours.
        references=work.thread.ids if in_reply_to else (begun.message_id,),
        unsubscribe=unsubscribe_targets(unsubscribe_url, sender.account.email, recipient.token) if has_headers else (),
        one_click=has_headers and unsubscribe_url is not None,
    )
    data, needs_smtputf8 = build_parcel(parcel, _tracking(work, stationery, text_only), unsubscribe_url)
    return Envelope(
        sender=sender.account.email,
        recipients=(recipient.email, *work.copies, *work.blind_copies),
        message_id=begun.message_id,
        data=data,
        needs_smtputf8=needs_smtputf8,
    )


def unsubscribe_targets(url: str | None, mailbox: str, token: str) -> tuple[str, ...]:
    """What List-Unsubscribe offers (RFC 2369): the page, where there is one, and a mail to the sender."""
    mailto = f"mailto:{quote(mailbox, safe=_SAFE_IN_MAILTO)}?subject=unsubscribe%20{token}"
    return (url, mailto) if url else (mailto,)


def unwritable(error: InvalidInput) -> Rejected:
    """What becomes of a message that cannot be written: the mailbox's fault, or else this lead's or this text's."""
    if error.field in _OF_THE_MAILBOX:
        return Rejected("sender", "mail", None, None, f"Its messages cannot be written: {error.message}")
    return Rejected("other", "mail", None, None, error.message)


def _tracking(work: StepWork, stationery: Stationery, text_only: bool) -> Tracking | None:
    settings = work.program.settings
    if stationery.public_url is None or text_only or not (settings.track_opens or settings.track_clicks):
        return None
    return Tracking(stationery.public_url, stationery.tracking_key, settings.track_opens, settings.track_clicks)
