"""What a message is, by which rule, and which label fits a reply."""

from datetime import date

import pytest

from postrider.inbox.classify import bounce_kind, bounce_verdicts, classify, suggest_label
from postrider.inbox.parsing import parse_mail
from tests.unit.inbox.mail_corpus import NAMES, read_mail, write_mail

TODAY = date(2026, 8, 6)

_EXPECTED = {
    "arf_abuse": ("complaint", "arf", None, None),
    "attachments": ("reply", "reply", None, None),
    "bounce_exchange": ("bounce", "dsn_guessed_failed", None, None),
    "bounce_exim": ("bounce", "dsn_guessed_failed", None, None),
    "bounce_gmail": ("bounce", "dsn_guessed_failed", None, None),
    "bounce_qmail": ("bounce", "dsn_guessed_failed", None, None),
    "dsn_delayed": ("delay", "dsn_delayed", "delivery_delay", None),
    "dsn_delivered": ("delivered_notice", "dsn_delivered", None, None),
    "dsn_microsoft_access_denied": ("bounce", "dsn_failed", None, None),
    "dsn_policy": ("bounce", "dsn_failed", None, None),
    "dsn_two_recipients": ("bounce", "dsn_failed", None, None),
    "dsn_unknown_user": ("bounce", "dsn_failed", None, None),
    "hidden_characters": ("reply", "reply", None, None),
    "left_company": ("auto_reply", "auto_reply_header", "left_company", None),
    "newsletter": ("auto_generated", "list_mail", None, None),
    "ooo_exchange": ("auto_reply", "auto_submitted_replied", "ooo", date(2026, 8, 17)),
    "ooo_german": ("auto_reply", "auto_subject", "ooo", date(2026, 8, 24)),
    "ooo_weak_signs": ("auto_reply", "weak_points", "ooo", date(2026, 8, 12)),
    "read_receipt": ("auto_generated", "read_receipt", None, None),
    "reply_about_bounces": ("reply", "reply", None, None),
    "reply_gmail": ("reply", "reply", None, None),
    "reply_outlook_html": ("reply", "reply", None, None),
    "ticket_ack": ("auto_generated", "auto_submitted_generated", "ticket_ack", None),
    "unsubscribe_mailto": ("unsubscribe", "unsubscribe_subject", None, None),
    "unsubscribe_reply": ("unsubscribe", "unsubscribe_phrase", None, None),
}


def _classify(raw: bytes) -> tuple[str, str]:
    mail = parse_mail(raw)
    verdict = classify(mail, references_ours=bool(mail.in_reply_to or mail.references), received_on=TODAY)
    return verdict.kind, verdict.rule


@pytest.mark.parametrize("name", NAMES)
def test_every_mail_of_the_corpus_gets_its_verdict(name: str) -> None:
    mail = parse_mail(read_mail(name))
    verdict = classify(mail, references_ours=bool(mail.in_reply_to or mail.references), received_on=TODAY)
    assert (verdict.kind, verdict.rule, verdict.sub_kind, verdict.return_date) == _EXPECTED[name]
    assert (verdict.bounce is not None) == (verdict.kind == "bounce")


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("dsn_unknown_user", ["hard"]),
        ("dsn_policy", ["policy"]),
        ("dsn_microsoft_access_denied", ["hard"]),
        ("dsn_two_recipients", ["soft", "hard"]),
        ("dsn_delayed", []),
        ("bounce_exim", ["other"]),
    ],
)
def test_each_failed_recipient_gets_its_own_bounce_verdict(name: str, kinds: list[str]) -> None:
    report = parse_mail(read_mail(name)).dsn
    assert report is not None
    assert [bounce.kind for bounce in bounce_verdicts(report)] == kinds


