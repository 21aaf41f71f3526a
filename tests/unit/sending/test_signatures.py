import pytest

from postrider.content.html import paragraphs_as_lines
from postrider.sending.composing import sender_facts


@pytest.mark.parametrize(
    ("signature", "html", "text"),
    [
        ("Sam", "Sam", "Sam"),
        ("Sam\nAcme & Co\n\nacme.test", "Sam<br>Acme &amp; Co<br><br>acme.test", "Sam\nAcme & Co\n\nacme.test"),
        (
            '<p>Sam</p>\n<p><a href="https://a.test">a</a></p>',
            'Sam<br><br><a href="https://a.test">a</a>',
            "Sam\n\na (https://a.test)",
        ),
        ("<b>Sam</b>", "<b>Sam</b>", "Sam"),
        ("<p>Sam</p><ul><li>x</li></ul>", "<p>Sam</p><ul><li>x</li></ul>", "Sam\n\n- x"),
        ('<p style="color:red">Sam</p>', '<p style="color:red">Sam</p>', "Sam"),
    ],
)
def test_a_signature_of_paragraphs_may_stand_inside_a_paragraph(signature: str, html: str, text: str) -> None:
    found = sender_facts("sam@acme.test", "Sam", signature).signature

    assert found is not None and not isinstance(found, str)
    assert (found.html, found.text) == (html, text)


def test_no_signature_is_no_value() -> None:
    assert sender_facts("sam@acme.test", "Sam", "").signature is None


def test_hostile_paragraphs_take_no_quadratic_time() -> None:
    assert paragraphs_as_lines("<p>" * 100_000).startswith("<p><p>")
    assert paragraphs_as_lines("<p>x</p>" * 50_000 + "<div>").endswith("<div>")
