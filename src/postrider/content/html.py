"""HTML bodies: cleaned when they are written or received, made from plain text, and turned into a text part."""

import re
from collections.abc import Callable
from html import escape, unescape
from typing import Final

import nh3
from selectolax.lexbor import LexborHTMLParser

from postrider.content.html_bounds import is_hostile
from postrider.content.html_text import TextPart

_URL_SCHEMES: Final = {"http", "https", "mailto", "tel", "cid"}
_DROPPED_WITH_CONTENT: Final = {
    *("script", "style", "title", "iframe", "object", "embed", "applet", "noscript", "noembed", "noframes"),
    *("template", "svg", "math", "textarea", "select", "audio", "video", "canvas", "frameset", "xmp", "plaintext"),
}
_TAGS: Final = {
    *("a", "abbr", "address", "article", "aside", "b", "bdi", "bdo", "big", "blockquote", "br", "caption", "center"),
    *("cite", "code", "col", "colgroup", "dd", "del", "dfn", "div", "dl", "dt", "em", "figcaption", "figure", "font"),
    *("footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "i", "img", "ins", "kbd", "li", "main", "mark"),
    *("nav", "ol", "p", "pre", "q", "s", "samp", "section", "small", "span", "strike", "strong", "sub", "sup"),
    *("table", "tbody", "td", "tfoot", "th", "thead", "time", "tr", "tt", "u", "ul", "var", "wbr"),
}
_TABLE_ATTRIBUTES: Final = {"align", "bgcolor", "border", "cellpadding", "cellspacing", "height", "valign", "width"}
_ATTRIBUTES: Final = {
    "*": {"align", "dir", "lang", "style", "title"},
    "a": {"href", "rel", "target"},
    "font": {"color", "face", "size"},
    "img": {"alt", "border", "height", "src", "width"},
    "li": {"value"},
    "ol": {"start", "type"},
    "table": _TABLE_ATTRIBUTES,
    "td": {*_TABLE_ATTRIBUTES, "colspan", "rowspan"},
    "th": {*_TABLE_ATTRIBUTES, "colspan", "rowspan"},
    "tr": _TABLE_ATTRIBUTES,
}
_STYLE_PROPERTIES: Final = {
    *("background-color", "border", "border-bottom", "border-collapse", "border-color", "border-left", "border-radius"),
    *("border-right", "border-spacing", "border-style", "border-top", "border-width", "color", "direction", "display"),
    *("font", "font-family", "font-size", "font-style", "font-variant", "font-weight", "height", "letter-spacing"),
    *("line-height", "list-style-type", "margin", "margin-bottom", "margin-left", "margin-right", "margin-top"),
    *("max-height", "max-width", "min-height", "min-width", "opacity", "overflow", "padding", "padding-bottom"),
    *("padding-left", "padding-right", "padding-top", "text-align", "text-decoration", "text-indent"),
    *("text-transform", "vertical-align", "visibility", "white-space", "width", "word-break", "word-spacing"),
}

_BLANKS: Final = re.compile(r"[\s\x00-\x20]+")
_ACTIVE_URL: Final = re.compile(r"(?:java|vb|live)script:|(?:^|[|}_])data:", re.IGNORECASE)
_ACTIVE_STYLE: Final = re.compile(r"url\(|expression\(|script:|@import|\\|<", re.IGNORECASE)

# A template tag of harmless characters only: put back raw, it can end neither an attribute nor a text.
_TEMPLATE_TAG: Final = re.compile(r"""\{\{(?![^{}]*(?:script|data)\s*:)[^{}<>"'&`\r\n]*\}\}""", re.IGNORECASE)

_STEM: Final = re.compile(r"tag([0-9]{1,9})x")

_HTML_TAG: Final = re.compile(
    r"<(?:!--|!doctype\b|/?(?:a|b|blockquote|body|br|center|div|em|font|h[1-6]|head|hr|html|i|img|li|ol|p|pre|s|span"
    r"|strong|style|table|tbody|td|th|tr|u|ul)(?=[\s/>])[^<>]*>)",
    re.IGNORECASE,
)
_PARAGRAPHS: Final = re.compile(
    r"\s*(?:<p>(?:[^<]|<(?!/?(?:p|div|table|ul|ol|dl|pre|hr|blockquote|section|article|h[1-6])\b))*+</p>\s*)++",
    re.IGNORECASE,
)
_ANY_TAG: Final = re.compile(r"<[^<>]*>")
_BLANK_LINE: Final = re.compile(r"\n(?:[ \t]*\n)+")

_BLOCK_OR_BREAK: Final = re.compile(
    r"<(/?)(p|br|div|h[1-6]|li|ul|ol|tr|table|blockquote|pre|hr|section|article)\b[^>]*>"
)
_WORDY_NAMES: Final = ((re.compile(r"<(/?)strong\b[^>]*>"), r"<\1b>"), (re.compile(r"<(/?)em\b[^>]*>"), r"<\1i>"))


def sanitise_html(html: str) -> str:
    """``html`` without scripts, styles, frames, forms, event handlers and active URLs; template tags survive.

    A template tag directly inside ``<table>`` or ``<tr>``, outside a cell, is moved before the table, as in a browser.
    """
    return _with_template_tags_kept(html, _clean)


def sanitise_reachkit_html(html: str) -> str:
    """``html`` with b, i, u, a and img only; blocks and ``<br>`` become line breaks, other tags are unwrapped."""
    return _with_template_tags_kept(html, _clean_for_reachkit)


def html_from_reachkit(html: str) -> str:
    """The paragraphs that the line breaks of a Reachkit body stand for: the way back of ``sanitise_reachkit_html``."""
    return sanitise_html(_paragraphs(html))


def plain_to_html(text: str) -> str:
    """``text`` as an editor would write it: ``<p>`` for each paragraph, ``<br>`` for each line break."""
    return _paragraphs(escape(text, quote=False))


def paragraphs_as_lines(html: str) -> str:
    """``html`` of plain paragraphs with line breaks instead, to stand inside a paragraph; other HTML as it is."""
    if _PARAGRAPHS.fullmatch(html) is None:
        return html
    return "<br><br>".join(re.split(r"</p>\s*<p>", html.strip().removeprefix("<p>").removesuffix("</p>")))


def looks_like_html(text: str) -> bool:
    """Whether ``text`` holds an HTML tag; ``a < b``, ``<jane@acme.com>`` and ``Vec<u8>`` are plain text."""
    return _HTML_TAG.search(text) is not None


def html_to_text(html: str) -> str:
    """What a reader sees, as plain text: links as ``text (url)``, lists, quotes; hidden text and pixels dropped."""
    return _strip_tags(html) if is_hostile(html) else TextPart(LexborHTMLParser(html), html).visible()


def hidden_text(html: str) -> str:
    """The text that ``html_to_text`` dropped because a reader would not see it; empty as a rule."""
    return "" if is_hostile(html) else TextPart(LexborHTMLParser(html), html).hidden()


def seen_html(html: str) -> str:
    """``html`` without the elements that a reader would not see. For parsed mail: before style sheets are taken out."""
    if is_hostile(html):
        return html
    tree = LexborHTMLParser(html)
    hidden = TextPart(tree, html).hidden_nodes
    if not hidden or tree.html is None:
        return html
    for node in hidden:
        node.decompose()
    return tree.html


def _clean(html: str) -> str:
    return plain_to_html(_strip_tags(html)) if is_hostile(html) else _WIDE.clean(html)


def _clean_for_reachkit(html: str) -> str:
    html = _clean(html)
    for pattern, replacement in _WORDY_NAMES:
        html = pattern.sub(replacement, html)
    if _BLOCK_OR_BREAK.search(html):
        # Line breaks of the source mean nothing in HTML once blocks make the lines.
        html = _BLOCK_OR_BREAK.sub(_line_break, _BLANKS.sub(" ", html))
    html = "\n".join(line.strip(" \t") for line in _NARROW.clean(html).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", html).strip()


def _line_break(tag: re.Match[str]) -> str:
    closing, name = tag.groups()
    if name == "p":
        return "\n\n" if closing else ""
    return "\n" if closing or name in {"br", "hr"} else ""


def _with_template_tags_kept(html: str, clean: Callable[[str], str]) -> str:
    """``clean(html)`` with the template tags hidden from it as plain words, which even a URL may hold anywhere."""
    tags: list[str] = []
    stem = _unused_word(html)

    def hide(found: re.Match[str]) -> str:
        tags.append(found.group())
        return f"{stem}{len(tags) - 1}z_"

    def show(found: re.Match[str]) -> str:
        number = int(found.group(1))
        return tags[number] if number < len(tags) else found.group()

    cleaned = clean(_TEMPLATE_TAG.sub(hide, html))
    return re.sub(rf"{stem}([0-9]{{1,9}})z_", show, cleaned) if tags else cleaned


def _unused_word(html: str) -> str:
    """A word that ``html`` does not hold."""
    # The underscore keeps it from being read as part of a URL scheme, and a host name may hold it.
    taken = [int(number) for number in _STEM.findall(html)]
    return f"_tag{max(taken, default=0) + 1}x"


def _paragraphs(html: str) -> str:
    lines = html.replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    if not lines.strip():
        return ""
    return "".join(f"<p>{block.replace(chr(10), '<br>')}</p>" for block in _BLANK_LINE.split(lines))


def _strip_tags(html: str) -> str:
    return unescape(_ANY_TAG.sub(" ", html)).strip()


def _keep_attribute(tag: str, attribute: str, value: str) -> str | None:
    """The value of an allowed attribute, or None when it would run or load something."""
    if attribute in {"href", "src"}:
        return None if _ACTIVE_URL.search(_BLANKS.sub("", value)) else value
    if attribute == "style":
        return None if _ACTIVE_STYLE.search(value) else value
    if attribute == "target":
        return value if value == "_blank" else None
    return value


_WIDE: Final = nh3.Cleaner(
    tags=_TAGS,
    clean_content_tags=_DROPPED_WITH_CONTENT,
    attributes=_ATTRIBUTES,
    attribute_filter=_keep_attribute,
    filter_style_properties=_STYLE_PROPERTIES,
    url_schemes=_URL_SCHEMES,
    link_rel=None,
)
_NARROW: Final = nh3.Cleaner(
    tags={"a", "b", "i", "img", "u"},
    clean_content_tags=_DROPPED_WITH_CONTENT,
    attributes={"a": {"href"}, "img": {"alt", "height", "src", "width"}},
    attribute_filter=_keep_attribute,
    url_schemes=_URL_SCHEMES,
    link_rel=None,
)
