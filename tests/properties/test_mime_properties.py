"""A header linter over generated messages: what is sent is what was meant, and nothing else."""

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from itertools import product
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postrider.content.addresses import Address, NamedAddress, parse_address
from postrider.content.mime import Attachment, Message, build_message
from postrider.kernel.errors import InvalidInput

ONCE: Final = {"from", "to", "subject", "date", "message-id", "mime-version", "content-type"}
AT_MOST_ONCE: Final = {
    *("cc", "reply-to", "in-reply-to", "references", "list-unsubscribe", "list-unsubscribe-post"),
    "content-transfer-encoding",
}

HEADER_TEXT: Final = st.text(
    st.one_of(
        st.sampled_from(" .,;:\"'\\<>()@=?_üß€日🎉\u0301\u200d\u202e"),
        st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]),
    ),
    max_size=80,
)
BODY: Final = st.text(
    st.one_of(st.sampled_from(".\r\n \t=-_<>&ü🎉\0"), st.characters(codec="utf-8", exclude_categories=["Cs"])),
    max_size=200,
) | st.sampled_from([".\r\n", "\n.\n.", "x" * 3_000, "日" * 900, "\r.\r", "a \n\t\n", "--=_alt_"])
ADDRESSES: Final[st.SearchStrategy[Address]] = st.builds(
    lambda local, domain: parse_address(f"{local}@{domain}"),
    st.from_regex(r"[a-z0-9]{1,20}(\.[a-zA-Z0-9+_'/-]{1,20}){0,2}", fullmatch=True),
    st.sampled_from(["acme.test", "bücher.de", "日本.jp", "x.co.uk", "a-" * 20 + "b.example.com", "xn--fa-hia.de"]),
)
PEOPLE: Final = st.builds(NamedAddress, HEADER_TEXT, ADDRESSES)
MESSAGE_IDS: Final = st.from_regex(r"<[a-zA-Z0-9.=_+-]{1,80}@[a-z0-9.-]{1,60}>", fullmatch=True)
URIS: Final = st.tuples(
    st.from_regex(r"https://[a-z.]{1,20}/[A-Za-z0-9_,;=&%-]{0,200}", fullmatch=True),
    st.from_regex(r"mailto:[a-z+.]{1,20}@[a-z.]{1,20}", fullmatch=True),
)
DATES: Final = st.datetimes(
    datetime(1990, 1, 1),
    datetime(2090, 1, 1),
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45)), timezone(timedelta(hours=-8))]),
).map(lambda moment: moment.replace(microsecond=0))
FILES: Final = st.builds(
    Attachment,
    HEADER_TEXT.filter(str.strip),
    st.sampled_from(["application/pdf", "text/plain"]),
    st.binary(max_size=300),
)


@st.composite
def messages(draw: st.DrawFn) -> Message:
    unsubscribe = draw(st.just(()) | URIS)
    return Message(
        sender_name=draw(HEADER_TEXT),
        sender=draw(ADDRESSES),
        to=draw(PEOPLE),
        subject=draw(HEADER_TEXT),
        date=draw(DATES),
        message_id=draw(MESSAGE_IDS),
        text=draw(BODY),
        html=draw(st.none() | BODY),
        cc=tuple(draw(st.lists(PEOPLE, max_size=3))),
        reply_to=draw(st.none() | ADDRESSES),
        in_reply_to=draw(st.none() | MESSAGE_IDS),
        references=tuple(draw(st.lists(MESSAGE_IDS, max_size=20))),
        list_unsubscribe=unsubscribe,
        one_click=bool(unsubscribe) and draw(st.booleans()),
        attachments=tuple(draw(st.lists(FILES, max_size=2))),
    )


def lint(data: bytes) -> None:
    """Holds for every message that leaves, whatever it says. Source: RFC 5322 sections 2.1.1 and 3.6, RFC 2045."""
    head, _, body = data.partition(b"\r\n\r\n")
    assert data.endswith(b"\r\n")
    assert b"\r" not in data.replace(b"\r\n", b"")
    assert b"\n" not in data.replace(b"\r\n", b"")
    assert data.isascii()
    names = Counter(re.findall(r"^([!-9;-~]+):", head.decode(), re.MULTILINE))
    lowered = {name.lower(): count for name, count in names.items()}
    assert set(lowered) <= ONCE | AT_MOST_ONCE
    assert set(lowered) >= ONCE
    assert set(lowered.values()) == {1}
    for line in head.split(b"\r\n"):
        assert re.match(rb"[!-9;-~]+: ?[!-~]| [!-~]|Subject: $", line)
        assert len(line) <= 78 or len(line.split()) <= 2
        assert all(len(word) <= 75 for word in re.findall(rb"=\?utf-8\?[^ ]*\?=", line))
        assert b"=?" not in line or len(line) <= 76
    assert all(len(line) <= 998 for line in data.split(b"\r\n"))
    assert all(len(line) <= 78 for line in body.split(b"\r\n") if not line.startswith(b"Content-"))


