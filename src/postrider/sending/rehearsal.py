"""The words a lead would get for one step, found exactly as the sender finds them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from postrider.campaigns.compiling import CompiledVariant, compile_variant
from postrider.campaigns.documents import VariantInput
from postrider.campaigns.sequence import EmailStep
from postrider.content.template import Chooser, LeadFacts
from postrider.kernel.errors import InvalidInput
from postrider.mailboxes.tables import Mailbox
from postrider.sending.composing import Composed, choose_variant, compose, in_thread, with_legal_lines
from postrider.sending.letter import Stationery, facts_of_sender
from postrider.sending.program import Program


@dataclass(frozen=True, slots=True)
class Reader:
    """Whom the words are for. ``lead_id`` decides variants and spintax; a made-up reader has one of its own."""

    lead_id: str
    facts: LeadFacts
    custom: Mapping[str, str | None]
    token: str


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What would be sent, and as which variant."""

    composed: Composed
    variant: str


def email_at(program: Program, index: int) -> EmailStep:
    """The email at ``index`` (from 0, counting waits too). Raises: InvalidInput naming the emails there are."""
    for email in program.emails:
        if email.order == index:
            return email
    allowed = ", ".join(str(email.order) for email in program.emails) or "none yet"
    raise InvalidInput(
        f"sequenceStep {index} is not an email of this campaign.",
        field="sequenceStep",
        hint=f"Steps are counted from 0, waits included. Emails of this campaign: {allowed}.",
    )


def rehearse(
    program: Program,
    email: EmailStep,
    reader: Reader,
    mailbox: Mailbox,
    stationery: Stationery,
    now: datetime,
    *,
    legal_lines: Sequence[str] = (),
    label: str | None = None,
    override: VariantInput | None = None,
) -> Rehearsed:
    """The words of ``email`` for ``reader``, with the subject of the thread that the emails before it began.

    ``legal_lines``: those of the workspace's House.
    ``label``: this variant instead of the one the lead would get. ``override``: a text that is not saved yet.
    Raises: InvalidInput for an unknown label or a bad template.
    """
    previous: str | None = None
    for earlier in program.emails[: email.position]:
        chosen = choose_variant(stationery.choices_seed, reader.lead_id, earlier.id, program.variants(earlier))
        previous = words_for(program, earlier, chosen, reader, mailbox, stationery, now, previous).subject
    variants = program.variants(email)
    if override is not None:
        variant = compile_variant(email.step, override, "contentOverride")
    elif label is not None:
        variant = _labelled(variants, label)
    else:
        variant = choose_variant(stationery.choices_seed, reader.lead_id, email.id, variants)
    composed = words_for(program, email, variant, reader, mailbox, stationery, now, previous)
    return Rehearsed(with_legal_lines(composed, legal_lines), variant.label)


def _labelled(variants: list[CompiledVariant], label: str) -> CompiledVariant:
    for variant in variants:
        if variant.label == label:
            return variant
    allowed = ", ".join(variant.label for variant in variants)
    raise InvalidInput(f"This step has no variant {label!r}.", field="variant", hint=f"Its variants: {allowed}.")


def words_for(
    program: Program,
    email: EmailStep,
    variant: CompiledVariant,
    reader: Reader,
    mailbox: Mailbox,
    stationery: Stationery,
    now: datetime,
    previous: str | None = None,
) -> Composed:
    """The words of one variant for ``reader``. ``previous``: the subject that began the thread, if one did."""
    composed = compose(
        variant,
        lead=reader.facts,
        custom=reader.custom,
        sender=facts_of_sender(mailbox.email, mailbox.display_name, mailbox.signature),
        chooser=Chooser(stationery.choices_seed, program.campaign_id, reader.lead_id, email.id, variant.label),
        unsubscribe_url=stationery.unsubscribe_url(reader.token),
        today=now.astimezone(ZoneInfo(program.schedule.timezone)).date(),
        footer=program.settings.include_unsubscribe_link,
    )
    return in_thread(composed, previous)
