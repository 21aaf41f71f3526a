"""A workspace that is paused says so wherever somebody waits for its mail."""

import asyncio
import json

import pytest

from postrider.doors.doctor import Finding, examine
from tests.command_line import INIT, Run, data, run
from tests.conftest import Installation
from tests.features.inbox_world import inbox
from tests.features.test_cli import said, words

__all__ = ["data", "run"]

CAMPAIGN = {
    "name": "First",
    "mailboxEmails": ["sam@acme.test"],
    "sequence": [{"type": "email", "subject": "Hello", "body": "<p>Hello there</p>"}],
}


async def test_a_pause_is_told_by_replies_lists_and_analytics(installation: Installation) -> None:
    world, [conversation_id] = await inbox(installation)

    async def warnings() -> list[list[str]]:
        answers = [
            await installation.call("send_reply", id=conversation_id, body="x"),
            await installation.call("list_campaigns"),
            await installation.call("get_campaign_analytics", id=world.campaign_id),
        ]
        return [answer["warnings"] for answer in answers]

    assert await warnings() == [[], [], []]
    state = await installation.call("pause_workspace")
    assert all(
        len(said) == 1 and state["pausedAt"] in said[0] and "resume_workspace" in said[0] for said in await warnings()
    )
    theirs = await installation.call("list_campaigns", owner=installation.bob)
    assert theirs["warnings"] == []
    await installation.call("resume_workspace")
    assert await warnings() == [[], [], []]


async def test_the_doctor_names_paused_workspaces(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = installation.app.settings
    monkeypatch.setenv("POSTRIDER_DATA_DIR", str(settings.data_dir))
    if settings.database_url is not None:
        monkeypatch.setenv("POSTRIDER_DATABASE_URL", settings.database_url)

    async def sending() -> Finding:
        findings = await asyncio.to_thread(lambda: list(examine("127.0.0.1", 0)))
        return next(each for each in findings if each.subject == "sending")

    assert (await sending()).state == "ok"
    await installation.call("pause_workspace")
    found = await sending()
    assert found.state == "note" and installation.ann.workspace_id in found.text
    assert found.mend is not None and "resume_workspace" in found.mend


def test_the_command_line_shows_since_when(run: Run) -> None:
    run(*INIT)
    assert "Sending              on" in run("workspace", "show").stdout
    state = said(run("call", "pause_workspace"))
    assert f"Sending              paused since {state['pausedAt']}" in run("workspace", "show").stdout
    assert said(run("workspace", "show", "--json"))["pausedAt"] == state["pausedAt"]
    assert state["workspaceId" if "workspaceId" in state else "id"] in words(run("doctor", "--port", "0").output)


def test_starting_without_an_engine_says_that_nothing_is_sent(run: Run) -> None:
    run(*INIT)
    mailbox = {"email": "sam@acme.test", "displayName": "Sam", "provider": "sandbox"}
    assert "No engine" not in run("call", "create_mailbox", "--json", json.dumps(mailbox)).stderr
    campaign = said(run("call", "create_campaign", "--json", json.dumps(CAMPAIGN)))
    own = json.dumps({"id": campaign["id"]})
    run("call", "add_leads_to_campaign", "--json", json.dumps({"id": campaign["id"], "leads": [{"email": "a@b.test"}]}))
    for operation in ("start_campaign", "pause_campaign", "resume_campaign"):
        answer = run("call", operation, "--json", own)
        assert answer.exit_code == 0
        hinted = "No engine is running here" in answer.stderr
        assert hinted == (operation != "pause_campaign") and hinted == ("postrider serve" in answer.stderr)


def test_the_doctor_lists_every_bad_setting_and_names_its_port(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run(*INIT)
    monkeypatch.setenv("POSTRIDER_LOG_LEVEL", "LOUD")
    monkeypatch.setenv("POSTRIDER_PUBLIC_URL", "nowhere")
    monkeypatch.setenv("POSTRIDER_ENGINE_LEASE_SECONDS", "0")
    found = run("doctor", "--port", "0")
    named = words(found.output)
    assert found.exit_code == 1 and "3 broken." in named
    assert all(name in named for name in ("POSTRIDER_LOG_LEVEL", "POSTRIDER_PUBLIC_URL", "ENGINE_LEASE_SECONDS"))
    for name in ("LOG_LEVEL", "PUBLIC_URL", "ENGINE_LEASE_SECONDS"):
        monkeypatch.delenv(f"POSTRIDER_{name}")
    assert "127.0.0.1:8025" in words(run("doctor").output)
