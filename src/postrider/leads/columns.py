"""Leads of one batch, column by column: what a database is given most quickly, and a job keeps most compactly. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic_core import to_json

from postrider.leads.rules import TEXT_COLUMNS, LeadDraft


@dataclass(frozen=True, slots=True)
class LeadColumns:
    """Leads with different addresses. ``texts``: the standard fields that any of them has; ``custom``: JSON objects.

    ``tags``: for each tag the positions of the leads that get it.
    """

    emails: list[str]
    domains: list[str | None]
    texts: dict[str, list[str | None]]
    custom: list[str]
    tags: dict[str, list[int]]

    @classmethod
    def of(cls, drafts: Sequence[LeadDraft]) -> "LeadColumns":
        """The columns of ``drafts``."""
        filled = zip(TEXT_COLUMNS, zip(*(draft.texts for draft in drafts), strict=True), strict=False)
        tags: dict[str, list[int]] = {}
        for position, draft in enumerate(drafts):
            for tag in draft.tags:
                tags.setdefault(tag, []).append(position)
        return cls(
            [draft.email for draft in drafts],
            [draft.company_domain for draft in drafts],
            {name: list(values) for name, values in filled if any(values)},
            [to_json(draft.custom_fields).decode() for draft in drafts],
            tags,
        )

    def to_json(self) -> dict[str, object]:
        """As JSON values, for ``LeadColumns(**…)``."""
        return {
            "emails": self.emails,
            "domains": self.domains,
            "texts": self.texts,
            "custom": self.custom,
            "tags": self.tags,
        }

    def custom_fields(self, position: int) -> dict[str, str]:
        """The custom fields of one lead."""
        found: dict[str, str] = json.loads(self.custom[position])
        return found

    def tags_by_lead(self, positions: Sequence[int]) -> dict[int, list[str]]:
        """The tags of the leads at ``positions`` that have any."""
        wanted, found = set(positions), dict[int, list[str]]()
        for tag, places in self.tags.items():
            for place in places:
                if place in wanted:
                    found.setdefault(place, []).append(tag)
        return found
