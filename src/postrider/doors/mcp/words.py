"""Values of a result on one line, a stranger's in quotes."""

from collections.abc import Iterable, Iterator, Sequence
from json.encoder import encode_basestring
from typing import Any, Final, NamedTuple

from postrider.doors.mcp.marks import NO_MARKS, Marks

MAX_VALUE: Final = 180
"""Characters of a text in a row; a longer one is cut, or stands below its row."""

MAX_LINE: Final = 400
"""Characters of any other value on one line; what is longer gets lines of its own."""

MAX_QUESTION: Final = 1_200
"""Characters of a question to a person with its details; each of them stands there whole or not at all."""
_LEFT_OUT: Final = 20
"""Characters of what is said of those that are left out."""

_ESCAPED: Final = '"\\'
"""What takes two characters between quotes, of all that can be printed."""

_BETWEEN: Final = ", "
_THEIRS: Final = Marks({"untrusted": True}, {})


class _Piece(NamedTuple):
    """Part of a line. ``quoted``: a stranger's, to stand in quotes."""

    text: str
    quoted: bool = False

    def __str__(self) -> str:
        return encode_basestring(self.text) if self.quoted else self.text

    def cut(self, most: int) -> str:
        """As many characters as there is room for; quotes are put around what is left, so that they always close."""
        room = most - (3 if self.quoted else 1)
        if room < 0:
            return "…"
        kept = 0
        for character in self.text:
            room -= 2 if self.quoted and character in _ESCAPED else 1
            if room < 0:
                break
            kept += 1
        return str(self._replace(text=f"{self.text[:kept]}…"))


def one_line(value: Any, marks: Marks) -> str | None:
    """A value on one line; None if it is too long for one, or is or holds prose or a list of objects."""
    if isinstance(value, dict):
        return _joined(_field_on_the_line(key, inner, marks) for key, inner in value.items() if not is_empty(inner))
    if isinstance(value, list):
        each = marks.each
        return _joined(
            simple_word(inner, each) or (None if isinstance(inner, dict) else one_line(inner, each)) for inner in value
        )
    word = _word(value, marks)
    return word if len(word) <= MAX_LINE else None


def _joined(words: Iterable[str | None]) -> str | None:
    kept, room = list[str](), MAX_LINE + len(_BETWEEN)
    for word in words:
        if word is None or (room := room - len(word) - len(_BETWEEN)) < 0:
            return None
        kept.append(word)
    return _BETWEEN.join(kept)


def _field_on_the_line(key: Any, value: Any, marks: Marks) -> str | None:
    inner = marks.of(key)
    word = simple_word(value, inner)
    if word is None and not is_prose(value, MAX_VALUE):
        word = one_line(value, inner)
    return None if word is None else f"{_word(str(key), _THEIRS if marks.names_too else NO_MARKS)} {word}"


def is_prose(value: Any, most: int) -> bool:
    """Whether a value needs lines of its own. Tokens and addresses never do: they have no spaces."""
    if not isinstance(value, str) or (len(value) <= most and value.isprintable()):
        return False
    text = value.strip()
    return len(text.splitlines()) > 1 or (len(text) > most and any(map(str.isspace, text)))


def in_words(value: Any, marks: Marks = NO_MARKS) -> str:
    """A value on one line."""
    return "".join(map(str, _pieces(value, marks)))


def shortened(value: Any, marks: Marks, most: int) -> str:
    """A value on one line of at most so many characters."""
    if not isinstance(value, dict | list) and len(word := _word(value, marks)) <= most:
        return word
    parts, room = list[str](), most
    pieces = _pieces(value, marks)
    for piece in pieces:
        parts.append(str(piece))
        room -= len(parts[-1])
        if room < 0 or (room == 0 and next(pieces, None)):
            parts[-1] = piece.cut(room + len(parts[-1]))
            break
    return "".join(parts)


def _pieces(value: Any, marks: Marks) -> Iterator[_Piece]:
    """A value on one line, part by part."""
    if isinstance(value, dict):
        filled = [(key, inner) for key, inner in value.items() if not is_empty(inner)]
        for index, (key, inner) in enumerate(filled):
            yield from _between(index)
            yield _Piece(printable(str(key)), marks.names_too)
            yield _Piece(" ")
            yield from _pieces(inner, marks.of(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _between(index)
            yield from _pieces(inner, marks.each)
    else:
        yield _Piece(_plain(value), marks.untrusted and isinstance(value, str))


def simple_word(value: Any, marks: Marks) -> str | None:
    """A value of the simplest kinds, which nearly all are, as it stands on a line; None if it takes a closer look."""
    kind = type(value)
    if kind is bool:
        return "yes" if value else "no"
    if kind is int:
        return str(value)
    is_plain = kind is str and marks is NO_MARKS and len(value) <= MAX_VALUE and value.isprintable()
    return value if is_plain else None


def _word(value: Any, marks: Marks) -> str:
    """A value that is no object and no list."""
    text = _plain(value)
    return encode_basestring(text) if marks.untrusted and isinstance(value, str) else text


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return printable(value)
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _between(index: int) -> Iterator[_Piece]:
    if index:
        yield _Piece(_BETWEEN)


def printable(text: str) -> str:
    """Control, invisible and direction characters are left out: they could fake other lines."""
    return text if text.isprintable() else "".join(filter(str.isprintable, " ".join(text.split())))


def with_details(question: str, details: Sequence[str]) -> str:
    """A question, and below it the details of its facts, in which what others have written stands in quotes."""
    for index, line in enumerate(details):
        if len(question) + len(line) > MAX_QUESTION - _LEFT_OUT:
            return f"{question}\n… and {len(details) - index:,} more"
        question += f"\n{line}"
    return question


def name_of(key: Any, marks: Marks) -> str:
    """The name of a field: ours, or a stranger's where the object is a map of theirs."""
    if not marks.names_too and isinstance(key, str) and len(key) <= MAX_VALUE and key.isprintable():
        return key
    return shortened(str(key), _THEIRS if marks.names_too else NO_MARKS, MAX_VALUE)


def is_empty(value: Any) -> bool:
    """Whether a value says nothing."""
    if isinstance(value, dict):
        return all(map(is_empty, value.values()))
    return value is None or (not value and isinstance(value, str | list))