@pytest.mark.parametrize(
    ("status", "diagnostic", "remote_mta", "kind"),
    [
        ("5.1.1", None, None, "hard"),
        ("5.1.2", None, None, "hard"),
        ("5.1.6", None, None, "hard"),
        ("5.1.10", "550 5.1.10 RESOLVER.ADR.RecipientNotFound", None, "hard"),
        ("5.2.1", "550 5.2.1 account disabled", None, "hard"),
        ("5.0.0", "550 5.1.1 no such user", None, "hard"),
        (None, "550-5.1.1 The account does not exist", None, "hard"),
        ("5.4.1", "550 5.4.1 Access denied", "x.mail.protection.outlook.com", "hard"),
        ("5.4.1", "550 5.4.1 Access denied", "mx.outlook.com.evil.test", "other"),
        ("5.4.1", None, "mx.buyer.test", "other"),
        ("5.4.4", None, None, "other"),
        (None, "550 no such user", None, "other"),
        (None, "550", None, "other"),
        (None, None, None, "other"),
        ("5.1.7", None, None, "sender"),
        ("5.1.8", None, None, "sender"),
        ("5.7.1", None, None, "policy"),
        ("5.7.26", "550-5.7.26 unauthenticated", None, "policy"),
        ("5.7.515", None, None, "policy"),
        ("5.1.1", "550 5.7.1 blocked as spam", None, "policy"),
        ("5.0.0", "554 message looks like spam", None, "policy"),
        ("5.2.2", None, None, "soft"),
        ("5.0.0", "552 mailbox full", None, "soft"),
        ("4.4.7", None, None, "soft"),
        ("5.4.7", "451 4.7.1 greylisted", None, "soft"),
        ("4.2.2", "452 4.2.2 over quota", None, "soft"),
    ],
)
def test_the_most_specific_code_decides_what_a_bounce_means(
    status: str | None, diagnostic: str | None, remote_mta: str | None, kind: str
) -> None:
    assert bounce_kind(status, diagnostic, remote_mta) == kind


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"auto_submitted": "no"}, ("reply", "reply")),
        ({"auto_submitted": "auto-replied; owner=x"}, ("auto_reply", "auto_submitted_replied")),
        ({"auto_submitted": "auto-notified"}, ("auto_generated", "auto_submitted_generated")),
        ({"auto_submitted": "AUTO-REPLIED (vacation)"}, ("auto_reply", "auto_submitted_replied")),
        ({"auto_submitted": "auto-generated"}, ("auto_generated", "auto_submitted_generated")),
        ({"x_autorespond": "yes"}, ("auto_reply", "auto_reply_header")),
        ({"x_autoreply": "yes"}, ("auto_reply", "auto_reply_header")),
        ({"x_autoresponder": "1"}, ("auto_reply", "auto_reply_header")),
        ({"x_auto_reply_from": "bob@x.test"}, ("auto_reply", "auto_reply_header")),
        ({"x_mail_autoreply": "true"}, ("auto_reply", "auto_reply_header")),
        ({"x_autorespond": "no"}, ("reply", "reply")),
        ({"precedence": "auto_reply"}, ("auto_reply", "precedence_auto_reply")),
        ({"precedence": "Auto-Reply"}, ("auto_reply", "precedence_auto_reply")),
        ({"x_auto_response_suppress": "All"}, ("reply", "reply")),
        ({"from": "no-reply@x.test"}, ("reply", "reply")),
        ({"from": "postmaster@x.test"}, ("reply", "reply")),
        ({"x_auto_response_suppress": "All", "from": "no-reply@x.test"}, ("auto_reply", "weak_points")),
        ({"x_auto_response_suppress": "All", "from": "donotreply@x.test"}, ("auto_reply", "weak_points")),
        ({"x_auto_response_suppress": "All", "from": "mailer-daemon@x.test"}, ("auto_reply", "weak_points")),
        ({"x_auto_response_suppress": "All", "from": "postmaster@x.test"}, ("auto_reply", "weak_points")),
        (
            {"x_auto_response_suppress": "All", "x_ms_exchange_inbox_rules_loop": "bob@x.test"},
            ("auto_reply", "weak_points"),
        ),
        ({"return_path": "<>", "in_reply_to": "<1@acme.test>"}, ("auto_reply", "null_return_path")),
        ({"return_path": "<>"}, ("reply", "reply")),
        ({"subject": "Out of Office: Hello"}, ("auto_reply", "auto_subject")),
        ({"subject": "Automatic reply: Hello"}, ("auto_reply", "auto_subject")),
        ({"subject": "Auto-Response: Hello"}, ("auto_reply", "auto_subject")),
        ({"subject": "autoreply"}, ("auto_reply", "auto_subject")),
        ({"subject": "OOF: Hello"}, ("auto_reply", "auto_subject")),
        ({"subject": "OOO Re: Hello"}, ("auto_reply", "auto_subject")),
        ({"subject": "Abwesenheitsnotiz: Hello"}, ("auto_reply", "auto_subject")),
        ({"subject": "Automatische Antwort: Hello"}, ("auto_reply", "auto_subject")),
        ({"subject": "Absence du bureau"}, ("auto_reply", "auto_subject")),
        ({"subject": "Respuesta automática: Hello"}, ("auto_reply", "auto_subject")),
        ({"subject": "Fuera de la oficina: Hello"}, ("auto_reply", "auto_subject")),
        ({"subject": "Fuera de oficina"}, ("auto_reply", "auto_subject")),
        ({"subject": "Risposta automatica: Hello"}, ("auto_reply", "auto_subject")),
        ({"subject": "Automatisch antwoord: Hello"}, ("auto_reply", "auto_subject")),
        ({"subject": "不在のお知らせ"}, ("auto_reply", "auto_subject")),
        ({"subject": "自動返信: Hello"}, ("auto_reply", "auto_subject")),
        ({"subject": "Autoodpowiedź: Hello"}, ("auto_reply", "auto_subject")),
        ({"subject": "Automatyczna odpowiedź: Hello"}, ("auto_reply", "auto_subject")),
        ({"subject": "Автоответ: Hello"}, ("auto_reply", "auto_subject")),
        ({"subject": "Автоматический ответ: Hello"}, ("auto_reply", "auto_subject")),
        ({"subject": "Absence management"}, ("reply", "reply")),
        ({"subject": "Oooh, nice"}, ("reply", "reply")),
        ({"subject": "Réponse automatique : Hello"}, ("auto_reply", "auto_subject")),
        ({"subject": "自动回复: Hello"}, ("auto_reply", "auto_subject")),
        ({"subject": "Re: out of office hours?"}, ("reply", "reply")),
        ({"subject": "Auto: Hello", "in_reply_to": "<1@acme.test>"}, ("auto_reply", "auto_prefix")),
        ({"subject": "Auto: insurance"}, ("reply", "reply")),
        ({"list_id": "<l.x.test>"}, ("auto_generated", "list_mail")),
        ({"list_id": "<l.x.test>", "in_reply_to": "<1@acme.test>"}, ("reply", "reply")),
        ({"to": "unsubscribe+77@acme.test"}, ("unsubscribe", "unsubscribe_address")),
        ({"subject": "unsubscribe Jx0aPq7-4Lm_9Tz"}, ("unsubscribe", "unsubscribe_subject")),
        ({"subject": "Re: unsubscribe links"}, ("reply", "reply")),
        ({"subject": "Unsubscribe rates in freight"}, ("reply", "reply")),
    ],
)
def test_headers_tell_machines_from_people(headers: dict[str, str], expected: tuple[str, str]) -> None:
    assert _classify(write_mail("Thank you.", **headers)) == expected


