"""Source text to a flat list of tokens, in one pass.

The pass knows just enough HTML to tell running text from the inside of a tag: there a brace is no spintax, and a value
needs quotes around it. It also pairs the braces: ``{word}`` holds no ``|``, so it comes out as text.
"""

import re
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from html import unescape
from typing import Literal, NamedTuple

from postrider.content.template.errors import (
    MAX_OPTIONS,
    MAX_SOURCE_CHARACTERS,
    MAX_TAG_CHARACTERS,
    MAX_TOKENS,
    TemplateError,
)
from postrider.content.template.links import LINK_ATTRIBUTES, SCRIPT_SCHEMES, scheme_of

Form = Literal["html", "text", "subject"]


class Dialect(StrEnum):
    """SENDKIT has ``{a|b}`` and trims fallbacks; REACHKIT takes single braces and fallbacks as they are."""

    SENDKIT = "sendkit"
    REACHKIT = "reachkit"


class Kind(Enum):
    TEXT = auto()
    TAG = auto()  # {{…}}
    OPEN = auto()  # { or {{SPINTAX|
    NEXT = auto()  # |
    CLOSE = auto()  # } or }}
    LINK = auto()  # a link target whose beginning is not fixed starts here
    END_LINK = auto()


class Place(Enum):
    TEXT = auto()
    MARKUP = auto()  # between < and >, outside quotes
    ATTRIBUTE = auto()  # a quoted attribute
    SCRIPT = auto()  # a quoted attribute that browsers run


class Token(NamedTuple):
    kind: Kind
    offset: int
    text: str = ""
    place: Place = Place.TEXT


# Possessive repeats (*+, ++) keep every pattern linear: nothing is scanned twice.
_UNQUOTED = r"""=\s*+[^\s"'>{\\][^\s>{\\]*+"""
_WHOLE_TAG = rf"""</?(?!(?:style|script)[\s/>])[a-z](?:[^{{\\>=]++|{_UNQUOTED}|=\s*+(?:"[^"{{\\]*+"|'[^'{{\\]*+'))*+>"""
_PLAIN_MARKUP = re.compile(rf"(?:[^{{\\>=]++|{_UNQUOTED})*+")
# Keyed by: is the form HTML, and does a choice stand open.
_PLAIN_TEXT = {
    (False, False): re.compile(r"[^{\\]*+"),
    (False, True): re.compile(r"[^{\\|}]*+"),
    (True, False): re.compile(rf"(?:[^<{{\\]++|{_WHOLE_TAG})*+", re.IGNORECASE),
    (True, True): re.compile(rf"(?:[^<{{\\|}}]++|{_WHOLE_TAG})*+", re.IGNORECASE),
}
_PLAIN_QUOTED = {
    ('"', False): re.compile(r'[^"{\\]*+'),
    ('"', True): re.compile(r'[^"{\\|}]*+'),
    ("'", False): re.compile(r"[^'{\\]*+"),
    ("'", True): re.compile(r"[^'{\\|}]*+"),
}
_ESCAPE = re.compile(r"""\\(\{\{[^{}\\<>"']*+\}\}|\{\{|[\\{}|])""")
_SPINTAX = re.compile(r"\{\{\s*+SPINTAX\s*+\|")
_BEFORE_FALLBACK = re.compile(r"\s*+(?![#/]|(?i:if)\b)(?:LOOM\s*+\|)?+[^|{]*+\|")
_VERBATIM_START = re.compile(r"<(?:!--|(?:style|script)(?=[\s/>]))", re.IGNORECASE)
_VERBATIM_END = {
    "<!--": re.compile("-->"),
    "<style": re.compile("(?=</style)", re.IGNORECASE),
    "<script": re.compile("(?=</script)", re.IGNORECASE),
}
_TAG_START = re.compile("</?[a-z]", re.IGNORECASE)
_DECLARATION = re.compile(r"<!(?:doctype\b|\[)", re.IGNORECASE)
_MARKUP_IN_TAG = re.compile("<[a-z/!]", re.IGNORECASE)
_ATTRIBUTE_START = re.compile(r"""=\s*+(["']?)""")
_BEFORE_ATTRIBUTE_NAME = re.compile(r"""[\s/"'<>=]""")
_LONGEST_ATTRIBUTE_NAME = 64


