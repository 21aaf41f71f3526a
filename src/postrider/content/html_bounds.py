"""Bounds on HTML: parsers take quadratic time on elements left open or attributes heaped up, as a hostile mail may."""

import re
from collections import Counter
from typing import Final

MAX_OPEN_ELEMENTS: Final = 1_000
"""Browsers stop nesting at about 512 levels."""

MAX_ATTRIBUTES: Final = 1_000
_LONG_TAG_CHARACTERS: Final = 10_000

_TAG: Final = re.compile(r"<(/?)([a-zA-Z][^\s/>]{0,40})")
# The tokenizer's own idea of a tag, so that quotes and ">" cannot hide a part. Source: WHATWG HTML section 13.2.5.
_ATTRIBUTE: Final = r"""=?[^\s/>=]++(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|(?!["'])[^\s>]*+))?+"""
_WHOLE_TAG: Final = re.compile(rf"<[a-zA-Z][^\s/>]*+((?:[\s/]++|{_ATTRIBUTE})*+)")
_ONE_ATTRIBUTE: Final = re.compile(_ATTRIBUTE)

# Elements that never stay open: void ones, and those that the next of their kind closes.
_NEVER_DEEP: Final = {
    *("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"),
    *("p", "li", "dd", "dt", "tr", "td", "th", "tbody", "thead", "tfoot", "colgroup"),
}


def is_hostile(html: str) -> bool:
    """Whether ``html`` has more open elements at once, or more attributes in a tag, than any honest mail."""
    return _is_too_deep(html) or _has_too_many_attributes(html)


def _is_too_deep(html: str) -> bool:
    if html.count("<") <= MAX_OPEN_ELEMENTS:
        return False
    open_by_name: Counter[str] = Counter()
    open_now = 0
    for closing, written in _TAG.findall(html):
        name = written.lower()
        if name in _NEVER_DEEP:
            continue
        if not closing:
            open_by_name[name] += 1
            open_now += 1
            if open_now > MAX_OPEN_ELEMENTS:
                return True
        elif open_by_name[name] > 0:
            open_by_name[name] -= 1
            open_now -= 1
    return False


def _has_too_many_attributes(html: str) -> bool:
    if len(html) <= _LONG_TAG_CHARACTERS:
        return False
    heaps = (match.group(1) for match in _WHOLE_TAG.finditer(html))
    return any(
        len(heap) > _LONG_TAG_CHARACTERS and len(_ONE_ATTRIBUTE.findall(heap)) > MAX_ATTRIBUTES for heap in heaps
    )
