"""The attempt ledger: the two markers of a send, each with its guards checked in the transaction that writes it.

First marker (``begin_steps``): the attempt row, committed before the first byte of MAIL. Second (``dot_steps``):
committed just before the final dot. Both serve any number of sends of one workspace at once. A crash before the second
leaves nothing accepted; after it, an unknown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, insert, null, select, update

from postrider.campaigns.tables import Enrollment
from postrider.kernel.ids import new_id
from postrider.sending.composing import Composed
from postrider.sending.guards import CLAIM_LOST, Objection, Standing, objection
from postrider.sending.standing import Question, read_standings
from postrider.sending.tables import Attempt
from postrider.sending.work import Begun, Claim, StepWork
from postrider.storage.base import JsonObject
from postrider.storage.prepared import Prepared, among

Values = dict[str, object]

OPEN_STATES: Final = frozenset({"deferred"})
"""States from which the same attempt may be tried again."""

_INSERT: Final = Prepared(
    lambda _: insert(Attempt).values(
        {column.name: bindparam(column.name, type_=column.type) for column in Attempt.__table__.c}
    )
)
_NOTHING: Final = dict.fromkeys(column.name for column in Attempt.__table__.c)
_AGAIN: Final = Prepared(
    lambda _: (
        update(Attempt)
        .where(Attempt.workspace_id == bindparam("b_workspace_id"), Attempt.id == bindparam("b_id"))
        .values(
            state="sending",
            tries=bindparam("b_tries"),
            sending_at=bindparam("b_now"),
            dotted_at=null(),
            lease_owner=bindparam("b_owner"),
            fence=bindparam("b_fence"),
            mailbox_id=bindparam("b_mailbox_id"),
            message_id=bindparam("b_message_id"),
            content=bindparam("b_content", type_=Attempt.content.type),
            copies=bindparam("b_copies", type_=Attempt.copies.type),
            mailbox_day=bindparam("b_mailbox_day"),
            campaign_day=bindparam("b_campaign_day"),
        )
    )
)
_BEING_SENT: Final = Prepared(
    lambda dialect: (
        select(Attempt.id, Attempt.lease_owner, Attempt.fence)
        .where(
            Attempt.workspace_id == bindparam("workspace_id"),
            among(Attempt.id, "attempt_ids", dialect),
            Attempt.state == "sending",
        )
        .order_by(Attempt.id)
        .with_for_update()
    )
)
_DOT: Final = Prepared(
    lambda dialect: (
        update(Attempt)
        .where(Attempt.workspace_id == bindparam("workspace_id"), among(Attempt.id, "attempt_ids", dialect))
        .values(state="dotted", dotted_at=bindparam("b_now"))
    )
)
_ATTEMPTED: Final = Prepared(
    lambda _: (
        update(Enrollment)
        .where(Enrollment.workspace_id == bindparam("b_workspace_id"), Enrollment.id == bindparam("b_id"))
        .values(last_step=bindparam("b_last_step"), updated_at=bindparam("b_now"))
    )
)
_KNOWN: Final = Prepared(
    lambda dialect: select(
        *(Attempt.purpose_key, Attempt.state, Attempt.mailbox_id, Attempt.id),
        *(Attempt.message_id, Attempt.sending_at, Attempt.content, Attempt.tries),
    ).where(
        Attempt.workspace_id == bindparam("workspace_id"),
        Attempt.purpose == "step",
        among(Attempt.purpose_key, "keys", dialect),
    )
)


class Start(NamedTuple):
    """A campaign email that is to begin: what it says, and the Message-ID that it gets if this is the first try."""

    work: StepWork
    composed: Composed
    message_id: str


class Known(NamedTuple):
    """An attempt that stands in the ledger already."""

    state: str
    mailbox_id: str
    begun: Begun


def begin_steps(
    connection: Connection, workspace_id: str, starts: Sequence[Start], now: datetime
) -> list[Begun | Objection]:
    """Writes the first marker of some campaign emails, each unless a guard objects or it was attempted before.

    A deferred attempt goes on under its own Message-ID and with its own words; but where its mailbox failed before any
    server took or put off the message, another mailbox may start it anew.
    """
    standings = read_standings(connection, workspace_id, [_question(start.work) for start in starts])
    known = _find_known(connection, workspace_id, starts)
    results: list[Begun | Objection] = []
    first: list[Values] = []
    again: list[Values] = []
    attempted: list[Values] = []
    for start, standing in zip(starts, standings, strict=True):
        before = known.get(start.work.purpose_key)
        result = _may_begin(start.work, standing, before, now) or _begun(start, before, now)
        results.append(result)
        if isinstance(result, Objection):
            continue
        if before is None:
            first.append(_first_row(start, result))
        else:
            again.append(_next_try(start.work, result))
        attempted.append(_attempted(start.work, now))
    _INSERT.many(connection, first)
    _AGAIN.many(connection, again)
    _ATTEMPTED.many(connection, sorted(attempted, key=lambda values: str(values["b_id"])))
    return results


def _find_known(connection: Connection, workspace_id: str, starts: Sequence[Start]) -> dict[str, Known]:
    keys = [start.work.purpose_key for start in starts]
    rows = _KNOWN.rows(connection, {"workspace_id": workspace_id, "keys": keys})
    return {key: Known(state, mailbox_id, Begun(*of_attempt)) for key, state, mailbox_id, *of_attempt in rows}


def _may_begin(work: StepWork, standing: Standing, before: Known | None, now: datetime) -> Objection | None:
    found = objection(standing, now)
    if found is not None:
        return found
    if standing.revision != work.program.revision:
        # Positions and texts may have moved: the claim goes back, and the next one is made from what stands now.
        return Objection("campaign_unchanged", "campaign_edited", "the campaign was edited after this send was planned")
    if before is not None and before.state not in OPEN_STATES:
        return Objection("not_attempted_before", "already_attempted", f"this step is {before.state} for this lead")
    return None


def _begun(start: Start, before: Known | None, now: datetime) -> Begun:
    if before is not None and before.mailbox_id == start.work.sender.account.mailbox_id:
        return replace(before.begun, began_at=now, tries=before.begun.tries + 1)
    composed = start.composed
    content: dict[str, str | None] = {
        "subject": composed.subject,
        "html": composed.html,
        "text": composed.text,
        "inReplyTo": start.work.thread.ids[-1] if composed.in_thread else None,
    }
    if before is not None:
        return Begun(before.begun.attempt_id, start.message_id, now, content, before.begun.tries + 1)
    return Begun(new_id("att"), start.message_id, now, content)


def _question(work: StepWork) -> Question:
    return Question(
        mailbox_id=work.sender.account.mailbox_id,
        hashes=work.recipient.hashes,
        skip_dnc=work.program.settings.skip_dnc,
        enrollment_id=work.enrollment_id,
        owner=work.claim.owner,
        fence=work.claim.fence,
        closes_at=work.closes_at,
        copies=work.copy_hashes,
    )


def _first_row(start: Start, begun: Begun) -> Values:
    work = start.work
    return {
        **attempt_values(work.workspace_id, begun.attempt_id, work.claim, begun.message_id, begun.began_at),
        "purpose": "step",
        "purpose_key": work.purpose_key,
        "mailbox_id": work.sender.account.mailbox_id,
        "recipient": work.recipient.email,
        "campaign_id": work.program.campaign_id,
        "enrollment_id": work.enrollment_id,
        "lead_id": work.recipient.lead_id,
        "step_id": work.email.id,
        "step_index": work.email.position,
        "variant": work.variant,
        "content": begun.content,
        "copies": [*work.copies, *work.blind_copies],
    }


def _next_try(work: StepWork, begun: Begun) -> Values:
    claim = work.claim
    return {
        "b_workspace_id": work.workspace_id,
        "b_id": begun.attempt_id,
        "b_tries": begun.tries,
        "b_now": begun.began_at,
        "b_owner": claim.owner,
        "b_fence": claim.fence,
        "b_mailbox_id": work.sender.account.mailbox_id,
        "b_message_id": begun.message_id,
        "b_content": begun.content,
        "b_copies": [*work.copies, *work.blind_copies],
        "b_mailbox_day": claim.mailbox_day,
        "b_campaign_day": claim.campaign_day,
    }


def _attempted(work: StepWork, now: datetime) -> Values:
    return {
        "b_workspace_id": work.workspace_id,
        "b_id": work.enrollment_id,
        "b_last_step": work.email.position,
        "b_now": now,
    }


def insert_attempt(connection: Connection, values: Mapping[str, object]) -> None:
    """Writes an attempt row; columns that are not given are NULL."""
    _INSERT.run(connection, {**_NOTHING, **values})


def attempt_values(
    workspace_id: str, attempt_id: str, claim: Claim, message_id: str, now: datetime
) -> dict[str, object]:
    """The columns that every fresh attempt starts with, in state ``sending``; the others are NULL."""
    return {
        **_NOTHING,
        "workspace_id": workspace_id,
        "id": attempt_id,
        "state": "sending",
        "message_id": message_id,
        "refused_copies": [],
        "tries": 1,
        "first_try_at": now,
        "sending_at": now,
        "mailbox_day": claim.mailbox_day,
        "campaign_day": claim.campaign_day,
        "lease_owner": claim.owner,
        "fence": claim.fence,
    }


def dot_steps(
    connection: Connection, workspace_id: str, dots: Sequence[tuple[StepWork, Begun]], now: datetime
) -> list[Objection | None]:
    """Writes the second marker of some campaign emails, each unless a guard objects; then its dot must not be sent."""
    standings = read_standings(connection, workspace_id, [_question(work) for work, _ in dots])
    results = [objection(standing, now) for standing in standings]
    free = [(begun.attempt_id, work.claim) for (work, begun), found in zip(dots, results, strict=True) if found is None]
    marked = dot_attempts(connection, workspace_id, free, now)
    return [
        _LOST if found is None and begun.attempt_id not in marked else found
        for (_, begun), found in zip(dots, results, strict=True)
    ]


_LOST: Final = Objection("claim_holds", CLAIM_LOST, "another engine has taken this over")


def dot_attempt(
    connection: Connection, workspace_id: str, attempt_id: str, claim: Claim, now: datetime
) -> Objection | None:
    """Moves an attempt from ``sending`` to ``dotted``; an objection when the claim is no longer ours."""
    return None if dot_attempts(connection, workspace_id, [(attempt_id, claim)], now) else _LOST


def dot_attempts(
    connection: Connection, workspace_id: str, attempts: Sequence[tuple[str, Claim]], now: datetime
) -> set[str]:
    """Moves attempts from ``sending`` to ``dotted``; those whose claim is still ours, which alone are moved."""
    if not attempts:
        return set()
    values = {"workspace_id": workspace_id, "attempt_ids": [attempt_id for attempt_id, _ in attempts]}
    standing = {row[0]: (row[1], row[2]) for row in _BEING_SENT.rows(connection, values)}
    ours = [attempt_id for attempt_id, claim in attempts if standing.get(attempt_id) == (claim.owner, claim.fence)]
    if ours:
        _DOT.run(connection, {"workspace_id": workspace_id, "attempt_ids": ours, "b_now": now})
    return set(ours)


def begin_other(
    connection: Connection, values: dict[str, object], purpose: str, purpose_key: str, content: JsonObject
) -> None:
    """Writes the first marker of a message that belongs to no step. The caller has checked the guards."""
    insert_attempt(connection, {**values, "purpose": purpose, "purpose_key": purpose_key, "content": content})
