"""Two workspaces with two of everything, and what each can be named by: ids, names, addresses and cursors."""

import base64
import json
import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import insert, select, update

from postrider.access.tables import Workspace
from postrider.agents.tables import Agent
from postrider.campaigns.documents import StepInput, SubsequenceInput, TriggerInput
from postrider.campaigns.subsequences import normalise_subsequences
from postrider.campaigns.tables import Campaign
from postrider.confirmations.approvals import ask_person
from postrider.dnc.queries import add_entries
from postrider.dnc.rules import DncKey
from postrider.files.claims import claim_upload, receive_upload
from postrider.files.links import Linked
from postrider.files.store import Incoming
from postrider.grants.queries import granted_reach, issue_tokens
from postrider.grants.tables import Grant
from postrider.grants.tokens import PURPOSE
from postrider.jobs.tables import Job
from postrider.kernel.ids import new_id
from postrider.kernel.policy import Facts
from postrider.mailboxes.tables import Mailbox
from postrider.sending.tables import OutgoingReply
from postrider.storage.base import Base
from postrider.storage.leases import wall_ms_now
from tests.conftest import Installation
from tests.engine.world import World, make_world
from tests.features.inbox_world import converse

IDS: Final = (
    "camp",
    "lead",
    "cl",
    "mbx",
    "conv",
    "rep",
    "agent",
    "job",
    "step",
    "subseq",
    "other_conv",
    "ws",
    "key",
    "grt",
    "usr",
    "und",
    "file",
)
NAMES: Final = ("address", "box_tag", "label", "lead_tag", "campaign_name", "lead_name", "listed")
"""What else a thing can be asked for by; each workspace has words of its own for them."""

PAGED: Final[dict[str, dict[str, str]]] = {
    "list_campaigns": {},
    "list_leads": {},
    "list_campaign_leads": {"id": "camp"},
    "list_mailboxes": {},
    "list_conversations": {},
    "get_conversation": {"id": "conv"},
    "list_scheduled_replies": {"id": "conv"},
    "list_audit_events": {},
    "list_undo_entries": {},
    "list_dnc_entries": {},
    "get_mailbox_analytics": {},
    "list_approvals": {},
}
"""Every operation with a cursor, and what else it has to be given: argument to kind of thing."""


@dataclass
class TwoHouses:
    """Ann's things, Bob's own, and things that nobody has."""

    installation: Installation
    anns: dict[str, str]
    bobs: dict[str, str]
    absent: dict[str, str]

    def filled(self, row: dict[str, Any], things: dict[str, str]) -> dict[str, Any]:
        """``row`` with its placeholders replaced."""
        text = json.dumps(row)
        for kind in self.anns:
            text = text.replace("{own." + kind + "}", self.bobs[kind]).replace("{" + kind + "}", things[kind])
        found: dict[str, Any] = json.loads(text)
        return found

    async def anns_rows(self) -> list[str]:
        """Every row of Ann's workspace, as text."""

        def read(session: Any) -> list[str]:
            found = []
            for table in Base.metadata.sorted_tables:
                column = table.c.get("workspace_id")
                if column is not None:
                    query = select(table).where(column == self.installation.ann.workspace_id)
                    found += sorted(f"{table.name}: {tuple(row)!r}" for row in session.execute(query))
            return found

        return await self.installation.app.database.read(read)


async def two_houses(installation: Installation) -> TwoHouses:
    """Both workspaces, furnished alike."""
    anns = await _furnish(installation, "ann")
    bobs = await _furnish(Installation(installation.app, installation.clock, installation.bob, installation.ann), "bob")
    absent = {kind: new_id(kind.removeprefix("other_")) for kind in IDS} | {name: f"nobodys {name}" for name in NAMES}
    absent |= {"address": "box@nobody.test"}
    absent |= {kind: _beside(cursor) for kind, cursor in anns.items() if kind.startswith("cursor.")}
    return TwoHouses(installation, anns, bobs, absent)


async def _furnish(installation: Installation, who: str) -> dict[str, str]:
    """Two of everything in the workspace of the installation's ann; what one of each is known by."""
    world = await make_world(installation, port=1, mailboxes=2, emails=[f"{n}@{who}-lead.test" for n in "ab"])
    names = {name: f"{who}s {name}" for name in NAMES} | {"address": f"box0@{who}.test", "listed": f"{who}-listed.test"}
    [enrollment, _] = sorted(await world.enrollments(), key=lambda row: world.lead_ids.index(row.lead_id))
    conversations = [await converse(world, number) for number in (0, 1)]
    ids = {kind: new_id(kind) for kind in ("rep", "agent", "job")} | {"conv": conversations[0], "cl": enrollment.id}
    ids |= {"grt": new_id("grt")}
    ids |= {"other_conv": conversations[1], "ws": world.workspace_id, "usr": installation.ann.user_id}
    ids |= {"camp": world.campaign_id, "lead": enrollment.lead_id, "mbx": world.mailbox_ids[0]}
    ids |= await _stored(world, ids, names)
    ids |= {"key": (await installation.call("list_api_keys"))["items"][0]["id"]}
    await installation.call("create_campaign", name=names["campaign_name"])
    await installation.call("create_tag", name=names["label"])
    await installation.call("update_lead", id=ids["lead"], tags=[names["lead_tag"]], companyName=names["lead_name"])
    ids |= await _undoable_and_sent(installation, names)
    cursors = {f"cursor.{name}": await _cursor(installation, name, ids) for name in PAGED}
    return ids | names | cursors


