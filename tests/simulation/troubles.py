"""What goes wrong, drawn from the seed: mail servers, reading, the database, and people who interfere."""

import random
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError

from postrider.adapters.sandbox_prospects import Shares
from postrider.adapters.sandbox_transport import LOSE, Point, SandboxTransport
from postrider.inbox.ports import FolderBatch, FolderCursor, MailReader
from postrider.kernel.errors import Upstream
from postrider.mailboxes.ports import MailAccount
from tests.simulation.scenario import COUNTRIES, ZONES, Scenario
from tests.simulation.stage import Stage, Workspace

PEOPLE: Final[Shares] = (
    ("interested", 60),
    ("no", 60),
    ("ooo", 60),
    ("unsubscribe", 50),
    ("complaint", 30),
    ("hardbounce", 50),
    ("dsn", 40),
    ("softbounce", 40),
    ("greylist", 60),
)
"""How a thousand people behave: with far more trouble than in life."""
ANSWERS: Final[tuple[tuple[Point, str], ...]] = (
    ("rcpt", "451 4.3.0 Try again later"),
    ("rcpt", "550 5.1.1 No such user"),
    ("rcpt", "550 No"),
    ("rcpt", "421 4.7.0 Too many connections"),
    ("rcpt", LOSE),
    ("body", LOSE),
    ("body", "451 4.3.0 Out of space"),
    ("dot", LOSE),
    ("dot", "451 4.7.1 Come back"),
    ("dot", "554 5.7.1 Looks like spam"),
    ("dot", "552 5.2.2 Mailbox full"),
)


def trouble_servers(scenario: Scenario, transport: SandboxTransport) -> None:
    """Gives a quarter of all addresses a server that misbehaves once or twice."""
    for house in scenario.houses:
        for plot in house.campaigns:
            for person in plot.people:
                if scenario.dice.random() < 0.25:
                    at, reply = scenario.dice.choice(ANSWERS)
                    transport.will(person.email, at, reply, times=scenario.dice.randint(1, 2))


@dataclass
class UnreliableReader:
    """A mail reader whose connection is lost now and then, before or behind a batch; else the one inside."""

    inside: MailReader
    dice: random.Random

    async def read_new(
        self, account: MailAccount, cursors: Sequence[FolderCursor], *, since: datetime, batch_size: int = 50
    ) -> AsyncIterator[FolderBatch]:
        """See MailReader.read_new."""
        async for batch in self.inside.read_new(account, cursors, since=since, batch_size=batch_size):
            if self.dice.random() < 0.1:
                raise Upstream("The connection to the mail server was lost.", retryable=True)
            yield batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inside, name)


