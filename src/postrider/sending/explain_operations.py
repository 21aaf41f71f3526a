"""Why a lead was, or was not, written to."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import Field
from sqlalchemy import select

from postrider.campaigns.endings import in_words
from postrider.campaigns.following import STILL_FOLLOWING, open_changes
from postrider.campaigns.queries import find_campaign
from postrider.campaigns.sequence import GONE, SequencePlace, StepNumber, StepPlace, place_of, step_places
from postrider.campaigns.states import QUEUE_HELD
from postrider.campaigns.tables import Campaign, Enrollment
from postrider.dnc.queries import hashes_covering
from postrider.kernel.context import Context
from postrider.kernel.operation import Effect, Input, Output, Rest, UntrustedText, operation
from postrider.kernel.zones import rfc3339
from postrider.leads.tables import Lead
from postrider.mailboxes.tables import Mailbox
from postrider.sending.capped import Capped
from postrider.sending.content_operations import reader_of
from postrider.sending.guards import GUARDS, MAILBOX_WORKS
from postrider.sending.letter import Stationery
from postrider.sending.lookups import find_enrollment, find_lead
from postrider.sending.plan_queries import Setting, load_setting, look_up_credentials
from postrider.sending.plan_state import Candidate, Slot
from postrider.sending.planner import Explanation, explain
from postrider.sending.program import Program, Programs
from postrider.sending.rehearsal import rehearse
from postrider.sending.standing import Question, read_standing
from postrider.sending.tables import Attempt, Event

MAX_HISTORY: Final = 50
_IN_FLIGHT: Final = frozenset({"claim_holds", "window_open"})
"""Guards of an email on its way; what comes next is told by the planner's own checks."""
_AT_ONCE: Final = datetime.min.replace(tzinfo=UTC)
_MEND_TEXTS: Final = "Mend that with update_lead or update_campaign, and it goes on."
_OTHER_HOLD: Final = "See the checks for what stands in the way."
HOLD_ADVICE: Final = {
    "missing_variable": f"A variable of the next email has no value for this lead. {_MEND_TEXTS}",
    "link_not_allowed": (
        "A value of this lead would make a link that no email may have, such as javascript: or acme.com without "
        f"https://; whole http, https, mailto and tel addresses are allowed. {_MEND_TEXTS}"
    ),
    "bad_template": f"The next email cannot be written from its template. {_MEND_TEXTS}",
    "unknown_outcome": (
        "The last email was handed to the mail server, which never answered. It may have arrived and is not sent "
        "again; look into the Sent folder of the mailbox. A reply or a bounce settles it, or a "
        "person who runs this server with: postrider settle-unknown {place} --as sent|not-sent"
    ),
    "policy_rejection": (
        "The mail server refused our mail for reasons of its own policy, not because of this lead; "
        "see list_mailboxes for the state of the mailbox. Once that is mended, pause_campaign and resume_campaign "
        "let the lead go on."
    ),
}
"""What to do about each hold."""


class ExplainLead(Input):
    """Which lead, in which campaign."""

    id: Annotated[str, Field(max_length=40, description="Campaign id.")]
    lead_id: Annotated[str, Field(max_length=40, description="Lead id (or the campaign lead's).")]


class CheckOut(Output):
    """One check that a send has to pass. ``until``: when it passes by itself, if it does not now and ever will."""

    name: str
    ok: bool
    detail: UntrustedText
    until: datetime | None


class AttemptOut(Output):
    """One message to this lead, and what became of it. ``state`` unknown: handed over, but never confirmed.

    Without ``stepId`` it was a reply; with one, but without ``step``, an email that an edit has taken out since.
    """

    step_id: str | None
    step: StepNumber | None
    sequence_step: SequencePlace | None
    variant: str | None
    state: str
    at: datetime
    mailbox_id: str
    tries: int
    result: UntrustedText | None


class EventOut(Output):
    """One thing that happened with this lead in the campaign."""

    kind: str
    at: datetime
    detail: UntrustedText | None


class LeadExplanation(Output):
    """The verdict in one sentence, every check behind it, and what has happened so far.

    ``stopReason``: why it ended, as a word. ``verdict``, ``stopDetail`` and details may quote a mail server.
    Of the checks, mailbox_healthy is the state of the mailbox, and mailbox the room in its limits and intervals.
    """

    campaign_id: str
    lead_id: str
    email: str
    status: str
    verdict: UntrustedText
    next_step: StepNumber | None
    next_sequence_step: SequencePlace | None
    next_possible_at: datetime | None
    mailbox_id: str | None
    stop_reason: str | None
    stop_detail: UntrustedText | None
    hold_reason: str | None
    checks: list[CheckOut]
    attempts: list[AttemptOut]
    events: list[EventOut]


