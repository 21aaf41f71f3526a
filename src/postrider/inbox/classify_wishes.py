"""Whether a person asks not to be written to any more (pure, linear).

The text is cut into sentences, without signature and legal notice. A sentence is a wish when it is nothing but the
wish ("Unsubscribe please"), or holds a phrase of the grammar that is not turned round, put on a condition or said of
others. Losing a wish is worse than seeing one too many, but who merely mentions such words has not made it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from postrider.inbox import classify_wish_english as english
from postrider.inbox import classify_wish_german as german
from postrider.inbox import classify_wish_romance as romance
from postrider.inbox.classify_wish_words import (
    ALONE,
    BARE,
    FOOTER,
    GREETING,
    NOT_A_WISH,
    POLITE,
    REFUSAL,
    START,
    TELLS,
    UNDONE,
)
from postrider.inbox.classify_words import MAX_FOLDED_CHARS, folded
from postrider.inbox.parsing_reply import own_lines

SHORT_CHARS = 300
_WRAPPED_LINE_CHARS = 50
_LOOK_BACK = 120
_LOOK_AHEAD = 80
_MAX_NAME_CHARS = 40

_SEPARATOR = re.compile(r"\s*(?:--+|__+|—+|–+|\*{3,})\s*")
_NOTICE = re.compile(
    r"\b(?:confidential|privileged|intended (?:solely|only|recipient)|vertraulich|confidentiel|confidencial|"
    r"riservat[oae]|"
    r"vertrouwelijk|legal notice|disclaimer|virus(?:es|-free|frei))\b"
)
_DEVICE = re.compile(
    r"(?:sent|get|gesendet|von meinem|envoye|enviado|inviato|verzonden) .{0,20}(?:from|von|depuis|desde|da|vanaf|"
    r"outlook)"
)
_CLOSING = re.compile(
    r"(?:(?:many |kind |best |warm )?(?:thanks|thank you|regards|best|cheers|sincerely|yours|wishes)|"
    r"mit freundlichen gru.{1,4}|"
    r"(?:viele |beste )?gru.{1,4}|mfg|cordialement|bien a vous|saludos|un saludo|atentamente|cordiali saluti|"
    r"met vriendelijke groet)"
    r"[ ,!.a-z]{0,20}"
)
_NAME = re.compile(r"(?:[A-ZÀ-ÞŁŚŻА-Я][\w.'’-]{0,20},? ?){1,4}")
_SENTENCE_END = re.compile(r"(?<=[.!?;…])\s+|(?<=[。！？])")
_SPLIT_WORD = re.compile(r"\be mail(?=s?\b)")
_CLAUSE_END = re.compile(r"[,:;]\s+|\s-+\s")
_EDGES = " .,!?*-'\"()<>:;…/\\^_|~#=&+"


def _compiled(patterns: Iterable[str]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern) for pattern in patterns)


_COMMANDS = _compiled((*english.COMMANDS, *german.COMMANDS))
_AT_START = _compiled((*english.AT_START, *german.AT_START))
_STATEMENTS = _compiled(
    (
        *english.STATEMENTS,
        *german.STATEMENTS,
        *german.DUTCH,
        *romance.FRENCH,
        *romance.SPANISH,
        *romance.ITALIAN,
        *romance.PORTUGUESE,
        *romance.OTHERS,
    )
)


@dataclass(frozen=True, slots=True)
class _Words:
    """Folded sentences. ``message``: down to the signature; ``below``: what follows it, without legal notices."""

    message: tuple[str, ...]
    below: tuple[str, ...]

    @property
    def is_short(self) -> bool:
        return sum(map(len, self.message)) <= SHORT_CHARS


def unsubscribe_rule(text: str) -> str | None:
    """The stable name of the rule by which a person asks not to be written to any more; None when nobody does."""
    words = _read(text)
    if _has_bare_wish(words):
        return "unsubscribe_line"
    if any(map(_asks, words.message)) or any(map(_asks_in_full, words.below)):
        return "unsubscribe_phrase"
    return None


def plain_unsubscribe_rule(text: str) -> str | None:
    """The same for a text that says little else: the only one that counts where a machine may have written it."""
    words = _read(text)
    if _has_bare_wish(words):
        return "unsubscribe_line"
    return "unsubscribe_phrase" if words.is_short and any(map(_asks, words.message)) else None


def _has_bare_wish(words: _Words) -> bool:
    sentences = words.message if words.is_short else words.message[:1]
    said = [plain for sentence in words.message if not POLITE.fullmatch(plain := sentence.strip(_EDGES))]
    return any(map(_is_bare, sentences)) or (len(said) == 1 and ALONE.fullmatch(_after_refusal(said[0])) is not None)


def _is_bare(sentence: str) -> bool:
    return BARE.fullmatch(_after_refusal(sentence)) is not None


def _after_refusal(sentence: str) -> str:
    """What is left of "Not interested, remove" when the refusal is taken off."""
    plain = sentence.strip(_EDGES)
    first = _CLAUSE_END.search(plain)
    return plain[first.end() :] if first and REFUSAL.fullmatch(plain[: first.start()]) else plain


def _asks(sentence: str) -> bool:
    """Whether the sentence holds a wish, in full or without saying whom it is about."""
    if FOOTER.search(sentence):
        return False
    at_start = (found for found in _found(_AT_START, sentence) if START.search(sentence, 0, found.start()) is not None)
    return any(_is_meant(sentence, found) for found in at_start) or _asks_in_full(sentence)


def _asks_in_full(sentence: str) -> bool:
    if FOOTER.search(sentence):
        return False
    if any(_is_meant(sentence, found) for found in _found(_STATEMENTS, sentence)):
        return True
    commands = (found for found in _found(_COMMANDS, sentence) if not TELLS.search(_before(sentence, found)))
    return any(_is_meant(sentence, found) for found in commands)


def _found(patterns: tuple[re.Pattern[str], ...], sentence: str) -> Iterator[re.Match[str]]:
    return (found for pattern in patterns for found in pattern.finditer(sentence))


def _before(sentence: str, found: re.Match[str]) -> str:
    return sentence[max(0, found.start() - _LOOK_BACK) : found.start()]


def _is_meant(sentence: str, found: re.Match[str]) -> bool:
    after = sentence[found.end() : found.end() + _LOOK_AHEAD]
    return not NOT_A_WISH.search(_before(sentence, found)) and not UNDONE.search(after)


def _read(text: str) -> _Words:
    lines = own_lines(text[:MAX_FOLDED_CHARS].replace("\r", ""))
    cut = next((index for index, line in enumerate(lines) if index and _SEPARATOR.fullmatch(line)), len(lines))
    paragraphs = [kept for kept in _paragraphs(lines[:cut] if any(map(str.strip, lines[:cut])) else lines) if kept]
    name = next((number for number in range(1, len(paragraphs)) if _is_signature(paragraphs, number)), len(paragraphs))
    message = tuple(_sentences(paragraphs[:name]))
    while len(message) > 1 and GREETING.fullmatch(message[0].strip(_EDGES)):
        message = message[1:]
    return _Words(message, tuple(_sentences(paragraphs[name:])))


def _paragraphs(lines: list[str]) -> Iterator[list[str]]:
    """The lines between blank ones, wrapped ones joined; without legal notices and what telephones add."""
    block: list[str] = []
    for line in [*lines, ""]:
        if line := line.strip():
            if block and len(block[-1]) >= _WRAPPED_LINE_CHARS and line[0].islower():
                block[-1] = f"{block[-1]} {line}"
            else:
                block.append(line)
            continue
        plain = folded(" ".join(block))
        if not _NOTICE.search(plain):
            yield [each for each in block if not _DEVICE.match(folded(each))]
        elif len(block) > 1:
            yield [each for each in block if not _NOTICE.search(folded(each))]
        block = []


def _is_signature(paragraphs: list[list[str]], number: int) -> bool:
    """Whether a block begins with a name or, above one, with a closing formula."""
    first = paragraphs[number][0]
    if _is_bare(folded(first)) or ALONE.fullmatch(folded(first).strip(_EDGES)):
        return False
    if len(first) <= _MAX_NAME_CHARS and _NAME.fullmatch(first) and not first.endswith("."):
        return True
    is_last = number == len(paragraphs) - 1
    return bool(_CLOSING.fullmatch(folded(first))) and (len(paragraphs[number]) > 1 or is_last)


def _sentences(paragraphs: Iterable[list[str]]) -> Iterator[str]:
    for line in (line for block in paragraphs for line in block):
        for sentence in _SENTENCE_END.split(folded(line)):
            rest = _without_greeting(_SPLIT_WORD.sub("email", sentence))
            if rest:
                yield rest


def _without_greeting(sentence: str) -> str:
    head, comma, rest = sentence.partition(",")
    return rest.strip() if comma and rest.strip() and GREETING.fullmatch(head) else sentence
