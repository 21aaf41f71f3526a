"""What an email will look like: preview it for a lead, or send one to see it arrive."""

from dataclasses import astuple, replace
from datetime import datetime
from typing import Annotated, NamedTuple

from pydantic import Field
from sqlalchemy import select

from postrider.access.house import House, house_of
from postrider.campaigns.confirming import CHANGED_MEANWHILE
from postrider.campaigns.documents import Body, Subject, VariantInput
from postrider.campaigns.launch import COPIES_SHARE_THE_LINK, NO_PUBLIC_ADDRESS
from postrider.campaigns.queries import find_campaign
from postrider.campaigns.sequence import EmailStep
from postrider.content.addresses import parse_address
from postrider.content.headers import check_name, message_id
from postrider.content.template import LeadFacts, is_reserved
from postrider.dnc.queries import hashes_covering
from postrider.kernel.arguments import digest_of
from postrider.kernel.context import Context, OutsideContext
from postrider.kernel.errors import Conflict, InvalidInput, Upstream
from postrider.kernel.misfits import Allowed
from postrider.kernel.operation import Effect, Input, Output, Rest, UntrustedText, operation
from postrider.kernel.policy import Facts
from postrider.leads.tables import Lead
from postrider.mailboxes.queries import account_of
from postrider.mailboxes.tables import Mailbox
from postrider.sending.capped import Capped
from postrider.sending.composing import LINK_NOT_ALLOWED, Composed
from postrider.sending.letter import SAMPLE_TOKEN, Stationery, unsubscribe_targets
from postrider.sending.lookups import find_lead, find_mailbox
from postrider.sending.message_ids import new_message_token
from postrider.sending.outcomes import Delivered, Held, Outcome, Unknown
from postrider.sending.program import Program, read_program
from postrider.sending.rehearsal import Reader, email_at, rehearse
from postrider.sending.trial_refusals import refused
from postrider.sending.trial_sending import send_trial
from postrider.sending.trials import Trial, fresh_attempt_id, is_own_address, trial_envelope
from postrider.sending.work_queries import ensure_token, lead_facts

StepIndex = Annotated[int, Field(ge=0, le=1_000, description="Index in the sequence from 0, waits counted.")]
Label = Annotated[
    str | None,
    Field(pattern=r"^[A-Z]$", description="Variant; the lead's own if omitted."),
    Allowed("one capital letter, such as B"),
]


class ContentOverride(Input):
    """A text that is not saved in the campaign."""

    subject: Subject = ""
    body: Body = ""


class PreviewEmail(Input):
    """Which email, for whom, from which mailbox."""

    id: Annotated[str, Field(max_length=40, description="Campaign id.")]
    sequence_step: StepIndex
    lead_id: Annotated[str, Field(max_length=40, description="Lead id (or the campaign lead's).")]
    mailbox_id: Annotated[str, Field(max_length=40)]
    variant: Label = None
    content_override: Annotated[ContentOverride | None, Field(description="Preview this text instead.")] = None


class Party(Output):
    """A name and an address."""

    name: UntrustedText
    email: str


class EmailPreview(Output):
    """What would be sent, word for word. ``missingVariables``: no value and no fallback, so the lead would be held."""

    subject: UntrustedText
    body: UntrustedText
    text: UntrustedText
    variant: str
    to: Party
    from_: Annotated[Party, Field(alias="from")]
    missing_variables: list[str]
    warnings: list[str]


@operation(
    title="Preview an email",
    keywords="final personalised placeholders variables filled inserted message appears layout proofread",
    effect=Effect.READ,
    rest=Rest("POST", "/v1/campaigns/{id}/preview-email"),
    core=True,
)
def preview_email(ctx: Context, request: PreviewEmail) -> EmailPreview:
    """Show one email of a campaign exactly as a lead would get it: variables, conditions and spintax resolved.

    The same lead always gets the same words, so what you see is what is sent. Use contentOverride to try a text before
    saving it with update_campaign. Look at missingVariables: such a lead is held, not sent to.
    """
    program = read_program(find_campaign(ctx, request.id))
    mailbox = find_mailbox(ctx, request.mailbox_id)
    lead = find_lead(ctx, request.lead_id)
    override = request.content_override
    if override is not None:
        check_name(override.subject, "contentOverride.subject")
    rehearsed = rehearse(
        program,
        email_at(program, request.sequence_step),
        reader_of(lead),
        mailbox,
        Stationery.of(ctx.settings, ctx.vault),
        ctx.now,
        legal_lines=house_of(ctx.session, ctx.workspace_id).legal_lines,
        label=request.variant,
        override=VariantInput(label="A", subject=override.subject, body=override.body) if override else None,
    )
    composed = rehearsed.composed
    return EmailPreview(
        subject=composed.subject,
        body=composed.html,
        text=composed.text,
        variant=rehearsed.variant,
        to=Party(name=_name(lead), email=lead.email),
        from_=Party(name=mailbox.display_name, email=mailbox.email),
        missing_variables=list(composed.missing),
        warnings=[*_warnings(program, composed, tracks=ctx.settings.tracks), *_unused(lead)],
    )


