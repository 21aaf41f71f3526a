"""The tree turned into functions that write one message each time they are called.

A writer is a closure over its own part of the tree, so that a render only looks up, chooses and joins. Values reach the
text through here alone, as data: nothing that was written is ever read as a template again.
"""

from collections.abc import Callable, Mapping
from html import escape, unescape
from typing import NamedTuple

from postrider.content.template.conditions import Comparison
from postrider.content.template.links import is_safe_link, loom_video, may_begin_link
from postrider.content.template.tree import Body, Choice, Link, Loom, Node, Switch, Variable


class Scene(NamedTuple):
    """One render: whose values, which choices, and what was found wrong so far: names without a value, and links."""

    exact: Mapping[str, str]
    common: Mapping[str, str]
    markup: Mapping[str, str]
    pick: Callable[[int, int], int]
    missing: list[str]
    bad_links: list[str]


Writer = Callable[[Scene], str]


def write_body(body: Body, *, html: bool) -> Writer:
    """A writer for the nodes of a body, one after the other."""
    fixed, writers = _split(body, html=html)
    if not writers:
        text = "".join(fixed)
        return lambda scene: text
    if len(fixed) == 1:
        return writers[0][1]

    def write(scene: Scene) -> str:
        parts = fixed.copy()
        for index, writer in writers:
            parts[index] = writer(scene)
        return "".join(parts)

    return write


def _split(body: Body, *, html: bool) -> tuple[list[str], list[tuple[int, Writer]]]:
    """The fixed text, with an empty string where a writer fills in."""
    fixed: list[str] = []
    writers: list[tuple[int, Writer]] = []
    run: list[str] = []
    for node in body:
        if isinstance(node, str):
            run.append(node)
            continue
        if run:
            fixed.append("".join(run))
            run = []
        writers.append((len(fixed), _writer(node, html=html)))
        fixed.append("")
    return ([*fixed, "".join(run)] if run else fixed), writers


def _writer(node: Node, *, html: bool) -> Writer:
    match node:
        case Variable():
            return _variable(node, html=html)
        case Loom():
            return _loom(node, html=html)
        case Choice():
            return _choice(node, html=html)
        case Switch():
            return _switch(node, html=html)
        case Link():
            return _link(node)
        case str():
            return lambda scene: node


def _variable(node: Variable, *, html: bool) -> Writer:
    name, key = node.name, node.key
    otherwise = _otherwise(node, html=html)

    def text(scene: Scene) -> str:
        return scene.exact.get(name) or scene.common.get(key) or otherwise(scene)

    def escaped(scene: Scene) -> str:
        value = scene.exact.get(name) or scene.common.get(key)
        return escape(value) if value else otherwise(scene)

    def escaped_or_markup(scene: Scene) -> str:
        if key in scene.markup and name not in scene.exact:
            return scene.markup[key]
        return escaped(scene)

    if not html:
        return text
    return escaped if node.in_attribute else escaped_or_markup


def _otherwise(node: Variable | Loom, *, html: bool) -> Writer:
    """The fallback; without one, nothing, and the name goes on the list."""
    if node.fallback is not None:
        fallback = escape(node.fallback) if html else node.fallback
        return lambda scene: fallback

    def missing(scene: Scene) -> str:
        scene.missing.append(node.name)
        return ""

    return missing


def _loom(node: Loom, *, html: bool) -> Writer:
    name, key = node.name, node.key
    otherwise = _otherwise(node, html=html)

    def write(scene: Scene) -> str:
        video = loom_video(scene.exact.get(name) or scene.common.get(key) or "")
        if video is None:
            return otherwise(scene)
        if not html:
            return video.url
        if node.in_attribute:
            return escape(video.url)
        return f'<a href="{escape(video.url)}"><img src="{escape(video.thumbnail_url)}" alt="Watch the video"></a>'

    return write


def _choice(node: Choice, *, html: bool) -> Writer:
    options = [write_body(option, html=html) for option in node.options]
    position, count = node.position, len(options)
    return lambda scene: options[scene.pick(position, count)](scene)


def _switch(node: Switch, *, html: bool) -> Writer:
    cases = [(comparison, write_body(body, html=html)) for comparison, body in node.cases]
    default = write_body(node.default, html=html)

    def write(scene: Scene) -> str:
        for comparison, body in cases:
            if _holds(comparison, scene):
                return body(scene)
        return default(scene)

    return write


def _holds(comparison: Comparison, scene: Scene) -> bool:
    return comparison.holds(scene.exact.get(comparison.name) or scene.common.get(comparison.key))


def _link(node: Link) -> Writer:
    body = write_body(node.body, html=True)
    # Without a value in it, every version of the link is its author's own.
    is_allowed = is_safe_link if node.names else may_begin_link

    def write(scene: Scene) -> str:
        url = body(scene)
        if is_allowed(unescape(url)):
            return url
        scene.bad_links.extend(node.names)
        return ""

    return write
