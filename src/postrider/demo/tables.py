"""What the demo shows: tables for a terminal, and the same in plain text elsewhere."""

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from postrider.demo.checks import Result
from postrider.demo.client import Facts
from postrider.demo.deviations import deviations, planned_places, sent_places
from postrider.demo.evidence import Evidence, LeadState

_PLAIN_WIDTH: Final = 110
_TEXT_CHARS: Final = 900
_DAY_COLUMNS: Final = ("sent", "opened", "clicked", "replied", "autoReplied", "bounced", "unsubscribed", "complained")


def make_console() -> Console:
    """A console on standard output; without colours, boxes and movement when that is no terminal."""
    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(highlight=False, width=_PLAIN_WIDTH, no_color=True)


class Shown:
    """Writes the demo's findings to a console."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def heading(self, text: str) -> None:
        """A new part of the story."""
        self._console.print()
        self._console.print(Text(text, style="bold cyan"))

    def line(self, text: str) -> None:
        """One plain line."""
        self._console.print(Text(text))

    def literal(self, text: str) -> None:
        """Text to be copied: neither wrapped nor coloured."""
        self._console.print(Text(text), soft_wrap=True)

    def email(self, title: str, subject: str, text: str) -> None:
        """A message."""
        body = text.strip() if len(text) <= _TEXT_CHARS else f"{text[:_TEXT_CHARS].rstrip()} …"
        content = Text(f"Subject: {subject}\n\n{body}" if subject else body)
        if self._console.is_terminal:
            self._console.print(Panel(content, title=title, title_align="left", width=100))
        else:
            self._console.print(Text(f"--- {title}"), content, Text("---"), sep="\n")

    def numbers(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """A table."""
        self._console.print(self.table(columns, rows))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
        """A table: words to the left, numbers to the right."""
        table = Table(box=box.SIMPLE_HEAD if self._console.is_terminal else None, pad_edge=False, header_style="bold")
        cells = [list(row) for row in rows]
        for number, name in enumerate(columns):
            is_number = bool(cells) and all(isinstance(row[number], int) for row in cells)
            table.add_column(Text(name), justify="right" if is_number else "left", overflow="fold")
        for row in cells:
            table.add_row(*(Text("" if cell == 0 else str(cell)) for cell in row))
        return table

    def results(self, results: Sequence[Result]) -> None:
        """The checks, each with what it found wrong."""
        for result in results:
            mark = Text("✓ ", style="green") if result.ok else Text("✗ ", style="bold red")
            self._console.print(mark + Text(result.title))
            for problem in result.problems[:5]:
                self._console.print(Text(f"    {problem}", style="red"))


def day_rows(daily: Sequence[Facts]) -> list[list[object]]:
    """One row for each day on which anything happened."""
    return [
        [day["date"], *(day["stats"][name] for name in _DAY_COLUMNS)]
        for day in daily
        if any(day["stats"][name] for name in _DAY_COLUMNS)
    ]


def day_columns() -> list[str]:
    """The headings of ``day_rows``."""
    return ["day", *_DAY_COLUMNS]


def variant_rows(analytics: Facts) -> list[list[object]]:
    """One row for each variant of each email."""
    return [
        [f"email {step['step']}", variant["label"], variant["subject"] or "(same thread)", *_counts(variant["stats"])]
        for step in analytics["steps"]
        for variant in step["variants"]
    ]


def plan_columns(evidence: Evidence) -> list[str]:
    """The headings of ``plan_rows``: each mailbox with what was planned and what was sent."""
    return ["day", *(email.partition("@")[0] for email in evidence.plan["mailboxes"].values()), "why"]


def plan_rows(evidence: Evidence) -> list[list[object]]:
    """Day by day what was planned and what left, by mailbox, with the recorded causes of what differs."""
    planned, sent, gone = planned_places(evidence), sent_places(evidence), deviations(evidence)
    rows: list[list[object]] = []
    for day in sorted({day for day, _ in planned.keys() | sent.keys()}):
        places = [(day, box) for box in evidence.plan["mailboxes"]]
        cells = [_cell(planned[place], sent[place]) for place in places]
        causes = Counter(one.cause for one in gone if (one.planned or one.sent or (None,))[0] == day)
        why = ", ".join(f"{count} {cause}" for cause, count in causes.most_common())
        rows.append([day.isoformat(), *cells, why])
    return rows


def _cell(planned: int, sent: int) -> str:
    return str(planned) if planned == sent else f"{planned} → {sent}"


def standing_rows(evidence: Evidence) -> list[list[object]]:
    """How many leads stand where, and why."""
    counts = Counter((lead.status, _reason(lead)) for lead in evidence.leads)
    return [[status, reason, count] for (status, reason), count in sorted(counts.items(), key=lambda one: -one[1])]


def _reason(lead: LeadState) -> str:
    if lead.reason is None:
        return "waits for its next email" if lead.status == "active" else ""
    return f"held: {lead.reason}" if lead.status == "active" else lead.reason.replace("_", " ")


def _counts(stats: Facts) -> list[object]:
    return [stats["sent"], stats["opened"], stats["clicked"], stats["replied"], stats["bounced"]]
