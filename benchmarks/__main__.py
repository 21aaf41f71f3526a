"""Every benchmark beside the figure that it is compared with, in one table.

python -m benchmarks [--only NAME]... [--json FILE]

Ratios count, not rates: ours and its floor run on the same machine, minutes apart at most. A goal that is missed does
not fail the run; a benchmark that breaks does.
"""

import argparse
import asyncio
import gc
import importlib
import inspect
import json
import os
import platform
import sqlite3
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.goals import LINES, Result, read_results

_WIDTHS = (38, 11, 10, 10, 7, 8, 4)
_HEADS = ("name", "unit", "ours", "floor", "ratio", "goal", "met?")


def benchmark_names() -> list[str]:
    """Every ``bench_NAME.py``: those with a line first, in the order of the table."""
    present = {path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py")}
    return [name for name in LINES if name in present] + sorted(present - set(LINES))


def run(name: str) -> dict[str, float]:
    """What ``bench_NAME.measure()`` gives, whether it is a plain or an async function."""
    gc.collect()
    measured = importlib.import_module(f"benchmarks.bench_{name}").measure()
    figures: dict[str, float] = asyncio.run(measured) if inspect.iscoroutine(measured) else measured
    return figures


def describe_machine() -> dict[str, str | int | None]:
    """What the figures depend on."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def row(result: Result) -> tuple[str, ...]:
    """One line of the table as text."""
    line = result.line
    sign = "≥" if line.better == "higher" else "≤"
    goal = "–" if line.goal is None else f"{sign} {line.goal:g}"
    met = {None: "–", True: "yes", False: "NO"}[result.met]
    return (line.name, line.unit, f"{result.ours:,.0f}", f"{result.floor:,.0f}", f"{result.ratio:.2f}", goal, met)


def _print_row(cells: tuple[str, ...]) -> None:
    words = [cell.ljust(width) for cell, width in zip(cells[:2], _WIDTHS[:2], strict=True)]
    numbers = [cell.rjust(width) for cell, width in zip(cells[2:], _WIDTHS[2:], strict=True)]
    print(*words, *numbers, flush=True)


def main(arguments: list[str]) -> int:
    """Prints the table as it grows; the exit status is 1 when a benchmark broke."""
    names = benchmark_names()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=f"one of {', '.join(names)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write machine and figures there too")
    options = parser.parse_args(arguments)
    machine = describe_machine()
    print(", ".join(f"{key} {value}" for key, value in machine.items()), end="\n\n")
    _print_row(_HEADS)
    report: list[dict[str, Any]] = []
    broken = []
    for name in options.only or names:
        try:
            figures = run(name)
            results = read_results(name, figures)
        except Exception:
            broken.append(name)
            traceback.print_exc()
            continue
        for result in results:
            _print_row(row(result))
        report.append({"benchmark": name, "figures": figures})
    if options.json:
        options.json.write_text(json.dumps({"machine": machine, "results": report, "broken": broken}, indent=2) + "\n")
    if broken:
        print(f"\nbroken: {', '.join(broken)}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
