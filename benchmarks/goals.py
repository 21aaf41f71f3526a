"""What each benchmark compares, and how good the comparison has to be."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Better = Literal["higher", "lower"]
Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: which of a benchmark's figures are ours and the floor, and the goal for their ratio.

    ``better`` says which way the ratio should go. ``goal`` None: shown for comparison only.
    """

    name: str
    unit: str
    ours: str
    floor: str
    goal: float | None
    better: Better = "higher"


@dataclass(frozen=True, slots=True)
class Result:
    """One line with its figures."""

    line: Line
    ours: float
    floor: float

    @property
    def ratio(self) -> float:
        """Ours as a multiple of the floor."""
        return self.ours / self.floor

    @property
    def met(self) -> bool | None:
        """Whether the ratio is good enough; None without a goal."""
        if self.line.goal is None:
            return None
        return self.ratio >= self.line.goal if self.line.better == "higher" else self.ratio <= self.line.goal


def _import_lines(database: str, prefix: str) -> tuple[Line, Line]:
    raw = f"{prefix}_raw_rows_per_second"
    return (
        Line(f"CSV import job, {database}", "rows/s", f"{prefix}_job_rows_per_second", raw, 0.6),
        Line(f"… and reading the file, {database}", "rows/s", f"{prefix}_whole_rows_per_second", raw, None),
    )


def _send_line(database: str, prefix: str, goal: float | None) -> Line:
    ours, floor = f"{prefix}_ours_per_second", f"{prefix}_floor_per_second"
    return Line(f"send end to end, {database}", "messages/s", ours, floor, goal)


LINES: Final[Mapping[str, tuple[Line, ...]]] = {
    "send": (_send_line("SQLite", "sqlite", 0.4), _send_line("PostgreSQL", "postgresql", None)),
    "smtp": (Line("SMTP adapter alone", "messages/s", "adapter_per_second", "aiosmtplib_per_second", None),),
    "mime": (Line("MIME build", "messages/s", "ours_per_second", "email_message_per_second", 10.0),),
    "templates": (Line("templates", "renders/s", "ours", "jinja2", 1.0),),
    "claim": (
        Line("claim 500, 10× the leads, SQLite", "ms", "sqlite_many_ms", "sqlite_few_ms", 6.0, "lower"),
        Line("claim 500, 10× the leads, PostgreSQL", "ms", "postgresql_many_ms", "postgresql_few_ms", 1.5, "lower"),
    ),
    "import": (
        *_import_lines("SQLite", "sqlite"),
        *_import_lines("PostgreSQL", "postgresql"),
    ),
    "write_lanes": (
        Line("write operations, 16 callers", "calls/s", "operations_per_second", "raw_operations_per_second", 0.2),
        Line("hot lane, 16 callers", "writes/s", "hot_per_second", "raw_hot_per_second", 1.2),
    ),
    "mcp": tuple(
        Line(f"{name}, {era}", "calls/s", f"ours calls/s, {era}", f"{floor} calls/s, {era}", goal)
        for era in ("2025-11-25", "2026-07-28")
        for name, floor, goal in (("MCP read tool", "bare", 0.5), ("… beside one word", "word", None))
    ),
    "stdio": (Line("stdio to first tools/list", "ms", "ours ms", "bare ms", 1.5, "lower"),),
}
"""By the name of the benchmark: the module ``bench_NAME``."""


def read_results(name: str, figures: Figures) -> list[Result]:
    """The lines of the benchmark ``name``. Raises: LookupError when its figures do not fit, or it has no lines."""
    if name not in LINES:
        raise LookupError(f"bench_{name} has no line in benchmarks/goals.py")
    missing = {key for line in LINES[name] for key in (line.ours, line.floor)} - set(figures)
    if missing:
        raise LookupError(f"bench_{name} does not give {', '.join(sorted(missing))}, only {', '.join(figures)}")
    return [Result(line, figures[line.ours], figures[line.floor]) for line in LINES[name]]