@operation(
    title="Explain a lead",
    keywords="receive received nothing missing stuck blocked held delayed person problem",
    effect=Effect.READ,
    rest=Rest("GET", "/v1/campaigns/{id}/leads/{leadId}/explain"),
    core=True,
)
def explain_lead(ctx: Context, request: ExplainLead) -> LeadExplanation:
    """Say why a lead was or was not written to: every guard with its verdict, past attempts, the next possible instant.

    Use it whenever somebody asks "why has X not heard from us?". The answer names what to mend.
    """
    row = find_campaign(ctx, request.id)
    lead = find_lead(ctx, request.lead_id)
    enrollment = find_enrollment(ctx, row, lead)
    seed, starter = ctx.vault.derive("choices"), Capped(ctx.actor.credential_id, ctx.actor.caps)
    setting = load_setting(ctx.session, ctx.workspace_id, Programs(), seed, ctx.now, also=row.id, starter=starter)
    look_up_credentials(ctx.session, setting, [enrollment.credential_id], ctx.now)
    program = setting.programs[row.id]
    planned = _planned(ctx, setting, program, enrollment, lead)
    mailbox_id = _next_mailbox(program, enrollment, planned)
    checks = [
        *_following_check(ctx, row),
        *_hold_check(enrollment),
        *_guard_checks(ctx, program, enrollment, lead, mailbox_id),
    ]
    checks += _content_check(ctx, program, enrollment, lead, setting.mailboxes.get(mailbox_id))
    if planned is not None:
        checks += [CheckOut(name=c.name, ok=c.ok, detail=c.detail, until=c.until) for c in planned.checks]
    finished = enrollment.next_step >= len(program.emails)
    coming = GONE if finished else place_of(program.emails[enrollment.next_step])
    blocked = any(not check.ok and check.until is None for check in checks)
    next_at = planned.earliest if planned is not None and not blocked else None
    return LeadExplanation(
        campaign_id=row.id,
        lead_id=lead.id,
        email=lead.email,
        status=enrollment.status,
        verdict=_verdict(row, enrollment, checks, next_at, finished),
        next_step=coming.step,
        next_sequence_step=coming.sequence_step,
        next_possible_at=next_at,
        mailbox_id=enrollment.mailbox_id,
        stop_reason=enrollment.stop_reason,
        stop_detail=enrollment.stop_detail,
        hold_reason=enrollment.hold_reason,
        checks=checks,
        attempts=_attempts(ctx, enrollment, step_places(program.emails)),
        events=_events(ctx, enrollment),
    )


def _planned(
    ctx: Context, setting: Setting, program: Program, enrollment: Enrollment, lead: Lead
) -> Explanation | None:
    if enrollment.due_at is None:
        return None
    candidate = Candidate(
        enrollment_id=enrollment.id,
        lead_id=lead.id,
        campaign_id=program.campaign_id,
        step_index=enrollment.next_step,
        due_at=enrollment.due_at,
        mailbox_id=enrollment.mailbox_id,
        lead_zone=lead.timezone,
        lead_country=lead.country,
        credential_id=enrollment.credential_id,
    )
    own = setting.state.campaigns[program.campaign_id]
    others = [state for state in setting.campaign_states if state.campaign_id != program.campaign_id]
    return explain(
        ctx.now, own, setting.mailbox_states, candidate, setting.state.seed, others, setting.credential_states
    )


def _next_mailbox(program: Program, enrollment: Enrollment, planned: Explanation | None) -> str:
    """The mailbox that the next email would leave from: the bound one, else the one that may send first."""
    if enrollment.mailbox_id is not None:
        return enrollment.mailbox_id
    if planned is not None and isinstance(planned.outcome, Slot):
        return planned.outcome.mailbox_id
    verdicts = [verdict for verdict in (planned.mailboxes if planned else ()) if verdict.until or not verdict.reason]
    soonest = min(verdicts, key=lambda verdict: verdict.until or _AT_ONCE, default=None)
    return soonest.mailbox_id if soonest is not None else next(iter(program.mailbox_ids), "")


def _following_check(ctx: Context, row: Campaign) -> list[CheckOut]:
    """Named only while there is something to wait for: a few seconds after a change of a large campaign."""
    following = bool(open_changes(ctx.session, row))
    return [CheckOut(name="leads_follow", ok=False, detail=STILL_FOLLOWING, until=None)] if following else []


def _hold_check(enrollment: Enrollment) -> list[CheckOut]:
    if enrollment.queue != QUEUE_HELD:
        return []
    return [CheckOut(name="not_held", ok=False, detail=enrollment.hold_reason or "no reason noted", until=None)]


