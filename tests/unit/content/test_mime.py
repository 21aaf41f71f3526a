from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest

from postrider.content.addresses import Address, NamedAddress, parse_address
from postrider.content.mime import Attachment, Message, build_message
from postrider.kernel.errors import InvalidInput

PLAIN = Message(
    sender_name="Jane Doe",
    sender=parse_address("jane@acme.test"),
    to=NamedAddress("Bob Roe", parse_address("bob@corp.test")),
    subject="Quick question",
    date=datetime(2026, 6, 1, 9, 30, tzinfo=UTC),
    message_id="<one@acme.test>",
    text="Hello Bob,\nhow are you?",
)


def built(message: Message) -> EmailMessage:
    found = message_from_bytes(build_message(message), policy=policy.default)
    assert isinstance(found, EmailMessage)
    assert not found.defects
    return found


def test_a_text_only_message_is_one_plain_part() -> None:
    assert build_message(PLAIN) == (
        b"From: Jane Doe <jane@acme.test>\r\n"
        b"To: Bob Roe <bob@corp.test>\r\n"
        b"Subject: Quick question\r\n"
        b"Date: Mon, 01 Jun 2026 09:30:00 +0000\r\n"
        b"Message-ID: <one@acme.test>\r\n"
        b"MIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: 7bit\r\n"
        b"\r\n"
        b"Hello Bob,\r\nhow are you?\r\n"
    )


def test_a_message_with_html_has_the_text_first() -> None:
    message = built(replace(PLAIN, html="<p>Hello <b>Bob</b></p>"))

    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]


def test_attachments_stand_around_the_alternative() -> None:
    files = (
        Attachment("plan.pdf", "application/pdf", bytes(range(256)) * 10),
        Attachment("x.eml", "message/rfc822", b"a"),
    )
    message = built(replace(PLAIN, html="<p>Hi</p>", attachments=files))

    assert message.get_content_type() == "multipart/mixed"
    body, first, second = message.iter_parts()
    assert body.get_content_type() == "multipart/alternative"
    assert (first.get_filename(), first.get_content_type(), first.get_content()) == (
        "plan.pdf",
        "application/pdf",
        files[0].data,
    )
    assert second.get_content_type() == "application/octet-stream"


@pytest.mark.parametrize(
    "name",
    [
        "plan.pdf",
        "Angebot für Jörg.pdf",
        'a"b\\c;d.txt',
        "日本語" * 40 + ".pdf",
        "x" * 300,
        "a%20b.txt",
        "..%2f",
        "it's.txt",
    ],
)
def test_a_file_name_survives(name: str) -> None:
    data = build_message(replace(PLAIN, attachments=(Attachment(name, "text/csv; charset=utf-8", b"a,b"),)))
    part = list(message_from_bytes(data, policy=policy.compat32).walk())[-1]

    assert part.get_filename() == name
    assert all(len(line) <= 78 for line in data.split(b"\r\n"))


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a\r\nBcc: x", "text/csv"),
        ("ü\n", "text/csv"),
        ("", "text/csv"),
        ("a", "text"),
        ("a", "text/csv\r\nX: y"),
        ("a", 'text/csv; name="x"'),
    ],
)
def test_an_attachment_cannot_inject_a_header(name: str, content_type: str) -> None:
    with pytest.raises(InvalidInput):
        build_message(replace(PLAIN, attachments=(Attachment(name, content_type, b""),)))


def test_an_attachment_is_encoded_once_for_all_messages_of_a_step() -> None:
    file = Attachment("a.bin", "application/octet-stream", b"x" * 1000)

    assert file.part is file.part


def test_a_follow_up_names_its_thread() -> None:
    references = tuple(f"<{number:040}@acme.test>" for number in range(20))
    message = built(replace(PLAIN, in_reply_to=references[-1], references=references, cc=(PLAIN.to, PLAIN.to)))

    assert message["In-Reply-To"] == references[-1]
    assert str(message["References"]).split() == list(references)


