"""Ports and kinds of TLS, and how trouble is worded.

Source: RFC 8314 (implicit TLS on 465 and 993, STARTTLS on 587 and 143).
"""

from typing import Final, Literal

from postrider.mailboxes.ports import Security

ServerKind = Literal["smtp", "imap"]

_DEFAULT_PORT: Final[dict[tuple[ServerKind, Security], int]] = {
    ("smtp", "tls"): 465,
    ("smtp", "starttls"): 587,
    ("smtp", "none"): 25,
    ("imap", "tls"): 993,
    ("imap", "starttls"): 143,
    ("imap", "none"): 143,
}
_TLS_PORTS: Final = frozenset({465, 993})
_STARTTLS_PORTS: Final = frozenset({25, 587, 143, 2587})


def trouble_text(sending: str | None, reading: str | None) -> str | None:
    """What is wrong with a mailbox, by which of its servers; None when nothing is."""
    sides = (("SMTP", sending), ("IMAP", reading))
    return " ".join(f"{name}: {text}" for name, text in sides if text) or None


def why_not_sending(status: str, *, enabled: bool) -> str | None:
    """Why nothing leaves from a mailbox; None when it may send."""
    if not enabled:
        return "sending is turned off"
    return None if status == "active" else f"its status is {status}"


def security_of(
    kind: ServerKind, port: int | None, secure: bool | None, security: Security | None
) -> tuple[int, Security]:
    """The port and kind of TLS from what was given: the explicit word, else ``secure``, else what the port is for."""
    chosen = security
    if chosen is None and secure is not None:
        # On a STARTTLS port, "secure" can only mean STARTTLS: a TLS greeting there would hang.
        chosen = "tls" if secure and port not in _STARTTLS_PORTS else "starttls"
    if chosen is None:
        implicit = port in _TLS_PORTS or (port is None and kind == "imap")
        chosen = "tls" if implicit else "starttls"
    return port or _DEFAULT_PORT[kind, chosen], chosen