@dataclass
class UnreliableDatabase:
    """Fails one of very many statements or commits of the engine, as a database that is away does."""

    dice: random.Random
    one_in: int
    failures: int = 0
    most: int = 6
    is_on: bool = True
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def maybe_fail(self, where: str) -> None:
        """Raises: OperationalError, when the dice say so."""
        with self._lock:
            if not self.is_on or self.failures >= self.most or self.dice.randrange(self.one_in):
                return
            self.failures += 1
        raise OperationalError(where, {}, Exception("the simulated database is away"))

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Fails what is asked of any database for the duration."""

        def before_statement(_connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
            self.maybe_fail(statement[:60])

        def before_commit(_connection: Connection) -> None:
            self.maybe_fail("COMMIT")

        event.listen(Engine, "before_cursor_execute", before_statement)
        event.listen(Engine, "commit", before_commit)
        try:
            yield
        finally:
            event.remove(Engine, "before_cursor_execute", before_statement)
            event.remove(Engine, "commit", before_commit)


@dataclass
class Meddler:
    """People who pause, edit, add and forbid while mail is sent, at instants drawn from the seed."""

    stage: Stage
    dice: random.Random
    times: list[datetime] = field(init=False)
    added: int = 0

    def __post_init__(self) -> None:
        minutes = self.stage.scenario.days * 1440
        self.times = sorted(self.stage.now + timedelta(minutes=self.dice.randrange(minutes)) for _ in range(14))

    async def act(self) -> None:
        """One thing, in one workspace."""
        workspace = self.dice.choice(self.stage.workspaces)
        meddling = (self._pause, self._edit, self._shorten, self._move, self._forbid, self._add, self._halt)
        act = self.dice.choice((*meddling, self._renumber))
        await act(workspace, self.dice.choice(workspace.campaigns))

    async def _status(self, workspace: Workspace, campaign_id: str) -> str:
        return str((await self.stage.call(workspace, "get_campaign", id=campaign_id))["status"])

    async def _pause(self, workspace: Workspace, campaign_id: str) -> None:
        """Pauses what runs, resumes what is paused."""
        status = await self._status(workspace, campaign_id)
        if status in ("active", "paused"):
            verb = "pause_campaign" if status == "active" else "resume_campaign"
            await self.stage.call(workspace, verb, id=campaign_id)

    async def _edit(self, workspace: Workspace, campaign_id: str) -> None:
        """A last email more, and the same limits as before."""
        found = await self.stage.call(workspace, "get_campaign", id=campaign_id)
        if sum(step["type"] == "email" for step in found["sequence"]) > 3:
            return
        kept = [{key: step[key] for key in step if key != "order"} for step in found["sequence"]]
        more = [{"type": "wait", "waitDays": 1}, {"type": "email", "subject": "", "body": "<p>One more thing</p>"}]
        await self.stage.call(workspace, "update_campaign", id=campaign_id, sequence=[*kept, *more])

    async def _shorten(self, workspace: Workspace, campaign_id: str) -> None:
        """The last email is taken out, with the wait before it."""
        found = await self.stage.call(workspace, "get_campaign", id=campaign_id)
        kept = [{key: step[key] for key in step if key != "order"} for step in found["sequence"]]
        while kept and kept.pop()["type"] != "email":
            pass
        while kept and kept[-1]["type"] == "wait":
            kept.pop()
        if kept:
            await self.stage.call(workspace, "update_campaign", id=campaign_id, sequence=kept)
            left = sum(step["type"] == "email" for step in kept)
            self.stage.fewest_emails[campaign_id] = min(left, self.stage.fewest_emails[campaign_id])

    async def _move(self, workspace: Workspace, campaign_id: str) -> None:
        """Some leads turn out to be elsewhere."""
        found = (await self.stage.call(workspace, "list_leads", limit=100))["items"]
        for lead in self.dice.sample(found, min(3, len(found))):
            before = (self.stage.now, lead["timezone"], lead["country"])
            self.stage.places.setdefault(lead["id"], []).append(before)
            place = {"timezone": self.dice.choice(ZONES), "country": self.dice.choice(COUNTRIES)}
            await self.stage.call(workspace, "update_lead", id=lead["id"], **place)

    async def _forbid(self, workspace: Workspace, campaign_id: str) -> None:
        """Somebody must not be written to any more."""
        people = [person.email for plot in workspace.house.campaigns for person in plot.people]
        await self.stage.call(workspace, "add_dnc_entries", entries=[{"email": self.dice.choice(people)}])

    async def _add(self, workspace: Workspace, campaign_id: str) -> None:
        """Somebody new."""
        self.added += 1
        lead = {
            "email": f"late{self.added}@late{self.added}.test",
            "companyName": "Late",
            "customFields": {"Pet": "Mo"},
        }
        await self.stage.call(workspace, "add_leads_to_campaign", id=campaign_id, leads=[lead])

    async def _halt(self, workspace: Workspace, campaign_id: str) -> None:
        """Everything of the workspace, and at the next time on again."""
        await self.stage.call(workspace, "pause_workspace")
        await self.stage.call(workspace, "resume_workspace")

    async def _renumber(self, workspace: Workspace, campaign_id: str) -> None:
        """The mail server of a mailbox is repaired and numbers its messages anew."""
        for mailbox_id in workspace.mailboxes:
            found = await self.stage.call(workspace, "get_mailbox", id=mailbox_id)
            account = MailAccount(workspace.id, mailbox_id, found["email"], "sandbox", None, None)
            self.stage.sandbox.renumber(account)
