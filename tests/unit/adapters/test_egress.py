"""Which hosts may be connected to, and what is told about those that may not."""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from postrider.adapters.egress import REFUSAL, Egress, ResolvedHost, is_public_address
from postrider.kernel.errors import Upstream

PUBLIC = ("8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808")

FORBIDDEN_ALWAYS = (
    "0.0.0.0",
    "0.1.2.3",
    "169.254.169.254",
    "169.254.0.1",
    "168.63.129.16",
    "192.0.0.192",
    "100.100.100.200",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "ff02::1",
    "fd00:ec2::254",
    "::ffff:169.254.169.254",
    "::ffff:0.0.0.0",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:808:808::",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "2001:10::1",
    "3fff::1",
    "fec0::1",
    "::127.0.0.1",
    "::ffff:0:127.0.0.1",
    "4000::1",
)

PRIVATE = (
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "::1",
    "fc00::1",
    "fd12:3456::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::c0a8:101",
)

ODD_HOSTS = (
    "",
    ".",
    " ",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "127.1",
    "127.0.1",
    "8.8.8.8.8",
    "256.1.1.1",
    "08.8.8.8",
    "0X7F.0.0.1",
    "mail.0x7f",
    "user@mail.test",
    "mail.test/path",
    "mail.test:25",
    "mail test",
    "mail.test\r\nRCPT TO:<x@y.test>",
    "mail.test\x00",
    "[mail.test",
    "::1::2",
    "-mail.test",
    "a" * 64 + ".test",
    ("a" * 60 + ".") * 5 + "test",
    "mail..test",
)


class Answers:
    """A resolver with a fixed table; counts how often it was asked."""

    def __init__(self, **table: Sequence[str] | OSError) -> None:
        self._table = table
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        answer = self._table[host.partition(".")[0]]
        if isinstance(answer, OSError):
            raise answer
        return answer


async def refusal_of(egress: Egress, host: str, port: int = 587, ports: Sequence[int] = ()) -> Upstream:
    with pytest.raises(Upstream) as caught:
        await egress.address_of(host, port, ports=ports)
    return caught.value


@pytest.mark.parametrize("ip", PUBLIC)
def test_an_address_of_the_public_internet_is_public(ip: str) -> None:
    assert is_public_address(ip)


@pytest.mark.parametrize("ip", FORBIDDEN_ALWAYS + PRIVATE)
def test_a_special_address_is_not_public_in_any_wrapping(ip: str) -> None:
    assert not is_public_address(ip)


@pytest.mark.parametrize("ip", PRIVATE)
async def test_private_addresses_open_only_by_the_setting(ip: str) -> None:
    answers = Answers(host=[ip])
    assert ip_address((await Egress(True, answers).address_of("host.test", 25)).ip) == ip_address(ip)
    assert (await refusal_of(Egress(False, answers), "host.test")).message == REFUSAL


@pytest.mark.parametrize("ip", FORBIDDEN_ALWAYS)
async def test_platform_and_multicast_addresses_stay_closed_whatever_the_setting(ip: str) -> None:
    answers = Answers(host=[ip])
    assert (await refusal_of(Egress(True, answers), "host.test")).error_code == "HOST_NOT_ALLOWED"


@pytest.mark.parametrize("host", ODD_HOSTS)
async def test_an_odd_spelling_is_refused_before_any_lookup(host: str) -> None:
    answers = Answers()
    for allow_private in (False, True):
        assert (await refusal_of(Egress(allow_private, answers), host)).message == REFUSAL
    assert answers.asked == []


async def test_fancy_digits_are_read_as_the_address_they_mean() -> None:
    assert (await refusal_of(Egress(False, Answers()), "①②⑦.0.0.1")).message == REFUSAL
    assert (await Egress(False, Answers()).address_of("⑧.8.8.8", 465)).ip == "8.8.8.8"


async def test_one_private_answer_among_public_ones_refuses_the_host() -> None:
    answers = Answers(mixed=["8.8.8.8", "10.0.0.1"], good=["8.8.8.8", "1.1.1.1", "8.8.8.8"])
    assert (await refusal_of(Egress(False, answers), "mixed.test")).message == REFUSAL
    found = await Egress(False, answers).address_of("good.test", 465)
    assert found == ResolvedHost("8.8.8.8", 465, "good.test", ("1.1.1.1",))


async def test_a_host_is_asked_for_once_so_that_a_second_answer_cannot_differ() -> None:
    answers = Answers(mail=["8.8.8.8"])
    await Egress(False, answers).address_of("Mail.Test.", 587)
    assert answers.asked == ["mail.test"]


async def test_absent_private_and_malformed_hosts_get_the_very_same_answer() -> None:
    answers = Answers(absent=socket.gaierror(socket.EAI_NONAME, "not known"), internal=["10.0.0.5"], none=[], bad=["x"])
    egress = Egress(False, answers)
    hosts = ("absent.test", "internal.test", "none.test", "bad.test", "10.0.0.5", "0x0a000005", "[::1]", "a b")
    told = {(e.message, e.error_code, e.hint, str(e.details)) for e in [await refusal_of(egress, h) for h in hosts]}
    assert len(told) == 1
    assert not (await refusal_of(egress, "internal.test")).retryable


async def test_a_refused_host_answers_alike_whether_its_port_is_open_or_closed() -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    open_port = server.sockets[0].getsockname()[1]
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed_port = unused.getsockname()[1]
        told = [await refusal_of(Egress(False), "127.0.0.1", port) for port in (open_port, closed_port)]
    server.close()
    await server.wait_closed()
    assert told[0].message == told[1].message == REFUSAL
    assert told[0].details == told[1].details


@pytest.mark.parametrize("error", [socket.gaierror(socket.EAI_AGAIN, "try again"), TimeoutError()])
async def test_a_resolver_that_cannot_answer_now_is_worth_a_retry(error: OSError) -> None:
    told = await refusal_of(Egress(False, Answers(mail=error)), "mail.test")
    assert told.retryable and told.error_code == "HOST_LOOKUP_FAILED"


async def test_ports_off_the_list_are_refused_unless_private_hosts_are_allowed() -> None:
    answers = Answers(mail=["8.8.8.8"])
    assert (await refusal_of(Egress(False, answers), "mail.test", 22, ports=(25, 587))).message == REFUSAL
    assert (await Egress(False, answers).address_of("mail.test", 587, ports=(25, 587))).port == 587
    assert (await Egress(True, answers).address_of("mail.test", 2222, ports=(25, 587))).port == 2222
    for port in (0, -1, 65536):
        assert (await refusal_of(Egress(True, answers), "mail.test", port)).message == REFUSAL


async def test_literals_and_international_names_reach_the_connection_in_ascii() -> None:
    answers = Answers(**{"xn--bcher-kva": ["8.8.8.8"]})
    egress = Egress(False, answers)
    assert (await egress.address_of("Bücher.test", 465)).host == "xn--bcher-kva.test"
    assert (await egress.address_of("[2606:4700::1111]", 465)).ip == "2606:4700::1111"
    assert (await egress.address_of("8.8.8.8", 465)) == ResolvedHost("8.8.8.8", 465, "8.8.8.8")


async def test_the_system_resolver_finds_localhost() -> None:
    assert (await Egress(True).address_of("localhost", 25)).ip in {"127.0.0.1", "::1"}
