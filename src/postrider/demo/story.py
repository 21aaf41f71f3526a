"""What the agent does, tool by tool, and what it learns."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from postrider.demo.client import Agent, Facts
from postrider.demo.evidence import LeadState
from postrider.demo.scenario import (
    LEADS,
    MAILBOXES,
    SCHEDULE,
    SEQUENCE,
    SETTINGS,
    customer_domain,
    lead_email,
    leads_csv,
)

_JOB_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.05
Progress = Callable[[Facts], None]


@dataclass(frozen=True, slots=True)
class Campaign:
    """The campaign as it stands before its start."""

    id: str
    mailboxes: list[Facts]
    imported: Facts
    preview: Facts
    plan: Facts


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the agent finds when the two weeks are over."""

    leads: list[LeadState]
    analytics: Facts
    daily: list[Facts]
    conversation: Facts
    reply: Facts
    explanation: Facts


async def prepare(agent: Agent, progress: Progress) -> Campaign:
    """Mailboxes, a campaign, its leads from a file, a look at an email and the plan."""
    mailboxes = [await agent.call("create_mailbox", **mailbox) for mailbox in MAILBOXES]
    campaign = await agent.call(
        "create_campaign",
        name="Operations teams, spring",
        sequence=SEQUENCE,
        schedule=SCHEDULE,
        settings=SETTINGS,
        mailboxIds=[mailbox["id"] for mailbox in mailboxes],
    )
    await agent.call("add_dnc_entries", entries=[{"email": customer_domain(), "reason": "is a customer"}])
    imported = await _import(agent, campaign["id"], progress)
    lead = await find_lead(agent, lead_email(7))
    preview = await agent.call(
        "preview_email",
        id=campaign["id"],
        sequenceStep=0,
        leadId=lead["id"],
        mailboxId=mailboxes[0]["id"],
    )
    plan = await agent.call("plan_campaign", id=campaign["id"])
    return Campaign(campaign["id"], mailboxes, imported, preview, plan)


async def start(agent: Agent, campaign: Campaign) -> Facts:
    """Lets the campaign begin."""
    return await agent.call("start_campaign", id=campaign.id)


async def review(agent: Agent, campaign: Campaign) -> Outcome:
    """Results, a conversation with a draft for it, and why one lead got nothing."""
    analytics = await agent.call("get_campaign_analytics", id=campaign.id)
    conversations = await agent.all_items("list_conversations")
    chosen = next(
        (one for one in conversations if one["aiTag"] in ("interested", "meeting_requested")), conversations[0]
    )
    conversation = await agent.call("get_conversation", id=chosen["id"])
    writer = await agent.call(
        "create_agent",
        name="Eva's assistant",
        companyInfo={"name": "Acme", "description": "Software that answers routine customer mail."},
        persona={"tone": "friendly", "role": "account executive", "communicationStyle": "short"},
    )
    reply = await agent.call("generate_reply", id=writer["id"], conversationId=chosen["id"])
    silent = await find_lead(agent, lead_email(LEADS - 1))
    explanation = await agent.call("explain_lead", id=campaign.id, leadId=silent["id"])
    leads = await _standing(agent, campaign.id)
    return Outcome(leads, analytics, await daily(agent), conversation, reply, explanation)


async def daily(agent: Agent) -> list[Facts]:
    """The counts of each day so far."""
    items: list[Facts] = (await agent.call("get_daily_analytics"))["items"]
    return items


async def find_lead(agent: Agent, email: str) -> Facts:
    """The lead with that address. Raises: LookupError."""
    for lead in await agent.all_items("list_leads", search=email):
        if lead["email"] == email:
            return lead
    raise LookupError(f"no lead {email}")


async def _standing(agent: Agent, campaign_id: str) -> list[LeadState]:
    """Every lead of the campaign; those that wait for their next email with the instant that explain_lead names."""
    found = []
    for item in await agent.all_items("list_campaign_leads", id=campaign_id):
        lead, reason, next_at = item["lead"], item["stopReason"] or item["holdReason"], None
        if item["status"] == "active" and reason is None:
            explained = await agent.call("explain_lead", id=campaign_id, leadId=lead["id"])
            next_at = explained["nextPossibleAt"] and datetime.fromisoformat(explained["nextPossibleAt"])
        emails = sum(email["state"] == "sent" for email in item["emailHistory"])
        found.append(LeadState(lead["id"], lead["email"], item["status"], reason, next_at, emails))
    return found


async def _import(agent: Agent, campaign_id: str, progress: Progress) -> Facts:
    """Imports the file and follows the job to its end. Raises: TimeoutError."""
    started = await agent.call("import_campaign_leads_csv", id=campaign_id, csv=leads_csv())
    async with asyncio.timeout(_JOB_SECONDS):
        while True:
            job = await agent.call("get_job", id=started["jobId"])
            progress(job)
            if job["state"] not in ("waiting", "running"):
                result: Facts = job["result"]
                return result
            await asyncio.sleep(_POLL_SECONDS)