def without_newline_spelling(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")


def mailboxes(data: bytes, field: str) -> list[tuple[str, str]]:
    """Names and addresses of an address header, read by RFC 5322 and RFC 2047 to the letter.

    The header registry of Python 3.11 puts blanks between the encoded words of a display name.
    """
    raw = str(message_from_bytes(data, policy=policy.compat32)[field] or "").replace("\r\n", "")
    found = re.findall(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^"<,]*?))\s*<([^<>]*)>(?:,|$)', raw)
    return [
        (re.sub(r"\\(.)", r"\1", quoted) if quoted else str(make_header(decode_header(words))), address)
        for quoted, words, address in found
    ]


def meant(*wanted: NamedAddress) -> list[tuple[str, str]]:
    return [(person.name.strip(" "), person.address.wire) for person in wanted]


def address_specs(parsed: EmailMessage, field: str) -> list[str]:
    return [address.addr_spec for address in parsed[field].addresses] if parsed[field] else []


LINTED: Final = 10_000
TEXTS: Final = 7
"""Each as a subject beside each as a name: making a message is quick, making one up is not."""


@given(messages(), st.lists(HEADER_TEXT, min_size=TEXTS, max_size=TEXTS), BODY)
@settings(max_examples=LINTED // TEXTS**2 + 1, deadline=None)
def test_no_text_in_any_place_adds_a_header_or_a_bad_line(base: Message, texts: list[str], body: str) -> None:
    for number, (subject, name) in enumerate(product(texts, texts)):
        person = NamedAddress(name, base.to.address)
        html = body if number % 2 else None
        lint(
            build_message(
                replace(base, subject=subject, sender_name=name, to=person, cc=(person,), text=body, html=html)
            )
        )


@given(messages())
@settings(max_examples=400, deadline=None)
def test_every_message_says_what_was_meant_and_nothing_else(message: Message) -> None:
    data = build_message(message)
    lint(data)
    parsed = message_from_bytes(data, policy=policy.default)
    assert isinstance(parsed, EmailMessage)

    sender = NamedAddress(message.sender_name, message.sender)
    for field, wanted in {"From": (sender,), "To": (message.to,), "Cc": message.cc}.items():
        assert mailboxes(data, field) == meant(*wanted)
        assert address_specs(parsed, field) == [person.address.wire for person in wanted]
    assert str(parsed["Subject"]) == message.subject.strip(" ")
    assert parsed["Date"].datetime == message.date
    assert parsed["Message-ID"] == message.message_id
    assert str(parsed["References"] or "").split() == list(message.references)
    assert (parsed["List-Unsubscribe-Post"] is not None) == message.one_click
    assert_bodies(parsed, message)


def assert_bodies(parsed: EmailMessage, message: Message) -> None:
    leaves = [part for part in parsed.walk() if not part.is_multipart()]
    wanted = [message.text] if message.html is None else [message.text, message.html]
    for part, text in zip(leaves, wanted, strict=False):
        assert without_newline_spelling(part.get_content()) == without_newline_spelling(text)
    files = leaves[len(wanted) :]
    payloads = [part.get_payload(decode=True) for part in files]
    assert payloads == [file.data for file in message.attachments]
    assert [part.get_filename() for part in files] == [file.filename.strip() for file in message.attachments]


CONTROLS: Final = st.sampled_from(
    ["\r", "\n", "\r\n", "\0", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\ud800"]
)


@given(messages(), CONTROLS, HEADER_TEXT, st.sampled_from(["subject", "sender_name", "to", "cc", "filename"]))
@settings(max_examples=150, deadline=None)
def test_a_control_character_anywhere_in_a_header_is_refused(
    message: Message, control: str, text: str, field: str
) -> None:
    poison = f"a{text}{control}Bcc: evil@x.test"
    person = NamedAddress(poison, message.sender)
    changes: dict[str, dict[str, Any]] = {
        "subject": {"subject": poison},
        "sender_name": {"sender_name": poison},
        "to": {"to": person},
        "cc": {"cc": (person,)},
        "filename": {"attachments": (Attachment(poison, "text/plain", b""),)},
    }

    with pytest.raises(InvalidInput) as caught:
        build_message(replace(message, **changes[field]))
    assert caught.value.field == field
