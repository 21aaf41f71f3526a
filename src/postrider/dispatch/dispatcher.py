"""Runs any operation: authority → input → confirmation and idempotency key → effect → record, in this order.

What a call is held to is settled in the transaction of its effect (see settlement.py); a refusal is recorded in one of
its own. Nothing here waits for a person: the caller is told what is needed, and calls again.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from postrider.audit.queries import Deed, Outcome, record
from postrider.catalogue import Catalogue
from postrider.confirmations.approvals import ask_person
from postrider.dispatch.authority import check_authority
from postrider.dispatch.gate import Gate, PersonWanted, person_asked, say_used_up
from postrider.dispatch.runners import OneEffect, Part, Replayed, Transactions, settling
from postrider.dispatch.settlement import Settlement, target_of
from postrider.idempotency.queries import KeyedCall, check_key
from postrider.kernel.arguments import hash_arguments
from postrider.kernel.clock import Clock
from postrider.kernel.context import Actor, Context, OutsideContext, Progress, Runner, UploadedFile
from postrider.kernel.errors import InvalidInput, NotFound, PostriderError
from postrider.kernel.events import Signals
from postrider.kernel.operation import CONFIRM_TOKEN, Effect, Operation
from postrider.kernel.undoing import Undoer
from postrider.kernel.validation import parse_lenient, parse_strict
from postrider.kernel.vault import Vault
from postrider.settings import Settings
from postrider.storage.away import insist
from postrider.storage.database import Database


@dataclass(frozen=True, slots=True)
class Call:
    """One call as a door received it. ``lenient``: unknown fields are dropped and reported instead of refused.

    ``idempotency_key``: repetitions of the call with it get the first one's answer. ``request_id``: the caller's own
    name for the request, for the audit log. ``base_url``: the address of this server that the caller came to.
    """

    operation: str
    arguments: Mapping[str, Any]
    actor: Actor
    lenient: bool = False
    files: Mapping[str, UploadedFile] = field(default_factory=dict)
    progress: Progress | None = None
    idempotency_key: str | None = None
    request_id: str | None = None
    base_url: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a call. ``ignored``: paths of unknown fields that were dropped. ``undo_id``: what undo_operation
    takes. ``replayed``: the answer is that of an earlier call with the same idempotency key."""

    output: BaseModel
    ignored: list[str]
    undo_id: str | None = None
    replayed: bool = False


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
        self._toolsets = frozenset(each.toolset for each in catalogue)
        self._undoers: dict[str, Undoer] = {each.name: each.undo for each in catalogue if each.undo is not None}

    async def call(self, call: Call) -> Answer:
        """The operation's output. Raises: PostriderError; anything else is a bug."""
        operation = self.catalogue.find(call.operation)
        if operation is None:
            raise NotFound(f"There is no operation {call.operation!r}.", hint="Names are those of the operations list.")
        if operation.effect is Effect.READ:
            check_authority(operation, call.actor)
            checked, ignored, _ = _parse(operation, call)
            return Answer(await self._read(operation, call, checked), ignored)
        return await self._change(operation, call)

    async def decline(self, call: Call, error: PostriderError) -> None:
        """Writes down that a person, asked for their yes at the door, gave none: ``call`` is not made."""
        operation = self.catalogue.find(call.operation)
        if operation is None or operation.effect is Effect.READ:
            return
        try:
            checked, _, _ = _parse(operation, call)
        except InvalidInput:
            checked = None
        await self._note_refusal(operation, call, checked, error)

    async def _read(self, operation: Operation, call: Call, checked: BaseModel) -> BaseModel:
        if operation.run_outside is not None:
            return await operation.run_outside(self._outside(call, self._writer(call)), checked)
        assert operation.run is not None
        run = operation.run
        return await self._reader(call, short=operation.short)(lambda context: run(context, checked))

    async def _change(self, operation: Operation, call: Call) -> Answer:
        """A call that changes something; a refusal of it is written down too."""
        settlement: Settlement | None = None
        checked: BaseModel | None = None
        try:
            check_authority(operation, call.actor)
            checked, ignored, token = _parse(operation, call)
            settlement = self._settlement(operation, call, checked, token, await _digests(call.files))
            output = await self._settled(operation, call, checked, settlement)
        except PersonWanted as wanted:
            error = await self._ask_person(operation, call, wanted)
            await self._note_refusal(operation, call, checked, error)
            raise error from None
        except PostriderError as error:
            if settlement is None or settlement.started_id is None:
                await self._note_refusal(operation, call, checked, error)
            raise
        except Exception:
            if settlement is None or settlement.started_id is None:
                # A bug, or a database that is away: then there is nowhere to write it down either.
                with suppress(DBAPIError):
                    await self._note(operation, call, checked, "failed", PostriderError.code)
            raise
        return Answer(output, ignored, settlement.undo_id, settlement.replayed)

    async def _settled(self, operation: Operation, call: Call, checked: BaseModel, settlement: Settlement) -> BaseModel:
        if operation.run is not None:
            run = operation.run
            return await self._writer(call)(settling(settlement, lambda context: run(context, checked)))
        assert operation.run_outside is not None
        run_outside = operation.run_outside
        replay = await self._reader(call)(settlement.look)
        if replay is not None:
            return replay
        if operation.audit == "ends":
            return await self._between_records(run_outside, call, checked, settlement)
        try:
            return await run_outside(self._outside(call, OneEffect(self._writer(call), settlement)), checked)
        except Replayed as replayed:
            return replayed.output

    async def _between_records(
        self,
        run_outside: Callable[[OutsideContext, Any], Awaitable[BaseModel]],
        call: Call,
        checked: BaseModel,
        settlement: Settlement,
    ) -> BaseModel:
        """Work of several transactions or over the network, with a record before it and one after it."""
        write = self._writer(call)
        replay = await _begin(write, settlement)
        if replay is not None:
            return replay
        parts, aside = (Part(write, settlement, is_effect=is_effect) for is_effect in (True, False))
        context = replace(self._outside(call, parts), write=parts, aside=aside)
        context.sends_agreed, context.agreed = settlement.sends_agreed, settlement.agreed
        context.choices = settlement.choices
        try:
            output = await run_outside(context, checked)
        except BaseException as error:
            await _fail(write, settlement, error)
            raise
        # It is done, and nobody must hear anything else because the record of it has to wait.
        end = insist(lambda: write(lambda context: settlement.leave(context, output, "ended")), "end_not_recorded")
        await asyncio.shield(end)
        return output

    async def _ask_person(self, operation: Operation, call: Call, wanted: PersonWanted) -> PostriderError:
        approval = await self._writer(call)(
            lambda context: ask_person(
                context.session, call.actor, operation.name, wanted.hashed_call, wanted.facts, context.now
            )
        )
        return person_asked(approval, self._settings.public_url)

    async def _note_refusal(
        self, operation: Operation, call: Call, checked: BaseModel | None, error: PostriderError
    ) -> None:
        await self._note(operation, call, checked, "refused", error.error_code)

    async def _note(
        self, operation: Operation, call: Call, checked: BaseModel | None, outcome: Outcome, code: str
    ) -> None:
        """Writes down a call that had no effect, in a transaction of its own."""
        deed = Deed(
            actor=call.actor,
            operation=operation.name,
            effect=operation.effect.value,
            outcome=outcome,
            arguments_hash="" if checked is None else hash_arguments(self._vault, checked),
            request_id=call.request_id,
            error_code=code,
            target_id=None if checked is None else target_of(checked),
        )
        await self._writer(call)(lambda context: record(context.session, deed, context.now))

    def _settlement(
        self, operation: Operation, call: Call, checked: BaseModel, token: str | None, files: Mapping[str, str]
    ) -> Settlement:
        hashed = hash_arguments(self._vault, checked, files)
        actor, keyed = call.actor, None
        if call.idempotency_key is not None:
            key = check_key(call.idempotency_key)
            keyed = KeyedCall(actor.workspace_id, actor.credential_id, key, operation.name, hashed)
        return Settlement(operation, actor, checked, Gate(operation, hashed, token), keyed, call.request_id)

    def _outside(self, call: Call, effect: Runner) -> OutsideContext:
        return OutsideContext(
            actor=call.actor,
            now=self._clock.now(),
            settings=self._settings,
            vault=self._vault,
            read=self._reader(call),
            write=self._writer(call),
            aside=self._writer(call),
            effect=effect,
            ports=self._ports,
            progress=call.progress or _no_progress,
            files=call.files,
        )

    def _context(self, session: Session, call: Call, *, locks: bool) -> Context:
        return Context(
            session,
            call.actor,
            self._clock.now(),
            self._settings,
            self._vault,
            call.files,
            undoers=self._undoers,
            locks=locks,
            base_url=call.base_url,
            toolsets=self._toolsets,
        )

    def _reader(self, call: Call, *, short: bool = False) -> Transactions:
        read = partial(self._database.read, short=short)
        return Transactions(read, lambda s: self._context(s, call, locks=False), self._signals)

    def _writer(self, call: Call) -> Transactions:
        return Transactions(self._database.write, lambda s: self._context(s, call, locks=True), self._signals)


