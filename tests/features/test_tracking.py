"""Opens, clicks and unsubscribing by token, on both databases: what counts, what is kept, what leads nowhere."""

from datetime import timedelta

import pytest

from postrider.campaigns.tables import Enrollment
from postrider.content.links import SigningKey, TrackedTarget, sign_target
from postrider.leads.tables import Lead
from postrider.sending.tables import Attempt, Event
from postrider.sending.tracking import HITS_KEPT, Seen, record_click, record_open, unsubscribe, unsubscribe_known
from tests.conftest import Installation
from tests.contract.rest_world import rest_client
from tests.engine.inbound import Mailroom, add_token, letter, make_mailroom

PERSON = Seen("Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0")
SCANNER = Seen("python-requests/2.32")


class Public:
    """The installation as recipients' programs see it: they have tokens and nothing else."""

    def __init__(self, room: Mailroom, number: int = 0) -> None:
        self._room = room
        self._attempt = room.attempts[number]

    def pixel(self) -> str:
        return self._sign(TrackedTarget("open", self._attempt.workspace_id, self._attempt.id))

    def link(self, index: int = 0) -> str:
        url = f"https://acme.test/page-{index}"
        return self._sign(TrackedTarget("click", self._attempt.workspace_id, self._attempt.id, index, url))

    def _sign(self, target: TrackedTarget) -> str:
        return sign_target(SigningKey("1", self._room.installation.app.vault.derive("tracking")), target)

    async def open(self, seen: Seen = PERSON, token: str | None = None) -> bool:
        app, now = self._room.installation.app, self._room.now
        given = token or self.pixel()
        return await app.database.hot(lambda c: record_open(c, app.vault, given, seen, now))

    async def click(self, index: int = 0, seen: Seen = PERSON, token: str | None = None) -> str | None:
        app, now = self._room.installation.app, self._room.now
        given = token or self.link(index)
        return await app.database.hot(lambda c: record_click(c, app.vault, given, seen, now))

    async def unsubscribe(self, token: str) -> bool:
        app, now = self._room.installation.app, self._room.now
        return await app.database.write(lambda s: unsubscribe(s, app.vault, token, now))


async def hits(room: Mailroom) -> list[tuple[str, object]]:
    """Kind and verdict of every hit, in order."""
    return [(row.kind, row.data["verdict"]) for row in await room.events()]


async def test_the_first_open_of_a_message_counts_and_later_ones_are_kept(installation: Installation) -> None:
    room = await make_mailroom(installation)
    public = Public(room)
    first = room.now
    assert await public.open()
    installation.clock.advance(timedelta(hours=1))
    assert await public.open()
    assert await hits(room) == [("opened", "person"), ("open", "person")]
    [attempt] = await room.world.attempts()
    assert (attempt.opened_at, (await room.enrollment()).opened_at) == (first, first)
    assert await room.counts() == {"opened": 1}


async def test_a_click_counts_once_and_gives_its_target(installation: Installation) -> None:
    room = await make_mailroom(installation)
    public = Public(room)
    for _ in range(2):
        assert await public.click(3) == "https://acme.test/page-3"
    [clicked, again] = await room.events()
    assert (clicked.kind, clicked.data["link"], again.kind) == ("clicked", 3, "click")
    [attempt] = await room.world.attempts()
    assert (attempt.clicked_at, (await room.enrollment()).clicked_at) == (room.now, room.now)
    assert await room.counts() == {"clicked": 1}


async def test_a_long_link_is_followed_through_the_door(installation: Installation) -> None:
    room = await make_mailroom(installation)
    attempt = room.attempts[0]
    url = "https://acme.test/?q=" + "x" * 1_979
    key = SigningKey("1", installation.app.vault.derive("tracking"))
    token = sign_target(key, TrackedTarget("click", attempt.workspace_id, attempt.id, 0, url))
    async with rest_client(installation) as browser:
        answer = await browser.get(f"/t/c/{token}", headers={"User-Agent": PERSON.user_agent})
    assert (answer.status_code, answer.headers["location"], len(url)) == (302, url, 2_000)
    assert await room.counts() == {"clicked": 1}


async def test_programs_are_kept_under_their_verdict_and_count_nothing(installation: Installation) -> None:
    room = await make_mailroom(installation)
    public = Public(room)
    await public.open(Seen("Mozilla/5.0"))
    await public.open(Seen(""))
    assert await public.click(seen=SCANNER) == "https://acme.test/page-0"
    assert await hits(room) == [
        ("machine_opened", "apple_mpp"),
        ("machine_opened", "no_user_agent"),
        ("machine_clicked", "scanner"),
    ]
    assert await room.counts() == {}
    await public.open()
    assert await room.counts() == {"opened": 1}


async def test_whatever_comes_right_after_the_send_is_a_program(installation: Installation) -> None:
    room = await make_mailroom(installation)
    await room.change(Attempt, room.attempts[0].id, dotted_at=room.now - timedelta(seconds=5))
    await Public(room).open()
    assert await hits(room) == [("machine_opened", "too_fast")]


async def test_three_links_at_once_take_back_what_had_counted(installation: Installation) -> None:
    room = await make_mailroom(installation)
    public = Public(room)
    for index in range(3):
        await public.click(index)
        installation.clock.advance(timedelta(seconds=1))
    assert [kind for kind, _ in await hits(room)] == ["machine_clicked"] * 3
    [attempt] = await room.world.attempts()
    assert (attempt.clicked_at, (await room.enrollment()).clicked_at) == (None, None)
    assert await room.counts() == {}
    installation.clock.advance(timedelta(minutes=10))
    await public.click(1)
    assert await room.counts() == {"clicked": 1}


