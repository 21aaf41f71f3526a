"""Tells people from programs among those who fetch a pixel or follow a link (pure)."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address
from typing import Final, NamedTuple

TOO_FAST_SECONDS: Final = 7.0
PROXY_SECONDS: Final = 10.0
"""An image proxy that fetches this soon after the send does it for itself, later for a reader."""

BURST_LINKS: Final = 3
BURST_SECONDS: Final = 5.0
"""So many different links of one message, followed within so many seconds: no person does that."""

_APPLE: Final = IPv4Network("17.0.0.0/8")
_APPLE_AGENT: Final = "Mozilla/5.0"
_PROXY: Final = re.compile(r"GoogleImageProxy|YahooMailProxy")
# Whole words only: "java", "security" or "atp" alone stand in the names of programs that people use; Cubot is a phone.
_SCANNER: Final = re.compile(
    r"\b(?:(?!cubot\b)[a-z]{0,30}bot|[a-z]{0,30}crawler|[a-z]{0,30}spider|slurp|scanner|[a-z]{0,30}preview|"
    r"proofpoint|mimecast|barracuda\w{0,20}|"
    r"safelinks|urldefense|ironport|forcepoint|fortiguard|fireeye|trendmicro|symantec|messagelabs|sophos|bitdefender|"
    r"headlesschrome|phantomjs|puppeteer|playwright|selenium|python-requests|python-urllib|python-httpx|aiohttp|curl|"
    r"wget|libwww-perl|go-http-client|okhttp|apache-httpclient|axios|node-fetch|undici|scrapy|"
    r"facebookexternalhit|microsoft office|ms-office|msoffice)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a request. It serves the verdict only: neither program nor address is stored."""

    user_agent: str
    method: str = "GET"
    ip_address: str = ""


class HitVerdict(NamedTuple):
    """Whether a program made the request, and the stable name of the rule that says so."""

    machine: bool
    rule: str


def judge(seen: Seen, seconds_after_send: float) -> HitVerdict:
    """The verdict on one request by itself; see ``is_burst`` for several together."""
    agent = seen.user_agent.strip()
    if not agent:
        return HitVerdict(True, "no_user_agent")
    if agent == _APPLE_AGENT or _is_apple(seen.ip_address):
        return HitVerdict(True, "apple_mpp")
    if seconds_after_send < TOO_FAST_SECONDS:
        return HitVerdict(True, "too_fast")
    if _PROXY.search(agent):
        return HitVerdict(seconds_after_send < PROXY_SECONDS, "image_proxy")
    if _SCANNER.search(agent):
        return HitVerdict(True, "scanner")
    return HitVerdict(False, "person")


def is_burst(links: set[int]) -> bool:
    """Whether the different links that were followed within ``BURST_SECONDS`` are too many for a person."""
    return len(links) >= BURST_LINKS


def _is_apple(text: str) -> bool:
    """Whether an address is Apple's own, from which it fetches images for its mail app."""
    try:
        address: IPv4Address | IPv6Address | None = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped
    return address is not None and address in _APPLE
