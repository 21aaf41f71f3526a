"""One outgoing message: words → first marker → octets → SMTP with the second marker → outcome."""

from collections.abc import Sequence

from sqlalchemy import Connection

from postrider.content.addresses import parse_address
from postrider.content.headers import message_id
from postrider.content.template import TemplateError
from postrider.engine.passages import Passage, Passages
from postrider.engine.together import Together
from postrider.engine.transmission import INTERRUPTED, begin_whole, carry_through, transmit
from postrider.kernel.clock import Clock
from postrider.kernel.errors import InvalidInput
from postrider.kernel.vault import Vault
from postrider.sending.composing import Composed
from postrider.sending.deliveries import Accepted, deliver_steps
from postrider.sending.guards import Objection
from postrider.sending.ledger import Start, begin_steps, dot_steps
from postrider.sending.letter import Stationery, compose_step, envelope_for, unwritable
from postrider.sending.message_ids import new_message_token
from postrider.sending.outcomes import Delivered, Outcome
from postrider.sending.ports import Envelope, MailTransport
from postrider.sending.program import Programs
from postrider.sending.settle import Settlement
from postrider.sending.unknown import settle_late
from postrider.sending.work import Begun, StepWork
from postrider.storage.database import Database


class StepSender:
    """Sends claimed campaign emails, each through the ledger.

    Markers and outcomes of emails that are on their way at the same time share their transactions.
    """

    def __init__(
        self,
        database: Database,
        transport: MailTransport,
        vault: Vault,
        programs: Programs,
        stationery: Stationery,
        clock: Clock,
        passages: Passages,
    ) -> None:
        self._database = database
        self._transport = transport
        self._vault = vault
        self._programs = programs
        self._stationery = stationery
        self._clock = clock
        self._passages = passages
        self._starts: Together[Start, Begun | Objection] = Together(database, self._begin_all, urgent=True)
        self._dots: Together[tuple[StepWork, Begun], Objection | None] = Together(database, self._dot_all, urgent=True)
        self._deliveries: Together[Accepted, bool] = Together(database, self._deliver_all)

    def hang_up(self) -> None:
        """See MailTransport.hang_up."""
        self._transport.hang_up()

    async def send(self, work: StepWork) -> Outcome | Objection | str:
        """Takes one claimed step to its outcome and writes it; gives back what came of it (a str: why it is held)."""
        words = self._compose(work)
        if isinstance(words, str):
            await self._database.hot(lambda c: self._settlement(c, work).hold(words))
            return words
        begun = await self._begin(work, words)
        if isinstance(begun, Objection):
            return begun
        passage = self._passages.passage(work.sender.account.mailbox_id)
        return await carry_through(
            self._transmit(work, begun, passage), lambda outcome: self._settle(work, begun, outcome), passage
        )

    def _compose(self, work: StepWork) -> Composed | str:
        try:
            composed = compose_step(work, self._stationery, self._clock.now())
        except TemplateError as error:
            return f"bad_template: {error.message}"
        if work.program.settings.unknown_variables == "blank":
            return composed
        return composed.hold_reason or composed

    async def _begin(self, work: StepWork, words: Composed) -> Begun | Objection:
        fresh_id = message_id(new_message_token(), parse_address(work.sender.account.email).domain)

        async def take_back(begun: Begun | Objection) -> None:
            if isinstance(begun, Begun):
                await self._settle(work, begun, INTERRUPTED)

        return await begin_whole(self._starts.run(work.workspace_id, Start(work, words, fresh_id)), take_back)

    def _begin_all(
        self, connection: Connection, workspace_id: str, starts: Sequence[Start]
    ) -> Sequence[Begun | Objection]:
        results = begin_steps(connection, workspace_id, starts, self._clock.now())
        for start, result in zip(starts, results, strict=True):
            if isinstance(result, Objection):
                self._settlement(connection, start.work).refuse(result)
        return results

    def _dot_all(
        self, connection: Connection, workspace_id: str, dots: Sequence[tuple[StepWork, Begun]]
    ) -> Sequence[Objection | None]:
        return dot_steps(connection, workspace_id, dots, self._clock.now())

    async def _settle(self, work: StepWork, begun: Begun, outcome: Outcome) -> None:
        if isinstance(outcome, Delivered):
            if not await self._deliveries.run(work.workspace_id, Accepted(work, begun, outcome)):
                now, attempt_id = self._clock.now(), begun.attempt_id
                await self._database.write(lambda s: settle_late(s, self._programs, work.workspace_id, attempt_id, now))
        else:
            # Alone: it takes the rows of day limits too, which a tick takes before those of mailboxes.
            await self._database.hot(lambda c: self._settlement(c, work).settle(begun, outcome))

    def _deliver_all(self, connection: Connection, workspace_id: str, accepted: Sequence[Accepted]) -> Sequence[bool]:
        return deliver_steps(connection, self._programs, workspace_id, accepted, self._clock.now())

    async def _transmit(self, work: StepWork, begun: Begun, passage: Passage) -> Outcome:
        try:
            envelope: Envelope = envelope_for(work, begun, self._stationery, self._clock.now())
        except InvalidInput as error:
            return unwritable(error)
        return await transmit(
            self._transport,
            work.sender.account,
            envelope,
            passage,
            lambda: self._dots.run(work.workspace_id, (work, begun)),
        )

    def _settlement(self, connection: Connection, work: StepWork) -> Settlement:
        return Settlement(connection, self._vault, self._programs, work, self._clock.now())
