"""Every operation is what the contract says, and is described well enough to be used without reading the code."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from postrider.catalogue import Catalogue, load_catalogue
from postrider.doors.mcp.schema import input_schema
from postrider.doors.mcp.tools import describe_tool
from postrider.doors.rest.paths import PathTable
from postrider.kernel.operation import Effect, Input, Operation

CATALOGUE: Final = load_catalogue()
OPERATIONS: Final = {operation.name: operation for operation in CATALOGUE}
CONTRACT: Final[dict[str, dict[str, Any]]] = {
    row["name"]: row
    for row in json.loads((Path(__file__).parents[1] / "data" / "v1_contract.json").read_text(encoding="utf-8"))
}
"""``contract``: what the SendKit contract calls the operation, null for one of our own; ``method``, ``path`` and
``aliases``: where it puts it."""

MANUAL: Final = (Path(__file__).parents[2] / "docs" / "campaigns.md").read_text(encoding="utf-8")
MAX_DESCRIPTION: Final = 1_000
MAX_TITLE: Final = 40
OBVIOUS: Final = frozenset(
    {
        *("id", "name", "type", "email", "body", "subject", "status", "reason", "tags", "notes", "order", "enabled"),
        *("firstName", "lastName", "companyName", "jobTitle", "phone", "linkedinUrl", "website", "city", "state"),
        *("country", "timezone", "customFields", "leads", "filters", "excludeIds", "entries", "message", "cc", "bcc"),
        *("sequence", "subsequences", "variants", "schedule", "settings", "host", "secure", "provider", "url"),
        *("tone", "role", "communicationStyle", "customInstructions", "conversationId", "mailboxId", "leadId"),
        *("from", "to", "emailVerificationStatus", "horizonDays"),
    }
)
"""Names of inputs that need no description. Those of a campaign's documents may be explained in the manual instead."""

TAKE_CUSTOM_FIELDS: Final = frozenset({"create_lead", "update_lead"})
"""Further keys of a lead become its custom fields; everybody else refuses what is not declared."""

each_operation = pytest.mark.parametrize("operation", tuple(CATALOGUE), ids=lambda operation: operation.name)


def models_in(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """``model`` and every model inside it."""
    waiting, seen = [model], set[type[BaseModel]]()
    while waiting:
        each = waiting.pop()
        if each in seen:
            continue
        seen.add(each)
        yield each
        for field in each.model_fields.values():
            waiting += _models_of(field.annotation)


def _models_of(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_of(part)]


def fields_without_words(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Paths of the properties, nested ones too, that have no description."""
    for name, part in schema.get("properties", {}).items():
        if "description" not in part:
            yield f"{path}{name}"
        for choice in part.get("anyOf", [part]):
            yield from fields_without_words(choice, f"{path}{name}.")
            if isinstance(items := choice.get("items"), dict):
                yield from fields_without_words(items, f"{path}{name}.")


def test_the_catalogue_holds_what_the_table_of_this_release_lists_and_nothing_else() -> None:
    missing, unlisted = CONTRACT.keys() - OPERATIONS.keys(), OPERATIONS.keys() - CONTRACT.keys()
    assert not missing, f"in tests/data/v1_contract.json, but not in the catalogue: {sorted(missing)}"
    assert not unlisted, f"give these a line in tests/data/v1_contract.json: {sorted(unlisted)}"


@each_operation
def test_an_operation_lives_where_the_contract_puts_it(operation: Operation) -> None:
    row = CONTRACT[operation.name]
    assert (operation.rest.method, operation.rest.path) == (row["method"], row["path"])
    assert set(row["aliases"]) <= set(operation.rest.aliases)
    if row["contract"] is not None:
        assert row["contract"] in (operation.name, *operation.aliases)


@each_operation
def test_an_operation_has_a_title_and_a_description_that_fits(operation: Operation) -> None:
    assert operation.title == operation.title.strip()
    assert operation.title[0].isupper() and len(operation.title) <= MAX_TITLE and not operation.title.endswith(".")
    assert 30 <= len(operation.description) <= MAX_DESCRIPTION


@each_operation
def test_the_annotations_are_complete_and_say_what_the_effect_says(operation: Operation) -> None:
    annotations = describe_tool(operation).annotations
    assert annotations is not None
    assert None not in annotations.model_dump().values()
    assert annotations.read_only_hint is (operation.effect is Effect.READ)
    assert annotations.destructive_hint is (operation.effect is Effect.DESTRUCTIVE)
    if operation.effect is Effect.READ:
        # To look at keys, apps and what everybody did is itself to administer.
        assert annotations.idempotent_hint is True and operation.scope in ("read", "administer")


@each_operation
def test_what_can_be_fetched_changes_nothing(operation: Operation) -> None:
    if operation.rest.method == "GET":
        assert operation.effect is Effect.READ
    if operation.rest.method == "DELETE":
        assert operation.effect is Effect.DESTRUCTIVE


@each_operation
def test_outputs_have_no_defaults_so_that_every_field_is_always_there(operation: Operation) -> None:
    defaulted = [
        f"{model.__name__}.{name}"
        for model in models_in(operation.output)
        for name, field in model.model_fields.items()
        if not field.is_required()
    ]
    # Documents of a campaign are inputs that are shown again; the output schema requires all of their fields.
    shown_again = {f"{model.__name__}.{name}" for model in _inputs() for name in model.model_fields}
    assert set(defaulted) <= shown_again


def _inputs() -> set[type[BaseModel]]:
    return {model for operation in CATALOGUE for model in models_in(operation.input) if issubclass(model, Input)}


@each_operation
def test_an_input_is_one_object_and_no_choice_between_several(operation: Operation) -> None:
    schema = input_schema(operation.input)
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is (operation.name in TAKE_CUSTOM_FIELDS)
    assert not {"anyOf", "oneOf", "allOf", "$ref"} & schema.keys()


@each_operation
def test_every_input_has_a_description_or_an_obvious_name(operation: Operation) -> None:
    unexplained = [
        path
        for path in fields_without_words(input_schema(operation.input))
        if path.rpartition(".")[2] not in OBVIOUS and not _is_in_manual(path)
    ]
    assert not unexplained, f"give these a description: {unexplained}"


def _is_in_manual(path: str) -> bool:
    first, _, rest = path.partition(".")
    name = rest.rpartition(".")[2]
    return first in ("sequence", "subsequences", "schedule", "settings") and f"`{name}`" in MANUAL


@each_operation
def test_field_names_are_camel_case_outside(operation: Operation) -> None:
    names = {_wire_name(name, field) for model in models_in(operation.input) for name, field in _fields(model)}
    names |= {_wire_name(name, field) for model in models_in(operation.output) for name, field in _fields(model)}
    assert [name for name in names if not re.fullmatch(r"[a-z][a-zA-Z0-9]*", name)] == []


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    yield from model.model_fields.items()


def _wire_name(name: str, field: FieldInfo) -> str:
    return field.serialization_alias or field.alias or name


def test_no_two_operations_share_a_name_or_alias() -> None:
    names = [name for operation in CATALOGUE for name in (operation.name, *operation.aliases)]
    assert len(names) == len(set(names))
    with pytest.raises(ValueError, match="two operations are called"):
        Catalogue([*CATALOGUE, next(iter(CATALOGUE))])


def test_no_two_operations_share_a_path() -> None:
    PathTable(CATALOGUE)
    with pytest.raises(ValueError, match="share"):
        PathTable([*CATALOGUE, next(iter(CATALOGUE))])
