"""What shows, by a few cheap reads, that something has changed since the last look."""

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator
from typing import Literal, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from postrider.access.tables import Workspace
from postrider.campaigns.tables import Campaign, DailyCount
from postrider.inbox.tables import Conversation, OutgoingReply

TopicKind = Literal["workspace", "figures", "campaign", "inbox", "conversation"]


class Topic(NamedTuple):
    """One thing to watch. ``id``: which one; empty where a workspace has one only.

    workspace: its name, settings and pause. figures: what happened over all campaigns. campaign: one campaign and what
    happened in it. inbox: new replies. conversation: one thread.
    """

    kind: TopicKind
    id: str = ""


Pulse = tuple[Hashable, ...]
Mark = tuple[Topic, Pulse]


def pulses(session: Session, workspace_id: str, topics: Collection[Topic]) -> dict[Topic, Pulse]:
    """For each topic a value that differs as soon as there is something new; empty for what does not exist (any more).

    So many statements at most as there are kinds, twice, however many topics.
    """
    found: dict[Topic, list[Hashable]] = {topic: [] for topic in topics}
    for topic, mark in _marks(session, workspace_id, topics):
        if topic in found:
            found[topic].append(mark)
    return {topic: tuple(sorted(marks, key=repr)) for topic, marks in found.items()}


def _marks(session: Session, workspace_id: str, topics: Iterable[Topic]) -> Iterator[Mark]:
    """Rows that say something of a topic."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for topic in topics:
        wanted[topic.kind].append(topic.id)
    if "workspace" in wanted:
        columns = (Workspace.updated_at, Workspace.name, Workspace.paused_at)
        for row in session.execute(select(*columns).where(Workspace.id == workspace_id)):
            yield Topic("workspace"), tuple(row)
    if wanted.keys() & {"figures", "campaign"}:
        yield from _figures(session, workspace_id, None if "figures" in wanted else wanted["campaign"])
    if "campaign" in wanted:
        of_campaign = (Campaign.id, Campaign.status, Campaign.revision, Campaign.updated_at)
        query = select(*of_campaign).where(Campaign.workspace_id == workspace_id, Campaign.id.in_(wanted["campaign"]))
        for campaign_id, *marks in session.execute(query):
            yield Topic("campaign", campaign_id), tuple(marks)
    if "inbox" in wanted:
        query_inbox = select(Conversation.status, func.count(), func.max(Conversation.last_reply_at))
        of_workspace = query_inbox.where(Conversation.workspace_id == workspace_id).group_by(Conversation.status)
        for mark in session.execute(of_workspace):
            yield Topic("inbox"), tuple(mark)
    if "conversation" in wanted:
        yield from _threads(session, workspace_id, wanted["conversation"])


def _figures(session: Session, workspace_id: str, campaign_ids: list[str] | None) -> Iterator[Mark]:
    """What has been counted, by campaign; for the whole workspace as well where no campaign is named."""
    query = select(DailyCount.campaign_id, DailyCount.kind, func.sum(DailyCount.count))
    query = query.where(DailyCount.workspace_id == workspace_id)
    if campaign_ids is not None:
        query = query.where(DailyCount.campaign_id.in_(campaign_ids))
    for campaign_id, *marks in session.execute(query.group_by(DailyCount.campaign_id, DailyCount.kind)):
        yield Topic("campaign", campaign_id), tuple(marks)
        if campaign_ids is None:
            yield Topic("figures"), (campaign_id, *marks)


def _threads(session: Session, workspace_id: str, conversation_ids: list[str]) -> Iterator[Mark]:
    columns = (Conversation.id, Conversation.updated_at, Conversation.last_reply_at, Conversation.unread_count)
    threads = select(*columns).where(Conversation.workspace_id == workspace_id, Conversation.id.in_(conversation_ids))
    replies = (
        select(OutgoingReply.conversation_id, func.count(), func.max(OutgoingReply.updated_at))
        .where(OutgoingReply.workspace_id == workspace_id, OutgoingReply.conversation_id.in_(conversation_ids))
        .group_by(OutgoingReply.conversation_id)
    )
    for conversation_id, *marks in [*session.execute(threads), *session.execute(replies)]:
        yield Topic("conversation", conversation_id), tuple(marks)
