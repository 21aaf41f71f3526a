"""CSV imports, whole and in pieces, on both databases."""

import os
from pathlib import Path

import pytest
from sqlalchemy import func, select

from postrider.campaigns.tables import Enrollment
from postrider.jobs.queries import MAX_CHUNK_BYTES
from postrider.jobs.tables import Job, JobChunk
from postrider.kernel.errors import Forbidden, InvalidInput
from postrider.leads.imports import MAX_LISTED_ERRORS, MAX_LISTED_IDS
from tests.conftest import Installation
from tests.features.lead_rig import (
    call_locally,
    call_with_file,
    campaign_row,
    enrollments,
    import_csv,
    make_campaign,
    run_job,
)

CSV = "E-Mail;Vorname;Firma;Telefon;Industry\nJANE@acme.test;Jane;Acme;+49 (0)30 12345;SaaS\nbad;x;;;\njoe@b.test;;;;\n"


async def stored(installation: Installation) -> tuple[int, int]:
    """How many jobs and chunks there are."""
    jobs, chunks = select(func.count()).select_from(Job), select(func.count()).select_from(JobChunk)
    return await installation.app.database.read(lambda s: (s.scalar(jobs) or 0, s.scalar(chunks) or 0))


async def test_an_import_creates_leads_and_counts_every_row(installation: Installation) -> None:
    result = await import_csv(installation, "import_leads_csv", CSV, tag="Fair")
    counts = {name: result[name] for name in ("imported", "updated", "skipped", "failed")}
    assert counts == {"imported": 2, "updated": 0, "skipped": 0, "failed": 1}
    assert result["errors"][0]["email"] == "bad"
    assert result["errors"][0]["error"].startswith("Row 3: email is not a valid email address")
    assert result["csvInfo"] == {
        "totalRows": 3,
        "columns": ["E-Mail", "Vorname", "Firma", "Telefon", "Industry"],
        "mapping": {
            "E-Mail": "email",
            "Vorname": "firstName",
            "Firma": "companyName",
            "Telefon": "phone",
            "Industry": "custom:Industry",
        },
        "encoding": "utf-8",
        "delimiter": ";",
        "cleanedNames": {"count": 0, "examples": []},
    }
    leads = {lead["email"]: lead for lead in (await installation.call("list_leads", tags=["fair"]))["items"]}
    assert sorted(lead["id"] for lead in leads.values()) == sorted(result["importedLeadIds"])
    jane = leads["jane@acme.test"]
    assert (jane["firstName"], jane["companyName"], jane["phone"]) == ("Jane", "Acme", "+493012345")
    assert (jane["customFields"], jane["companyDomain"], jane["tags"]) == ({"Industry": "SaaS"}, "acme.test", ["Fair"])
    assert await stored(installation) == (1, 0)


async def test_known_leads_are_skipped_and_stay_as_they_are(installation: Installation) -> None:
    lead = await installation.call("create_lead", email="jane@acme.test", firstName="J.")
    result = await import_csv(installation, "import_leads_csv", CSV, tag="Fair")
    assert (result["imported"], result["skipped"]) == (1, 1)
    assert await installation.call("get_lead", id=lead["id"]) == lead


async def test_known_leads_are_updated_when_asked_but_never_emptied(installation: Installation) -> None:
    lead = await installation.call(
        "create_lead",
        email="jane@acme.test",
        firstName="J.",
        city="Bonn",
        customFields={"industry": "x", "Plan": "pro"},
    )
    again = CSV + "jane@acme.test;Janet;;;\n"
    result = await import_csv(installation, "import_leads_csv", again, skipDuplicates=False, tag="Fair")
    assert (result["imported"], result["updated"], result["skipped"], result["failed"]) == (1, 2, 0, 1)
    updated = await installation.call("get_lead", id=lead["id"])
    assert (updated["firstName"], updated["city"], updated["companyName"]) == ("Janet", "Bonn", "Acme")
    assert updated["customFields"] == {"industry": "SaaS", "Plan": "pro"}
    assert updated["tags"] == ["Fair"]