def _warnings(program: Program, composed: Composed, *, tracks: bool) -> list[str]:
    found = [] if tracks else [NO_PUBLIC_ADDRESS]
    found += [
        f"{LINK_NOT_ALLOWED}:{name}: the value makes a link that no email may have, so the lead would be held. "
        "Give a value that starts with http:// or https:// (update_lead)."
        for name in composed.bad_links
    ]
    if program.settings.cc or program.settings.bcc:
        found.append(COPIES_SHARE_THE_LINK)
    return found


def _unused(lead: Lead) -> list[str]:
    return [
        f"RESERVED_NAME:{name}: this custom field of the lead is not used: the name stands for what the mailbox, the "
        "campaign or the clock says. Give the field another name."
        for name in sorted(lead.custom_fields)
        if is_reserved(name)
    ]


def reader_of(lead: Lead) -> Reader:
    """A lead as the one whom words are rehearsed for."""
    custom = {name: str(value) for name, value in lead.custom_fields.items() if value is not None}
    return Reader(lead.id, lead_facts(lead), custom, SAMPLE_TOKEN)


def _name(lead: Lead) -> str:
    return " ".join(filter(None, (lead.first_name, lead.last_name)))


class SendTestEmail(Input):
    """Which email, from which mailbox, and to whom: the lead itself, or an address of your own."""

    id: Annotated[str, Field(max_length=40, description="Campaign id.")]
    sequence_step: StepIndex
    mailbox_id: Annotated[str, Field(max_length=40)]
    lead_id: Annotated[str | None, Field(max_length=40, description="Write to this lead, a real person.")] = None
    custom_email: Annotated[str | None, Field(max_length=320, description="Or to your own address.")] = None
    custom_variables: Annotated[
        dict[Annotated[str, Field(max_length=100)], Annotated[str, Field(max_length=10_000)]],
        Field(max_length=100, description="Values for the variables, with customEmail."),
    ] = {}
    variant: Label = None


class SentPreview(Output):
    """The words that were sent."""

    subject: UntrustedText
    body: UntrustedText
    text: UntrustedText


class TestEmailSent(Output):
    """The mail server accepted the message."""

    message: str
    message_id: str
    recipient: str
    mailbox: str
    preview: SentPreview


class _Named(NamedTuple):
    """What a request for a test names, read once: the facts are of the very rows that the test is made from.

    ``lead_id``: of the lead that is named, if one is.
    """

    program: Program
    email: EmailStep
    mailbox: Mailbox
    house: House
    reader: Reader
    lead_id: str | None

    @property
    def recipient(self) -> str:
        return self.reader.facts.email

    def facts(self, now: datetime) -> Facts:
        """Who is written to, and a revision that changes with every word of it."""
        program, mailbox, reader = self.program, self.mailbox, self.reader
        who = "the address given" if self.lead_id is None else "a lead, a real person"
        words = [
            *(astuple(reader.facts), dict(reader.custom)),
            *(mailbox.email, mailbox.display_name, mailbox.signature),
            *(self.house.legal_lines, self.house.unsubscribe_headers),
        ]
        return Facts(
            summary=f"Email {self.email.order} of the campaign {program.campaign_id} (revision {program.revision}) "
            f"leaves at once from {mailbox.email} to {self.recipient} ({who}).",
            subject=program.campaign_id,
            revision=f"{program.revision}/{self.recipient}/{digest_of(words)}",
            cause="send",
            people=1,
            first_send_at=now,
            content_digest=digest_of([variant.model_dump(mode="json") for variant in self.email.variants]),
        )


def _named(ctx: Context, request: SendTestEmail) -> _Named:
    """Raises: NotFound, InvalidInput."""
    _check_named(request)
    program = read_program(find_campaign(ctx, request.id))
    mailbox = find_mailbox(ctx, request.mailbox_id)
    lead_id = None
    if request.lead_id is not None:
        lead = find_lead(ctx, request.lead_id)
        reader, lead_id = reader_of(lead), lead.id
    else:
        facts = LeadFacts(email=parse_address(request.custom_email or "", "customEmail").key)
        reader = Reader("test", facts, dict(request.custom_variables), SAMPLE_TOKEN)
    email, house = email_at(program, request.sequence_step), house_of(ctx.session, ctx.workspace_id)
    return _Named(program, email, mailbox, house, reader, lead_id)


def trial_facts(ctx: Context, request: SendTestEmail) -> Facts:
    """Who would be written to, at once. Nothing is locked: the call holds what it sends against what was agreed to.

    Raises: NotFound, InvalidInput.
    """
    return _named(ctx, request).facts(ctx.now)


def _check_named(request: SendTestEmail) -> None:
    """Raises: InvalidInput unless one person is named, in one way."""
    if (request.lead_id is None) == (request.custom_email is None):
        raise InvalidInput(
            "Give either leadId or customEmail, one of them.",
            field="leadId",
            hint="customEmail (with customVariables) is the way to write to yourself.",
        )