def tokenize(source: str, form: Form, dialect: Dialect) -> list[Token]:
    """The tokens of a template; every OPEN has its CLOSE.

    Raises: TemplateError for an unbalanced brace, or a template past the limits.
    """
    if len(source) > MAX_SOURCE_CHARACTERS:
        raise TemplateError(
            f"A template holds at most {MAX_SOURCE_CHARACTERS:,} characters.", offset=MAX_SOURCE_CHARACTERS
        )
    return _Lexer(source, form, dialect).run()


@dataclass(slots=True)
class _Choice:
    """A brace waiting for its partner."""

    offset: int
    token: int
    place: Place
    named: bool
    options: int = 1


class _Lexer:
    def __init__(self, source: str, form: Form, dialect: Dialect) -> None:
        self.source = source
        self.html = form == "html"
        self.single_braces = dialect is Dialect.SENDKIT
        self.position = 0
        self.tokens: list[Token] = []
        self.choices: list[_Choice] = []
        self.place = Place.TEXT
        self.quote = ""
        self.in_link = False
        self.tag_start = 0

    def run(self) -> list[Token]:
        while True:
            self._take(self._plain_end())
            if self.position == len(self.source):
                return self._finished()
            if len(self.tokens) >= MAX_TOKENS:
                raise TemplateError(f"A template has at most {MAX_TOKENS:,} parts.", offset=self.position)
            self._special(self.source[self.position])

    def _special(self, character: str) -> None:
        match character:
            case "\\":
                self._escape()
            case "{":
                self._brace()
            case "|":
                self._next_option()
            case "}":
                self._close()
            case "<":
                self._less_than()
            case "=":
                self._attribute()
            case _:
                self._leave(character)

    def _plain_end(self) -> int:
        """The end of the run of characters that mean nothing here."""
        choosing = bool(self.choices) and self.choices[-1].place is self.place
        if self.quote:
            pattern = _PLAIN_QUOTED[self.quote, choosing]
        elif self.place is Place.MARKUP:
            pattern = _PLAIN_MARKUP
        else:
            pattern = _PLAIN_TEXT[self.html, choosing]
        match = pattern.match(self.source, self.position)
        return match.end() if match else self.position

    def _emit(self, kind: Kind, end: int, text: str = "") -> None:
        self.tokens.append(Token(kind, self.position, text, self.place))
        self.position = end

    def _take(self, end: int) -> None:
        """Everything up to ``end`` as it is."""
        if end > self.position:
            self._emit(Kind.TEXT, end, self.source[self.position : end])

    def _escape(self) -> None:
        match = _ESCAPE.match(self.source, self.position)
        if match:
            self._emit(Kind.TEXT, match.end(), match[1])
        else:
            self._take(self.position + 1)

    def _brace(self) -> None:
        # In {{{name}} the first brace stands alone: no name begins with a brace.
        if self._at("{{") and not self._at("{{{"):
            self._tag()
        elif self.single_braces and self.place is Place.TEXT:
            self._open(self.position + 1, named=False)
        else:
            self._take(self.position + 1)

    def _tag(self) -> None:
        spintax = _SPINTAX.match(self.source, self.position)
        if spintax:
            self._refuse_outside_quotes()
            self._open(spintax.end(), named=True)
            return
        start = self.position + 2
        end = self.source.find("}}", start)
        inner = self.source[start:end]
        if end < 0 or "{{" in inner:
            raise TemplateError(
                "This {{ has no }} that closes it.", offset=self.position, hint=r"Write \{{ for braces."
            )
        if "{" in inner:
            self._refuse_brace(inner)
            end = self._end_after_braces(inner, end)
            inner = self.source[start:end]
        if len(inner) > MAX_TAG_CHARACTERS:
            raise TemplateError(f"A tag holds at most {MAX_TAG_CHARACTERS:,} characters.", offset=self.position)
        if self.html and _MARKUP_IN_TAG.search(inner):
            raise TemplateError(
                "There is formatting inside these braces.",
                offset=self.position,
                hint="Put the formatting around the tag.",
            )
        self._emit(Kind.TAG, end + 2, unescape(inner) if self.html else inner)

    def _refuse_brace(self, inner: str) -> None:
        """A brace is text in a fallback where single braces mean nothing, and has no place in any other tag."""
        fallback = _BEFORE_FALLBACK.match(inner)
        if self.single_braces or fallback is None:
            what = "fallback" if self.single_braces else "name or condition"
            hint = "Use {{#if name}}…{{/if}}." if self.single_braces else "Only a fallback can: {{name|{text}}}."
            raise TemplateError(f"A {what} cannot hold a brace.", offset=self.position, hint=hint)

    def _end_after_braces(self, inner: str, end: int) -> int:
        """The end of a tag whose fallback closes braces of its own right before it: ``{{name|{text}}}``."""
        open_braces = inner.count("{") - inner.count("}")
        while open_braces > 0 and self.source.startswith("}}}", end):
            end, open_braces = end + 1, open_braces - 1
        return end

    def _refuse_outside_quotes(self) -> None:
        if self.place in (Place.MARKUP, Place.SCRIPT):
            raise TemplateError("Spintax inside an HTML tag needs a quoted attribute.", offset=self.position)

    def _open(self, end: int, *, named: bool) -> None:
        self.choices.append(_Choice(self.position, len(self.tokens), self.place, named))
        self._emit(Kind.OPEN, end)

    def _next_option(self) -> None:
        choice = self.choices[-1]
        choice.options += 1
        if choice.options > MAX_OPTIONS:
            raise TemplateError(f"Spintax holds at most {MAX_OPTIONS} options.", offset=choice.offset)
        self._emit(Kind.NEXT, self.position + 1)

    def _close(self) -> None:
        choice = self.choices[-1]
        if choice.named and not self._at("}}"):
            self._take(self.position + 1)
            return
        self.choices.pop()
        if choice.options > 1:
            self._emit(Kind.CLOSE, self.position + (2 if choice.named else 1))
        elif choice.named:
            raise TemplateError("SPINTAX needs at least two options.", offset=choice.offset, hint="{{SPINTAX|a|b}}")
        else:
            self._make_literal(choice)
            self._take(self.position + 1)

    def _make_literal(self, choice: _Choice) -> None:
        self.tokens[choice.token] = self.tokens[choice.token]._replace(kind=Kind.TEXT, text="{")

    def _less_than(self) -> None:
        verbatim = _VERBATIM_START.match(self.source, self.position)
        if verbatim:
            end = _VERBATIM_END[verbatim[0].lower()].search(self.source, verbatim.end())
            self._take(end.end() if end else len(self.source))
        elif _TAG_START.match(self.source, self.position):
            self.place = Place.MARKUP
            self.tag_start = self.position
            self._take(self.position + 1)
        elif _DECLARATION.match(self.source, self.position):
            self._take(self.position + 1)
        else:
            # Browsers show this one as text. Written out, so that in "<{{email}}>" no value can turn it into a tag.
            self._emit(Kind.TEXT, self.position + 1, "&lt;")

    def _attribute(self) -> None:
        """At the ``=`` of a tag: enters the quotes that follow it, if any."""
        match = _ATTRIBUTE_START.match(self.source, self.position)
        assert match is not None
        name = self._attribute_name()
        self._take(match.end())
        self.quote = match[1]
        if not self.quote:
            return
        self.place = Place.SCRIPT if name.startswith("on") or name == "srcdoc" else Place.ATTRIBUTE
        # A name lost behind more blanks than anyone writes is treated as the dangerous one.
        if name in LINK_ATTRIBUTES or not name:
            self._link()

    def _attribute_name(self) -> str:
        start = max(self.tag_start, self.position - _LONGEST_ATTRIBUTE_NAME)
        before = self.source[start : self.position].rstrip()
        return _BEFORE_ATTRIBUTE_NAME.split(before)[-1].lower()

    def _link(self) -> None:
        end = self._plain_end()
        if not self.source.startswith("{{", end):
            return
        prefix = unescape(self.source[self.position : end])
        if scheme_of(prefix) in SCRIPT_SCHEMES:
            raise TemplateError("A value cannot be part of a script link.", offset=end)
        if not any(mark in prefix for mark in ":/?#"):
            self._emit(Kind.LINK, self.position)
            self.in_link = True

    def _leave(self, character: str) -> None:
        """At the quote that ends an attribute, or the ``>`` that ends a tag."""
        self._end_link()
        self.place = Place.TEXT if character == ">" else Place.MARKUP
        self.quote = ""
        self._take(self.position + 1)

    def _end_link(self) -> None:
        if self.in_link:
            self._emit(Kind.END_LINK, self.position)
            self.in_link = False

    def _finished(self) -> list[Token]:
        self._end_link()
        for choice in self.choices:
            if choice.named or choice.options > 1:
                raise TemplateError(
                    "This brace has no partner that closes it.", offset=choice.offset, hint=r"Write \{ for a brace."
                )
            self._make_literal(choice)
        return self.tokens

    def _at(self, text: str) -> bool:
        return self.source.startswith(text, self.position)
