"""What is decided about a message before its transaction: its key, its date, its two possible meanings."""

from datetime import UTC, datetime, timedelta

from postrider.inbox.arrivals import Arrival, prepare
from postrider.inbox.parsing import Poison, parse_mail
from postrider.inbox.ports import FetchedMail
from tests.unit.inbox.mail_corpus import NAMES, read_mail, write_mail

NOW = datetime(2026, 8, 6, 12, tzinfo=UTC)
SINCE = NOW - timedelta(days=30)


def arrive(raw: bytes, internal_date: datetime | None = None) -> Arrival:
    fetched = FetchedMail(1, len(raw), raw, False, internal_date, False)
    return prepare(fetched, parse_mail(raw), since=SINCE, now=NOW)


def key_of(raw: bytes) -> str:
    return arrive(raw).dedupe_key


def test_copies_share_a_key_whatever_servers_added_on_the_way() -> None:
    raw = read_mail("reply_gmail")
    assert key_of(raw) == key_of(b"X-Spam-Status: Yes\r\nReceived: from somewhere\r\n" + raw)
    assert key_of(raw) == key_of(raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    assert key_of(raw) == key_of(raw + b"\r\n\r\n")


def test_other_messages_have_other_keys() -> None:
    assert len({key_of(read_mail(name)) for name in NAMES}) == len(NAMES)


def test_the_same_message_id_on_other_words_is_another_message() -> None:
    first, second = (write_mail(body, message_id="<same@x.test>") for body in ("One", "Two"))
    assert key_of(first) != key_of(second)


def test_without_a_message_id_author_date_and_subject_tell_messages_apart() -> None:
    date = "Thu, 6 Aug 2026 09:00:00 +0000"
    assert key_of(write_mail(date=date)) == key_of(write_mail(date=date))
    assert key_of(write_mail(date=date)) != key_of(write_mail(date=date, subject="Other"))
    assert key_of(write_mail(date=date)) != key_of(write_mail(date="Fri, 7 Aug 2026 09:00:00 +0000"))


def test_a_part_of_the_id_never_passes_for_a_part_of_the_body() -> None:
    assert key_of(write_mail("b", message_id="<a@x.test>")) != key_of(write_mail("", message_id="<a@x.testb>"))


def test_the_server_s_date_counts_where_it_can_be_true() -> None:
    raw = read_mail("reply_gmail")
    assert arrive(raw, NOW - timedelta(hours=2)).received_at == NOW - timedelta(hours=2)
    assert arrive(raw, NOW + timedelta(minutes=2)).received_at == NOW
    assert arrive(raw, NOW + timedelta(days=2)).received_at == NOW
    assert arrive(raw, SINCE - timedelta(days=1)).received_at == NOW
    assert arrive(raw).received_at == NOW


def test_a_message_is_judged_as_an_answer_and_as_a_stranger_s() -> None:
    arrival = arrive(write_mail("Hi", return_path="<>"))
    assert arrival.reading is not None
    assert (arrival.reading.as_answer.kind, arrival.reading.as_stranger.kind) == ("auto_reply", "reply")


def test_poison_is_known_by_its_octets_alone() -> None:
    raw = b"anything"
    fetched = FetchedMail(1, len(raw), raw, False, None, False)
    arrival = prepare(fetched, Poison("crashed"), since=SINCE, now=NOW)
    assert (arrival.reading, arrival.poison) == (None, "crashed")
    again = prepare(fetched, Poison("timeout"), since=SINCE, now=NOW)
    assert again.dedupe_key == arrival.dedupe_key
