"""Where List-Unsubscribe leads, whatever the mailbox is called."""

from urllib.parse import unquote, urlsplit

import pytest

from postrider.content.headers import check_list_uri
from postrider.kernel.errors import InvalidInput
from postrider.sending.letter import unsubscribe_targets, unwritable

TOKEN = "A1b2C3d4E5f6G7h8"


@pytest.mark.parametrize(
    ("mailbox", "written"),
    [
        ("ann.o'neil+x@acme.com", "ann.o'neil+x@acme.com"),
        ("jörg@acme.com", "j%C3%B6rg@acme.com"),
        ("営業@acme.co.jp", "%E5%96%B6%E6%A5%AD@acme.co.jp"),
        ("a?b&c=d@acme.com", "a%3Fb%26c%3Dd@acme.com"),
        ("a%41/b#c@acme.com", "a%2541%2Fb%23c@acme.com"),
        ("ann@xn--bcher-kva.de", "ann@xn--bcher-kva.de"),
    ],
)
def test_the_mailto_names_the_mailbox_and_nothing_else(mailbox: str, written: str) -> None:
    [mailto] = unsubscribe_targets(None, mailbox, TOKEN)
    assert mailto == f"mailto:{written}?subject=unsubscribe%20{TOKEN}"
    assert check_list_uri(mailto, "list_unsubscribe") == mailto
    parsed = urlsplit(mailto)
    assert (unquote(parsed.path), unquote(parsed.query), parsed.fragment) == (
        mailbox,
        f"subject=unsubscribe {TOKEN}",
        "",
    )


def test_the_longest_address_still_fits() -> None:
    mailbox = "語" * 21 + "@" + ".".join(["d" * 60] * 3) + ".com"
    url, mailto = unsubscribe_targets("https://x.test/u/t", mailbox, TOKEN * 4)
    assert url == "https://x.test/u/t"
    assert check_list_uri(mailto, "list_unsubscribe") == mailto


@pytest.mark.parametrize(
    ("field", "kind"),
    [("sender", "sender"), ("sender_name", "sender"), ("list_unsubscribe", "sender"), ("to", "other"), ("cc", "other")],
)
def test_what_cannot_be_written_is_blamed_on_the_mailbox_or_the_lead_never_on_a_server(field: str, kind: str) -> None:
    outcome = unwritable(InvalidInput(f"{field} does not fit.", field=field))
    assert (outcome.kind, outcome.code) == (kind, None)
    assert f"{field} does not fit." in outcome.text
