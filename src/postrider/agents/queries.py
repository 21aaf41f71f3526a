"""What a draft is made from: one agent, one thread, and the workspace's own texts. Nothing of any other lead."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from postrider.access.safety import is_locked_down
from postrider.agents.prompt import Company, Persona, Said, Task
from postrider.agents.rules import AllowedLinks
from postrider.agents.tables import Agent
from postrider.campaigns.tables import Campaign
from postrider.dnc.queries import hashes_covering, listed_reason
from postrider.inbox.conversations import find_conversation
from postrider.inbox.parsing_clean import visible_line, visible_text
from postrider.inbox.rules import thread_headers
from postrider.inbox.tables import Conversation
from postrider.inbox.thread import ThreadMessage, last_message, load_thread
from postrider.inbox.withholding import WITHHELD
from postrider.kernel.context import Context
from postrider.kernel.errors import Conflict, NotFound
from postrider.kernel.ids import check_id
from postrider.kernel.zones import rfc3339_milliseconds
from postrider.leads.tables import Lead
from postrider.mailboxes.tables import Mailbox
from postrider.storage.base import JsonObject, JsonValue

THREAD_MESSAGES = 20
MAX_FACT = 200
_TEXT_FIELDS = ("subject", "body")
_EXCHANGED = frozenset({"sent", "manual", "reply", "auto_reply", "unsubscribe"})
_NOT_SAID = frozenset({"pending", "failed"})


class Drafting(NamedTuple):
    """A draft to be written. ``task.thread`` is not cut yet."""

    agent_id: str
    agent_name: str
    task: Task
    allowed: AllowedLinks


def active_agents(session: Session, workspace_id: str) -> list[Agent]:
    """The workspace's agents, newest first."""
    query = select(Agent).where(Agent.workspace_id == workspace_id, Agent.is_active.is_(True))
    return list(session.scalars(query.order_by(Agent.created_at.desc(), Agent.id.desc())))


def find_agent(ctx: Context, agent_id: str | None) -> Agent:
    """The agent, or the default one. Raises: NotFound, Conflict when there is none at all."""
    if agent_id is not None:
        row = ctx.session.get(Agent, (ctx.workspace_id, check_id(agent_id, "agent", "id")))
        if row is None or not row.is_active:
            raise NotFound("Agent not found", hint="See list_agents.")
        return row
    agents = active_agents(ctx.session, ctx.workspace_id)
    if not agents:
        raise Conflict(
            "There is no agent yet, and a reply is drafted in an agent's voice.",
            hint="Call create_agent first (a name is enough), then generate_reply again. Or write the reply yourself "
            "from get_conversation and pass it to send_reply.",
        )
    return next((agent for agent in agents if agent.is_default), agents[0])


def load_drafting(ctx: Context, agent_id: str | None, conversation_id: str, note: str) -> Drafting:
    """Everything for one draft. Raises: NotFound, Conflict when this lead must not, or cannot, be answered."""
    check_id(conversation_id, "conv", "conversationId")
    agent = find_agent(ctx, agent_id)
    conversation = find_conversation(ctx, conversation_id, "conversationId")
    lead = ctx.session.get(Lead, (ctx.workspace_id, conversation.lead_id))
    if lead is None:
        raise Conflict("The lead of this conversation has been deleted.", hint="There is nobody to reply to.")
    hashes = hashes_covering(ctx.vault, ctx.workspace_id, lead.email)
    reason = listed_reason(ctx.session, ctx.workspace_id, hashes, binding_only=True)
    if reason is not None:
        raise Conflict(
            f"{lead.email} is on the do-not-contact list: {reason}.", code="ON_DNC", hint="Do not write to this person."
        )
    is_locked = is_locked_down(ctx.session, ctx.workspace_id, ctx.settings)
    messages = load_thread(ctx.session, conversation, THREAD_MESSAGES, locked=is_locked)
    thread = [said for message in messages if (said := _said(message))]
    if not any(said.by == "lead" for said in thread):
        raise _nothing_to_answer(messages)
    allowed = _allowed_links(ctx.session, conversation, agent)
    task = Task(
        persona=persona_of(agent.persona),
        company=company_of(agent.company_info),
        lead=_facts(lead),
        thread=tuple(thread),
        subject=thread_headers(last_message(ctx.session, conversation, locked=is_locked)).subject,
        note=note,
        allowed_links=tuple(allowed.shown()),
    )
    return Drafting(agent.id, agent.name, task, allowed)


def _nothing_to_answer(messages: Sequence[ThreadMessage]) -> Conflict:
    if any(message.withheld for message in messages):
        return Conflict(
            f"What came in is withheld ({WITHHELD}).",
            code="WITHHELD",
            hint="A person reads it in the mailbox. send_reply writes to the lead all the same.",
        )
    return Conflict("The lead has not written anything yet.", hint="There is nothing to answer.")


def persona_of(stored: JsonObject) -> Persona:
    """An agent's persona as it is stored."""
    return Persona(
        tone=str(stored.get("tone") or ""),
        role=str(stored.get("role") or ""),
        communication_style=str(stored.get("communicationStyle") or ""),
        custom_instructions=str(stored.get("customInstructions") or ""),
    )


def company_of(stored: JsonObject) -> Company:
    """An agent's company as it is stored."""
    return Company(str(stored.get("name") or ""), str(stored.get("description") or ""))


def _said(message: ThreadMessage) -> Said | None:
    """One part of the exchange; None for reports, and for replies that have not left."""
    if message.type not in _EXCHANGED or message.state in _NOT_SAID or message.withheld:
        return None
    by = "lead" if message.direction == "inbound" else "us"
    return Said(by, rfc3339_milliseconds(message.at), visible_text(message.new_text).strip())


def _facts(lead: Lead) -> dict[str, str]:
    facts = {
        "firstName": lead.first_name,
        "lastName": lead.last_name,
        "companyName": lead.company_name,
        "jobTitle": lead.job_title,
        "country": lead.country,
    }
    return {name: visible_line(value, MAX_FACT) for name, value in facts.items() if value}


def _allowed_links(session: Session, conversation: Conversation, agent: Agent) -> AllowedLinks:
    """The links of the agent's own texts, the campaign's templates and the mailbox's signature, and its address.

    Templates, not sent mails: what variables brought into those came from outside.
    """
    key = conversation.workspace_id
    campaign = session.get(Campaign, (key, conversation.campaign_id))
    mailbox = session.get(Mailbox, (key, conversation.mailbox_id))
    company, persona = company_of(agent.company_info), persona_of(agent.persona)
    texts = [company.name, company.description, persona.custom_instructions]
    if campaign is not None:
        texts += [text for step in (*campaign.sequence, *campaign.subsequences) for text in _texts(step)]
    if mailbox is not None:
        texts.append(mailbox.signature)
    return AllowedLinks(texts, [mailbox.email] if mailbox is not None else [])


def _texts(document: JsonValue) -> Iterator[str]:
    """Every subject and body in a stored document."""
    if isinstance(document, list):
        for each in document:
            yield from _texts(each)
    elif isinstance(document, dict):
        for name, value in document.items():
            if name in _TEXT_FIELDS and isinstance(value, str):
                yield value
            elif isinstance(value, dict | list):
                yield from _texts(value)
