"""The demo from beginning to end: one process, no network, under a minute."""

import asyncio
import time
from collections import Counter
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from rich.live import Live

from postrider.demo.checks import run_checks
from postrider.demo.client import Agent, Facts, connected_agent
from postrider.demo.connect import claude_code_command, claude_desktop_config
from postrider.demo.deviations import deviations
from postrider.demo.evidence import Evidence, Told, collect, foretell
from postrider.demo.house import House, open_house
from postrider.demo.scenario import SPAN, START
from postrider.demo.story import Campaign, Outcome, daily, prepare, review, start
from postrider.demo.tables import (
    Shown,
    day_columns,
    day_rows,
    make_console,
    plan_columns,
    plan_rows,
    standing_rows,
    variant_rows,
)
from postrider.logs import configure_logs
from postrider.settings import load_settings

_REFRESH_SECONDS: Final = 0.25


def run_demo() -> None:
    """Runs the demo. Raises: SystemExit with status 1 when a number does not add up."""
    settings = load_settings()
    configure_logs("ERROR")
    began = time.monotonic()
    console = make_console()
    shown = Shown(console)
    with TemporaryDirectory(prefix="postrider-demo-") as folder:
        passed = asyncio.run(Demo(shown, Live(console=console, auto_refresh=False)).run(Path(folder)))
    shown.heading("What next")
    shown.line("Your agent drives the same tools. Claude Code:")
    shown.literal(f"  {claude_code_command(settings)}")
    shown.line("Claude Desktop, in claude_desktop_config.json:")
    shown.literal(claude_desktop_config(settings))
    shown.line(
        "Then ask for a sandbox mailbox (provider: sandbox), or connect a real one. For the web: postrider serve"
    )
    shown.line(
        f"\n{'All numbers add up' if passed else 'SOME NUMBERS DO NOT ADD UP'} ({time.monotonic() - began:.0f} s)."
    )
    if not passed:
        raise SystemExit(1)


