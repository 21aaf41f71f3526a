"""What keeps a campaign from starting, and what its owner should know before it does. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from postrider.campaigns.checking import MailboxFacts
from postrider.campaigns.documents import SettingsInput, Subsequence
from postrider.campaigns.sequence import EmailStep
from postrider.content.template import LeadFacts, SenderFacts, lead_values

NO_PUBLIC_ADDRESS: Final = (
    "POSTRIDER_PUBLIC_URL is not a public https address: opens and clicks are not tracked, links stay as written, and "
    "there is no unsubscribe link and no one-click header; unsubscribing works by mail only."
)
NO_LEGAL_LINES: Final = (
    "The workspace has neither a postal address nor an opt-out line, and the law of many countries asks commercial "
    "mail for both. Write them into your texts; or whoever runs this server sets them once, and they stand under every "
    "email: postrider workspace set --postal-address '…' --opt-out-line '…'"
)
NO_UNSUBSCRIBE_HEADERS: Final = (
    "The workspace sends no List-Unsubscribe headers, which large providers ask of bulk senders. Turn them on with: "
    "postrider workspace set --unsubscribe-headers"
)
COPIES_SHARE_THE_LINK: Final = (
    "The people in cc and bcc get the lead's own message, with the lead's unsubscribe link: whoever presses it "
    "unsubscribes the lead."
)
WORKSPACE_PAUSED: Final = "The workspace is paused: nothing is sent until it is resumed."
SENDER_KEYS: Final = frozenset({"senderemail", "sendername", "senderfirstname", "senderlastname", "signature"})
"""Keys of the variables whose value comes from the mailbox."""

_MOST_NAMED: Final = 10


class Problem(NamedTuple):
    """One thing that keeps a campaign from starting: where, and what to do about it."""

    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a campaign depends on beside its own documents. ``tracks``: there is a public https address."""

    tracks: bool
    has_legal_lines: bool
    unsubscribe_headers: bool
    workspace_paused: bool
    mailboxes: Sequence[MailboxFacts]


def unsupported(settings: SettingsInput, subsequences: Iterable[Subsequence]) -> list[Problem]:
    """Everything asked for that is stored but not done yet, each with the way to turn it off."""
    esp, seg = settings.esp_matching_mode, settings.seg_check_mode
    asked = (
        ("settings.espMatchingMode", esp != "disabled", "disabled"),
        ("settings.segCheckMode", seg != "disabled", "disabled"),
        ("settings.variantOptimization.enabled", settings.variant_optimization.enabled, "false"),
        ("settings.copyFatigueProtection.enabled", settings.copy_fatigue_protection.enabled, "false"),
        ("settings.cnameTracking.enabled", settings.cname_tracking.enabled, "false"),
        ("settings.webhook.enabled", settings.webhook.enabled, "false"),
        ("settings.slackChannelId", bool(settings.slack_channel_id), "null"),
        ("settings.replyNotificationEmails", bool(settings.reply_notification_emails), "an empty list"),
        ("settings.aiAgentEnabled", settings.ai_agent_enabled, "false"),
    )
    problems = [
        Problem(field, f"{field} is not supported yet; set it to {off}") for field, is_asked, off in asked if is_asked
    ]
    active = [subsequence.id for subsequence in subsequences if subsequence.status == "active"]
    if active:
        words = f"{len(active)} active subsequence{'s are' if len(active) > 1 else ' is'}"
        problems.append(Problem("subsequences", f"{words} not supported yet; set the status of each to archived"))
    return problems


def content_problems(emails: Sequence[EmailStep]) -> list[Problem]:
    """What the sequence lacks: an email, or words in one that would be sent."""
    if not emails:
        return [Problem("sequence", "the sequence has no email step; add one with update_campaign")]
    return [
        Problem(
            f"sequence[{email.order}].variants",
            f"sequence[{email.order}]: variant {variant.label} has neither subject nor body; write it or disable it",
        )
        for email in emails
        for variant in email.variants
        if variant.enabled and not variant.subject.strip() and not variant.body.strip()
    ]


def mailbox_problems(mailbox_ids: Sequence[str], found: Sequence[MailboxFacts]) -> list[Problem]:
    """Why the campaign has nothing to send from, if it has not."""
    if not mailbox_ids:
        return [Problem("mailboxes", "the campaign has no mailbox; choose some with update_campaign (mailboxIds)")]
    if any(mailbox.problem is None for mailbox in found):
        return []
    return [Problem("mailboxes", f"none of its mailboxes can send: {_named_mailboxes(mailbox_ids, found)}")]


def sender_problems(needed: dict[str, str], mailboxes: Sequence[MailboxFacts], *, tracks: bool) -> list[Problem]:
    """Variables used without a fallback for which a mailbox that can send, or the installation, has no value."""
    problems = []
    if "unsubscribeurl" in needed and not tracks:
        problems.append(Problem("sequence", "{{unsubscribe_url}} has no value without a public https address"))
    for mailbox in mailboxes:
        if mailbox.problem is not None:
            continue
        facts = SenderFacts(mailbox.email, mailbox.display_name or None, signature=mailbox.signature)
        values = lead_values(LeadFacts(mailbox.email), facts)
        blank = [name for key, name in needed.items() if key in SENDER_KEYS and values.get(name) is None]
        if blank:
            named = ", ".join(f"{{{{{name}}}}}" for name in blank)
            problems.append(Problem("mailboxes", f"{mailbox.email} has no value for {named}; complete the mailbox"))
    return problems


def warnings_for(
    settings: SettingsInput, mailbox_ids: Sequence[str], needed: dict[str, str], around: Surroundings
) -> list[str]:
    """What does not forbid a start, but makes it do less than one may think."""
    found = []
    if around.workspace_paused:
        found.append(WORKSPACE_PAUSED)
    if not around.tracks:
        found.append(NO_PUBLIC_ADDRESS)
    if not around.has_legal_lines:
        found.append(NO_LEGAL_LINES)
    if not around.unsubscribe_headers:
        found.append(NO_UNSUBSCRIBE_HEADERS)
    if settings.cc or settings.bcc:
        found.append(COPIES_SHARE_THE_LINK)
    if settings.daily_send_limit == 0:
        found.append("settings.dailySendLimit is 0: nothing will be sent.")
    if settings.new_leads_per_day == 0:
        found.append("settings.newLeadsPerDay is 0: no lead gets a first email.")
    usable = sum(mailbox.problem is None for mailbox in around.mailboxes)
    if usable < len(mailbox_ids):
        words = _named_mailboxes(mailbox_ids, around.mailboxes)
        found.append(f"{usable} of {len(mailbox_ids)} mailboxes can send. Not: {words}.")
    if settings.unknown_variables == "hold":
        gaps = sender_problems(needed, around.mailboxes, tracks=around.tracks)
        found += [f"Emails are held where a value is missing: {gap.message}." for gap in gaps]
    return found


def _named_mailboxes(mailbox_ids: Sequence[str], found: Sequence[MailboxFacts]) -> str:
    """The mailboxes that cannot send, each with the reason."""
    known = {mailbox.id for mailbox in found}
    named = [f"{mailbox.email} ({mailbox.problem})" for mailbox in found if mailbox.problem is not None]
    named += [f"{mailbox_id} (no longer exists)" for mailbox_id in mailbox_ids if mailbox_id not in known]
    rest = len(named) - _MOST_NAMED
    return ", ".join(named[:_MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")
