"""What strangers wrote comes out in marked fields only, in the text part behind fences, and in no error or log.

Every stored text of theirs holds a canary (strangers_world.py), and every operation is called.
"""

import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import pytest
from pydantic import BaseModel

from postrider.catalogue import load_catalogue
from postrider.dispatch import Call
from postrider.doors.mcp import answers
from postrider.doors.mcp.marks import Marks, marks_of
from postrider.doors.mcp.text import error_text
from postrider.kernel.errors import PostriderError
from postrider.logs import configure_logs
from postrider.storage.base import Base
from tests.conftest import Installation
from tests.contract.strangers_world import CANARY, OURS, STRANGERS, strangers_world, text_columns, unfriendly_ports

OPERATIONS: Final = {operation.name: operation for operation in load_catalogue()}
CSV: Final = f"email,{CANARY} column\nnew@rows.test,{CANARY} cell\n{CANARY} address,x\n"
STEP: Final = [{"type": "email", "subject": "Hi {{firstName}}", "body": "At {{companyName}}, {{missing}}"}]

CALLS: Final[tuple[tuple[str, dict[str, Any], str | None], ...]] = (
    ("list_campaigns", {}, None),
    ("get_campaign", {"id": "{camp}"}, None),
    ("preview_email", {"id": "{camp}", "sequenceStep": 0, "leadId": "{lead}", "mailboxId": "{mbx}"}, None),
    ("plan_campaign", {"id": "{camp}"}, None),
    ("explain_lead", {"id": "{camp}", "leadId": "{lead}"}, None),
    ("explain_lead", {"id": "{camp}", "leadId": "{bounced_lead}"}, None),
    ("list_campaign_leads", {"id": "{camp}"}, None),
    ("list_leads", {}, None),
    ("get_lead", {"id": "{lead}"}, None),
    ("list_mailboxes", {}, None),
    ("get_mailbox", {"id": "{mbx}"}, None),
    ("list_conversations", {}, None),
    ("get_conversation", {"id": "{conv}"}, None),
    ("get_conversation", {"id": "{conv}", "full": True}, None),
    ("list_scheduled_replies", {"id": "{conv}"}, None),
    ("list_tags", {}, None),
    ("list_dnc_entries", {}, None),
    ("list_agents", {}, None),
    ("generate_reply", {"conversationId": "{conv}"}, None),
    ("generate_reply", {"conversationId": "{bounced}"}, "ON_DNC"),
    ("get_campaign_analytics", {"id": "{camp}"}, None),
    ("get_campaign_performance", {"id": "{camp}"}, None),
    ("get_analytics_overview", {}, None),
    ("get_daily_analytics", {}, None),
    ("get_mailbox_analytics", {}, None),
    ("get_job", {"id": "{job}"}, None),
    ("send_reply", {"id": "{conv}", "body": "Hello"}, None),
    ("send_reply", {"id": "{conv}", "body": "Hello", "cc": ["lead1@lead1.test"]}, "ON_DNC"),
    ("send_reply", {"id": "{bounced}", "body": "Hello"}, "ON_DNC"),
    ("send_test_email", {"id": "{camp}", "sequenceStep": 0, "mailboxId": "{mbx}", "leadId": "{lead}"}, "SEND_REFUSED"),
    (
        "send_test_email",
        {"id": "{camp}", "sequenceStep": 0, "mailboxId": "{mbx}", "leadId": "{bounced_lead}"},
        "ON_DNC",
    ),
    ("cancel_scheduled_reply", {"id": "{conv}", "replyId": "{failed}"}, "CONFLICT"),
    ("cancel_scheduled_reply", {"id": "{conv}", "replyId": "{rep}"}, None),
    ("tag_conversation", {"conversationId": "{conv}", "aiTag": "interested"}, None),
    ("update_lead", {"id": "{lead}", "firstName": CANARY}, None),
    ("create_lead", {"email": "other@rows.test", "firstName": CANARY}, None),
    ("create_lead", {"email": "lead0@lead0.test"}, "CONFLICT"),
    (
        "add_leads_to_campaign",
        {"id": "{camp}", "leads": [{"email": CANARY}, {"email": "a@b.test", "city": [CANARY]}, {"email": "c@d.test"}]},
        None,
    ),
    ("import_leads_csv", {"csv": CSV}, None),
    ("import_leads_csv", {"csv": f"{CANARY} a,{CANARY} b\nx,y\n"}, "VALIDATION_ERROR"),
    ("import_campaign_leads_csv", {"id": "{camp}", "csv": CSV}, None),
    ("create_campaign", {"name": "New", "sequence": STEP, "settings": {"unknownVariables": "block_launch"}}, None),
    ("update_campaign", {"id": "{camp}", "sequence": STEP, "settings": {"unknownVariables": "block_launch"}}, None),
    ("start_campaign", {"id": "{camp}"}, "CAMPAIGN_NOT_READY"),
    ("update_campaign", {"id": "{camp}", "settings": {"unknownVariables": "hold"}}, None),
    ("start_campaign", {"id": "{camp}"}, None),
    ("explain_lead", {"id": "{camp}", "leadId": "{lead}"}, None),
    ("pause_campaign", {"id": "{camp}"}, None),
    ("resume_campaign", {"id": "{camp}"}, None),
    ("create_mailbox", {"email": "sender0@acme.test", "provider": "sandbox"}, "CONFLICT"),
    ("create_tag", {"name": "Later"}, None),
    ("create_agent", {"name": "Sam"}, None),
    ("add_dnc_entries", {"entries": [{"email": "gone@rows.test"}]}, None),
    ("cancel_job", {"id": "{job}"}, None),
    ("pause_workspace", {}, None),
    ("resume_workspace", {}, None),
    ("get_workspace", {}, None),
    ("list_api_keys", {}, None),
    ("create_api_key", {"name": "New", "scopes": ["read"]}, None),
    ("revoke_api_key", {"id": "{key}"}, None),
    ("list_connected_apps", {}, None),
    ("revoke_connected_app", {"id": "{grt}"}, None),
    ("list_approvals", {}, None),
    ("undo_operation", {"id": "{und}"}, "UNDO_EXPIRED"),
    ("mark_conversations_read", {"selectAll": True}, None),
    ("undo_operation", {"id": "{latest}"}, None),
    ("update_tag", {"name": "neutral", "color": "#111111"}, None),
    ("delete_tag", {"name": "interested"}, None),
    ("remove_dnc_entries", {"selectAll": True}, None),
    ("bulk_action_campaign_leads", {"id": "{camp}", "action": "pause", "selectAll": True}, None),
    ("delete_conversations", {"conversationIds": ["{bounced}"]}, None),
    ("delete_leads", {"leadIds": ["{lead}"]}, "LEADS_IN_ACTIVE_CAMPAIGNS"),
    ("delete_leads", {"leadIds": ["{lead}"], "force": True}, None),
    ("undo_operation", {"id": "{latest}"}, None),
    ("delete_campaign", {"id": "{camp}"}, None),
    ("list_undo_entries", {}, None),
    ("undo_operation", {"id": "und_00000000000000000000000000"}, "NOT_FOUND"),
    ("create_upload", {"name": f"{CANARY}.csv", "sizeBytes": 1}, None),
    ("list_audit_events", {}, None),
    ("export_audit_events", {}, None),
)
"""Every operation, the argument's placeholders as in strangers_world.py, and the code of the error that must come.

``latest``: what takes the call before back.
"""
_INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e0fff]"
)


