"""Which results have a view, and the documents: one each, with its style and script inside, that loads nothing."""

import hashlib
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any, Final

from mcp_types import ReadResourceResult, Resource, TextResourceContents

EXTENSION: Final = "io.modelcontextprotocol/ui"
MIME_TYPE: Final = "text/html;profile=mcp-app"
SCHEME: Final = "ui://"

_SHARED: Final = ("dom.js", "words.js", "bridge.js")


@dataclass(frozen=True, slots=True)
class View:
    """One document. ``operations``: those whose results it draws. ``scripts``: its own, after the shared ones."""

    name: str
    title: str
    description: str
    operations: tuple[str, ...]
    scripts: tuple[str, ...]

    @property
    def uri(self) -> str:
        """Where clients read it."""
        return f"{SCHEME}postrider/{self.name}"


VIEWS: Final = (
    View(
        "email-preview",
        "Email preview",
        "An email as its reader sees it: on a desktop, on a phone, as plain text.",
        ("preview_email",),
        ("email_preview.js",),
    ),
    View(
        "campaign-plan",
        "Campaign plan",
        "A calendar of what a campaign will send, for each mailbox.",
        ("plan_campaign",),
        ("campaign_plan.js",),
    ),
    View(
        "campaign-analytics",
        "Campaign analytics",
        "What came of a campaign: a funnel, day by day, and variants with their confidence.",
        ("get_campaign_analytics",),
        ("statistics.js", "charts.js", "campaign_analytics.js"),
    ),
    View(
        "conversation",
        "Conversation",
        "A conversation with a lead, and the draft of a reply to it.",
        ("get_conversation", "generate_reply"),
        ("conversation.js",),
    ),
)

_BY_OPERATION: Final = {operation: view for view in VIEWS for operation in view.operations}
_BY_URI: Final = {view.uri: view for view in VIEWS}


def view_of(operation: str) -> View | None:
    """What draws the results of ``operation``."""
    return _BY_OPERATION.get(operation)


def tool_meta(operation: str) -> dict[str, Any] | None:
    """The ``_meta`` of a tool whose results have a view."""
    view = view_of(operation)
    return {"ui": {"resourceUri": view.uri}} if view else None


def view_resources(is_there: Callable[[str], bool]) -> list[Resource]:
    """The entries of ``resources/list``: the views of operations that ``is_there`` says can be called."""
    return [
        Resource(
            uri=view.uri,
            name=view.name,
            title=view.title,
            description=view.description,
            mime_type=MIME_TYPE,
            _meta=_resource_meta(),
        )
        for view in VIEWS
        if any(map(is_there, view.operations))
    ]


def read_view(uri: str) -> ReadResourceResult | None:
    """What ``resources/read`` answers; None where there is no such view. The same for everybody: it holds no data."""
    view = _BY_URI.get(uri)
    if view is None:
        return None
    content = TextResourceContents(uri=uri, mime_type=MIME_TYPE, text=document(view), _meta=_resource_meta())
    return ReadResourceResult(contents=[content])


@cache
def document(view: View) -> str:
    """The whole page. Its own policy lets run the one script in it, and nothing be fetched."""
    script = "\n" + "\n".join(_source(name) for name in (*_SHARED, *view.scripts))
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    shell = Template(_source("shell.html"))
    return shell.substitute(policy=policy, title=view.title, style=_source("style.css"), script=script)


def _resource_meta() -> dict[str, Any]:
    """What the host is told: no origin is needed for anything."""
    nothing: list[str] = []
    csp = {"connectDomains": nothing, "resourceDomains": nothing, "frameDomains": nothing, "baseUriDomains": nothing}
    return {"ui": {"csp": csp, "prefersBorder": True}}


def _source(name: str) -> str:
    return (files(__package__) / name).read_text("utf-8")
