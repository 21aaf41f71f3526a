"""Files that are too large for a call: an address to send one to."""

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Field

from postrider.files.queries import link_to, register_file
from postrider.files.rules import display_name
from postrider.kernel.context import Context
from postrider.kernel.operation import Effect, Input, Output, Rest, UntrustedText, operation

MAX_BYTES: Final = 50 * 1024 * 1024


class CreateUpload(Input):
    """The file that will be sent."""

    name: Annotated[str, Field(min_length=1, max_length=300, description="Its name, for people; such as leads.csv.")]
    size_bytes: Annotated[int, Field(ge=1, le=MAX_BYTES, description="Its exact size; at most 50 MB.")]
    purpose: Annotated[Literal["leads_csv"], Field(description="What it is for.")] = "leads_csv"


class UploadCreated(Output):
    """Where to send the file, once. ``putUrl`` without a host: on the server that was called."""

    upload_id: str
    put_url: str
    name: UntrustedText
    size_bytes: int
    expires_at: datetime
    how: str


@operation(
    title="Create an upload",
    keywords="big large huge size megabytes mb gigabytes long million rows transfer hand drop link address",
    effect=Effect.WRITE,
    rest=Rest("POST", "/v1/uploads", status=201),
    sensitive=True,
)
def create_upload(ctx: Context, request: CreateUpload) -> UploadCreated:
    """Get an address to send a large CSV file to, then import it by its id: for files over 256 kB, up to 50 MB.

    Send the file's bytes with PUT to putUrl within an hour, without any key: the address itself is the permission, and
    works once. Then call import_leads_csv or import_campaign_leads_csv with uploadId. Smaller files go as text in csv.
    """
    row = register_file(ctx, "upload", display_name(request.name, "leads.csv"), "text/csv", request.size_bytes)
    url = link_to(ctx, "send", row)
    return UploadCreated(
        upload_id=row.id,
        put_url=url,
        name=row.name,
        size_bytes=row.size_bytes,
        expires_at=row.expires_at,
        how=f"curl -T leads.csv '{_reached(url)}'; then import_leads_csv with uploadId {row.id}",
    )


def _reached(url: str) -> str:
    """The address in full, as far as it is known: on stdio, and by plain http from elsewhere, it is not."""
    return f"http://ADDRESS-OF-THIS-SERVER{url}" if url.startswith("/") else url
