"""From a campaign's texts and one lead to the finished message. Pure: the same input gives the same octets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from html import escape
from typing import Final

from postrider.campaigns.compiling import CompiledVariant
from postrider.content.addresses import NamedAddress, parse_address
from postrider.content.headers import reply_subject, trim_references
from postrider.content.html import html_to_text, looks_like_html, paragraphs_as_lines, plain_to_html, sanitise_html
from postrider.content.links import SigningKey, TrackedTarget, add_pixel, rewrite_links, sign_target
from postrider.content.mime import Message, build_message
from postrider.content.template import Chooser, Html, LeadFacts, SenderFacts, lead_values
from postrider.sending.planner import pick_variant

LINK_NOT_ALLOWED: Final = "link_not_allowed"
FOOTER: Final = '<p style="font-size:12px;color:#6b7280"><a href="{}">Unsubscribe</a></p>'
LEGAL: Final = '<p style="font-size:12px;color:#6b7280">{}</p>'


@dataclass(frozen=True, slots=True)
class Composed:
    """A rendered email, without tracking. ``missing``: variables that had neither value nor fallback.

    ``bad_links``: variables whose value would have made a link that no mail may have.
    """

    subject: str
    html: str
    text: str
    missing: tuple[str, ...]
    in_thread: bool = False
    bad_links: tuple[str, ...] = ()

    @property
    def hold_reason(self) -> str | None:
        """Why it is not to be sent as it is, the first thing found; None when it is complete."""
        if self.missing:
            return f"missing_variable:{self.missing[0]}"
        return f"{LINK_NOT_ALLOWED}:{self.bad_links[0]}" if self.bad_links else None


def choose_variant(seed: bytes, lead_id: str, step_id: str, variants: list[CompiledVariant]) -> CompiledVariant:
    """The variant that this lead gets in this step, always the same one while the enabled ones stay the same."""
    enabled = [variant for variant in variants if variant.enabled] or variants
    if len(enabled) == 1:
        return enabled[0]
    label = pick_variant(seed, lead_id, step_id, [variant.label for variant in enabled])
    return next(variant for variant in enabled if variant.label == label)


def sender_facts(email: str, display_name: str, signature: str) -> SenderFacts:
    """The sender variables of a mailbox; a signature may be HTML or plain text and may use {{firstName}} and so on."""
    html = sanitise_html(signature if looks_like_html(signature) else plain_to_html(signature)) if signature else ""
    # It stands inside a paragraph, as a rule, and a paragraph holds no other one.
    html = paragraphs_as_lines(html)
    return SenderFacts(
        email=email,
        name=display_name or None,
        signature=Html(html, html_to_text(html)) if html else None,
    )


def compose(
    variant: CompiledVariant,
    *,
    lead: LeadFacts,
    custom: Mapping[str, str | None],
    sender: SenderFacts,
    chooser: Chooser,
    unsubscribe_url: str | None,
    today: date | None,
    footer: bool,
) -> Composed:
    """The subject and body for one lead. ``footer``: add an unsubscribe link unless the text has one of its own."""
    values = lead_values(lead, sender, custom=custom, unsubscribe_url=unsubscribe_url, today=today)
    subject = variant.subject.render(values, chooser)
    body = variant.html.render(values, chooser)
    html = body.text
    ready = None if body.missing or body.bad_links else variant.text
    text = ready.render(values, chooser).text if ready is not None else html_to_text(html)
    if footer and unsubscribe_url is not None and unsubscribe_url not in html:
        html += FOOTER.format(unsubscribe_url)
        text = f"{text.rstrip()}\n\nUnsubscribe ({unsubscribe_url})"
    missing = tuple(dict.fromkeys((*subject.missing, *body.missing)))
    return Composed(subject.text, html, text, missing, bad_links=body.bad_links)


def with_legal_lines(composed: Composed, lines: Sequence[str]) -> Composed:
    """``composed`` with plain lines under everything else, those of the workspace's House."""
    if not lines:
        return composed
    html = composed.html + LEGAL.format("<br>".join(map(escape, lines)))
    return replace(composed, html=html, text="\n\n".join((composed.text.rstrip(), "\n".join(lines))))


def in_thread(composed: Composed, previous: str | None) -> Composed:
    """``composed`` with the subject it is sent under. ``previous``: the subject that began the thread, if one did.

    An empty subject on a follow-up continues the thread, and so does "Re: " + the subject before.
    """
    if previous is None:
        return composed
    again = reply_subject(previous)
    if composed.subject and composed.subject.casefold() != again.casefold():
        return composed
    return replace(composed, subject=again, in_thread=True)


@dataclass(frozen=True, slots=True)
class Tracking:
    """How opens, clicks and unsubscribing are addressed; None where there is no public https address."""

    base_url: str
    key: SigningKey
    opens: bool
    clicks: bool


@dataclass(frozen=True, slots=True)
class Parcel:
    """All that a message on its way is made of."""

    workspace_id: str
    attempt_id: str
    message_id: str
    date: datetime
    sender_name: str
    sender_email: str
    recipient_name: str
    recipient_email: str
    copies: tuple[str, ...]
    subject: str
    html: str | None
    text: str
    in_reply_to: str | None
    references: tuple[str, ...]
    unsubscribe: tuple[str, ...]
    one_click: bool


def build_parcel(parcel: Parcel, tracking: Tracking | None, unsubscribe_url: str | None) -> tuple[bytes, bool]:
    """The message's octets, and whether its addresses need SMTPUTF8. Raises: InvalidInput for what cannot be sent."""
    html = parcel.html
    if html is not None and tracking is not None:
        html = _tracked(html, parcel, tracking, unsubscribe_url)
    message = Message(
        sender_name=parcel.sender_name,
        sender=parse_address(parcel.sender_email, "sender"),
        to=NamedAddress(parcel.recipient_name, parse_address(parcel.recipient_email, "to")),
        cc=tuple(NamedAddress("", parse_address(copy, "cc")) for copy in parcel.copies),
        subject=parcel.subject,
        date=parcel.date,
        message_id=parcel.message_id,
        in_reply_to=parcel.in_reply_to,
        references=trim_references(parcel.references),
        list_unsubscribe=parcel.unsubscribe,
        one_click=parcel.one_click,
        text=parcel.text,
        html=html,
    )
    return build_message(message), message.needs_smtputf8


def _tracked(html: str, parcel: Parcel, tracking: Tracking, unsubscribe_url: str | None) -> str:
    if tracking.clicks:
        keep = {unsubscribe_url} if unsubscribe_url else set()
        html = rewrite_links(html, _click_url(parcel, tracking), keep)
    if tracking.opens:
        target = TrackedTarget("open", parcel.workspace_id, parcel.attempt_id)
        html = add_pixel(html, f"{tracking.base_url}/t/o/{sign_target(tracking.key, target)}")
    return html


def _click_url(parcel: Parcel, tracking: Tracking) -> Callable[[int, str], str]:
    def make(index: int, url: str) -> str:
        target = TrackedTarget("click", parcel.workspace_id, parcel.attempt_id, index, url)
        return f"{tracking.base_url}/t/c/{sign_target(tracking.key, target)}"

    return make
