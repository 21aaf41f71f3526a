"""The yes to filling a completed campaign, which becomes active again, is one to what it sends. On both databases."""

from typing import Any

import pytest

from postrider.campaigns.tables import Enrollment
from postrider.dispatch import Call
from postrider.kernel.errors import Conflict
from tests.conftest import Installation
from tests.features.campaign_rig import SEQUENCE, running_campaign, set_campaign
from tests.features.lead_rig import run_job
from tests.features.safety_rig import asked, call, caller, count


async def completed_campaign(world: Installation) -> dict[str, Any]:
    campaign = await running_campaign(world, SEQUENCE)
    await set_campaign(world, campaign["id"], status="completed")
    return campaign


async def edit(world: Installation, campaign_id: str) -> None:
    """Another text, by somebody who is asked nothing."""
    await world.call("update_campaign", id=campaign_id, sequence=[{**SEQUENCE[0], "subject": "New"}])


@pytest.mark.parametrize("is_edited", [False, True])
async def test_the_yes_to_an_import_into_a_completed_campaign_is_one_to_what_it_sends(
    installation: Installation, is_edited: bool
) -> None:
    campaign, agent = await completed_campaign(installation), caller(installation)
    order = {"id": campaign["id"], "csv": "email\nnew@acme.test\n"}
    token = (await asked(installation, agent, "import_campaign_leads_csv", **order))["confirmToken"]
    agreed = await call(installation, agent, "import_campaign_leads_csv", **order, confirmToken=token)
    unasked = await call(installation, caller(installation, "free"), "import_campaign_leads_csv", **order)
    if is_edited:
        await edit(installation, campaign["id"])
    job = await run_job(installation, agreed["jobId"])
    status = (await installation.call("get_campaign", id=campaign["id"]))["status"]
    if is_edited:
        assert job["state"] == "failed" and "something else" in job["error"] and "nobody has agreed" in job["error"]
        assert (status, await count(installation, Enrollment)) == ("completed", 0)
    else:
        assert (job["state"], status) == ("finished", "active")
    assert (await run_job(installation, unasked["jobId"]))["state"] == "finished"
    assert await count(installation, Enrollment, status="active") == 1


async def test_an_import_that_was_agreed_to_goes_on_behind_the_edit_of_a_running_campaign(
    installation: Installation,
) -> None:
    campaign, agent = await running_campaign(installation, SEQUENCE), caller(installation)
    order = {"id": campaign["id"], "csv": "email\nnew@acme.test\n"}
    token = (await asked(installation, agent, "import_campaign_leads_csv", **order))["confirmToken"]
    started = await call(installation, agent, "import_campaign_leads_csv", **order, confirmToken=token)
    await edit(installation, campaign["id"])
    assert (await run_job(installation, started["jobId"]))["state"] == "finished", "the edit asks for a yes of its own"


@pytest.mark.parametrize("is_edited", [False, True])
async def test_adding_ends_where_the_campaign_was_completed_and_edited_between_two_batches(
    installation: Installation, is_edited: bool
) -> None:
    campaign, agent = await completed_campaign(installation), caller(installation)
    order: dict[str, Any] = {"id": campaign["id"], "leads": [{"email": f"p{n:03}@acme.test"} for n in range(501)]}
    order["confirmToken"] = (await asked(installation, agent, "add_leads_to_campaign", **order))["confirmToken"]

    async def between(done: int, total: int | None, message: str) -> None:
        await set_campaign(installation, campaign["id"], status="completed")
        if is_edited and done < 501:
            await edit(installation, campaign["id"])

    adding = installation.app.dispatcher.call(Call("add_leads_to_campaign", order, agent, progress=between))
    if is_edited:
        with pytest.raises(Conflict) as ended:
            await adding
        assert ended.value.error_code == "CHANGED_MEANWHILE"
    else:
        await adding
    assert await count(installation, Enrollment) == (500 if is_edited else 501)
