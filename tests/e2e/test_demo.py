"""The demo as a user starts it, the configuration that it prints, and checks that notice what is wrong."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from postrider.adapters.sandbox import AcceptedMail
from postrider.adapters.sandbox_prospects import SHARES, prospect_at
from postrider.demo.checks import CHECKS, run_checks
from postrider.demo.deviations import deviations
from postrider.demo.evidence import Evidence, Foretold, Happening, LeadState, LedgerLine
from postrider.demo.scenario import (
    EMAIL_STEPS,
    HELD_LEADS,
    LEADS,
    MAILBOXES,
    SEED,
    START,
    customer_domain,
    lead_email,
)

DEMO_SECONDS = 120
"""Several times what it takes, for a machine that is busy."""


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What ``postrider demo`` prints, without a terminal, on a machine that has never run Postrider."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("POSTRIDER_")},
        "POSTRIDER_DATA_DIR": str(tmp_path_factory.mktemp("home") / "data"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "postrider", "demo"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=DEMO_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def printed_server(output: str) -> dict[str, Any]:
    """The server of the printed Claude Desktop configuration."""
    found = re.search(r"^\{\n.*?^\}\n", output, re.MULTILINE | re.DOTALL)
    assert found is not None
    server: dict[str, Any] = json.loads(found[0])["mcpServers"]["postrider"]
    return server


def test_the_demo_passes_every_check(output: str) -> None:
    assert output.count("✓") == len(CHECKS)
    assert "✗" not in output
    assert "All numbers add up" in output


def test_plain_output_has_no_colours_and_no_movement(output: str) -> None:
    assert "\x1b" not in output and "\r" not in output
    assert max(map(len, (line for line in output.splitlines() if "postrider" not in line))) <= 110


def test_the_demo_shows_every_kind_of_end(output: str) -> None:
    for words in ("replied", "bounced", "unsubscribed", "held", "missing_variable", "planned", "variant"):
        assert words in output


async def test_the_printed_configuration_starts_a_server_that_lists_its_tools(output: str) -> None:
    server = printed_server(output)
    parameters = StdioServerParameters(command=server["command"], args=server["args"], env=server["env"])
    with anyio.fail_after(60):
        async with Client(stdio_client(parameters)) as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
    assert {"create_campaign", "preview_email", "plan_campaign", "start_campaign", "explain_lead"} <= names


def test_both_configurations_start_the_same_command(output: str) -> None:
    server = printed_server(output)
    (line,) = [line for line in output.splitlines() if line.strip().startswith("claude mcp add")]
    words = shlex.split(line)
    assert words[words.index("--") + 1 :] == [server["command"], *server["args"]]
    (variable,) = [f"{name}={value}" for name, value in server["env"].items()]
    assert words[words.index("--env") + 1] == variable
    assert Path(server["command"]).is_absolute()


def test_every_kind_of_prospect_lives_among_the_leads() -> None:
    addresses = [lead_email(number) for number in range(LEADS)]
    assert len(set(addresses)) == LEADS
    reached = [one for one in addresses[:-HELD_LEADS] if not one.endswith(f"@{customer_domain()}")]
    assert len(reached) == LEADS - HELD_LEADS - 1
    people = Counter(prospect_at(SEED.encode(), address).behaviour for address in reached)
    assert set(people) == {behaviour for behaviour, _ in SHARES} | {"silent"}


def sound_evidence() -> Evidence:
    """A small world in which everything adds up: all leads got all emails, one of them replied at the end."""
    leads, ledger, events, accepted, foretold = [], [], [], [], []
    boxes = [str(mailbox["email"]) for mailbox in MAILBOXES]
    for number in range(LEADS):
        lead_id, status = f"lead_{number}", "replied" if number == 0 else "completed"
        leads.append(LeadState(lead_id, lead_email(number), status, None, None, EMAIL_STEPS))
        for step in range(1, EMAIL_STEPS + 1):
            place = number + (step - 1) * LEADS
            day, slot = divmod(place, 45)
            at = START + timedelta(days=day + 2 * (day // 5), hours=1, minutes=slot)
            message_id = f"<{lead_id}-{step}@acme.test>"
            ledger.append(LedgerLine(lead_id, step, "sent", message_id, boxes[slot % 3], at))
            foretold.append(Foretold(lead_id, step, boxes[slot % 3], at))
            events.append(Happening("sent", lead_id, at))
            accepted.append(AcceptedMail(boxes[slot % 3], (lead_email(number),), message_id, b"", at))
    events.append(Happening("replied", "lead_0", START + timedelta(days=13)))
    counts = {"sent": len(ledger), "replied": 1}
    shown = ("autoReplied", "bounced", "unsubscribed", "complained", "opened", "clicked", "unknown")
    stats = counts | dict.fromkeys(shown, 0)
    return Evidence(
        now=START + timedelta(days=14),
        leads=leads,
        ledger=ledger,
        events=events,
        accepted=accepted,
        delivered=1,
        stored=1,
        imported={"errors": [{"email": "not-an-address", "error": "no address"}]},
        plan={"days": told_days(foretold)},
        foretold=foretold,
        stats=stats,
        daily=[{"stats": stats}],
    )


def told_days(foretold: list[Foretold]) -> list[dict[str, Any]]:
    """The emails of a forecast as plan_campaign counts them."""
    days: dict[str, Counter[str]] = {}
    for one in foretold:
        days.setdefault(one.at.date().isoformat(), Counter())[one.mailbox_id] += 1
    return [{"date": day, "mailboxes": dict(counts)} for day, counts in days.items()]


def test_sound_evidence_passes() -> None:
    assert [result.problems for result in run_checks(sound_evidence()) if not result.ok] == []


def at_night(mail: AcceptedMail) -> AcceptedMail:
    return replace(mail, accepted_at=mail.accepted_at + timedelta(hours=14))


def moved_to(mail: AcceptedMail, day: datetime) -> AcceptedMail:
    return replace(mail, accepted_at=day)


def with_line(evidence: Evidence, line: LedgerLine) -> Evidence:
    return replace(evidence, ledger=[line, *evidence.ledger[1:]])


def late(evidence: Evidence, kind: str, lead_id: str) -> Evidence:
    """The first email leaves a day late, and an hour before its turn something was recorded about a lead."""
    moved = with_line(evidence, replace(evidence.ledger[0], at=evidence.foretold[0].at + timedelta(days=1)))
    return replace(moved, events=[*moved.events, Happening(kind, lead_id, START)])


def bounced(evidence: Evidence, number: int = 9) -> Evidence:
    """That lead's first email was refused at its turn, so its three slots were free."""
    lead_id = f"lead_{number}"
    turn = next(one.at for one in evidence.foretold if one.lead_id == lead_id)
    leads = [
        replace(one, status="bounced", reason="no user") if one.lead_id == lead_id else one for one in evidence.leads
    ]
    ledger = [line for line in evidence.ledger if line.lead_id != lead_id]
    return replace(evidence, leads=leads, ledger=ledger, events=[*evidence.events, Happening("bounced", lead_id, turn)])


