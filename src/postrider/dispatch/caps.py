"""How much one credential may cause: the early no. The engine counts once more, for every message, when it leaves."""

from postrider.kernel.context import Actor, Context
from postrider.kernel.policy import Facts
from postrider.sending.cap_queries import limit_reached, read_state
from postrider.sending.capped import Capped


def is_capped(actor: Actor, ctx: Context) -> bool:
    """Whether the credential has a limit at this instant."""
    return actor.caps.at(ctx.now) is not None


def check_caps(ctx: Context, facts: Facts) -> None:
    """Returns unless the call would make mail leave and its credential has used up what it may cause.

    Raises: LimitReached.
    """
    capped = Capped(ctx.actor.credential_id, ctx.actor.caps)
    if facts.cause != "send" or not capped.holds(ctx.now):
        return
    state = read_state(ctx.session, ctx.workspace_id, capped, ctx.now)
    reached = state.reached(ctx.now)
    if reached is not None:
        raise limit_reached(state, reached, ctx.now)
