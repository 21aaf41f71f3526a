"""What starting, editing and filling campaigns would do: the facts that a call wants a yes to. Reads only.

Where nothing leaves because of a call (the campaign does not run), there are none. What forbids a call is raised here
already, so that nobody is asked about one that would be refused.
"""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from postrider.campaigns.documents import ScheduleInput
from postrider.campaigns.reach import count_waiting, senders_of, waiting_in
from postrider.campaigns.showing import campaign_details, launch_details, name_of
from postrider.campaigns.states import RUNNING
from postrider.campaigns.tables import Campaign, Enrollment
from postrider.kernel.arguments import digest_of
from postrider.kernel.errors import Conflict
from postrider.kernel.policy import Facts
from postrider.kernel.words import counted
from postrider.kernel.zones import rfc3339
from postrider.storage.rows import CHUNK

FILLS_AND_SENDS: Final = frozenset({"active", "completed"})
"""States of a campaign in which a lead that is put into it is written to: a completed one becomes active again."""

CHANGED_MEANWHILE: Final = "CHANGED_MEANWHILE"
"""Code of the no to mail that would be another one than what was agreed to."""

_SEARCH_DAYS: Final = 8


class Agreed(NamedTuple):
    """What was agreed to about a call that fills a campaign. ``sends``: mail may leave because of it.

    ``content``: the digest of what the campaign would send, where somebody has said yes to that; None where nobody was
    asked.
    """

    sends: bool
    content: str | None


def launch_facts(session: Session, row: Campaign, now: datetime, verb: str) -> Facts:
    """Of starting or resuming a campaign. The first instant is the window's: limits and holidays may put it off."""
    found = waiting_in(session, row)
    first = opens_at(ScheduleInput.model_validate(row.schedule), now)
    begins = f", not before {rfc3339(first)} by its sending window" if first is not None else ""
    return Facts(
        summary=f"{verb} the campaign {row.id} (revision {row.revision}) lets it write to {_up_to(found.people)} from "
        f"{counted(len(row.mailbox_ids), 'mailbox', 'mailboxes')}{begins}.",
        subject=row.id,
        revision=f"{row.revision}/{row.status}/{found.people}/{found.values}/{senders_of(session, row)}",
        cause="send",
        people=found.people,
        first_send_at=first,
        content_digest=content_digest(row),
        details=launch_details(session, row, found.people),
    )


def content_digest(row: Campaign) -> str:
    """A digest of everything that a campaign would send, to whom in copy, from where and when."""
    return digest_of([row.sequence, row.subsequences, row.settings, row.schedule, row.mailbox_ids])


def edit_facts(session: Session, row: Campaign, changed: Sequence[str], content: object) -> Facts | None:
    """Of changing what a running campaign sends; None where nobody waits for it, or nothing of the kind changes."""
    if row.status != "active" or not changed:
        return None
    people = count_waiting(session, row)
    return Facts(
        summary=f"The campaign {row.id} is running: this changes its {', '.join(changed)} for the emails that "
        f"{_up_to(people)} still get.",
        subject=row.id,
        revision=f"{row.revision}/{row.status}",
        cause="send",
        people=people,
        content_digest=digest_of(content),
        leaves_from=(row.id,),
        details=(name_of(row),),
    )


def filling_facts(session: Session, row: Campaign, people: int, revision: str, now: datetime) -> Facts | None:
    """Of putting so many leads into a campaign; None where they wait until it is started. ``revision``: of those who
    are chosen, and of their values."""
    if row.status not in FILLS_AND_SENDS:
        return None
    first = opens_at(ScheduleInput.model_validate(row.schedule), now)
    begins = f", from {rfc3339(first)} on by its sending window" if first is not None else ""
    again = " is completed and becomes active again" if row.status == "completed" else " is running"
    return Facts(
        summary=f"The campaign {row.id}{again}: {_up_to(people)} are put into it and written to without another "
        f"start{begins}.",
        subject=row.id,
        revision=f"{row.revision}/{row.status}/{revision}/{senders_of(session, row)}",
        cause="send",
        people=people,
        first_send_at=first,
        content_digest=content_digest(row),
        leaves_from=(row.id,),
        details=campaign_details(session, row),
    )


def check_agreed(row: Campaign, agreed: Agreed) -> None:
    """Returns unless leads that are put into the campaign would be written to, and nobody has agreed to that: it was
    started after the call had been let in, or is completed and was edited since then, which asks nobody. ``row`` is
    locked. Raises: Conflict."""
    if row.status not in FILLS_AND_SENDS:
        return
    if not agreed.sends:
        raise _meanwhile(row, f"has become {row.status}", "STARTED_MEANWHILE")
    if row.status == "completed" and agreed.content not in (None, content_digest(row)):
        raise _meanwhile(row, "sends something else", CHANGED_MEANWHILE)