def test_one_click_unsubscribing_has_both_headers() -> None:
    uris = ("https://mail.acme.test/u/abc", "mailto:u@acme.test?subject=unsubscribe")
    message = built(replace(PLAIN, list_unsubscribe=uris, one_click=True))

    assert message["List-Unsubscribe"] == f"<{uris[0]}>, <{uris[1]}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_a_mailto_address_alone_gives_no_post_header() -> None:
    message = built(replace(PLAIN, list_unsubscribe=("mailto:u@acme.test",)))

    assert message["List-Unsubscribe"] == "<mailto:u@acme.test>"
    assert message["List-Unsubscribe-Post"] is None


def test_one_click_without_an_https_address_is_refused() -> None:
    with pytest.raises(InvalidInput, match="https"):
        build_message(replace(PLAIN, list_unsubscribe=("mailto:u@acme.test",), one_click=True))


INJECTIONS: list[dict[str, Any]] = [
    {"subject": "x\r\nBcc: evil@x.test"},
    {"subject": "x\n"},
    {"subject": "x\0"},
    {"sender_name": "x\r\nBcc: evil@x.test"},
    {"to": NamedAddress("x\nBcc: evil@x.test", PLAIN.sender)},
    {"cc": (NamedAddress("x\r", PLAIN.sender),)},
    {"to": NamedAddress("", Address("a@x.test>,<b", "y.test", "y.test"))},
    {"to": NamedAddress("", Address("a", "y.test", "y.test>\r\nBcc: <b@z.test"))},
    {"sender": Address("a\r\n", "y.test", "y.test")},
    {"reply_to": Address("a b", "y.test", "y.test")},
    {"message_id": "<a@b>\r\nBcc: evil@x.test"},
    {"in_reply_to": "<a@b>\nBcc: evil@x.test"},
    {"references": ("<a@b>", "<c@d>\r\n\r\nbody")},
    {"list_unsubscribe": ("https://a.test/\r\nBcc: evil@x.test",)},
    {"list_unsubscribe": ("https://a.test/>, <mailto:x",)},
    {"subject": "ü" * 400},
    {"text": "half \ud83d"},
    {"html": "half \ud83d"},
]


@pytest.mark.parametrize("change", INJECTIONS)
def test_what_could_inject_a_header_or_not_be_sent_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as caught:
        build_message(replace(PLAIN, **change))

    assert caught.value.field == next(iter(change))


@pytest.mark.parametrize(
    "body",
    [
        ".\n",
        "..\n.x\n",
        "a\n.\nMAIL FROM:<x@y.test>\n",
        "a\r.\rb",
        "\r\n.\r\n",
        "a\n\r\n\rb",
        "x" * 5000,
        "ü" * 3000,
        "trailing \n\t\n",
        "\0\x0b\x0c",
        "From me\n",
        "--=_alt_x\n",
    ],
)
def test_bodies_that_break_naive_writers_come_through(body: str) -> None:
    data = build_message(replace(PLAIN, text=body, html=f"<pre>{body}</pre>"))
    text, html = message_from_bytes(data, policy=policy.default).iter_parts()
    wanted = body.replace("\r\n", "\n").replace("\r", "\n")

    assert b"\r" not in data.replace(b"\r\n", b"")
    assert b"\n" not in data.replace(b"\r\n", b"")
    assert max(map(len, data.split(b"\r\n"))) <= 78
    assert text.get_content().replace("\r\n", "\n").removesuffix("\n") == wanted.removesuffix("\n")
    assert html.get_content().replace("\r\n", "\n") == f"<pre>{wanted}</pre>"


def test_a_body_that_holds_the_boundary_cannot_end_its_part() -> None:
    html = "<p>x</p>"
    boundary = built(replace(PLAIN, html=html)).get_boundary()
    forged = f"Hello\n--{boundary}--\n--{boundary}\nContent-Type: text/html\n\nevil"
    message = built(replace(PLAIN, text=forged, html=html))

    assert message.get_boundary() == boundary
    assert len(list(message.iter_parts())) == 2


def test_a_non_ascii_local_part_needs_smtputf8_and_is_never_encoded() -> None:
    message = replace(PLAIN, to=NamedAddress("Jörg", parse_address("jörg@bücher.de")))

    assert message.needs_smtputf8
    assert "<jörg@xn--bcher-kva.de>".encode() in build_message(message)
    assert not PLAIN.needs_smtputf8


def test_the_same_message_gives_the_same_octets() -> None:
    message = replace(PLAIN, html="<p>ü</p>")

    assert build_message(message) == build_message(replace(message))
