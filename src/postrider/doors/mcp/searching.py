"""Finds operations by what somebody says in plain words: BM25 over names, words and fields, with typos forgiven."""

import difflib
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

from postrider.catalogue import Catalogue
from postrider.doors.mcp.schema import JsonSchema
from postrider.doors.mcp.tools import describe_tool
from postrider.doors.mcp.vocabulary import MEANING_WORDS, MEANINGS, is_question, stem, words
from postrider.kernel.operation import Effect, Operation

_SATURATION: Final = 1.2
_LENGTH: Final = 0.3
_MEANING_WEIGHT: Final = 0.85
"""Of a word that means the same, against the word itself."""

_FORM_WEIGHT: Final = 0.15
"""Of the very form of a word, on top of its stem: campaigns is not quite campaign."""

_MOST_WORDS: Final = 30
"""Of a request; each is looked for in every operation."""

_GUESSED_WEIGHT: Final = 0.8
"""Of a word that was taken for the known one that it is one slip away from."""

_SHORTEST_SLIP: Final = 5
"""Letters of a word in which one may be wrong, or two be swapped; one too many or too few may be in any."""

_KEYWORDS_WEIGHT: Final = 2.0
"""Of what people call an operation in other words than its own."""

_NAME_BONUS: Final = 0.5
"""What all words of a name together add to a score, as a share of it."""

_READ_BONUS: Final = 1.4
"""Of what only reads, for a question."""

Terms = dict[str, float]


def _terms(word: str) -> Terms:
    """The terms of a word, with how well each stands for it: stem, meanings, form."""
    root = stem(word)
    meanings = dict.fromkeys(MEANINGS.get(root, ()), _MEANING_WEIGHT)
    return {root: 1.0, f"={word}": _FORM_WEIGHT, **meanings}


def _fields(operation: Operation) -> Iterator[tuple[str, float]]:
    """The texts of an operation, with how much a word in them says about it."""
    first, _, rest = operation.description.partition("\n\n")
    schema = describe_tool(operation).input_schema
    yield operation.name.replace("_", " "), 3.0
    for alias in operation.aliases:
        yield alias.replace("_", " "), 1.5
    yield operation.title, 2.0
    yield operation.keywords, _KEYWORDS_WEIGHT
    yield first, 1.0
    yield rest, 0.25
    yield operation.toolset, 0.25
    yield " ".join(_field_words(schema, 1)), 0.2


def _field_words(schema: JsonSchema, depth: int) -> Iterator[str]:
    """Names and descriptions of the fields, of those inside too."""
    for part in (schema, *schema.get("anyOf", ())):
        for name, field in part.get("properties", {}).items():
            yield f"{name} {field.get('description', '')}"
            if depth:
                yield from _field_words(field, depth - 1)
        if isinstance(part.get("items"), dict):
            yield from _field_words(part["items"], depth)


