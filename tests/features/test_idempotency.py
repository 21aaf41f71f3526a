"""Idempotency keys: a repeated call has one effect and the same answer, on both databases."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from postrider.app import build
from postrider.audit.tables import AuditEvent
from postrider.campaigns.tables import Campaign, Enrollment
from postrider.catalogue import Catalogue, load_catalogue
from postrider.confirmations.approvals import ask_person
from postrider.confirmations.tables import Approval, UsedToken
from postrider.dispatch import Answer, Dispatcher
from postrider.engine.sweeper import SWEPT_ROWS, sweep_demands
from postrider.idempotency.tables import IdempotencyKey
from postrider.jobs.tables import Job
from postrider.kernel.context import Actor, OutsideContext
from postrider.kernel.errors import Conflict, Upstream
from postrider.kernel.operation import ATTRIBUTE, Effect, Input, Output, Rest, operation
from postrider.kernel.policy import Facts
from postrider.leads.tables import Lead
from postrider.sending.tables import OutgoingReply
from postrider.storage.leases import wall_ms_now
from postrider.tags.tables import Tag
from tests.conftest import Installation
from tests.features.campaign_rig import ready_campaign
from tests.features.inbox_world import inbox
from tests.features.safety_rig import answer, asked, caller, count

FIRST = "0f8b-first"


def free(world: Installation, **given: Any) -> Actor:
    return caller(world, "free", **given)


def texts(found: list[Answer]) -> set[str]:
    """The different answers; PostgreSQL keeps the fields of an object in an order of its own."""
    return {json.dumps(each.output.model_dump(mode="json", by_alias=True), sort_keys=True) for each in found}


async def code(world: Installation, actor: Actor, operation: str, key: str, **arguments: Any) -> str:
    with pytest.raises(Conflict) as error:
        await answer(world, actor, operation, key, **arguments)
    return error.value.error_code


async def test_a_repeated_call_gets_the_first_answer_and_changes_nothing(installation: Installation) -> None:
    actor = free(installation)
    calls = [await answer(installation, actor, "create_campaign", FIRST, name="Once") for _ in range(3)]
    assert len(texts(calls)) == 1 and [each.replayed for each in calls] == [False, True, True]
    assert await count(installation, Campaign) == 1
    again = await answer(installation, actor, "create_campaign", "another", name="Once")
    assert texts([again]) != texts(calls[:1]) and await count(installation, Campaign) == 2


async def test_what_takes_a_call_back_is_told_with_every_repetition(installation: Installation) -> None:
    actor = free(installation)
    await installation.call("create_tag", name="Worn out")
    calls = [answer(installation, actor, "delete_tag", FIRST, name="Worn out") for _ in range(4)]
    found = await asyncio.gather(*calls)
    [undo_id] = {each.undo_id for each in found}
    assert undo_id is not None and sum(each.replayed for each in found) == 3
    await installation.call("undo_operation", id=undo_id)
    late = await answer(installation, actor, "delete_tag", FIRST, name="Worn out")
    assert (late.replayed, late.undo_id) == (True, undo_id), "the first answer, whatever has come of it since"


async def test_calls_at_once_with_one_key_have_one_effect_and_equal_answers(installation: Installation) -> None:
    actor = free(installation)
    calls = [answer(installation, actor, "create_campaign", FIRST, name="Once") for _ in range(8)]
    found = await asyncio.gather(*calls)
    assert len(texts(list(found))) == 1 and sum(each.replayed for each in found) == 7
    assert await count(installation, Campaign) == 1


@pytest.mark.parametrize("kind", ["effect outside", "ends"])
async def test_calls_over_several_transactions_too(installation: Installation, kind: str) -> None:
    actor, campaign = free(installation), await ready_campaign(installation)
    name = "start_campaign" if kind == "effect outside" else "add_leads_to_campaign"
    arguments = {"id": campaign["id"]} | ({"leads": [{"email": "n@acme.test"}]} if kind == "ends" else {})
    calls = [answer(installation, actor, name, FIRST, **arguments) for _ in range(6)]
    found = await asyncio.gather(*calls, return_exceptions=True)
    answers = [each for each in found if isinstance(each, Answer)]
    late = [each for each in found if isinstance(each, Conflict)]
    assert len(answers) + len(late) == 6 and len(texts(answers)) == 1
    # Whoever asks while the first one is under way is told so; what has an effect of its own transaction is waited for.
    assert kind == "ends" or {each.error_code for each in late} <= {"CONFLICT"}
    assert kind != "ends" or {each.error_code for each in late} <= {"IDEMPOTENCY_KEY_IN_USE"}
    assert (await answer(installation, actor, name, FIRST, **arguments)).replayed
    done = await count(installation, AuditEvent, operation=name, outcome="ended" if kind == "ends" else "done")
    assert done == 1


async def test_the_key_of_another_call_is_refused(installation: Installation) -> None:
    actor = free(installation)
    await answer(installation, actor, "create_campaign", FIRST, name="Once")
    assert await code(installation, actor, "create_campaign", FIRST, name="Twice") == "IDEMPOTENCY_KEY_REUSED"
    assert await code(installation, actor, "create_tag", FIRST, name="Once") == "IDEMPOTENCY_KEY_REUSED"
    await answer(installation, actor, "create_campaign", FIRST, name="Once", sequence=None)
    assert await count(installation, Campaign) == 1


async def test_the_same_key_of_another_credential_or_workspace_is_another_key(installation: Installation) -> None:
    actors = [free(installation), free(installation, credential_id="key_2"), free(installation, owner=installation.bob)]
    found = [await answer(installation, actor, "create_campaign", FIRST, name="Mine") for actor in actors]
    assert len(texts(found)) == 3 and not any(each.replayed for each in found)


async def test_a_key_counts_for_a_day(installation: Installation) -> None:
    actor = free(installation)
    first = await answer(installation, actor, "create_campaign", FIRST, name="Daily")
    installation.clock.advance(timedelta(hours=24))
    assert (await answer(installation, actor, "create_campaign", FIRST, name="Daily")).replayed
    installation.clock.advance(timedelta(seconds=1))
    second = await answer(installation, actor, "create_campaign", FIRST, name="Daily")
    assert texts([first]) != texts([second])


async def test_a_call_that_failed_may_be_made_again_with_its_key(installation: Installation) -> None:
    actor = free(installation)
    campaign = await installation.call("create_campaign", name="Not ready")
    for _ in range(2):
        assert await code(installation, actor, "start_campaign", FIRST, id=campaign["id"]) == "CAMPAIGN_NOT_READY"
    for _ in range(2):
        assert await code(installation, actor, "create_tag", "tag", name="INTERESTED") == "CONFLICT"
    assert await count(installation, IdempotencyKey) == 0


async def test_a_yes_and_a_key_together_have_one_effect(installation: Installation) -> None:
    _, [conversation_id] = await inbox(installation)
    agent, reply = caller(installation), {"id": conversation_id, "body": "Hello"}
    token = (await asked(installation, agent, "send_reply", **reply))["confirmToken"]
    first = await answer(installation, agent, "send_reply", FIRST, **reply, confirmToken=token)
    for more in ({"confirmToken": token}, {"confirmToken": "stale"}, {}):
        again = await answer(installation, agent, "send_reply", FIRST, **reply, **more)
        assert again.replayed and texts([again]) == texts([first])
    assert await count(installation, OutgoingReply) == 1


async def test_an_import_is_one_job_however_often_it_is_sent(installation: Installation) -> None:
    actor = free(installation)
    calls = [answer(installation, actor, "import_leads_csv", FIRST, csv="email\na@acme.test\n") for _ in range(4)]
    assert len(texts(list(await asyncio.gather(*calls)))) == 1
    assert await count(installation, Job) == 1


async def test_every_kind_of_answer_is_repeated_as_it_was(installation: Installation) -> None:
    actor, campaign = free(installation), await ready_campaign(installation)
    lead = {"email": "full@acme.test", "firstName": "Fay", "tags": ["a"], "customFields": {"score": "7"}}
    for number, (name, arguments) in enumerate(
        [
            ("create_lead", lead),
            ("update_campaign", {"id": campaign["id"], "schedule": {"timezone": "UTC"}}),
            ("start_campaign", {"id": campaign["id"]}),
            ("pause_campaign", {"id": campaign["id"]}),
            ("create_mailbox", {"email": "play@ann.test", "provider": "sandbox"}),
            ("create_agent", {"name": "Robin"}),
            ("add_dnc_entries", {"entries": [{"email": "no@acme.test"}]}),
            ("pause_workspace", {"reason": "Lunch"}),
        ]
    ):
        first = await answer(installation, actor, name, f"key-{number}", **arguments)
        again = await answer(installation, actor, name, f"key-{number}", **arguments)
        assert again.replayed and texts([first]) == texts([again]), name
    assert await count(installation, Lead) == 2 and await count(installation, Enrollment) == 1


@pytest.mark.parametrize("key", ["", " ", "a b", "ä", "x" * 256, "line\nbreak", "\x00"])
async def test_a_key_that_is_none_is_refused(installation: Installation, key: str) -> None:
    with pytest.raises(Exception, match="idempotency key") as error:
        await answer(installation, free(installation), "create_tag", key, name="Hot")
    assert getattr(error.value, "error_code", "") == "VALIDATION_ERROR"
    assert await count(installation, Tag, name="Hot") == 0


class Nothing(Input):
    """Takes nothing."""


class Said(Output):
    """One word."""

    word: str


class Outside:
    """A port at which a call ends as the test wants, after it has been noticed."""

    def __init__(self, ends: BaseException | None) -> None:
        self.ends = ends
        self.hangs = False
        self.begun = asyncio.Event()
        self.calls = 0

    async def act(self) -> None:
        self.calls += 1
        self.begun.set()
        if self.hangs:
            await asyncio.Event().wait()
        if self.ends is not None:
            raise self.ends


@operation(title="Act outside", effect=Effect.WRITE, rest=Rest("POST", "/v1/act"))
async def act_outside(ctx: OutsideContext, request: Nothing) -> Said:
    """Do something in the world."""
    await ctx.port(Outside).act()
    return Said(word="done")


@operation(title="Show a secret", effect=Effect.WRITE, sensitive=True, rest=Rest("POST", "/v1/secret"), audit="effect")
async def show_secret(ctx: OutsideContext, request: Nothing) -> Said:
    """Show something once."""
    return await ctx.effect(lambda _: Said(word="swordfish"))


def with_outside(world: Installation, ends: BaseException | None) -> tuple[Installation, Outside]:
    """The installation with the two operations above, whose work outside ends so."""
    app, outside = world.app, Outside(ends)
    catalogue = Catalogue([*load_catalogue(), *(getattr(each, ATTRIBUTE) for each in (act_outside, show_secret))])
    ports = {**app.ports, Outside: outside}
    dispatcher = Dispatcher(catalogue, app.database, app.settings, app.vault, app.clock, app.signals, ports)
    return replace(world, app=replace(app, dispatcher=dispatcher, ports=ports)), outside


@pytest.mark.parametrize(
    ("ends", "may_repeat"),
    [
        (Upstream("They were busy.", retryable=True), True),
        (Conflict("Not now."), True),
        (Upstream("They took it and said nothing.", retryable=False, code="SEND_UNKNOWN"), False),
        (RuntimeError("a bug"), False),
        (asyncio.CancelledError(), False),
    ],
)
async def test_only_a_call_that_did_nothing_may_be_repeated(
    installation: Installation, ends: BaseException, may_repeat: bool
) -> None:
    world, outside = with_outside(installation, ends)
    with pytest.raises(type(ends)):
        await answer(world, free(world), "act_outside", FIRST)
    outside.ends = None
    if may_repeat:
        assert not (await answer(world, free(world), "act_outside", FIRST)).replayed
    else:
        assert await code(world, free(world), "act_outside", FIRST) == "IDEMPOTENCY_KEY_IN_USE"
    assert outside.calls == (2 if may_repeat else 1)


async def test_a_call_whose_process_is_gone_is_not_made_again(installation: Installation) -> None:
    world, outside = with_outside(installation, None)
    outside.hangs = True
    first = asyncio.create_task(answer(world, free(world), "act_outside", FIRST))
    await outside.begun.wait()
    # Another process sees what a crash of this one would have left: a start without an end.
    other = build(installation.app.settings, clock=installation.clock)
    elsewhere, untouched = with_outside(replace(installation, app=other), None)
    assert await code(elsewhere, free(elsewhere), "act_outside", FIRST) == "IDEMPOTENCY_KEY_IN_USE"
    assert (outside.calls, untouched.calls) == (1, 0)
    await other.close()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_an_answer_that_is_shown_once_is_not_kept(installation: Installation) -> None:
    world, _ = with_outside(installation, None)
    shown = await answer(world, free(world), "show_secret", FIRST)
    assert "swordfish" in shown.output.model_dump_json()
    assert await code(world, free(world), "show_secret", FIRST) == "IDEMPOTENT_ANSWER_NOT_KEPT"
    rows = await world.app.database.read(lambda s: s.query(IdempotencyKey).all())
    assert [row.output for row in rows] == [None]


async def test_what_has_run_out_is_swept_in_batches(installation: Installation) -> None:
    now, own = installation.clock.now(), installation.ann.workspace_id
    agent = caller(installation)

    def fill(session: Any) -> None:
        for number in range(SWEPT_ROWS + 1):
            fields = {"workspace_id": own, "credential_id": "key_1", "operation": "x", "arguments_hash": "x"}
            session.add(IdempotencyKey(**fields, key=f"k{number}", state="done", output={}, created_at=now))
        used = {"workspace_id": own, "is_used": True, "given_back": 0}
        session.add(UsedToken(**used, nonce="old", expires_ms=wall_ms_now() - 1))
        session.add(UsedToken(**used, nonce="new", expires_ms=wall_ms_now() + 600_000))
        ask_person(session, agent, "send_reply", "hash", Facts("Facts.", "conv_1", "1", "send", 1), now)

    await installation.app.database.write(fill)
    await installation.app.database.write(lambda s: sweep_demands(s, now))
    assert [await count(installation, table) for table in (IdempotencyKey, UsedToken, Approval)] == [501, 1, 1]
    later = now + timedelta(days=40)
    assert await installation.app.database.write(lambda s: sweep_demands(s, later)), "there is more"
    assert [await count(installation, table) for table in (IdempotencyKey, UsedToken, Approval)] == [1, 1, 0]
    assert not await installation.app.database.write(lambda s: sweep_demands(s, later))
    assert await count(installation, IdempotencyKey) == 0
