"""What inbound mail changes, on both databases: each message is stored and counts once, whatever it is."""

from dataclasses import replace

from postrider.campaigns.tables import Enrollment
from postrider.inbox.queries import MailboxKey, folder_cursors
from postrider.inbox.tables import Conversation
from tests.conftest import Installation
from tests.engine.inbound import SETTINGS, Mailroom, letter, make_mailroom, second_campaign


async def test_a_reply_stops_the_sequence_and_opens_a_conversation(installation: Installation) -> None:
    room = await make_mailroom(installation)
    await room.answer(body="Sounds interesting, can we talk on Thursday?")
    enrollment = await room.enrollment()
    assert (enrollment.status, enrollment.due_at, enrollment.replied_at) == ("replied", None, room.now)
    [conversation] = await room.conversations()
    assert (conversation.unread_count, conversation.status) == (1, "open")
    assert (conversation.ai_tag, conversation.ai_tag_source) == ("meeting_requested", "rule")
    assert conversation.preview == "Sounds interesting, can we talk on Thursday?"
    assert await room.counts() == {"replied": 1}
    [event] = await room.events("replied")
    assert (event.attempt_id, event.data["match"]) == (room.attempts[0].id, "strong")
    assert (await room.mailbox()).total_received == 1


async def test_further_replies_join_the_conversation_and_are_not_counted(installation: Installation) -> None:
    room = await make_mailroom(installation)
    await room.answer(body="Sounds great!")
    await room.answer(body="Thanks.")
    [conversation] = await room.conversations()
    assert (conversation.unread_count, conversation.preview) == (2, "Thanks.")
    assert conversation.ai_tag == "interested", "a neutral word takes no label away"
    assert await room.counts() == {"replied": 1}
    assert len(await room.events("reply")) == 1


async def test_a_campaign_that_goes_on_after_replies_goes_on(installation: Installation) -> None:
    room = await make_mailroom(installation, settings=SETTINGS.model_copy(update={"stop_on_reply": False}))
    before = await room.enrollment()
    await room.answer()
    after = await room.enrollment()
    assert (after.status, after.due_at) == ("active", before.due_at)
    assert after.replied_at == room.now
    assert await room.counts() == {"replied": 1}


async def test_a_label_that_somebody_chose_stays(installation: Installation) -> None:
    room = await make_mailroom(installation)
    await room.answer(body="Sounds great!")
    [conversation] = await room.conversations()
    await room.change(Conversation, conversation.id, ai_tag="question", ai_tag_source="agent")
    await room.answer(body="Not interested after all.")
    [conversation] = await room.conversations()
    assert (conversation.ai_tag, conversation.ai_tag_source) == ("question", "agent")


async def test_a_new_reply_brings_a_removed_conversation_back(installation: Installation) -> None:
    room = await make_mailroom(installation)
    await room.answer()
    [conversation] = await room.conversations()
    await room.change(Conversation, conversation.id, status="removed")
    await room.answer(body="One more thing")
    assert [row.status for row in await room.conversations()] == ["open"]


