"""What an inbound message is: a person's reply, a machine's, a bounce, a complaint, or a wish to be left alone (pure).

The verdict names the rule that decided. Whether anything follows from it is the caller's to say: only a message that is
matched to an attempt of ours may stop or suppress anyone.
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import Literal

from postrider.inbox.classify_dates import return_date
from postrider.inbox.classify_labels import Label, suggest_label
from postrider.inbox.classify_wishes import plain_unsubscribe_rule, unsubscribe_rule
from postrider.inbox.classify_words import AUTO_SUBJECT, LEFT_COMPANY, OUT_OF_OFFICE, RETURNING, TICKET_ACK, folded
from postrider.inbox.dsn import DsnRecipient, DsnReport, is_daemon
from postrider.inbox.parsing import ParsedMail
from postrider.sending.outcomes import Deferred, RejectKind
from postrider.sending.reply_codes import classify_reply, split_reply

__all__ = ["BounceVerdict", "Label", "Verdict", "bounce_kind", "bounce_verdicts", "classify", "suggest_label"]

Kind = Literal[
    "reply", "auto_reply", "auto_generated", "bounce", "delay", "complaint", "unsubscribe", "delivered_notice"
]
SubKind = Literal["ooo", "left_company", "ticket_ack", "delivery_delay"]

_PHRASE_CHARS = 500
_WEAK_POINTS_NEEDED = 2
_NO_REPLY = re.compile(r"(?:no|donot|do-not|dont)[-_.]?reply|auto[-_.]?(?:reply|respon\w{1,6})")
# The word alone or with the token of our List-Unsubscribe link; "Unsubscribe rates" is a person's subject.
_UNSUBSCRIBE_SUBJECT = re.compile(r"unsubscribe(?: (?:me|please|[^\s?]{12,200}))?[.!]?")
_UNSUBSCRIBE_MAILBOX = re.compile(r"(?:[^@]{0,64}\+)?unsub(?:scribe)?(?:[-+.=_][^@]{0,64})?@")
_BULK = frozenset({"bulk", "list", "junk"})
_NO_COMPLAINT = frozenset({"not-spam", "auth-failure", "dmarc", "dkim"})
_REPLY_CODE = re.compile(r"(?<![\d.])[45]\d\d(?=[ -])")
_EXPIRED = frozenset({"5.4.7", "4.4.7"})


@dataclass(frozen=True, slots=True)
class BounceVerdict:
    """What one failed recipient means; ``kind`` as for a refusal during sending. Only ``hard`` is about the address."""

    kind: RejectKind
    recipient: str
    original_recipient: str | None
    status: str | None
    diagnostic: str | None
    remote_mta: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a message is. ``rule``: stable id of the rule that hit. ``return_date``: only with sub-kind ooo.

    ``bounce``: the first failed recipient; ``bounce_verdicts`` tells all of them.
    """

    kind: Kind
    rule: str
    sub_kind: SubKind | None = None
    return_date: date | None = None
    bounce: BounceVerdict | None = None


def classify(mail: ParsedMail, *, references_ours: bool, received_on: date) -> Verdict:
    """The kind of a message; the rules run in a fixed order and the first hit wins.

    ``references_ours``: it answers a message of ours. ``received_on``: the day from which a return date counts.
    """
    own_text = mail.new_text or mail.text
    verdict = _report(mail) or _unsubscribe_request(mail)
    if verdict is not None:
        return verdict
    if _is_list_mail(mail, references_ours):
        return Verdict("auto_generated", "list_mail")
    if (declared := _declared_machine(mail)) is not None:
        return _automatic(mail, *declared, own_text, received_on)
    likely = _likely_machine(mail, references_ours, own_text)
    # Rules and gateways put such signs on what people write, and a plain wish is no machine's text.
    wish = unsubscribe_rule(own_text) if likely is None else plain_unsubscribe_rule(own_text)
    if wish is not None:
        return Verdict("unsubscribe", wish)
    return _automatic(mail, *likely, own_text, received_on) if likely else Verdict("reply", "reply")


def bounce_kind(status: str | None, diagnostic: str | None, remote_mta: str | None) -> RejectKind:
    """What a failed delivery means, judged like a refusal during sending; the most specific code wins.

    A remote server's own words in ``diagnostic`` go before the ``status`` that the reporting server made of them.
    """
    said, text = split_reply([diagnostic or ""])
    exact = next((one for one in (said, status) if one and not one.endswith(".0.0")), None)
    enhanced = exact or status or said
    if status in _EXPIRED or enhanced in _EXPIRED:
        return "soft"
    found = _REPLY_CODE.search(text)
    code = int(found.group()) if found else 550
    if enhanced is not None and int(enhanced[0]) != code // 100:
        code = 450 if enhanced.startswith("4") else 550
    refusal = classify_reply("dot", code, enhanced, text, remote_mta or "")
    if isinstance(refusal, Deferred):
        return "sender" if refusal.kind == "auth" else "soft"
    return refusal.kind


def bounce_verdicts(report: DsnReport) -> tuple[BounceVerdict, ...]:
    """One verdict for each recipient whose delivery failed for good."""
    return tuple(_bounce(recipient) for recipient in report.recipients if recipient.action == "failed")


