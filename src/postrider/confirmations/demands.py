"""What is demanded before a grave call acts: of whom nothing, of whom a yes to the facts, of whom a person's grant."""

from typing import Literal

from sqlalchemy.orm import Session

from postrider.access.safety import safety_of
from postrider.confirmations.tokens import bound_call, issue_token
from postrider.kernel.context import Actor, Context
from postrider.kernel.policy import Facts
from postrider.storage.leases import wall_ms_now

Demand = Literal["nothing", "autonomy", "token", "person"]
"""autonomy: more of it than the credential has."""


def may_be_demanded(session: Session, actor: Actor) -> bool:
    """Whether any call by ``actor`` can be held up: if not, nobody has to find out what it would do."""
    if actor.autonomy in ("readonly", "draft"):
        return True
    if actor.is_person:
        return False
    return actor.autonomy == "confirm" or safety_of(session, actor.workspace_id).may_want_person


def demand(session: Session, actor: Actor, facts: Facts) -> Demand:
    """What ``actor`` owes for a call with these facts."""
    if actor.autonomy in ("readonly", "draft"):
        return "autonomy"
    if actor.is_person:
        return "nothing"
    if safety_of(session, actor.workspace_id).wants_person(facts.people):
        return "person"
    return "token" if actor.autonomy == "confirm" else "nothing"


def token_for(ctx: Context, operation: str, arguments_hash: str, facts: Facts) -> str | None:
    """The token that such a call by the same caller wants; None where it wants none, or none would do."""
    if demand(ctx.session, ctx.actor, facts) != "token":
        return None
    return issue_token(ctx.vault, bound_call(operation, arguments_hash, ctx.actor, facts), wall_ms_now())
