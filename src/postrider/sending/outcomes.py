"""What became of one attempt to hand a message to a mail server: values, never exceptions.

Source: deliverability rules on reply classes (RFC 5321 section 4.2, RFC 3463).
"""

from dataclasses import dataclass
from typing import Literal

Stage = Literal["connect", "greeting", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "body", "dot"]
DeferKind = Literal["transient", "throttle", "auth", "connection"]
RejectKind = Literal["hard", "soft", "policy", "sender", "other"]


@dataclass(frozen=True, slots=True)
class RefusedCopy:
    """A cc or bcc recipient whom the server refused; never changes what happens to the lead."""

    address: str
    code: int
    text: str


@dataclass(frozen=True, slots=True)
class Delivered:
    """The server answered 250 to the final dot. ``server_id``: a queue or message id found in that answer."""

    text: str
    server_id: str | None = None
    refused_copies: tuple[RefusedCopy, ...] = ()


@dataclass(frozen=True, slots=True)
class Deferred:
    """Nothing was accepted; may be tried again. ``retry_after_seconds``: the server's own hint, if it gave one.

    transient: this message, later. throttle: cool the mailbox. auth: the mailbox must be mended. connection: no answer.
    """

    kind: DeferKind
    stage: Stage
    code: int | None
    enhanced: str | None
    text: str
    retry_after_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """Nothing was accepted and trying again will not help.

    hard: the address is bad. soft: 5xx on a full mailbox. policy: our mail is not wanted. sender: our mailbox is at
    fault. other: a bare or unknown 5xx, which stops this lead and suppresses nobody. ``code`` None: no server said so,
    for the message or its addresses could not even be offered to one.
    """

    kind: RejectKind
    stage: Stage
    code: int | None
    enhanced: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Held:
    """We did not go on: a guard or the check at the second marker said no."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The dot was sent and no answer came: it may or may not have been accepted. Never sent again by itself."""

    text: str


Outcome = Delivered | Deferred | Rejected | Held | Unknown