class TestEachMessageCountsOnce:
    async def check(self, room: Mailroom) -> None:
        assert len(await room.messages()) == 1
        [conversation] = await room.conversations()
        assert conversation.unread_count == 1
        assert await room.counts() == {"replied": 1}
        assert (await room.mailbox()).total_received == 1

    async def test_when_the_folder_is_renumbered(self, installation: Installation) -> None:
        room = await make_mailroom(installation)
        raw = letter(answers=room.id_of(0))
        await room.take(raw)
        renumbered = replace(room.folder, uid_validity=2, last_uid=0)
        again = await room.take(raw, folder=renumbered)
        assert again is not None and (again.stored, again.known) == (0, 1)
        await self.check(room)
        [cursor] = await installation.app.database.read(lambda s: folder_cursors(s, room.key))
        assert (cursor.uid_validity, cursor.last_uid) == (2, 1)

    async def test_when_it_lies_in_two_folders(self, installation: Installation) -> None:
        room = await make_mailroom(installation)
        raw = letter(answers=room.id_of(0))
        await room.take(raw)
        marked = raw.replace(b"\r\n", b"\r\nX-Spam: Yes\r\n", 1)
        await room.take(marked, folder=replace(room.folder, folder="Junk", role="junk"))
        await self.check(room)

    async def test_when_the_server_returns_it_twice(self, installation: Installation) -> None:
        room = await make_mailroom(installation)
        raw = letter(answers=room.id_of(0))
        await room.take(raw, raw)
        await room.take(raw)
        await self.check(room)

    async def test_when_the_engine_is_killed_between_two_batches(self, installation: Installation) -> None:
        room = await make_mailroom(installation)
        raw, start = letter(answers=room.id_of(0)), room.folder
        await room.take(raw)
        # The next engine reads the cursor that was stored together with the message.
        [cursor] = await installation.app.database.read(lambda s: folder_cursors(s, room.key))
        assert cursor.last_uid == start.last_uid + 1
        await room.take(raw, folder=start)
        await self.check(room)

    async def test_when_it_was_sent_to_two_of_our_mailboxes(self, installation: Installation) -> None:
        room = await make_mailroom(installation, mailboxes=2)
        raw = letter(answers=room.id_of(0))
        await room.take(raw)
        await room.take(raw, key=MailboxKey(room.world.workspace_id, room.world.mailbox_ids[1]))
        assert await room.kinds() == [("reply", "strong"), ("reply", "none")]
        [conversation] = await room.conversations()
        assert conversation.unread_count == 1
        assert await room.counts() == {"replied": 1}

    async def test_but_two_messages_under_one_id_count_both(self, installation: Installation) -> None:
        room = await make_mailroom(installation)
        for body in ("First thought", "Second thought"):
            await room.take(letter(body, message_id="<same@outside.test>", answers=room.id_of(0)))
        assert [row.unread_count for row in await room.conversations()] == [2]


async def test_another_engine_that_reads_by_now_is_left_alone(installation: Installation) -> None:
    room = await make_mailroom(installation)
    assert await room.take(letter(answers=room.id_of(0)), owner="a stopped engine that woke up") is None
    assert await room.messages() == []
    assert await installation.app.database.read(lambda s: folder_cursors(s, room.key)) == ()


async def test_a_message_that_could_not_be_parsed_is_set_aside_whole(installation: Installation) -> None:
    room = await make_mailroom(installation)
    raw = b"\x00\xff poison " * 100
    await room.take(raw, poison=True)
    await room.take(raw, poison=True)
    [message] = await room.messages()
    assert (message.kind, message.rule, message.raw) == ("poison", "timeout", raw)
    await room.answer()
    assert (await room.enrollment()).status == "replied"


async def test_a_message_that_trips_up_its_effects_is_set_aside_and_the_rest_is_taken_in(
    installation: Installation,
) -> None:
    room = await make_mailroom(installation, leads=2)
    # A campaign document that no version could have written: reading it fails in the middle of the effects.
    broken = await second_campaign(room, settings={"stopOnReply": "perhaps"}, with_attempt="<broken@acme.test>")
    await room.take(letter(answers="<broken@acme.test>"), letter(answers=room.id_of(1), sender="lead1@lead1.test"))
    assert await room.kinds() == [("poison", "none"), ("reply", "strong")]
    rows = {row.id: row for row in await room.world.rows(Enrollment)}
    assert (rows[broken].replied_at, (await room.enrollment(1)).status) == (None, "replied")


async def test_what_a_stranger_writes_is_stored_whatever_it_is(installation: Installation) -> None:
    room = await make_mailroom(installation)
    raw = letter("a\x00b \ud800 c".encode("utf-8", "surrogatepass").decode("latin-1"), sender="\x00x@y.test")
    await room.take(raw.replace(b"Subject: ", b"Subject: =?utf-8?q?=00=ED=A0=80?= "), letter("x" * 300_000))
    assert len(await room.messages()) == 2
