"""Reading IMAP answers, without any server."""

from datetime import UTC, datetime

import pytest
from imap_tools import FolderInfo

from postrider.adapters.imap_answers import (
    AnswerItem,
    FetchAnswer,
    Folders,
    fetch_answers,
    first_mail_id,
    folders_of,
    groups_of,
    uids_of,
)


def answers(*items: AnswerItem) -> list[FetchAnswer]:
    return list(fetch_answers(items))


def test_items_are_read_in_any_order_and_case() -> None:
    line = b'7 (flags (\\SEEN $Label) internaldate "17-Jul-2026 02:44:25 -0700" rfc822.size 42 uid 9)'
    assert answers(line) == [FetchAnswer(9, 42, datetime(2026, 7, 17, 9, 44, 25, tzinfo=UTC), True, None)]


def test_items_behind_the_body_count_too() -> None:
    (got,) = answers((b"1 (BODY[]<0> {3}", b"abc"), b" UID 5 FLAGS (\\Seen))")
    assert (got.uid, got.body, got.seen) == (5, b"abc", True)


def test_a_flag_or_a_body_cannot_pass_for_an_item() -> None:
    (got,) = answers((b"1 (FLAGS (UID 9 RFC822.SIZE 1) UID 5 RFC822.SIZE 3 BODY[] {16}", b"UID 8 FLAGS (\\S)"), b")")
    assert (got.uid, got.size_bytes, got.seen) == (5, 3, False)


@pytest.mark.parametrize(
    ("text", "body"), [(b"NIL", b""), (b'""', b""), (b'"a \\"b\\" \\\\"', b'a "b" \\')], ids=["nil", "empty", "quoted"]
)
def test_a_short_body_may_come_without_a_literal(text: bytes, body: bytes) -> None:
    (got,) = answers(b"1 (UID 5 BODY[]<0> " + text + b")")
    assert got.body == body


@pytest.mark.parametrize("fields", [b"MESSAGE-ID IN-REPLY-TO", b'"Message-Id" "In-Reply-To"'])
def test_header_fields_that_were_asked_for_are_the_body(fields: bytes) -> None:
    head = b"Message-ID: <a@b.test>\r\n\r\n"
    (got,) = answers((b"1 (UID 5 BODY[HEADER.FIELDS (" + fields + b")] {26}", head), b")")
    assert got.body == head


@pytest.mark.parametrize(
    ("head", "message_id"),
    [
        ("Message-ID:\r\n <Odd.Case@b.test>\r\n", "<Odd.Case@b.test>"),
        ("In-Reply-To: <x@b.test>\r\nMessage-ID: <a@b.test>\r\n", None),
        ("IN-REPLY-TO:\r\nMessage-ID: <a@b.test>\r\n", None),
        ("Message-ID: <a@b.test>\r\nMessage-ID: <b@b.test>\r\n", None),
        ("Message-ID: not one\r\n", None),
        ("", None),
    ],
)
def test_only_a_message_that_answers_none_tells_its_id(head: str, message_id: str | None) -> None:
    assert first_mail_id(head) == message_id


def test_another_literal_is_not_taken_for_the_body() -> None:
    (got,) = answers((b"1 (UID 5 BODY[HEADER] {3}", b"no!"), (b" BODY[]<0> {3}", b"yes"), b")")
    assert got.body == b"yes"


def test_what_names_no_uid_is_left_out_and_the_rest_is_kept() -> None:
    assert [got.uid for got in answers(b"3 (FLAGS (\\Seen))", None, b"4 (UID 6)")] == [6]


@pytest.mark.parametrize("date", [b"yesterday", b"99-Foo-2026 25:61:61 +9999", b"\xff"])
def test_an_unreadable_date_is_no_date(date: bytes) -> None:
    (got,) = answers(b'1 (UID 5 INTERNALDATE "' + date + b'")')
    assert got.internal_date is None


def test_search_answers_may_be_split_empty_and_repeat_themselves() -> None:
    assert uids_of([b"3 1", b"", None, b"2 3 (MODSEQ 9)"]) == [1, 2, 3]


def folder(name: str, *flags: str, delim: str = "/") -> FolderInfo:
    return FolderInfo(name, delim, flags)


def test_special_use_goes_before_names() -> None:
    listed = [folder("Spam"), folder("Courrier indésirable", "\\JUNK"), folder("Envoyés", "\\HasNoChildren", "\\Sent")]
    assert folders_of(listed) == Folders(junk="Courrier indésirable", sent="Envoyés")


@pytest.mark.parametrize(
    ("name", "delim"),
    [("Junk", "/"), ("SPAM", "/"), ("[Gmail]/Spam", "/"), ("Junk-E-Mail", "/"), ("INBOX.Junk", "."), ("Bulk Mail", "")],
)
def test_usual_names_of_the_junk_folder_are_known(name: str, delim: str) -> None:
    assert folders_of([folder("INBOX"), folder(name, delim=delim)]).junk == name


def test_a_folder_elsewhere_in_the_tree_or_not_to_be_opened_is_passed_over() -> None:
    listed = [
        folder("Archive/Spam"),
        folder("Junk", "\\Noselect"),
        folder("Sent", "\\NonExistent"),
        folder("Sent Items"),
    ]
    assert folders_of(listed) == Folders(junk=None, sent="Sent Items")


def test_groups_keep_the_order_stay_below_the_limit_and_leave_giants_alone() -> None:
    sizes = [10, 20, 40, 60, 200, 5, 5]
    measured = [FetchAnswer(uid, size, None, False, None) for uid, size in enumerate(sizes)]
    groups = [[message.size_bytes for message in group] for group in groups_of(measured, 100)]
    assert groups == [[10, 20], [40], [60], [200], [5, 5]]
