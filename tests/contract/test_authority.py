"""Every operation with every kind of credential, scope and autonomy, against the table that is checked in."""

from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import select, update

from postrider.campaigns.tables import Enrollment
from postrider.catalogue import load_catalogue
from postrider.engine.jobs import run_pending
from postrider.jobs.tables import Job
from postrider.kernel.context import Actor
from postrider.kernel.errors import PostriderError
from postrider.kernel.operation import Effect, Operation
from postrider.kernel.policy import AUTONOMIES, covered_scopes
from postrider.leads.tables import Lead
from postrider.settings import Settings, load_settings
from postrider.storage.rows import stored_columns
from tests.audit.test_every_call import CALLS
from tests.conftest import Installation
from tests.contract.authority import GRAVE, NOT_A_FIELD, TABLE, table
from tests.contract.tenancy_houses import TwoHouses, two_houses
from tests.features.campaign_rig import set_campaign
from tests.features.safety_rig import answer, caller, refused

OPERATIONS = list(load_catalogue())


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Authority is asked before any data: one database shows it."""
    return load_settings({"POSTRIDER_DATA_DIR": str(tmp_path)})


async def test_authority_is_what_the_table_says(installation: Installation) -> None:
    found = (await table(installation)).splitlines()
    wanted = TABLE.read_text().splitlines()
    changed = [line for line in found if line not in wanted] + [f"gone: {line}" for line in wanted if line not in found]
    assert not changed, "read the difference, then: python -m tests.contract.authority\n" + "\n".join(changed)


def test_every_operation_that_asks_has_a_call_that_does() -> None:
    asks = {operation.name for operation in OPERATIONS if operation.confirm is not None}
    assert asks <= set(GRAVE), "give it a row in GRAVE of tests/contract/authority.py"


def test_whatever_sends_destroys_or_connects_asks_or_stops_something() -> None:
    """What needs one of these scopes and asks nobody is named here, with the reason."""
    harmless = {
        "cancel_scheduled_reply": "keeps a reply from leaving",
        "revoke_api_key": "takes power away",
        "revoke_connected_app": "takes power away",
        "export_audit_events": "gives a file to whoever may list the same events",
    }
    silent = {
        operation.name
        for operation in OPERATIONS
        if operation.scope in ("send", "delete", "administer")
        and operation.effect is not Effect.READ
        and operation.confirm is None
    }
    assert silent <= set(harmless), "an operation of such a scope wants confirm=, or a reason"


def test_the_scope_that_sends_reaches_neither_servers_nor_keys_nor_deletes() -> None:
    sending = covered_scopes(["send"])
    scopes = {operation.name: operation.scope for operation in OPERATIONS}
    for name in ("create_mailbox", "create_api_key"):
        assert scopes[name] == "administer"
    assert sending == {"read", "prepare", "send"}
    assert not {"send", "delete"} & covered_scopes(["administer"]) and "administer" not in covered_scopes(["delete"])


@pytest.mark.parametrize("scopes", [["read"], ["send"], ["delete"], ["prepare", "send", "delete"]])
async def test_without_administer_no_mailbox_is_connected(installation: Installation, scopes: list[str]) -> None:
    who = caller(installation, "free", scopes=covered_scopes(scopes))
    error = await refused(installation, who, "create_mailbox", email="new@ann.test", provider="sandbox")
    assert error.error_code == "INSUFFICIENT_SCOPE" and error.details == {"scope": "administer"}


async def test_a_narrowed_credential_reaches_its_toolsets_alone(installation: Installation) -> None:
    who: Actor = caller(installation, "free", toolsets=frozenset({"leads"}))
    for operation in OPERATIONS:
        error = await refused(installation, who, operation.name, **NOT_A_FIELD)
        inside = operation.toolset == "leads"
        assert error.error_code == ("VALIDATION_ERROR" if inside else "FORBIDDEN"), operation.name


ANSWERS: Final = (None, "AUTONOMY_DRAFT", "INSUFFICIENT_SCOPE")
"""None: it was done."""
PREPARING: Final = [each for each in OPERATIONS if each.effect is Effect.WRITE and each.scope == "prepare"]

TRICKY: Final[dict[str, list[dict[str, Any]]]] = {
    "update_campaign": [
        {"id": "{own.camp}", "sequence": [{"type": "email", "subject": "New", "body": "New"}]},
        {"id": "{own.camp}", "schedule": {"timezone": "Asia/Tokyo"}},
        {"id": "{own.camp}", "settings": {"unknownVariables": "blank"}},
    ],
    "add_leads_to_campaign": [{"id": "{own.camp}", "selectAll": True}],
    "import_leads_csv": [
        {"csv": "email,firstName\na@bob-lead.test,New\nb@bob-lead.test,New\n", "skipDuplicates": False},
        {"csv": "email,firstName\na@bob-lead.test,New\n"},
    ],
    "update_lead": [{"id": "{own.lead}", "timezone": "Asia/Tokyo"}, {"id": "{own.lead}", "customFields": {"x": "y"}}],
    "create_lead": [{"email": "c@bob-lead.test", "firstName": "New"}],
}
"""Further calls that touch the running campaign, if anybody lets them."""


async def _held_and_removed(houses: TwoHouses) -> None:
    """One lead of Bob's running campaign is held for want of a value; the other was taken out, to be put back."""
    world, bob = houses.installation, houses.installation.bob
    own = (Enrollment.workspace_id == bob.workspace_id, Enrollment.id == houses.bobs["cl"])
    held = update(Enrollment).where(*own).values(queue=2, hold_reason="missing_variable: {{firstName}}")
    await world.app.database.write(lambda session: session.execute(held) and None)
    owner = caller(world, "free", bob)
    query = select(Enrollment.id).where(Enrollment.workspace_id == bob.workspace_id, Enrollment.id != houses.bobs["cl"])
    other = await world.app.database.read(lambda session: session.scalars(query).one())
    removal: dict[str, Any] = {"id": houses.bobs["camp"], "action": "remove", "leadIds": [other]}
    houses.bobs["und"] = str((await answer(world, owner, "bulk_action_campaign_leads", **removal)).undo_id)


