"""What an operation is given: who calls, when, in which workspace, and one of two ways to the data.

Context: one database transaction and no network. OutsideContext: the network and short transactions of its own.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from sqlalchemy.orm import Session

from postrider.kernel.events import Signal
from postrider.kernel.policy import NO_CAPS, Autonomy, Caps, Facts
from postrider.kernel.undoing import Undoer, UndoRecord
from postrider.kernel.vault import Vault
from postrider.settings import Settings

T = TypeVar("T")
R = TypeVar("R")
Choices = dict[Callable[["Context", Any], Any], tuple[Any, Any]]
"""Of each choosing function: the request of the call, and what it has found for that."""
ActorKind = Literal["platform_key", "workspace_key", "oauth_grant", "local", "person"]
Door = Literal["mcp", "v1", "cli", "stdio", "web"]
ALL_SCOPES: frozenset[str] = frozenset({"read", "prepare", "send", "delete", "administer"})


@dataclass(frozen=True, slots=True)
class Actor:
    """Who calls. ``credential_id`` names the key, the grant, the local owner or the person who has signed in; ``door``
    is where the call came in.

    ``toolsets``: the only ones that the credential may use; None is all of them. ``client_id``: the connected app that
    holds the grant.
    """

    kind: ActorKind
    credential_id: str
    user_id: str
    workspace_id: str
    scopes: frozenset[str]
    autonomy: Autonomy
    door: Door
    toolsets: frozenset[str] | None = None
    client_id: str | None = None
    caps: Caps = NO_CAPS

    @property
    def is_person(self) -> bool:
        """Whether a person acts here, not a program for them: then the call itself is the person's yes."""
        return self.door in ("cli", "web")


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file that came with a call, already on disk. ``name`` is untrusted and only for display."""

    path: Path
    name: str
    size_bytes: int


class Progress(Protocol):
    """Tells the caller how far long work has come."""

    async def __call__(self, done: int, total: int | None, message: str) -> None:
        """``done`` of ``total`` units are finished."""


@dataclass(slots=True)
class Context:
    """One transaction. Everything read or written through ``session`` belongs to it; ``now`` is the same throughout.

    ``locks``: it may change things, so that what a decision rests on is locked until it has acted on it.
    ``sends_agreed``: mail may leave because of this call: nobody has to be asked, or they have said yes to it.
    ``agreed``: the facts that they have said yes to; None where nobody was asked. ``choices``: see ``once``.
    ``base_url``: the address of this server that the caller came to, where it is safe and known. ``toolsets``: all that
    there are.
    """

    session: Session
    actor: Actor
    now: datetime
    settings: Settings
    vault: Vault
    files: Mapping[str, UploadedFile] = field(default_factory=dict)
    wakes: set[Signal] = field(default_factory=set)
    undoers: Mapping[str, Undoer] = field(default_factory=dict)
    undo_record: UndoRecord | None = None
    locks: bool = False
    sends_agreed: bool = False
    agreed: Facts | None = None
    choices: Choices = field(default_factory=dict)
    base_url: str | None = None
    toolsets: frozenset[str] = frozenset()

    @property
    def workspace_id(self) -> str:
        """The workspace that the credential names: the first key of every query."""
        return self.actor.workspace_id

    @property
    def capped_by(self) -> str | None:
        """The calling credential, if it has a limit now: what leaves because of this call is counted on it."""
        return self.actor.credential_id if self.actor.caps.at(self.now) is not None else None

    def once(self, choose: Callable[["Context", R], T], request: R) -> T:
        """What ``choose`` finds for the request of the call, looked up at most once: what was counted for whoever said
        yes is what is acted on. On PostgreSQL a second look would find what others have committed since."""
        if choose not in self.choices:
            self.choices[choose] = request, choose(self, request)
        return _chosen(self.choices, choose, request)

    def undoable(self, record: UndoRecord) -> None:
        """Keeps, with this transaction, what takes its effect back; the operation names the function for it."""
        self.undo_record = record

    def wake(self, signal: Signal) -> None:
        """Wakes one of the engine's loops once this transaction has been committed."""
        self.wakes.add(signal)


@dataclass(slots=True)
class OutsideContext:
    """Ports to the outside world and short transactions; never both at once.

    ``effect``: the one write that is what the operation does, and gives its output. What the call is held to (its
    confirmation, its idempotency key, its audit row) is settled in the same transaction. Operations declared with
    ``audit="effect"`` use it exactly once; the others use ``write``, and ``aside`` for what is no part of what was
    asked for (a ledger, a count): it stays, and the call may still be one that did nothing. ``sends_agreed``,
    ``agreed`` and ``choices``: as the gate has found for one of the others; in ``effect``, its own Context tells.
    """

    actor: Actor
    now: datetime
    settings: Settings
    vault: Vault
    read: "Runner"
    write: "Runner"
    aside: "Runner"
    effect: "Runner"
    ports: Mapping[type, object]
    progress: Progress
    files: Mapping[str, UploadedFile] = field(default_factory=dict)
    sends_agreed: bool = False
    agreed: Facts | None = None
    choices: Choices = field(default_factory=dict)

    @property
    def workspace_id(self) -> str:
        """The workspace that the credential names."""
        return self.actor.workspace_id

    async def once(self, choose: Callable[[Context, R], T], request: R) -> T:
        """See Context.once: what the gate has been shown, else what there is now."""
        if choose not in self.choices:
            self.choices[choose] = request, await self.read(lambda context: choose(context, request))
        return _chosen(self.choices, choose, request)

    def port(self, kind: type[T]) -> T:
        """The adapter behind the port ``kind``."""
        adapter: T = self.ports[kind]  # type: ignore[assignment]  # keyed by its own type in app.py
        return adapter


def _chosen(choices: Choices, choose: Callable[[Context, R], T], request: R) -> T:
    """What ``choose`` has found. Raises: ValueError when that was for another request: a yes would be to the wrong
    things."""
    asked, found = choices[choose]
    if asked != request:
        raise ValueError(f"{choose.__qualname__} has chosen for another request of this call")
    chosen: T = found
    return chosen


class Runner(Protocol):
    """Runs a function in one transaction in a database thread and gives back its result."""

    def __call__(self, work: Callable[[Context], T]) -> Awaitable[T]:
        """``work`` must not keep rows beyond its return."""
