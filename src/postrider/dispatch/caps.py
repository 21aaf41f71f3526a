"""How much one credential may cause: the early no. What holds is the engine's count of every message when it leaves: on
who has started the campaign, and on who has put the lead there or let it go on.

Who only edits what the campaigns of others send is not counted there, and is refused here or nowhere.
"""

from sqlalchemy import select

from postrider.campaigns.tables import Campaign
from postrider.kernel.context import Context
from postrider.kernel.errors import LimitReached
from postrider.kernel.policy import Facts
from postrider.sending.cap_queries import limit_reached, read_state
from postrider.sending.capped import Capped, CredentialState


def check_caps(ctx: Context, facts: Facts) -> None:
    """Returns unless the call would make mail leave and its credential has used up what it may cause, or it would leave
    from campaigns that another credential has started, to more people than there is room for today.

    Raises: LimitReached.
    """
    capped = Capped(ctx.actor.credential_id, ctx.actor.caps)
    if facts.cause != "send" or not capped.holds(ctx.now):
        return
    state = read_state(ctx.session, ctx.workspace_id, capped, ctx.now)
    reached = state.reached(ctx.now)
    if reached is not None:
        raise limit_reached(state, reached, ctx.now)
    room = state.room(ctx.now)
    if room is not None and facts.people > room and _is_others(ctx, facts.leaves_from):
        raise _too_many(state, facts, room, ctx)


def _is_others(ctx: Context, campaign_ids: tuple[str, ...]) -> bool:
    """Whether one of the campaigns does not count on the credential that calls as a whole."""
    query = select(Campaign.credential_id, Campaign.held_to).where(
        Campaign.workspace_id == ctx.workspace_id, Campaign.id.in_(campaign_ids)
    )
    found = ctx.session.execute(query).all()
    return any(ctx.actor.credential_id not in (starter, *(held_to or ())) for starter, held_to in found)


def _too_many(state: CredentialState, facts: Facts, room: int, ctx: Context) -> LimitReached:
    return LimitReached(
        f"Mail to up to {facts.people:,} people would leave from campaigns that others have started, and this "
        f"credential may cause {room:,} more today: {state.told(ctx.now)}.",
        code="CREDENTIAL_LIMIT",
        hint=f"Nothing was changed. Choose at most {room:,} people, or ask the person for a credential with a larger "
        "limit.",
        details={"guard": "credential_daily_limit", "room": room, "people": facts.people},
    )
