"""One batch of each CSV import, run by the engine's job loop in a transaction of its own.

Both stand here, above leads: an import that changes leads also lets their enrollments go on that hang on a value.
"""

from datetime import datetime
from typing import Final, cast

from sqlalchemy.orm import Session

from postrider.campaigns.confirming import Agreed, check_agreed, check_edits_agreed
from postrider.campaigns.enrollments import Enrolled, campaign_to_fill, enroll, follow_lead_edits
from postrider.jobs.tables import Job
from postrider.leads.imports import (
    AGREED_CONTENT,
    BATCH_ROWS,
    CAPPED_BY,
    SENDS_AGREED,
    ImportOrder,
    add_to,
    count_batch,
    is_done,
    next_batch,
    with_errors,
)
from postrider.leads.intake import Batch
from postrider.leads.writing import Written, write_leads
from postrider.storage.base import JsonObject

IMPORT_CAMPAIGN_LEADS: Final = "import_campaign_leads_csv"


def import_leads_batch(session: Session, job: Job, now: datetime) -> bool:
    """Writes the next batch of leads; True when it was the last one.

    Raises: Conflict when a campaign that writes to one of them has been started meanwhile.
    """
    merge = bool(job.arguments["merge"])
    batch = next_batch(session, job)
    written = write_leads(session, job.workspace_id, batch.leads, now, merge=merge)
    if written.updated:
        check_edits_agreed(session, job.workspace_id, written.updated, agreed=_agreed(job).sends)
        follow_lead_edits(session, job.workspace_id, written.updated, now, capped_by=_capped_by(job))
    count_batch(job, batch, written, merge=merge)
    return is_done(job)


def import_campaign_leads_batch(session: Session, job: Job, now: datetime) -> bool:
    """Writes the next batch of leads and puts them into the campaign; True when it was the last one.

    Raises: NotFound, Conflict when the campaign has gone, or has been started or changed, meanwhile.
    """
    campaign = campaign_to_fill(session, job.workspace_id, str(job.arguments["campaignId"]))
    check_agreed(campaign, _agreed(job))
    batch = next_batch(session, job)
    written = write_leads(session, job.workspace_id, batch.leads, now, merge=False)
    lead_ids = [*written.existing.values(), *written.created.values()]
    enrolled = enroll(session, campaign, lead_ids, now, capped_by=_capped_by(job))
    job.result = _counted(job.result, batch, written, enrolled)
    return is_done(job)


def campaign_order(campaign_id: str) -> ImportOrder:
    """The order to import leads into a campaign. Each row is two, so that half as many go into a batch."""
    result: JsonObject = {
        "leads": {"created": 0, "existing": 0, "failed": 0},
        "campaign": {"added": 0, "skipped": 0},
        "errors": [],
    }
    return ImportOrder(IMPORT_CAMPAIGN_LEADS, {"campaignId": campaign_id}, result, False, BATCH_ROWS // 2)


def _agreed(job: Job) -> Agreed:
    content = cast("str | None", job.arguments.get(AGREED_CONTENT))
    return Agreed(job.arguments.get(SENDS_AGREED) is True, content)


def _capped_by(job: Job) -> str | None:
    return cast("str | None", job.arguments.get(CAPPED_BY))


def _counted(result: JsonObject, batch: Batch, written: Written, enrolled: Enrolled) -> JsonObject:
    leads = dict(cast("JsonObject", result["leads"]))
    add_to(leads, "created", len(written.created))
    add_to(leads, "existing", len(written.existing) + batch.repeated)
    add_to(leads, "failed", len(batch.errors))
    campaign = dict(cast("JsonObject", result["campaign"]))
    add_to(campaign, "added", enrolled.added)
    add_to(campaign, "skipped", enrolled.skipped + batch.repeated)
    errors = with_errors(result["errors"], batch.errors)
    return {**result, "leads": leads, "campaign": campaign, "errors": errors}
