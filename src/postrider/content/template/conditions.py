"""Conditions: a lead's field compared with a value, and the conditional variables a step defines with them."""

from dataclasses import dataclass
from enum import StrEnum

from postrider.content.template.variables import variable_key


class Operator(StrEnum):
    HAS_VALUE = "has_value"
    NO_VALUE = "no_value"
    EQUALS = "equals"
    NOT_EQUALS = "not_equals"
    CONTAINS = "contains"
    NOT_CONTAINS = "not_contains"

    @property
    def takes_value(self) -> bool:
        return self not in (Operator.HAS_VALUE, Operator.NO_VALUE)


@dataclass(frozen=True, slots=True)
class Condition:
    """One rule of a conditional variable: when the field compares so, the variable reads ``output``."""

    field: str
    operator: Operator
    output: str
    value: str | None = None


@dataclass(frozen=True, slots=True)
class ConditionalVariable:
    """A variable written ``{{cond:name}}``: the output of the first condition that holds, else the default.

    Outputs are plain text that may use variables and spintax, but no other conditional variable.
    """

    name: str
    conditions: tuple[Condition, ...]
    default: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison ready to be made: trimmed, without regard to case; a missing field equals and contains nothing."""

    name: str
    key: str
    operator: Operator
    operand: str

    @classmethod
    def of(cls, name: str, operator: Operator, value: str | None) -> "Comparison":
        return cls(name, variable_key(name), operator, _comparable(value))

    def holds(self, value: str | None) -> bool:
        if self.operator is Operator.HAS_VALUE:
            return value is not None
        if self.operator is Operator.NO_VALUE:
            return value is None
        return self._found(value) is (self.operator in (Operator.EQUALS, Operator.CONTAINS))

    def _found(self, value: str | None) -> bool:
        if value is None:
            return False
        if self.operator in (Operator.EQUALS, Operator.NOT_EQUALS):
            return _comparable(value) == self.operand
        return self.operand in _comparable(value)


def _comparable(value: str | None) -> str:
    return (value or "").strip().casefold()
