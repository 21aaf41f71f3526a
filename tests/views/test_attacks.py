"""What strangers write never becomes markup, code or a request in a view. Source: row H1 of the threat model."""

from collections.abc import Iterator
from itertools import cycle, repeat
from typing import Any, Final

import pytest
from playwright.async_api import expect

from postrider.doors.mcp.views.registry import VIEWS
from tests.views.browser import Host
from tests.views.results import Recorded, Result

SHOUT: Final = "top.postMessage('ran','*')"
EVIL: Final = "https://evil.test/x"
CORPUS: Final = (
    f"<script>{SHOUT}</script>",
    f"</script><script>{SHOUT}</script>",
    f"</title></style></textarea><script>{SHOUT}</script>",
    f"<img src=x onerror={SHOUT}>",
    f"<img src={EVIL} srcset='{EVIL} 2x'>",
    f"<img src=`{EVIL}` onload={SHOUT}>",
    "<img src=cid:part1.abc@acme.test>",
    f"<svg onload={SHOUT}></svg>",
    f"<svg><script>{SHOUT}</script></svg>",
    f"<svg><animate onbegin={SHOUT} attributeName=x dur=1s>",
    f"<svg><a xlink:href=javascript:{SHOUT}><text y=20>click</text></a></svg>",
    f"<svg><use href=\"data:image/svg+xml,<svg id=x><image href='{EVIL}'/></svg>#x\"></svg>",
    f"<svg><image href='{EVIL}'/></svg>",
    f"<svg><style><img src=x onerror={SHOUT}></style></svg>",
    f"<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror={SHOUT}&gt;'>",
    f"<math><annotation-xml encoding='text/html'><img src=x onerror={SHOUT}></annotation-xml></math>",
    f"<noscript><p title='</noscript><img src=x onerror={SHOUT}>'>",
    f"<template><img src=x onerror={SHOUT}></template>",
    f"<form><math><mtext></form><form><mglyph><style></math><img src onerror={SHOUT}>",
    f"<style><a title='</style><img src onerror={SHOUT}>'></style>",
    f"<a href='javascript:{SHOUT}'>click</a>",
    f"<a href='&#106;avascript:{SHOUT}'>click</a>",
    f"<a href='java\tscript:{SHOUT}'>click</a>",
    f"<a href='data:text/html,<script>{SHOUT}</script>'>click</a>",
    f"<a href='{EVIL}' ping='{EVIL}' target=_top>click</a>",
    f"<iframe src=javascript:{SHOUT}></iframe>",
    f"<iframe srcdoc='<script>{SHOUT}</script>'></iframe>",
    f"<iframe src={EVIL}></iframe>",
    f"<object data={EVIL}></object><embed src={EVIL}>",
    f"<object data='data:text/html,<script>{SHOUT}</script>'></object>",
    f"<meta http-equiv=refresh content='0;url={EVIL}'>",
    f'<meta http-equiv=refresh content="0;url=data:text/html,<script>{SHOUT}</script>">',
    f"<base href={EVIL}><img src=y>",
    f"<link rel=stylesheet href={EVIL}><link rel=prefetch href={EVIL}><link rel=icon href={EVIL}>",
    f"<style>@import '{EVIL}'; body {{ background: url({EVIL}) }}</style>",
    f"<style>@font-face {{ font-family: x; src: url({EVIL}) }} body {{ font-family: x }}</style>",
    f"<p style=\"background:url('{EVIL}');list-style:url({EVIL});cursor:url({EVIL}),auto\">x</p>",
    f"<p style='background:\\75rl({EVIL})'>x</p>",
    f"<table background={EVIL}><tr><td background={EVIL}>x",
    f"<video src={EVIL} poster={EVIL} autoplay><source src={EVIL} onerror={SHOUT}></video><audio src={EVIL} autoplay>",
    f"<form action={EVIL}><input name=q autofocus onfocus={SHOUT}><button>go</button></form>",
    f"<form action={EVIL} id=f></form><button form=f formaction=javascript:{SHOUT}>go</button>",
    f"<details open ontoggle={SHOUT}>x</details>",
    f"<body onload={SHOUT} background={EVIL}>",
    f"<marquee onstart={SHOUT}>x</marquee>",
    f"<x id=x tabindex=1 autofocus onfocus={SHOUT}>x</x>",
    f"<img name=body><img name=head><form id=parentNode><input name=attributes onfocus={SHOUT} autofocus></form>",
    f'"><img src=x onerror={SHOUT}>',
    f"'-({SHOUT})-'",
    f"${{{SHOUT}}}{{{{{SHOUT}}}}}",
    f"javascript:{SHOUT}",
    "\u202e</p>\u2066<b>\u0000x",
)
ROUND: Final = 13
"""By how many the corpus is moved on from one round to the next."""