@operation(
    title="Send a test email",
    keywords="myself own inbox address check message first layout phone outlook colleague launch real recipients",
    effect=Effect.WRITE,
    scope="send",
    rest=Rest("POST", "/v1/campaigns/{id}/send-test-email"),
    confirm=trial_facts,
)
async def send_test_email(ctx: OutsideContext, request: SendTestEmail) -> TestEmailSent:
    """Send one email of a campaign now, to your own address (customEmail + customVariables) or to a lead (leadId).

    leadId writes to the real person. Whoever replied, unsubscribed, bounced or was stopped in any campaign, or is on
    the do-not-contact list, is refused, whichever field names them. It leaves at once, whatever the schedule, counts
    toward the mailbox's dailySendLimit, and answers when the mail server has accepted it. No tracking, and no step for
    the lead; unless the address is a mailbox's or member's of the workspace, its unsubscribe link and headers work.
    """
    trial = await ctx.aside(lambda tx: _plan_trial(tx, request, ctx.agreed))
    envelope = trial_envelope(trial)
    return _answer(trial, await send_trial(ctx, trial, envelope))


def _plan_trial(ctx: Context, request: SendTestEmail, agreed: Facts | None) -> Trial:
    named = _named(ctx, request)
    _check_unchanged(named, agreed, ctx.now)
    program, mailbox, recipient, lead_id = named.program, named.mailbox, named.recipient, named.lead_id
    if lead_id is None:
        of_address = select(Lead.id).where(Lead.workspace_id == ctx.workspace_id, Lead.email == recipient)
        lead_id = ctx.session.scalar(of_address)
    is_own, reader = is_own_address(ctx.session, ctx.workspace_id, recipient), named.reader
    if not is_own:
        token = ensure_token(ctx.session, ctx.vault, ctx.workspace_id, recipient, lead_id, ctx.now)
        reader = replace(reader, token=token)
    stationery, legal_lines = Stationery.of(ctx.settings, ctx.vault), named.house.legal_lines
    composed = rehearse(
        program, named.email, reader, mailbox, stationery, ctx.now, legal_lines=legal_lines, label=request.variant
    ).composed
    if program.settings.unknown_variables != "blank":
        _check_complete(request, composed)
    url = stationery.unsubscribe_url(reader.token)
    has_headers = named.house.unsubscribe_headers and not is_own
    capped = Capped(ctx.actor.credential_id, ctx.actor.caps)
    return Trial(
        workspace_id=ctx.workspace_id,
        attempt_id=fresh_attempt_id(),
        message_id=message_id(new_message_token(), parse_address(mailbox.email).domain),
        account=account_of(mailbox, ctx.vault),
        sender_name=mailbox.display_name,
        recipient=recipient,
        hashes=hashes_covering(ctx.vault, ctx.workspace_id, recipient),
        composed=composed,
        campaign_id=program.campaign_id,
        now=ctx.now,
        is_own=is_own,
        lead_id=lead_id,
        unsubscribe=unsubscribe_targets(url, mailbox.email, reader.token) if has_headers else (),
        one_click=has_headers and url is not None,
        capped=capped if capped.holds(ctx.now) else None,
    )


def _check_unchanged(named: _Named, agreed: Facts | None, now: datetime) -> None:
    """Raises: Conflict when a yes was given to something else than what would leave now."""
    if agreed is not None and agreed.revision != named.facts(now).revision:
        raise Conflict(
            "The test was not sent: the campaign, the mailbox or the lead has been changed meanwhile, and nobody has "
            "agreed to what would leave now.",
            code=CHANGED_MEANWHILE,
            hint="Make the same call again to have the facts shown.",
        )


def _check_complete(request: SendTestEmail, composed: Composed) -> None:
    field = "customVariables" if request.custom_email else "leadId"
    if composed.missing:
        raise InvalidInput(
            f"No value for {', '.join(composed.missing)}.",
            field=field,
            hint="Give the values, or write a fallback into the text: {{firstName|there}}.",
            details={"missingVariables": list(composed.missing)},
        )
    if composed.bad_links:
        raise InvalidInput(
            f"No email may have the link that {', '.join(composed.bad_links)} makes.",
            code=LINK_NOT_ALLOWED.upper(),
            field=field,
            hint="Give a value that starts with http:// or https://.",
        )


def _answer(trial: Trial, outcome: Outcome) -> TestEmailSent:
    if isinstance(outcome, Delivered):
        composed = trial.composed
        return TestEmailSent(
            message=f"Sent to {trial.recipient} from {trial.account.email}.",
            message_id=trial.message_id,
            recipient=trial.recipient,
            mailbox=trial.account.email,
            preview=SentPreview(subject=composed.subject, body=composed.html, text=composed.text),
        )
    if isinstance(outcome, Unknown):
        raise Upstream(
            "The mail server took the message but did not answer: it may or may not arrive.",
            retryable=False,
            code="SEND_UNKNOWN",
            hint="Look into the inbox before you send it again.",
        )
    if isinstance(outcome, Held):
        raise Upstream("The test was stopped before it left.", retryable=True, hint="See list_mailboxes.")
    raise refused(outcome)