async def test_a_mapping_sends_columns_where_the_caller_wants_them(installation: Installation) -> None:
    mapping = {"Contact": "email", "Branch": "custom:Industry", "Secret": ""}
    csv = "Contact,Branch,Secret\na@b.test,SaaS,hidden\n"
    result = await import_csv(installation, "import_leads_csv", csv, mapping=mapping)
    assert result["csvInfo"]["mapping"] == mapping
    (lead,) = (await installation.call("list_leads"))["items"]
    assert lead["customFields"] == {"Industry": "SaaS"}


async def test_without_clean_up_fields_stay_as_written(installation: Installation) -> None:
    await import_csv(installation, "import_leads_csv", CSV, dataCleanup=False)
    (jane,) = (await installation.call("list_leads", search="jane"))["items"]
    assert jane["phone"] == "+49 (0)30 12345"


UNREADABLE = (
    ("", "empty"),
    ("email,name\n", "no rows"),
    ("name,city\nx,y\n", "No column"),
    ("email,Name,name\na@b.test,x,y\n", "same name"),
    ("email\n" + "a@b.test\n" * 50_001, "50,000 rows"),
    ("email\n" + "a@b.test\n" * 1_500 + 'b@c.test,"open\n', "Row 1502"),
)


async def test_a_file_that_is_wrong_as_a_whole_leaves_no_job_and_no_pieces(
    installation: Installation, tmp_path: Path
) -> None:
    path = tmp_path / "leads.csv"
    for csv, message in UNREADABLE:
        path.write_text(csv)
        with pytest.raises(InvalidInput, match=message):
            await call_with_file(installation, "import_leads_csv", path)
    with pytest.raises(InvalidInput, match="surrogate"):
        await installation.call("import_leads_csv", csv="email\n\ud800@b.test\n")
    assert await stored(installation) == (0, 0)
    assert (await installation.call("list_leads"))["total"] == 0


async def test_a_file_in_another_encoding_is_imported_from_an_upload(
    installation: Installation, tmp_path: Path
) -> None:
    path = tmp_path / "leads.csv"
    path.write_bytes("\ufeffemail\tname\r\na@b.test\tJörg Müller\r\n".encode("utf-16-le"))
    started = await call_with_file(installation, "import_leads_csv", path)
    assert (started["state"], started["total"]) == ("waiting", 1)
    assert (await run_job(installation, started["jobId"]))["result"]["imported"] == 1
    (lead,) = (await installation.call("list_leads"))["items"]
    assert (lead["firstName"], lead["lastName"]) == ("Jörg", "Müller")


async def test_a_large_file_is_kept_in_pieces_of_at_most_a_mebibyte(installation: Installation, tmp_path: Path) -> None:
    path = tmp_path / "leads.csv"
    with path.open("w") as file:
        file.write(f"email,notes,{','.join(f'c{number}' for number in range(22))}\n")
        file.writelines(f"p{number}@b.test,{'x' * 9_000}\n" for number in range(300))
        # One row of more than a mebibyte: every character takes four bytes.
        file.write(f"big@b.test,{'🚀' * 9_900}{(',' + '🚀' * 9_900) * 22}\n")
    started = await call_with_file(installation, "import_leads_csv", path)
    largest = select(func.max(func.length(JobChunk.data)))
    assert 200_000 < (await installation.app.database.read(lambda s: s.scalar(largest)) or 0) <= MAX_CHUNK_BYTES
    assert (await run_job(installation, started["jobId"]))["result"]["imported"] == 301
    (big,) = (await installation.call("list_leads", search="big@"))["items"]
    assert big["customFields"] == {f"c{number}": "🚀" * 9_900 for number in range(22)}


