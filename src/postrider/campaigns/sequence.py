"""What a sequence may look like, and how its steps keep their identity through edits. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, NamedTuple

from pydantic import Field

from postrider.campaigns.documents import MAX_STEPS, StepInput, VariantInput
from postrider.kernel.errors import InvalidInput
from postrider.kernel.ids import new_id

HOUR_SECONDS: Final = 3_600
DAY_SECONDS: Final = 86_400

StepNumber = Annotated[int, Field(description="Which email: emails only, from 1.")]
SequencePlace = Annotated[int, Field(description="Its place in the sequence from 0, waits counted: for preview_email.")]


@dataclass(frozen=True, slots=True)
class EmailStep:
    """One email of a sequence. ``position`` counts emails only; ``wait_seconds`` is the wait before it."""

    id: str
    position: int
    order: int
    wait_seconds: int
    step: StepInput

    @property
    def variants(self) -> list[VariantInput]:
        """All variants; there is always at least one."""
        return self.step.variants or []


def read_steps(documents: Sequence[Mapping[str, object]]) -> list[StepInput]:
    """The steps of a stored sequence."""
    return [StepInput.model_validate(document) for document in documents]


def email_steps(sequence: Sequence[StepInput]) -> list[EmailStep]:
    """The emails of a stored sequence in order, each with the wait before it."""
    found: list[EmailStep] = []
    wait = 0
    for order, step in enumerate(sequence):
        if step.type == "wait":
            wait += (step.wait_days or 0) * DAY_SECONDS + (step.wait_hours or 0) * HOUR_SECONDS
            continue
        found.append(EmailStep(step.id or "", len(found), order, wait, step))
        wait = 0
    return found


class StepPlace(NamedTuple):
    """Where an email stands, in both ways of counting. ``step``: emails only, from 1. ``sequence_step``: the contract's
    sequenceStep, from 0 with the waits. Both None for an email that an edit has taken out.
    """

    step: int | None
    sequence_step: int | None


GONE: Final = StepPlace(None, None)


def place_of(email: EmailStep | None) -> StepPlace:
    """Where ``email`` stands in its sequence."""
    return StepPlace(email.position + 1, email.order) if email is not None else GONE


def step_places(emails: Sequence[EmailStep]) -> dict[str, StepPlace]:
    """Where each email stands now, by its step id."""
    return {email.id: place_of(email) for email in emails}


def normalise_sequence(
    steps: Sequence[StepInput], previous: Sequence[StepInput] = (), *, field: str = "sequence", may_start: bool = False
) -> list[StepInput]:
    """The sequence as it is stored: ordered, named, with ids and variants.

    ``previous``: what is stored now; a step keeps the id it names, one that names none takes that of the email (or
    wait) at its position. Where nothing is stored, ids are made anew. ``may_start``: the first step may be a wait
    (subsequences). Raises: InvalidInput naming the step as submitted, also for an id that no stored step has.
    """
    if len(steps) > MAX_STEPS:
        raise InvalidInput(f"{field} has {len(steps)} steps; {MAX_STEPS} is the most.", field=field)
    ordered = _in_order(steps, field)
    _check_shape(ordered, may_start)
    if previous:
        _check_ids(ordered, previous)
    known = {step.id: step for step in previous}
    automatic = _automatic_names(previous)
    emails = 0
    stored: list[StepInput] = []
    for order, (placed, step_id) in enumerate(zip(ordered, _keep_ids(ordered, previous), strict=True)):
        step, place = placed
        # A name that we gave and that comes back unchanged is made anew: the step may have moved since.
        is_ours = not step.name or automatic.get(step_id) == step.name
        name = _default_name(step, emails) if is_ours else step.name
        if step.type == "wait":
            stored.append(_wait(step, step_id, name, order))
            continue
        stored.append(_email(step, step_id, name, order, _variants(step, known.get(step_id), place)))
        emails += 1
    return stored


def moved_positions(before: Sequence[EmailStep], after: Sequence[EmailStep]) -> dict[int, int]:
    """For each old last-attempted position, the position at or below which nothing may be sent after an edit.

    The highest new position of a step that was attempted; -1 when none of them is left. (Nothing new can then stand
    before the steps still to come: without a step of its own id, a new one takes over that of its position.)
    """
    new_position = {step.id: step.position for step in after}
    moved: dict[int, int] = {}
    highest = -1
    for step in before:
        highest = max(highest, new_position.get(step.id, -1))
        moved[step.position] = highest
    return moved


class _Placed(NamedTuple):
    """A step and where it stood in what was submitted: ``sequence[2]``."""

    step: StepInput
    place: str


def _in_order(steps: Sequence[StepInput], field: str) -> list[_Placed]:
    orders = [step.order if step.order is not None else place for place, step in enumerate(steps)]
    if len(set(orders)) != len(orders):
        raise InvalidInput(
            f"{field}: two steps have the same order.",
            field=field,
            hint="Give each step its own order, or none at all.",
        )
    placed = [_Placed(step, f"{field}[{place}]") for place, step in enumerate(steps)]
    return [step for _, step in sorted(zip(orders, placed, strict=True), key=lambda pair: pair[0])]


def _check_shape(steps: Sequence[_Placed], may_start: bool) -> None:
    for position, (step, place) in enumerate(steps):
        if step.type == "email":
            if step.wait_days or step.wait_hours:
                raise InvalidInput(
                    f"{place}: an email step has no waitDays or waitHours.",
                    field=f"{place}.waitDays",
                    hint="Put a wait step before the email.",
                )
            continue
        _check_wait(step, place)
        if position == 0 and not may_start:
            raise InvalidInput(
                f"{place}: the first step must be an email.", field=f"{place}.type", hint="Remove the wait before it."
            )
        if position + 1 == len(steps):
            raise InvalidInput(
                f"{place}: a sequence cannot end with a wait.",
                field=f"{place}.type",
                hint="Remove it, or add the email that it waits for.",
            )
        if steps[position + 1].step.type == "wait":
            raise InvalidInput(
                f"{place}: two waits follow each other.", field=f"{place}.type", hint="Make them one wait of the sum."
            )


def _check_ids(steps: Sequence[_Placed], previous: Sequence[StepInput]) -> None:
    """Accepts steps that name stored steps of their type, each once, or none: an id taken for another one's would give
    a text to leads who wait for another step."""
    known = {step.id: step.type for step in previous}
    seen: set[str] = set()
    for step, place in steps:
        if step.id is None:
            continue
        if step.id not in known:
            message, hint = "is no step of this campaign", "Read its ids with get_campaign; a new step has none."
        elif known[step.id] != step.type:
            message, hint = f"is the id of a step of type {known[step.id]}", "Leave the id out: it is another step."
        elif step.id in seen:
            message, hint = "stands twice", "Leave it out at the copy: that is a new step."
        else:
            seen.add(step.id)
            continue
        raise InvalidInput(f"{place}.id {message}.", field=f"{place}.id", hint=f"{hint} Nothing was changed.")


def _check_wait(step: StepInput, place: str) -> None:
    if step.subject or step.body or step.variants or step.conditional_variables:
        raise InvalidInput(
            f"{place}: a wait step has no subject, body or variants.",
            field=f"{place}.type",
            hint="Make it an email step, or leave the text out.",
        )
    if not (step.wait_days or step.wait_hours):
        raise InvalidInput(
            f"{place}: a wait needs waitDays or waitHours above 0.", field=f"{place}.waitDays", hint="For example 3."
        )


def _wait(step: StepInput, step_id: str, name: str | None, order: int) -> StepInput:
    return StepInput(
        id=step_id,
        type="wait",
        name=name,
        order=order,
        wait_days=step.wait_days or 0,
        wait_hours=step.wait_hours or 0,
    )


def _email(step: StepInput, step_id: str, name: str | None, order: int, variants: list[VariantInput]) -> StepInput:
    # With one variant, the step's own text is that variant's: two texts of which one is never sent would mislead.
    first, alone = variants[0], len(variants) == 1
    return step.model_copy(
        update={
            "id": step_id,
            "name": name,
            "order": order,
            "subject": first.subject if alone or step.subject is None else step.subject,
            "body": first.body if alone or step.body is None else step.body,
            "variants": variants,
            "wait_days": None,
            "wait_hours": None,
        }
    )


def _automatic_names(steps: Sequence[StepInput]) -> dict[str | None, str]:
    """The names of stored steps that nobody chose, by step id."""
    found: dict[str | None, str] = {}
    emails = 0
    for step in steps:
        name = _default_name(step, emails)
        if step.name == name:
            found[step.id] = name
        emails += step.type == "email"
    return found


def _default_name(step: StepInput, emails_before: int) -> str:
    if step.type == "email":
        return "Initial Email" if emails_before == 0 else f"Follow-up {emails_before}"
    parts = []
    for count, unit in ((step.wait_days or 0, "day"), (step.wait_hours or 0, "hour")):
        if count:
            parts.append(f"{count} {unit}{'' if count == 1 else 's'}")
    return "Wait " + " ".join(parts)


def _variants(step: StepInput, previous: StepInput | None, place: str) -> list[VariantInput]:
    if not step.variants:
        return [VariantInput(label="A", subject=step.subject or "", body=step.body or "")]
    labels = [variant.label for variant in step.variants]
    if len(set(labels)) != len(labels):
        raise InvalidInput(
            f"{place}.variants: each label may stand once.", field=f"{place}.variants", hint="Use A, B, C and so on."
        )
    if not any(variant.enabled for variant in step.variants):
        raise InvalidInput(
            f"{place}.variants: at least one variant must be enabled.",
            field=f"{place}.variants",
            hint="Enable one, or remove the step.",
            code="cannot_delete_last_variant",
        )
    if previous is not None and len(step.variants) == 1 and step.variants == previous.variants:
        return [_reworded(step, previous, step.variants[0])]
    return list(step.variants)


def _reworded(step: StepInput, previous: StepInput, variant: VariantInput) -> VariantInput:
    """The only variant with the step's own text, where that was edited and the variant came back as it was."""
    update = {
        name: text
        for name, text, old in (("subject", step.subject, previous.subject), ("body", step.body, previous.body))
        if text is not None and text != old
    }
    return variant.model_copy(update=update)


def _keep_ids(placed: Sequence[_Placed], previous: Sequence[StepInput]) -> list[str]:
    """Ids for the steps: those they name, else by position among steps of their type."""
    steps = [step for step, _ in placed]
    known = {step.id: step.type for step in previous if step.id}
    named: list[str | None] = []
    for step in steps:
        keeps = step.id is not None and known.get(step.id) == step.type and step.id not in named
        named.append(step.id if keeps else None)
    taken = {step_id for step_id in named if step_id}
    by_position = {kind: [step.id for step in previous if step.type == kind and step.id] for kind in ("email", "wait")}
    counts = {"email": 0, "wait": 0}
    result: list[str] = []
    for step, step_id in zip(steps, named, strict=True):
        position = counts[step.type]
        counts[step.type] += 1
        old = by_position[step.type]
        chosen = step_id
        if chosen is None and position < len(old) and old[position] not in taken:
            chosen = old[position]
        chosen = chosen or new_id("step")
        taken.add(chosen)
        result.append(chosen)
    return result
