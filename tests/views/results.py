"""What the tools really answer: recorded once from a workspace where a campaign has run for weeks."""

import json
import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from postrider.agents.ports import Completion, Prompt
from postrider.app import build
from postrider.campaigns.tables import Campaign, DailyCount, Enrollment
from postrider.dispatch import Call
from postrider.doors.mcp import answers
from postrider.inbox.tables import InboundMessage
from postrider.kernel.clock import VirtualClock
from postrider.leads.tables import Lead
from postrider.settings import load_settings
from tests.conftest import START, Installation
from tests.features.agent_rig import make_agent, use
from tests.features.campaign_rig import add_mailbox, set_campaign
from tests.features.inbox_world import add_inbound, change, inbox

Result = dict[str, Any]
"""A tool's result as it goes over the wire."""

OPENING: Final = """\
<p>Hi {{firstName|there}},</p>
<p>I read that <b>{{companyName|your team}}</b> is hiring for its warehouse in {{city|town}}. Teams like yours tell us
that half of each shift goes into <i>finding</i> things.</p>
<ul><li>Stock counted by the hour, not by the quarter</li><li>Works with the scanners you have</li></ul>
<p>Would a look at it <a href="https://acme.test/pricing">(prices here)</a> be worth fifteen minutes next week?</p>
<img src="https://acme.test/logo.png" alt="Acme">
<p>Ann</p>"""
SHORT: Final = "<p>Hi {{firstName|there}}, who looks after stock counts at {{companyName|your company}}?</p><p>Ann</p>"
SEQUENCE: Final[list[dict[str, Any]]] = [
    {
        "type": "email",
        "name": "Opening",
        "variants": [
            {"label": "A", "subject": "Finding things at {{companyName|work}}", "body": OPENING},
            {"label": "B", "subject": "Who counts the stock?", "body": SHORT},
        ],
    },
    {"type": "wait", "waitDays": 3},
    {"type": "email", "name": "Reminder", "subject": "", "body": "<p>Did this reach you, {{firstName|there}}?</p>"},
    {"type": "wait", "waitDays": 5},
    {
        "type": "email",
        "name": "Last",
        "variants": [
            {"label": "A", "subject": "", "body": "<p>Shall I close the file?</p>"},
            {"label": "B", "subject": "", "body": "<p>Last one from me.</p>"},
            {"label": "C", "subject": "", "body": "<p>Bye, then.</p>", "enabled": False},
        ],
    },
]
DRAFT: Final = (
    "Hi Lena,\n\nthank you, Thursday at 10:00 suits me well. The prices are at https://acme.test/pricing.\n\nBest,\nAnn"
)
LEAD: Final = {
    "first_name": "Lena",
    "last_name": "Vogt",
    "company_name": "Northwind Stores",
    "job_title": "Head of operations",
}
COMPANIES: Final = ("Northwind Stores", "Harbour Freight", "Bright & Daughters", "Kessler Logistik", "Umi Foods")
FIRST_NAMES: Final = ("Lena", "Omar", "Chiara", "Jonas", "Aiko", "Ruth", "Tomás")


class Scripted:
    """A model that always answers the same."""

    async def complete(self, prompt: Prompt) -> Completion:
        return Completion(json.dumps({"body": DRAFT}), "scripted", 400, 60)


@dataclass(frozen=True)
class Recorded:
    """A call and what came of it."""

    tool: str
    arguments: dict[str, Any]
    result: Result


async def record(schema: Path, folder: Path) -> dict[str, Recorded]:
    """The calls by name. ``schema``: an SQLite file with the tables and nothing in them."""
    settings = load_settings({"POSTRIDER_DATA_DIR": str(folder), "POSTRIDER_PUBLIC_URL": "https://mail.acme.test"})
    folder.mkdir(mode=0o700)
    shutil.copy2(schema, settings.sqlite_path)
    clock = VirtualClock(START)
    app = build(settings, clock=clock, ports={})
    world = await Installation.on(app, clock)
    found = await _campaign(world) | await _conversation(world)
    await app.close()
    return found


async def recorded(world: Installation, tool: str, **arguments: Any) -> Recorded:
    """One call, worded by the MCP door."""
    answer = await world.app.dispatcher.call(Call(tool, arguments, world.actor()))
    operation = world.app.dispatcher.catalogue.find(tool)
    assert operation is not None
    result = answers.result(answers.draft(answer.output, operation.output))
    return Recorded(tool, arguments, result.model_dump(mode="json", by_alias=True, exclude_none=True))


