"""The text part of an HTML mail: one walk over the parsed tree, without recursion."""

import re
from collections.abc import Mapping
from itertools import takewhile
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

from postrider.content.html_hidden import (
    PAGE,
    Paint,
    hidden_by_sheet,
    is_hidden,
    may_hide_anything,
    paint_of,
    read_style,
)

_NEVER_SHOWN: Final = {
    *("head", "style", "script", "title", "template", "svg", "math", "textarea", "select", "iframe", "object"),
    *("embed", "audio", "video", "canvas", "-comment"),
}
_PARAGRAPHS: Final = {"p", "h1", "h2", "h3", "h4", "h5", "h6", "table", "dl", "figure", "address"}
_LINES: Final = {
    *("div", "section", "article", "header", "footer", "main", "nav", "aside", "tr", "dt", "dd", "figcaption"),
    *("caption", "center", "form", "fieldset"),
}
_CELLS: Final = {"td", "th"}
_LINK: Final = re.compile(r"(?:https?://|mailto:|tel:)", re.IGNORECASE)
_HOST_PREFIX: Final = re.compile(r"^(?:https?://|mailto:|tel:)?(?:www\.)?", re.IGNORECASE)
_RULE: Final = "-" * 20


class TextPart:
    """One conversion: text grows piece by piece; blanks and line breaks are owed until the next text comes.

    ``hidden_nodes``: the outermost elements that a reader does not see.
    """

    def __init__(self, tree: LexborHTMLParser, html: str) -> None:
        self._pieces: list[str] = []
        self._hidden: list[str] = []
        self.hidden_nodes: list[LexborNode] = []
        self._breaks_due = 0
        self._space_due = False
        self._indents: list[str] = []
        self._last_indents: list[str] = []
        self._mark: str | None = None
        self._lists: list[int | None] = []
        self._link_words: list[str] | None = None
        self._preformatted = 0
        self._look_for_hidden = may_hide_anything(html)
        self._hidden_ids = hidden_by_sheet(tree) if "<style" in html.lower() else frozenset[int]()
        if tree.body is not None:
            self._walk(tree.body)

    def visible(self) -> str:
        """The text that a reader sees, without blanks at line ends or around it."""
        return "\n".join([line.rstrip() for line in "".join(self._pieces).split("\n")]).strip("\n")

    def hidden(self) -> str:
        """The text that is there for programs only."""
        return " ".join(" ".join(self._hidden).split())

    def _walk(self, root: LexborNode) -> None:
        """Every node below ``root``: entered, then its children unless it shows nothing, then left."""
        node, paint = root.first_child, PAGE
        above: list[tuple[LexborNode, Paint]] = []
        while node is not None:
            inner = self._enter(node, paint)
            child = node.first_child if inner is not None else None
            if inner is not None and child is not None:
                above.append((node, paint))
                node, paint = child, inner
                continue
            if inner is not None:
                self._leave(node)
            while (following := node.next) is None and above:
                node, paint = above.pop()
                self._leave(node)
            node = following

    def _enter(self, node: LexborNode, paint: Paint) -> Paint | None:
        """The paint for the children of ``node``, or None when the node and all below it shows nothing."""
        tag = node.tag or ""
        if tag == "-text":
            self._add_text(node.text_content or "")
            return None
        if tag in _NEVER_SHOWN:
            return None
        if self._look_for_hidden:
            attributes = node.attributes
            style = read_style(attributes.get("style"))
            paint = paint_of(attributes, style, paint)
            if is_hidden(attributes, style, paint) or node.mem_id in self._hidden_ids:
                self._hidden.append(node.text(deep=True, separator=" "))
                self.hidden_nodes.append(node)
                return None
        self._open(tag, node)
        return paint

    def _open(self, tag: str, node: LexborNode) -> None:
        match tag:
            case "br":
                self._breaks_due = min(self._breaks_due + 1, 2)
            case "a":
                self._link_words = []
            case "ul" | "ol":
                self._open_list(tag, node.attributes)
            case "li":
                self._open_item()
            case "blockquote":
                self._break(2)
                self._indents.append("> ")
            case "pre":
                self._break(2)
                self._preformatted += 1
            case "img":
                self._add_image(node.attributes)
            case "hr":
                self._break(1)
                self._write(_RULE)
                self._break(1)
            case _:
                self._break_around(tag)

    def _leave(self, node: LexborNode) -> None:
        tag = node.tag or ""
        match tag:
            case "a":
                self._close_link(node.attributes.get("href") or "")
            case "ul" | "ol":
                self._lists.pop()
                self._break(2)
            case "li":
                self._indents.pop()
                self._mark = None
                self._break(1)
            case "blockquote":
                self._indents.pop()
                self._break(2)
            case "pre":
                self._preformatted -= 1
                self._break(2)
            case _:
                self._break_around(tag)

    def _break_around(self, tag: str) -> None:
        if tag in _PARAGRAPHS:
            self._break(2)
        elif tag in _LINES:
            self._break(1)
        elif tag in _CELLS:
            self._space_due = True

    def _break(self, count: int) -> None:
        """At least ``count`` line breaks before the next text; inside lists one is enough."""
        # Between a list mark and the first text of its item nothing breaks: editors write <li><p>text</p></li>.
        if self._mark is None:
            self._breaks_due = max(self._breaks_due, 1 if self._lists else count)

    def _open_list(self, tag: str, attributes: Mapping[str, str | None]) -> None:
        self._break(2)
        start = attributes.get("start") or "1"
        self._lists.append((int(start) if start.isdecimal() and len(start) < 10 else 1) if tag == "ol" else None)

    def _open_item(self) -> None:
        number = self._lists[-1] if self._lists else None
        mark = "- "
        if number is not None:
            mark = f"{number}. "
            self._lists[-1] = number + 1
        self._mark = None
        self._break(1)
        self._mark = mark
        self._indents.append(" " * len(mark))

    def _add_image(self, attributes: Mapping[str, str | None]) -> None:
        """The text that stands for an image; nothing for a tracking pixel."""
        if attributes.get("width") not in {"0", "1"} and attributes.get("height") not in {"0", "1"}:
            self._add_text(attributes.get("alt") or "")

    def _close_link(self, href: str) -> None:
        words, self._link_words = self._link_words, None
        href = "".join(href.split())
        if words is None or not _LINK.match(href):
            return
        label = " ".join(words)
        target = href if href[:4].lower() == "http" else href.partition(":")[2].partition("?")[0]
        if not label:
            self._add_text(target)
        elif _bare(label) != _bare(href) and _bare(label) != _bare(target):
            self._pieces.append(f" ({target})")

    def _add_text(self, text: str) -> None:
        if self._preformatted:
            self._add_preformatted(text)
            return
        words = " ".join(text.split())
        if not words:
            self._space_due = self._space_due or bool(text)
            return
        self._space_due = self._space_due or text[0].isspace()
        self._write(words)
        self._space_due = text[-1].isspace()

    def _add_preformatted(self, text: str) -> None:
        for number, line in enumerate(text.split("\n")):
            if number:
                self._breaks_due += 1
            if line:
                self._write(line)

    def _write(self, text: str) -> None:
        """Pays what is owed, then writes ``text``."""
        if self._breaks_due or self._mark is not None or not self._pieces:
            self._start_line()
        elif self._space_due:
            self._pieces.append(" ")
        self._space_due = False
        self._pieces.append(text)
        if self._link_words is not None:
            self._link_words.append(text)

    def _start_line(self) -> None:
        indent = "".join(self._indents)
        if self._pieces:
            # A blank line belongs to what is above it and what is below it: quotes meet with a bare line between.
            blank = "\n" + "".join(_common_start(self._last_indents, self._indents)).rstrip()
            self._pieces.append(blank * (self._breaks_due - 1) + "\n")
        self._last_indents = list(self._indents)
        if self._mark is not None:
            indent = "".join(self._indents[:-1]) + self._mark
        self._pieces.append(indent)
        self._mark = None
        self._breaks_due = 0


def _common_start(one: list[str], other: list[str]) -> list[str]:
    return [left for left, _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))]


def _bare(link: str) -> str:
    """A link as people write it, to tell whether a label says the same."""
    return _HOST_PREFIX.sub("", link, count=1).rstrip("/").lower()
