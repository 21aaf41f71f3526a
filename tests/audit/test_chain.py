"""A chain holds until anybody touches a row of it, and every touch is found."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from postrider.audit.rules import KEY_PURPOSE, PLACE, canonical, head_seal, link
from postrider.audit.sealing import BATCH_ROWS, ChainBroken, seal_batch
from postrider.audit.tables import AuditEvent, AuditHead
from postrider.audit.verifying import Break
from postrider.kernel.ids import new_id
from tests.audit.audit_rig import audit_rows, first_break, run, seal, walked
from tests.conftest import START, Installation

TABLE: Any = AuditEvent.__table__
CHAINED = [column.name for column in TABLE.c if column.name not in ("workspace_id", "number")]
OTHER_VALUE = {"at": START + timedelta(microseconds=1), "id": "aud_" + "0" * 26, "job_id": "job_1"}


@pytest.fixture
async def chained(installation: Installation) -> list[AuditEvent]:
    """Six sealed rows of Ann's."""
    for number in range(6):
        await installation.call("create_tag", name=f"tag {number}")
    assert await seal(installation) == 6
    return list(await audit_rows(installation))


async def test_committed_rows_are_numbered_without_gaps_in_the_order_of_their_ids(
    installation: Installation, chained: list[AuditEvent]
) -> None:
    assert [row.number for row in chained] == [1, 2, 3, 4, 5, 6]
    assert [row.previous_hash for row in chained[1:]] == [row.hash for row in chained[:-1]]
    assert len({row.hash for row in chained}) == 6
    walk = await walked(installation)
    assert (walk.rows, walk.first_break) == (6, None)


@pytest.mark.parametrize("column", CHAINED)
async def test_whatever_column_of_a_row_is_changed_the_break_is_at_that_row(
    installation: Installation, chained: list[AuditEvent], column: str
) -> None:
    row = chained[2]
    await run(
        installation, update(TABLE).where(TABLE.c.id == row.id).values({column: OTHER_VALUE.get(column, "changed")})
    )
    found = await first_break(installation)
    assert found is not None
    assert found.number == 3
    assert found.kind == ("order_changed" if column == "previous_hash" else "row_changed")


@pytest.mark.parametrize("column", [name for name in CHAINED if TABLE.c[name].nullable and name not in PLACE])
async def test_emptying_a_column_is_a_change(installation: Installation, column: str) -> None:
    await installation.call("create_tag", name="x")
    full = {"client_id": "c", "request_id": "r", "error_code": "E", "target_id": "t", "started_id": "s"}
    full |= {"job_id": "j", "before_hash": "b", "after_hash": "a"}
    await run(installation, update(TABLE).values(full))
    await seal(installation)
    assert await first_break(installation) is None
    await run(installation, update(TABLE).values({column: None}))
    assert (await first_break(installation) or Break("row_missing", 0, None)).kind == "row_changed"


async def test_a_row_taken_away_is_missed(installation: Installation, chained: list[AuditEvent]) -> None:
    await run(installation, delete(TABLE).where(TABLE.c.number == 3))
    assert await first_break(installation) == Break("row_missing", 3, None)


async def test_taking_a_row_away_and_counting_on_without_it_is_seen(
    installation: Installation, chained: list[AuditEvent]
) -> None:
    await run(
        installation,
        delete(TABLE).where(TABLE.c.number == 3),
        *(update(TABLE).where(TABLE.c.number == number).values(number=number - 1) for number in (4, 5, 6)),
    )
    assert await first_break(installation) == Break("order_changed", 3, chained[3].id)


async def test_two_rows_that_changed_places_are_seen(installation: Installation, chained: list[AuditEvent]) -> None:
    places = [{name: getattr(row, name) for name in PLACE} for row in chained[1:3]]
    await run(
        installation,
        update(TABLE).where(TABLE.c.id == chained[1].id).values(number=None),
        update(TABLE).where(TABLE.c.id == chained[2].id).values(places[0]),
        update(TABLE).where(TABLE.c.id == chained[1].id).values(places[1]),
    )
    assert await first_break(installation) == Break("row_changed", 2, chained[2].id)


async def test_a_cut_off_tail_is_missed_though_what_is_left_is_whole(
    installation: Installation, chained: list[AuditEvent]
) -> None:
    await run(installation, delete(TABLE).where(TABLE.c.number > 4))
    assert await first_break(installation) == Break("head_changed", 4, None)


