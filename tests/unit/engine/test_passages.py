"""How many messages of one mailbox may be past their dot at a time."""

import asyncio

import pytest

from postrider.engine.passages import Passage, Passages
from postrider.sending.ports import CONNECTIONS_PER_MAILBOX


async def _settle() -> None:
    """Lets everything that can go on do so."""
    for _ in range(10):
        await asyncio.sleep(0)


class Crowd:
    """Messages of one mailbox that want to pass, and who got in, in order."""

    def __init__(self, passages: Passages, mailbox_id: str = "mbox_1") -> None:
        self._passages = passages
        self._mailbox_id = mailbox_id
        self.inside: list[int] = []
        self.passages: list[Passage] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def come(self, count: int = 1) -> None:
        """So many more messages come, one after the other."""
        for _ in range(count):
            self.passages.append(self._passages.passage(self._mailbox_id))
            self.tasks.append(asyncio.create_task(self._enter(len(self.tasks))))
        await _settle()

    async def _enter(self, number: int) -> None:
        await self.passages[number].enter()
        self.inside.append(number)

    async def leave(self, number: int) -> None:
        self.passages[number].leave()
        await _settle()

    async def cancel(self, number: int) -> None:
        self.tasks[number].cancel()
        await _settle()

    async def go_home(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def test_at_most_so_many_are_inside_and_the_others_follow_in_their_order() -> None:
    crowd = Crowd(Passages(2))
    await crowd.come(5)
    assert crowd.inside == [0, 1]
    await crowd.leave(1)
    assert crowd.inside == [0, 1, 2]
    await crowd.leave(0)
    await crowd.leave(2)
    assert crowd.inside == [0, 1, 2, 3, 4]


async def test_as_many_as_a_mailbox_has_connections() -> None:
    crowd = Crowd(Passages())
    await crowd.come(CONNECTIONS_PER_MAILBOX + 3)
    assert crowd.inside == list(range(CONNECTIONS_PER_MAILBOX))
    await crowd.go_home()


async def test_who_comes_late_does_not_pass_those_who_wait() -> None:
    crowd = Crowd(Passages(1))
    await crowd.come(2)
    crowd.passages[0].leave()
    # The place is free, and the one who waits for it has not run yet.
    await crowd.come()
    assert crowd.inside == [0, 1]
    await crowd.leave(1)
    assert crowd.inside == [0, 1, 2]


@pytest.mark.parametrize("gone", [1, 2, 3])
async def test_who_gives_up_waiting_leaves_no_hole(gone: int) -> None:
    crowd = Crowd(Passages(1))
    await crowd.come(4)
    await crowd.cancel(gone)
    crowd.passages[gone].leave()
    await _settle()
    assert crowd.inside == [0], "nobody comes in because somebody went away"
    others = [number for number in range(4) if number != gone]
    for number in others:
        await crowd.leave(number)
    assert crowd.inside == others
    await crowd.come(2)
    assert crowd.inside == [*others, 4], "there is room for one, as before"
    await crowd.go_home()


async def test_who_gives_up_at_the_moment_of_its_turn_hands_the_place_on() -> None:
    crowd = Crowd(Passages(1))
    await crowd.come(3)
    crowd.passages[0].leave()
    await crowd.cancel(1)
    crowd.passages[1].leave()
    await _settle()
    assert crowd.inside == [0, 2]
    await crowd.come()
    assert crowd.inside == [0, 2]
    await crowd.leave(2)
    assert crowd.inside == [0, 2, 3]


async def test_to_leave_makes_room_once_and_only_from_inside() -> None:
    passages = Passages(1)
    crowd = Crowd(passages)
    await crowd.come()
    never_inside = passages.passage("mbox_1")
    never_inside.leave()
    await crowd.come()
    assert crowd.inside == [0]
    await crowd.leave(0)
    await crowd.leave(0)
    await crowd.come()
    assert crowd.inside == [0, 1], "two leaves of one message are one place"
    await crowd.go_home()


async def test_a_full_mailbox_holds_up_no_other() -> None:
    passages = Passages(1)
    full, other = Crowd(passages), Crowd(passages, "mbox_2")
    await full.come(2)
    await other.come(2)
    assert (full.inside, other.inside) == ([0], [0])
    await other.leave(0)
    assert (full.inside, other.inside) == ([0], [0, 1])
    await full.go_home()


async def test_a_mailbox_is_forgotten_only_once_nobody_is_in_it() -> None:
    passages = Passages(1)
    crowd = Crowd(passages)
    await crowd.come()
    kept = crowd.passages.pop()
    later = Crowd(passages)
    await later.come()
    assert later.inside == []
    kept.leave()
    await _settle()
    assert later.inside == [0]
