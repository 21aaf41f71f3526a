"""The last question before a grave call acts: has somebody seen the facts, and has a person agreed where one must?"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

from pydantic import BaseModel
from sqlalchemy.orm import Session

from postrider.confirmations.approvals import facts_out, find_answer, give_grant_back, use_grant
from postrider.confirmations.demands import demand, may_be_demanded
from postrider.confirmations.tables import Approval
from postrider.confirmations.tokens import (
    LIFETIME_MS,
    BoundCall,
    bound_call,
    call_hash,
    give_token_back,
    issue_token,
    token_fits,
    use_token,
)
from postrider.dispatch.authority import missing_scope
from postrider.dispatch.caps import check_caps
from postrider.kernel.context import Actor, Context
from postrider.kernel.errors import ConfirmationNeeded, Forbidden, PostriderError
from postrider.kernel.operation import CONFIRM_TOKEN, Operation
from postrider.kernel.policy import Facts
from postrider.storage.leases import wall_ms_now


class PersonWanted(Exception):
    """The workspace wants a person to grant this call, and nobody has been asked yet."""

    def __init__(self, hashed_call: str, facts: Facts) -> None:
        super().__init__()
        self.hashed_call = hashed_call
        self.facts = facts


GiveBack = Callable[[Session], bool]
"""Makes a yes that was used up one that can be used. Whether it could: after a few times it stays used up."""


class Passed(NamedTuple):
    """What the gate has found of a call that may act. ``sends``: mail may leave because of it, should it come to that.

    ``give_back``: for the yes that it has used up; ``agreed``: the facts that this was a yes to.
    """

    sends: bool
    give_back: GiveBack | None = None
    agreed: Facts | None = None


@dataclass(frozen=True, slots=True)
class Gate:
    """One call in front of the gate. ``token``: the confirm token that came with it."""

    operation: Operation
    arguments_hash: str
    token: str | None

    def pass_through(self, ctx: Context, checked: BaseModel, *, use: bool = True) -> Passed:
        """Returns when the call may act in this transaction. One that sent nothing when it was looked at may meet a
        campaign that has been started since: hence ``Passed.sends``.

        ``use`` False: only looks, and uses nothing up.

        Raises: ConfirmationNeeded, Forbidden, LimitReached, PersonWanted.
        """
        confirm, actor = self.operation.confirm, ctx.actor
        may_send = "send" in actor.scopes
        if confirm is None:
            return Passed(False)
        if may_send and ctx.capped_by is None and not may_be_demanded(ctx.session, actor):
            return Passed(True)
        facts = confirm(ctx, checked)
        if facts is None:
            return Passed(False)
        if facts.cause == "send" and not may_send:
            raise missing_scope(f"{self.operation.name} would make mail leave, which this credential may not", "send")
        bound = bound_call(self.operation.name, self.arguments_hash, actor, facts)
        wanted = demand(ctx.session, actor, facts)
        if wanted == "autonomy":
            raise _no_autonomy(self.operation, actor, facts)
        check_caps(ctx, facts)
        give_back = None
        if wanted == "person":
            give_back = self._ask_person(ctx, bound, facts, use=use)
        elif wanted == "token":
            give_back = self._ask_for_yes(ctx, bound, facts, use=use)
        return Passed(facts.cause == "send", give_back, None if give_back is None else facts)

    def _ask_for_yes(self, ctx: Context, bound: BoundCall, facts: Facts, *, use: bool) -> GiveBack:
        check = use_token if use else token_fits
        if self.token is not None and check(ctx.session, ctx.vault, bound, self.token, wall_ms_now()):
            return partial(give_token_back, workspace_id=ctx.workspace_id, token=self.token)
        raise _confirmation_needed(self.operation, facts, issue_token(ctx.vault, bound, wall_ms_now()), self.token)

    def _ask_person(self, ctx: Context, bound: BoundCall, facts: Facts, *, use: bool) -> GiveBack:
        hashed = call_hash(ctx.vault, bound)
        answer = find_answer(ctx.session, ctx.workspace_id, hashed, ctx.now)
        if answer is None:
            raise PersonWanted(hashed, facts)
        if answer.status == "denied":
            raise Forbidden(
                f"A person has said no to this call ({answer.id}).",
                code="APPROVAL_DENIED",
                hint="Ask them what they want instead; do not call it again unchanged.",
                details={"approvalId": answer.id},
            )
        if answer.status != "granted" or (use and not use_grant(ctx.session, answer)):
            raise person_asked(answer, ctx.settings.public_url)
        return partial(give_grant_back, workspace_id=ctx.workspace_id, approval_id=answer.id)


def person_asked(approval: Approval, public_url: str | None) -> ConfirmationNeeded:
    """What a caller is told while a person has not answered yet."""
    page = "the approvals page" if public_url is None else f"{public_url}/approvals"
    return ConfirmationNeeded(
        f"A person has to grant this first: {approval.facts['summary']}",
        code="APPROVAL_NEEDED",
        hint=f"They grant {approval.id} on {page}, or with: postrider approvals grant {approval.id}. "
        "Then make the same call again, unchanged.",
        details={"approvalId": approval.id, "facts": approval.facts, "status": approval.status},
    )


def say_used_up(error: PostriderError) -> None:
    """Adds to what a caller is told of a call that came to nothing that its yes was not given back."""
    asks = "The yes to it is used up: the next call asks for a new one."
    error.hint = asks if error.hint is None else f"{error.hint} {asks}"


def _confirmation_needed(operation: Operation, facts: Facts, token: str, given: str | None) -> ConfirmationNeeded:
    stale = "" if given is None else f"The {CONFIRM_TOKEN} does not fit this call any more, or was used. "
    return ConfirmationNeeded(
        f"{stale}{operation.name} wants a yes to this: {facts.summary}",
        hint=f"Show these facts to the person. If they agree, call it again within {LIFETIME_MS // 60_000} minutes "
        f"with the same arguments and {CONFIRM_TOKEN} from the details.",
        details={"facts": facts_out(facts), CONFIRM_TOKEN: token},
    )


_CAUSES: Final = {
    "send": "would make mail leave",
    "destroy": "would destroy data",
    "connect": "would change where mail and data go",
}


def _no_autonomy(operation: Operation, actor: Actor, facts: Facts) -> Forbidden:
    return Forbidden(
        f"{operation.name} {_CAUSES[facts.cause]}, and this credential may only "
        f"{'read' if actor.autonomy == 'readonly' else 'prepare'}.",
        code="AUTONOMY_READONLY" if actor.autonomy == "readonly" else "AUTONOMY_DRAFT",
        hint="Prepare it, and tell the person what is ready: they do this step themselves.",
        details={"facts": facts_out(facts)},
    )
