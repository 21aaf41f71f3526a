"""``doctor``: the findings, for reading."""

import typer
from rich.console import Console
from rich.text import Text

from postrider.doors.doctor import examine

_MARKS = {"ok": ("ok    ", "green"), "note": ("note  ", "yellow"), "broken": ("BROKEN", "bold red")}


def report(host: str, port: int) -> None:
    """Prints every finding with what to mend; exit status 1 when something is broken."""
    console = Console(highlight=False, soft_wrap=True)
    broken = 0
    for finding in examine(host, port):
        console.print(Text.assemble(_MARKS[finding.state], f"  {finding.subject}: {finding.text}"))
        if finding.mend and finding.state != "ok":
            console.print(f"          {finding.mend}", markup=False)
        broken += finding.state == "broken"
    if broken:
        console.print(f"{broken} broken.", style="bold red")
        raise typer.Exit(1)
    console.print("Nothing is broken.")
