"""What a sequence may look like, and how its steps keep their identity."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postrider.campaigns.documents import StepInput
from postrider.campaigns.sequence import email_steps, moved_positions, normalise_sequence
from postrider.kernel.errors import InvalidInput

DAY = 86_400


def email(body: str = "words", **given: Any) -> StepInput:
    return StepInput.model_validate({"type": "email", "body": body} | given)


def wait(days: int = 3, hours: int = 0, **given: Any) -> StepInput:
    return StepInput.model_validate({"type": "wait", "waitDays": days, "waitHours": hours} | given)


def ids(steps: list[StepInput]) -> list[str | None]:
    return [step.id for step in steps]


def test_steps_are_sorted_renumbered_and_named() -> None:
    steps = [email("c", order=9), wait(order=5), email("a", order=2), wait(0, 1, order=8), email("b", order=7)]
    stored = normalise_sequence(steps)
    assert [(step.order, step.name) for step in stored] == [
        (0, "Initial Email"),
        (1, "Wait 3 days"),
        (2, "Follow-up 1"),
        (3, "Wait 1 hour"),
        (4, "Follow-up 2"),
    ]
    assert [step.body for step in stored if step.type == "email"] == ["a", "b", "c"]
    assert len(set(ids(stored))) == 5


def test_a_wait_of_days_and_hours_is_named_after_both() -> None:
    stored = normalise_sequence([email(), wait(1, 12), email()])
    assert stored[1].name == "Wait 1 day 12 hours"


def test_a_given_name_is_kept() -> None:
    assert normalise_sequence([email(name="Opener")])[0].name == "Opener"


def test_an_automatic_name_that_comes_back_is_made_anew_and_a_chosen_one_is_kept() -> None:
    before = normalise_sequence([email("a"), wait(3), email("b"), wait(3), email("c", name="Last call")])
    changed = [*before[:1], before[1].model_copy(update={"wait_days": 5}), *before[4:], wait(2), before[2]]
    after = normalise_sequence([step.model_copy(update={"order": None}) for step in changed], before)
    assert [step.name for step in after] == ["Initial Email", "Wait 5 days", "Last call", "Wait 2 days", "Follow-up 2"]


@pytest.mark.parametrize(
    ("steps", "field", "words"),
    [
        ([wait(), email()], "sequence[0].type", "must be an email"),
        ([email(), wait()], "sequence[1].type", "cannot end with a wait"),
        ([email(), wait(), wait(), email()], "sequence[1].type", "two waits"),
        ([email(), wait(0), email()], "sequence[1].waitDays", "above 0"),
        ([email(waitDays=1)], "sequence[0].waitDays", "no waitDays"),
        ([email(), wait(body="x"), email()], "sequence[1].type", "no subject, body or variants"),
        ([email(order=1), wait(order=1), email(order=2)], "sequence", "same order"),
        # The place is the one in what was submitted, whatever the order says.
        ([email(order=3), wait(0, order=2), email(order=1)], "sequence[1].waitDays", "above 0"),
        ([email(variants=[{"label": "A"}, {"label": "A"}])], "sequence[0].variants", "may stand once"),
        ([email(variants=[{"label": "A", "enabled": False}])], "sequence[0].variants", "at least one variant"),
    ],
)
def test_a_sequence_of_the_wrong_shape_is_refused_by_field(steps: list[StepInput], field: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as refused:
        normalise_sequence(steps)
    assert refused.value.field == field


def test_the_last_variant_cannot_be_turned_off() -> None:
    with pytest.raises(InvalidInput) as refused:
        normalise_sequence([email(variants=[{"label": "B", "enabled": False}])])
    assert refused.value.error_code == "cannot_delete_last_variant"


def test_a_subsequence_may_begin_with_a_wait() -> None:
    assert [step.type for step in normalise_sequence([wait(), email()], may_start=True)] == ["wait", "email"]


def test_a_step_without_variants_gets_one_from_its_own_text() -> None:
    step = normalise_sequence([email("Body", subject="Subject")])[0]
    assert [(v.label, v.subject, v.body) for v in step.variants or []] == [("A", "Subject", "Body")]
    assert (
        normalise_sequence([email("Body", variants=[])])[0].variants == normalise_sequence([email("Body")])[0].variants
    )


def test_a_step_with_one_variant_shows_that_variants_text_as_its_own() -> None:
    step = normalise_sequence([email("never sent", variants=[{"label": "C", "subject": "s", "body": "sent"}])])[0]
    assert (step.subject, step.body) == ("s", "sent")


def test_an_edited_text_wins_over_its_only_variant_that_came_back_unchanged() -> None:
    before = normalise_sequence([email("old", subject="s")])
    after = normalise_sequence([before[0].model_copy(update={"body": "new"})], before)
    assert [(v.subject, v.body) for v in after[0].variants or []] == [("s", "new")]
    assert after[0].body == "new"


def test_an_edited_variant_wins_over_a_text_that_came_back_unchanged() -> None:
    before = normalise_sequence([email("old")])
    edited = (before[0].variants or [])[0].model_copy(update={"body": "new"})
    after = normalise_sequence([before[0].model_copy(update={"variants": [edited]})], before)
    assert (after[0].body, (after[0].variants or [])[0].body) == ("new", "new")


def test_with_several_variants_the_steps_own_text_is_left_as_it_is() -> None:
    variants = [{"label": "A", "body": "a"}, {"label": "B", "body": "b"}]
    before = normalise_sequence([email("main", variants=variants)])
    after = normalise_sequence([before[0].model_copy(update={"body": "other"})], before)
    assert after[0].body == "other"
    assert [v.body for v in after[0].variants or []] == ["a", "b"]


def test_ids_are_kept_by_name_then_by_place_among_steps_of_the_type() -> None:
    before = normalise_sequence([email("a"), wait(), email("b"), wait(), email("c")])
    a, w1, b, w2, c = ids(before)
    by_place = normalise_sequence([email("a"), wait(), email("x"), wait(), email("y"), wait(), email("z")], before)
    assert ids(by_place)[:5] == [a, w1, b, w2, c]
    assert not {*ids(by_place)[5:]} & {a, w1, b, w2, c}
    reordered = normalise_sequence([email("c", id=c), wait(id=w2), email("new"), wait(), email("a", id=a)], before)
    assert ids(reordered) == [c, w2, b, reordered[3].id, a]
    inserted = normalise_sequence([email("a", id=a), wait(), email("new"), wait(), email("b", id=b)], before)
    assert ids(inserted)[2] not in (a, b, c)


def test_an_id_of_another_step_type_of_nobody_or_named_twice_is_refused() -> None:
    before = normalise_sequence([email("a"), wait(), email("b")])
    a, w, b = ids(before)
    for wrong, words in ((w, "of type wait"), ("step_unknown", "no step of this campaign"), (a, "stands twice")):
        with pytest.raises(InvalidInput, match=words) as refused:
            normalise_sequence([email("a", id=a), wait(id=w), email("b", id=wrong)], before)
        assert refused.value.field == "sequence[2].id"
    swapped = normalise_sequence([email("b", id=b, order=9), wait(id=w, order=5), email("a", id=a, order=1)], before)
    assert ids(swapped) == [a, w, b]


def test_in_a_first_sequence_ids_are_made_anew() -> None:
    assert ids(normalise_sequence([email("a", id="step_of_another_campaign")]))[0] != "step_of_another_campaign"


def test_waits_before_an_email_are_summed_and_positions_count_emails_only() -> None:
    steps = email_steps(normalise_sequence([email(), wait(2, 6), email(), email(), wait(0, 3), email()]))
    assert [(step.position, step.order, step.wait_seconds) for step in steps] == [
        (0, 0, 0),
        (1, 2, 2 * DAY + 6 * 3600),
        (2, 3, 0),
        (3, 5, 3 * 3600),
    ]


def in_letters(text: str) -> list[StepInput]:
    return [email(letter, id=letter) for letter in text]


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [
        ("ABC", "ABC", [0, 1, 2]),
        ("ABC", "XABC", [1, 2, 3]),
        ("ABC", "AXBC", [0, 2, 3]),
        ("ABC", "ABCX", [0, 1, 2]),
        ("ABC", "AC", [0, 0, 1]),
        ("ABC", "BC", [-1, 0, 1]),
        ("ABC", "C", [-1, -1, 0]),
        ("ABC", "A", [0, 0, 0]),
        ("ABC", "CBA", [2, 2, 2]),
        ("ABC", "BAC", [1, 1, 2]),
        ("ABC", "", [-1, -1, -1]),
    ],
)
def test_after_an_edit_leads_stand_behind_the_last_step_they_have_had(
    before: str, after: str, moved: list[int]
) -> None:
    found = moved_positions(email_steps(in_letters(before)), email_steps(in_letters(after)))
    assert found == dict(enumerate(moved))


@given(before=st.permutations("ABCDEF"), after=st.permutations("ABCDEFXYZ"), kept=st.integers(0, 9))
def test_whatever_the_edit_nobody_is_sent_what_they_have_had(before: list[str], after: list[str], kept: int) -> None:
    new = after[:kept]
    moved = moved_positions(email_steps(in_letters("".join(before))), email_steps(in_letters("".join(new))))
    for position, floor in moved.items():
        had = set(before[: position + 1])
        assert not had & set(new[floor + 1 :])
        # Nor is anybody kept from more than order demands: the floor is a step they have had, or there is none.
        assert new[floor] in had if floor >= 0 else not had & set(new)