async def _begin(write: Transactions, settlement: Settlement) -> BaseModel | None:
    """Writes the first record of a call; the answer to repeat, if there is one.

    Whoever takes the call back meanwhile does not take back a record that is being committed, so it gets its end.
    """
    start = asyncio.ensure_future(write(settlement.start))
    try:
        return await asyncio.shield(start)
    except asyncio.CancelledError as error:
        await asyncio.shield(_end_unbegun(write, settlement, start, error))
        raise


async def _end_unbegun(
    write: Transactions, settlement: Settlement, start: "asyncio.Future[BaseModel | None]", error: BaseException
) -> None:
    await asyncio.wait([start])
    if not start.cancelled() and start.exception() is None and start.result() is None:
        await _fail(write, settlement, error, begun=False)


async def _fail(write: Transactions, settlement: Settlement, error: BaseException, *, begun: bool = True) -> None:
    """Writes the last record of a call that did not succeed."""
    with suppress(DBAPIError):
        # Shielded: whoever takes the call back does not take its record back.
        await asyncio.shield(write(lambda context: settlement.fail(context, error, begun=begun)))
    if settlement.is_yes_spent and isinstance(error, PostriderError):
        say_used_up(error)


async def _digests(files: Mapping[str, UploadedFile]) -> dict[str, str]:
    """SHA-256 (hex) of the files of a call: with another file it is another call."""
    return {name: await asyncio.to_thread(_digest, file.path) for name, file in files.items()}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _parse(operation: Operation, call: Call) -> tuple[BaseModel, list[str], str | None]:
    """The checked input, the paths of what was dropped, and the confirm token. Raises: InvalidInput."""
    arguments, token = dict(call.arguments), None
    if operation.confirm is not None:
        token = arguments.pop(CONFIRM_TOKEN, None)
        if token is not None and not isinstance(token, str):
            raise InvalidInput(
                f"{CONFIRM_TOKEN} has to be a text.",
                field=CONFIRM_TOKEN,
                hint="Leave it out to get a fresh one with the facts to confirm.",
            )
    if call.lenient:
        checked, ignored = parse_lenient(operation.input, arguments)
        return checked, ignored, token
    return parse_strict(operation.input, arguments), [], token
