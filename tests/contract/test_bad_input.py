"""Bad input to every operation: each field named, nothing written. Generated from the input models."""

from typing import Any

import pytest

from postrider.catalogue import load_catalogue
from postrider.dispatch import Call
from postrider.kernel.errors import InvalidInput, NotFound
from postrider.kernel.ids import new_id
from postrider.kernel.operation import Operation
from postrider.kernel.validation import MAX_VALUES, check_texts
from tests.conftest import Installation
from tests.contract.tenancy_rows import ROWS

OPERATIONS = list(load_catalogue())
NAMES = [operation.name for operation in OPERATIONS]
OF_ANY_KIND = {("list_audit_events", "targetId"), ("export_audit_events", "targetId")}
ABSENT = {kind: new_id(kind) for kind in ("camp", "lead", "cl", "mbx", "conv", "rep", "agent", "job")}


def _schema(operation: Operation) -> dict[str, Any]:
    return operation.input.model_json_schema(by_alias=True)


def _alternatives(schema: dict[str, Any], root: dict[str, Any]) -> list[dict[str, Any]]:
    """The plain schemas a property may have, references followed."""
    if "$ref" in schema:
        return _alternatives(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root)
    if "anyOf" in schema:
        return [found for part in schema["anyOf"] for found in _alternatives(part, root)]
    return [schema]


def _misfit(kinds: set[str]) -> Any:
    """A value of none of these JSON types."""
    if not kinds & {"object"}:
        return {"not": "this"}
    return [["not this"]] if "array" not in kinds else 3.5


def _cases(operation: Operation) -> list[tuple[str, Any]]:
    """A value that does not fit for every property: of another type, and too long where there is a limit."""
    root = _schema(operation)
    found: list[tuple[str, Any]] = []
    for name, schema in root.get("properties", {}).items():
        parts = _alternatives(schema, root)
        found.append((name, _misfit({part.get("type", "string") for part in parts})))
        for part in parts:
            if part.get("type") == "string" and "maxLength" in part:
                found.append((name, "x" * (part["maxLength"] + 1)))
            if part.get("type") == "integer" and "minimum" in part:
                found.append((name, part["minimum"] - 1))
            if part.get("type") == "integer" and "maximum" in part:
                found.append((name, part["maximum"] + 1))
    return found


async def _refusal(installation: Installation, name: str, arguments: dict[str, Any]) -> InvalidInput:
    with pytest.raises(InvalidInput) as refused:
        await installation.app.dispatcher.call(Call(name, arguments, installation.actor()))
    assert refused.value.hint, "a refusal says what to do next"
    return refused.value


async def test_an_unknown_field_is_named(installation: Installation) -> None:
    for operation in OPERATIONS:
        if _schema(operation).get("additionalProperties") is False:
            error = await _refusal(installation, operation.name, {"colourOfTheSky": "blue"})
            assert "colourOfTheSky is not a field here" in str(error.details["problems"]), operation.name


def test_only_lead_objects_take_unknown_keys() -> None:
    open_ones = [o.name for o in OPERATIONS if _schema(o).get("additionalProperties") is not False]
    assert open_ones == ["create_lead", "update_lead"]


async def test_a_value_that_does_not_fit_is_named_with_its_field(installation: Installation) -> None:
    for operation in OPERATIONS:
        for field, value in _cases(operation):
            error = await _refusal(installation, operation.name, {field: value})
            fields = [problem["field"] for problem in error.details["problems"]]
            assert any(found == field or found.startswith((f"{field}.", f"{field}[")) for found in fields), (
                f"{operation.name}: {field} = {value!r:.60} gave {fields}"
            )


@pytest.mark.parametrize("bad", ["a\x00b", "half \ud83d", "\udc00"])
async def test_text_that_no_database_stores_is_refused_for_every_field(installation: Installation, bad: str) -> None:
    for operation in OPERATIONS:
        for field in _schema(operation).get("properties", {}):
            error = await _refusal(installation, operation.name, {field: bad})
            assert error.field == field, operation.name
            assert "contains" in error.message, operation.name


@pytest.mark.parametrize("lenient", [False, True])
async def test_text_that_no_database_stores_is_found_however_deep(installation: Installation, lenient: bool) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        (
            {"leads": [{"email": "a@b.test"}, {"email": "c@d.test", "customFields": {"x": "a\x00"}}]},
            "leads[1].customFields.x",
        ),
        ({"leads": [{"email": "a@b.test", "na\ud800me": "x"}]}, "leads[0]"),
        ({"a\x00b": 1}, "(the name of a field)"),
    ]
    for arguments, place in cases:
        call = Call("add_leads_to_campaign", arguments, installation.actor(), lenient=lenient)
        with pytest.raises(InvalidInput) as refused:
            await installation.app.dispatcher.call(call)
        assert refused.value.field == place
        assert str(refused.value.details).encode(), "the refusal itself can be sent"


def test_deep_and_endless_inputs_are_walked_within_bounds() -> None:
    deep: Any = "a\x00"
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidInput, match="NUL"):
        check_texts({"deep": deep})
    with pytest.raises(InvalidInput, match="more than"):
        check_texts({"many": [0] * (MAX_VALUES + 1)})


async def test_a_required_field_that_is_missing_is_named(installation: Installation) -> None:
    for operation in OPERATIONS:
        required = _schema(operation).get("required", [])
        if required:
            error = await _refusal(installation, operation.name, {})
            text = str(error.details["problems"])
            assert all(f"{field} is required" in text for field in required), operation.name


async def test_an_id_of_the_wrong_kind_says_what_it_is(installation: Installation) -> None:
    wrong = {"camp": "lead", "lead": "camp", "cl": "camp", "mbx": "camp", "conv": "mbx"}
    wrong |= {"rep": "conv", "agent": "camp", "job": "camp"}
    checked = 0
    for name in NAMES:
        for row in ROWS[name]:
            for field, value in row.items():
                kind = value.strip("{}") if isinstance(value, str) else ""
                if kind not in wrong or (name, field) in OF_ANY_KIND:
                    continue
                arguments = {key: ABSENT.get(str(given).strip("{}"), given) for key, given in row.items()}
                arguments[field] = ABSENT[wrong[kind]]
                if any("{own." in str(given) for given in arguments.values()):
                    continue
                with pytest.raises((InvalidInput, NotFound)) as refused:
                    await installation.app.dispatcher.call(Call(name, arguments, installation.actor()))
                assert isinstance(refused.value, InvalidInput), f"{name}: {field} took an id of another kind"
                assert "is the id of a" in refused.value.message, f"{name}: {field}: {refused.value.message}"
                checked += 1
    assert checked > 15


def test_every_text_has_a_limit() -> None:
    unlimited = []
    for operation in OPERATIONS:
        root = _schema(operation)
        for name, schema in root.get("properties", {}).items():
            for part in _alternatives(schema, root):
                bounded = "maxLength" in part or "enum" in part or "format" in part or "const" in part
                if part.get("type") == "string" and not bounded and "pattern" not in part:
                    unlimited.append(f"{operation.name}.{name}")
    assert unlimited == []
