"""What a person's address, name and password have to be, and what each role may do. Pure."""

import re
from itertools import pairwise
from typing import Final, Literal

from postrider.kernel.context import ALL_SCOPES
from postrider.kernel.errors import InvalidInput

Role = Literal["owner", "admin", "member"]
ROLES: Final[tuple[Role, ...]] = ("owner", "admin", "member")

LEAST_PASSWORD_CHARACTERS: Final = 12
MOST_PASSWORD_OCTETS: Final = 1_000
LONGEST_NAME: Final = 200

# Only a name to sign in with, possibly of this machine; mail goes through the strict parser in content/addresses.py.
_ADDRESS: Final = re.compile(r"[^\s@<>,;\x00-\x1f]+@[^\s@<>,;\x00-\x1f]+")
_FEWEST_DIFFERENT: Final = 5
_ROWS: Final = ("12345678901", "abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "qwertzuiop", "asdfghjkl", "zxcvbnm")
_NEIGHBOURS: Final = frozenset(pair for row in (*_ROWS, *(row[::-1] for row in _ROWS)) for pair in pairwise(row))
_MOST_NEIGHBOURS: Final = 0.8
_WORDS: Final = """
admin administrator asdfghjkl azerty autumn baseball changeme changethis correcthorsebatterystaple dragon football
iloveyou iloveyousomuch letmein letmeinnow login master monkey mypassword newpassword outreach pass password
passwordpassword passwort postrider princess qazwsx qwerty qwertyuiop qwertz secret spring summer sunshine superman
temporary test thequickbrownfox thisismypassword trustno welcome winter zaqxsw zxcvbnm
"""
_COMMON: Final = frozenset(_WORDS.split())
"""Words that too many passwords are made of; digits and signs around them make no difference."""


def scopes_of(role: str) -> frozenset[str]:
    """What somebody in that role may do, and so at most may let an app or a key do."""
    return (
        ALL_SCOPES if role in ("owner", "admin") else ALL_SCOPES - {"administer"} if role == "member" else frozenset()
    )


def may_administer(role: str) -> bool:
    """Whether that role makes keys and decides about everybody's apps."""
    return "administer" in scopes_of(role)


def check_email(text: str, field: str = "email") -> str:
    """The address as it is stored: trimmed, in lower case. Raises: InvalidInput."""
    address = text.strip().lower()
    if not _ADDRESS.fullmatch(address) or len(address) > LONGEST_NAME or not address.isprintable():
        raise InvalidInput("That is not an email address.", field=field, hint="Example: you@example.com")
    return address


def check_person_name(text: str, field: str = "name") -> str:
    """The name of a person or a workspace on one line. Raises: InvalidInput."""
    words = " ".join(text.split())
    if not words or len(words) > LONGEST_NAME or not words.isprintable():
        raise InvalidInput(f"A name has 1 to {LONGEST_NAME} printable characters.", field=field)
    return words


def check_new_password(text: str, email: str, field: str = "password") -> str:
    """The password itself when it may be used. Raises: InvalidInput, never repeating it."""
    if len(text) < LEAST_PASSWORD_CHARACTERS:
        raise _refused(f"A password has at least {LEAST_PASSWORD_CHARACTERS} characters.", field)
    if not fits_a_password(text):
        raise _refused(f"A password has at most {MOST_PASSWORD_OCTETS:,} octets.", field)
    if is_guessable(text, email):
        raise _refused("That password is one of the first that would be tried.", field)
    return text


def fits_a_password(text: str) -> bool:
    """Whether a text is short enough to be anybody's password."""
    return len(text) <= MOST_PASSWORD_OCTETS and len(text.encode(errors="replace")) <= MOST_PASSWORD_OCTETS


def is_guessable(text: str, email: str) -> bool:
    """Whether a password is common: a well-known word with digits and signs, keys in a row, few different characters,
    or the address of its owner."""
    plain = text.casefold()
    letters = re.sub(r"[^a-z]", "", plain)
    bare = re.sub(r"[\W_]", "", plain)
    own = {email.casefold(), email.casefold().partition("@")[0]}
    return (
        len(set(plain)) < _FEWEST_DIFFERENT
        or letters in _COMMON
        or plain in own
        or letters in {re.sub(r"[^a-z]", "", each) for each in own if len(each) > 3}
        or _is_a_run(bare)
    )


def _is_a_run(text: str) -> bool:
    """Whether nearly every character stands beside the one before it: on a keyboard, in the alphabet, in counting."""
    pairs = list(pairwise(text))
    return bool(pairs) and sum(pair in _NEIGHBOURS for pair in pairs) / len(pairs) > _MOST_NEIGHBOURS


def _refused(message: str, field: str) -> InvalidInput:
    return InvalidInput(message, field=field, hint="A few words that do not belong together are long and easy to keep.")