async def _running(houses: TwoHouses) -> list[tuple[Any, ...]]:
    """The places in Bob's running campaign and the leads in them, whole."""
    query = (
        select(*stored_columns(Enrollment), *stored_columns(Lead))
        .join(Lead, (Lead.workspace_id == Enrollment.workspace_id) & (Lead.id == Enrollment.lead_id))
        .where(Enrollment.workspace_id == houses.installation.bob.workspace_id)
        .where(Enrollment.campaign_id == houses.bobs["camp"])
        .order_by(Enrollment.id)
    )
    return await houses.installation.app.database.read(lambda session: [tuple(row) for row in session.execute(query)])


async def _called(world: Installation, actor: Actor, operation: str, arguments: dict[str, Any]) -> str | None:
    """What the call is refused with."""
    try:
        await answer(world, actor, operation, **arguments)
    except PostriderError as error:
        return error.error_code
    return None


async def _run_jobs_of(world: Installation, actor: Actor) -> None:
    query = select(Job.id).where(Job.workspace_id == actor.workspace_id, Job.created_by == actor.credential_id)
    for job_id in await world.app.database.read(lambda session: session.scalars(query).all()):
        await run_pending(world.app.database, world.app.clock, world.app.signals, actor.workspace_id, job_id)


@pytest.mark.parametrize("operation", PREPARING, ids=lambda operation: operation.name)
async def test_who_only_prepares_changes_nothing_of_what_a_running_campaign_sends(
    installation: Installation, operation: Operation
) -> None:
    houses = await two_houses(installation)
    await _held_and_removed(houses)
    before = await _running(houses)
    assert len(before) == 2
    rows = [{"id": "{own.und}"}] if operation.name == "undo_operation" else [CALLS[operation.name]]
    for autonomy in AUTONOMIES[1:]:
        # Campaigns that a call before has stopped run again.
        await set_campaign(installation, houses.bobs["camp"], status="active")
        who = caller(installation, autonomy, installation.bob, scopes=covered_scopes(["prepare"]))
        for row in [*TRICKY.get(operation.name, []), *rows]:
            code = await _called(installation, who, operation.name, houses.filled(row, houses.anns))
            # A second call may be one too many: two labels of one name, say.
            assert autonomy != "draft" or code in ANSWERS, (code, row)
            await _run_jobs_of(installation, who)
            assert await _running(houses) == before, (autonomy, row)
