"""Credentials with a limit, and a mail server that does as it is told."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

import anyio
from sqlalchemy import insert, select

from postrider.access.tables import ApiKey
from postrider.dispatch import Call
from postrider.grants.tables import Grant
from postrider.kernel.clock import Clock
from postrider.kernel.context import Actor
from postrider.kernel.ids import new_id
from postrider.kernel.policy import Caps
from postrider.mailboxes.ports import MailAccount
from postrider.mailboxes.tables import SendDay
from postrider.sending.outcomes import Delivered, Held, Outcome
from postrider.sending.ports import Envelope, Marker
from tests.conftest import Installation
from tests.engine.world import pass_time, running_engine

OLD = timedelta(days=9)


async def capped(
    installation: Installation,
    daily: int | None = None,
    first: int | None = None,
    *,
    age: timedelta = OLD,
    by_grant: bool = False,
    owner: Any = None,
) -> Actor:
    """A caller with a new key (or a connected app) of the workspace that has these limits."""
    base, made_at = installation.actor(owner), installation.clock.now() - age
    limits = {"daily_sends": daily, "first_day_sends": first, "created_at": made_at}
    common: dict[str, Any] = {"user_id": base.user_id, "scopes": sorted(base.scopes), "autonomy": "free", **limits}
    if by_grant:
        credential_id = new_id("grt")
        app = {"client_id": "app", "client_name": "App", "redirect_uri": "https://app.test/back"}
        row: dict[str, Any] = {**common, **app, "workspace_id": base.workspace_id, "id": credential_id}
        table: Any = Grant
    else:
        credential_id = new_id("key")
        row = {**common, "workspace_id": base.workspace_id, "id": credential_id, "name": "capped"}
        row |= {"lookup": credential_id, "digest": b"0" * 32}
        table = ApiKey
    await installation.app.database.write(lambda s: s.execute(insert(table), row))
    return replace(base, credential_id=credential_id, caps=Caps(daily, first, made_at + timedelta(days=1)))


async def call(installation: Installation, actor: Actor, operation: str, **arguments: Any) -> Any:
    """The operation's output, called with that credential."""
    answer = await installation.app.dispatcher.call(Call(operation, arguments, actor))
    return answer.output.model_dump(mode="json", by_alias=True)


async def counted(installation: Installation, credential_id: str) -> dict[str, int]:
    """What stands in the tables of a credential, by day."""
    query = select(SendDay).where(SendDay.owner_id == credential_id)
    rows = await installation.app.database.read(lambda s: list(s.scalars(query)))
    return {row.day: row.sent for row in rows if row.sent}


@dataclass
class Post:
    """A mail server that takes everything, and notes when; unless ``answer`` has another outcome for an address."""

    clock: Clock
    answer: Callable[[str], Outcome | None] = lambda _: None
    before_dot: bool = True
    taken: list[tuple[str, datetime]] = field(default_factory=list)

    async def send(self, account: MailAccount, envelope: Envelope, marker: Marker) -> Outcome:
        """See MailTransport.send. ``before_dot``: whether the other outcome comes before the dot."""
        other = self.answer(envelope.recipients[0])
        if other is not None and self.before_dot:
            return other
        if not await marker():
            return Held("not sent")
        if other is not None:
            return other
        self.taken.append((envelope.recipients[0], self.clock.now()))
        return Delivered("Ok", "queue-id")

    def hang_up(self) -> None:
        """Nothing is ever broken off."""

    async def close(self) -> None:
        """Nothing is kept open."""

    @property
    def per_day(self) -> dict[date, int]:
        """How many were taken on each day of UTC."""
        return dict(Counter(at.date() for _, at in self.taken))


async def run_until(installation: Installation, post: Post, end: datetime) -> None:
    """An engine works until then."""
    async with running_engine(installation, post) as engine:
        with anyio.fail_after(60):
            await pass_time(installation, engine, end - installation.clock.now())
            await engine.rest.quiet()