async def test_three_links_read_one_after_the_other_are_a_person_s(installation: Installation) -> None:
    room = await make_mailroom(installation)
    for index in range(3):
        await Public(room).click(index)
        installation.clock.advance(timedelta(seconds=6))
    assert [kind for kind, _ in await hits(room)] == ["clicked", "click", "click"]


async def test_head_requests_leave_no_trace(installation: Installation) -> None:
    room = await make_mailroom(installation)
    head = Seen(PERSON.user_agent, "HEAD")
    assert await Public(room).open(head)
    assert await Public(room).click(seen=head) == "https://acme.test/page-0"
    assert await room.events() == []


async def test_hits_on_a_copied_message_are_marked_as_weak(installation: Installation) -> None:
    room = await make_mailroom(installation, copies=["boss@acme.test"])
    await Public(room).open()
    [event] = await room.events("opened")
    assert event.data["weak"] is True


async def test_nobody_floods_the_events(installation: Installation) -> None:
    room = await make_mailroom(installation)
    public = Public(room)
    for _ in range(HITS_KEPT + 10):
        await public.open(SCANNER)
    assert len(await room.world.rows(Event)) == HITS_KEPT
    await public.open()
    assert await room.counts() == {"opened": 1}


async def test_altered_tokens_lead_nowhere_and_leave_no_trace(installation: Installation) -> None:
    room = await make_mailroom(installation)
    public = Public(room)
    link, pixel = public.link(), public.pixel()
    for place in range(0, len(link), 7):
        altered = link[:place] + ("A" if link[place] != "A" else "B") + link[place + 1 :]
        assert await public.click(token=altered) is None
    assert await public.click(token=pixel) is None
    assert not await public.open(token=link)
    assert await room.events() == []


async def test_a_token_of_a_deleted_message_still_leads_to_its_target(installation: Installation) -> None:
    room = await make_mailroom(installation)
    public = Public(room)
    link = public.link()
    await room.change(Attempt, room.attempts[0].id, workspace_id=installation.bob.workspace_id)
    assert await public.click(token=link) == "https://acme.test/page-0"
    assert await room.events() == []


class TestUnsubscribing:
    async def test_lists_the_address_and_stops_the_lead_however_often(self, installation: Installation) -> None:
        room = await make_mailroom(installation)
        token = await room.token()
        assert await installation.app.database.read(lambda s: unsubscribe_known(s, token))
        for _ in range(3):
            assert await Public(room).unsubscribe(token)
        enrollment = await room.enrollment()
        assert (enrollment.status, enrollment.unsubscribed_at) == ("unsubscribed", room.now)
        assert await room.listed() == {"lead0@lead0.test": "unsubscribe"}
        assert await room.counts() == {"unsubscribed": 1}

    async def test_looking_changes_nothing(self, installation: Installation) -> None:
        room = await make_mailroom(installation)
        token = await room.token()
        await installation.app.database.write(lambda s: unsubscribe_known(s, token))
        assert (await room.enrollment()).status == "active"

    async def test_works_when_the_lead_is_gone(self, installation: Installation) -> None:
        room = await make_mailroom(installation)
        token = await room.token()
        await installation.app.database.write(
            lambda s: s.query(Enrollment).delete() and s.query(Lead).delete() and None
        )
        assert await Public(room).unsubscribe(token)
        assert await room.listed() == {None: "unsubscribe"}
        answer = await installation.call("add_dnc_entries", entries=[{"email": "lead0@lead0.test"}])
        assert answer == {"added": 0, "skipped": 1}, "the hash alone stands for the address"

    async def test_does_not_touch_whoever_got_the_lead_s_id_with_another_address(
        self, installation: Installation
    ) -> None:
        room = await make_mailroom(installation)
        token = await room.token()
        await room.change(Lead, room.world.lead_ids[0], email="successor@lead0.test")
        assert await Public(room).unsubscribe(token)
        assert (await room.enrollment()).status == "active"
        assert await room.listed() == {None: "unsubscribe"}

    async def test_stays_in_its_workspace(self, installation: Installation) -> None:
        room = await make_mailroom(installation)
        token = await add_token(installation, installation.bob.workspace_id, "lead0@lead0.test", None)
        assert await Public(room).unsubscribe(token)
        assert (await room.listed(), (await room.enrollment()).status) == ({}, "active")

    @pytest.mark.parametrize("token", ["", "0" * 32, "unknown"])
    async def test_with_a_token_that_is_not_ours_does_nothing(self, installation: Installation, token: str) -> None:
        room = await make_mailroom(installation)
        assert not await Public(room).unsubscribe(token)
        assert not await installation.app.database.read(lambda s: unsubscribe_known(s, token))

    async def test_after_a_reply_shows_on_the_lead_and_counts(self, installation: Installation) -> None:
        room = await make_mailroom(installation)
        await room.take(letter(answers=room.id_of(0)))
        await Public(room).unsubscribe(await room.token())
        assert (await room.enrollment()).status == "unsubscribed"
        assert await room.counts() == {"replied": 1, "unsubscribed": 1}
