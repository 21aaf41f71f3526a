"""A yes is one to the very words: to the leads' values, the senders and the house lines too, on both databases."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from postrider.access.house import change_house
from postrider.campaigns.tables import Enrollment
from postrider.kernel.policy import covered_scopes
from postrider.mailboxes.tables import Mailbox
from tests.conftest import Installation
from tests.features.campaign_rig import ready_campaign, running_campaign, set_campaign
from tests.features.safety_rig import asked, call, caller

ALL_FROM_THE_LEAD = [{"type": "email", "subject": "{{subj}}", "body": "{{note}}"}]


@pytest.mark.parametrize("operation", ["start_campaign", "resume_campaign"])
async def test_a_yes_is_one_to_the_values_of_the_leads(installation: Installation, operation: str) -> None:
    campaign, agent = await ready_campaign(installation, sequence=ALL_FROM_THE_LEAD), caller(installation)
    await set_campaign(installation, campaign["id"], status="paused")
    start = {"id": campaign["id"]}
    token = (await asked(installation, agent, operation, **start))["confirmToken"]
    preparing = caller(installation, credential_id="key_other", scopes=covered_scopes(["prepare"]))
    [lead] = (await installation.call("list_leads"))["items"]
    installation.clock.advance(timedelta(seconds=1))
    swapped = {"subj": "SWAPPED", "note": "SWAPPED"}
    await call(installation, preparing, "update_lead", id=lead["id"], customFields=swapped)
    again = await asked(installation, agent, operation, **start, confirmToken=token)
    installation.clock.advance(timedelta(seconds=1))
    await call(installation, agent, operation, **start, confirmToken=again["confirmToken"])
    assert (await installation.call("get_campaign", id=campaign["id"]))["status"] == "active"


@pytest.mark.parametrize(
    "changed", [{"display_name": "Somebody Else"}, {"signature": "SWAPPED"}, {"email": "else@ann.test"}]
)
async def test_a_yes_is_one_to_the_senders(installation: Installation, changed: dict[str, str]) -> None:
    campaign, agent = await ready_campaign(installation), caller(installation)
    token = (await asked(installation, agent, "start_campaign", id=campaign["id"]))["confirmToken"]
    await installation.app.database.write(lambda session: session.execute(update(Mailbox).values(**changed)))
    await asked(installation, agent, "start_campaign", id=campaign["id"], confirmToken=token)


async def test_a_yes_is_one_to_the_legal_lines(installation: Installation) -> None:
    campaign, agent = await ready_campaign(installation), caller(installation)
    token = (await asked(installation, agent, "start_campaign", id=campaign["id"]))["confirmToken"]
    workspace_id, now = installation.ann.workspace_id, installation.clock.now()
    await installation.app.database.write(
        lambda session: change_house(session, workspace_id, {"opt_out_line": "SWAPPED"}, now)
    )
    await asked(installation, agent, "start_campaign", id=campaign["id"], confirmToken=token)


async def test_a_yes_outlasts_what_the_engine_writes_down(installation: Installation) -> None:
    campaign, agent = await ready_campaign(installation), caller(installation)
    token = (await asked(installation, agent, "start_campaign", id=campaign["id"]))["confirmToken"]
    installation.clock.advance(timedelta(seconds=1))
    counted = {"total_sent": 7, "updated_at": installation.clock.now()}
    looked_at = {"sleep_until": installation.clock.now(), "fence": 3, "updated_at": installation.clock.now()}
    await installation.app.database.write(
        lambda session: [
            session.execute(update(Mailbox).values(counted)),
            session.execute(update(Enrollment).values(looked_at)),
        ]
    )
    await call(installation, agent, "start_campaign", id=campaign["id"], confirmToken=token)


@pytest.mark.parametrize(
    "way",
    [
        {"leads": [{"email": "Known@acme.test"}]},
        {"leads": [{"leadId": "known"}]},
        {"selectAll": True},
        {"csv": "email\nknown@acme.test\n"},
    ],
)
async def test_a_yes_to_a_filling_is_one_to_the_values_of_known_leads(
    installation: Installation, way: dict[str, Any]
) -> None:
    campaign, agent = await running_campaign(installation, ALL_FROM_THE_LEAD), caller(installation)
    lead = await installation.call("create_lead", email="known@acme.test")
    if "leadId" in str(way):
        way = {"leads": [{"leadId": lead["id"]}]}
    order, operation = (
        {"id": campaign["id"], **way},
        "import_campaign_leads_csv" if "csv" in way else "add_leads_to_campaign",
    )
    token = (await asked(installation, agent, operation, **order))["confirmToken"]
    installation.clock.advance(timedelta(seconds=1))
    await installation.call("update_lead", id=lead["id"], customFields={"note": "SWAPPED"})
    again = await asked(installation, agent, operation, **order, confirmToken=token)
    await call(installation, agent, operation, **order, confirmToken=again["confirmToken"])