def elsewhere(
    evidence: Evidence, chosen: Callable[[LedgerLine], bool], days: int = 0, mailbox_id: str | None = None
) -> Evidence:
    """Those emails leave on another day or from another mailbox; the others as planned."""
    ledger = [
        replace(line, at=line.at + timedelta(days=days), mailbox_id=mailbox_id or line.mailbox_id)
        if line.at is not None and chosen(line)
        else line
        for line in evidence.ledger
    ]
    return replace(evidence, ledger=ledger)


def first_emails(*numbers: int) -> Callable[[LedgerLine], bool]:
    """The first emails of these leads. Of 45 a day, 45 is the first of Tuesday, and 46 comes from another mailbox."""
    return lambda line: line.step == 1 and line.lead_id in {f"lead_{number}" for number in numbers}


def without(evidence: Evidence, chosen: Callable[[LedgerLine], bool], waits: timedelta | None) -> Evidence:
    """Those emails never left; their leads wait for a turn that comes after the end, or are done."""
    silent = {line.lead_id for line in evidence.ledger if chosen(line)}
    status, next_at = ("completed", None) if waits is None else ("active", evidence.now + waits)
    leads = [replace(one, status=status, next_at=next_at) if one.lead_id in silent else one for one in evidence.leads]
    return replace(evidence, leads=leads, ledger=[line for line in evidence.ledger if not chosen(line)])


def last_of(number: int) -> Callable[[LedgerLine], bool]:
    """The last email of one lead; the last of all goes to lead 119 on the second Wednesday."""
    return lambda line: line.step == EMAIL_STEPS and line.lead_id == f"lead_{number}"