TOOLS: Final = {
    "preview": "preview_email",
    "plan": "plan_campaign",
    "analytics": "get_campaign_analytics",
    "conversation": "get_conversation",
    "draft": "generate_reply",
    "brief": "generate_reply",
}


def poisoned(value: Any, payloads: Iterator[str]) -> Any:
    """``value`` with every text in it replaced by the next of ``payloads``."""
    if isinstance(value, str):
        return next(payloads)
    if isinstance(value, list):
        return [poisoned(inner, payloads) for inner in value]
    if isinstance(value, dict):
        return {name: poisoned(inner, payloads) for name, inner in value.items()}
    return value


def poisoned_result(made: Recorded, payloads: Iterator[str]) -> Result:
    """Every text of a result replaced but for days, which place the rest; and the names of what is counted."""
    whole = made.result["structuredContent"]
    bad = poisoned(whole, payloads)
    if "days" in whole:
        bad["days"] = whole["days"]
        bad["skips"] = {next(payloads): 3, f"missing_variable:{next(payloads)}": 2}
    if "leads" in whole and isinstance(whole["leads"], dict):
        bad["leads"] = {next(payloads): 3}
    return {"content": [{"type": "text", "text": next(payloads)}], "structuredContent": bad}


async def settle(host: Host) -> None:
    """Returns when the view and the frames in it have had their turn, and everything they shouted is heard."""
    view = host.view.locator("html")
    await view.evaluate(
        "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => requestIdleCallback(done))))"
        ".then(() => null)"
    )
    await view.evaluate("() => { top.postMessage('settled', '*') }")
    await host.page.wait_for_function("window.shouts.includes('settled')")


async def outcome(host: Host) -> tuple[list[str], list[str], list[str]]:
    """What ran, what was asked for, what popped up; and forgets it."""
    await settle(host)
    shouts = await host.page.evaluate("window.shouts.splice(0)")
    found = ([shout for shout in shouts if shout != "settled"], list(host.strays), list(host.dialogs))
    host.strays.clear()
    host.dialogs.clear()
    return found


NOTHING: Final[tuple[list[str], list[str], list[str]]] = ([], [], [])


@pytest.mark.parametrize("name", sorted(TOOLS))
async def test_no_text_of_a_result_is_more_than_text(host: Host, results: dict[str, Recorded], name: str) -> None:
    """Round by round until each payload has been in each place that holds a text."""
    for first in range(0, len(CORPUS), ROUND):
        payloads = cycle(CORPUS[first:] + CORPUS[:first])
        given = {"id": next(payloads), "conversationId": next(payloads)}
        await host.show(TOOLS[name], poisoned_result(results[name], payloads), input=given)
        assert await outcome(host) == NOTHING
        assert await host.view.locator("script").count() == 1
        assert await host.view.locator("img, object, embed, base, link, form, a, [src], [href], [action]").count() == 0
        # Reading an email's HTML makes the browser say what it will not run; elsewhere there is nothing to say.
        assert name == "preview" or not host.errors


@pytest.mark.parametrize("name", ["preview", "conversation", "plan"])
async def test_the_words_of_strangers_are_shown_as_they_are(
    host: Host, results: dict[str, Recorded], name: str
) -> None:
    payload = CORPUS[3]
    await host.show(TOOLS[name], poisoned_result(results[name], repeat(payload)))
    assert payload in await host.view.locator("#view").inner_text()


AGAIN: Final = """(frame, page) => new Promise(done => {
    frame.onload = () => done(null);
    frame.srcdoc = page;
})"""
"""Puts a page into the frame of an email and waits until it is there."""

