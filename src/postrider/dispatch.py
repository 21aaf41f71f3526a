"""The only runner of operations: scope → validate → policy → transaction. Doors translate; authority lives here.

Confirmation, idempotency keys and the audit row take their places in ``Dispatcher.call``, in the effect's transaction.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel
from sqlalchemy.orm import Session

from postrider.catalogue import Catalogue
from postrider.kernel.clock import Clock
from postrider.kernel.context import Actor, Context, OutsideContext, Progress, UploadedFile
from postrider.kernel.errors import Forbidden, NotFound
from postrider.kernel.events import Signals
from postrider.kernel.operation import Effect, Operation
from postrider.kernel.validation import parse_lenient, parse_strict
from postrider.kernel.vault import Vault
from postrider.settings import Settings
from postrider.storage.database import Database

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """One call as a door received it. ``lenient``: unknown fields are dropped and reported instead of refused."""

    operation: str
    arguments: Mapping[str, Any]
    actor: Actor
    lenient: bool = False
    files: Mapping[str, UploadedFile] = field(default_factory=dict)
    progress: Progress | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a call. ``ignored``: paths of unknown fields that were dropped."""

    output: BaseModel
    ignored: list[str]


async def _no_progress(done: int, total: int | None, message: str) -> None:
    return None


class Dispatcher:
    """Runs any operation of the catalogue for any door."""

    def __init__(
        self,
        catalogue: Catalogue,
        database: Database,
        settings: Settings,
        vault: Vault,
        clock: Clock,
        signals: Signals,
        ports: Mapping[type, object],
    ) -> None:
        self.catalogue = catalogue
        self._database = database
        self._settings = settings
        self._vault = vault
        self._clock = clock
        self._signals = signals
        self._ports = ports

    async def call(self, call: Call) -> Answer:
        """The operation's output. Raises: PostriderError; anything else is a bug."""
        operation = self.catalogue.find(call.operation)
        if operation is None:
            raise NotFound(f"There is no operation {call.operation!r}.", hint="Names are those of the operations list.")
        _check_authority(operation, call.actor)
        ignored: list[str] = []
        if call.lenient:
            checked, ignored = parse_lenient(operation.input, call.arguments)
        else:
            checked = parse_strict(operation.input, call.arguments)
        if operation.run_outside is not None:
            output = await operation.run_outside(self._outside(call), checked)
        else:
            assert operation.run is not None
            output = await self._in_transaction(operation, operation.run, call, checked)
        return Answer(output, ignored)

    async def _in_transaction(
        self, operation: Operation, run: Callable[[Context, Any], BaseModel], call: Call, checked: BaseModel
    ) -> BaseModel:
        runner = self._reader(call) if operation.effect is Effect.READ else self._writer(call)
        return await runner(lambda context: run(context, checked))

    def _outside(self, call: Call) -> OutsideContext:
        return OutsideContext(
            actor=call.actor,
            now=self._clock.now(),
            settings=self._settings,
            vault=self._vault,
            read=self._reader(call),
            write=self._writer(call),
            ports=self._ports,
            progress=call.progress or _no_progress,
            files=call.files,
        )

    def _context(self, session: Session, call: Call) -> Context:
        return Context(session, call.actor, self._clock.now(), self._settings, self._vault, call.files)

    def _reader(self, call: Call) -> "_Transactions":
        return _Transactions(self._database.read, lambda session: self._context(session, call), self._signals)

    def _writer(self, call: Call) -> "_Transactions":
        return _Transactions(self._database.write, lambda session: self._context(session, call), self._signals)


class _Transactions:
    """Runs functions of a Context in transactions of one kind, and wakes the engine after each commit."""

    def __init__(
        self,
        run: Callable[[Callable[[Session], Any]], Awaitable[Any]],
        context: Callable[[Session], Context],
        signals: Signals,
    ) -> None:
        self._run = run
        self._context = context
        self._signals = signals

    async def __call__(self, work: Callable[[Context], T]) -> T:
        contexts: list[Context] = []

        def inside(session: Session) -> T:
            context = self._context(session)
            contexts.append(context)
            return work(context)

        result: T = await self._run(inside)
        for signal in contexts[-1].wakes:
            self._signals.wake(signal)
        return result


def _check_authority(operation: Operation, actor: Actor) -> None:
    if operation.key == "platform" and actor.kind == "workspace_key":
        raise Forbidden(
            f"{operation.name} needs a platform key.",
            hint="Use a key that starts with sk_user_; a workspace key reaches one workspace only.",
        )
    if operation.scope not in actor.scopes:
        raise Forbidden(
            f"This credential may not use {operation.name}: it lacks the scope {operation.scope!r}.",
            hint="Use a credential with that scope.",
            details={"scope": operation.scope},
        )
