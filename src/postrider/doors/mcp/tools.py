"""An operation as a tool: its name, words, schemas and annotations."""

from mcp_types import Tool, ToolAnnotations

from postrider.doors.mcp.schema import input_schema, output_schema
from postrider.kernel.operation import Effect, Operation


def describe_tool(operation: Operation) -> Tool:
    """The entry of ``tools/list``: every annotation is set, so that no client has to guess one."""
    return Tool(
        name=operation.name,
        title=operation.title,
        description=operation.description,
        input_schema=input_schema(operation.input),
        output_schema=output_schema(operation.output),
        annotations=ToolAnnotations(
            title=operation.title,
            read_only_hint=operation.effect is Effect.READ,
            destructive_hint=operation.effect is Effect.DESTRUCTIVE,
            idempotent_hint=operation.idempotent,
            open_world_hint=operation.open_world,
        ),
    )
