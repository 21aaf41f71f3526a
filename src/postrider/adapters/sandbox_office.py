"""The sandbox's post office: what was accepted, what its prospects will do about it and when."""

import asyncio
import heapq
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from postrider.adapters.sandbox_folders import Desk, Folder
from postrider.adapters.sandbox_letters import (
    Letter,
    back_after,
    read_letter,
    write_auto_reply,
    write_complaint,
    write_dsn,
    write_reply,
    write_unsubscribe,
)
from postrider.adapters.sandbox_prospects import Prospect, Reaction, Shares, prospect_at, reactions, refusal
from postrider.inbox.ports import FolderRole
from postrider.kernel.clock import Clock
from postrider.mailboxes.ports import MailAccount
from postrider.sending.ports import Envelope

log = structlog.get_logger(__name__)

Visit = Callable[[str], Awaitable[None]]
"""Does something with a web address, as a prospect's mail program would."""

KEPT_MAILS: Final = 5_000


@dataclass(frozen=True, slots=True)
class AcceptedMail:
    """One message that the sandbox took. ``recipients``: those it did not refuse, the lead first."""

    sender: str
    recipients: tuple[str, ...]
    message_id: str
    data: bytes
    accepted_at: datetime


@dataclass(slots=True)
class _History:
    """What an address has lived through."""

    tries: int = 0
    first_try_at: datetime | None = None
    received: int = 0


@dataclass(frozen=True, slots=True)
class _Due:
    """A reaction that waits for its time. ``home``: the account that the message came from."""

    reaction: Reaction
    letter: Letter
    home: Desk


class PostOffice:
    """All state of a sandbox. It lives in memory: whatever is under way or in a folder is gone after a restart."""

    def __init__(
        self, clock: Clock, seed: str, shares: Shares, *, one_click: Visit | None, fetch: Visit | None
    ) -> None:
        self.clock = clock
        self.accepted: deque[AcceptedMail] = deque(maxlen=KEPT_MAILS)
        self.arrivals = 0
        self._seed = seed.encode()
        self._shares = shares
        self._one_click = one_click
        self._fetch = fetch
        self._desks: dict[tuple[str, str], Desk] = {}
        self._by_email: dict[str, Desk] = {}
        self._histories: dict[str, _History] = {}
        self._due: list[tuple[datetime, int, _Due]] = []
        self._count = 0
        self._settling = asyncio.Lock()

    def desk(self, account: MailAccount) -> Desk:
        """The account's folders; opened with its first use."""
        key = (account.workspace_id, account.mailbox_id)
        if key not in self._desks:
            # After a restart folders are empty and count anew; a later validity tells readers so.
            validity = int(self.clock.now().timestamp())
            inbox, junk, sent = (Folder(validity, KEPT_MAILS) for _ in range(3))
            self._desks[key] = Desk(inbox, junk, sent)
        self._by_email[account.email.lower()] = self._desks[key]
        return self._desks[key]

    def next_event_at(self) -> datetime | None:
        """When the next prospect does something."""
        return self._due[0][0] if self._due else None

    def refusal_of(self, address: str) -> str | None:
        """What the recipient's server answers to RCPT instead of yes. Counts the try."""
        if address.lower() in self._by_email:
            return None
        now = self.clock.now()
        history = self._histories.setdefault(address.lower(), _History())
        first = history.first_try_at or now
        answer = refusal(self._prospect(address), history.tries, now - first)
        history.tries, history.first_try_at = history.tries + 1, first
        return answer

    def accept(self, account: MailAccount, envelope: Envelope, recipients: tuple[str, ...]) -> None:
        """Takes responsibility for a message: a copy in Sent, mail to our own accounts, and the lead's reactions."""
        now, home = self.clock.now(), self.desk(account)
        self.accepted.append(AcceptedMail(envelope.sender, recipients, envelope.message_id, envelope.data, now))
        self.file_in_sent(home, envelope.message_id, envelope.data)
        for recipient in recipients:
            if (own := self._by_email.get(recipient.lower())) is not None:
                self._put(own.inbox, own, envelope.data, now)
        # Copies go to colleagues, who keep silent.
        if recipients[0].lower() not in self._by_email:
            self._foresee(home, envelope, recipients[0], now)

    def file_in_sent(self, desk: Desk, message_id: str, raw: bytes) -> bool:
        """Stores a copy in Sent unless it holds that message already."""
        if message_id in desk.sent_ids:
            return False
        desk.sent_ids.add(message_id)
        desk.sent.add(raw, self.clock.now(), seen=True)
        return True

    def deliver(self, desk: Desk, raw: bytes, role: FolderRole) -> None:
        """Puts a message into a folder now."""
        self._put(desk.inbox if role == "inbox" else desk.junk, desk, raw, self.clock.now())

    async def settle(self) -> None:
        """Lets everything happen whose time has come, in order and once."""
        async with self._settling:
            while self._due and self._due[0][0] <= self.clock.now():
                at, number, due = heapq.heappop(self._due)
                try:
                    await self._happen(at, due)
                except asyncio.CancelledError:
                    # Whoever waited for mail gave up in the middle: the next one to ask sees it through.
                    heapq.heappush(self._due, (at, number, due))
                    raise

    def _foresee(self, home: Desk, envelope: Envelope, recipient: str, now: datetime) -> None:
        history = self._histories.setdefault(recipient.lower(), _History())
        history.received += 1
        todo = reactions(self._seed, self._prospect(recipient), history.received)
        if not todo:
            return
        letter = read_letter(envelope.data, recipient, envelope.message_id, now)
        if letter is None:
            log.warning("sandbox_cannot_answer", message_id=envelope.message_id)
            return
        for reaction in todo:
            self._count += 1
            heapq.heappush(self._due, (now + reaction.after, self._count, _Due(reaction, letter, home)))
        # Whoever waits for mail waits for the next event: there may be an earlier one now.
        for desk in self._desks.values():
            desk.announce()

    def _prospect(self, address: str) -> Prospect:
        return prospect_at(self._seed, address, self._shares)

    async def _happen(self, at: datetime, due: _Due) -> None:
        letter = due.letter
        match due.reaction.act:
            case "open":
                for image in letter.images:
                    await self._visit(self._fetch, image)
                return
            case "click":
                for link in letter.links[:1]:
                    await self._visit(self._fetch, link)
                return
            case "one_click" if letter.one_click_url is not None and self._one_click is not None:
                await self._visit(self._one_click, letter.one_click_url)
                return
        if (raw := _mail_of(due.reaction, letter, at)) is not None:
            home = self._by_email.get(letter.sender.address.wire.lower(), due.home)
            self._put(home.inbox, home, raw, at)

    def _put(self, folder: Folder, desk: Desk, raw: bytes, at: datetime) -> None:
        folder.add(raw, at)
        self.arrivals += 1
        desk.announce()

    async def _visit(self, visit: Visit | None, url: str) -> None:
        if visit is None:
            return
        try:
            await visit(url)
        except Exception:
            # A page that cannot be reached is the prospect's bad luck and nobody's crash.
            log.exception("sandbox_visit_failed")


def _mail_of(reaction: Reaction, letter: Letter, at: datetime) -> bytes | None:
    """The message that a reaction consists of, if it is one."""
    match reaction.act:
        case "reply" | "closing":
            return write_reply(letter, reaction.text, at)
        case "auto_reply":
            return write_auto_reply(letter, back_after(at, reaction.days_away), at)
        case "unsubscribe" | "one_click":
            return write_unsubscribe(letter, at)
        case "complaint":
            return write_complaint(letter, at)
        case "dsn":
            return write_dsn(letter, at)
        case _:
            return None
