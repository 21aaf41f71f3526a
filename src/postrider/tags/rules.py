"""The labels that every workspace starts with, and which of them are positive."""

from typing import Final, NamedTuple

DEFAULT_COLOR: Final = "#6b7280"


class SeedTag(NamedTuple):
    """One label of a new workspace."""

    name: str
    description: str
    positive: bool
    color: str


SEED_TAGS: Final = (
    SeedTag("interested", "Wants to know more or to talk.", True, "#16a34a"),
    SeedTag("meeting_requested", "Asks for, or agrees to, a meeting.", True, "#15803d"),
    SeedTag("needs_more_info", "Asks a question before deciding.", True, "#0d9488"),
    SeedTag("referral", "Points to somebody else to talk to.", True, "#2563eb"),
    SeedTag("question", "Asks something without showing interest.", False, DEFAULT_COLOR),
    SeedTag("neutral", "Neither yes nor no.", False, DEFAULT_COLOR),
    SeedTag("not_interested", "Says no.", False, "#dc2626"),
    SeedTag("wrong_person", "Is not the one to ask.", False, "#d97706"),
    SeedTag("out_of_office", "An automatic absence notice.", False, "#9ca3af"),
    SeedTag("left_company", "No longer works there.", False, "#9ca3af"),
    SeedTag("unsubscribe", "Does not want to be written to again.", False, "#b91c1c"),
)

TAG_ALIASES: Final = {"meeting_booked": "meeting_requested"}


def tag_key(name: str) -> str:
    """The form under which a label is looked up: names differ only if their keys do."""
    key = " ".join(name.split()).casefold()
    return TAG_ALIASES.get(key, key)