@pytest.fixture
def ports() -> dict[type, object]:
    return unfriendly_ports()


def test_every_column_of_text_is_known_for_ours_or_for_strangers() -> None:
    for name, table in Base.metadata.tables.items():
        theirs, ours = set(STRANGERS.get(name, ())), set(OURS.get(name, "").split())
        assert theirs | ours == text_columns(table) and not theirs & ours, name


def test_every_operation_is_called() -> None:
    assert {name for name, _, _ in CALLS} == OPERATIONS.keys()


async def test_strangers_words_come_out_marked_and_fenced_and_never_in_errors_or_logs(
    installation: Installation,
) -> None:
    _, ids = await strangers_world(installation)
    shown: set[str] = set()

    def look(name: str, output: BaseModel) -> Iterator[str]:
        yield from _wrong_in_output(name, output)
        shown.update(re.findall(rf"{CANARY}[ \w]*", output.model_dump_json(by_alias=True)))

    problems = await _call_everything(installation, ids, look)
    assert not problems, "\n".join(problems)
    assert len(shown) > 25, "the canaries do come out"


async def test_no_text_of_strangers_holds_what_a_reader_cannot_see(installation: Installation) -> None:
    """Stored as they came, so that only the second pass, on the way out, can have cleaned them."""
    _, ids = await strangers_world(installation, hide=True)
    shown: set[str] = set()

    def look(name: str, output: BaseModel) -> Iterator[str]:
        told = output.model_dump_json(by_alias=True) + answers.draft(output, OPERATIONS[name].output).text
        shown.update(re.findall(rf"{CANARY}[ \w]*", told))
        if found := _INVISIBLE.search(told):
            yield f"{name} shows U+{ord(found[0]):04X} in {told[max(0, found.start() - 60) : found.end() + 20]!r}"

    problems = await _call_everything(installation, ids, look)
    assert not problems, "\n".join(problems)
    assert len(shown) > 25, "the canaries do come out"


