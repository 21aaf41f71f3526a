"""What a credential may do by itself, what has to be said before a grave operation, and how much it may send."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

Autonomy = Literal["readonly", "draft", "confirm", "free"]
"""readonly: reads only. draft: may prepare, cannot cause a send. confirm: grave operations want a yes to the facts
first. free: no questions asked."""

AUTONOMIES: Final[tuple[Autonomy, ...]] = ("readonly", "draft", "confirm", "free")
"""The tightest first."""

Cause = Literal["send", "destroy", "connect"]
"""Why an operation is grave: mail leaves because of it, data is lost, or mail and data go through another server."""


@dataclass(frozen=True, slots=True)
class Caps:
    """How many messages a credential may cause in one UTC day; None is no limit of its own.

    ``first_day_sends`` holds until ``first_day_until``.
    """

    daily_sends: int | None = None
    first_day_sends: int | None = None
    first_day_until: datetime | None = None

    def at(self, now: datetime) -> int | None:
        """The limit that holds at ``now``."""
        limits = [self.daily_sends]
        if self.first_day_until is not None and now < self.first_day_until:
            limits.append(self.first_day_sends)
        return min((limit for limit in limits if limit is not None), default=None)


NO_CAPS: Final = Caps()


@dataclass(frozen=True, slots=True)
class Facts:
    """What somebody has to know before they say yes to a call.

    ``summary``: one sentence in our own words, with no text by strangers. ``details``: lines of our own that name what
    it is about: names, texts, recipients, each in quotes by kernel/visible.py, because strangers may have written them.
    The yes is bound to ``revision``, not to them. ``subject``: the id of what it is done to.
    ``revision``: changes with whatever would make the yes one to something else. ``people``: how many are written to,
    or how many things are lost. ``first_send_at``: an estimate. ``content_digest``: of what would be sent.
    ``leaves_from``: campaigns that the mail leaves from and that are not started by the call. If others have started
    one of them, a credential with a limit may let mail leave only where it has room for all of ``people`` today.

    To have an operation ask for a yes, write ``def facts(ctx, request) -> Facts | None`` and name it in
    ``@operation(confirm=facts)``. It only reads. It gives None where the call is not grave after all, and raises what
    the operation itself would raise, so that nobody is asked about a call that would be refused. It runs once before
    the call and once more in the transaction of the effect: rows that ``revision`` is made from are locked there
    (``ctx.locks``) before they are read; an operation of several transactions holds what it does in a later one against
    ``ctx.agreed``. ``revision`` is the same as long as the thing is, whatever the time; of a choice of many things it
    is a digest of their ids, and facts and operation have it from ``ctx.once``, so that what was counted is what is
    acted on; the arguments are bound without it. The ``summary`` names things by id, count and date: names and texts
    may come from strangers, checked addresses may stand. A row in tests/contract/authority.py (GRAVE) shows a call that
    asks.
    """

    summary: str
    subject: str
    revision: str
    cause: Cause
    people: int
    first_send_at: datetime | None = None
    content_digest: str | None = None
    leaves_from: tuple[str, ...] = ()
    details: tuple[str, ...] = ()


_COVERS: Final[dict[str, tuple[str, ...]]] = {
    "prepare": ("read",),
    "send": ("prepare", "read"),
    "delete": ("prepare", "read"),
    "administer": ("prepare", "read"),
}


def covered_scopes(granted: Iterable[str]) -> frozenset[str]:
    """The scopes of a credential with those that they include: whoever may send may also prepare and read. Neither of
    send, delete and administer includes another."""
    named = frozenset(granted)
    return named.union(*(_COVERS.get(scope, ()) for scope in named))


def tightest(one: Autonomy, other: Autonomy) -> Autonomy:
    """The one that allows less."""
    return min(one, other, key=AUTONOMIES.index)
