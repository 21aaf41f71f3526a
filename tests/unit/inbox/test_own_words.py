"""Our own footer, quoted in an answer, is not a wish of whoever answers."""

from datetime import date

import pytest

from postrider.inbox.classify import classify
from postrider.inbox.parsing import parse_mail
from postrider.inbox.parsing_reply import own_lines
from tests.unit.inbox.mail_corpus import write_mail

_FOOTER = "Hi Jane,\n\nAnn\n\nUnsubscribe\n<https://us.test/u/abc>"
_QUOTED = "\n".join(f"> {line}".rstrip() for line in _FOOTER.split("\n"))
_HEADERS = "From: Ann <ann@us.test>\nSent: Monday, 3 August 2026\nTo: Jane\nSubject: Hello"
_WRITTEN = "On Mon, 3 Aug 2026 at 09:14, Ann <ann@us.test> wrote:"


@pytest.mark.parametrize(
    "quote",
    [
        f"{_WRITTEN}\n\n{_QUOTED}",
        f"{_WRITTEN}\n\n{_FOOTER}",
        f"On Mon, 3 Aug 2026 at 09:14, Ann <ann@us.test>\nwrote:\n\n{_QUOTED}",
        f"Ann <ann@us.test> schrieb am Mo., 3. Aug. 2026 um 09:14:\n\n{_FOOTER}",
        f"Le lun. 3 août 2026 à 09:14, Ann <ann@us.test> a écrit :\n\n{_FOOTER}",
        f"---- On Mon, 03 Aug 2026 09:14:00 +0200 Ann <ann@us.test> wrote ---\n\n{_FOOTER}",
        f"________________________________\n{_HEADERS}\n\n{_FOOTER}",
        f"-----Original Message-----\n{_HEADERS}\n\n{_FOOTER}",
        f"Gesendet: Montag, 3. August 2026\nVon: Ann <ann@us.test>\nAn: Jane\nBetreff: Hallo\n\n{_FOOTER}",
        _QUOTED,
        f"{_WRITTEN}\n\n> {'If you would rather not hear from us again, you can always '}\nunsubscribe: https://us.test/u/a",
    ],
)
def test_what_we_wrote_ourselves_is_nobody_s_wish(quote: str) -> None:
    for own in ("", "\n\n", "Sent from my iPhone\n\n", "Yes, please.\n\n"):
        assert _classify(write_mail(own + quote)) == ("reply", "reply")
    assert _classify(write_mail(f"Unsubscribe\n\n{quote}")) == ("unsubscribe", "unsubscribe_line")


def test_an_answer_below_the_quote_counts_too() -> None:
    question = f"{_WRITTEN}\n\n> {'word ' * 20}\n> Do you like the idea of having more of them in the coming weeks?"
    for text in (f"{_WRITTEN}\n\n{_QUOTED}\n\nRemove me.", f"{question}\nremove me", f"{question}\nRemove me.\n> Ann"):
        assert _classify(write_mail(text)) == ("unsubscribe", "unsubscribe_line")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f'<div class="gmail_quote"><div class="gmail_attr">{_WRITTEN}<br></div><blockquote>', "</blockquote></div>"),
        ('<blockquote type="cite">', "</blockquote>"),
        ("<blockquote>", "</blockquote>"),
        (f'<div class="moz-cite-prefix">{_WRITTEN}</div><blockquote type="cite">', "</blockquote>"),
        (f'<div class="yahoo_quoted">{_WRITTEN}<br>', "</div>"),
        (f'<div id="divRplyFwdMsg">{_HEADERS.replace(chr(10), "<br>")}</div><div>', "</div>"),
        (f"<div>{_HEADERS.replace(chr(10), '<br>')}</div><div>", "</div>"),
    ],
)
def test_what_we_wrote_ourselves_is_nobody_s_wish_in_html_either(before: str, after: str) -> None:
    footer = '<p>Hi Jane,</p><p>Ann</p><p><a href="https://us.test/u/abc">Unsubscribe</a></p>'

    def read(own: str) -> tuple[str, str]:
        html = f"<html><body>{own}{before.replace('<ann@us.test>', '&lt;ann@us.test&gt;')}{footer}{after}</body></html>"
        return _classify(write_mail(html).replace(b"text/plain", b"text/html"))

    for own in ("", "<div><br></div>", "<div>Sent from my iPhone</div>", "<div>Yes, please.</div>"):
        assert read(own) == ("reply", "reply")
    assert read("<div>Unsubscribe</div>") == ("unsubscribe", "unsubscribe_line")


def test_an_answer_that_is_only_an_attachment_is_nobody_s_wish() -> None:
    parts = (
        f"--x\r\nContent-Type: text/plain\r\n\r\n{_WRITTEN}\n\n{_QUOTED}\r\n"
        '--x\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename="a.pdf"\r\n\r\n%PDF\r\n--x--'
    )
    raw = write_mail(parts).replace(b"text/plain; charset=utf-8", b'multipart/mixed; boundary="x"', 1)
    assert parse_mail(raw).attachments
    assert _classify(raw) == ("reply", "reply")


def test_a_proposed_time_is_no_quoted_mail() -> None:
    text = "How about this?\n\nDate: Tuesday\nFrom: 9:00\nTo: 10:00"
    assert own_lines(text) == text.split("\n")


def _classify(raw: bytes) -> tuple[str, str]:
    verdict = classify(parse_mail(raw), references_ours=True, received_on=date(2026, 8, 6))
    return verdict.kind, verdict.rule
