"""One claimed send: everything the sender needs, loaded once, without a session."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from postrider.access.house import House
from postrider.campaigns.sequence import EmailStep
from postrider.content.template import LeadFacts
from postrider.mailboxes.ports import MailAccount
from postrider.sending.program import Program

Purpose = Literal["step", "reply", "test"]


@dataclass(frozen=True, slots=True)
class Sender:
    """The mailbox a message leaves from."""

    account: MailAccount
    display_name: str
    signature: str


@dataclass(frozen=True, slots=True)
class Claim:
    """Under which claim a send works: the engine, the fencing number, and the days it was counted on.

    ``credential_ids``: those with a limit that caused the email; ``credential_day`` is a day of UTC.
    """

    owner: str
    fence: int
    mailbox_day: str
    campaign_day: str | None
    counts_new: bool
    credential_ids: tuple[str, ...] = ()
    credential_day: str | None = None


@dataclass(frozen=True, slots=True)
class Recipient:
    """To whom. ``hashes``: of all that, if listed, forbids the address. ``token``: for unsubscribing."""

    lead_id: str
    email: str
    facts: LeadFacts
    custom: dict[str, str | None]
    hashes: list[str]
    token: str


@dataclass(frozen=True, slots=True)
class Thread:
    """The conversation so far, as seen from the enrollment: subject of its first mail and Message-IDs, oldest first."""

    subject: str | None
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StepWork:
    """One email of a campaign to one lead. ``closes_at``: the end of the sending window that it was planned in.

    ``copy_hashes``: for each copied address, of all that, if listed, forbids it.
    """

    workspace_id: str
    enrollment_id: str
    program: Program
    email: EmailStep
    variant: str
    recipient: Recipient
    sender: Sender
    thread: Thread
    claim: Claim
    planned_at: datetime
    closes_at: datetime | None
    house: House
    copies: tuple[str, ...] = ()
    blind_copies: tuple[str, ...] = ()
    copy_hashes: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def purpose_key(self) -> str:
        """What makes this send the only one of its kind."""
        return f"{self.program.campaign_id}:{self.recipient.lead_id}:{self.email.id}"


@dataclass(frozen=True, slots=True)
class Begun:
    """An attempt that stands in the ledger. ``content``: what it says, the stored words on a retry.

    ``began_at``: when this try began.
    """

    attempt_id: str
    message_id: str
    began_at: datetime
    content: dict[str, str | None] = field(default_factory=dict)
    tries: int = 1
