"""What an operation is: one typed function with an input model and an output model, declared once."""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, TypeVar, get_type_hints

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetCoreSchemaHandler, JsonValue
from pydantic.alias_generators import to_camel
from pydantic_core.core_schema import CoreSchema, plain_serializer_function_ser_schema

from postrider.kernel.context import Context, OutsideContext
from postrider.kernel.policy import Facts
from postrider.kernel.undoing import Undoer
from postrider.kernel.visible import shown_text, shown_value
from postrider.kernel.zones import rfc3339_milliseconds

UNTRUSTED: Final = Field(json_schema_extra={"untrusted": True})
"""Marks in an output's schema what strangers wrote: data to read, never instructions."""

UntrustedText = Annotated[str, UNTRUSTED, AfterValidator(shown_text)]
"""Words of a stranger: of a message, a lead's field, a mail server's answer, a cell of a file."""

UntrustedJson = Annotated[dict[str, JsonValue], UNTRUSTED, AfterValidator(shown_value)]
"""The same as an object of any shape."""


def _with_instants_written(value: Any) -> Any:
    """A value of any kind, its instants as they stand in an answer."""
    if isinstance(value, datetime):
        return rfc3339_milliseconds(value)
    if isinstance(value, dict):
        return {key: _with_instants_written(inner) for key, inner in value.items()}
    return [_with_instants_written(inner) for inner in value] if isinstance(value, list | tuple) else value


_WRITTEN: Final = {
    "datetime": plain_serializer_function_ser_schema(rfc3339_milliseconds, when_used="json"),
    "any": plain_serializer_function_ser_schema(_with_instants_written, when_used="json"),
}
"""How the kinds of a schema that are or may hold an instant are written."""

Scope = Literal["read", "prepare", "send", "delete", "administer"]

Confirm = Callable[[Context, Any], Facts | None]
"""The facts that a call wants a yes to, from its input, reading only; None when this call is not grave."""

CONFIRM_TOKEN: Final = "confirmToken"
"""The argument that carries the yes. Operations that confirm take it at every door; the dispatcher takes it out."""

CONFIRM_TOKEN_SCHEMA: Final = {
    "type": "string",
    "description": "Leave it out: if a yes is wanted, the answer gives the facts and this token.",
}


class Effect(StrEnum):
    """How much an operation changes; MCP annotations and confirmation policy follow from it."""

    READ = "read"
    WRITE = "write"
    DESTRUCTIVE = "destructive"


class Input(BaseModel):
    """Base of inputs: camelCase outside, snake_case inside, unknown fields refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    @property
    def takes_all(self) -> bool:
        """Whether the call acts on all that is not left out: then a field that it does not have is never dropped."""
        return False


class Selection(Input):
    """Base of what chooses the things that a call acts on. A field that it does not have is refused at every door, and
    so is a blank value: dropped, they would widen the choice. Null is the same as leaving the field out."""

    @property
    def chooses(self) -> bool:
        """Whether any field has a value; without one, nothing is left out."""
        return any(getattr(self, name) not in (None, []) for name in type(self).model_fields)


def _write_instants(part: Any) -> None:
    """Gives every instant in a schema the form it has at the doors; the models inside have theirs already."""
    if isinstance(part, dict):
        written = _WRITTEN.get(kind) if isinstance(kind := part.get("type"), str) else None
        if written is not None:
            part.setdefault("serialization", written)
        for inner in part.values():
            _write_instants(inner)
    elif isinstance(part, list | tuple):
        for inner in part:
            _write_instants(inner)


class Output(BaseModel):
    """Base of outputs: every field is always present (null allowed), so clients may rely on it. Instants have
    milliseconds and a Z at every door."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The model's schema, with one way to write instants."""
        schema = handler(source)
        _write_instants(schema)
        return schema


@dataclass(frozen=True, slots=True)
class Rest:
    """Where an operation lives at /v1.

    ``aliases``: further paths. ``file_field``: the multipart field that carries a file. ``waits_for_job``: the answer
    is the finished job's result, not its id.
    """

    method: Literal["GET", "POST", "PATCH", "PUT", "DELETE"]
    path: str
    aliases: tuple[str, ...] = ()
    file_field: str | None = None
    waits_for_job: bool = False
    status: int = 200


