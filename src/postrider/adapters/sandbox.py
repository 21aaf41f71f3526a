"""A mail provider inside the process: for demos, for agents in training, and for trying a campaign out.

Accounts whose provider is "sandbox" need neither host nor password, and nothing they send leaves the process. A
scripted prospect answers at every address (see sandbox_prospects): a tag in the local part chooses what it does, as in
``ann+interested@lead.test``; untagged addresses behave as a seeded draw with realistic shares says.

Replies, reports and absence notices come by the injected clock: with the system's clock they take their minutes to
hours. Everything lives in memory: what was under way when the process ended never comes.
"""

from collections.abc import Sequence
from datetime import datetime

from postrider.adapters.sandbox_office import AcceptedMail, PostOffice, Visit
from postrider.adapters.sandbox_prospects import SHARES, Shares
from postrider.adapters.sandbox_reader import SandboxReader
from postrider.adapters.sandbox_transport import SandboxTransport
from postrider.inbox.ports import FolderRole
from postrider.kernel.clock import Clock
from postrider.mailboxes.ports import MailAccount

__all__ = ["AcceptedMail", "Sandbox"]


class Sandbox:
    """One provider with all its accounts and everybody they write to.

    ``shares``: how untagged addresses behave; with none of them everybody is silent.
    ``one_click``: posts to a List-Unsubscribe address (RFC 8058); without it those prospects unsubscribe by mail.
    ``fetch``: gets the images and links that prospects open; without it nobody opens anything.
    """

    def __init__(
        self,
        clock: Clock,
        seed: str = "sandbox",
        *,
        shares: Shares = SHARES,
        one_click: Visit | None = None,
        fetch: Visit | None = None,
    ) -> None:
        self._office = PostOffice(clock, seed, shares, one_click=one_click, fetch=fetch)
        self.transport = SandboxTransport(self._office)
        self.reader = SandboxReader(self._office)

    @property
    def accepted(self) -> Sequence[AcceptedMail]:
        """The messages it took, oldest first; of very many the last 5,000."""
        return tuple(self._office.accepted)

    @property
    def arrivals(self) -> int:
        """How many messages have come into the folders of all accounts so far."""
        return self._office.arrivals

    def next_event_at(self) -> datetime | None:
        """When the next prospect does something: the driver of a virtual clock stops there."""
        return self._office.next_event_at()

    async def settle(self) -> None:
        """Lets everything happen whose time has come. Reading and waiting for mail do so too."""
        await self._office.settle()

    def deliver(self, account: MailAccount, raw: bytes, role: FolderRole = "inbox") -> None:
        """Puts a message of the caller's own into an account's folder."""
        self._office.deliver(self._office.desk(account), raw, role)

    def renumber(self, account: MailAccount) -> None:
        """Gives the account's INBOX another UID validity, as a server does after a repair."""
        self._office.desk(account).inbox.renumber()

    def inbox(self, account: MailAccount) -> Sequence[tuple[bytes, bool]]:
        """The messages in INBOX with whether each is marked as seen."""
        return [(mail.raw, mail.seen) for mail in self._office.desk(account).inbox.mails]

    def sent(self, account: MailAccount) -> Sequence[tuple[bytes, bool]]:
        """The messages in Sent with whether each is marked as seen."""
        return [(mail.raw, mail.seen) for mail in self._office.desk(account).sent.mails]
