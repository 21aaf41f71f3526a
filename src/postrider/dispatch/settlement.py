"""What one changing call is held to, in the transaction of its effect: idempotency key, confirmation, record, undo."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from sqlalchemy.orm import Session

from postrider.audit.changes import NO_HASHES, Changes, Hashes, together
from postrider.audit.queries import Deed, Outcome, record
from postrider.dispatch.gate import Gate, GiveBack
from postrider.idempotency.queries import KeptAnswer, KeyedCall, begin_keyed, find_answer, finish_keyed, release_keyed
from postrider.kernel.context import Actor, Choices, Context
from postrider.kernel.errors import PostriderError, Upstream
from postrider.kernel.ids import kind_of
from postrider.kernel.operation import Operation
from postrider.kernel.policy import Facts
from postrider.undo.queries import keep_undo


@dataclass(slots=True)
class Settlement:
    """One changing call. ``undo_id``: what undo_operation takes, once it is settled; None where it cannot be undone.

    ``replayed``: the answer is that of an earlier call with the same key.
    ``sends_agreed``, ``agreed``, ``choices``: see Context.
    ``parts``: hashes of what a call of several transactions has committed; ``acted``: some of it is what was asked for.
    ``is_yes_spent``: it came to nothing, and still its yes was not given back.
    """

    operation: Operation
    actor: Actor
    checked: BaseModel
    gate: Gate
    keyed: KeyedCall | None
    request_id: str | None
    undo_id: str | None = None
    replayed: bool = False
    started_id: str | None = None
    changes: Changes | None = None
    sends_agreed: bool = False
    agreed: Facts | None = None
    choices: Choices = field(default_factory=dict)
    give_back: GiveBack | None = None
    parts: list[Hashes] = field(default_factory=list)
    acted: bool = False
    is_yes_spent: bool = False

    def look(self, ctx: Context) -> BaseModel | None:
        """What ``enter`` would say, from a transaction that changes nothing: so that long work is not begun in vain."""
        kept = None if self.keyed is None else find_answer(ctx.session, self.keyed, ctx.now)
        if kept is not None:
            return self._replay(kept)
        self.gate.pass_through(ctx, self.checked, use=False)
        self.choices = ctx.choices
        return None

    def enter(self, ctx: Context) -> BaseModel | None:
        """Reserves the key and uses the yes up. The answer to repeat, if the key has been used for this call before.

        Raises: Conflict, ConfirmationNeeded, Forbidden, PersonWanted.
        """
        # The transaction may run again, after a deadlock: nothing of the time before counts.
        self.undo_id, self.started_id, self.replayed = None, None, False
        kept = None if self.keyed is None else begin_keyed(ctx.session, self.keyed, ctx.now)
        if kept is not None:
            return self._replay(kept)
        if self.operation.audit == "ends":
            # Its parts act on what was chosen before the first of them: the search for it holds no writer up.
            ctx.choices = self.choices
        passed = self.gate.pass_through(ctx, self.checked)
        ctx.sends_agreed = self.sends_agreed = passed.sends
        ctx.agreed = self.agreed = passed.agreed
        self.give_back, self.choices = passed.give_back, ctx.choices
        if self.operation.audit == "effect":
            self.changes = Changes(ctx.session, ctx.vault)
        return None

    def leave(self, ctx: Context, output: BaseModel, outcome: Outcome = "done") -> None:
        """Writes down what was done, how it is undone, and the answer for repetitions of the call."""
        hashes = together(ctx.vault, self.parts) if self.changes is None else self.changes.end()
        if ctx.undo_record is not None:
            named = (self.operation.name, self.operation.scope)
            self.undo_id = keep_undo(ctx.session, self.actor, *named, ctx.undo_record, ctx.now)
        self.write_down(ctx.session, outcome, ctx.now, job_id=_job_id(output), hashes=hashes)
        if self.keyed is not None:
            kept = None if self.operation.sensitive else stored(output)
            finish_keyed(ctx.session, self.keyed, kept, self.undo_id)

    def start(self, ctx: Context) -> BaseModel | None:
        """For a call with a record at each end: enters, and writes the first one down."""
        replay = self.enter(ctx)
        if replay is None:
            self.started_id = self.write_down(ctx.session, "started", ctx.now)
        return replay

    def committed(self, hashes: Hashes, *, is_effect: bool) -> None:
        """Notes what one of several transactions has changed."""
        self.parts.append(hashes)
        self.acted |= is_effect and hashes.after is not None

    def fail(self, ctx: Context, error: BaseException, *, begun: bool = True) -> None:
        """Writes down that it did not succeed. Key and yes may be used again only if nothing was done: a call that
        broke off, or whose outcome is not known, must not happen a second time because somebody repeats it.

        ``begun`` False: it ended before its work.
        """
        nothing_done = not self.acted and (not begun or _did_nothing(error))
        outcome: Outcome = "refused" if nothing_done else "failed"
        hashes = together(ctx.vault, self.parts)
        self.write_down(ctx.session, outcome, ctx.now, error_code=_code(error), hashes=hashes)
        if nothing_done and self.keyed is not None:
            release_keyed(ctx.session, self.keyed)
        if nothing_done and self.give_back is not None:
            self.is_yes_spent = not self.give_back(ctx.session)

    def write_down(
        self,
        session: Session,
        outcome: Outcome,
        now: datetime,
        *,
        error_code: str | None = None,
        job_id: str | None = None,
        hashes: Hashes = NO_HASHES,
    ) -> str:
        """Adds the audit row; its id. ``hashes``: of the changed rows, before and after."""
        deed = Deed(
            actor=self.actor,
            operation=self.operation.name,
            effect=self.operation.effect.value,
            outcome=outcome,
            arguments_hash=self.gate.arguments_hash,
            request_id=self.request_id,
            error_code=error_code,
            target_id=target_of(self.checked),
            started_id=self.started_id,
            job_id=job_id,
            before_hash=hashes.before,
            after_hash=hashes.after,
        )
        return record(session, deed, now)

    def _replay(self, kept: KeptAnswer) -> BaseModel:
        self.replayed, self.undo_id = True, kept.undo_id
        return self.operation.output.model_validate(kept.output)


def _did_nothing(error: BaseException) -> bool:
    """Whether it is certain that what ended so has had no effect outside."""
    return error.nothing_done if isinstance(error, Upstream) else isinstance(error, PostriderError)


def _code(error: BaseException) -> str:
    if isinstance(error, PostriderError):
        return error.error_code
    return "CANCELLED" if isinstance(error, asyncio.CancelledError) else PostriderError.code


def stored(output: BaseModel) -> dict[str, Any]:
    """The answer as it is kept for repetitions."""
    return output.model_dump(mode="json", by_alias=True)


def target_of(checked: BaseModel) -> str | None:
    """The first id in the arguments."""
    return next(_ids(checked.model_dump(mode="json", by_alias=True)), None)


def _ids(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if kind_of(value) is not None:
            yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _ids(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _ids(inner)


def _job_id(output: BaseModel) -> str | None:
    found = getattr(output, "job_id", None)
    return found if isinstance(found, str) else None