@dataclass(frozen=True, slots=True)
class Operation:
    """One entry of the catalogue: what a function is called, may do, takes and gives, wherever it is reached from.

    Exactly one of ``run`` (one transaction) and ``run_outside`` (the network, or several transactions) is set.
    ``toolset``: what a credential or an address can be narrowed to. ``audit``: effect, if the record of the call is
    written in the transaction of its effect; ends, if one is written before and one after. ``undo``: takes its effect
    back. ``sensitive``: its output is shown once and never kept. ``keywords``: what people call it in other words than
    its texts; only search reads them. ``short``: it reads a few rows by their keys, see Database.read.
    """

    name: str
    title: str
    description: str
    feature: str
    toolset: str
    effect: Effect
    scope: Scope
    idempotent: bool
    core: bool
    key: Literal["either", "platform"]
    rest: Rest
    aliases: tuple[str, ...]
    input: type[Input]
    output: type[BaseModel]
    open_world: bool
    confirm: Confirm | None
    undo: Undoer | None
    audit: Literal["effect", "ends"]
    sensitive: bool
    keywords: str
    short: bool
    run: Callable[[Context, Any], BaseModel] | None
    run_outside: Callable[[OutsideContext, Any], Awaitable[BaseModel]] | None


def operation_of(function: Callable[..., Any]) -> Operation:
    """What ``function`` is declared as."""
    declared: Operation = getattr(function, ATTRIBUTE)
    return declared


F = TypeVar("F", bound=Callable[..., Any])
ATTRIBUTE = "__postrider_operation__"


def operation(
    *,
    title: str,
    effect: Effect,
    rest: Rest,
    scope: Scope | None = None,
    idempotent: bool | None = None,
    core: bool = False,
    key: Literal["either", "platform"] = "either",
    aliases: tuple[str, ...] = (),
    open_world: bool | None = None,
    toolset: str | None = None,
    confirm: Confirm | None = None,
    undo: Undoer | None = None,
    audit: Literal["effect", "ends"] | None = None,
    sensitive: bool = False,
    keywords: str = "",
    short: bool = False,
) -> Callable[[F], F]:
    """Declares the decorated function as an operation; its docstring is the description every door shows.

    The scope bundle defaults to read, prepare or delete by ``effect``; reads and deletes count as idempotent; what
    takes an OutsideContext is open world unless said otherwise (an import runs many transactions, but no network).
    The toolset is the feature. See Operation for the rest.
    """

    def declare(function: F) -> F:
        hints = get_type_hints(function)
        context, input_model = list(hints.values())[:2]
        outside = context is OutsideContext
        if outside != inspect.iscoroutinefunction(function):
            raise TypeError(f"{function.__name__}: OutsideContext goes with async def, Context with def")
        if not inspect.getdoc(function):
            raise TypeError(f"{function.__name__}: an operation needs a docstring; it is product text")
        default_scope: dict[Effect, Scope] = {
            Effect.READ: "read",
            Effect.WRITE: "prepare",
            Effect.DESTRUCTIVE: "delete",
        }
        declared = Operation(
            name=function.__name__,
            title=title,
            description=inspect.getdoc(function) or "",
            feature=(feature := function.__module__.split(".")[1]),
            toolset=toolset or feature,
            effect=effect,
            scope=scope or default_scope[effect],
            idempotent=effect is not Effect.WRITE if idempotent is None else idempotent,
            core=core,
            key=key,
            rest=rest,
            aliases=aliases,
            input=input_model,
            output=hints["return"],
            open_world=outside if open_world is None else open_world,
            confirm=confirm,
            undo=undo,
            audit=audit or ("ends" if outside else "effect"),
            sensitive=sensitive,
            keywords=keywords,
            short=short,
            run=None if outside else function,
            run_outside=function if outside else None,
        )
        setattr(function, ATTRIBUTE, declared)
        return function

    return declare