DRAWN: Final = """(root, subject) => new Promise(done => {
    const look = () => {
        if (root.querySelector('h1')?.textContent !== subject) return requestAnimationFrame(look);
        const frame = root.querySelector('iframe');
        frame.onload = () => done(null);
        frame.srcdoc = frame.srcdoc;
    };
    look();
})"""
"""Waits for an email by its subject, and then until its frame has loaded from the start."""


async def test_nothing_in_the_html_of_an_email_runs_or_loads(host: Host, results: dict[str, Recorded]) -> None:
    made = results["preview"].result
    await host.show("preview_email", made)
    for number, payload in enumerate(CORPUS):
        data = {**made["structuredContent"], "subject": f"Attack {number}", "body": f"<p>Before</p>{payload}"}
        await host.page.evaluate("result => host.again(result)", {**made, "structuredContent": data})
        await host.view.locator("html").evaluate(DRAWN, f"Attack {number}")
    assert await outcome(host) == NOTHING


async def test_the_frame_of_an_email_holds_even_where_nothing_was_cleaned(
    host: Host, results: dict[str, Recorded]
) -> None:
    """No request leaves. A connection may be opened in advance, which only a plain http address tells from one."""
    await host.show("preview_email", results["preview"].result)
    frame = host.view.locator("iframe")
    inner = await frame.evaluate('frame => /content="([^"]+)"/.exec(frame.srcdoc)[1]')
    policy = f'<meta http-equiv="Content-Security-Policy" content="{inner}">'
    for payload in CORPUS:
        plain = payload.replace("https://", "http://")
        await frame.evaluate(AGAIN, f"<!doctype html>{policy}<p>Before</p>{plain}")
    assert await outcome(host) == NOTHING


async def test_links_in_an_email_lead_nowhere(host: Host, results: dict[str, Recorded]) -> None:
    made = results["preview"].result
    links = "<br>".join(payload for payload in CORPUS if payload.startswith("<a "))
    await host.show("preview_email", {**made, "structuredContent": {**made["structuredContent"], "body": links}})
    shown = host.view.frame_locator("iframe").get_by_text("click")
    await expect(shown).to_have_count(links.count("<a "))
    for link in await shown.all():
        await link.click()
    assert await outcome(host) == NOTHING
    await expect(shown).to_have_count(links.count("<a "))


async def test_the_frame_of_an_email_has_no_rights_at_all(host: Host, results: dict[str, Recorded]) -> None:
    await host.show("preview_email", results["preview"].result)
    assert await host.view.locator("iframe").get_attribute("sandbox") == ""


async def test_a_forged_word_of_the_host_context_is_not_taken(host: Host, results: dict[str, Recorded]) -> None:
    fonts = {"variables": {"--font-sans": f"x; background: url({EVIL})"}, "css": {"fonts": f"@import '{EVIL}'"}}
    await host.show(
        "plan_campaign",
        results["plan"].result,
        context={"styles": fonts, "theme": "x", "locale": "?", "timeZone": "<b>"},
    )
    assert await outcome(host) == NOTHING
    assert await host.view.locator("html").evaluate("node => node.style.length") == 0


async def test_these_tests_would_notice(host: Host) -> None:
    """The same payloads where nothing guards: scripts shout and requests are seen."""
    await host.show("plan_campaign", {"content": [{"type": "text", "text": "Nothing."}]})
    await host.page.evaluate(
        "page => new Promise(done => { const frame = document.createElement('iframe'); frame.sandbox = 'allow-scripts';"
        " frame.onload = done; frame.srcdoc = page; document.body.append(frame) }).then(() => null)",
        f"<img src={EVIL}>{CORPUS[0]}{CORPUS[3]}",
    )
    shouts, strays, _ = await outcome(host)
    assert shouts == ["ran", "ran"]
    assert any("evil.test" in stray for stray in strays)


async def test_the_proxy_writes_down_what_a_page_asks_for(host: Host) -> None:
    await host.page.evaluate(
        """() => new Promise(done => {
            const image = new Image();
            image.onerror = () => done(null);
            image.src = 'http://evil.test/y';
        })"""
    )
    assert host.strays == ["GET http://evil.test/y HTTP/1.1"]


def test_every_view_is_attacked() -> None:
    attacked = set(TOOLS.values())
    assert {operation for view in VIEWS for operation in view.operations} == attacked