@pytest.mark.parametrize(
    ("kind", "cause"), [("deferred", "retry"), ("auto_replied", "out of office"), ("opened", None)]
)
def test_a_late_email_names_what_is_on_record_about_its_lead(kind: str, cause: str | None) -> None:
    [one] = deviations(late(sound_evidence(), kind, "lead_0"))
    assert (one.lead_id, one.step, one.cause) == ("lead_0", 1, cause)
    assert one.planned is not None and one.sent is not None and one.planned[0] < one.sent[0]


@pytest.mark.parametrize(
    "moved",
    [
        lambda e: elsewhere(e, first_emails(45), days=-1),
        lambda e: elsewhere(e, first_emails(44), days=1),
        lambda e: elsewhere(e, lambda line: line.lead_id == "lead_46", mailbox_id=str(MAILBOXES[0]["email"])),
        lambda e: without(e, last_of(119), waits=timedelta(hours=2)),
    ],
)
def test_a_slot_that_a_bounce_left_free_moves_one_email(moved: Callable[[Evidence], Evidence]) -> None:
    evidence = moved(bounced(sound_evidence()))
    assert run_checks(evidence)[10].problems == ()
    assert Counter(one.cause for one in deviations(evidence))["bounced"] == 3
    assert "moved by another lead's turn" in {one.cause for one in deviations(evidence)}


@pytest.mark.parametrize(("late_by", "cause"), [(timedelta(minutes=2), "bounced"), (timedelta(days=7), None)])
def test_an_email_that_was_refused_at_its_turn_names_the_bounce(late_by: timedelta, cause: str | None) -> None:
    """Its turn may have come a little after the planned instant, as others' slots moved."""
    evidence = bounced(sound_evidence())
    first = next(one for one in evidence.foretold if one.lead_id == "lead_9")
    tried = LedgerLine("lead_9", 1, "rejected", "<lead_9-1@acme.test>", first.mailbox_id, first.at + late_by)
    events = [*evidence.events[:-1], Happening("bounced", "lead_9", first.at + late_by)]
    found = deviations(replace(evidence, ledger=[*evidence.ledger, tried], events=events))
    assert next(one.cause for one in found if one.step == 1) == cause


def test_an_email_that_a_reply_made_needless_names_the_reply() -> None:
    evidence = sound_evidence()
    last = next(line for line in evidence.ledger if (line.lead_id, line.step) == ("lead_0", EMAIL_STEPS))
    events = [*evidence.events[:-1], replace(evidence.events[-1], at=START + timedelta(hours=5))]
    leads = [replace(evidence.leads[0], reason="replied"), *evidence.leads[1:]]
    ledger = [line for line in evidence.ledger if line is not last]
    spared = replace(evidence, leads=leads, ledger=ledger, events=events)
    assert [(one.sent, one.cause) for one in deviations(spared)] == [(None, "replied")]