async def _campaign(world: Installation) -> dict[str, Recorded]:
    names = ("ann@getacme.test", "ann.example@tryacme.test", "hello@acme-mail.test")
    mailboxes = [
        await add_mailbox(world, name, daily_send_limit=limit) for name, limit in zip(names, (12, 8, 5), strict=True)
    ]
    made = await world.call("create_campaign", name="Warehouses, spring", sequence=SEQUENCE, mailboxIds=mailboxes)
    empty = await world.call("create_campaign", name="Not begun", sequence=SEQUENCE, mailboxIds=mailboxes)
    await world.call("add_leads_to_campaign", id=made["id"], leads=_people(74))
    await world.call("add_dnc_entries", entries=[{"email": "company3.test"}, {"email": "company9.test"}])
    lead = (await world.call("list_leads", search="lena.0@"))["items"][0]
    plan = await recorded(world, "plan_campaign", id=made["id"])
    look = {"id": made["id"], "sequenceStep": 0, "leadId": lead["id"], "mailboxId": mailboxes[0]}
    preview = await recorded(world, "preview_email", **look, variant="A")
    odd = {"subject": "For {{industry}}", "body": "<p>Hi {{firstName}}, about {{industry}} …</p>"}
    found = {
        "plan": plan,
        "preview": preview,
        "held preview": await recorded(world, "preview_email", **look, contentOverride=odd),
        "empty plan": await recorded(world, "plan_campaign", id=empty["id"]),
        "empty analytics": await recorded(world, "get_campaign_analytics", id=empty["id"]),
        "empty days": await recorded(world, "get_daily_analytics", campaignId=empty["id"]),
    }
    await set_campaign(world, made["id"], status="active", started_at=START)
    await world.call("add_leads_to_campaign", id=made["id"], leads=_people(580))
    await _weeks(world, made, mailboxes[0])
    found["analytics"] = await recorded(world, "get_campaign_analytics", id=made["id"])
    found["days"] = await recorded(world, "get_daily_analytics", campaignId=made["id"])
    return found


def _people(count: int) -> list[dict[str, str]]:
    return [
        {
            "email": f"{FIRST_NAMES[number % 7].lower().replace('á', 'a')}.{number}@company{number}.test",
            "firstName": FIRST_NAMES[number % 7],
            "companyName": COMPANIES[number % len(COMPANIES)],
            "city": "Bremen",
        }
        for number in range(count)
    ]


async def _weeks(world: Installation, campaign: dict[str, Any], mailbox_id: str) -> None:
    """Counts of four working weeks up to now: the opening's B is clearly better, the last email's two are not."""
    steps = [step["id"] for step in campaign["sequence"] if step["type"] == "email"]
    pace = {(0, "A"): (14, 5), (0, "B"): (14, 1), (1, "A"): (16, 2), (2, "A"): (5, 7), (2, "B"): (5, 4)}
    rows = []
    for ago in range(28):
        at = (START - timedelta(days=ago)).date()
        if at.weekday() >= 5:
            continue
        for (step, variant), (daily, every) in pace.items():
            sent = daily + (at.day * 7 + step) % 4 - 1
            counts = {"sent": sent, "opened": sent // 2, "clicked": sent // 9, "returned": int(at.day % 6 == 0)}
            counts |= {"bounced": counts["returned"], "replied": int(ago % every == 0)}
            counts |= {"unsubscribed": int(at.day % 11 == 0), "auto_replied": int(at.day % 5 == 0)}
            rows += [
                DailyCount(
                    workspace_id=world.ann.workspace_id,
                    campaign_id=campaign["id"],
                    day=at.isoformat(),
                    mailbox_id=mailbox_id,
                    step_id=steps[step],
                    variant=variant,
                    kind=kind,
                    count=count,
                )
                for kind, count in counts.items()
                if count
            ]
    of_campaign = select(Enrollment.id).where(Enrollment.campaign_id == campaign["id"]).order_by(Enrollment.id)

    def write(session: Session) -> None:
        session.add_all(rows)
        for number, found in enumerate(session.scalars(of_campaign)):
            status = "replied" if number % 14 == 0 else "bounced" if number % 37 == 1 else "completed"
            shown = status if number < 330 else "active"
            session.execute(update(Enrollment).where(Enrollment.id == found).values(status=shown))

    await world.app.database.write(write)


async def _conversation(world: Installation) -> dict[str, Recorded]:
    inboxes, [conversation_id] = await inbox(world)
    now = world.clock.now()
    files = [{"filename": "Plan of the halls.pdf", "contentType": "application/pdf", "sizeBytes": 284_113}]
    words = "And could you bring the prices?\n\nThursday at 10 would be good.\nLena"
    await add_inbound(inboxes, conversation_id, words, now - timedelta(minutes=5), attachments=files)
    await change(inboxes, Lead, inboxes.lead_ids[0], **LEAD)
    await change(inboxes, Campaign, inboxes.campaign_id, name="Warehouses, spring")
    await world.app.database.write(
        lambda session: session.execute(update(InboundMessage).values(from_name="Lena Vogt"))
    )
    await make_agent(world)
    thread = await recorded(world, "get_conversation", id=conversation_id)
    older = await recorded(world, "get_conversation", id=conversation_id, limit=1)
    brief = await recorded(world, "generate_reply", conversationId=conversation_id)
    use(world, Scripted())
    draft = await recorded(world, "generate_reply", conversationId=conversation_id)
    return {"conversation": thread, "short conversation": older, "brief": brief, "draft": draft}