def test_an_absence_in_the_text_alone_is_a_reply_and_with_one_sign_more_it_is_not() -> None:
    text = "I am out of the office until Monday."
    assert _classify(write_mail(text)) == ("reply", "reply")
    assert _classify(write_mail(text, x_auto_response_suppress="OOF")) == ("auto_reply", "weak_points")


def test_an_absence_far_down_or_in_the_quote_is_no_sign() -> None:
    for text in ("word " * 110 + "I am on leave.", "Sure.\n\nOn 3 Aug 2026, Ann wrote:\n> I am out of the office"):
        assert _classify(write_mail(text, x_auto_response_suppress="OOF")) == ("reply", "reply")


_WISH = "Please remove me from your list."
_LONG_ABSENCE = (
    "I am out of the office until Monday, 17 August, with little access to my mail. In urgent cases my colleagues at "
    "the service desk will be glad to help you, at any time of the day and in four languages. Your message is not "
    "forwarded. Our office in Berlin is closed in that week, too, so that parcels should be sent a little later.\n\n"
    "If you no longer wish to receive our newsletter, unsubscribe at any time. Please remove me from your list."
)


@pytest.mark.parametrize(
    "headers",
    [
        {"x_auto_response_suppress": "All", "x_ms_exchange_inbox_rules_loop": "bob@buyer.test"},
        {"x_auto_response_suppress": "All", "precedence": "bulk"},
        {"precedence": "bulk"},
        {"return_path": "<>", "in_reply_to": "<1@acme.test>"},
        {"subject": "Absence next week"},
        {"subject": "Auto: Hello", "in_reply_to": "<1@acme.test>"},
    ],
)
def test_a_plain_wish_goes_before_signs_that_a_machine_wrote(headers: dict[str, str]) -> None:
    assert _classify(write_mail(_WISH, **headers)) == ("unsubscribe", "unsubscribe_phrase")
    assert _classify(write_mail("Unsubscribe\n\n" + _LONG_ABSENCE, **headers)) == ("unsubscribe", "unsubscribe_line")
    assert _classify(write_mail(_LONG_ABSENCE, **headers))[0] in ("auto_reply", "auto_generated")


