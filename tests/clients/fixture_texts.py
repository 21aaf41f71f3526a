"""The prompts and resources that the conformance suite asks for by name."""

import json
import re
from typing import Final

from mcp_types import (
    BlobResourceContents,
    ContentBlock,
    ElicitResult,
    EmbeddedResource,
    GetPromptRequestParams,
    GetPromptResult,
    ImageContent,
    InputRequiredResult,
    Prompt,
    PromptArgument,
    PromptMessage,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextContent,
    TextResourceContents,
)

from tests.clients.fixture_questions import text_form
from tests.clients.fixture_tools import PNG

PROMPTS: Final = tuple(
    Prompt(
        name=name,
        description=f"The suite's {name}.",
        arguments=[PromptArgument(name=argument, description="A text.", required=True) for argument in arguments],
    )
    for name, arguments in {
        "test_simple_prompt": (),
        "test_prompt_with_arguments": ("arg1", "arg2"),
        "test_prompt_with_embedded_resource": ("resourceUri",),
        "test_prompt_with_image": (),
        "test_input_required_result_prompt": (),
    }.items()
)

RESOURCES: Final = (
    Resource(uri="test://static-text", name="static-text", description="A text.", mime_type="text/plain"),
    Resource(uri="test://static-binary", name="static-binary", description="A picture.", mime_type="image/png"),
    Resource(uri="test://watched-resource", name="watched", description="A watched text.", mime_type="text/plain"),
)

TEMPLATES: Final = (
    ResourceTemplate(
        uri_template="test://template/{id}/data", name="template", description="Data.", mime_type="application/json"
    ),
)


def prompt(params: GetPromptRequestParams) -> GetPromptResult | InputRequiredResult | None:
    """What a prompt of the suite says; None for a name that is not one."""
    given = params.arguments or {}
    match params.name:
        case "test_simple_prompt":
            return _messages(TextContent(text="This is a simple prompt for testing."))
        case "test_prompt_with_arguments":
            text = f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'"
            return _messages(TextContent(text=text))
        case "test_prompt_with_embedded_resource":
            text = "Embedded resource content for testing."
            embedded = TextResourceContents(uri=given["resourceUri"], mime_type="text/plain", text=text)
            question = TextContent(text="Please process the embedded resource above.")
            return _messages(EmbeddedResource(resource=embedded), question)
        case "test_prompt_with_image":
            image = ImageContent(data=PNG, mime_type="image/png")
            return _messages(image, TextContent(text="Please analyze the image above."))
        case "test_input_required_result_prompt":
            return _asking_prompt(params)
    return None


def _asking_prompt(params: GetPromptRequestParams) -> GetPromptResult | InputRequiredResult:
    answer = (params.input_responses or {}).get("user_context")
    if not isinstance(answer, ElicitResult) or answer.content is None:
        question = text_form("What context should the prompt use?", "context")
        return InputRequiredResult(input_requests={"user_context": question})
    return _messages(TextContent(text=f"Use this context: {answer.content['context']}"))


def _messages(*content: ContentBlock) -> GetPromptResult:
    return GetPromptResult(messages=[PromptMessage(role="user", content=block) for block in content])


def resource(uri: str) -> ReadResourceResult | None:
    """What stands at an address of the suite; None for an address that is not one."""
    if uri == "test://static-binary":
        return ReadResourceResult(contents=[BlobResourceContents(uri=uri, mime_type="image/png", blob=PNG)])
    texts = {
        "test://static-text": "This is the content of the static text resource.",
        "test://watched-resource": "This is watched.",
    }
    if uri in texts:
        return _text(uri, "text/plain", texts[uri])
    if found := re.fullmatch(r"test://template/([^/]+)/data", uri):
        data = {"id": found[1], "templateTest": True, "data": f"Data for ID: {found[1]}"}
        return _text(uri, "application/json", json.dumps(data))
    return None


def _text(uri: str, mime_type: str, text: str) -> ReadResourceResult:
    return ReadResourceResult(contents=[TextResourceContents(uri=uri, mime_type=mime_type, text=text)])
