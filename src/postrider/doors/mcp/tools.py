"""An operation as a tool: its name, words, schemas and annotations."""

from functools import lru_cache

from mcp_types import Tool, ToolAnnotations

from postrider.doors.mcp.brief import Brief
from postrider.doors.mcp.schema import operation_input, output_schema
from postrider.doors.mcp.views.registry import tool_meta
from postrider.kernel.operation import Effect, Operation


@lru_cache(maxsize=500)
def describe_tool(operation: Operation) -> Tool:
    """The entry of ``tools/list``: every annotation is set, so that no client has to guess one."""
    return Tool(
        name=operation.name,
        title=operation.title,
        description=operation.description,
        input_schema=operation_input(operation),
        output_schema=output_schema(operation.output),
        annotations=ToolAnnotations(
            title=operation.title,
            read_only_hint=operation.effect is Effect.READ,
            destructive_hint=operation.effect is Effect.DESTRUCTIVE,
            idempotent_hint=operation.idempotent,
            open_world_hint=operation.open_world,
        ),
        _meta=tool_meta(operation.name),
    )


def describe_in_brief(operation: Operation, listed: Brief) -> Tool:
    """The entry of a list that has to stay short. ``listed``: what stands before it there.

    It has no output schema: results carry the same structured part without one, and models are not shown it.
    """
    tool = describe_tool(operation)
    schema = listed.of(tool.name, tool.input_schema)
    return tool.model_copy(update={"input_schema": schema, "output_schema": None})
