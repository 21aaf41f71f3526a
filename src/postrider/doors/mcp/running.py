"""The tools of the brief surface that find and run what it does not list. They are the door's own, no operations.

A run tool is a way to say a name: what it names has its own schema, scope, annotations, confirmation and audit.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from mcp_types import CallToolResult, TextContent, Tool, ToolAnnotations
from pydantic import Field
from pydantic_core import to_json

from postrider.catalogue import Catalogue
from postrider.doors.mcp.answers import MAX_RESULT_BYTES, structured
from postrider.doors.mcp.brief import argument_words
from postrider.doors.mcp.schema import input_schema, operation_input, output_schema
from postrider.doors.mcp.searching import Index, nearest_names
from postrider.doors.mcp.surface import toolsets
from postrider.kernel.errors import InvalidInput, NotFound
from postrider.kernel.operation import Effect, Input, Operation, Output
from postrider.kernel.validation import parse_strict

SEARCH: Final = "search_operations"
RUN_TOOLS: Final = {
    Effect.READ: "run_read_operation",
    Effect.WRITE: "run_write_operation",
    Effect.DESTRUCTIVE: "run_destructive_operation",
}
DOOR_TOOLS: Final = (SEARCH, *RUN_TOOLS.values())

_MOST_SCHEMA_BYTES: Final = MAX_RESULT_BYTES * 6 // 10
"""Of all schemas in one answer; the text beside them has to fit too."""

_FEW_SCHEMAS: Final = 3


class SearchOperations(Input):
    """What to look for."""

    query: Annotated[str, Field(min_length=1, max_length=500, description="What you want to do, in plain words.")]
    limit: Annotated[int, Field(ge=1, le=10, description="Matches at most.")] = 5
    toolset: Annotated[str | None, Field(max_length=60, description="Only in this one, such as leads.")] = None


class RunOperation(Input):
    """What to run."""

    operation: Annotated[str, Field(max_length=100, description="A name that search_operations gave.")]
    arguments: Annotated[dict[str, Any], Field(description="By the operation's inputSchema.")] = {}


class FoundOperation(Output):
    """One match. ``inputSchema`` is null where the answer has no room for it."""

    name: str
    title: str
    description: str
    effect: Effect
    scope: str
    toolset: str
    run_with: str
    input_schema: dict[str, Any] | None


class FoundOperations(Output):
    """The best match first."""

    items: list[FoundOperation]
    total: int


def door_tools() -> list[Tool]:
    """Their entries of ``tools/list``, in a fixed order."""
    return [
        _tool(
            SEARCH,
            "Search operations",
            "Find what can be done beyond the tools listed here: describe it in plain words, in English if you can. "
            "Gives names, what they do, and their whole input schemas; listed tools show theirs in brief. "
            "Call what you find with the run tool that it names, or by its own name.",
            SearchOperations,
            Effect.READ,
            FoundOperations,
        ),
        *(
            _tool(
                tool,
                f"Run a {effect.value} operation",
                f"Run an operation {_DOES[effect]}, by the name and with the arguments that search_operations gives.",
                RunOperation,
                effect,
            )
            for effect, tool in RUN_TOOLS.items()
        ),
    ]


_DOES: Final = {
    Effect.READ: "that only reads",
    Effect.WRITE: "that creates, changes or sends",
    Effect.DESTRUCTIVE: "that deletes or removes",
}


def _tool(
    name: str, title: str, description: str, takes: type[Input], effect: Effect, gives: type[Output] | None = None
) -> Tool:
    return Tool(
        name=name,
        title=title,
        description=description,
        input_schema=input_schema(takes),
        output_schema=output_schema(gives) if gives else None,
        annotations=ToolAnnotations(
            title=title,
            read_only_hint=effect is Effect.READ,
            destructive_hint=effect is Effect.DESTRUCTIVE,
            # Searching may be repeated and stays inside; what is run with the others may be anything of that effect.
            idempotent_hint=effect is Effect.READ,
            open_world_hint=name != SEARCH,
        ),
    )


def search(index: Index, catalogue: Catalogue, arguments: Mapping[str, Any]) -> CallToolResult:
    """The operations that fit a request best. Raises: InvalidInput, NotFound for an unknown toolset."""
    asked = parse_strict(SearchOperations, arguments)
    known = toolsets(catalogue)
    if asked.toolset is not None and asked.toolset not in known:
        raise NotFound(f"There is no toolset {asked.toolset[:60]!r}.", hint=f"The toolsets are {', '.join(known)}.")
    matches = [found for found in index.ranked(asked.query) if asked.toolset in (None, found.toolset)]
    shown = list(_found(matches[: asked.limit]))
    output = FoundOperations(items=shown, total=len(matches))
    text = "\n".join(map(_words, shown)) or "Nothing found. Say it in other words."
    return CallToolResult(content=[TextContent(text=text)], structured_content=structured(output))


def _found(matches: list[Operation]) -> list[FoundOperation]:
    room, found = _MOST_SCHEMA_BYTES, list[FoundOperation]()
    for place, operation in enumerate(matches):
        schema: dict[str, Any] | None = operation_input(operation)
        size = len(to_json(schema))
        if place and (size > room or place >= _FEW_SCHEMAS):
            schema = None
        else:
            room -= size
        found.append(_row(operation, schema))
    return found


def _row(operation: Operation, schema: dict[str, Any] | None) -> FoundOperation:
    return FoundOperation(
        name=operation.name,
        title=operation.title,
        description=operation.description.split("\n\n")[0].replace("\n", " "),
        effect=operation.effect,
        scope=operation.scope,
        toolset=operation.toolset,
        run_with=RUN_TOOLS[operation.effect],
        input_schema=schema,
    )


def _words(row: FoundOperation) -> str:
    """A match as a client reads it that shows its model nothing but text."""
    if row.input_schema is None:
        takes = f"search for {row.name} to see its arguments"
    else:
        takes = argument_words(row.input_schema) or "none"
    return (
        f"- {row.name} ({row.title}; {row.effect.value}, scope {row.scope}): {row.description}\n"
        f"  run with: {row.run_with}\n  arguments (* required): {takes}"
    )


def target(tool: str, arguments: Mapping[str, Any], catalogue: Catalogue) -> tuple[Operation, dict[str, Any]]:
    """The operation that a run tool is to run, and its arguments.

    Raises: InvalidInput, naming what to call instead: for a name that nothing has, or of another effect.
    """
    asked = parse_strict(RunOperation, arguments)
    operation = catalogue.find(asked.operation)
    if operation is None:
        near = " or ".join(nearest_names(asked.operation, catalogue))
        raise InvalidInput(
            f"There is no operation {asked.operation[:60]!r}.",
            field="operation",
            hint=(f"Did you mean {near}? " if near else "") + f"Look for it with {SEARCH}.",
        )
    right = RUN_TOOLS[operation.effect]
    if right != tool:
        raise InvalidInput(
            f"{operation.name} is a {operation.effect.value} operation; {tool} does not run it.",
            field="operation",
            hint=f"Call {right} with the same arguments.",
        )
    return operation, asked.arguments