class Demo:
    """Tells the story while it happens."""

    def __init__(self, shown: Shown, live: Live) -> None:
        self._shown = shown
        self._live = live
        self._refreshed = 0.0
        self._day: date | None = None

    async def run(self, folder: Path) -> bool:
        """Plays the two weeks in ``folder``; whether every number adds up."""
        async with (
            open_house(folder) as house,
            connected_agent(house.url, house.owner.workspace_key.reveal()) as agent,
        ):
            return await self._play(house, agent)

    async def _play(self, house: House, agent: Agent) -> bool:
        shown = self._shown
        shown.heading(f"An agent connects over MCP to {house.url}")
        shown.line(f"{len(await agent.tools())} tools. It is {START:%A, %d %B %Y, %H:%M} UTC in the demo's own time.")
        campaign = await prepare(agent, self._job_progress)
        self._show_preparation(campaign)
        foretold = await foretell(house, campaign.id)
        started = await start(agent, campaign)
        shown.heading(f"The campaign is {started['status']}; two weeks pass")
        await self._pass_two_weeks(house, agent)
        outcome = await review(agent, campaign)
        told = Told(
            outcome.leads, campaign.imported, campaign.plan, foretold, outcome.analytics["stats"], outcome.daily
        )
        evidence = await collect(house, campaign.id, campaign.mailboxes, told)
        self._show_outcome(campaign, outcome, evidence)
        shown.heading(f"Does it add up? ({agent.calls} tool calls)")
        results = run_checks(evidence)
        shown.results(results)
        return all(result.ok for result in results)

    def _job_progress(self, job: Facts) -> None:
        self._shown.line(f"import: {job['state']}, {job['done']} of {job['total']} rows")

    def _show_preparation(self, campaign: Campaign) -> None:
        shown, imported, preview, plan = self._shown, campaign.imported, campaign.preview, campaign.plan
        shown.line(
            f"{imported['leads']['created']} leads created, {imported['leads']['existing']} row named a lead that was "
            f"there already, {imported['leads']['failed']} row refused (rows count from the heading, which is row 1): "
            + "; ".join(f"{error['email']} – {error['error']}" for error in imported["errors"])
        )
        shown.heading("preview_email: what one of them will get")
        party = f"{preview['from']['email']} → {preview['to']['email']}, variant {preview['variant']}"
        shown.email(party, preview["subject"], preview["text"])
        shown.heading("plan_campaign: what will happen if nobody reacts")
        first, last = plan["firstSendAt"], plan["endsAt"]
        shown.line(f"{plan['plannedSends']} emails to {plan['leads']} leads; first {first}, last {last}")
        boxes = plan["mailboxes"]
        rows = [[day["date"], day["total"], *(day["mailboxes"].get(box, 0) for box in boxes)] for day in plan["days"]]
        shown.numbers(["day", "emails", *(email.partition("@")[0] for email in boxes.values())], rows)

    async def _pass_two_weeks(self, house: House, agent: Agent) -> None:
        if not self._live.console.is_terminal:
            await house.pass_until(START + SPAN, self._nothing)
            self._shown.numbers(day_columns(), day_rows(await daily(agent)))
            return

        async def refresh(now: datetime) -> None:
            if time.monotonic() - self._refreshed < _REFRESH_SECONDS and now < START + SPAN:
                return
            self._refreshed = time.monotonic()
            table = self._shown.table(day_columns(), day_rows(await daily(agent)))
            table.title = f"{now:%A, %d %B, %H:%M} UTC"
            self._live.update(table, refresh=True)

        with self._live:
            await house.pass_until(START + SPAN, refresh)

    async def _nothing(self, now: datetime) -> None:
        """For output that does not move."""

    def _show_outcome(self, campaign: Campaign, outcome: Outcome, evidence: Evidence) -> None:
        shown, conversation = self._shown, outcome.conversation
        shown.heading("get_campaign_analytics: the variants compared")
        columns = ["step", "variant", "subject", "sent", "opened", "clicked", "replied", "bounced"]
        shown.numbers(columns, variant_rows(outcome.analytics))
        shown.heading("Where the leads stand")
        shown.numbers(["status", "reason", "leads"], standing_rows(evidence))
        shown.heading("The plan against reality")
        shown.numbers(plan_columns(evidence), plan_rows(evidence))
        causes = Counter(one.cause for one in deviations(evidence) if one.sent is None)
        unsent = ", ".join(f"{count} {cause}" for cause, count in causes.most_common())
        shown.line(f"Planned and not sent: {unsent}.")
        shown.heading(f"get_conversation: labelled {conversation['aiTag']}")
        for message in conversation["messages"]:
            title = f"{message['at']} {message['type']}: {message['from']['email']} → {message['to']}"
            shown.email(title, message["subject"], message["text"])
        self._show_reply(outcome.reply)
        shown.heading(f"explain_lead: why {outcome.explanation['email']} got nothing")
        shown.line(outcome.explanation["verdict"])
        failed = [check for check in outcome.explanation["checks"] if not check["ok"]]
        shown.numbers(["check that fails", "why"], [[check["name"], check["detail"]] for check in failed])

    def _show_reply(self, reply: Facts) -> None:
        """The draft, or what an agent writes it from when no model is configured."""
        shown, brief = self._shown, reply["brief"]
        if brief is None:
            shown.heading(f"generate_reply: a draft by {reply['agentUsed']['name']}, not sent")
            shown.email("draft", "", reply["response"])
            return
        shown.heading("generate_reply: no model is configured, so the calling agent gets a brief")
        shown.line(brief["instructions"])
        persona = ", ".join(filter(None, (brief["persona"]["role"], brief["persona"]["tone"])))
        shown.numbers(
            ["part", "in the brief"],
            [
                ["voice", f"{persona}; {brief['company']['name']}: {brief['company']['description']}"],
                ["subject", brief["suggestedSubject"]],
                ["thread", f"{len(brief['thread'])} messages, the lead's words marked as untrusted"],
                ["rules", f"{len(brief['constraints'])}; the first: {brief['constraints'][0]}"],
            ],
        )
