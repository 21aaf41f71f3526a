"""What stands in leads can be seen, and what a clean-up takes away is told; on both databases."""

from typing import Any

import pytest

from postrider.kernel.errors import InvalidInput
from tests.conftest import Installation
from tests.features.lead_rig import import_csv


@pytest.mark.parametrize("hidden", ["\u200b", "\u202e", "\u2066", "\ufeff", "\u3164", "\U000e0041"])
@pytest.mark.parametrize("field", ["firstName", "companyName", "jobTitle", "Industry"])
async def test_what_cannot_be_seen_is_refused_in_every_shown_field(
    installation: Installation, field: str, hidden: str
) -> None:
    with pytest.raises(InvalidInput, match="invisible or direction-changing") as refused:
        await installation.call("create_lead", email="a@b.test", **{field: f"Head{hidden} of Ops"})
    assert str(refused.value.field).endswith(field)
    made = await installation.call("create_lead", email="a@b.test")
    with pytest.raises(InvalidInput, match="invisible or direction-changing"):
        await installation.call("update_lead", id=made["id"], **{field: f"Head{hidden} of Ops"})


async def test_lines_and_joiners_of_a_custom_field_stay(installation: Installation) -> None:
    text = "Zeile 1\nZeile\t2 – می\u200cخواهم 👩\u200d💻"
    made = await installation.call("create_lead", email="a@b.test", customFields={"About": text})
    assert made["customFields"] == {"About": text}


async def test_a_clean_up_takes_what_cannot_be_seen_out_of_custom_fields(installation: Installation) -> None:
    csv = "email,Title,Industry\na@b.test,Head\u200b of Ops,Sa\u200baS\n"
    result = await import_csv(installation, "import_leads_csv", csv)
    (lead,) = (await installation.call("list_leads"))["items"]
    assert (result["imported"], lead["jobTitle"], lead["customFields"]) == (1, "Head of Ops", {"Industry": "SaaS"})
    raw = await import_csv(installation, "import_leads_csv", csv.replace("a@", "c@"), dataCleanup=False)
    assert raw["failed"] == 1


CSV = "email,First Name,Last Name\na@b.test,B399,Smith\nc@b.test,B399,O'Neil\nd@b.test, Jane ,K\u00f6nig 2\n"


@pytest.mark.parametrize("operation", ["import_leads_csv", "import_campaign_leads_csv"])
async def test_names_that_lost_digits_or_symbols_are_told(installation: Installation, operation: str) -> None:
    campaign = await installation.call("create_campaign", name="x")
    more: dict[str, Any] = {"id": campaign["id"]} if "campaign" in operation else {}
    result = await import_csv(installation, operation, CSV, **more)
    assert result["csvInfo"]["cleanedNames"] == {
        "count": 3,
        "examples": [{"from": "B399", "to": "B"}, {"from": "König 2", "to": "König"}],
    }
    names = {lead["firstName"] for lead in (await installation.call("list_leads"))["items"]}
    assert names == {"B", "Jane"}


async def test_without_a_clean_up_there_is_nothing_to_tell(installation: Installation) -> None:
    result = await import_csv(installation, "import_leads_csv", CSV, dataCleanup=False)
    assert result["csvInfo"]["cleanedNames"] == {"count": 0, "examples": []}
    assert "B399" in {lead["firstName"] for lead in (await installation.call("list_leads"))["items"]}


async def test_the_parts_of_a_full_name_count_as_names(installation: Installation) -> None:
    result = await import_csv(installation, "import_leads_csv", "email,Name\na@b.test,Jane 💎 Doe\nc@b.test,Bo Li\n")
    assert result["csvInfo"]["cleanedNames"] == {"count": 1, "examples": [{"from": "💎 Doe", "to": "Doe"}]}
