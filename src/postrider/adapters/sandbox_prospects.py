"""Who lives behind the sandbox's addresses and what they do with a message: decided by the address and a seed alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal, get_args

from postrider.sending.seeded import rank

Behaviour = Literal[
    "silent",
    "interested",
    "question",
    "no",
    "ooo",
    "unsubscribe",
    "oneclick",
    "complaint",
    "hardbounce",
    "dsn",
    "softbounce",
    "greylist",
]
Act = Literal["reply", "closing", "auto_reply", "unsubscribe", "one_click", "complaint", "dsn", "open", "click"]

TAGS: Final[Mapping[str, Behaviour]] = {name: name for name in get_args(Behaviour)}
"""What may stand behind a ``+`` in the local part (``ann+no@lead.test``) to choose the behaviour."""

Shares = Sequence[tuple[Behaviour, int]]
"""How many of a thousand untagged addresses behave so; the rest is silent."""

SHARES: Final[Shares] = (
    ("interested", 25),
    ("question", 15),
    ("no", 30),
    ("ooo", 30),
    ("unsubscribe", 8),
    ("oneclick", 8),
    ("complaint", 2),
    ("hardbounce", 12),
    ("dsn", 8),
    ("softbounce", 8),
    ("greylist", 20),
)
"""Roughly what a decent campaign meets."""

GREYLIST_SECONDS: Final = 300
_OPEN_PERMILLE: Final = 420
_CLICK_PERMILLE: Final = 60
_UNREACHABLE: Final = frozenset({"hardbounce", "dsn"})

_REPLIES: Final[Mapping[Behaviour, tuple[str, ...]]] = {
    "interested": (
        "Hi {name},\n\nthis sounds interesting. Could we have a short call next week?",
        "Hello {name},\n\nyes, we are interested. Does Thursday at 10 work for you?",
        "Thanks for writing, {name}. This looks promising: count me in. What would be the next step?",
    ),
    "question": (
        "Hi {name},\n\nhow does it work with the tools that we have already?",
        "Hello {name},\n\nwhat is the price for a team of twelve?",
        "Could you send me some more details first?",
    ),
    "no": (
        "No thanks, we are not interested.",
        "Hi {name},\n\nthank you, but this is not a priority for us.",
        "Thanks for asking. We already use another tool and are happy with it, so I'll pass.",
    ),
}
_CLOSING: Final = (
    "Great, thank you. That works for me.",
    "Perfect, talk to you then.",
)


@dataclass(frozen=True, slots=True)
class Prospect:
    """One person. ``answers_to``: which of the messages they receive is the one they act on, counted from 1."""

    address: str
    behaviour: Behaviour
    answers_to: int


@dataclass(frozen=True, slots=True)
class Reaction:
    """Something a person, their mail program or their provider does ``after`` a message came. ``{name}`` in ``text``:
    whom they write to. ``days_away``: with an auto-reply."""

    act: Act
    after: timedelta
    text: str = ""
    days_away: int = 0


def prospect_at(seed: bytes, address: str, shares: Shares = SHARES) -> Prospect:
    """Who receives mail at ``address``."""
    address = address.lower()
    tagged = TAGS.get(address.partition("@")[0].rpartition("+")[2]) if "+" in address else None
    if tagged is not None:
        return Prospect(address, tagged, 1)
    return Prospect(address, _by_share(shares, rank(seed, "behaviour", address) % 1000), _answers_to(seed, address))


def refusal(prospect: Prospect, tries_before: int, since_first_try: timedelta) -> str | None:
    """What the prospect's server answers to RCPT instead of yes; None when it accepts.

    ``tries_before``: earlier RCPTs for this address, which say when greylisting and a full mailbox end.
    """
    match prospect.behaviour:
        case "hardbounce":
            return f"550 5.1.1 <{prospect.address}>: Recipient address rejected: User unknown"
        case "softbounce" if tries_before == 0:
            return f"452 4.2.2 <{prospect.address}>: Mailbox full"
        case "greylist" if tries_before == 0 or since_first_try < timedelta(seconds=GREYLIST_SECONDS):
            return f"451 4.7.1 <{prospect.address}>: Greylisted, try again in {GREYLIST_SECONDS} seconds"
    return None


def reactions(seed: bytes, prospect: Prospect, number: int) -> tuple[Reaction, ...]:
    """Everything that follows from the ``number``-th message (from 1) that was accepted for the prospect."""
    dice = _Dice(seed, prospect.address, number)
    looks = () if prospect.behaviour in _UNREACHABLE else _looks(dice)
    if number == prospect.answers_to:
        return (*looks, *_answer(prospect.behaviour, dice))
    if number == prospect.answers_to + 1 and prospect.behaviour in ("interested", "question"):
        return (*looks, Reaction("closing", dice.minutes("closing", 15, 240), dice.pick("closing text", _CLOSING)))
    return looks


class _Dice:
    """Choices about one message, each named, so that one never depends on how many others were made."""

    def __init__(self, seed: bytes, address: str, number: int) -> None:
        self._seed = seed
        self._names = (address, str(number))

    def below(self, what: str, limit: int) -> int:
        return rank(self._seed, what, *self._names) % limit

    def minutes(self, what: str, least: int, most: int) -> timedelta:
        return timedelta(seconds=least * 60 + self.below(what, (most - least) * 60))

    def pick(self, what: str, texts: tuple[str, ...]) -> str:
        return texts[self.below(what, len(texts))]


def _by_share(shares: Shares, number: int) -> Behaviour:
    for behaviour, share in shares:
        if number < share:
            return behaviour
        number -= share
    return "silent"


def _answers_to(seed: bytes, address: str) -> int:
    """Most act on the first message, some need to be asked twice or three times."""
    number = rank(seed, "patience", address) % 100
    return 1 if number < 55 else 2 if number < 83 else 3


def _looks(dice: _Dice) -> tuple[Reaction, ...]:
    """Opens the message, and perhaps a link in it."""
    if dice.below("opens", 1000) >= _OPEN_PERMILLE:
        return ()
    opened = Reaction("open", dice.minutes("open after", 2, 600))
    if dice.below("clicks", 1000) >= _CLICK_PERMILLE:
        return (opened,)
    return (opened, Reaction("click", opened.after + timedelta(seconds=20 + dice.below("click after", 100))))


def _answer(behaviour: Behaviour, dice: _Dice) -> tuple[Reaction, ...]:
    match behaviour:
        case "interested" | "question" | "no":
            text = dice.pick("reply text", _REPLIES[behaviour])
            return (Reaction("reply", dice.minutes("reply after", 12, 540), text),)
        case "ooo":
            return (Reaction("auto_reply", dice.minutes("absence", 1, 3), days_away=3 + dice.below("days away", 8)),)
        case "unsubscribe":
            return (Reaction("unsubscribe", dice.minutes("wish", 5, 300)),)
        case "oneclick":
            return (Reaction("one_click", dice.minutes("wish", 5, 300)),)
        case "complaint":
            return (Reaction("complaint", dice.minutes("complaint", 60, 480)),)
        case "dsn":
            return (Reaction("dsn", dice.minutes("report", 2, 40)),)
        case _:
            return ()
