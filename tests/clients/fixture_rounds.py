"""Fixture tools that ask through their results and are called again with the answers (2026-07-28)."""

from typing import Any, Final

from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ClientCapabilities,
    CreateMessageResult,
    ElicitationCapability,
    ElicitResult,
    InputRequests,
    InputRequiredResult,
    ListRootsResult,
    RootsCapability,
    SamplingCapability,
    TextContent,
)

from postrider.doors.mcp.server import RequestContext
from tests.clients.fixture_questions import form, roots, sampling, schema_of, text_form

Answers = dict[str, Any]
_OK: Final = form("Please confirm", schema_of({"ok": {"type": "boolean"}}, "ok"))
_STATE: Final = "waiting for the answer"


def done(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=text)])


def answered(params: CallToolRequestParams, name: str, kind: type[Any]) -> Any:
    """The client's answer to the question ``name``; None when there is none of that kind."""
    answer = (params.input_responses or {}).get(name)
    if not isinstance(answer, kind):
        return None
    if isinstance(answer, ElicitResult) and (answer.action != "accept" or answer.content is None):
        return None
    return answer


async def ask_name(ctx: RequestContext, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
    answer = answered(params, "user_name", ElicitResult)
    if answer is None or not isinstance(answer.content.get("name"), str):
        return InputRequiredResult(input_requests={"user_name": text_form("What is your name?", "name")})
    return done(f"Hello, {answer.content['name']}!")


async def ask_model(ctx: RequestContext, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
    answer = answered(params, "capital_question", CreateMessageResult)
    if answer is None:
        question = sampling("What is the capital of France?", 100)
        return InputRequiredResult(input_requests={"capital_question": question})
    return done(f"The model says: {answer.content.text}")


async def ask_roots(ctx: RequestContext, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
    answer = answered(params, "client_roots", ListRootsResult)
    if answer is None:
        return InputRequiredResult(input_requests={"client_roots": roots()})
    return done(f"The roots are: {', '.join(str(root.uri) for root in answer.roots)}")


async def keep_state(ctx: RequestContext, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
    """Believes an answer only beside the state that it gave out."""
    if answered(params, "confirm", ElicitResult) is None or params.request_state != _STATE:
        return InputRequiredResult(input_requests={"confirm": _OK}, request_state=_STATE)
    return done("state-ok")


async def ask_everything(ctx: RequestContext, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
    questions: InputRequests = {
        "user_name": text_form("What is your name?", "name"),
        "greeting": sampling("Generate a greeting", 50),
        "client_roots": roots(),
    }
    kinds = {"user_name": ElicitResult, "greeting": CreateMessageResult, "client_roots": ListRootsResult}
    if any(answered(params, name, kind) is None for name, kind in kinds.items()):
        return InputRequiredResult(input_requests=questions, request_state=_STATE)
    return done("Everything is answered.")


async def ask_twice(ctx: RequestContext, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
    first, second = answered(params, "step1", ElicitResult), answered(params, "step2", ElicitResult)
    if params.request_state == "step 2" and second is not None:
        return done(f"Your favorite color is {second.content['color']}.")
    if params.request_state == "step 1" and first is not None:
        question = text_form("Step 2: What is your favorite color?", "color")
        return InputRequiredResult(input_requests={"step2": question}, request_state="step 2")
    question = text_form("Step 1: What is your name?", "name")
    return InputRequiredResult(input_requests={"step1": question}, request_state="step 1")


async def ask_what_the_client_can(
    ctx: RequestContext, params: CallToolRequestParams
) -> CallToolResult | InputRequiredResult:
    """Asks only what the client has said that it can answer."""
    possible: list[tuple[str, ClientCapabilities, Any]] = [
        ("ask_person", ClientCapabilities(elicitation=ElicitationCapability()), text_form("Who are you?", "name")),
        ("ask_model", ClientCapabilities(sampling=SamplingCapability()), sampling("Say hello.", 20)),
        ("ask_roots", ClientCapabilities(roots=RootsCapability()), roots()),
    ]
    able: InputRequests = {
        name: question for name, needs, question in possible if ctx.session.check_client_capability(needs)
    }
    return InputRequiredResult(input_requests=able, request_state=_STATE)


TOOLS: Final = {
    "test_input_required_result_elicitation": ask_name,
    "test_input_required_result_sampling": ask_model,
    "test_input_required_result_list_roots": ask_roots,
    "test_input_required_result_request_state": keep_state,
    "test_input_required_result_tampered_state": keep_state,
    "test_input_required_result_multiple_inputs": ask_everything,
    "test_input_required_result_multi_round": ask_twice,
    "test_input_required_result_capabilities": ask_what_the_client_can,
}
