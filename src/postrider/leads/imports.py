"""CSV imports as jobs: how a file becomes one, and what each batch adds to its result."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Annotated, BinaryIO, Final, NamedTuple, cast

from pydantic import Field
from sqlalchemy.orm import Session

from postrider.files.queries import not_sent, sent_file
from postrider.jobs.operations import JobStarted
from postrider.jobs.queries import MAX_CHUNK_BYTES, create_job, drop_chunk, new_job_id, read_chunk, store_chunks
from postrider.jobs.tables import Job
from postrider.kernel.context import Context, OutsideContext, UploadedFile
from postrider.kernel.errors import Forbidden, InvalidInput
from postrider.kernel.operation import Input
from postrider.leads.csv_leads import RowError
from postrider.leads.csv_rows import MAX_FILE_BYTES
from postrider.leads.intake import Batch, open_intake
from postrider.leads.rules import MAX_TAG_CHARACTERS
from postrider.leads.writing import Written
from postrider.storage.base import JsonObject, JsonValue

IMPORT_LEADS: Final = "import_leads_csv"
FILE_FIELD: Final = "file"
BATCH_ROWS: Final = 1_000
MAX_INLINE_CHARACTERS: Final = 256 * 1024
MAX_LISTED_IDS: Final = 1_000
"""The result is written anew with every batch, and read by agents: a tag finds the leads better than many ids."""
MAX_LISTED_ERRORS: Final = 1_000
_BATCHES_TOGETHER: Final = 5
_CHUNKS_TOGETHER: Final = 5
"""Read at a time, and written in one transaction."""
_READ_BYTES: Final = 1024 * 1024
SENDS_AGREED: Final = "sendsAgreed"
"""In a job's arguments: whether mail may leave because of it, as was found when it was started (see Context)."""
AGREED_CONTENT: Final = "agreedContent"
"""In a job's arguments: the digest of the content that somebody has said yes to, if they were asked (see Context)."""
CAPPED_BY: Final = "cappedBy"
"""In a job's arguments: the credential with a limit that started it (see Context)."""
_MORE: Final = b"+"
_LAST: Final = b"."
"""The first byte of a chunk: whether its batch goes on in the next one."""


class CsvInput(Input):
    """A CSV file, given in one of four ways, and how to read it."""

    csv: Annotated[
        str | None,
        Field(max_length=MAX_INLINE_CHARACTERS, description="The file's text, header first; at most 256 kB."),
    ] = None
    path: Annotated[
        str | None,
        Field(max_length=4_096, description="A file in the import folder of this machine; local callers only."),
    ] = None
    upload_id: Annotated[
        str | None, Field(max_length=40, description="A file that was sent to the address of create_upload (file_…).")
    ] = None
    mapping: Annotated[
        dict[Annotated[str, Field(max_length=1_000)], Annotated[str, Field(max_length=200)]] | None,
        Field(
            max_length=200,
            description="Column to field: email, firstName, … or custom:Name, or empty to ignore the column. "
            "Columns left out are recognised by their names.",
        ),
    ] = None
    data_cleanup: Annotated[
        bool,
        Field(
            description="Mend addresses, names, phone numbers and LinkedIn addresses; names lose digits and symbols."
        ),
    ] = True
    tag: Annotated[
        str | None,
        Field(max_length=MAX_TAG_CHARACTERS, description="Tag for the leads that the import creates or updates."),
    ] = None


@dataclass(frozen=True, slots=True)
class ImportOrder:
    """What an import is to do, beside its file. ``result`` is what its job's result starts as.

    ``batch_rows``: as many rows as fit well into one transaction (at most 50 ms).
    """

    kind: str
    arguments: JsonObject
    result: JsonObject
    merge: bool
    batch_rows: int


