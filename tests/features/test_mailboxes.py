"""Ways back: a mailbox that failed, leads that were held, and a key that does not fit, on both databases."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from postrider.app import build
from postrider.campaigns.states import QUEUE_HELD
from postrider.campaigns.tables import Enrollment
from postrider.kernel.errors import Conflict, NotFound, Upstream
from postrider.kernel.vault import VaultError
from postrider.mailboxes.ports import AccountChecker, MailAccount, ServerAccess
from postrider.mailboxes.queries import account_of
from postrider.mailboxes.tables import Mailbox
from postrider.sending.program import Programs
from postrider.sending.tables import Event
from postrider.sending.unknown import settle_not_sent, settle_unknown, unknown_step
from postrider.settings import Settings
from tests.conftest import START, Installation
from tests.engine.inbound import Mailroom, make_mailroom
from tests.features.campaign_rig import SEQUENCE, add_waiting, enrollment_of, running_campaign

RIGHT = "right password"


@dataclass
class Accounts:
    """A provider at which one password is right."""

    seen: list[MailAccount] = field(default_factory=list)

    async def check_smtp(self, account: MailAccount) -> None:
        self.seen.append(account)
        self._sign_in(account.smtp)

    async def check_imap(self, account: MailAccount) -> None:
        self._sign_in(account.imap)

    def _sign_in(self, server: ServerAccess | None) -> None:
        if server is None or server.password.reveal() != RIGHT:
            raise Upstream("The server refused the sign-in.", retryable=False)


@pytest.fixture
def accounts() -> Accounts:
    return Accounts()


@pytest.fixture
def ports(accounts: Accounts) -> dict[type, object]:
    return {AccountChecker: accounts}


def given(password: str, **more: Any) -> dict[str, Any]:
    smtp = {"host": "smtp.ann.test", "port": 587, "password": password}
    imap = {"host": "imap.ann.test", "port": 993, "password": password}
    return {"email": "Sales@ann.test", "smtp": smtp, "imap": imap, **more}


async def row_of(world: Installation, mailbox_id: str) -> Mailbox:
    return await world.app.database.read(
        lambda session: session.scalars(select(Mailbox).where(Mailbox.id == mailbox_id)).one()
    )


async def test_a_mailbox_whose_sign_in_failed_is_mended_under_its_id(installation: Installation) -> None:
    first = await installation.call("create_mailbox", **given("wrong", displayName="Ann", dailySendLimit=20))
    assert first["status"] == "error" and "SMTP:" in first["lastError"] and "IMAP:" in first["lastError"]
    again = await installation.call("create_mailbox", **given("wrong as well"))
    assert (again["id"], again["status"]) == (first["id"], "error")
    mended = await installation.call("create_mailbox", **given(RIGHT, dailySendLimit=30))
    assert (mended["id"], mended["status"], mended["lastError"]) == (first["id"], "active", None)
    assert (mended["displayName"], mended["dailySendLimit"]) == ("Ann", 30)
    assert (await installation.call("list_mailboxes"))["total"] == 1
    stored = account_of(await row_of(installation, first["id"]), installation.app.vault)
    assert stored.smtp is not None and stored.smtp.password.reveal() == RIGHT


@pytest.mark.parametrize("side", ["smtp", "imap"])
async def test_the_error_names_the_side_that_failed_and_only_that(installation: Installation, side: str) -> None:
    wanted = given(RIGHT)
    wanted[side]["password"] = "wrong"
    made = await installation.call("create_mailbox", **wanted)
    assert (made["status"], made["lastError"]) == ("error", f"{side.upper()}: The server refused the sign-in.")
    [shown] = (await installation.call("get_mailbox_analytics"))["items"]
    assert shown["lastError"] == made["lastError"]
    row = await row_of(installation, made["id"])
    assert (row.read_stopped_at is not None) == (side == "imap"), "only reading can heal what reading stopped"


@pytest.mark.parametrize("status", ["error", "suspended", "pending"])
async def test_a_mended_mailbox_starts_afresh(installation: Installation, status: str) -> None:
    made = await installation.call("create_mailbox", **given(RIGHT))
    worn = {
        "status": status,
        "cool_until": START + timedelta(hours=8),
        "cool_count": 5,
        "consecutive_failures": 4,
        "policy_strikes": 3,
        "last_error": "Refused.",
        "read_error": "Away.",
        "read_stopped_at": START,
    }
    await installation.app.database.write(lambda session: session.execute(update(Mailbox).values(**worn)))
    await installation.call("create_mailbox", **given("wrong"))
    failed = await row_of(installation, made["id"])
    assert (failed.status, failed.policy_strikes, failed.cool_count) == ("error", 3, 5)
    await installation.call("create_mailbox", **given(RIGHT))
    row = await row_of(installation, made["id"])
    assert (row.status, row.last_error, row.cool_until) == ("active", None, None)
    assert (row.read_error, row.read_stopped_at) == (None, None)
    assert (row.cool_count, row.consecutive_failures, row.policy_strikes) == (0, 0, 0)


async def test_an_active_mailbox_is_not_overwritten(installation: Installation, accounts: Accounts) -> None:
    made = await installation.call("create_mailbox", **given(RIGHT))
    with pytest.raises(Conflict) as refused:
        await installation.call("create_mailbox", **given("other"))
    assert refused.value.details == {"mailboxId": made["id"]}
    assert len(accounts.seen) == 1
    assert await installation.call("get_mailbox", id=made["id"]) == made


async def test_the_same_address_of_another_workspace_is_another_mailbox(installation: Installation) -> None:
    failed = await installation.call("create_mailbox", **given("wrong"))
    other = await installation.call("create_mailbox", owner=installation.bob, **given(RIGHT))
    assert other["id"] != failed["id"]
    assert (await row_of(installation, failed["id"])).status == "error"


@pytest.mark.parametrize("operation", ["start_campaign", "resume_campaign"])
async def test_going_on_releases_who_was_refused_for_policy(installation: Installation, operation: str) -> None:
    made = await running_campaign(installation, SEQUENCE)
    leads = {
        (reason, next_step): await add_waiting(
            installation, made["id"], next_step, queue=2, hold_reason=reason, email=f"{reason}{next_step}@acme.test"
        )
        for reason in ("policy_rejection", "unknown_outcome")
        for next_step in (0, 1)
    }
    await installation.call("pause_campaign", id=made["id"])
    await installation.call(operation, id=made["id"])
    rows = {key: await enrollment_of(installation, lead) for key, lead in leads.items()}
    assert {key: (row.queue, row.hold_reason) for key, row in rows.items()} == {
        ("policy_rejection", 0): (1, None),
        ("policy_rejection", 1): (0, None),
        ("unknown_outcome", 0): (2, "unknown_outcome"),
        ("unknown_outcome", 1): (2, "unknown_outcome"),
    }


async def settle(world: Installation, room: Mailroom, *, sent: bool) -> bool:
    now, at = world.clock.now(), room.world
    lead_id = at.lead_ids[0]

    def write(session: Any) -> bool:
        attempt = unknown_step(session, at.workspace_id, at.campaign_id, lead_id)
        if sent:
            return settle_unknown(session, Programs(), attempt, attempt.dotted_at or now, now, how="seen")
        return settle_not_sent(session, attempt, now, how="seen")

    return await world.app.database.write(write)


async def test_a_person_may_say_that_an_unknown_message_was_sent(installation: Installation) -> None:
    room = await make_mailroom(installation, state="unknown")
    assert await settle(installation, room, sent=True)
    [attempt], [lead] = await room.world.attempts(), await room.world.enrollments()
    assert attempt.state == "sent"
    assert (lead.hold_reason, lead.next_step, lead.due_at) == (None, 1, START + timedelta(days=3))


async def test_a_person_may_say_that_an_unknown_message_was_not_sent(installation: Installation) -> None:
    room = await make_mailroom(installation, state="unknown")
    message_id = room.id_of(0)
    assert await settle(installation, room, sent=False)
    [attempt], [lead] = await room.world.attempts(), await room.world.enrollments()
    assert (attempt.state, attempt.message_id, attempt.dotted_at) == ("deferred", message_id, None)
    assert (lead.hold_reason, lead.queue, lead.next_step, lead.due_at) == (None, 1, 0, installation.clock.now())
    events = await installation.app.database.read(lambda session: session.scalars(select(Event.kind)).all())
    assert "not_sent" in events
    with pytest.raises(NotFound):
        await settle(installation, room, sent=True)


async def test_a_lead_that_was_stopped_meanwhile_stays_stopped(installation: Installation) -> None:
    room = await make_mailroom(installation, state="unknown")
    [before] = await room.world.enrollments()
    statement = update(Enrollment).where(Enrollment.id == before.id).values(status="stopped", due_at=None)
    await installation.app.database.write(lambda session: session.execute(statement))
    assert await settle(installation, room, sent=False)
    [lead] = await room.world.enrollments()
    assert (lead.status, lead.due_at) == ("stopped", None) and lead.queue != QUEUE_HELD


async def test_an_installation_refuses_another_key_and_starts_with_its_own(settings: Settings) -> None:
    await build(settings).close()
    with pytest.raises(VaultError, match=r"restore secret\.key or POSTRIDER_SECRET_KEY"):
        build(replace(settings, secret_key="x" * 40))
    await build(settings).close()