def _guard_checks(
    ctx: Context, program: Program, enrollment: Enrollment, lead: Lead, mailbox_id: str
) -> list[CheckOut]:
    standing = read_standing(
        ctx.session.connection(),
        ctx.workspace_id,
        Question(
            mailbox_id=mailbox_id,
            hashes=hashes_covering(ctx.vault, ctx.workspace_id, lead.email),
            skip_dnc=program.settings.skip_dnc,
            enrollment_id=enrollment.id,
        ),
        lock=False,
    )
    found = {name: verdict(standing, ctx.now) for name, _, verdict in GUARDS if name not in _IN_FLIGHT}
    works = standing.mailbox_enabled and standing.mailbox_status == MAILBOX_WORKS
    untils = {"mailbox_healthy": standing.cool_until if works else None}
    return [
        CheckOut(name=name, ok=not objection, detail=objection or "yes", until=untils.get(name) if objection else None)
        for name, objection in found.items()
    ]


def _content_check(
    ctx: Context, program: Program, enrollment: Enrollment, lead: Lead, mailbox: Mailbox | None
) -> list[CheckOut]:
    if enrollment.next_step >= len(program.emails) or mailbox is None:
        return []
    email = program.emails[enrollment.next_step]
    rehearsed = rehearse(program, email, reader_of(lead), mailbox, Stationery.of(ctx.settings, ctx.vault), ctx.now)
    composed = rehearsed.composed
    ok = composed.hold_reason is None or program.settings.unknown_variables == "blank"
    problems = [f"no value for {', '.join(composed.missing)}"] if composed.missing else []
    problems += [f"no email may have the link that {name} makes" for name in composed.bad_links]
    detail = "; ".join(problems) or "every variable has a value"
    return [CheckOut(name="content_complete", ok=ok, detail=detail, until=None)]


def _verdict(
    row: Campaign, enrollment: Enrollment, checks: list[CheckOut], next_at: datetime | None, finished: bool
) -> str:
    if enrollment.status not in ("active", "pending", "paused"):
        because = f": {in_words(enrollment.stop_reason, enrollment.stop_detail)}" if enrollment.stop_reason else ""
        return f"Nothing more is sent: the lead is {enrollment.status}{because}."
    if enrollment.queue == QUEUE_HELD:
        reason = enrollment.hold_reason or "no reason noted"
        advice = HOLD_ADVICE.get(reason.partition(":")[0], _OTHER_HOLD)
        place = f"--workspace {row.workspace_id} --campaign {row.id} --lead {enrollment.lead_id}"
        return f"Held: {reason}. {advice.replace('{place}', place)}"
    if enrollment.lease_owner is not None:
        return "Being sent at this moment."
    if finished:
        return "Every email of the sequence has been sent."
    failed = [check for check in checks if not check.ok]
    if not failed:
        return "Could leave now; it waits for its turn."
    if row.status == "draft":
        return "The campaign has not been started (start_campaign)."
    first = failed[0]
    when = f" Next possible: {rfc3339(next_at)}." if next_at else ""
    return f"Not now: {_said(first)}.{when}"


def _said(check: CheckOut) -> str:
    """The check in words: its name, unless the detail begins with it already."""
    name = check.name.replace("_", " ")
    return check.detail if check.detail.startswith(name) else f"{name} – {check.detail}"


def _attempts(ctx: Context, enrollment: Enrollment, places: Mapping[str, StepPlace]) -> list[AttemptOut]:
    query = (
        select(Attempt)
        .where(Attempt.workspace_id == ctx.workspace_id, Attempt.enrollment_id == enrollment.id)
        .order_by(Attempt.id)
        .limit(MAX_HISTORY)
    )
    return [
        AttemptOut(
            step_id=row.step_id,
            step=places.get(row.step_id or "", GONE).step,
            sequence_step=places.get(row.step_id or "", GONE).sequence_step,
            variant=row.variant,
            state=row.state,
            at=row.done_at or row.sending_at,
            mailbox_id=row.mailbox_id,
            tries=row.tries,
            result=row.result_text,
        )
        for row in ctx.session.scalars(query)
    ]


def _events(ctx: Context, enrollment: Enrollment) -> list[EventOut]:
    query = (
        select(Event)
        .where(Event.workspace_id == ctx.workspace_id, Event.enrollment_id == enrollment.id)
        .order_by(Event.at.desc(), Event.id.desc())
        .limit(MAX_HISTORY)
    )
    return [
        EventOut(kind=row.kind, at=row.at, detail=_detail(row)) for row in reversed(list(ctx.session.scalars(query)))
    ]


def _detail(row: Event) -> str | None:
    found = row.data.get("detail") or row.data.get("reason") or row.data.get("text")
    return str(found) if found is not None else None
