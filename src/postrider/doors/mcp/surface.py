"""What an agent sees: for every endpoint, which operations ``tools/list`` shows and which may be called there."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from postrider.catalogue import Catalogue
from postrider.doors.mcp.early import CORE
from postrider.kernel.errors import NotFound
from postrider.kernel.operation import Effect, Operation

Policy = Callable[[Operation], bool]
_TOOLSETS: Final = "/mcp/x/"


@dataclass(frozen=True, slots=True)
class Surface:
    """One endpoint's policy. It depends on the address alone, never on the connection or on what was called before.

    ``brief``: inputs are listed in brief, and tools that find and run everything else stand beside the others.
    """

    path: str
    lists: Policy
    calls: Policy
    brief: bool = False


def _everything(operation: Operation) -> bool:
    return True


def _core(operation: Operation) -> bool:
    return operation.core


def _reads(operation: Operation) -> bool:
    return operation.effect is Effect.READ


MAIN: Final = Surface("/mcp", lists=_core, calls=_everything, brief=True)
"""The canonical endpoint, and what stdio serves unless told otherwise: the daily work, and ways to all the rest."""

FULL: Final = Surface("/mcp/full", lists=_everything, calls=_everything)
READONLY: Final = Surface("/mcp/readonly", lists=_reads, calls=_reads)

SURFACES: Final[tuple[Surface, ...]] = (MAIN, FULL, READONLY)
"""The endpoints with a name of their own; those of toolsets come on top."""

_BY_PATH: Final = {surface.path: surface for surface in SURFACES}
NAMES: Final = {CORE: MAIN, "full": FULL, "readonly": READONLY}
"""What the command line calls them."""


def surface_at(path: str, catalogue: Catalogue) -> Surface:
    """The surface of an address. Raises: NotFound, with the addresses that there are."""
    place = path.rstrip("/")
    if f"{place}/".startswith(_TOOLSETS):
        return _of_toolsets(f"{place}/".removeprefix(_TOOLSETS).rstrip("/"), catalogue)
    surface = _BY_PATH.get(place)
    if surface is None:
        known = f"Use {', '.join(_BY_PATH)} or {_TOOLSETS}leads,inbox."
        raise NotFound("There is no MCP endpoint here.", hint=known)
    return surface


def surface_named(name: str, catalogue: Catalogue) -> Surface:
    """The surface of a word: core, full, readonly, or toolsets with commas between them. Raises: NotFound."""
    return NAMES.get(name.strip()) or _of_toolsets(name, catalogue)


def toolsets(catalogue: Catalogue) -> list[str]:
    """The names of the toolsets, in the order of declaration."""
    return list(dict.fromkeys(operation.toolset for operation in catalogue))


def _of_toolsets(names: str, catalogue: Catalogue) -> Surface:
    """One surface for every choice, whatever the order and however often each is named."""
    chosen = frozenset(name.strip() for name in names.split(",")) - {""}
    known = toolsets(catalogue)
    if not chosen or not chosen <= set(known):
        unknown = ", ".join(sorted(chosen - set(known)))[:100] or "no name"
        raise NotFound(f"There is no toolset {unknown}.", hint=f"The toolsets are {', '.join(known)}.")

    def holds(operation: Operation) -> bool:
        return operation.toolset in chosen

    return Surface(_TOOLSETS + ",".join(name for name in known if name in chosen), lists=holds, calls=holds)


def listed_operations(surface: Surface, catalogue: Catalogue) -> list[Operation]:
    """What ``tools/list`` shows: the core first, then the rest, each in the order of declaration."""
    shown = [operation for operation in catalogue if surface.lists(operation)]
    return sorted(shown, key=lambda operation: not operation.core)


def callable_operation(surface: Surface, catalogue: Catalogue, name: str) -> Operation | None:
    """The operation that ``name`` (or an alias of it) reaches on this surface."""
    operation = catalogue.find(name)
    return operation if operation is not None and surface.calls(operation) else None
