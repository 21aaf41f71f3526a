"""Tokens to a tree. All spellings of a condition, conditional variables included, become one kind of node."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from html import escape
from itertools import count

from postrider.content.template.conditions import Comparison, Condition, ConditionalVariable
from postrider.content.template.errors import (
    MAX_CASES,
    MAX_CHARACTERS_OF_ALL_OUTPUTS,
    MAX_CONDITIONAL_VARIABLES,
    MAX_DEPTH,
    MAX_OUTPUT_CHARACTERS,
    MAX_TOKENS,
    TemplateError,
)
from postrider.content.template.links import may_begin_link
from postrider.content.template.tags import (
    ConditionalTag,
    ElseTag,
    EndIfTag,
    IfTag,
    LoomTag,
    VariableTag,
    parse_tag,
)
from postrider.content.template.tokens import Dialect, Form, Kind, Place, Token, tokenize
from postrider.content.template.variables import variable_key


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    key: str
    fallback: str | None
    in_attribute: bool


@dataclass(frozen=True, slots=True)
class Loom:
    name: str
    key: str
    fallback: str | None
    in_attribute: bool


@dataclass(frozen=True, slots=True)
class Choice:
    position: int
    options: tuple["Body", ...]


@dataclass(frozen=True, slots=True)
class Switch:
    """The body of the first comparison that holds, else the default."""

    cases: tuple[tuple[Comparison, "Body"], ...]
    default: "Body"


@dataclass(frozen=True, slots=True)
class Link:
    """A link target that begins with a value, so that only the finished text shows whether it is safe."""

    body: "Body"
    names: tuple[str, ...]


Node = str | Variable | Loom | Choice | Switch | Link
Body = tuple[Node, ...]

# Subject and body choose apart; the HTML and the text of one body choose alike. Outputs of conditional variables come
# after the template's own choices, so that a new definition does not change what is already chosen.
_SUBJECT_POSITIONS = 2 * MAX_TOKENS
_OUTPUT_POSITIONS = MAX_TOKENS


@dataclass(frozen=True, slots=True)
class Tree:
    body: Body
    keys: frozenset[str]


def parse_template(source: str, form: Form, dialect: Dialect, conditional: Sequence[ConditionalVariable]) -> Tree:
    """The tree of a template, with its conditional variables in place. Raises: TemplateError."""
    first = _SUBJECT_POSITIONS if form == "subject" else 0
    keys: set[str] = set()
    outputs = _Builder(dialect, first + _OUTPUT_POSITIONS, keys, literal=escape if form == "html" else str)
    definitions = _definitions(conditional, outputs)
    builder = _Builder(dialect, first, keys, definitions=definitions)
    return Tree(builder.build(tokenize(source, form, dialect)), frozenset(keys))


class _Level(Enum):
    ROOT = "template"
    CHOICE = "option"
    SWITCH = "condition"
    LINK = "link"


@dataclass(slots=True)
class _Frame:
    """A part that is still open; its bodies are options, or the two sides of a condition."""

    level: _Level
    offset: int
    bodies: list[list[Node]] = field(default_factory=lambda: [[]])
    position: int = 0
    comparison: Comparison | None = None
    names: list[str] = field(default_factory=list)


class _Builder:
    def __init__(
        self,
        dialect: Dialect,
        first_position: int,
        keys: set[str],
        *,
        literal: Callable[[str], str] = str,
        definitions: dict[str, Switch] | None = None,
    ) -> None:
        self.dialect = dialect
        self.positions = count(first_position)
        self.keys = keys
        self.literal = literal
        self.definitions = definitions
        self.frames: list[_Frame] = []

    def build(self, tokens: Sequence[Token]) -> Body:
        self.frames = [_Frame(_Level.ROOT, 0)]
        for token in tokens:
            self._token(token)
        frame = self.frames[-1]
        if frame.level is not _Level.ROOT:
            raise _unclosed(frame)
        return tuple(frame.bodies[0])

    def _token(self, token: Token) -> None:
        match token.kind:
            case Kind.TEXT:
                self._add(self.literal(token.text))
            case Kind.TAG:
                self._tag(token)
            case Kind.OPEN:
                self._enter(_Frame(_Level.CHOICE, token.offset, position=next(self.positions)))
            case Kind.NEXT:
                self._inside(_Level.CHOICE, token.offset).bodies.append([])
            case Kind.CLOSE:
                frame = self._leave(_Level.CHOICE, token.offset)
                self._add(Choice(frame.position, tuple(map(tuple, frame.bodies))))
            case Kind.LINK:
                self._enter(_Frame(_Level.LINK, token.offset))
            case Kind.END_LINK:
                frame = self._leave(_Level.LINK, token.offset)
                self._add(Link(tuple(frame.bodies[0]), tuple(frame.names)))

    def _tag(self, token: Token) -> None:
        tag = parse_tag(token.text, token.offset, self.dialect)
        match tag:
            case IfTag():
                self.keys.add(tag.comparison.key)
                self._enter(_Frame(_Level.SWITCH, token.offset, comparison=tag.comparison))
            case ElseTag():
                self._else(token.offset)
            case EndIfTag():
                self._end_if(token.offset)
            case ConditionalTag():
                _refuse_unquoted(token)
                self._note_in_links(f"cond:{tag.name}")
                self._add(self._defined(tag.name, token.offset))
            case VariableTag() | LoomTag():
                _refuse_unquoted(token)
                self._value(tag, token)

    def _value(self, tag: VariableTag | LoomTag, token: Token) -> None:
        frame = self.frames[-1]
        begins_link = frame.level is _Level.LINK and not frame.bodies[-1]
        if begins_link and not may_begin_link(tag.fallback or ""):
            raise TemplateError("This fallback is not a safe link.", offset=token.offset)
        self._note_in_links(tag.name)
        key = variable_key(tag.name)
        self.keys.add(key)
        # An output is text wherever it stands: no Loom picture, no signature markup.
        plain = token.place is Place.ATTRIBUTE or self.definitions is None
        node = Variable if isinstance(tag, VariableTag) else Loom
        self._add(node(tag.name, key, tag.fallback, plain))

    def _note_in_links(self, name: str) -> None:
        for frame in self.frames:
            if frame.level is _Level.LINK:
                frame.names.append(name)

    def _defined(self, name: str, offset: int) -> Switch:
        if self.definitions is None:
            raise TemplateError("An output cannot use another conditional variable.", offset=offset)
        definition = self.definitions.get(variable_key(name))
        if definition is None:
            raise TemplateError(f"No conditional variable is named “{name}”.", offset=offset)
        return definition

    def _else(self, offset: int) -> None:
        frame = self._inside(_Level.SWITCH, offset)
        if len(frame.bodies) == 2:
            raise TemplateError("This condition already has an {{else}}.", offset=offset)
        frame.bodies.append([])

    def _end_if(self, offset: int) -> None:
        frame = self._leave(_Level.SWITCH, offset)
        assert frame.comparison is not None
        then, *otherwise = map(tuple, frame.bodies)
        self._add(Switch(((frame.comparison, then),), otherwise[0] if otherwise else ()))

    def _add(self, node: Node) -> None:
        self.frames[-1].bodies[-1].append(node)

    def _enter(self, frame: _Frame) -> None:
        depth = sum(1 for other in self.frames if other.level is frame.level)
        if depth >= MAX_DEPTH:
            raise TemplateError(f"At most {MAX_DEPTH} levels may be nested.", offset=frame.offset)
        self.frames.append(frame)

    def _inside(self, level: _Level, offset: int) -> _Frame:
        frame = self.frames[-1]
        if frame.level is level:
            return frame
        if any(other.level is level for other in self.frames):
            raise _unclosed(frame)
        raise TemplateError("There is no open {{#if}} here.", offset=offset)

    def _leave(self, level: _Level, offset: int) -> _Frame:
        frame = self._inside(level, offset)
        self.frames.pop()
        return frame


def _unclosed(frame: _Frame) -> TemplateError:
    return TemplateError(
        f"This {frame.level.value} is not closed where it should be.",
        offset=frame.offset,
        hint="Conditions, options and quoted attributes nest: what opens inside one closes inside it.",
    )


def _refuse_unquoted(token: Token) -> None:
    if token.place is Place.MARKUP:
        raise TemplateError(
            "A value inside an HTML tag needs quotes around it.", offset=token.offset, hint='Write href="{{website}}".'
        )
    if token.place is Place.SCRIPT:
        raise TemplateError("A value cannot be part of a script.", offset=token.offset)


def _definitions(conditional: Sequence[ConditionalVariable], outputs: _Builder) -> dict[str, Switch]:
    if len(conditional) > MAX_CONDITIONAL_VARIABLES:
        raise TemplateError(
            f"A step has at most {MAX_CONDITIONAL_VARIABLES} conditional variables.",
            offset=0,
            field="conditionalVariables",
        )
    outputs_length = sum(
        len(variable.default) + sum(len(condition.output) for condition in variable.conditions)
        for variable in conditional
    )
    if outputs_length > MAX_CHARACTERS_OF_ALL_OUTPUTS:
        raise TemplateError(
            f"All outputs of a step together have at most {MAX_CHARACTERS_OF_ALL_OUTPUTS:,} characters.",
            offset=0,
            field="conditionalVariables",
        )
    definitions: dict[str, Switch] = {}
    for index, variable in enumerate(conditional):
        where = f"conditionalVariables[{index}]"
        key = variable_key(variable.name)
        if not key or key in definitions:
            problem = "is there twice" if key else "is blank"
            raise TemplateError(f"The name of a conditional variable {problem}.", offset=0, field=f"{where}.name")
        definitions[key] = _definition(variable, where, outputs)
    return definitions


def _definition(variable: ConditionalVariable, where: str, outputs: _Builder) -> Switch:
    if len(variable.conditions) > MAX_CASES:
        raise TemplateError(
            f"A conditional variable has at most {MAX_CASES} conditions.", offset=0, field=f"{where}.conditions"
        )
    cases = tuple(
        _case(condition, f"{where}.conditions[{index}]", outputs) for index, condition in enumerate(variable.conditions)
    )
    return Switch(cases, _output(variable.default, f"{where}.defaultValue", outputs))


def _case(condition: Condition, where: str, outputs: _Builder) -> tuple[Comparison, Body]:
    comparison = Comparison.of(condition.field, condition.operator, condition.value)
    if not comparison.key:
        raise TemplateError("A condition needs a field.", offset=0, field=f"{where}.field")
    if condition.operator.takes_value and condition.value is None:
        raise TemplateError(f"The operator {condition.operator} needs a value.", offset=0, field=f"{where}.value")
    outputs.keys.add(comparison.key)
    return comparison, _output(condition.output, f"{where}.output", outputs)


def _output(text: str, where: str, outputs: _Builder) -> Body:
    if len(text) > MAX_OUTPUT_CHARACTERS:
        raise TemplateError(f"An output has at most {MAX_OUTPUT_CHARACTERS:,} characters.", offset=0, field=where)
    try:
        return outputs.build(tokenize(text, "text", outputs.dialect))
    except TemplateError as error:
        raise error.within(where) from None