@pytest.mark.parametrize(
    "headers",
    [
        {"auto_submitted": "auto-replied"},
        {"x_autoreply": "yes"},
        {"precedence": "auto_reply"},
    ],
)
def test_a_machine_that_says_so_wishes_nothing(headers: dict[str, str]) -> None:
    for text in (_LONG_ABSENCE, _WISH):
        assert _classify(write_mail(text, **headers))[0] == "auto_reply"
    assert _classify(write_mail(_WISH, list_id="<l.x.test>"))[0] == "auto_generated"


@pytest.mark.parametrize(
    ("text", "back"),
    [
        ("I return on August 17, 2026.", date(2026, 8, 17)),
        ("Away until the 12th.", date(2026, 8, 12)),
        ("Back Monday, August 17 2026 (call +49 30 12)", date(2026, 8, 17)),
        ("On maternity leave until June 2027.", date(2027, 6, 1)),
    ],
)
def test_an_absence_in_few_words_has_its_day_too(text: str, back: date) -> None:
    mail = parse_mail(write_mail(text, auto_submitted="auto-replied"))
    verdict = classify(mail, references_ours=True, received_on=TODAY)
    assert (verdict.sub_kind, verdict.return_date) == ("ooo", back)


def test_a_person_who_is_back_on_some_day_is_not_absent() -> None:
    assert suggest_label("I'll get back on Monday with an answer.")[0] != "out_of_office"


def test_the_order_of_the_rules_decides_when_several_fit() -> None:
    everything = {
        "auto_submitted": "auto-replied",
        "x_autoreply": "yes",
        "precedence": "auto_reply",
        "return_path": "<>",
        "subject": "Out of office",
        "in_reply_to": "<1@acme.test>",
    }
    rules = []
    while len(everything) > 1:
        rules.append(_classify(write_mail("I am on leave.", **everything))[1])
        everything.pop(next(iter(everything)))
    assert rules == [
        "auto_submitted_replied",
        "auto_reply_header",
        "precedence_auto_reply",
        "null_return_path",
        "auto_subject",
    ]


@pytest.mark.parametrize(
    ("text", "sub_kind"),
    [
        ("I am out of the office until further notice.", "ooo"),
        ("Sam is no longer with the company.", "left_company"),
        ("We have received your request. Ticket number 4711.", "ticket_ack"),
        ("Thank you.", None),
    ],
)
def test_an_automatic_answer_says_what_it_is_about(text: str, sub_kind: str | None) -> None:
    mail = parse_mail(write_mail(text, auto_submitted="auto-replied"))
    assert classify(mail, references_ours=True, received_on=TODAY).sub_kind == sub_kind


