"""Which addresses Postrider may connect to: the one guard that SMTP, IMAP and HTTP share.

A host is resolved once, every answer is checked, and the caller connects to the checked address while TLS still
verifies the host name. A name that changes its answer between check and connect therefore gains nothing.
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import idna

from postrider.kernel.errors import Upstream

IpAddress = IPv4Address | IPv6Address
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Gives the textual addresses of an ASCII host name, best first. Raises: OSError (socket.gaierror) when it cannot."""

REFUSAL = "The host cannot be used: it was not found, or it does not belong to the public internet."

# Never reachable, whatever the settings say: they lead to the machine's own platform, to many hosts, or to none.
_FORBIDDEN_V4 = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # "this network": Linux connects 0.0.0.0 to itself
        "169.254.0.0/16",  # link-local, where clouds keep their metadata service
        "168.63.129.16/32",  # the platform address of one cloud, outside every reserved block
        "192.0.0.192/32",  # the metadata address of another
        "100.100.100.200/32",  # and of a third
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
# Open to those who allow private hosts. Source: RFC 6890 and the IANA special-purpose registries.
_PRIVATE_V4 = tuple(
    IPv4Network(block)
    for block in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
    )
)
_METADATA_V6 = IPv6Address("fd00:ec2::254")
_PRIVATE_V6 = (IPv6Network("::1/128"), IPv6Network("fc00::/7"))
_GLOBAL_UNICAST_V6 = IPv6Network("2000::/3")
_RESERVED_V6 = tuple(
    IPv6Network(block)
    for block in (
        "2001::/23",  # protocol assignments: Teredo, benchmarking, ORCHID
        "2001:db8::/32",
        "2002::/16",  # 6to4 wraps any IPv4 address, and its relays are gone
        "3fff::/20",
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
_LOW_32_BITS = 0xFFFFFFFF
_NUMERIC_LABEL = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ResolvedHost:
    """Where to connect: ``ip`` first, then ``other_ips`` in order; ``host`` is the name TLS must verify."""

    ip: str
    port: int
    host: str
    other_ips: tuple[str, ...] = ()


def is_public_address(ip: str | IpAddress) -> bool:
    """Whether an address belongs to the public internet; IPv4 wrapped in IPv6 is judged by what it wraps."""
    return _is_allowed(_address(ip), allow_private=False)


class Egress:
    """Turns hosts into addresses that may be connected to."""

    def __init__(self, allow_private: bool, resolver: Resolver | None = None) -> None:
        self._allow_private = allow_private
        self._resolve = resolver or _system_resolver

    async def address_of(self, host: str, port: int, *, ports: Collection[int] = ()) -> ResolvedHost:
        """The checked address of a host. ``ports``, if given, bounds the port unless private hosts are allowed.

        Raises: Upstream. Absent, private and malformed hosts all get the same words, so that nobody can use the
        answer to map an internal network.
        """
        if not 0 < port < 65536 or (ports and port not in ports and not self._allow_private):
            raise _refused()
        name = _ascii_host(host)
        addresses = tuple([literal] if (literal := _literal(name)) else await self._lookup(name, port))
        if not addresses or not all(_is_allowed(each, self._allow_private) for each in addresses):
            raise _refused()
        first, *others = dict.fromkeys(str(each) for each in addresses)
        return ResolvedHost(first, port, name, tuple(others))

    async def _lookup(self, name: str, port: int) -> list[IpAddress]:
        try:
            return [_address(each) for each in await self._resolve(name, port)]
        except socket.gaierror as error:
            if error.errno == socket.EAI_AGAIN:
                raise _not_now() from None
            raise _refused() from None
        except TimeoutError:
            raise _not_now() from None
        except (OSError, ValueError):
            raise _refused() from None


async def _system_resolver(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
    )
    return [str(each[4][0]) for each in found]


def _refused() -> Upstream:
    return Upstream(
        REFUSAL,
        retryable=False,
        code="HOST_NOT_ALLOWED",
        hint="Check the spelling. Hosts of a private network need the server setting that allows private hosts.",
    )


def _not_now() -> Upstream:
    return Upstream("The host could not be looked up just now.", retryable=True, code="HOST_LOOKUP_FAILED")


def _ascii_host(host: str) -> str:
    """The host as it goes to the resolver: A-labels, lower case, no brackets, no trailing dot. Raises: Upstream."""
    name = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    name = name.removesuffix(".").lower()
    if ":" in name:
        return name
    try:
        ascii_name = idna.encode(name, uts46=True).decode("ascii") if not name.isascii() else name
    except (idna.IDNAError, UnicodeError):
        raise _refused() from None
    if not re.fullmatch(r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_][a-z0-9_-]{0,62})*", ascii_name):
        raise _refused()
    return ascii_name


def _literal(name: str) -> IpAddress | None:
    """The address that a host spells out, or None for a name. Raises: Upstream for hex, octal and short spellings."""
    try:
        return ip_address(name)
    except ValueError:
        # Resolvers read 0x7f.1, 0177.0.0.1 and 2130706433 as addresses; no public host needs such a spelling.
        if ":" in name or _NUMERIC_LABEL.match(name.rpartition(".")[2]):
            raise _refused() from None
        return None


def _address(ip: str | IpAddress) -> IpAddress:
    return ip_address(ip) if isinstance(ip, str) else ip


def _is_allowed(ip: IpAddress, allow_private: bool) -> bool:
    if isinstance(ip, IPv6Address):
        return _is_allowed_v6(ip, allow_private)
    if any(ip in block for block in _FORBIDDEN_V4):
        return False
    return allow_private or not any(ip in block for block in _PRIVATE_V4)


def _is_allowed_v6(ip: IPv6Address, allow_private: bool) -> bool:
    if ip.scope_id is not None or ip == _METADATA_V6:
        return False
    if ip.ipv4_mapped is not None:
        return _is_allowed(ip.ipv4_mapped, allow_private)
    if ip in _NAT64:
        # A NAT64 network reaches every public IPv4 host this way (RFC 6052), so what is wrapped decides.
        return _is_allowed(IPv4Address(int(ip) & _LOW_32_BITS), allow_private)
    if ip in _GLOBAL_UNICAST_V6:
        return not any(ip in block for block in _RESERVED_V6)
    return allow_private and any(ip in block for block in _PRIVATE_V6)
