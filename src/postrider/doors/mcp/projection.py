"""The projection of the catalogue: operations as tools, some of them as resources, and recipes that name them."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, Final

from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    CompleteRequestParams,
    CompleteResult,
    EmptyResult,
    GetPromptRequestParams,
    GetPromptResult,
    InputRequiredResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    TextResourceContents,
    UnsubscribeRequestParams,
)
from starlette.requests import Request

from postrider.analytics.pulses import Topic
from postrider.catalogue import Catalogue
from postrider.dispatch import Call
from postrider.doors.installation import Installation
from postrider.doors.mcp import answers, confirming, running, subscriptions
from postrider.doors.mcp.brief import Brief
from postrider.doors.mcp.completion import Completer
from postrider.doors.mcp.fitting import fit
from postrider.doors.mcp.marks import untrusted_paths
from postrider.doors.mcp.prompts import described_prompts, filled_in
from postrider.doors.mcp.resources import (
    MIME_TYPE,
    Address,
    describe_family,
    describe_resource,
    served_addresses,
)
from postrider.doors.mcp.searching import Index, nearest_names
from postrider.doors.mcp.server import RequestContext
from postrider.doors.mcp.surface import MAIN, Surface, callable_operation, listed_operations
from postrider.doors.mcp.text import error_facts
from postrider.doors.mcp.tools import describe_in_brief, describe_tool
from postrider.doors.mcp.views.registry import read_view, view_resources
from postrider.doors.oauth.issuer import base_of
from postrider.kernel.context import Actor, Progress
from postrider.kernel.errors import PostriderError
from postrider.kernel.operation import Effect, Operation
from postrider.kernel.page import PageInput

ActorOf = Callable[[RequestContext], Actor]
SurfaceOf = Callable[[RequestContext], Surface]

UNTRUSTED_META: Final = "postrider/untrusted"
"""Of a resource: where in it the words of other people and their servers stand: data, not instructions."""

LEFT_OUT_META: Final = "postrider/leftOut"
_MOST_ATTEMPTS: Final = 3


def describe_tools(surface: Surface, catalogue: Catalogue) -> ListToolsResult:
    """What ``tools/list`` shows on ``surface``."""
    listed = listed_operations(surface, catalogue)
    if not surface.brief:
        return ListToolsResult(tools=[describe_tool(operation) for operation in listed])
    brief = Brief()
    return ListToolsResult(
        tools=[*(describe_in_brief(operation, brief) for operation in listed), *running.door_tools()]
    )


class Projection:
    """The handlers of an installation, with the authority of ``actor_of(request)``. See Handlers.

    ``surface``: the one that is served, or how to tell it from a request: every message has the powers of the address
    that it came to. ``tools``: the list of the main surface, where that is known already.
    """

    def __init__(
        self,
        installation: Installation,
        surface: Surface | SurfaceOf,
        actor_of: ActorOf,
        tools: ListToolsResult | None = None,
    ) -> None:
        self._dispatcher = installation.dispatcher
        self._settings = installation.settings
        self._catalogue = installation.dispatcher.catalogue
        self._surface_of: SurfaceOf = (lambda ctx: surface) if isinstance(surface, Surface) else surface
        self._actor_of = actor_of
        self._main_tools = tools or describe_tools(MAIN, self._catalogue)
        self._completer = Completer(installation.database, self._catalogue)
        self._watch = subscriptions.Watch(installation.database)
        self._sessions = subscriptions.SessionSubscriptions(self._watch)

    @cached_property
    def _index(self) -> Index:
        return Index(self._catalogue)

    async def list_tools(self, ctx: RequestContext, params: PaginatedRequestParams | None) -> ListToolsResult:
        surface = self._surface_of(ctx)
        if surface is MAIN:
            return self._main_tools
        # Schemas are written when they are first listed. In a thread: nobody else's call waits for that.
        return await asyncio.to_thread(describe_tools, surface, self._catalogue)

    async def call_tool(
        self, ctx: RequestContext, params: CallToolRequestParams
    ) -> CallToolResult | InputRequiredResult:
        """The operation's result, or a question to the person; what goes wrong is a result too, for the model."""
        name, arguments = params.name, params.arguments or {}
        try:
            if self._surface_of(ctx).brief and name in running.DOOR_TOOLS:
                if name == running.SEARCH:
                    # The first one makes the index. In a thread, as the lists are.
                    return await asyncio.to_thread(lambda: running.search(self._index, self._catalogue, arguments))
                operation, arguments = running.target(name, arguments, self._catalogue)
            else:
                operation = self._named(ctx, name)
            call = Call(
                operation.name,
                arguments,
                self._actor_of(ctx),
                progress=_progress(ctx),
                idempotency_key=confirming.idempotency_key_of(ctx),
                request_id=confirming.request_id_of(ctx),
                base_url=self._base_of(ctx),
            )
            answer, decline = partial(self._answer, operation), self._dispatcher.decline
            return await confirming.with_questions(ctx, params, operation, call, answer, decline)
        except MCPError:
            raise
        except PostriderError as error:
            return answers.error(error)
        except Exception:
            return answers.error(answers.crash(name))

    async def _answer(self, operation: Operation, call: Call) -> CallToolResult:
        """A result within its budget: a page that is too long is asked for again, shorter."""
        answer = await self._dispatcher.call(call)
        draft = answers.draft(answer.output, operation.output)
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
        return answers.with_outcome(answers.result(draft, note), answer)

    def _base_of(self, ctx: RequestContext) -> str | None:
        """The address that the caller came to; None on stdio."""
        return base_of(self._settings, ctx.request) if isinstance(ctx.request, Request) else None

    def _named(self, ctx: RequestContext, name: str) -> Operation:
        """The operation of a tool's name. Raises: MCPError where the surface does not have it."""
        surface = self._surface_of(ctx)
        operation = callable_operation(surface, self._catalogue, name)
        if operation is not None:
            return operation
        callables = Catalogue(each for each in self._catalogue if surface.calls(each))
        near = nearest_names(name, callables, running.DOOR_TOOLS if surface.brief else (), most=1)
        hint = f" (did you mean {near[0]}?)" if near else " (see tools/list)"
        raise MCPError(code=INVALID_PARAMS, message=f"Unknown tool: {name[:100]}{hint}")

    async def list_resources(self, ctx: RequestContext, params: PaginatedRequestParams | None) -> ListResourcesResult:
        single = [describe_resource(address) for address in self._addresses(ctx) if not address.is_family]
        surface = self._surface_of(ctx)
        views = view_resources(lambda name: callable_operation(surface, self._catalogue, name) is not None)
        return ListResourcesResult(resources=[*single, *views])

    async def list_families(
        self, ctx: RequestContext, params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        families = [describe_family(address) for address in self._addresses(ctx) if address.is_family]
        return ListResourceTemplatesResult(resource_templates=families)

    async def read_resource(self, ctx: RequestContext, params: ReadResourceRequestParams) -> ReadResourceResult:
        """The output of the operation behind the address, as JSON; or a view."""
        if view := read_view(params.uri):
            return view
        operation, output = await self._read(ctx, params.uri)
        fitted = fit(output, answers.MAX_RESULT_BYTES)
        meta = {UNTRUSTED_META: list(untrusted_paths(operation.output)), LEFT_OUT_META: list(fitted.notes)}
        text = json.dumps(fitted.output, ensure_ascii=False, separators=(",", ":"))
        contents = TextResourceContents(
            uri=params.uri, mime_type=MIME_TYPE, text=text, _meta={name: said for name, said in meta.items() if said}
        )
        return ReadResourceResult(contents=[contents])

    async def list_prompts(self, ctx: RequestContext, params: PaginatedRequestParams | None) -> ListPromptsResult:
        return ListPromptsResult(prompts=described_prompts(self._surface_of(ctx), self._catalogue))

    async def get_prompt(self, ctx: RequestContext, params: GetPromptRequestParams) -> GetPromptResult:
        return filled_in(params.name, params.arguments, self._surface_of(ctx), self._catalogue)

    async def complete(self, ctx: RequestContext, params: CompleteRequestParams) -> CompleteResult:
        completion = await self._completer.complete(params, self._surface_of(ctx), self._actor_of(ctx))
        return CompleteResult(completion=completion)

    async def subscribe(self, ctx: RequestContext, params: SubscribeRequestParams) -> EmptyResult:
        topic = await self._watchable(ctx, params.uri)
        await self._sessions.add(ctx, self._actor_of(ctx).workspace_id, topic, params.uri)
        return EmptyResult()

    async def unsubscribe(self, ctx: RequestContext, params: UnsubscribeRequestParams) -> EmptyResult:
        self._sessions.remove(ctx, params.uri)
        return EmptyResult()

    async def listen(self, ctx: RequestContext, params: SubscriptionsListenRequestParams) -> SubscriptionsListenResult:
        wanted = list(dict.fromkeys(params.notifications.resource_subscriptions or ()))
        if len(wanted) > subscriptions.MOST_OF_ONE_CLIENT:
            message = f"A stream may watch {subscriptions.MOST_OF_ONE_CLIENT} addresses."
            raise MCPError(code=INVALID_PARAMS, message=message)
        workspace_id = self._actor_of(ctx).workspace_id
        addresses = [(workspace_id, await self._watchable(ctx, uri), uri) for uri in wanted]
        return await subscriptions.listen(ctx, params, self._watch, addresses)

    def _addresses(self, ctx: RequestContext) -> list[Address]:
        return served_addresses(self._surface_of(ctx), self._catalogue)

    def _place(self, ctx: RequestContext, uri: str) -> tuple[Address, dict[str, str]]:
        """The address that ``uri`` is, and what is filled in. Raises: MCPError."""
        addresses, workspace_id = self._addresses(ctx), self._actor_of(ctx).workspace_id
        for address in addresses:
            arguments = address.arguments(uri, workspace_id)
            if arguments is not None:
                return address, arguments
        known = ", ".join(address.template for address in addresses)
        message = f"There is no resource {uri[:200]!r}. The addresses are: {known or 'none yet'}."
        raise MCPError(code=INVALID_PARAMS, message=message, data={"uri": uri})

    async def _watchable(self, ctx: RequestContext, uri: str) -> Topic:
        """What to watch for ``uri``. Raises: MCPError for what the caller cannot read."""
        address, arguments = self._place(ctx, uri)
        await self._read(ctx, uri)
        return Topic(address.topic, arguments.get("id", "") if address.is_family else "")

    async def _read(self, ctx: RequestContext, uri: str) -> tuple[Operation, dict[str, Any]]:
        """What stands at ``uri``, and the operation that gave it. Raises: MCPError."""
        address, arguments = self._place(ctx, uri)
        operation = self._catalogue.find(address.operation)
        assert operation is not None  # of addresses, only those are served whose operation exists
        call = Call(address.operation, arguments, self._actor_of(ctx))
        try:
            return operation, answers.structured((await self._dispatcher.call(call)).output)
        except PostriderError as error:
            facts = {"code": error.error_code, "hint": error.hint, "details": error_facts(error), "uri": uri}
            raise MCPError(code=INVALID_PARAMS, message=error.message, data=facts) from None
        except Exception:
            crash = answers.crash(call.operation)
            raise MCPError(code=INTERNAL_ERROR, message=crash.message, data=error_facts(crash)) from None


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