@pytest.mark.parametrize(
    "text",
    [
        "unsubscribe",
        "STOP.",
        "Hi Ann,\n\nremove me please\n\nBob",
        "Please remove me from your list.",
        "Not interested, take me off",
        "please stop emailing me",
        "Don't contact me again.",
        "I would like to be removed from this.",
        "Please opt me out.",
        "Delete my data under GDPR.",
        "Bitte tragen Sie mich aus.",
        "Bitte keine weiteren E-Mails.",
        "Löschen Sie uns aus Ihrem Verteiler.",
        "Merci de ne plus me contacter.",
        "Désinscrivez-moi de cette liste.",
        "Por favor, denme de baja.",
        "No me escriban más.",
    ],
)
def test_a_wish_to_be_left_alone_is_an_unsubscribe(text: str) -> None:
    assert _classify(write_mail(text))[0] == "unsubscribe"
    assert suggest_label(text)[0] == "unsubscribe"


@pytest.mark.parametrize(
    "text",
    [
        "Does your product have an unsubscribe link?",
        "Please don't unsubscribe me, I like these.",
        "We had to stop sending samples last year.",
        "Please stop by our booth!",
        "I can't stop thinking about this.",
        "Don't contact me before September, then gladly.",
        "Could you take me through your pricing?",
        "Yes please.\n\nOn 3 Aug 2026, Ann wrote:\n> Reply unsubscribe to opt out.\n> unsubscribe",
    ],
)
def test_a_reply_that_merely_uses_such_words_is_none(text: str) -> None:
    assert _classify(write_mail(text)) == ("reply", "reply")


@pytest.mark.parametrize(
    ("feedback_type", "expected"),
    [
        ("fraud", ("complaint", "arf")),
        ("not-spam", ("auto_generated", "arf_other")),
        ("opt-out", ("unsubscribe", "arf_opt_out")),
    ],
)
def test_not_every_feedback_report_is_a_complaint(feedback_type: str, expected: tuple[str, str]) -> None:
    raw = read_mail("arf_abuse").replace(b"Feedback-Type: abuse", f"Feedback-Type: {feedback_type}".encode())
    assert _classify(raw) == expected


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Yes, I am interested.", "interested"),
        ("Sounds great, thanks for writing.", "interested"),
        ("Klingt spannend!", "interested"),
        ("Cela m'intéresse.", "interested"),
        ("Me interesa mucho.", "interested"),
        ("Sounds good, can we talk on Tuesday?", "meeting_requested"),
        ("Here is my calendar: https://calendly.com/bob", "meeting_requested"),
        ("Gern, schlagen Sie einen Termin vor.", "meeting_requested"),
        ("Appelez-moi demain.", "meeting_requested"),
        ("¿Podemos agendar una llamada?", "meeting_requested"),
        ("Can you send me more information?", "needs_more_info"),
        ("What is your pricing?", "needs_more_info"),
        ("Bitte schicken Sie mir mehr Informationen.", "needs_more_info"),
        ("Pouvez-vous m'envoyer plus d'informations ?", "needs_more_info"),
        ("¿Cuánto cuesta?", "needs_more_info"),
        ("Please contact my colleague Anna.", "referral"),
        ("Please reach out to jane@buyer.test", "referral"),
        ("I forwarded this to our CTO.", "referral"),
        ("Bitte wenden Sie sich an Frau Blum.", "referral"),
        ("Where did you get my address?", "question"),
        ("Thanks.", "neutral"),
        ("", "neutral"),
        ("Not interested, thanks.", "not_interested"),
        ("No", "not_interested"),
        ("We already have a provider.", "not_interested"),
        ("Kein Interesse, danke.", "not_interested"),
        ("Non merci, pas intéressé.", "not_interested"),
        ("No me interesa, gracias.", "not_interested"),
        ("I am not the right person for this.", "wrong_person"),
        ("Dafür bin ich nicht zuständig.", "wrong_person"),
        ("Je ne suis pas la bonne personne.", "wrong_person"),
        ("I'm on annual leave until Monday.", "out_of_office"),
        ("Ich bin im Urlaub.", "out_of_office"),
        ("Sam is no longer with the company.", "left_company"),
        ("Ya no trabaja aquí.", "left_company"),
    ],
)
def test_a_reply_gets_the_label_that_fits(text: str, label: str) -> None:
    assert suggest_label(text)[0] == label
