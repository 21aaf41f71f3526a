"""Who fetched the pixel or followed the link: a person or a program."""

import pytest

from postrider.sending.hits import Seen, is_burst, judge

BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36"
GOOGLE = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
YAHOO = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"


@pytest.mark.parametrize(
    "agent",
    [
        BROWSER,
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)",
        "Mozilla/5.0 (X11; Linux x86_64) Thunderbird/128.0",
        "Java Security Mail ATP/1.0",
        "Mozilla/5.0 (Linux; Android 13; CUBOT NOTE 50) Chrome/130.0 Mobile Safari/537.36",
    ],
)
def test_a_browser_an_hour_later_is_a_person(agent: str) -> None:
    assert judge(Seen(agent), 3_600) == (False, "person")


@pytest.mark.parametrize(
    "agent",
    [
        "Googlebot/2.1 (+http://www.google.com/bot.html)",
        "Mozilla/5.0 (compatible; bingbot/2.0)",
        "Mozilla/5.0 BarracudaSentinel (EE)",
        "Proofpoint URL Defense",
        "mimecast-link-check",
        "python-requests/2.32",
        "curl/8.5.0",
        "Wget/1.21",
        "Go-http-client/2.0",
        "Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/130.0.0.0 Safari/537.36",
        "SafeLinks/1.0",
        "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0)",
    ],
)
def test_a_scanner_is_a_program_however_late(agent: str) -> None:
    assert judge(Seen(agent), 86_400) == (True, "scanner")


def test_whoever_gives_no_name_is_a_program() -> None:
    assert judge(Seen("  "), 3_600) == (True, "no_user_agent")


def test_nobody_opens_mail_within_seven_seconds() -> None:
    assert judge(Seen(BROWSER), 6.9) == (True, "too_fast")
    assert judge(Seen(BROWSER), 7.0) == (False, "person")


@pytest.mark.parametrize("agent", [GOOGLE, YAHOO])
def test_an_image_proxy_counts_for_its_reader_after_ten_seconds(agent: str) -> None:
    assert judge(Seen(agent), 9.9) == (True, "image_proxy")
    assert judge(Seen(agent), 10.0) == (False, "image_proxy")


@pytest.mark.parametrize("address", ["17.58.100.1", "::ffff:17.1.2.3"])
def test_apple_fetches_images_for_everybody(address: str) -> None:
    assert judge(Seen(BROWSER, ip_address=address), 3_600) == (True, "apple_mpp")
    assert judge(Seen("Mozilla/5.0"), 3_600) == (True, "apple_mpp")
    assert judge(Seen(BROWSER, ip_address="170.1.2.3"), 3_600) == (False, "person")
    assert judge(Seen(BROWSER, ip_address="not an address"), 3_600) == (False, "person")


def test_three_different_links_at_once_are_too_many() -> None:
    assert not is_burst({1, 2})
    assert is_burst({1, 2, 3})


def test_a_long_name_is_judged_in_no_time() -> None:
    assert judge(Seen("bot" * 200_000 + "é"), 3_600).rule in ("person", "scanner")
