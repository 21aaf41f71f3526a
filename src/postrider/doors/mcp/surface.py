"""What an agent sees: for every endpoint, which operations ``tools/list`` shows and which may be called there."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from postrider.catalogue import Catalogue
from postrider.kernel.operation import Operation

Policy = Callable[[Operation], bool]


@dataclass(frozen=True, slots=True)
class Surface:
    """One endpoint's policy. It depends on the address alone, never on the connection or on what was called before."""

    path: str
    lists: Policy
    calls: Policy


def _everything(operation: Operation) -> bool:
    return True


MAIN: Final = Surface("/mcp", lists=_everything, calls=_everything)
"""The canonical endpoint, and what stdio serves."""

SURFACES: Final[tuple[Surface, ...]] = (MAIN,)
"""Every endpoint served over HTTP."""


def listed_operations(surface: Surface, catalogue: Catalogue) -> list[Operation]:
    """What ``tools/list`` shows: the core first, then the rest, each in the order of declaration."""
    shown = [operation for operation in catalogue if surface.lists(operation)]
    return sorted(shown, key=lambda operation: not operation.core)


def callable_operation(surface: Surface, catalogue: Catalogue, name: str) -> Operation | None:
    """The operation that ``name`` (or an alias of it) reaches on this surface."""
    operation = catalogue.find(name)
    return operation if operation is not None and surface.calls(operation) else None
