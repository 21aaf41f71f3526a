"""Email addresses: the one strict parser, the key that suppression compares, and the company behind a domain."""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

from postrider.content.freemail import FREEMAIL_DOMAINS
from postrider.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from tldextract import TLDExtract

MAX_ADDRESS_OCTETS: Final = 254
"""Source: RFC 5321 section 4.5.3.1.3 (a path is 256 octets with its angle brackets)."""

_MAX_LOCAL_OCTETS: Final = 64
_MAX_DOMAIN_OCTETS: Final = 253

# Lists, comments, groups, quoting, routes and relays: legal somewhere in RFC 5322, a way to smuggle a recipient here.
_FORBIDDEN: Final = re.compile(r"""[\s\x00-\x1f\x7f-\x9f<>()\[\]{},;:\\"%!|`]""")

_LABEL: Final = r"(?!..--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_PLAIN_DOMAIN: Final = re.compile(rf"(?:{_LABEL}\.)+(?!..--)[a-z][a-z0-9-]{{0,61}}[a-z]")
_PLAIN_LOCAL: Final = re.compile(r"[A-Za-z0-9_+=-]+(?:\.[A-Za-z0-9_+=-]+)*")

# The sandbox and the demo live under .test, which no real mail can ever reach (RFC 6761 section 6.2).
_RESERVED_DOMAINS: Final = tuple(f".{name}" for name in SPECIAL_USE_DOMAIN_NAMES if name != "test")


@dataclass(frozen=True, slots=True)
class Address:
    """One parsed address. ``domain`` is what people read, ``ascii_domain`` what DNS and SMTP get (A-labels)."""

    local: str
    domain: str
    ascii_domain: str

    @property
    def text(self) -> str:
        """For people: the domain in lower case and in its own script."""
        return f"{self.local}@{self.domain}"

    @property
    def wire(self) -> str:
        """For SMTP and message headers. ASCII unless ``needs_smtputf8``."""
        return f"{self.local}@{self.ascii_domain}"

    @property
    def key(self) -> str:
        """The same for every spelling of this address: uniqueness and suppression compare it."""
        return unicodedata.normalize("NFC", self.wire.lower())

    @property
    def needs_smtputf8(self) -> bool:
        """Whether only a server that offers SMTPUTF8 (RFC 6531) can take it."""
        return not self.local.isascii()


class NamedAddress(NamedTuple):
    """A person and where to reach them. ``name`` may be empty."""

    name: str
    address: Address


def parse_address(text: str, field: str = "email") -> Address:
    """The one address that ``text`` holds; outer spaces are dropped.

    Raises: InvalidInput that names ``field``, also for what RFC 5322 would allow: display names, lists, comments,
    quoted local parts, address literals, source routes with ``%`` or ``!``.
    """
    text = text.strip(" ")
    local, at, domain = text.partition("@")
    lowered = domain.lower()
    fits = bool(at) and len(text) <= MAX_ADDRESS_OCTETS and len(local) <= _MAX_LOCAL_OCTETS
    if fits and _PLAIN_LOCAL.fullmatch(local) and _is_plain_domain(lowered):
        return Address(local, lowered, lowered)
    return _parse_unusual(text, field)


def plain_key(text: str) -> str | None:
    """``parse_address(text).key`` of a plain ASCII address, which most are; None where only that function can tell."""
    key = text.strip(" ").lower()
    local, _, domain = key.partition("@")
    fits = text.isascii() and len(key) <= MAX_ADDRESS_OCTETS and len(local) <= _MAX_LOCAL_OCTETS
    return key if fits and _PLAIN_LOCAL.fullmatch(local) and _is_known_domain(domain) else None


def normalise_email(text: str) -> str:
    """The canonical key of an address: whole address in lower case, domain in A-labels. Raises: InvalidInput."""
    return parse_address(text).key


def parse_domain(text: str, field: str = "domain") -> str:
    """The A-label form of a mail domain in lower case. Raises: InvalidInput, also for ``localhost`` and bare names."""
    domain = text.strip(" ").lower()
    if _is_plain_domain(domain):
        return domain
    try:
        return _parse_unusual(f"postmaster@{domain}", field).ascii_domain
    except InvalidInput:
        raise InvalidInput(
            f"{field} is not a valid mail domain.",
            field=field,
            hint="Give a domain such as acme.com, without @ or path.",
        ) from None


def registrable_domain(domain: str) -> str:
    """The part of ``domain`` that one owner registered: ``mail.acme.co.uk`` gives ``acme.co.uk``.

    Hosting suffixes count as suffixes (``acme.github.io`` stays whole); an unknown suffix counts as one label.
    """
    domain = domain.lower().rstrip(".")
    found = _public_suffixes()(domain)
    if not found.domain:
        return domain
    if found.suffix:
        return f"{found.domain}.{found.suffix}"
    return ".".join(domain.split(".")[-2:])


def is_freemail(domain: str) -> bool:
    """Whether anyone may open a mailbox there, so that it tells nothing about a company."""
    domain = domain.lower()
    return domain in FREEMAIL_DOMAINS or registrable_domain(domain) in FREEMAIL_DOMAINS


def _is_plain_domain(domain: str) -> bool:
    """Whether a lower-case domain is ASCII, free of IDN labels, and could be reached from anywhere."""
    return (
        len(domain) <= _MAX_DOMAIN_OCTETS
        and _PLAIN_DOMAIN.fullmatch(domain) is not None
        and not domain.endswith(_RESERVED_DOMAINS)
    )


_is_known_domain: Final = lru_cache(maxsize=16_384)(_is_plain_domain)


@lru_cache(maxsize=4096)
def _parse_unusual(text: str, field: str) -> Address:
    """What the library makes of an address that is not plain ASCII. Raises: InvalidInput."""
    if _FORBIDDEN.search(text):
        raise _refusal(field, "it holds a character that does not belong into a single plain address")
    try:
        valid = validate_email(text, check_deliverability=False, test_environment=True)
    except (EmailNotValidError, UnicodeError) as error:
        raise _refusal(field, str(error).rstrip(".")) from None
    if not isinstance(valid.ascii_domain, str) or "." not in valid.ascii_domain:
        raise _refusal(field, "its domain has no dot")
    if len(valid.local_part.encode()) > _MAX_LOCAL_OCTETS:
        raise _refusal(field, f"the part before the @ is longer than {_MAX_LOCAL_OCTETS} octets")
    if len(f"{valid.local_part}@{valid.ascii_domain}".encode()) > MAX_ADDRESS_OCTETS:
        raise _refusal(field, f"it is longer than {MAX_ADDRESS_OCTETS} octets")
    return Address(valid.local_part, valid.domain, valid.ascii_domain)


def _refusal(field: str, reason: str) -> InvalidInput:
    return InvalidInput(
        f"{field} is not a valid email address: {reason}.",
        field=field,
        hint="Give exactly one address such as jane@acme.com, without a name or angle brackets.",
    )


@cache
def _public_suffixes() -> "TLDExtract":
    """The public suffix list that ships with the library; never fetched, never cached on disk."""
    # Imported late: the import alone takes 0.2 s, because the library brings an HTTP client that is never used here.
    from tldextract import TLDExtract

    return TLDExtract(suffix_list_urls=(), cache_dir=None, include_psl_private_domains=True)
