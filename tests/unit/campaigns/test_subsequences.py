"""The rules of subsequences."""

from typing import Any

import pytest

from postrider.campaigns.documents import Subsequence, SubsequenceInput
from postrider.campaigns.subsequences import normalise_subsequences
from postrider.kernel.errors import InvalidInput


def tagged(value: str | None = "interested", **given: Any) -> SubsequenceInput:
    return SubsequenceInput.model_validate({"trigger": {"type": "ai_tag", "value": value}} | given)


def replied(**given: Any) -> SubsequenceInput:
    return SubsequenceInput.model_validate({"trigger": {"type": "reply", "value": "ignored"}} | given)


def refusal(*given: SubsequenceInput) -> tuple[str | None, str]:
    with pytest.raises(InvalidInput) as refused:
        normalise_subsequences(given)
    return refused.value.field, refused.value.message


def used(subsequence: Subsequence, **counts: int) -> Subsequence:
    return subsequence.model_copy(update=counts)


def test_fifteen_may_be_active_and_archived_ones_do_not_count() -> None:
    fifteen = [tagged(f"tag {number}") for number in range(15)]
    archived = [tagged("tag 0", status="archived"), replied(status="archived")]
    assert len(normalise_subsequences([*fifteen, *archived])) == 17
    assert refusal(*fifteen, replied()) == ("subsequences", "subsequences: 16 are active; 15 is the most.")


def test_one_may_start_on_a_reply() -> None:
    assert refusal(replied(), replied()) == (
        "subsequences[1].trigger",
        "subsequences[1].trigger: only one active subsequence may start on a reply.",
    )
    assert len(normalise_subsequences([replied(), replied(status="archived")])) == 2


@pytest.mark.parametrize("again", ["Interested", " INTERESTED ", "interested"])
def test_a_label_starts_one_active_subsequence_whatever_its_case(again: str) -> None:
    field, message = refusal(tagged("interested"), tagged(again))
    assert field == "subsequences[1].trigger.value"
    assert "another active subsequence starts on the label" in message


def test_two_names_of_one_label_are_one_label() -> None:
    assert refusal(tagged("meeting_requested"), tagged("Meeting_Booked"))[0] == "subsequences[1].trigger.value"


@pytest.mark.parametrize("value", [None, "", "   "])
def test_a_label_must_be_named(value: str | None) -> None:
    assert refusal(tagged(value))[0] == "subsequences[0].trigger.value"


def test_the_value_of_a_reply_trigger_is_dropped() -> None:
    assert normalise_subsequences([replied()])[0].trigger.value is None


def test_the_first_step_may_be_a_wait_and_the_other_rules_hold() -> None:
    wait, email = {"type": "wait", "waitHours": 2}, {"type": "email", "body": "x"}
    stored = normalise_subsequences([replied(sequence=[wait, email])])
    assert [step.name for step in stored[0].sequence] == ["Wait 2 hours", "Initial Email"]
    assert refusal(replied(sequence=[email, wait]))[0] == "subsequences[0].sequence[1].type"


@pytest.mark.parametrize("counts", [{"added_count": 1}, {"sent": 1}])
def test_a_trigger_is_fixed_once_it_has_been_used(counts: dict[str, int]) -> None:
    stored = [used(normalise_subsequences([tagged()])[0], **counts)]
    own_id = stored[0].id
    for other in (tagged("question", id=own_id), replied(id=own_id)):
        with pytest.raises(InvalidInput, match="leads have entered") as refused:
            normalise_subsequences([other], stored)
        assert refused.value.field == "subsequences[0].trigger"
    renamed = normalise_subsequences([tagged("INTERESTED", id=own_id, name="New")], stored)
    assert (renamed[0].id, renamed[0].name, renamed[0].is_used) == (own_id, "New", True)


def test_an_unused_trigger_may_change_and_keeps_its_id() -> None:
    stored = normalise_subsequences([tagged()])
    assert normalise_subsequences([replied(id=stored[0].id)], stored)[0].id == stored[0].id


def test_what_is_left_out_is_removed_or_archived_once_used() -> None:
    fresh, known = normalise_subsequences([tagged("a"), tagged("b")])
    stored = [fresh, used(known, added_count=1)]
    left = normalise_subsequences([], stored)
    assert [(subsequence.id, subsequence.status) for subsequence in left] == [(known.id, "archived")]


def test_an_unknown_or_repeated_id_is_refused() -> None:
    stored = normalise_subsequences([tagged("a", id="of_another_campaign")])
    assert stored[0].id != "of_another_campaign", "where nothing is stored, ids are made anew"
    for wrong, words in ((stored[0].id, "stands twice"), ("x", "no subsequence of this campaign")):
        with pytest.raises(InvalidInput, match=words) as refused:
            normalise_subsequences([tagged("a", id=stored[0].id), tagged("b", id=wrong)], stored)
        assert refused.value.field == "subsequences[1].id"
