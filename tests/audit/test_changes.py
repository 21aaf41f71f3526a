"""What the audit row says of the rows that a call has changed."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.orm import Session

from postrider.audit.changes import NO_HASHES, Changes, Hashes, note_written, together
from postrider.kernel.vault import Vault
from postrider.leads.columns import LeadColumns
from postrider.leads.rules import draft_lead
from postrider.leads.tables import Lead
from postrider.leads.writing import write_leads
from postrider.tags.tables import Tag
from tests.audit.audit_rig import audit_rows
from tests.conftest import START, Installation
from tests.features.lead_rig import make_campaign

HASH = re.compile(r"[0-9a-f]{64}")


async def hashes_of(installation: Installation, work: Callable[[Session], object]) -> Hashes:
    """The hashes of what ``work`` changes, which is taken back."""

    def write(session: Session) -> Hashes:
        watch = Changes(session, installation.app.vault)
        work(session)
        found = watch.end()
        session.rollback()
        return found

    return await installation.app.database.write(write)


def tag(installation: Installation, name: str, color: str = "#000000") -> dict[str, Any]:
    key = {"workspace_id": installation.ann.workspace_id, "name_key": name, "name": name}
    return key | {"description": None, "color": color, "positive": False, "created_at": START}


async def test_where_nothing_stood_before_there_is_no_hash_of_it(installation: Installation) -> None:
    await installation.call("create_tag", name="x")
    [row] = await audit_rows(installation)
    assert row.before_hash is None and HASH.fullmatch(row.after_hash or "")


async def test_what_was_changed_has_both_hashes(installation: Installation) -> None:
    lead = await installation.call("create_lead", email="ann@acme.test")
    await installation.call("update_lead", id=lead["id"], firstName="Ann")
    *_, row = await audit_rows(installation)
    assert HASH.fullmatch(row.before_hash or "") and HASH.fullmatch(row.after_hash or "")
    assert row.before_hash != row.after_hash


async def test_a_call_that_changed_nothing_has_none(installation: Installation) -> None:
    await installation.call("resume_workspace")
    await installation.call("resume_workspace")
    *_, row = await audit_rows(installation)
    assert (row.before_hash, row.after_hash) == (None, None)


async def test_many_leads_past_the_orm_are_in_the_hash(installation: Installation) -> None:
    def leads(last: str) -> Callable[[Session], object]:
        emails = [*(f"a{number}@acme.test" for number in range(39)), last]
        drafts = [draft_lead(email, {}, {}, [], clean=False) for email in emails]
        columns = LeadColumns.of(drafts)
        return lambda session: write_leads(session, installation.ann.workspace_id, columns, START, merge=False)

    found = [await hashes_of(installation, leads(last)) for last in ("b@acme.test", "c@acme.test")]
    assert [before for before, _ in found] == [None, None]
    assert len({after for _, after in found} - {None}) == 2, "the last of them counts too"


async def test_the_end_of_a_call_of_several_transactions_has_the_hash_of_them_all(installation: Installation) -> None:
    found = set()
    for leads in (1, 501, 502):
        campaign_id = await make_campaign(installation)
        people = [{"email": f"p{number}@acme.test"} for number in range(leads)]
        await installation.call("add_leads_to_campaign", id=campaign_id, leads=people)
        *_, start, end = await audit_rows(installation)
        assert (start.outcome, start.after_hash, end.outcome) == ("started", None, "ended")
        found.add(end.after_hash)
    assert len(found) == 3 and None not in found


async def test_parts_make_one_hash_in_their_order_and_none_where_nothing_was_written(
    installation: Installation,
) -> None:
    vault = installation.app.vault
    one, other = Hashes("a", "b"), Hashes(None, "c")
    both = together(vault, [one, NO_HASHES, other])
    assert both == together(vault, [one, other]) != together(vault, [other, one])
    assert together(vault, [other]).before is None and together(vault, [NO_HASHES]) == together(vault, []) == NO_HASHES


async def test_the_same_change_has_the_same_hash_and_another_value_another_one(installation: Installation) -> None:
    def by_orm(color: str) -> Callable[[Session], object]:
        return lambda session: session.add(Tag(**tag(installation, "x", color)))

    def by_core(color: str) -> Callable[[Session], object]:
        return lambda session: session.execute(insert(Tag), [tag(installation, "x", color)])

    for kind in (by_orm, by_core):
        first = await hashes_of(installation, kind("#111111"))
        assert first == await hashes_of(installation, kind("#111111"))
        assert first != await hashes_of(installation, kind("#222222"))


async def test_what_stood_before_is_in_the_hash_for_rows_of_the_orm(installation: Installation) -> None:
    found = set()
    for color in ("#111111", "#222222"):
        await installation.call("create_tag", name=f"x{color[1]}", color=color)

        def repaint(session: Session, name: str = f"x{color[1]}") -> None:
            row = session.get(Tag, (installation.ann.workspace_id, name))
            assert row is not None
            row.color = "#333333"

        found.add((await hashes_of(installation, repaint))[0])
    assert len(found) == 2 and None not in found


async def test_deleting_leaves_a_hash_of_what_was_deleted(installation: Installation) -> None:
    for name in ("x", "y"):
        await installation.call("create_tag", name=name)

    def by_orm(name: str) -> Callable[[Session], object]:
        return lambda session: session.delete(session.get(Tag, (installation.ann.workspace_id, name)))

    def by_core(name: str) -> Callable[[Session], object]:
        return lambda session: session.execute(delete(Tag).where(Tag.name_key == name))

    for kind in (by_orm, by_core):
        found = [await hashes_of(installation, kind(name)) for name in ("x", "y")]
        assert len({before for before, _ in found} - {None}) == 2
        assert len({after for _, after in found} - {None}) == 2


async def test_long_json_is_in_the_hash_to_its_last_character(installation: Installation) -> None:
    lead = (await installation.call("create_lead", email="ann@acme.test"))["id"]

    def fill(end: str) -> Callable[[Session], object]:
        fields = {"a": "x" * 5_000 + end}
        return lambda session: session.execute(update(Lead).where(Lead.id == lead).values(custom_fields=fields))

    assert (await hashes_of(installation, fill("1")))[1] != (await hashes_of(installation, fill("2")))[1]


@pytest.mark.parametrize(
    "statement",
    [
        "WITH old AS (SELECT 'x' AS key) UPDATE tags SET color = '#111111' WHERE name_key IN (SELECT key FROM old)",
        "with old as (select 'x' as key) delete from tags where name_key in (select key from old)",
        "\n  update tags set color = '#111111'",
        "WITH old AS (SELECT * FROM tags WHERE name_key = 'x') INSERT INTO tags (workspace_id, name_key, name, "
        "description, color, positive, created_at) SELECT workspace_id, 'y', 'y', description, color, positive, "
        "created_at FROM old",
    ],
)
async def test_a_change_is_in_the_hash_however_its_statement_begins(installation: Installation, statement: str) -> None:
    await installation.call("create_tag", name="x")
    assert None not in await hashes_of(installation, lambda session: session.execute(text(statement)))


async def test_a_select_is_no_change_however_it_begins(installation: Installation) -> None:
    tags = select(Tag.name_key).cte()
    plain = select(tags.c.name_key)
    locking = select(Tag.name_key).where(Tag.name_key.in_(plain)).add_cte(tags).with_for_update()
    queries = (plain, locking, locking.with_for_update(key_share=True), text(" select updated_at from leads"))

    def select_all(session: Session) -> None:
        for query in queries:
            session.execute(query)

    assert await hashes_of(installation, select_all) == NO_HASHES


async def test_what_a_driver_was_given_is_in_the_hash(installation: Installation) -> None:
    def told(name: str) -> Callable[[Session], object]:
        return lambda session: note_written(session, "INSERT tags", {"name": [name, None]})

    first = await hashes_of(installation, told("a"))
    assert first[0] is None and HASH.fullmatch(first[1] or "")
    assert first != await hashes_of(installation, told("b"))
    assert await hashes_of(installation, lambda session: None) == (None, None)


async def test_the_hash_is_keyed_so_that_a_guess_cannot_be_tried_out(installation: Installation) -> None:
    def write(vault: Vault) -> Callable[[Session], Hashes]:
        def work(session: Session) -> Hashes:
            watch = Changes(session, vault)
            session.add(Tag(**tag(installation, "x")))
            found = watch.end()
            session.rollback()
            return found

        return work

    database = installation.app.database
    assert await database.write(write(installation.app.vault)) != await database.write(write(Vault(b"k" * 32)))
