"""The command line and acting safely: what a workspace demands, repeated calls, and how to take a call back."""

import json

import pytest

from tests.command_line import INIT, Run, data, run
from tests.features.test_cli import said

__all__ = ["data", "run"]


def test_what_a_workspace_demands_is_set_and_shown(run: Run) -> None:
    run(*INIT)
    shown = said(run("workspace", "show", "--json"))
    defaults = {
        "approval": "none",
        "approvalAbove": None,
        "replyHoldSeconds": 0,
        "lockdown": False,
        "firstDaySends": 100,
    }
    assert defaults.items() <= shown.items()
    given = ("--approval", "human", "--approval-above", "500", "--reply-hold-seconds", "60", "--lockdown")
    said(run("workspace", "set", *given, "--first-day-sends", "20", "--json"))
    wanted = {"approval": "human", "approvalAbove": 500, "replyHoldSeconds": 60, "lockdown": True, "firstDaySends": 20}
    assert wanted.items() <= said(run("workspace", "show", "--json")).items()
    said(run("workspace", "set", "--approval", "none", "--approval-above", "off", "--no-lockdown", "--json"))
    assert {"approval": "none", "approvalAbove": None, "lockdown": False, "replyHoldSeconds": 60}.items() <= said(
        run("workspace", "show", "--json")
    ).items()
    assert "every grave call" in run("workspace", "set", "--approval", "human").output


@pytest.mark.parametrize(
    "arguments",
    [
        ("--approval", "robot"),
        ("--approval-above", "many"),
        ("--approval-above", "-1"),
        ("--reply-hold-seconds", "-1"),
        ("--reply-hold-seconds", "86401"),
        ("--first-day-sends", "-5"),
    ],
)
def test_a_demand_that_makes_no_sense_changes_nothing(run: Run, arguments: tuple[str, str]) -> None:
    run(*INIT)
    before = said(run("workspace", "show", "--json"))
    assert run("workspace", "set", *arguments).exit_code != 0
    assert said(run("workspace", "show", "--json")) == before


def test_a_changed_demand_is_in_the_audit_log(run: Run) -> None:
    run(*INIT)
    said(run("workspace", "set", "--lockdown", "--json"))
    events = said(run("call", "list_audit_events", "--json", json.dumps({"operation": "set_workspace"})))["items"]
    assert len(events) == 1


def test_a_call_with_a_key_is_done_once(run: Run) -> None:
    run(*INIT)
    given = ("call", "create_campaign", "--json", '{"name": "Once"}', "--idempotency-key", "once-1")
    first, again = run(*given), run(*given)
    assert said(first) == said(again)
    assert "This was done before" in again.stderr and "This was done before" not in first.stderr
    assert said(run("call", "list_campaigns"))["total"] == 1


def test_a_call_that_can_be_taken_back_says_how(run: Run) -> None:
    run(*INIT)
    said(run("call", "create_tag", "--json", '{"name": "Worn out"}'))
    deleted = run("call", "delete_tag", "--json", '{"name": "Worn out"}')
    said(deleted)
    undo = deleted.stderr.split("postrider call ")[1].split("'")[1]
    said(run("call", "undo_operation", "--json", undo))
    assert "Worn out" in [tag["name"] for tag in said(run("call", "list_tags"))["items"]]
