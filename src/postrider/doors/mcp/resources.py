"""Resources: addresses under ``postrider://`` that read one operation each, with the reader's own authority."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from mcp_types import Resource, ResourceTemplate

from postrider.analytics.pulses import TopicKind
from postrider.catalogue import Catalogue
from postrider.doors.mcp.icons import icons
from postrider.doors.mcp.surface import Surface, callable_operation

MIME_TYPE: Final = "application/json"
_DRAWN_AS: Final = {"conversation": "inbox"}
_VARIABLE: Final = re.compile(r"\{(\??)([a-z,]+)\}")


@dataclass(frozen=True)
class Address:
    """One address, or a family of them. ``template``: RFC 6570, with ``{name}`` in the path and ``{?a,b}`` at the end.

    The variables are arguments of ``operation``; ``own_workspace`` names the one that the credential fills in.
    ``topic``: what changes when the content does.
    """

    template: str
    operation: str
    title: str
    description: str
    topic: TopicKind
    own_workspace: str | None = None

    @property
    def name(self) -> str:
        """A short name, unique among the addresses: campaign-analytics."""
        return self.title.lower().replace(" ", "-")

    @property
    def is_family(self) -> bool:
        """Whether something has to be filled in."""
        return "{" in self.template

    @property
    def variables(self) -> list[str]:
        """What can be filled in."""
        return [name for _, names in _VARIABLE.findall(self.template) for name in names.split(",")]

    def arguments(self, uri: str, workspace_id: str) -> dict[str, str] | None:
        """The operation's arguments that ``uri`` stands for; None when it is not one of these addresses."""
        place, _, query = uri.partition("?")
        found = self._place.fullmatch(place)
        asked = dict(parse_qsl(query, keep_blank_values=True))
        if found is None or not asked.keys() <= self._optional:
            return None
        filled = {name: unquote(value) for name, value in found.groupdict().items()}
        own = {self.own_workspace: workspace_id} if self.own_workspace else {}
        return {**own, **filled, **asked}

    @cached_property
    def _optional(self) -> frozenset[str]:
        return frozenset(name for mark, names in _VARIABLE.findall(self.template) if mark for name in names.split(","))

    @cached_property
    def _place(self) -> re.Pattern[str]:
        fixed = re.escape(self.template.split("{?")[0])
        return re.compile(re.sub(r"\\\{([a-z]+)\\\}", r"(?P<\1>[^/?#]+)", fixed))


ADDRESSES: Final = (
    Address(
        "postrider://workspace",
        "get_workspace",
        "Workspace",
        "Its members, settings, usage and limits.",
        "workspace",
        own_workspace="id",
    ),
    Address(
        "postrider://campaigns/{id}",
        "get_campaign",
        "Campaign",
        "One campaign with its sequence and counts.",
        "campaign",
    ),
    Address(
        "postrider://campaigns/{id}/analytics",
        "get_campaign_analytics",
        "Campaign analytics",
        "Totals, steps and variants of one campaign.",
        "campaign",
    ),
    Address(
        "postrider://analytics/campaigns/{id}",
        "get_campaign_performance",
        "Campaign performance",
        "The figures of one campaign in short, without variants.",
        "campaign",
    ),
    Address(
        "postrider://analytics/overview", "get_analytics_overview", "Overview", "Totals over all campaigns.", "figures"
    ),
    Address(
        "postrider://analytics/daily{?from,to}",
        "get_daily_analytics",
        "Daily figures",
        "One row a day, dates as YYYY-MM-DD; the last 30 days unless said otherwise.",
        "figures",
    ),
    Address(
        "postrider://mailboxes/health",
        "get_mailbox_analytics",
        "Mailbox health",
        "Every mailbox with what it sent, its bounce rate and its limits.",
        "figures",
    ),
    Address(
        "postrider://inbox",
        "list_conversations",
        "Inbox",
        "The latest conversations, the newest reply first. Subscribe to it to hear of new replies.",
        "inbox",
    ),
    Address(
        "postrider://inbox/{id}",
        "get_conversation",
        "Conversation",
        "One thread, oldest message first.",
        "conversation",
    ),
)


def served_addresses(surface: Surface, catalogue: Catalogue) -> list[Address]:
    """The addresses whose operation exists and may be called on the surface."""
    return [address for address in ADDRESSES if callable_operation(surface, catalogue, address.operation) is not None]


def describe_resource(address: Address) -> Resource:
    """The entry of ``resources/list``."""
    return Resource(uri=address.template, **_words(address))


def describe_family(address: Address) -> ResourceTemplate:
    """The entry of ``resources/templates/list``."""
    return ResourceTemplate(uri_template=address.template, **_words(address))


def _words(address: Address) -> dict[str, Any]:
    return {
        "name": address.name,
        "title": address.title,
        "description": address.description,
        "mime_type": MIME_TYPE,
        "icons": icons(_DRAWN_AS.get(address.topic, address.topic)),
    }
