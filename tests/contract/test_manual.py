"""What the manual says is so: its examples of templates, its table of settings, and the names that it uses."""

import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Final

import pytest
from benchmarks.__main__ import benchmark_names
from benchmarks.goals import LINES, Line, Result
from scripts.snapshots import setting_defaults

from postrider.campaigns.documents import SettingsInput
from postrider.campaigns.launch import unsupported
from postrider.catalogue import load_catalogue
from postrider.content.template import Chooser, LeadFacts, SenderFacts, compile_template, lead_values
from postrider.doors.mcp.resources import served_addresses
from postrider.doors.mcp.surface import FULL

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
VALUES: Final = lead_values(
    LeadFacts(email="ada@example.com", first_name="Ada", last_name="Byron", company_name="Byron & Co"),
    SenderFacts("sam@acme.test", "Sam Reed"),
    custom={"Industry": "SaaS"},
    today=date(2026, 3, 2),
)
CALLED: Final = re.compile(r"(?:`|postrider call )([a-z]+_[a-z_]+)\b")
ON: Final = {
    "espMatchingMode": "auto",
    "segCheckMode": "skip_all",
    "variantOptimization": {"enabled": True},
    "copyFatigueProtection": {"enabled": True},
    "cnameTracking": {"enabled": True},
    "webhook": {"enabled": True},
    "slackChannelId": "C1",
    "replyNotificationEmails": ["me@acme.test"],
    "aiAgentEnabled": True,
}


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def rows(text: str, heads: tuple[str, ...]) -> Iterator[list[str]]:
    """The cells of every row of the table with these heads."""
    lines = iter(text.splitlines())
    for line in lines:
        if tuple(_cells(line)[: len(heads)]) == heads:
            next(lines)
            for row in lines:
                if not row.startswith("|"):
                    return
                yield _cells(row)


def _cells(line: str) -> list[str]:
    parts = re.split(r"(?<!\\)\|", line.strip().strip("|")) if line.startswith("|") else []
    return [part.strip().replace(r"\|", "|") for part in parts]


EXAMPLES: Final = list(rows(page("campaigns.md"), ("template", "writes")))


@pytest.mark.parametrize(("template", "writes"), EXAMPLES, ids=[template for template, _ in EXAMPLES])
def test_a_template_of_the_manual_writes_what_the_manual_says(template: str, writes: str) -> None:
    compiled = compile_template(template.strip("`"), form="text")
    assert compiled.render(VALUES, Chooser(b"k" * 32, "camp", "lead", "step", "A")).text == writes


def test_the_manual_has_examples_of_templates() -> None:
    assert len(EXAMPLES) >= 10


def test_the_settings_page_lists_every_variable_with_its_default() -> None:
    listed = {cells[0].strip("`"): cells[1].strip("`") for cells in rows(page("settings.md"), ("variable", "default"))}
    known = {setting["variable"]: _shown(setting["default"]) for setting in setting_defaults()}
    assert listed == known


def _shown(default: object) -> str:
    return "none" if default is None else default if isinstance(default, str) else json.dumps(default)


def test_the_manual_names_every_setting_that_start_refuses() -> None:
    refused = {problem.field.split(".")[1] for problem in unsupported(SettingsInput.model_validate(ON), [])}
    assert refused == set(ON), "a setting is honoured now, or another one is refused: correct ON and docs/campaigns.md"
    paragraph = page("campaigns.md").partition("**Stored, and not done yet.**")[2].partition("## ")[0]
    assert {name for name in refused if f"`{name}`" not in paragraph} == set()


def test_the_manual_calls_only_operations_that_exist() -> None:
    names = {name for operation in load_catalogue() for name in (operation.name, *operation.aliases)}
    verbs = {name.partition("_")[0] for name in names}
    texts = {path.name: path.read_text(encoding="utf-8") for path in (*DOCS.glob("*.md"), ROOT / "README.md")}
    called = {
        (name, file)
        for file, text in texts.items()
        for name in re.findall(r"(?:`|postrider call )([a-z]+_[a-z_]+)\b", text)
    }
    assert {(name, file) for name, file in called if name.partition("_")[0] in verbs and name not in names} == set()


def test_the_manual_lists_the_resources_that_are_served() -> None:
    listed = {cells[0].strip("`") for cells in rows(page("agents-and-mcp.md"), ("address", "what"))}
    assert listed == {address.template for address in served_addresses(FULL, load_catalogue())}


def test_every_benchmark_has_a_line_in_the_table_and_no_line_lacks_its_benchmark() -> None:
    assert set(benchmark_names()) == set(LINES)


def test_a_goal_is_met_from_its_own_side() -> None:
    more = Line("rate", "calls/s", "ours", "floor", 0.5)
    less = Line("wait", "ms", "ours", "floor", 1.5, "lower")
    assert [Result(more, ours, 10.0).met for ours in (4.0, 5.0)] == [False, True]
    assert [Result(less, ours, 10.0).met for ours in (15.0, 16.0)] == [True, False]