async def _stored(world: World, ids: dict[str, str], names: dict[str, str]) -> dict[str, str]:
    """Writes what no operation makes; the ids of a step and a subsequence."""
    app, workspace_id, now = world.installation.app, world.workspace_id, world.installation.clock.now()
    common: dict[str, Any] = {"workspace_id": workspace_id, "created_at": now, "updated_at": now}
    flow = [StepInput(type="email", body="Still there?")]
    given = SubsequenceInput(name="Later", status="archived", trigger=TriggerInput(type="reply"), sequence=flow)
    [subsequence] = normalise_subsequences([given])
    key = app.vault.derive(PURPOSE)

    def write(session: Any) -> str:
        campaign = session.get(Campaign, (workspace_id, ids["camp"]))
        campaign.subsequences = [subsequence.model_dump(mode="json", by_alias=True)]
        for number, mailbox_id in enumerate(world.mailbox_ids):
            values = {"email": names["address"].replace("0", str(number)), "tags": [names["box_tag"]]}
            session.execute(
                update(Mailbox).where(Mailbox.workspace_id == workspace_id, Mailbox.id == mailbox_id).values(**values)
            )
        reply = {
            "conversation_id": ids["conv"],
            "enrollment_id": ids["cl"],
            "mailbox_id": ids["mbx"],
            "body": f"reply in {workspace_id}",
            "cc": [],
            "bcc": [],
            "is_scheduled": True,
            "status": "pending",
            "created_by": "test",
            "fence": 0,
        }
        for number, reply_id in enumerate((ids["rep"], new_id("rep"))):
            due = now + timedelta(days=300 + number)
            session.execute(insert(OutgoingReply), {**common, **reply, "id": reply_id, "scheduled_for": due})
        agent = {"id": ids["agent"], "name": f"Agent of {workspace_id}", "company_info": {}, "persona": {}, "usage": {}}
        session.execute(insert(Agent), {**common, **agent, "is_default": True, "is_active": True})
        job = {"id": ids["job"], "kind": "import_leads", "state": "waiting", "arguments": {}, "cursor": {}}
        more = {"result": {}, "done": 0, "created_by": "test", "fence": 0}
        session.execute(insert(Job), {**common, **job, **more})
        connect_app(session, key, workspace_id, ids["grt"], now)
        for actor in (world.installation.actor(), replace(world.installation.actor(), credential_id="key_other")):
            facts = Facts(f"Starting {ids['camp']}.", ids["camp"], actor.credential_id, "send", 2)
            ask_person(session, actor, "start_campaign", actor.credential_id, facts, now)
        keys = [DncKey("email", f"{n}@{names['listed']}") for n in "ab"]
        add_entries(session, app.vault, workspace_id, keys, reason=f"in {workspace_id}", source="manual", now=now)
        return str(campaign.sequence[0]["id"])

    step_id = await app.database.write(write)
    assert subsequence.id is not None
    return {"step": step_id, "subseq": subsequence.id}


def connect_app(session: Any, key: bytes, workspace_id: str, grant_id: str, now: datetime) -> None:
    """Writes an app that the workspace's owner has let in, with its tokens."""
    owner = session.scalars(select(Workspace.owner_id).where(Workspace.id == workspace_id)).one()
    grant = Grant(
        workspace_id=workspace_id,
        id=grant_id,
        client_id="pr_app_tenancy",
        client_name=f"App of {workspace_id}",
        user_id=owner,
        redirect_uri="https://app.test/callback",
        scopes=["read"],
        autonomy="confirm",
        created_at=now,
    )
    session.add(grant)
    issue_tokens(session, key, grant, "https://post.test/mcp", granted_reach(grant), None, wall_ms_now())


async def _undoable_and_sent(installation: Installation, names: dict[str, str]) -> dict[str, str]:
    """The ids of a call that can be undone, and of a file that was sent."""
    for color in ("#111111", "#222222"):
        await installation.call("update_tag", name=names["label"], color=color)
    [newest, _, *_] = (await installation.call("list_undo_entries"))["items"]
    upload = await installation.call("create_upload", name="leads.csv", sizeBytes=1)
    linked, now = Linked(installation.ann.workspace_id, upload["uploadId"]), installation.clock.now()
    claim = await installation.app.database.write(lambda session: claim_upload(session, linked, now))
    assert claim is not None
    incoming = Incoming(installation.app.settings.data_dir, "upload", linked.workspace_id)
    incoming.file.write(b"x")
    incoming.finish()
    incoming.keep(installation.app.settings.data_dir, "upload", *linked, claim.token)
    assert await installation.app.database.write(lambda session: receive_upload(session, claim, now))
    return {"und": newest["id"], "file": upload["uploadId"]}


async def _cursor(installation: Installation, name: str, ids: dict[str, str]) -> str:
    """What the operation gives to go on with."""
    given = {argument: ids[kind] for argument, kind in PAGED[name].items()}
    page = await installation.call(name, limit=1, **given)
    cursor = page["olderCursor"] if name == "get_conversation" else page["nextCursor"]
    assert cursor, f"{name} has one page only"
    return str(cursor)


def _beside(cursor: str) -> str:
    """The cursor of a row that nobody has, at the same place."""
    text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    changed = re.sub(
        r"([a-z]+_[0-9a-z]{25})([0-9a-z])", lambda found: found[1] + ("0" if found[2] != "0" else "1"), text
    )
    assert changed != text, text
    return base64.urlsafe_b64encode(changed.encode()).decode().rstrip("=")