class Index:
    """The operations of a catalogue, made ready to be searched."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._operations = list(catalogue)
        self._by_name = {name: each for each in self._operations for name in (each.name, *each.aliases)}
        self._weights = [_weighted(operation) for operation in self._operations]
        lengths = [sum(weights.values()) for weights in self._weights]
        mean = sum(lengths) / max(1, len(lengths))
        self._names = [_meanings_of(operation.name) for operation in self._operations]
        self._lengths = [1 - _LENGTH + _LENGTH * length / mean for length in lengths]
        everywhere = _rarity([weights.keys() for weights in self._weights])
        in_names = _rarity([set().union(*name) for name in self._names])
        # What stands in the names tells operations apart better than its frequency in all their words says.
        self._rarity = {term: (rare + in_names.get(term, rare)) / 2 for term, rare in everywhere.items()}
        forms = {term[1:]: rare for term, rare in self._rarity.items() if term[0] == "="}
        self._slips = _slips({**dict.fromkeys(MEANING_WORDS, math.inf), **forms})

    def ranked(self, query: str) -> list[Operation]:
        """Every operation that has something of ``query``, the best first; of equals the one declared first."""
        asked = [self._asked(word) for word in list(dict.fromkeys(words(query)))[:_MOST_WORDS]]
        asks = is_question(query)
        scores = [
            self._score(place, asked) * (_READ_BONUS if asks and operation.effect is Effect.READ else 1)
            for place, operation in enumerate(self._operations)
        ]
        order = sorted(range(len(scores)), key=lambda place: (-scores[place], place))
        found = [self._operations[place] for place in order if scores[place] > 0]
        named = self._by_name.get(query.strip())
        return found if named is None else [named, *(each for each in found if each is not named)]

    def _asked(self, word: str) -> Terms:
        """What to look for. A word that nobody knows is taken for a known one that it is one slip away from."""
        root = stem(word)
        if root in self._rarity or root in MEANINGS:
            return _terms(word)
        meant = next((self._slips[form] for form in _shortened(word) if self._is_slip(word, form)), None)
        return {} if meant is None else {term: _GUESSED_WEIGHT * each for term, each in _terms(meant).items()}

    def _is_slip(self, word: str, form: str) -> bool:
        meant = self._slips.get(form)
        return meant is not None and (len(word) >= _SHORTEST_SLIP or form in {word, meant})

    def _score(self, place: int, asked: list[Terms]) -> float:
        """The words found, rare ones for more, and on top of it how much of the operation's name was asked for."""
        found = sum(self._word_score(place, terms) for terms in asked)
        name = self._names[place]
        said = {term for terms in asked for term in terms}
        return found * (1 + _NAME_BONUS * sum(not same.isdisjoint(said) for same in name) / max(1, len(name)))

    def _word_score(self, place: int, terms: Terms) -> float:
        """The best of a word's terms. It is as rare as the most frequent of them: a synonym is no rarer word."""
        known = [term for term in terms if term in self._rarity and term[0] != "="]
        if not known:
            return 0.0
        best = max(terms[term] * self._share(place, term) for term in known)
        form = sum(terms[term] * self._share(place, term) for term in terms if term[0] == "=")
        return min(self._rarity[term] for term in known) * (best + form)

    def _share(self, place: int, term: str) -> float:
        found = self._weights[place].get(term, 0.0)
        return found * (_SATURATION + 1) / (found + _SATURATION * self._lengths[place])


def _rarity(holders: Sequence[Collection[str]]) -> Terms:
    """How rare each term is among the holders, as BM25 has it."""
    holding = Counter(term for terms in holders for term in terms)
    return {term: math.log(1 + (len(holders) - each + 0.5) / (each + 0.5)) for term, each in holding.items()}


def _shortened(word: str) -> list[str]:
    """A word and what is left of it without one letter: two words that share one of these are a slip apart."""
    return [word, *(word[:place] + word[place + 1 :] for place in range(len(word)))]


def _slips(known: Terms) -> dict[str, str]:
    """Which word each form means that a slip leaves: of several the shortest, and of those the least rare."""
    order = sorted(known, key=lambda word: (-len(word), -known[word], word))
    return {form: word for word in order for form in _shortened(word)}


def _meanings_of(name: str) -> list[frozenset[str]]:
    """For each word of a name, what stands for it."""
    return [MEANINGS.get(root, frozenset()) | {root} for root in map(stem, words(name))]


def _weighted(operation: Operation) -> Terms:
    weights: Terms = {}
    for text, weight in _fields(operation):
        for term in (term for word in words(text) for term in _terms(word)):
            weights[term] = weights.get(term, 0.0) + weight
    return weights


def nearest_names(name: str, catalogue: Catalogue, extra: Iterable[str] = (), most: int = 3) -> list[str]:
    """The names most like one that nothing has."""
    known = [*(operation.name for operation in catalogue), *extra]
    return difflib.get_close_matches(name, known, n=most)
