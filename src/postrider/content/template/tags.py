"""What is written between ``{{`` and ``}}``: a variable, a Loom video, or a piece of a condition."""

import re
from dataclasses import dataclass

from postrider.content.template.conditions import Comparison, Operator
from postrider.content.template.errors import MAX_NAME_CHARACTERS, TemplateError
from postrider.content.template.tokens import Dialect
from postrider.content.template.variables import variable_key

LOOM, SPINTAX = "LOOM", "SPINTAX"
_IF = re.compile(r"#?if(?:\s+(?P<expression>.*))?", re.IGNORECASE | re.DOTALL)
_END_IF = ("/if", "endif", "end if")
_ELSE_IF = ("else if", "elseif", "elsif", "elif")
_CONDITIONAL = "cond:"
_LOGIC_WORDS = frozenset(("and", "or", "not", "is"))
_LOGIC_SIGNS = frozenset("=<>!&\"'")


@dataclass(frozen=True, slots=True)
class VariableTag:
    name: str
    fallback: str | None


@dataclass(frozen=True, slots=True)
class LoomTag:
    name: str
    fallback: str | None


@dataclass(frozen=True, slots=True)
class ConditionalTag:
    name: str


@dataclass(frozen=True, slots=True)
class IfTag:
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class ElseTag:
    pass


@dataclass(frozen=True, slots=True)
class EndIfTag:
    pass


Tag = VariableTag | LoomTag | ConditionalTag | IfTag | ElseTag | EndIfTag


def parse_tag(text: str, offset: int, dialect: Dialect) -> Tag:
    """The tag written between the braces. Raises: TemplateError at ``offset``."""
    return _block_tag(text.strip(), offset) or _value_tag(text, offset, dialect)


def _block_tag(text: str, offset: int) -> Tag | None:
    word = " ".join(text.casefold().split())
    if word in _END_IF:
        return EndIfTag()
    if word == "else":
        return ElseTag()
    if word.startswith(_ELSE_IF):
        raise TemplateError("There is no “else if”.", offset=offset, hint="Nest a second {{#if}} inside the {{else}}.")
    condition = _IF.fullmatch(text)
    if condition:
        return IfTag(_comparison(condition["expression"] or "", offset))
    if word.startswith(("#", "/")):
        raise TemplateError("Blocks are {{#if …}}, {{else}} and {{/if}}.", offset=offset)
    return None


def _value_tag(text: str, offset: int, dialect: Dialect) -> Tag:
    first, bar, rest = text.partition("|")
    name = " ".join(first.split())
    if name == SPINTAX:
        raise TemplateError("SPINTAX needs at least two options.", offset=offset, hint="{{SPINTAX|a|b}}")
    if name == LOOM:
        column, bar, rest = rest.partition("|")
        return LoomTag(_name(column, offset), _fallback(rest, dialect) if bar else None)
    if name.startswith(_CONDITIONAL):
        if bar:
            raise TemplateError("A conditional variable takes no fallback: it has a default.", offset=offset)
        return ConditionalTag(_name(name.removeprefix(_CONDITIONAL), offset))
    return VariableTag(_name(first, offset), _fallback(rest, dialect) if bar else None)


def _name(text: str, offset: int) -> str:
    name = " ".join(text.split())
    if len(name) > MAX_NAME_CHARACTERS:
        raise TemplateError(f"A variable name has at most {MAX_NAME_CHARACTERS} characters.", offset=offset)
    if not variable_key(name):
        raise TemplateError("These braces name no variable.", offset=offset, hint=r"Write \{{ for braces.")
    return name


def _fallback(text: str, dialect: Dialect) -> str:
    return text if dialect is Dialect.REACHKIT else _unquoted(text.strip(), '"')


def _unquoted(text: str, quotes: str) -> str:
    paired = len(text) >= 2 and text[0] == text[-1] and text[0] in quotes
    return text[1:-1] if paired else text


def _comparison(expression: str, offset: int) -> Comparison:
    """``field``, or ``field operator``, or ``field operator "value"``."""
    operators = {operator.value: operator for operator in Operator}
    for word in re.finditer(r"\S+", expression):
        operator = operators.get(word[0].lower())
        if operator and word.start() > 0:
            field, operand = expression[: word.start()], expression[word.end() :].strip()
            if bool(operand) is not operator.takes_value:
                needs = "needs a value" if operator.takes_value else "takes no value"
                raise TemplateError(f"The operator {operator.value} {needs}.", offset=offset)
            return Comparison.of(_field(field, offset), operator, _unquoted(operand, "\"'"))
    return Comparison.of(_field(expression, offset), Operator.HAS_VALUE, None)


def _field(text: str, offset: int) -> str:
    if _LOGIC_SIGNS & set(text) or _LOGIC_WORDS & set(text.casefold().split()):
        raise TemplateError(
            "A condition compares one field once.",
            offset=offset,
            hint=f'Write {{{{#if field operator "value"}}}} with one of: {", ".join(Operator)}.',
        )
    return _name(text, offset)
