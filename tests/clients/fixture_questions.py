"""What the fixture tools ask a client: forms for the person, a prompt for its model, its folders."""

from typing import Any, Final

from mcp_types import (
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    ListRootsRequest,
    SamplingMessage,
    TextContent,
)


def schema_of(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def form(message: str, schema: dict[str, Any]) -> ElicitRequest:
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def sampling(prompt: str, max_tokens: int) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=TextContent(text=prompt))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=max_tokens))


def roots() -> ListRootsRequest:
    return ListRootsRequest()


def text_form(message: str, field: str) -> ElicitRequest:
    """A form with one required text field."""
    return form(message, schema_of({field: {"type": "string"}}, field))


PERSON_SCHEMA: Final = schema_of(
    {
        "username": {"type": "string", "description": "User's response"},
        "email": {"type": "string", "description": "User's email address"},
    },
    "username",
    "email",
)

DEFAULTS_SCHEMA: Final = schema_of(
    {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    }
)


def _titled(titles: tuple[str, ...]) -> list[dict[str, str]]:
    return [{"const": f"value{number}", "title": title} for number, title in enumerate(titles, start=1)]


_OPTIONS: Final = ["option1", "option2", "option3"]
_FIRST: Final = ("First Option", "Second Option", "Third Option")
_CHOICES: Final = ("First Choice", "Second Choice", "Third Choice")
_NAMES: Final = ["Option One", "Option Two", "Option Three"]

ENUMS_SCHEMA: Final = schema_of(
    {
        "untitledSingle": {"type": "string", "enum": _OPTIONS},
        "titledSingle": {"type": "string", "oneOf": _titled(_FIRST)},
        "legacyEnum": {"type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": _NAMES},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": _OPTIONS}},
        "titledMulti": {"type": "array", "items": {"anyOf": _titled(_CHOICES)}},
    }
)