async def _call_everything(
    installation: Installation, ids: dict[str, str], look: Callable[[str, BaseModel], Iterable[str]]
) -> list[str]:
    """What is wrong with any answer, error or line of the log."""
    log = io.StringIO()
    problems: list[str] = []
    configure_logs("DEBUG", as_json=True, stream=log)
    try:
        for name, arguments, code in CALLS:
            asked = json.loads(re.sub(r"(?<!\{)\{(\w+)\}(?!\})", lambda found: ids[found[1]], json.dumps(arguments)))
            try:
                answer = await installation.app.dispatcher.call(Call(name, asked, installation.actor()))
            except PostriderError as error:
                problems += _wrong_in_error(name, error, code)
                continue
            problems += [f"{name} was to be refused"] if code else []
            problems += look(name, answer.output)
            ids["latest"] = answer.undo_id or ids.get("latest", "")
    finally:
        configure_logs("WARNING", as_json=False)
    return [*problems, *(line for line in log.getvalue().splitlines() if CANARY in line)]


def _wrong_in_error(name: str, error: PostriderError, code: str | None) -> Iterator[str]:
    if error.error_code != code:
        yield f"{name} answers {error.error_code}: {error.message}"
    told = json.dumps([error.error_code, error.message, error.hint, error.field, _facts(error)], default=str)
    if CANARY in told:
        yield f"{name} says in an error: {told}"
    if CANARY in (open_text := _outside_of_fences(error_text(error))):
        yield f"{name} has a stranger's words outside of fences: {open_text}"


def _wrong_in_output(name: str, output: BaseModel) -> Iterator[str]:
    declared = OPERATIONS[name].output
    for place in _unmarked(output.model_dump(mode="json", by_alias=True), marks_of(declared)):
        yield f"{name} shows a stranger's words unmarked in {place}"
    open_text = _outside_of_fences(answers.draft(output, declared).text)
    if CANARY in open_text:
        yield f"{name} has a stranger's words outside of fences: {open_text}"


def _facts(error: PostriderError) -> dict[str, Any]:
    """The details, but for the column names of the file that came with the very call: its caller has to choose one."""
    return {name: value for name, value in error.details.items() if name != "columns"}


def _unmarked(value: Any, marks: Marks, path: str = "") -> Iterator[str]:
    """Where a canary stands that the schema does not mark."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if CANARY in name and not marks.names_too:
                yield f"{path}.(name)"
            yield from _unmarked(inner, marks.of(name), f"{path}.{name}")
    elif isinstance(value, list):
        for inner in value:
            yield from _unmarked(inner, marks.each, f"{path}[]")
    elif isinstance(value, str) and CANARY in value and not marks.untrusted:
        yield path


def _outside_of_fences(text: str) -> str:
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("> "))
    return "\n".join(re.sub(r'"(?:[^"\\]|\\.)*"', '""', line) for line in lines)
