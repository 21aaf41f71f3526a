"""Passwords: which are taken, how they are kept, and that checking one holds nobody up."""

import asyncio
import threading
import time

import pytest

from postrider.access import passwords
from postrider.access.passwords import AT_ONCE, MOST_WAITING, PasswordWork, hash_password, password_fits
from postrider.access.people_rules import check_email, check_new_password, check_person_name, scopes_of
from postrider.kernel.errors import InvalidInput, LimitReached
from postrider.kernel.secret import Secret
from tests.people.rig import HASH, PASSWORD

GUESSABLE = [
    "password1234",
    "Password1234!",
    "P a s s w o r d 1 2 3",
    "qwertyuiop12",
    "QWERTYUIOPASDF",
    "poiuytrewqlkjh",
    "123456789012",
    "098765432109",
    "abcdefghijklm",
    "aaaaaaaaaaaa",
    "abababababab",
    "postrider2026",
    "letmein2026-11",
    "Welcome-12345",
    "ann.example1",
    "ann.example@acme.test",
    "iloveyou2026",
    "correct horse battery staple",
]
TAKEN = [
    "purple tandem kettle",
    "kettle-drum-9a",
    "Tr0ub4dor&3 x",
    "длинный пароль",
    "パスワードではない言葉です",
    "xxxxxyzw7!qqqqq",
    "my password is purple",
]


@pytest.mark.parametrize("text", GUESSABLE)
def test_what_is_guessed_first_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_new_password(text, "ann.example@acme.test")
    assert text not in refused.value.message and refused.value.field == "password"


@pytest.mark.parametrize("text", TAKEN)
def test_anything_else_that_is_long_enough_is_taken(text: str) -> None:
    assert check_new_password(text, "ann.example@acme.test") == text


@pytest.mark.parametrize("text", ["", "short", "eleven char", "long " * 201, "ü" * 501])
def test_a_password_has_bounds(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"characters|octets"):
        check_new_password(text, "ann@ann.test")


def test_a_password_is_kept_as_argon2id_with_a_salt_of_its_own() -> None:
    one, other = hash_password(Secret(PASSWORD)), hash_password(Secret(PASSWORD))
    assert one.startswith("$argon2id$v=19$") and one != other
    assert password_fits(Secret(PASSWORD), one) and password_fits(Secret(PASSWORD), other)
    assert not password_fits(Secret(PASSWORD + " "), one) and not password_fits(Secret(""), one)


@pytest.mark.parametrize("stored", [None, "", "nonsense", "$argon2id$v=19$broken"])
def test_without_a_good_hash_nothing_fits(stored: str | None) -> None:
    assert not password_fits(Secret(PASSWORD), stored)
    assert not password_fits(Secret("\0 nobody has this password \0"), stored)


def test_for_somebody_unknown_the_same_work_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    hasher = passwords._hasher()
    checked: list[str] = []
    verify = type(hasher).verify

    def counting(self: object, password: str, stored: str) -> bool:
        checked.append(stored.rpartition("$")[0].rpartition("$")[0])
        return bool(verify(hasher, password, stored))

    monkeypatch.setattr(type(hasher), "verify", counting)
    password_fits(Secret(PASSWORD), HASH)
    password_fits(Secret(PASSWORD), None)
    assert len(checked) == 2 and checked[0] == checked[1], "the same algorithm and cost"


def test_a_password_of_any_length_is_no_more_work() -> None:
    started = time.monotonic()
    assert not password_fits(Secret("x" * 5_000_000), HASH)
    assert time.monotonic() - started < 5


async def test_only_a_few_are_worked_out_at_once_and_never_on_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    now, most, lock = 0, 0, threading.Lock()
    loop_thread = threading.get_ident()

    def fits(password: Secret, stored: str | None) -> bool:
        nonlocal now, most
        assert threading.get_ident() != loop_thread
        with lock:
            now += 1
            most = max(most, now)
        result = password_fits(password, stored)
        with lock:
            now -= 1
        return result

    monkeypatch.setattr(passwords, "password_fits", fits)
    work = PasswordWork()
    answers = await asyncio.gather(*(work.fits(Secret(PASSWORD), HASH) for _ in range(8)))
    assert all(answers) and most <= AT_ONCE


async def test_who_comes_on_top_of_a_long_queue_is_asked_to_come_again() -> None:
    work = PasswordWork()
    answers = await asyncio.gather(
        *(work.fits(Secret(PASSWORD), None) for _ in range(MOST_WAITING + 3)), return_exceptions=True
    )
    assert sum(isinstance(answer, LimitReached) for answer in answers) == 3
    assert await work.fits(Secret(PASSWORD), HASH), "the queue is empty again"


@pytest.mark.parametrize("text", ["ann", "ann@", "@ann.test", "a b@ann.test", "a@b@c", "a@b,c@d", "a@b\x07", "<a@b>"])
def test_an_address_to_sign_in_with_is_one_address(text: str) -> None:
    with pytest.raises(InvalidInput):
        check_email(text)


def test_addresses_and_names_are_kept_in_one_form() -> None:
    assert check_email("  Ann@Example.COM ") == "ann@example.com"
    assert check_person_name("  Ann   Example ") == "Ann Example"


def test_a_member_may_not_administer_and_a_stranger_nothing() -> None:
    assert scopes_of("owner") == scopes_of("admin") > scopes_of("member")
    assert "administer" not in scopes_of("member") and scopes_of("guest") == frozenset()