def _meanwhile(row: Campaign, what: str, code: str) -> Conflict:
    return Conflict(
        f"The campaign {row.id} {what} meanwhile: whoever is put into it now is written to, and nobody has agreed to "
        "that. Those who were put into it before stay.",
        code=code,
        hint="Make the same call again to have the facts shown; those who are in the campaign already are skipped.",
        details={"id": row.id, "status": row.status},
    )


def check_edits_agreed(session: Session, workspace_id: str, lead_ids: Sequence[str], *, agreed: bool) -> None:
    """Returns unless running campaigns write to one of these edited leads, and nobody has agreed to that.

    Raises: Conflict.
    """
    for start in range(0, 0 if agreed else len(lead_ids), CHUNK):
        there = _running(Campaign.id).where(
            Enrollment.workspace_id == workspace_id, Enrollment.lead_id.in_(lead_ids[start : start + CHUNK])
        )
        found = session.scalar(there.limit(1))
        if found is not None:
            raise Conflict(
                f"The campaign {found} writes to leads of the file meanwhile: changing them changes what leaves, and "
                "nobody has agreed to that. What was imported before stays.",
                code="STARTED_MEANWHILE",
                hint="Import the file again to have the facts shown, or with skipDuplicates true.",
                details={"id": found},
            )


def merge_facts(session: Session, workspace_id: str, rows: int, digest: str) -> Facts | None:
    """Of an import that changes leads it finds; None where no running campaign writes to anybody. ``rows``: of the
    file, ``digest``: of the file."""
    query = _running(Campaign.id, Campaign.revision, func.count(), func.max(Enrollment.id)).where(
        Enrollment.workspace_id == workspace_id
    )
    running = sorted(tuple(row) for row in session.execute(query.group_by(Campaign.id, Campaign.revision)))
    if not running:
        return None
    people = min(rows, sum(count for _, _, count, _ in running))
    return Facts(
        summary=f"{counted(len(running), 'campaign is', 'campaigns are')} running: an import that updates leads "
        f"changes what {_up_to(people)} in them are sent, and emails that are held for want of a value leave.",
        subject=running[0][0] if len(running) == 1 else workspace_id,
        revision=digest_of([[list(each) for each in running], digest]),
        cause="send",
        people=people,
        leaves_from=tuple(each[0] for each in running),
    )


def _running(*columns: Any) -> "Select[Any]":
    """Of places in running campaigns that may still be written to."""
    joined = (Enrollment.workspace_id == Campaign.workspace_id) & (Enrollment.campaign_id == Campaign.id)
    return select(*columns).join(Enrollment, joined).where(Enrollment.status.in_(RUNNING), Campaign.status == "active")


def lead_edit_facts(session: Session, workspace_id: str, lead_id: str, updated_at: datetime) -> Facts | None:
    """Of changing the values of a lead that running campaigns still write to; None where there is none."""
    query = _running(Campaign.id).where(Enrollment.workspace_id == workspace_id, Enrollment.lead_id == lead_id)
    campaigns = sorted(session.scalars(query))
    if not campaigns:
        return None
    return Facts(
        summary=f"The lead {lead_id} is in {counted(len(campaigns), 'running campaign', 'running campaigns')}: this "
        "changes what it is sent, and an email that is held for want of a value leaves.",
        subject=lead_id,
        revision=f"{rfc3339(updated_at)}/{','.join(campaigns)}",
        cause="send",
        people=1,
        leaves_from=tuple(campaigns),
    )


def opens_at(schedule: ScheduleInput, now: datetime) -> datetime | None:
    """``now`` while the sending window is open, else its next opening; None where it opens on no day.

    An estimate: holidays, leads' own zones and limits are the planner's, which takes seconds for thousands of leads.
    """
    zone = ZoneInfo(schedule.timezone)
    starts, ends = _clock(schedule.start_time), _clock(schedule.end_time)
    today = now.astimezone(zone).date()
    for offset in range(-1, _SEARCH_DAYS):
        day = today + timedelta(days=offset)
        if day.isoweekday() % 7 not in schedule.working_days:
            continue
        closes = datetime.combine(day + timedelta(days=ends <= starts), ends, zone)
        if closes > now:
            return max(datetime.combine(day, starts, zone).astimezone(now.tzinfo), now)
    return None


def _clock(text: str) -> time:
    return time(int(text[:2]), int(text[3:]))


def _up_to(people: int) -> str:
    return f"up to {counted(people, 'person', 'people')}"
