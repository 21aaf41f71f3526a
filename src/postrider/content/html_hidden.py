"""Which parts of an HTML mail a reader cannot see: by attribute, by inline style, by style sheet, by colour."""

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

_MAX_SHEET_RULES: Final = 200
_FAR_OUTSIDE_PX: Final = -500
_NUMBER: Final = re.compile(r"(-?(?:\d{1,9}(?:\.\d{0,9})?|\.\d{1,9}))([a-z%]{0,4})")
_RGB: Final = re.compile(r"rgba?\((\d{1,3})[, ]{1,3}(\d{1,3})[, ]{1,3}(\d{1,3})")
_COMMENT: Final = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_BRACE: Final = re.compile(r"([{}])")
_NAMED_COLOURS: Final = {"white": "ffffff", "black": "000000"}

# Style properties that make text vanish when they have one of these values.
_VANISHING: Final[Mapping[str, frozenset[str]]] = {
    "display": frozenset({"none"}),
    "visibility": frozenset({"hidden", "collapse"}),
    "mso-hide": frozenset({"all"}),
    "color": frozenset({"transparent"}),
    "content-visibility": frozenset({"hidden"}),
}


class Paint(NamedTuple):
    """Text colour and background in force, as six hex digits; None where it is not known."""

    colour: str | None
    background: str | None


PAGE: Final = Paint("000000", "ffffff")


def may_hide_anything(html: str) -> bool:
    """False when no element of ``html`` can be hidden, so that nobody needs to look."""
    lowered = html.lower()
    return "style" in lowered or "hidden" in lowered or "color" in lowered


def is_hidden(attributes: Mapping[str, str | None], style: Mapping[str, str], paint: Paint) -> bool:
    """Whether an element with these attributes and this parsed style, painted so, shows nothing to a reader."""
    if "hidden" in attributes or (paint.colour is not None and paint.colour == paint.background):
        return True
    return bool(style) and (_vanishes(style) or _has_no_size(style) or _is_moved_away(style))


def paint_of(attributes: Mapping[str, str | None], style: Mapping[str, str], inherited: Paint) -> Paint:
    """The colours inside an element. An image or an unreadable colour counts as unknown."""
    colour, background = inherited
    if written := style.get("color") or attributes.get("color"):
        colour = _colour(written)
    if written := style.get("background-color") or style.get("background") or attributes.get("bgcolor"):
        background = _colour(written)
    return Paint(colour, background)


def read_style(text: str | None) -> dict[str, str]:
    """The declarations of a style attribute by property, in lower case."""
    declarations: dict[str, str] = {}
    for declaration in (text or "").lower().split(";"):
        name, colon, value = declaration.partition(":")
        if colon:
            declarations[name.strip()] = value.replace("!important", "").strip()
    return declarations


def hidden_by_sheet(tree: LexborHTMLParser) -> frozenset[int]:
    """Memory ids of the elements that a style sheet of the mail hides; rules inside ``@media`` and such are left."""
    selectors: list[str] = []
    for sheet in tree.css("style"):
        for selector, body in _top_level_rules(_COMMENT.sub("", sheet.text(deep=True))):
            style = read_style(body)
            if _vanishes(style) or _has_no_size(style) or _is_moved_away(style):
                selectors.append(selector)
    return frozenset(node.mem_id for node in _select(tree, selectors[:_MAX_SHEET_RULES]))


def _top_level_rules(css: str) -> Iterator[tuple[str, str]]:
    """Selector and declarations of each rule that is in no other block."""
    opened: list[str] = []
    text = ""
    for token in _BRACE.split(css):
        if token == "{":
            opened.append(text.rpartition(";")[2].replace("<!--", "").strip())
        elif token == "}" and opened:
            selector = opened.pop()
            if not opened and selector and not selector.startswith("@"):
                yield selector, text
        else:
            text = token


def _select(tree: LexborHTMLParser, selectors: list[str]) -> list[LexborNode]:
    """Nodes that any of the selectors finds; one bad selector does not save the others."""
    if not selectors:
        return []
    try:
        return tree.css(", ".join(selectors))
    except SelectolaxError:
        half = len(selectors) // 2
        return [] if half == 0 else _select(tree, selectors[:half]) + _select(tree, selectors[half:])


def _vanishes(style: Mapping[str, str]) -> bool:
    return any(style.get(name) in values for name, values in _VANISHING.items())


def _has_no_size(style: Mapping[str, str]) -> bool:
    font_size = _pixels(style.get("font-size"))
    opacity = _pixels(style.get("opacity"))
    if (font_size is not None and font_size <= 1) or (opacity is not None and opacity <= 0.05):
        return True
    if style.get("overflow", "").startswith("hidden"):
        return any(_pixels(style.get(name)) == 0 for name in ("max-height", "height", "max-width", "width"))
    return any(text in style.get("transform", "") for text in ("scale(0)", "scale(0,", "scale3d(0,"))


def _is_moved_away(style: Mapping[str, str]) -> bool:
    """Whether the element stands far outside the page or is clipped to nothing."""
    if style.get("position") in {"absolute", "fixed"}:
        clip = style.get("clip", "").replace(" ", "")
        if clip.startswith(("rect(0,0,0,0", "rect(0000", "rect(0px,0px,0px,0px", "rect(1px,1px,1px,1px")):
            return True
        if any(_is_far_outside(style.get(name)) for name in ("left", "top", "right", "bottom")):
            return True
    return any(_is_far_outside(style.get(name)) for name in ("text-indent", "margin-left", "margin-top"))


def _is_far_outside(value: str | None) -> bool:
    size = _pixels(value)
    return size is not None and size <= _FAR_OUTSIDE_PX


def _pixels(value: str | None) -> float | None:
    """A CSS length in pixels, roughly; None when there is none. Relative units count as 16 pixels, percent as is."""
    found = _NUMBER.match(value) if value else None
    if found is None:
        return None
    return float(found.group(1)) * (16 if found.group(2) in {"em", "rem", "ex", "ch", "vw", "vh"} else 1)


def _colour(value: str) -> str | None:
    """Six hex digits of a colour, None for what is neither hex, rgb(), white nor black."""
    word = value.strip().lower()
    if word.startswith("#"):
        digits = word[1:].split(" ")[0]
        return "".join(digit * 2 for digit in digits[:3]) if len(digits) in {3, 4} else digits[:6]
    if found := _RGB.match(word):
        return "".join(f"{min(int(part), 255):02x}" for part in found.groups())
    return _NAMED_COLOURS.get(word.split(" ")[0])