async def test_a_path_is_for_local_callers_inside_the_import_folder(installation: Installation, tmp_path: Path) -> None:
    folder = installation.app.settings.import_dir
    folder.mkdir(parents=True)
    (folder / "leads.csv").write_text("email\na@b.test\n")
    outside = tmp_path / "secret.csv"
    outside.write_text("email\nsecret@b.test\n")
    os.symlink(outside, folder / "link.csv")
    with pytest.raises(Forbidden, match="this machine"):
        await installation.call("import_leads_csv", path="leads.csv")
    for path in (str(outside), "../../secret.csv", "link.csv", ".", "absent.csv"):
        with pytest.raises(InvalidInput, match="no file in the import folder"):
            await call_locally(installation, "import_leads_csv", path=path)
    for path in ("leads.csv", str(folder / "leads.csv")):
        started = await call_locally(installation, "import_leads_csv", path=path)
        assert started["total"] == 1


async def test_the_file_is_given_in_exactly_one_way(installation: Installation) -> None:
    for given in ({}, {"csv": "email\na@b.test\n", "path": "leads.csv"}):
        with pytest.raises(InvalidInput, match="exactly one way"):
            await installation.call("import_leads_csv", **given)


async def test_lists_in_a_result_are_capped_and_counts_are_not(installation: Installation, tmp_path: Path) -> None:
    path = tmp_path / "leads.csv"
    rows = "".join(f"p{number}@b.test\nbad{number}\n" for number in range(1_100))
    path.write_text(f"email\n{rows}")
    result = (await run_job(installation, (await call_with_file(installation, "import_leads_csv", path))["jobId"]))[
        "result"
    ]
    assert (result["imported"], result["failed"]) == (1_100, 1_100)
    assert (len(result["importedLeadIds"]), len(result["errors"])) == (MAX_LISTED_IDS, MAX_LISTED_ERRORS)


async def test_an_import_into_a_campaign_counts_leads_and_enrollments(installation: Installation) -> None:
    campaign_id = await make_campaign(installation, "active")
    await installation.call("create_lead", email="jane@acme.test", firstName="J.")
    await installation.call("add_leads_to_campaign", id=campaign_id, leads=[{"email": "in@acme.test"}])
    csv = "email,firstName\njane@acme.test,Jane\nin@acme.test,x\nnew@acme.test,New\nNEW@acme.test,Again\nbad,x\n"
    before = (await campaign_row(installation, campaign_id)).revision
    result = await import_csv(installation, "import_campaign_leads_csv", csv, id=campaign_id)
    assert result["leads"] == {"created": 1, "existing": 3, "failed": 1}
    assert result["campaign"] == {"added": 2, "skipped": 2}
    assert (result["totalRows"], [error["email"] for error in result["errors"]]) == (5, ["bad"])
    rows = await enrollments(installation, campaign_id)
    assert [row.status for row in rows] == ["active"] * 3
    assert (await campaign_row(installation, campaign_id)).revision == before + 1
    (jane,) = (await installation.call("list_leads", search="jane@"))["items"]
    assert jane["firstName"] == "J."


async def test_an_import_fails_in_words_when_its_campaign_has_been_archived(installation: Installation) -> None:
    campaign_id = await make_campaign(installation)
    started = await installation.call("import_campaign_leads_csv", id=campaign_id, csv="email\na@b.test\n")
    await _archive(installation, campaign_id)
    job = await run_job(installation, started["jobId"])
    assert (job["state"], job["error"]) == (
        "failed",
        "The campaign is archived: no leads can be added to it. Add them to another campaign, or duplicate this one.",
    )
    count = select(func.count()).select_from(Enrollment)
    assert await installation.app.database.read(lambda s: s.scalar(count)) == 0


async def _archive(installation: Installation, campaign_id: str) -> None:
    row = await campaign_row(installation, campaign_id)
    row.status = "archived"
    await installation.app.database.write(lambda s: s.merge(row) and None)
