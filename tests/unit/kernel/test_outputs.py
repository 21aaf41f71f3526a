from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from postrider.catalogue import load_catalogue
from postrider.kernel.errors import InvalidInput
from postrider.kernel.ids import KINDS, check_id, new_id
from postrider.kernel.operation import Output
from postrider.kernel.page import Page

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)


class Moment(Output):
    """All the ways in which an answer holds instants."""

    at: datetime
    maybe: datetime | None
    many: list[datetime]
    by_name: dict[str, datetime]
    day: date
    anything: dict[str, Any]


@pytest.mark.parametrize(
    ("instant", "shown"),
    [
        (NINE, "2026-03-02T09:00:00.000Z"),
        (NINE + timedelta(microseconds=123_999), "2026-03-02T09:00:00.123Z"),
        (NINE.astimezone(timezone(timedelta(hours=2))), "2026-03-02T09:00:00.000Z"),
    ],
)
def test_every_instant_of_an_answer_has_milliseconds_and_a_z(instant: datetime, shown: str) -> None:
    anything = {"a": instant, "b": [{"c": instant}, (instant,)], "day": instant.date(), "n": 1.5, "no": None}
    moment = Moment(
        at=instant, maybe=instant, many=[instant], by_name={"a": instant}, day=instant.date(), anything=anything
    )
    page = Page[Moment](items=[moment], limit=1, total=1, has_more=False, next_cursor=None)
    shown_of_any = {"a": shown, "b": [{"c": shown}, [shown]], "day": "2026-03-02", "n": 1.5, "no": None}
    item = {"at": shown, "maybe": shown, "many": [shown], "byName": {"a": shown}, "day": "2026-03-02"}
    item |= {"anything": shown_of_any}

    assert page.model_dump(mode="json", by_alias=True)["items"] == [item]
    assert moment.model_dump()["at"] == moment.model_dump()["anything"]["a"] == instant


def test_the_schema_still_says_that_it_is_an_instant() -> None:
    schema = Moment.model_json_schema(mode="serialization")["properties"]

    assert schema["at"] == {"format": "date-time", "title": "At", "type": "string"}
    assert {"format": "date-time", "type": "string"} in schema["maybe"]["anyOf"]
    assert schema["anything"] == {"additionalProperties": True, "title": "Anything", "type": "object"}


def test_every_operation_answers_with_an_output() -> None:
    """What is no Output would write its instants in a way of its own."""
    assert [each.name for each in load_catalogue() if not issubclass(each.output, Output)] == []


@pytest.mark.parametrize("found", KINDS)
def test_a_wrong_kind_of_id_is_named_with_its_article(found: str) -> None:
    wanted = "camp" if found != "camp" else "agent"
    with pytest.raises(InvalidInput) as refused:
        check_id(new_id(found), wanted, "id")
    words = f"{refused.value.message} {refused.value.hint}"

    assert not any(f" a {vowel}" in words for vowel in "aeioAEIO")
    assert not any(f" an {consonant}" in words for consonant in "bcdjlmsuwBCDJLMSUW")


def test_the_words_for_an_agents_id() -> None:
    with pytest.raises(InvalidInput, match="id is the id of an AI agent; a campaign id is needed"):
        check_id(new_id("agent"), "camp", "id")
