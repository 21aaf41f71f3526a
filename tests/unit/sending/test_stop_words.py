import pytest

from postrider.sending.stop_words import Stop, stop_of


@pytest.mark.parametrize(
    ("status", "noted", "told"),
    [
        ("active", None, Stop(None, None)),
        ("replied", "replied", Stop("replied", None)),
        (
            "replied",
            "replied, matched by its sender's address",
            Stop("replied", "replied, matched by its sender's address"),
        ),
        ("stopped", "replied: not_interested", Stop("replied", "replied: not_interested")),
        ("stopped", "somebody at acme.test replied", Stop("company_replied", "somebody at acme.test replied")),
        ("stopped", "auto-reply (ooo)", Stop("auto_replied", "auto-reply (ooo)")),
        ("stopped", "label hostile", Stop("labelled", "label hostile")),
        ("stopped", "on the do-not-contact list (a)", Stop("on_dnc", "on the do-not-contact list (a)")),
        ("unsubscribed", "complaint", Stop("complained", "complaint")),
        ("unsubscribed", "by its link", Stop("unsubscribed", "by its link")),
        ("bounced", "550 5.1.1 no such user", Stop("bounced", "550 5.1.1 no such user")),
        ("failed", "refused by the server: 554 no", Stop("refused", "refused by the server: 554 no")),
        ("failed", "not accepted within 48 hours: 451", Stop("not_accepted", "not accepted within 48 hours: 451")),
        ("failed", "the recipient's mailbox is full: x", Stop("mailbox_full", "the recipient's mailbox is full: x")),
        ("failed", "returned by the recipient's server: x", Stop("returned", "returned by the recipient's server: x")),
    ],
)
def test_the_end_of_a_lead_has_a_word_and_a_text(status: str, noted: str | None, told: Stop) -> None:
    assert stop_of(status, noted) == told