def _bounce(recipient: DsnRecipient) -> BounceVerdict:
    return BounceVerdict(
        kind=bounce_kind(recipient.status, recipient.diagnostic, recipient.remote_mta),
        recipient=recipient.final_recipient,
        original_recipient=recipient.original_recipient,
        status=recipient.status,
        diagnostic=recipient.diagnostic,
        remote_mta=recipient.remote_mta,
    )


def _report(mail: ParsedMail) -> Verdict | None:
    """Machine reports about mail, which are never replies."""
    if mail.arf is not None:
        if mail.arf.feedback_type.startswith("opt-out"):
            return Verdict("unsubscribe", "arf_opt_out")
        harmless = mail.arf.feedback_type in _NO_COMPLAINT
        return Verdict("auto_generated", "arf_other") if harmless else Verdict("complaint", "arf")
    if mail.dsn is not None:
        form = "dsn" if mail.dsn.standard else "dsn_guessed"
        if failed := bounce_verdicts(mail.dsn):
            return Verdict("bounce", f"{form}_failed", bounce=failed[0])
        if any(recipient.action == "delayed" for recipient in mail.dsn.recipients):
            return Verdict("delay", f"{form}_delayed", "delivery_delay")
        return Verdict("delivered_notice", f"{form}_delivered")
    if mail.signals.report_type == "disposition-notification":  # RFC 8098
        return Verdict("auto_generated", "read_receipt")
    return None


def _unsubscribe_request(mail: ParsedMail) -> Verdict | None:
    """A mail that a mail program wrote because somebody pressed its unsubscribe button (RFC 2369, mailto form)."""
    if _UNSUBSCRIBE_SUBJECT.fullmatch(folded(mail.subject)):
        return Verdict("unsubscribe", "unsubscribe_subject")
    if any(_UNSUBSCRIBE_MAILBOX.match(address.lower()) for address in mail.to + mail.signals.delivered_to):
        return Verdict("unsubscribe", "unsubscribe_address")
    return None


def _is_list_mail(mail: ParsedMail, references_ours: bool) -> bool:
    """Mail of a list or newsletter that answers nothing of ours and does not call itself automatic."""
    signals = mail.signals
    if references_ours or _submitted(mail) != "no" or signals.auto_reply or AUTO_SUBJECT.search(folded(mail.subject)):
        return False
    if signals.list_id or signals.list_unsubscribe_mailto:
        return True
    return signals.precedence in _BULK and plain_unsubscribe_rule(mail.new_text or mail.text) is None


def _submitted(mail: ParsedMail) -> str:
    """The keyword of Auto-Submitted, "no" when absent. Source: RFC 3834 section 5."""
    return (mail.signals.auto_submitted or "no").partition(";")[0].partition("(")[0].strip()


def _automatic(mail: ParsedMail, kind: Kind, rule: str, own_text: str, received_on: date) -> Verdict:
    sub_kind = _sub_kind(mail)
    back = return_date(f"{mail.subject}. {own_text}", received_on) if sub_kind == "ooo" else None
    return Verdict(kind, rule, sub_kind, back)


def _declared_machine(mail: ParsedMail) -> tuple[Kind, str] | None:
    """Machines that say so themselves."""
    submitted = _submitted(mail)
    if submitted.startswith("auto-replied"):
        return "auto_reply", "auto_submitted_replied"
    if submitted != "no":
        return "auto_generated", "auto_submitted_generated"
    if mail.signals.auto_reply:
        return "auto_reply", "auto_reply_header"
    if mail.signals.precedence in ("auto_reply", "auto-reply"):
        return "auto_reply", "precedence_auto_reply"
    return None


def _likely_machine(mail: ParsedMail, references_ours: bool, own_text: str) -> tuple[Kind, str] | None:
    """Machines by signs that now and then stand on a person's mail too."""
    subject = folded(mail.subject)
    if mail.return_path == "" and references_ours:
        return "auto_reply", "null_return_path"
    if AUTO_SUBJECT.search(subject):
        return "auto_reply", "auto_subject"
    if subject.startswith("auto:") and mail.in_reply_to:
        return "auto_reply", "auto_prefix"
    return ("auto_reply", "weak_points") if _weak_points(mail, own_text) >= _WEAK_POINTS_NEEDED else None


def _weak_points(mail: ParsedMail, own_text: str) -> int:
    """How many signs, none of them proof alone, say that a machine wrote it."""
    signals, local = mail.signals, (mail.from_address or "").partition("@")[0].lower()
    phrase = folded(own_text, _PHRASE_CHARS)
    return sum(
        (
            signals.response_suppress is not None,
            signals.inbox_rules_loop,
            is_daemon(mail.from_address) or _NO_REPLY.search(local) is not None,
            signals.precedence in _BULK,
            OUT_OF_OFFICE.search(phrase) is not None or LEFT_COMPANY.search(phrase) is not None,
        )
    )


def _sub_kind(mail: ParsedMail) -> SubKind | None:
    words = f"{folded(mail.subject)}. {folded(mail.new_text or mail.text)}"
    if LEFT_COMPANY.search(words):
        return "left_company"
    if OUT_OF_OFFICE.search(words) or RETURNING.search(words):
        return "ooo"
    return "ticket_ack" if TICKET_ACK.search(words) else None
