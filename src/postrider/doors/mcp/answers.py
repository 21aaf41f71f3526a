"""What a tool call answers: the structured output with a short text, or an error that teaches; never too much of it."""

import os
from dataclasses import dataclass
from typing import Any, Final

from mcp_types import CallToolResult, TextContent
from pydantic import BaseModel

from postrider.dispatch import Answer
from postrider.doors.mcp.fitting import fit, size_of
from postrider.doors.mcp.marks import marks_of
from postrider.doors.mcp.text import error_facts, error_text, result_text
from postrider.kernel.errors import InvalidInput, PostriderError
from postrider.kernel.ids import encode_bits

MAX_RESULT_BYTES: Final = 25_000
"""Of text and structured part together."""

LEAST_TEXT_BYTES: Final = 8_000
"""Of the text, where the structured part leaves less."""

_ENVELOPE_BYTES: Final = 500
ERROR_META: Final = "postrider/error"
UNDO_META: Final = "postrider/undoId"
REPLAYED_META: Final = "postrider/idempotentReplayed"


@dataclass(frozen=True, slots=True)
class Draft:
    """An operation's output on its way out: every declared field by its outside name, the words for it, their size."""

    output: dict[str, Any]
    text: str
    size_bytes: int

    @property
    def fits(self) -> bool:
        """Whether it may go out as it is."""
        return self.size_bytes <= MAX_RESULT_BYTES

    def smaller_limit(self) -> int:
        """How many of its rows would fit, with a tenth to spare; at least one."""
        rows = len(self.output["items"])
        return max(1, min(rows - 1, rows * MAX_RESULT_BYTES * 9 // (self.size_bytes * 10)))


def structured(output: BaseModel) -> dict[str, Any]:
    """Every declared field by its outside name; null where there is nothing."""
    return output.model_dump(mode="json", by_alias=True)


def draft(output: BaseModel, declared: type[BaseModel] | None = None) -> Draft:
    """What would be sent for ``output``. ``declared``: what the operation says it gives, if it says more than the type
    of ``output``: of a page, what its items are."""
    fields = structured(output)
    size = size_of(fields) + _ENVELOPE_BYTES
    text = result_text(fields, marks_of(declared or type(output)), max(LEAST_TEXT_BYTES, MAX_RESULT_BYTES - size))
    return Draft(fields, text, size + len(text.encode()))


def result(draft: Draft, note: str | None = None) -> CallToolResult:
    """A result within its budget. ``note``: a line for the agent, after the text."""
    output, text = draft.output, draft.text
    if not draft.fits:
        output, notes = fit(output, MAX_RESULT_BYTES - 2 * _ENVELOPE_BYTES - len(text.encode()))
        text = "\n".join((text, *notes))
    if note:
        text += f"\n{note}"
    return CallToolResult(content=[TextContent(text=text)], structured_content=output)


def with_outcome(result: CallToolResult, answer: Answer) -> CallToolResult:
    """The result with what is to be said of its call: how to take it back, and that it was done before."""
    meta, lines = dict[str, Any](), list[str]()
    if answer.undo_id is not None:
        meta[UNDO_META] = answer.undo_id
        lines.append(f"To take this back within 24 hours: undo_operation with id {answer.undo_id}")
    if answer.replayed:
        meta[REPLAYED_META] = True
        lines.append("This was done before: it is the answer of the first call with the same idempotency key.")
    if not meta:
        return result
    content = [*result.content, TextContent(text="\n".join(lines))]
    return result.model_copy(update={"content": content, "meta": {**(result.meta or {}), **meta}})


def error(failure: PostriderError) -> CallToolResult:
    """An error an agent can act on.

    Its facts for programs are in ``_meta``: clients check any structured content against the tool's output schema.
    """
    facts = {
        "code": failure.error_code,
        "message": failure.message,
        "hint": failure.hint,
        "details": error_facts(failure),
    }
    return CallToolResult(content=[TextContent(text=error_text(failure))], is_error=True, _meta={ERROR_META: facts})


def incident(name: str) -> str:
    """Logs the exception being handled whole, under a fresh id, and gives the id: all that the caller may know."""
    # Imported here: it is needed once in a blue moon, and costs a tenth of the start.
    import structlog

    found = encode_bits(int.from_bytes(os.urandom(5), "big"), 8)
    structlog.get_logger("postrider.mcp").error("operation_crashed", incident=found, operation=name, exc_info=True)
    return found


def crash(name: str) -> PostriderError:
    """What the caller is told of a bug: an id to quote, nothing of the exception."""
    found = incident(name)
    return PostriderError(
        f"Something went wrong inside Postrider. Incident {found}.",
        hint="Look at what was done before you call again; whoever runs this server finds the cause under that id.",
        details={"incident": found},
    )


def page_too_large(page: int, limit: int) -> InvalidInput:
    """Pages by number cannot be made smaller silently: other rows would be on them."""
    return InvalidInput(
        f"Page {page} does not fit into one answer of {MAX_RESULT_BYTES // 1000} kB.",
        field="limit",
        hint=f"Call again with limit={limit}, and follow nextCursor instead of page numbers.",
    )
