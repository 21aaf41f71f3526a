"""What a do-not-contact entry covers."""

from typing import Final, Literal, NamedTuple

DncKind = Literal["email", "domain"]
DncSource = Literal["manual", "import", "unsubscribe", "bounce", "complaint"]

BINDING_SOURCES: Final = frozenset({"unsubscribe", "bounce", "complaint"})
"""Entries that hold even where a campaign does not skip the list: the person, or their server, said no."""


WORDS: Final[dict[str, str]] = {
    "manual": "added by hand",
    "import": "imported",
    "unsubscribe": "unsubscribed",
    "bounce": "bounced",
    "complaint": "complained",
}
"""What errors say of an entry, by its source. Its stored reason may hold words of a mail server, which are not ours."""


class DncKey(NamedTuple):
    """One thing an entry can name."""

    kind: DncKind
    value: str


def keys_covering(email: str) -> list[DncKey]:
    """Everything that, if listed, forbids mail to ``email`` (canonical): the address, its domain and parent domains."""
    domain = email.rpartition("@")[2]
    labels = domain.split(".")
    parents = [".".join(labels[start:]) for start in range(max(1, len(labels) - 1))]
    return [DncKey("email", email), *(DncKey("domain", parent) for parent in parents)]
