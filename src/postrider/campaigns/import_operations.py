"""Importing leads into the workspace; above leads, for an import that updates them changes what campaigns send."""

from typing import Annotated

from pydantic import Field

from postrider.campaigns.confirming import merge_facts
from postrider.jobs.operations import JobStarted
from postrider.kernel.context import Context, OutsideContext
from postrider.kernel.operation import Effect, Rest, operation
from postrider.kernel.policy import Facts
from postrider.leads.imports import FILE_FIELD, CsvInput, leads_order, most_rows, start_import


class ImportLeadsCsv(CsvInput):
    """A CSV file of leads."""

    skip_duplicates: Annotated[
        bool, Field(description="Leave leads alone whose address is known; false updates them with the row's values.")
    ] = True


def merge_import_facts(ctx: Context, request: ImportLeadsCsv) -> Facts | None:
    """Whose emails may change; None where known leads are left alone, or no campaign runs.

    Raises: InvalidInput, NotFound, Forbidden.
    """
    if request.skip_duplicates:
        return None
    rows, digest = most_rows(ctx, request)
    return merge_facts(ctx.session, ctx.workspace_id, rows, digest)


@operation(
    title="Import leads from CSV",
    keywords="bring read transfer migrate crm database rows columns names many several hundred hubspot address",
    effect=Effect.WRITE,
    rest=Rest(
        "POST",
        "/v1/leads/import/csv",
        aliases=("/v1/leads/import-csv",),
        file_field=FILE_FIELD,
        waits_for_job=True,
    ),
    idempotent=True,
    open_world=False,
    toolset="leads",
    audit="effect",
    confirm=merge_import_facts,
)
async def import_leads_csv(ctx: OutsideContext, request: ImportLeadsCsv) -> JobStarted:
    """Create leads from a CSV file with a header row: as text in csv (256 kB), or a path on this machine.

    At most 50 MB, 50,000 rows and 200 columns. Columns are recognised by name (email, first name, Vorname, company …);
    name others in mapping; unknown ones become custom fields. A file that cannot be read as a whole is refused at once.
    Known addresses are skipped, or updated with skipDuplicates false. A tag makes the imported leads easy to find.

    The answer is a job: ask get_job for its result {imported, updated, skipped, failed, importedLeadIds, errors,
    csvInfo}; importedLeadIds and errors list the first 1,000, csvInfo.cleanedNames tells of names that lost digits or
    symbols in the clean-up (dataCleanup: false keeps them). Next: add_leads_to_campaign with the tag.
    """
    return await start_import(ctx, request, leads_order(merge=not request.skip_duplicates))
