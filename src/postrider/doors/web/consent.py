"""The page where a person sees what an app asks for, and says what it gets; and pages that say what went wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse

from postrider.doors.web.forms import Form
from postrider.doors.web.rendering import render
from postrider.doors.web.sessions import CSRF_FIELD, Person
from postrider.kernel.errors import InvalidInput
from postrider.kernel.policy import AUTONOMIES, Autonomy

SCOPE_WORDS: Final[dict[str, tuple[str, str]]] = {
    "read": ("Read", "See campaigns, leads, conversations and figures."),
    "prepare": ("Prepare", "Create and change campaigns, leads and drafts. Nothing is sent by it."),
    "send": ("Send", "Start campaigns, send replies and test messages."),
    "delete": ("Delete", "Delete leads, campaigns and other things, and take addresses off the do-not-contact list."),
    "administer": ("Administer", "Connect mailboxes, make API keys, and decide what others may do."),
}
"""What a scope lets a key do: its name, and a sentence."""

APP_SCOPE_WORDS: Final[dict[str, tuple[str, str]]] = SCOPE_WORDS | {
    "administer": (
        "Administer",
        "Connect mailboxes, read the audit log, and put out other apps and API keys. It makes no keys.",
    ),
}
"""The same for a connected app, which makes no keys."""

AUTONOMY_WORDS: Final[dict[Autonomy, tuple[str, str]]] = {
    "readonly": ("Only look", "It reads and changes nothing, whatever is ticked above."),
    "draft": (
        "Prepare drafts",
        "It prepares; it cannot make anything leave, and deletes no leads, campaigns or conversations.",
    ),
    "confirm": (
        "Ask first",
        "Before mail leaves or data is lost it is told to show you the facts, and has to confirm them.",
    ),
    "free": ("Act by itself", "It sends and deletes without asking."),
}
"""How far a credential may go without a person: a name, and a sentence."""

MOST_DAILY_SENDS: Final = 1_000_000


class Choice(NamedTuple):
    """A workspace that the person may connect an app to."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class ConsentView:
    """What the page shows. ``client_host``: verified, because the app's description was fetched from there; None for
    one that described itself, which the page warns of.

    ``scopes``: those that are asked for; each can be left out. ``toolsets``: what it can be narrowed to. ``hidden``:
    fields that come back with the form. ``first_day_sends``: the workspace's limit for a new app's first day.
    """

    person: Person
    client_name: str
    client_host: str | None
    redirect_uri: str
    workspaces: Sequence[Choice]
    scopes: Sequence[str]
    toolsets: Sequence[str] = ()
    hidden: Mapping[str, str] = field(default_factory=dict)
    action: str = "/oauth/authorize"
    first_day_sends: int | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Consent:
    """What the person said. ``toolsets`` None: all. ``daily_sends`` None: no limit of its own."""

    allowed: bool
    workspace_id: str
    scopes: frozenset[str]
    toolsets: frozenset[str] | None
    autonomy: Autonomy
    daily_sends: int | None


def consent_page(view: ConsentView) -> HTMLResponse:
    """The page with its form, which posts to ``view.action``."""
    return render(
        "consent.html",
        targets=form_targets(view.redirect_uri),
        view=view,
        csrf_field=CSRF_FIELD,
        redirect_host=urlsplit(view.redirect_uri).netloc,
        on_this_machine=urlsplit(view.redirect_uri).scheme == "http",
        scope_words=APP_SCOPE_WORDS,
        autonomies=AUTONOMY_WORDS,
        most_daily_sends=MOST_DAILY_SENDS,
    )


def read_consent(form: Form, view: ConsentView) -> Consent:
    """What the form says, held to what was asked for. Raises: InvalidInput for what the page does not offer."""
    workspace_id, autonomy = form.one("workspace"), form.one("autonomy")
    scopes, toolsets = frozenset(form.every("scope")), frozenset(form.every("toolset"))
    if form.one("decision") != "allow":
        return Consent(False, workspace_id, frozenset(), None, AUTONOMIES[0], None)
    if workspace_id not in {each.id for each in view.workspaces}:
        raise InvalidInput("Choose one of your workspaces.", field="workspace")
    if not scopes or not scopes <= set(view.scopes):
        raise InvalidInput("Tick at least one thing that the app may do, or cancel.", field="scope")
    if not toolsets <= set(view.toolsets):
        raise InvalidInput("Choose areas that are on the list.", field="toolset")
    return Consent(
        allowed=True,
        workspace_id=workspace_id,
        scopes=scopes,
        toolsets=toolsets or None,
        autonomy=_autonomy(autonomy),
        daily_sends=read_limit(form.one("daily_sends"), "daily_sends"),
    )


def error_page(status: int, title: str, message: str, hint: str | None = None) -> HTMLResponse:
    """A page that says what went wrong, and what to do."""
    return render("message.html", status=status, title=title, message=message, hint=hint, link=None)


def form_targets(redirect_uri: str) -> tuple[str, ...]:
    """Where the answer to a form may be redirected when it ends at ``redirect_uri``.

    Browsers hold the whole chain of redirects to the policy of the page with the form, also those of the app's own
    site after ours: https is left open for them. A policy cannot name an IPv6 address, so that takes its scheme.
    """
    parts = urlsplit(redirect_uri)
    if parts.scheme == "https":
        return ("https:",)
    return ("https:", "http:" if ":" in (parts.hostname or "") else f"{parts.scheme}://{parts.netloc}")


def read_limit(text: str, name: str) -> int | None:
    """A number of messages from a form; None when it was left empty. Raises: InvalidInput."""
    digits = text.strip()
    if not digits:
        return None
    if not digits.isascii() or not digits.isdecimal() or len(digits) > 9 or int(digits) > MOST_DAILY_SENDS:
        raise InvalidInput(f"A limit is a whole number up to {MOST_DAILY_SENDS:,}, or empty.", field=name)
    return int(digits)


def _autonomy(text: str) -> Autonomy:
    found = next((each for each in AUTONOMIES if each == text), None)
    if found is None:
        raise InvalidInput("Choose how far it may go by itself.", field="autonomy")
    return found
