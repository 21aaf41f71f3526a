"""Reads how everything stands for some sends of a workspace, inside the transaction that acts on the answer.

A few statements serve any number of sends. On PostgreSQL the rows are locked FOR SHARE first: whoever pauses, stops or
suppresses waits for this transaction, so that after their call has returned no further message gets its second marker.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, and_, bindparam, select

from postrider.access.tables import Workspace
from postrider.campaigns.tables import Campaign, Enrollment
from postrider.dnc.rules import BINDING_SOURCES
from postrider.dnc.tables import DncEntry
from postrider.mailboxes.tables import Mailbox
from postrider.sending.guards import Standing
from postrider.storage.leases import living, wall_ms_now
from postrider.storage.prepared import Prepared, among

Row = tuple[Any, ...]

_WORKSPACE: Final = Prepared(
    lambda _: select(Workspace.paused_at, Workspace.status).where(Workspace.id == bindparam("workspace_id"))
)
_MAILBOXES: Final = Prepared(
    lambda dialect: select(Mailbox.id, Mailbox.status, Mailbox.sending_enabled, Mailbox.cool_until).where(
        Mailbox.workspace_id == bindparam("workspace_id"), among(Mailbox.id, "mailbox_ids", dialect)
    )
)
_LEADS: Final = Prepared(
    lambda dialect: (
        select(
            *(Enrollment.id, Campaign.status, Campaign.revision),
            *(Enrollment.status, Enrollment.lease_owner, Enrollment.fence),
        )
        .join(Campaign, and_(Campaign.workspace_id == Enrollment.workspace_id, Campaign.id == Enrollment.campaign_id))
        .where(Enrollment.workspace_id == bindparam("workspace_id"), among(Enrollment.id, "enrollment_ids", dialect))
    )
)
_LISTED: Final = Prepared(
    lambda dialect: select(DncEntry.id, DncEntry.value_hash, DncEntry.source, DncEntry.reason).where(
        DncEntry.workspace_id == bindparam("workspace_id"), among(DncEntry.value_hash, "hashes", dialect)
    )
)
_LIVING: Final = Prepared(living)
_LOCK_WORKSPACE: Final = Prepared(
    lambda _: select(Workspace.id).where(Workspace.id == bindparam("workspace_id")).with_for_update(read=True)
)
_LOCK_LEADS: Final = Prepared(
    lambda dialect: (
        select(Enrollment.id)
        .join(Campaign, and_(Campaign.workspace_id == Enrollment.workspace_id, Campaign.id == Enrollment.campaign_id))
        .where(Enrollment.workspace_id == bindparam("workspace_id"), among(Enrollment.id, "enrollment_ids", dialect))
        .order_by(Enrollment.id)
        .with_for_update(read=True, of=[Campaign, Enrollment])
    )
)
_NOBODY: Final = Standing(True, None, "removed", None, False, None, None, False)


@dataclass(frozen=True, slots=True)
class Question:
    """For which send it is asked how everything stands.

    ``enrollment_id`` None: mail that belongs to no campaign. ``hashes``: of all that, if listed, forbids the recipient.
    ``skip_dnc`` False: only entries that the person or their server caused count. ``owner`` None: no engine's claim is
    needed (a person waits for the answer). ``closes_at``: when the sending window ends. ``copies``: the addresses in cc
    and bcc, each with its hashes; what counts for them is said by ``copies_binding_only``, as ``skip_dnc`` False does.
    """

    mailbox_id: str
    hashes: Sequence[str]
    skip_dnc: bool
    enrollment_id: str | None = None
    owner: str | None = None
    fence: int = 0
    closes_at: datetime | None = None
    copies: Mapping[str, Sequence[str]] = field(default_factory=dict)
    copies_binding_only: bool = False


def read_standing(connection: Connection, workspace_id: str, question: Question, *, lock: bool = True) -> Standing:
    """How everything stands now for one send. ``lock`` False: for whoever only tells of it."""
    return read_standings(connection, workspace_id, [question], lock=lock)[0]


def read_standings(
    connection: Connection, workspace_id: str, questions: Sequence[Question], *, lock: bool = True
) -> list[Standing]:
    """How everything stands now for each of some sends of one workspace."""
    enrollment_ids = sorted({question.enrollment_id for question in questions if question.enrollment_id is not None})
    if lock:
        _lock(connection, workspace_id, enrollment_ids)
    facts = _Facts(connection, workspace_id, enrollment_ids, questions)
    return [facts.standing(question) for question in questions]


class _Facts:
    """What was read for some questions, each statement once."""

    def __init__(
        self, connection: Connection, workspace_id: str, enrollment_ids: list[str], questions: Sequence[Question]
    ) -> None:
        def rows(statement: Prepared, **values: object) -> list[Row]:
            return statement.rows(connection, {"workspace_id": workspace_id, **values})

        owners = sorted({question.owner for question in questions if question.owner is not None})
        hashes = {value for question in questions for value in question.hashes}
        hashes.update(value for question in questions for own in question.copies.values() for value in own)
        self._workspace = rows(_WORKSPACE)
        self._mailboxes = _by_first(rows(_MAILBOXES, mailbox_ids=sorted({q.mailbox_id for q in questions})))
        self._leads = _by_first(rows(_LEADS, enrollment_ids=enrollment_ids)) if enrollment_ids else {}
        self._listed = sorted(rows(_LISTED, hashes=sorted(hashes)))
        alive = _LIVING.rows(connection, {"owners": owners, "now_ms": wall_ms_now()}) if owners else []
        self._alive = {owner for (owner,) in alive}

    def standing(self, question: Question) -> Standing:
        """The answer to one question."""
        lead = self._leads.get(question.enrollment_id or "")
        if not self._workspace or (lead is None and question.enrollment_id is not None):
            return _NOBODY
        paused_at, status = self._workspace[0]
        campaign_status, revision, enrollment_status, owner, fence = lead or (
            *(None, None, None),
            *(question.owner, question.fence),
        )
        mailbox_status, enabled, cool_until = self._mailboxes.get(question.mailbox_id, (None, False, None))
        holds = question.owner in self._alive and (owner, fence) == (question.owner, question.fence)
        return Standing(
            workspace_paused=paused_at is not None or status != "active",
            campaign_status=campaign_status,
            enrollment_status=enrollment_status,
            mailbox_status=mailbox_status,
            mailbox_enabled=bool(enabled),
            cool_until=cool_until,
            suppressed=self._reason(question) if self._listed else None,
            claimed=question.owner is None or holds,
            revision=revision,
            closes_at=question.closes_at,
            listed_copy=self._listed_copy(question) if self._listed else None,
        )

    def _listed_copy(self, question: Question) -> str | None:
        return next(
            (
                address
                for address, hashes in question.copies.items()
                if self._reason_of(hashes, question.copies_binding_only) is not None
            ),
            None,
        )

    def _reason(self, question: Question) -> str | None:
        """That of the first entry which covers the recipient and counts for this send."""
        return self._reason_of(question.hashes, not question.skip_dnc)

    def _reason_of(self, hashes: Sequence[str], binding_only: bool) -> str | None:
        for _, value_hash, source, reason in self._listed:
            if value_hash in hashes and (source in BINDING_SOURCES or not binding_only):
                return str(reason)
        return None


def _by_first(rows: Sequence[Row]) -> dict[str, Row]:
    return {row[0]: row[1:] for row in rows}


def _lock(connection: Connection, workspace_id: str, enrollment_ids: list[str]) -> None:
    """Locks what stopping and suppressing write to, in statements of their own (PostgreSQL).

    A statement that waits for a lock goes on with the snapshot it began with: an entry added by whoever was waited for
    would stay unseen in it, but not in the next one.
    """
    if connection.dialect.name == "postgresql":
        values = {"workspace_id": workspace_id}
        _LOCK_WORKSPACE.rows(connection, values)
        if enrollment_ids:
            _LOCK_LEADS.rows(connection, {**values, "enrollment_ids": enrollment_ids})
