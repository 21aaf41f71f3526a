"""Which operation a method and a path mean. Literal segments win over parameters."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from postrider.kernel.operation import Operation

_MOST_SEGMENTS: Final = 16


@dataclass(frozen=True, slots=True)
class Found:
    """An operation, with what its path says: parameters by the name of the input's field."""

    operation: Operation
    parameters: dict[str, str]


@dataclass(slots=True)
class _Node:
    literals: "dict[str, _Node]" = field(default_factory=dict)
    parameter: "_Node | None" = None
    methods: dict[str, tuple[Operation, tuple[str, ...]]] = field(default_factory=dict)


class PathTable:
    """Every path and alias of the catalogue."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._root = _Node()
        for operation in operations:
            for path in (operation.rest.path, *operation.rest.aliases):
                self._add(operation, path)

    def find(self, method: str, raw_path: str) -> Found | list[str]:
        """The operation behind ``method`` and the still percent-encoded path, or the methods that the path allows."""
        segments = raw_path.strip("/").split("/")
        allowed: set[str] = set()
        if len(segments) > _MOST_SEGMENTS:
            return []
        for node, values in self._matches(self._root, segments, ()):
            if method in node.methods:
                operation, names = node.methods[method]
                decoded = (unquote(value, errors="strict") for value in values)
                return Found(operation, dict(zip(names, decoded, strict=True)))
            allowed.update(node.methods)
        return sorted(allowed)

    def _add(self, operation: Operation, path: str) -> None:
        node, names = self._root, []
        for segment in path.strip("/").split("/"):
            if segment.startswith("{"):
                names.append(segment.strip("{}"))
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literals.setdefault(segment, _Node())
        self._check(operation, path, names)
        if operation.rest.method in node.methods:
            other = node.methods[operation.rest.method][0].name
            raise ValueError(f"{operation.name} and {other} share {operation.rest.method} {path}")
        node.methods[operation.rest.method] = (operation, tuple(names))

    @staticmethod
    def _check(operation: Operation, path: str, names: list[str]) -> None:
        fields = {info.alias or name for name, info in operation.input.model_fields.items()}
        strangers = [name for name in names if name not in fields]
        if strangers:
            raise ValueError(f"{operation.name}: {path} has parameters that its input lacks: {', '.join(strangers)}")

    def _matches(
        self, node: _Node, segments: list[str], values: tuple[str, ...]
    ) -> Iterator[tuple[_Node, tuple[str, ...]]]:
        if not segments:
            yield node, values
            return
        head, rest = segments[0], segments[1:]
        literal = node.literals.get(unquote(head))
        if literal is not None:
            yield from self._matches(literal, rest, values)
        if node.parameter is not None and head:
            yield from self._matches(node.parameter, rest, (*values, head))
