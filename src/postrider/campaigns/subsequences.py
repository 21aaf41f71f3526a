"""What the subsequences of a campaign may look like, and how an edit treats those that leads have entered. Pure."""

from collections.abc import Sequence
from typing import Final

from postrider.campaigns.documents import Subsequence, SubsequenceInput, TriggerInput
from postrider.campaigns.sequence import normalise_sequence
from postrider.kernel.errors import InvalidInput
from postrider.kernel.ids import new_id
from postrider.tags.rules import tag_key

MAX_ACTIVE: Final = 15


def normalise_subsequences(
    given: Sequence[SubsequenceInput], previous: Sequence[Subsequence] = ()
) -> list[Subsequence]:
    """The subsequences as they are stored, with ids, named steps and their counts.

    ``previous``: what is stored now, matched by id; one that is left out is removed, or archived if it has been used.

    Raises: InvalidInput naming the subsequence, also for another trigger on one that has been used, and for an id that
    none of ``previous`` has.
    """
    known = {subsequence.id: subsequence for subsequence in previous}
    stored: list[Subsequence] = []
    kept: set[str | None] = set()
    for index, subsequence in enumerate(given):
        place = f"subsequences[{index}]"
        if previous and subsequence.id is not None and (subsequence.id not in known or subsequence.id in kept):
            raise _no_such(subsequence.id in kept, f"{place}.id")
        old = known.get(subsequence.id) if subsequence.id is not None else None
        stored.append(_stored(subsequence, old, place))
        kept.add(stored[-1].id)
    _check_active(stored)
    left_out = [old for old in previous if old.id not in kept and old.is_used]
    return stored + [old.model_copy(update={"status": "archived"}) for old in left_out]


def _no_such(twice: bool, field: str) -> InvalidInput:
    message = f"{field} stands twice." if twice else f"{field} is no subsequence of this campaign."
    return InvalidInput(
        message, field=field, hint="Read ids with get_campaign; a new subsequence has none. Nothing was changed."
    )


def _stored(given: SubsequenceInput, old: Subsequence | None, place: str) -> Subsequence:
    trigger = _trigger(given.trigger, place)
    if old is not None and old.is_used and _meaning(trigger) != _meaning(old.trigger):
        raise InvalidInput(
            f"{place}.trigger cannot change any more: leads have entered this subsequence.",
            field=f"{place}.trigger",
            hint="Archive it (status archived) and add a new one with the other trigger.",
            details={"id": old.id, "addedCount": old.added_count, "sent": old.sent},
        )
    return Subsequence(
        id=old.id if old is not None else new_id("subseq"),
        name=given.name.strip(),
        status=given.status,
        trigger=trigger,
        sequence=normalise_sequence(
            given.sequence, old.sequence if old is not None else (), field=f"{place}.sequence", may_start=True
        ),
        added_count=old.added_count if old is not None else 0,
        sent=old.sent if old is not None else 0,
    )


def _trigger(trigger: TriggerInput, place: str) -> TriggerInput:
    if trigger.type == "reply":
        return TriggerInput(type="reply", value=None)
    value = " ".join((trigger.value or "").split())
    if not value:
        raise InvalidInput(
            f"{place}.trigger.value is required for the trigger ai_tag.",
            field=f"{place}.trigger.value",
            hint="Give the name of a label; list_tags shows them.",
        )
    return TriggerInput(type="ai_tag", value=value)


def _meaning(trigger: TriggerInput) -> tuple[str, str]:
    return trigger.type, tag_key(trigger.value or "")


def _check_active(subsequences: Sequence[Subsequence]) -> None:
    active = [subsequence for subsequence in subsequences if subsequence.status == "active"]
    if len(active) > MAX_ACTIVE:
        raise InvalidInput(
            f"subsequences: {len(active)} are active; {MAX_ACTIVE} is the most.",
            field="subsequences",
            hint="Archive some (status archived); archived ones do not count.",
        )
    seen: set[tuple[str, str]] = set()
    for index, subsequence in enumerate(subsequences):
        meaning = _meaning(subsequence.trigger)
        if subsequence.status == "active" and meaning in seen:
            raise _twice(subsequence.trigger, f"subsequences[{index}].trigger")
        if subsequence.status == "active":
            seen.add(meaning)


def _twice(trigger: TriggerInput, field: str) -> InvalidInput:
    hint = "Archive one of the two, or make them one."
    if trigger.type == "reply":
        return InvalidInput(f"{field}: only one active subsequence may start on a reply.", field=field, hint=hint)
    return InvalidInput(
        f"{field}: another active subsequence starts on the label {trigger.value!r} already (case does not count).",
        field=f"{field}.value",
        hint=hint,
    )
