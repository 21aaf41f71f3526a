"""The projection of the catalogue: every operation as a tool, and some of them as resources."""

import difflib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    TextResourceContents,
)

from postrider.catalogue import Catalogue
from postrider.dispatch import Call, Dispatcher
from postrider.doors.mcp import answers
from postrider.doors.mcp.resources import (
    MIME_TYPE,
    describe_family,
    describe_resource,
    served_addresses,
)
from postrider.doors.mcp.server import RequestContext
from postrider.doors.mcp.surface import Surface, callable_operation, listed_operations
from postrider.doors.mcp.text import error_facts
from postrider.doors.mcp.tools import describe_tool
from postrider.kernel.context import Actor, Progress
from postrider.kernel.errors import PostriderError
from postrider.kernel.operation import Effect, Operation
from postrider.kernel.page import PageInput

ActorOf = Callable[[RequestContext], Actor]

_MOST_ATTEMPTS: Final = 3


def describe_tools(surface: Surface, catalogue: Catalogue) -> ListToolsResult:
    """What ``tools/list`` shows on ``surface``."""
    return ListToolsResult(tools=[describe_tool(operation) for operation in listed_operations(surface, catalogue)])


class Projection:
    """The handlers of one surface, with the authority of ``actor_of(request)``. See Handlers.

    Its lists are made once: they depend on the surface alone. ``tools``: its list of them, where that is known already.
    """

    def __init__(
        self, dispatcher: Dispatcher, surface: Surface, actor_of: ActorOf, tools: ListToolsResult | None = None
    ) -> None:
        self._dispatcher = dispatcher
        self._surface = surface
        self._actor_of = actor_of
        self.tools = tools or describe_tools(surface, dispatcher.catalogue)
        self._addresses = served_addresses(dispatcher.catalogue)
        single = [describe_resource(address) for address in self._addresses if not address.is_family]
        families = [describe_family(address) for address in self._addresses if address.is_family]
        self._resources = ListResourcesResult(resources=single)
        self._families = ListResourceTemplatesResult(resource_templates=families)

    async def list_tools(self, ctx: RequestContext, params: PaginatedRequestParams | None) -> ListToolsResult:
        return self.tools

    async def list_resources(self, ctx: RequestContext, params: PaginatedRequestParams | None) -> ListResourcesResult:
        return self._resources

    async def list_families(
        self, ctx: RequestContext, params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        return self._families

    async def call_tool(self, ctx: RequestContext, params: CallToolRequestParams) -> CallToolResult:
        """The operation's result; what goes wrong in it is a result too, which the model gets to read."""
        operation = callable_operation(self._surface, self._dispatcher.catalogue, params.name)
        if operation is None:
            raise MCPError(code=INVALID_PARAMS, message=self._no_such_tool(params.name))
        call = Call(operation.name, params.arguments or {}, self._actor_of(ctx), progress=_progress(ctx))
        try:
            return await self._answer(operation, call)
        except PostriderError as error:
            return answers.error(error)
        except Exception:
            return answers.error(answers.crash(operation.name))

    async def _answer(self, operation: Operation, call: Call) -> CallToolResult:
        """A result within its budget: a page that is too long is asked for again, shorter."""
        draft = answers.draft((await self._dispatcher.call(call)).output, operation.output)
        note = None
        for _ in range(_MOST_ATTEMPTS):
            if draft.fits or not _can_shrink(operation, draft):
                break
            limit = draft.smaller_limit()
            page = call.arguments.get("page")
            if isinstance(page, int) and page > 1:
                raise answers.page_too_large(page, limit)
            smaller = replace(call, arguments={**call.arguments, "limit": limit})
            draft = answers.draft((await self._dispatcher.call(smaller)).output, operation.output)
            note = f"The limit was lowered to {limit}, so that the answer stays short."
        return answers.result(draft, note)

    async def read_resource(self, ctx: RequestContext, params: ReadResourceRequestParams) -> ReadResourceResult:
        """The output of the operation behind the address, as JSON."""
        actor = self._actor_of(ctx)
        for address in self._addresses:
            arguments = address.arguments(params.uri, actor.workspace_id)
            if arguments is not None:
                output = await self._read(Call(address.operation, arguments, actor), params.uri)
                return ReadResourceResult(
                    contents=[TextResourceContents(uri=params.uri, mime_type=MIME_TYPE, text=output)]
                )
        known = ", ".join(address.template for address in self._addresses)
        message = f"There is no resource {params.uri!r}. The addresses are: {known or 'none yet'}."
        raise MCPError(code=INVALID_PARAMS, message=message, data={"uri": params.uri})

    async def _read(self, call: Call, uri: str) -> str:
        try:
            output = answers.structured((await self._dispatcher.call(call)).output)
        except PostriderError as error:
            facts = {"code": error.error_code, "hint": error.hint, "details": error_facts(error), "uri": uri}
            raise MCPError(code=INVALID_PARAMS, message=error.message, data=facts) from None
        except Exception:
            crash = answers.crash(call.operation)
            raise MCPError(code=INTERNAL_ERROR, message=crash.message, data=error_facts(crash)) from None
        return json.dumps(output, ensure_ascii=False, separators=(",", ":"))

    def _no_such_tool(self, name: str) -> str:
        near = difflib.get_close_matches(name, [tool.name for tool in self.tools.tools], n=1)
        return f"Unknown tool: {name[:100]}" + (f" (did you mean {near[0]}?)" if near else " (see tools/list)")


def _can_shrink(operation: Operation, draft: answers.Draft) -> bool:
    """Only a read that pages can be asked again for less."""
    items = draft.output.get("items")
    pages = operation.effect is Effect.READ and issubclass(operation.input, PageInput)
    return pages and isinstance(items, list) and len(items) > 1


def _progress(ctx: RequestContext) -> Progress:
    """Reports to the caller; silent when it did not ask."""

    async def report(done: int, total: int | None, message: str) -> None:
        await ctx.session.report_progress(done, total, message)

    return report
