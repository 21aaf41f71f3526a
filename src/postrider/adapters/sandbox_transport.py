"""The sandbox's outgoing side: answers as the recipients' servers would, and lets nothing out of the process."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Literal

from postrider.adapters.sandbox_office import PostOffice
from postrider.mailboxes.ports import MailAccount
from postrider.sending.outcomes import Deferred, Delivered, Held, Outcome, RefusedCopy, Stage, Unknown
from postrider.sending.ports import Envelope, Marker
from postrider.sending.reply_codes import Refusal, classify_reply, split_reply

Point = Literal["rcpt", "body", "dot"]
LOSE: Final = "lose"
"""In place of a reply: the connection is lost there. At "dot": the message is taken, the answer never comes."""


@dataclass(slots=True)
class _Fault:
    address: str
    at: Point
    reply: str
    times_left: int | None


class SandboxTransport:
    """The MailTransport of accounts whose provider is "sandbox"."""

    def __init__(self, office: PostOffice) -> None:
        self._office = office
        self._faults: list[_Fault] = []

    def will(self, address: str, at: Point, reply: str, *, times: int = 0) -> None:
        """Answers ``reply`` (or LOSE) when it comes to that address, whoever lives there; 0 ``times``: for ever."""
        self._faults.append(_Fault(address.lower(), at, reply, times or None))

    async def send(self, account: MailAccount, envelope: Envelope, marker: Marker) -> Outcome:
        """See MailTransport.send."""
        lead, *copies = envelope.recipients
        # The account exists from its first message on, so that accounts can write to each other.
        self._office.desk(account)
        answer = self._answer_to_rcpt(lead)
        if answer is not None:
            return _refused("rcpt", answer)
        refused = {copy: answer for copy in copies if (answer := self._answer_to_rcpt(copy)) is not None}
        if (answer := self._fault(lead, "body")) is not None:
            return _refused("body", answer)
        if not await marker():
            return Held("Something changed before the final dot, which was therefore not sent.")
        answer = self._fault(lead, "dot")
        if answer is not None and answer != LOSE:
            return _refused("dot", answer)
        self._office.accept(account, envelope, tuple(one for one in envelope.recipients if one not in refused))
        if answer == LOSE:
            return Unknown("The message was sent whole, but not answered.")
        queue_id = sha256(envelope.message_id.encode()).hexdigest()[:16]
        copies_refused = tuple(_refused_copy(address, reply) for address, reply in refused.items())
        return Delivered(f"Ok: queued as {queue_id}", queue_id, copies_refused)

    def hang_up(self) -> None:
        """See MailTransport.hang_up. There are no connections: every answer comes at once."""

    async def close(self) -> None:
        """See MailTransport.close. There is nothing to end."""

    def _answer_to_rcpt(self, address: str) -> str | None:
        return self._fault(address, "rcpt") or self._office.refusal_of(address)

    def _fault(self, address: str, at: Point) -> str | None:
        for fault in self._faults:
            if (fault.address, fault.at) == (address.lower(), at) and fault.times_left != 0:
                fault.times_left = fault.times_left and fault.times_left - 1
                return fault.reply
        return None


def _refused(stage: Stage, answer: str) -> Refusal:
    if answer == LOSE:
        return Deferred("connection", stage, None, None, "The connection was lost.")
    return classify_reply(stage, int(answer[:3]), *split_reply([answer[4:]]))


def _refused_copy(address: str, answer: str) -> RefusedCopy:
    code = int(answer[:3]) if answer != LOSE else 421
    return RefusedCopy(address, code, split_reply([answer[4:]])[1])