WRONG: dict[str, tuple[int, Callable[[Evidence], Evidence]]] = {
    "a lead is missing": (0, lambda e: replace(e, leads=e.leads[1:])),
    "a bad row went by": (0, lambda e: replace(e, imported={"errors": []})),
    "a lead just stands there": (
        1,
        lambda e: replace(e, leads=[*e.leads[1:], replace(e.leads[0], status="active")]),
    ),
    "a lead's turn is long past": (
        1,
        lambda e: replace(e, leads=[*e.leads[1:], replace(e.leads[0], status="active", next_at=START)]),
    ),
    "a message that nobody accepted": (2, lambda e: replace(e, accepted=e.accepted[1:])),
    "another message than the ledger's": (
        2,
        lambda e: replace(e, accepted=[replace(e.accepted[0], message_id="<other@acme.test>"), *e.accepted[1:]]),
    ),
    "an event too few": (2, lambda e: replace(e, events=e.events[1:])),
    "a message twice": (3, lambda e: replace(e, accepted=[*e.accepted, e.accepted[0]])),
    "a step twice": (4, lambda e: replace(e, ledger=[*e.ledger, e.ledger[0]])),
    "a fourth email": (
        4,
        lambda e: replace(e, accepted=[*e.accepted, replace(e.accepted[0], message_id="<fourth@acme.test>")]),
    ),
    "analytics counts too much": (5, lambda e: replace(e, stats={**e.stats, "replied": 2})),
    "a lead's history is too short": (
        5,
        lambda e: replace(e, leads=[*e.leads[1:], replace(e.leads[0], emails=1)]),
    ),
    "a day is missing": (5, lambda e: replace(e, daily=[])),
    "mail after a bounce": (
        6,
        lambda e: replace(e, events=[*e.events, Happening("bounced", "lead_7", START)]),
    ),
    "a held lead got mail": (
        7,
        lambda e: replace(
            e,
            leads=[replace(e.leads[0], status="active", reason="missing_variable:company"), *e.leads[1:]],
            ledger=[line for line in e.ledger if line.lead_id != "lead_0"],
        ),
    ),
    "mail at night": (8, lambda e: replace(e, accepted=[at_night(e.accepted[0]), *e.accepted[1:]])),
    "too much for one day": (
        8,
        lambda e: replace(e, accepted=[moved_to(mail, e.accepted[0].accepted_at) for mail in e.accepted]),
    ),
    "a reply got lost": (9, lambda e: replace(e, stored=0)),
    "more was planned than foretold": (10, lambda e: replace(e, plan={"days": e.plan["days"][1:]})),
    "an email left from another mailbox": (10, lambda e: with_line(e, replace(e.ledger[0], mailbox_id="other"))),
    "an email left on another day": (10, lambda e: with_line(e, replace(e.ledger[0], at=START + timedelta(days=1)))),
    "a planned email was never sent": (10, lambda e: replace(e, ledger=e.ledger[1:])),
    "another planned email was never sent": (10, lambda e: replace(e, ledger=[*e.ledger[:5], *e.ledger[6:]])),
    "an email that nobody planned": (10, lambda e: replace(e, foretold=e.foretold[1:])),
    "another lead's bounce on record, with all its emails sent": (10, lambda e: late(e, "bounced", "lead_9")),
    "one bounce, and all others a week late": (10, lambda e: elsewhere(bounced(e), lambda _: True, days=7)),
    "one bounce, and all others from a foreign mailbox": (
        10,
        lambda e: elsewhere(bounced(e), lambda _: True, mailbox_id="other@acme-outreach.test"),
    ),
    "one bounce, and one other from a foreign mailbox": (
        10,
        lambda e: elsewhere(bounced(e), first_emails(45), mailbox_id="other@acme-outreach.test"),
    ),
    "one bounce, and a whole day from one mailbox": (
        10,
        lambda e: elsewhere(bounced(e), lambda line: int(line.lead_id[5:]) < 45, mailbox_id=str(MAILBOXES[0]["email"])),
    ),
    "one bounce, and a follow-up from another mailbox than the first email": (
        10,
        lambda e: elsewhere(
            bounced(e),
            lambda line: (line.lead_id, line.step) == ("lead_46", 2),
            mailbox_id=str(MAILBOXES[0]["email"]),
        ),
    ),
    "one bounce, and two others a day early": (10, lambda e: elsewhere(bounced(e), first_emails(45, 46), days=-1)),
    "one bounce, and two others a day late": (10, lambda e: elsewhere(bounced(e), first_emails(43, 44), days=1)),
    "one bounce, and one other early before it": (10, lambda e: elsewhere(bounced(e, 50), first_emails(45), days=-1)),
    "one bounce, and one other four working days late": (
        10,
        lambda e: elsewhere(bounced(e), first_emails(44), days=4),
    ),
    "a retry a week late": (
        10,
        lambda e: replace(
            elsewhere(e, first_emails(0), days=7), events=[*e.events, Happening("deferred", "lead_0", START)]
        ),
    ),
    "a deferral, and the email too early": (
        10,
        lambda e: replace(
            elsewhere(e, first_emails(45), days=-1), events=[*e.events, Happening("deferred", "lead_45", START)]
        ),
    ),
    "one bounce, and half of the follow-ups never sent": (
        10,
        lambda e: without(
            bounced(e), lambda line: line.step > 1 and int(line.lead_id[5:]) % 2 == 0, waits=timedelta(hours=2)
        ),
    ),
    "one bounce, and a follow-up put off for a month": (
        10,
        lambda e: without(bounced(e), last_of(119), waits=timedelta(days=30)),
    ),
    "one bounce, and a follow-up never sent to a lead that is done": (
        10,
        lambda e: without(bounced(e), last_of(119), waits=None),
    ),
    "one bounce, and another lead never written to": (
        10,
        lambda e: without(bounced(e), lambda line: line.lead_id == "lead_10", waits=timedelta(hours=2)),
    ),
    "a deferral, and its email never sent though the lead is done": (
        10,
        lambda e: replace(
            without(e, last_of(1), waits=None), events=[*e.events, Happening("deferred", "lead_1", START)]
        ),
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_noticed(wrong: str) -> None:
    number, spoil = WRONG[wrong]
    result = run_checks(spoil(sound_evidence()))[number]
    assert not result.ok and all(result.problems)