async def start_import(ctx: OutsideContext, request: CsvInput, order: ImportOrder) -> JobStarted:
    """Reads the whole file, keeps it batch by batch, and starts the job.

    Raises: InvalidInput when anything is wrong with the file as a whole; then nothing is kept.
    """
    job_id = new_job_id(ctx.now)
    sent = await ctx.read(partial(_sent, request=request))
    with closing(_open(ctx, request, sent)) as file:
        intake = await asyncio.to_thread(
            partial(
                open_intake,
                file,
                request.mapping,
                clean=request.data_cleanup,
                merge=order.merge,
                tag=request.tag,
                rows=order.batch_rows,
            )
        )
        total = await _store(ctx, job_id, intake.batches)
    details: JsonObject = {
        "totalRows": total,
        "columns": list[JsonValue](column for column in intake.table.columns if column),
        "mapping": dict[str, JsonValue](intake.plan.mapping),
        "encoding": intake.table.encoding,
        "delimiter": intake.table.delimiter,
        "cleanedNames": {
            "count": intake.cleaned.count,
            "examples": [{"from": old, "to": new} for old, new in intake.cleaned.examples.items()],
        },
    }
    result = order.result | {"totalRows": total, "csvInfo": details}
    return await ctx.effect(lambda c: _create(c, job_id, order, result, total))


def most_rows(ctx: Context, request: CsvInput) -> tuple[int, str]:
    """How many leads a file can hold at most, and a digest of it. Raises: InvalidInput, Forbidden."""
    digest, breaks = hashlib.sha256(), Counter[bytes]()
    with closing(_open(ctx, request, _sent(ctx, request))) as file:
        while part := file.read(_READ_BYTES):
            digest.update(part)
            breaks.update({each: part.count(each) for each in (b"\n", b"\r")})
    # The header has one of them; the last row may have none.
    return max(breaks.values(), default=0), digest.hexdigest()


def next_batch(session: Session, job: Job) -> Batch:
    """The batch that comes next, struck off the job's file and counted as done."""
    number, data, more = cast("int", job.cursor.get("chunk", 0)), bytearray(), True
    while more:
        piece = read_chunk(session, job.workspace_id, job.id, number)
        if piece is None:
            raise LookupError(f"chunk {number} of {job.id} is missing")
        drop_chunk(session, job.workspace_id, job.id, number)
        data, more, number = data + piece[1:], piece[:1] == _MORE, number + 1
    batch = Batch.from_bytes(bytes(data))
    job.cursor = {"chunk": number}
    job.done += batch.rows
    return batch


def is_done(job: Job) -> bool:
    """Whether every row of the file has had its turn."""
    return job.total is not None and job.done >= job.total