async def test_noting_an_earlier_end_needs_the_key(installation: Installation, chained: list[AuditEvent]) -> None:
    earlier = {"number": 4, "hash": chained[3].hash}
    await run(installation, delete(TABLE).where(TABLE.c.number > 4), update(AuditHead).values(earlier))
    assert await first_break(installation) == Break("head_changed", 4, None)


async def test_a_wiped_note_of_the_end_is_missed(installation: Installation, chained: list[AuditEvent]) -> None:
    await run(installation, delete(AuditHead))
    assert await first_break(installation) == Break("head_missing", 6, None)


async def test_a_row_made_without_the_key_does_not_fit_at_the_end(
    installation: Installation, chained: list[AuditEvent]
) -> None:
    last = chained[-1]
    forged = {column.name: getattr(last, column.name) for column in TABLE.c} | {"id": new_id("aud"), "number": 7}
    forged |= {"previous_hash": last.hash}
    key = b"not the installation's own key.."
    row = canonical({name: value for name, value in forged.items() if name not in PLACE})
    assert last.hash is not None
    forged["hash"] = link(key, last.workspace_id, 7, last.hash, row)
    head = {"number": 7, "hash": head_seal(key, last.workspace_id, 7, forged["hash"])}
    await run(installation, insert(TABLE).values(forged), update(AuditHead).values(head))
    assert await first_break(installation) == Break("row_changed", 7, forged["id"])


async def test_a_chain_of_one_workspace_does_not_fit_into_another(
    installation: Installation, chained: list[AuditEvent]
) -> None:
    bob = installation.bob.workspace_id
    await run(installation, update(TABLE).values(workspace_id=bob), update(AuditHead).values(workspace_id=bob))
    assert (await walked(installation, bob)).first_break == Break("row_changed", 1, chained[0].id)


@pytest.mark.parametrize(
    "harm",
    [
        delete(AuditHead),
        delete(TABLE).where(TABLE.c.number == 6),
        update(TABLE).where(TABLE.c.number == 6).values(number=None),
    ],
    ids=["no note of the end", "no last row", "last row out of its place"],
)
async def test_nothing_is_added_to_a_chain_whose_end_is_broken(
    installation: Installation, chained: list[AuditEvent], harm: Any
) -> None:
    await run(installation, harm)
    await installation.call("create_tag", name="one more")
    with pytest.raises(ChainBroken):
        await seal(installation)
    assert await first_break(installation) is not None
    assert (await audit_rows(installation))[-1].number is None


async def test_a_row_that_is_committed_late_is_chained_behind_younger_ones(
    installation: Installation, chained: list[AuditEvent]
) -> None:
    late = {column.name: getattr(chained[0], column.name) for column in TABLE.c} | {"id": new_id("aud", 0)}
    await run(installation, insert(TABLE).values(late | dict.fromkeys(PLACE)))
    assert await seal(installation) == 1
    rows = await audit_rows(installation)
    assert [row.number for row in rows] == [7, 1, 2, 3, 4, 5, 6]
    assert await first_break(installation) is None


async def test_more_rows_than_one_batch_make_one_chain(installation: Installation) -> None:
    await installation.call("create_tag", name="x")
    [first] = await audit_rows(installation)
    values = {column.name: getattr(first, column.name) for column in TABLE.c}
    more = [values | {"id": new_id("aud")} for _ in range(2 * BATCH_ROWS + 5)]
    await installation.app.database.write(lambda session: session.execute(insert(TABLE), more) and None)
    key = installation.app.vault.derive(KEY_PURPOSE)

    def batch(session: Any) -> int:
        return seal_batch(session, key, installation.ann.workspace_id, START)

    assert [await installation.app.database.write(batch) for _ in range(4)] == [BATCH_ROWS, BATCH_ROWS, 6, 0]
    assert (await walked(installation)).rows == 2 * BATCH_ROWS + 6
    numbers = select(TABLE.c.number).order_by(TABLE.c.number)
    found = await installation.app.database.read(lambda session: list(session.scalars(numbers)))
    assert found == list(range(1, 2 * BATCH_ROWS + 7))


async def test_an_empty_workspace_has_nothing_to_break(installation: Installation) -> None:
    assert await seal(installation) == 0
    walk = await walked(installation)
    assert (walk.rows, walk.first_break, walk.open_starts) == (0, None, {})
