"""Rows of files: registering, finding, forgetting."""

from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.orm import Session

from postrider.access.queries import lock_workspace
from postrider.files.links import Linked, Purpose, sign_link
from postrider.files.store import FileKind, old_files, path_of, remove
from postrider.files.tables import StoredFile
from postrider.kernel.context import Actor, Context
from postrider.kernel.errors import LimitReached, NotFound
from postrider.kernel.ids import check_id, new_id
from postrider.storage.leases import wall_ms, wall_ms_now

KEPT: Final = timedelta(hours=1)
MOST_BYTES: Final = 500 * 1024 * 1024
"""Of all files of a workspace together."""
_SWEEP: Final = 20
_STRAYS: Final = 500


def register_file(ctx: Context, kind: FileKind, name: str, media_type: str, size_bytes: int) -> StoredFile:
    """A file of the workspace: an export is ready; an upload is open and takes its room once it is being sent.

    Raises: LimitReached when there is no room for it now.
    """
    sweep_files(ctx.session, ctx.settings.data_dir, ctx.now, ctx.workspace_id)
    check_room(ctx.session, ctx.workspace_id, size_bytes, ctx.now)
    row = StoredFile(
        workspace_id=ctx.workspace_id,
        id=new_id("file"),
        kind=kind,
        state="ready" if kind == "export" else "open",
        name=name,
        media_type=media_type,
        size_bytes=size_bytes,
        created_by=ctx.actor.credential_id,
        actor_kind=ctx.actor.kind,
        client_id=ctx.actor.client_id,
        user_id=ctx.actor.user_id,
        created_at=ctx.now,
        expires_at=ctx.now + KEPT,
        claim=None,
        claimed_until_ms=None,
    )
    ctx.session.add(row)
    ctx.session.flush()
    return row


def check_room(session: Session, workspace_id: str, size_bytes: int, now: datetime) -> None:
    """Returns when the workspace has room for so much, which nobody else is given until the transaction has ended.

    What is there counts, and what is being sent just now; an upload that is only announced takes no room.
    Raises: LimitReached.
    """
    lock_workspace(session, workspace_id)
    now_ms = wall_ms(session.get_bind().dialect.name)
    takes_room = (StoredFile.state == "ready") | (StoredFile.claimed_until_ms > now_ms)
    used = select(func.coalesce(func.sum(StoredFile.size_bytes), 0)).where(
        StoredFile.workspace_id == workspace_id, StoredFile.expires_at > now, takes_room
    )
    if (session.scalar(used) or 0) + size_bytes > MOST_BYTES:
        raise LimitReached(
            f"The files of this workspace would take more than {MOST_BYTES // 1024**2} MB.",
            hint="Files are forgotten an hour after they were made; try again then.",
            retry_after_seconds=int(KEPT.total_seconds()),
        )


def maker_of(row: StoredFile) -> Actor:
    """Whoever made the file, as one who comes by its link: with no other right."""
    return Actor(
        row.actor_kind,  # type: ignore[arg-type]  # as it was stored
        row.created_by,
        row.user_id,
        row.workspace_id,
        frozenset(),
        "readonly",
        "web",
        client_id=row.client_id,
    )


def link_to(ctx: Context, purpose: Purpose, row: StoredFile) -> str:
    """The address of the file for an hour; only its path where no address of this server is known."""
    # The life of a link is wall time, whatever the business's clock says.
    expires_ms = wall_ms_now() + int(KEPT.total_seconds()) * 1000
    token = sign_link(ctx.vault, purpose, Linked(row.workspace_id, row.id), expires_ms)
    return f"{ctx.settings.public_url or ctx.base_url or ''}/{'files' if purpose == 'fetch' else 'uploads'}/{token}"


def find_file(session: Session, linked: Linked, kind: FileKind, state: str, now: datetime) -> StoredFile | None:
    """The file of this kind in this state, unless it has run out."""
    row = session.get(StoredFile, tuple(linked))
    return row if row is not None and (row.kind, row.state) == (kind, state) and row.expires_at > now else None


def sent_file(ctx: Context, upload_id: str) -> Path:
    """Where the file of an upload is. Raises: InvalidInput, NotFound until the whole of it has been received."""
    linked = Linked(ctx.workspace_id, check_id(upload_id, "file", "uploadId"))
    row = find_file(ctx.session, linked, "upload", "ready", ctx.now)
    if row is None:
        raise not_sent()
    return path_of(ctx.settings.data_dir, "upload", *linked, row.claim)


def not_sent() -> NotFound:
    """What an upload is answered whose file is not there."""
    return NotFound(
        "There is no such upload, or its file has not been sent.",
        hint="create_upload gives an address; send the file there with PUT first, within an hour.",
    )


def sweep_files(session: Session, data_dir: Path, now: datetime, workspace_id: str | None = None) -> int:
    """Forgets some of the files that have run out; how many. ``workspace_id``: of this one only."""
    old = select(StoredFile.workspace_id, StoredFile.id, StoredFile.kind).where(StoredFile.expires_at <= now)
    if workspace_id is not None:
        old = old.where(StoredFile.workspace_id == workspace_id)
    found = session.execute(old.order_by(StoredFile.expires_at).limit(_SWEEP)).all()
    for owner, file_id, kind in found:
        remove(data_dir, "export" if kind == "export" else "upload", owner, file_id)
    if found:
        key = tuple_(StoredFile.workspace_id, StoredFile.id)
        session.execute(delete(StoredFile).where(key.in_([(row[0], row[1]) for row in found])))
    return len(found)


def sweep_strays(session: Session, data_dir: Path) -> None:
    """Deletes old files that no row speaks of, as a process leaves them that was killed."""
    old = list(islice(old_files(data_dir), _STRAYS))
    known = set(session.scalars(select(StoredFile.id).where(StoredFile.id.in_({file_id for _, file_id in old}))))
    for path, file_id in old:
        if file_id not in known:
            path.unlink(missing_ok=True)