def leads_order(*, merge: bool) -> ImportOrder:
    """The order to import leads into the workspace. Updates cost more than inserts, so that fewer go into a batch."""
    result: JsonObject = {
        "imported": 0,
        "updated": 0,
        "skipped": 0,
        "failed": 0,
        "importedLeadIds": [],
        "errors": [],
    }
    return ImportOrder(IMPORT_LEADS, {"merge": merge}, result, merge, BATCH_ROWS // 4 if merge else BATCH_ROWS)


def count_batch(job: Job, batch: Batch, written: Written, *, merge: bool) -> None:
    """Adds a batch to the result of an import of leads."""
    result = dict(job.result)
    known = batch.repeated + len(written.existing)
    add_to(result, "imported", len(written.created))
    add_to(result, "updated" if merge else "skipped", known)
    add_to(result, "failed", len(batch.errors))
    ids = cast("list[JsonValue]", result["importedLeadIds"])
    result["importedLeadIds"] = [*ids, *list(written.created.values())[: MAX_LISTED_IDS - len(ids)]]
    result["errors"] = with_errors(result["errors"], batch.errors)
    job.result = result


def add_to(counts: JsonObject, name: str, number: int) -> None:
    """Raises the count ``name`` by ``number``."""
    counts[name] = cast("int", counts[name]) + number


def with_errors(before: JsonValue, errors: list[RowError]) -> list[JsonValue]:
    """The listed errors with those of a batch, as far as there is room."""
    present = cast("list[JsonValue]", before)
    room = MAX_LISTED_ERRORS - len(present)
    listed: list[JsonValue] = [{"email": error.email, "error": error.error} for error in errors[:room]]
    return present + listed


async def _store(ctx: OutsideContext, job_id: str, batches: Iterator[Batch]) -> int:
    """Keeps every batch and gives back how many rows there are. Raises: InvalidInput; then nothing is kept."""
    number = total = 0
    ahead = asyncio.create_task(asyncio.to_thread(_next, batches))
    try:
        while (found := await ahead).rows:
            # The file is read on while these are written.
            ahead = asyncio.create_task(asyncio.to_thread(_next, batches))
            for start in range(0, len(found.chunks), _CHUNKS_TOGETHER):
                part = found.chunks[start : start + _CHUNKS_TOGETHER]
                await ctx.write(partial(_keep, job_id=job_id, number=number, chunks=part))
                number += len(part)
            total += found.rows
            await ctx.progress(total, None, "Reading the file")
        if not total:
            raise InvalidInput("The file has a header but no rows.", field="csv", hint="Add rows below the header.")
    except InvalidInput:
        for stored in range(number):
            await ctx.write(partial(_forget, job_id=job_id, number=stored))
        raise
    finally:
        # Nobody may close the file under it.
        await asyncio.gather(ahead, return_exceptions=True)
    return total


class _Chunks(NamedTuple):
    """How many rows some batches have, and the chunks they are kept in: nearly always one for each."""

    rows: int
    chunks: list[bytes]


def _next(batches: Iterator[Batch]) -> _Chunks:
    """The next few batches; none after the last one."""
    rows, chunks, room = 0, list[bytes](), MAX_CHUNK_BYTES - 1
    for batch in islice(batches, _BATCHES_TOGETHER):
        data = batch.to_bytes()
        pieces = [data[at : at + room] for at in range(0, len(data), room)]
        chunks += [*(_MORE + piece for piece in pieces[:-1]), _LAST + pieces[-1]]
        rows += batch.rows
    return _Chunks(rows, chunks)


def _keep(ctx: Context, *, job_id: str, number: int, chunks: list[bytes]) -> None:
    store_chunks(ctx.session, ctx.workspace_id, job_id, number, chunks)


def _forget(ctx: Context, *, job_id: str, number: int) -> None:
    drop_chunk(ctx.session, ctx.workspace_id, job_id, number)


def _create(ctx: Context, job_id: str, order: ImportOrder, result: JsonObject, total: int) -> JobStarted:
    content = None if ctx.agreed is None else ctx.agreed.content_digest
    agreement: JsonObject = {SENDS_AGREED: ctx.sends_agreed, AGREED_CONTENT: content, CAPPED_BY: ctx.capped_by}
    create_job(
        ctx.session,
        workspace_id=ctx.workspace_id,
        job_id=job_id,
        kind=order.kind,
        arguments=order.arguments | agreement,
        result=result,
        total=total,
        created_by=ctx.actor.credential_id,
        now=ctx.now,
    )
    ctx.wake("jobs")
    return JobStarted(job_id=job_id, state="waiting", total=total)


def _open(ctx: Context | OutsideContext, request: CsvInput, sent: Path | None) -> BinaryIO:
    """The file, whichever way it was given; ``sent``: see _sent. Raises: InvalidInput, Forbidden."""
    uploaded = ctx.files.get(FILE_FIELD)
    given = [way for way in (request.csv, request.path, request.upload_id, uploaded) if way is not None]
    if len(given) != 1:
        raise InvalidInput(
            "Give the CSV file in exactly one way: its text in csv, uploadId, a path, or the form field file.",
            field="csv",
            hint="Up to 256 kB fit into csv; larger files: create_upload and uploadId, or multipart/form-data to /v1.",
        )
    if request.csv is not None:
        return BytesIO(request.csv.encode())
    if sent is not None:
        return _sent_file(sent)
    path = uploaded.path if isinstance(uploaded, UploadedFile) else _allowed_path(request.path or "", ctx)
    if path.stat().st_size > MAX_FILE_BYTES:
        raise InvalidInput(
            f"The file is larger than {MAX_FILE_BYTES // 1024**2} MB.", field="csv", hint="Split it into parts."
        )
    return path.open("rb")


def _sent(ctx: Context, request: CsvInput) -> Path | None:
    """Where the file is that an upload is named for."""
    return None if request.upload_id is None else sent_file(ctx, request.upload_id)


def _sent_file(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise not_sent() from None


def _allowed_path(text: str, ctx: Context | OutsideContext) -> Path:
    if ctx.actor.kind != "local":
        raise Forbidden("path is for callers on this machine only.", hint="Send the file's text in csv instead.")
    folder = ctx.settings.import_dir.resolve()
    # Resolved before it is compared: neither .. nor a symbolic link leads out of the folder.
    path = (folder / text).resolve() if "\x00" not in text else folder
    if not path.is_relative_to(folder) or not path.is_file():
        raise InvalidInput(
            "path names no file in the import folder.",
            field="path",
            hint=f"Put the file into {folder} and give its name.",
        )
    return path
