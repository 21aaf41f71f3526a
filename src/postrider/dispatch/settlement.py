"""What one changing call is held to, in the transaction of its effect: idempotency key, confirmation, record, undo."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from sqlalchemy.orm import Session

from postrider.audit.changes import Changes
from postrider.audit.queries import Deed, Outcome, record
from postrider.dispatch.gate import Gate
from postrider.idempotency.queries import KeyedCall, begin_keyed, find_answer, finish_keyed, release_keyed
from postrider.kernel.context import Actor, Context
from postrider.kernel.ids import kind_of
from postrider.kernel.operation import Operation
from postrider.undo.queries import keep_undo


@dataclass(slots=True)
class Settlement:
    """One changing call. ``undo_id``: what undo_operation takes, once it is settled; None where it cannot be undone.

    ``replayed``: the answer is that of an earlier call with the same key. ``sends_agreed``: see Context.
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

    def look(self, ctx: Context) -> BaseModel | None:
        """What ``enter`` would say, from a transaction that changes nothing: so that long work is not begun in vain."""
        kept = None if self.keyed is None else find_answer(ctx.session, self.keyed, ctx.now)
        if kept is not None:
            return self._replay(kept)
        self.gate.pass_through(ctx, self.checked, use=False)
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
        ctx.sends_agreed = self.sends_agreed = self.gate.pass_through(ctx, self.checked)
        if self.operation.audit == "effect":
            self.changes = Changes(ctx.session, ctx.vault)
        return None

    def leave(self, ctx: Context, output: BaseModel, outcome: Outcome = "done") -> None:
        """Writes down what was done, how it is undone, and the answer for repetitions of the call."""
        before, after = (None, None) if self.changes is None else self.changes.end()
        if ctx.undo_record is not None:
            named = (self.operation.name, self.operation.scope)
            self.undo_id = keep_undo(ctx.session, self.actor, *named, ctx.undo_record, ctx.now)
        self.write_down(ctx.session, outcome, ctx.now, job_id=_job_id(output), hashes=(before, after))
        if self.keyed is not None:
            finish_keyed(ctx.session, self.keyed, None if self.operation.sensitive else stored(output))

    def start(self, ctx: Context) -> BaseModel | None:
        """For a call with a record at each end: enters, and writes the first one down."""
        replay = self.enter(ctx)
        if replay is None:
            self.started_id = self.write_down(ctx.session, "started", ctx.now)
        return replay

    def fail(self, ctx: Context, error_code: str, outcome: Outcome, *, nothing_done: bool) -> None:
        """Writes down that it did not succeed. The key may be used again only if nothing was done: a call that broke
        off, or whose outcome is not known, must not happen a second time because somebody repeats it."""
        self.write_down(ctx.session, outcome, ctx.now, error_code=error_code)
        if nothing_done and self.keyed is not None and self.started_id is not None:
            release_keyed(ctx.session, self.keyed)

    def write_down(
        self,
        session: Session,
        outcome: Outcome,
        now: datetime,
        *,
        error_code: str | None = None,
        job_id: str | None = None,
        hashes: tuple[str | None, str | None] = (None, None),
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
            before_hash=hashes[0],
            after_hash=hashes[1],
        )
        return record(session, deed, now)

    def _replay(self, kept: Any) -> BaseModel:
        self.replayed = True
        return self.operation.output.model_validate(kept)


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
