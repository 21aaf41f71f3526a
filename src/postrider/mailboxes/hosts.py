"""Which hosts and ports a mail server may be given as. Pure: whether a host may be connected to is for egress."""

import re
from ipaddress import ip_address
from typing import Final

from postrider.kernel.errors import InvalidInput

SMTP_PORTS: Final = frozenset({25, 465, 587, 2465, 2525, 2587})
"""Where mail may be handed over; other ports need the setting that allows private hosts."""
IMAP_PORTS: Final = frozenset({143, 993})
"""Where mail may be read; other ports need the same setting."""

_LONGEST: Final = 253
_LABEL: Final = r"(?!-)[\w-]{1,63}(?<!-)"
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NUMBER: Final = re.compile(r"0x[0-9a-f]*|[0-9]+", re.IGNORECASE)
_HOST_AND_PORT: Final = re.compile(r"[^:/@\s\[\]]+:[0-9]{1,5}")


def check_host(text: str, field: str) -> str:
    """A host name or an IP address without outer spaces.

    Raises: InvalidInput that names ``field`` (``smtp.host``) and says what to do about the usual mistakes.
    """
    host = text.strip()
    if len(host) <= _LONGEST and (_is_address(host) or _is_name(host)):
        return host
    raise InvalidInput(
        f"{field} is not a host name or an IP address.", field=field, hint=_advice(host, field.removesuffix(".host"))
    )


def check_port(port: int, allowed: frozenset[int], field: str) -> None:
    """Accepts a port that mail servers use. Raises: InvalidInput that names ``field``."""
    if port not in allowed:
        ports = ", ".join(map(str, sorted(allowed)))
        raise InvalidInput(
            f"{field} {port} is not a port of public mail servers.",
            field=field,
            hint=f"Use one of {ports}. Others need POSTRIDER_ALLOW_PRIVATE_HOSTS=true on the server.",
        )


def _is_address(host: str) -> bool:
    try:
        ip_address(host[1:-1] if host.startswith("[") and host.endswith("]") else host)
    except ValueError:
        return False
    return True


def _is_name(host: str) -> bool:
    # A name whose last part is a number would be read as an address in another spelling (127.1).
    return _NAME.fullmatch(host) is not None and not _NUMBER.fullmatch(host.rpartition(".")[2])


def _advice(host: str, server: str) -> str:
    """What to do about it; the caller's own text is not repeated."""
    if "://" in host or "/" in host:
        return "Give the name alone, such as smtp.acme.com, without http:// and without a path."
    if "@" in host:
        return (
            f"That looks like an email address, which goes to {server}.username. Give the name of the server, "
            "such as smtp.acme.com."
        )
    if _HOST_AND_PORT.fullmatch(host):
        return f"Give the name alone, such as smtp.acme.com; the port goes to {server}.port."
    if host.endswith("."):
        return "Leave the dot at the end out."
    return "Give a name such as smtp.acme.com, or an address such as 203.0.113.7, without spaces."
