"""Names, subjects and reasons hold nothing that a reader cannot see, whichever operation takes them."""

from typing import Any

import pytest

from postrider.kernel.errors import InvalidInput
from tests.conftest import Installation
from tests.features.inbox_world import inbox
from tests.features.lead_rig import import_csv, make_campaign

HIDDEN = ["\u3164", "\u115f", "\u1160", "\uffa0", "\u2800", "\u180e", "\u202e", "\u2067", "\u200b", "\ufeff", "\xad"]
HIDDEN += ["\U000e0041"]
FIRST = {"type": "email", "subject": "Hello", "body": "x"}
TAKERS: list[tuple[str, str, dict[str, Any]]] = [
    ("create_lead", "firstName", {"email": "x@acme.test"}),
    ("create_lead", "lastName", {"email": "x@acme.test"}),
    ("create_lead", "companyName", {"email": "x@acme.test"}),
    ("create_campaign", "name", {}),
    ("create_tag", "name", {}),
    ("create_tag", "description", {"name": "Hot"}),
    ("create_agent", "name", {}),
    ("pause_workspace", "reason", {}),
]


async def refused(installation: Installation, operation: str, **arguments: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        await installation.call(operation, **arguments)
    return caught.value


@pytest.mark.parametrize(("operation", "field", "beside"), TAKERS, ids=lambda part: str(part)[:20])
async def test_what_cannot_be_seen_is_refused_by_name(
    installation: Installation, operation: str, field: str, beside: dict[str, Any]
) -> None:
    for hidden in HIDDEN:
        for text in (hidden, f"Ja{hidden}ne"):
            error = await refused(installation, operation, **beside, **{field: text})
            assert error.field == field, (hidden, error.message)


@pytest.mark.parametrize(("operation", "field", "beside"), TAKERS, ids=lambda part: str(part)[:20])
async def test_joiners_of_scripts_and_emoji_are_kept(
    installation: Installation, operation: str, field: str, beside: dict[str, Any]
) -> None:
    text = "علی\u200cرضا 👩\u200d💻"
    answer = await installation.call(operation, **beside, **{field: text})
    assert text in answer.values()


@pytest.mark.parametrize("hidden", HIDDEN)
async def test_a_subject_is_what_its_reader_sees(installation: Installation, hidden: str) -> None:
    steps = [{**FIRST, "variants": [{"label": "A", "subject": f"He{hidden}llo", "body": "x"}]}]
    assert "subject" in (await refused(installation, "create_campaign", name="X", sequence=steps)).message
    campaign_id = await make_campaign(installation)
    steps = [{**FIRST, "subject": f"He{hidden}llo"}]
    assert "subject" in (await refused(installation, "update_campaign", id=campaign_id, sequence=steps)).message


async def test_the_subject_of_a_preview_is_held_to_the_same(installation: Installation) -> None:
    world, _ = await inbox(installation)
    error = await refused(
        installation,
        "preview_email",
        id=world.campaign_id,
        sequenceStep=0,
        leadId=world.lead_ids[0],
        mailboxId=world.mailbox_ids[0],
        contentOverride={"subject": "He\u202ello", "body": "x"},
    )
    assert error.field == "contentOverride.subject"


@pytest.mark.parametrize("text", ["one\r\ntwo", "\x1b[31mred", "line\u2028break"])
async def test_the_reason_of_a_pause_is_one_line(installation: Installation, text: str) -> None:
    assert (await refused(installation, "pause_workspace", reason=text)).field == "reason"


async def test_a_label_may_be_described_in_several_lines(installation: Installation) -> None:
    described = await installation.call("create_tag", name="Hot", description="Wants it.\nSoon.")
    assert described["description"] == "Wants it.\nSoon."
    assert (await refused(installation, "create_tag", name="Cold", description="a\x1b[31mb")).field == "description"


async def test_rows_with_such_names_are_counted_as_failed(installation: Installation) -> None:
    rows = "a@acme.test,\u3164,Acme\nb@acme.test,Bea,Ac\u2800me\nc@acme.test,Cleo,Acme\n"
    done = await import_csv(installation, "import_leads_csv", "email,firstName,companyName\n" + rows)
    assert (done["imported"], done["failed"]) == (1, 2)
    assert "Row 2: firstName" in done["errors"][0]["error"] and "Row 3: companyName" in done["errors"][1]["error"]
