"""Messages per second of the message writer against the standard library's EmailMessage(policy=SMTP), in one run."""

from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from time import perf_counter
from typing import Final

from postrider.content.addresses import NamedAddress, parse_address
from postrider.content.headers import format_date
from postrider.content.html import html_to_text
from postrider.content.links import SigningKey, TrackedTarget, rewrite_links, sign_target
from postrider.content.mime import Message, build_message

ROUND_SECONDS: Final = 0.25
ROUNDS: Final = 5
GOAL_RATIO: Final = 10.0

_KEY: Final = SigningKey("a", bytes(32))
_PARAGRAPH: Final = (
    "<p>Hello Jörg, I saw that Müller &amp; Söhne opened a second plant, and I wondered how your team keeps track of "
    'spare parts between the two sites. We wrote down <a href="https://acme.test/notes?part={0}&amp;from=mail">what '
    "three others did</a> – it takes <b>two minutes</b> to read.</p>"
)
HTML: Final = (
    "".join(_PARAGRAPH.format(number) for number in range(4))
    + "<ul><li>No meeting needed</li><li>One page</li><li>Numbers included</li></ul><p>Best,<br>Jane Doe</p>"
)
"""A body of about 1.5 kB with four links."""

MESSAGE: Final = Message(
    sender_name="Jane Doe",
    sender=parse_address("jane@acme.test"),
    to=NamedAddress("Jörg Müller", parse_address("joerg.mueller@mueller-soehne.test")),
    subject="Spare parts between two sites – a note for Müller & Söhne",
    date=datetime(2026, 6, 1, 9, 30, tzinfo=UTC),
    message_id="<01hzy3v7k9m2n4p6q8r0s2t4v6@acme.test>",
    in_reply_to="<01hzy3v7k9m2n4p6q8r0s2t4v5@acme.test>",
    references=("<01hzy3v7k9m2n4p6q8r0s2t4v4@acme.test>", "<01hzy3v7k9m2n4p6q8r0s2t4v5@acme.test>"),
    list_unsubscribe=("https://mail.acme.test/u/5d41402abc4b2a76b9719d911017c592", "mailto:u+5d41402a@acme.test"),
    one_click=True,
    text=html_to_text(HTML),
    html=HTML,
)


def build_with_standard_library(message: Message) -> bytes:
    """The same message by EmailMessage, for comparison."""
    built = EmailMessage(policy=SMTP)
    built["From"] = f"{message.sender_name} <{message.sender.wire}>"
    built["To"] = f"{message.to.name} <{message.to.address.wire}>"
    built["Subject"] = message.subject
    built["Date"] = format_date(message.date)
    built["Message-ID"] = message.message_id
    built["In-Reply-To"] = message.in_reply_to or ""
    built["References"] = " ".join(message.references)
    built["List-Unsubscribe"] = ", ".join(f"<{uri}>" for uri in message.list_unsubscribe)
    built["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    built.set_content(message.text)
    built.add_alternative(message.html, subtype="html")
    return built.as_bytes()


def prepare_body(html: str) -> tuple[str, str]:
    """What the send path does to a rendered body: its text part, and its links led through signed addresses."""

    def tracked(index: int, url: str) -> str:
        target = TrackedTarget("click", "ws_01hzy3v7k9m2n4p6q8r0s2t4v6", "att_01hzy3v7k9m2n4p6q8r0s2t4v6", index, url)
        return f"https://mail.acme.test/c/{sign_target(_KEY, target)}"

    return html_to_text(html), rewrite_links(html, tracked)


def measure() -> dict[str, float]:
    """Messages per second of both writers, their ratio, and what preparing a body costs, best of alternating rounds."""
    ours = theirs = prepared = 0.0
    for _ in range(ROUNDS):
        ours = max(ours, _per_second(lambda: build_message(MESSAGE)))
        theirs = max(theirs, _per_second(lambda: build_with_standard_library(MESSAGE)))
        prepared = max(prepared, _per_second(lambda: prepare_body(HTML)))
    return {
        "ours_per_second": ours,
        "email_message_per_second": theirs,
        "ratio": ours / theirs,
        "prepare_body_microseconds": 1e6 / prepared,
    }


def _per_second(work: Callable[[], object]) -> float:
    work()
    count, start = 0, perf_counter()
    while (elapsed := perf_counter() - start) < ROUND_SECONDS:
        work()
        count += 1
    return count / elapsed


if __name__ == "__main__":
    for name, figure in measure().items():
        print(f"{name:28} {figure:12,.1f}")
    print(f"goal: ratio at least {GOAL_RATIO:.0f}")
