"""What the tests of the audit log share: looking at its rows, and sealing them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from postrider.audit.rules import KEY_PURPOSE
from postrider.audit.sealing import seal_batch
from postrider.audit.tables import AuditEvent
from postrider.audit.verifying import Break, Walk, tail_of, walk_page
from tests.conftest import Installation


async def audit_rows(installation: Installation, workspace_id: str | None = None) -> Sequence[AuditEvent]:
    """The rows of a workspace (Ann's) in the order of their ids."""
    wanted = workspace_id or installation.ann.workspace_id
    query = select(AuditEvent).where(AuditEvent.workspace_id == wanted).order_by(AuditEvent.id)
    return await installation.app.database.read(lambda session: session.scalars(query).all())


async def seal(installation: Installation, workspace_id: str | None = None) -> int:
    """Chains everything; how many rows."""
    app, wanted, total = installation.app, workspace_id or installation.ann.workspace_id, 0
    key = app.vault.derive(KEY_PURPOSE)
    while rows := await app.database.write(lambda session: seal_batch(session, key, wanted, app.clock.now())):
        total += rows
    return total


async def walked(installation: Installation, workspace_id: str | None = None) -> Walk:
    """The chain of a workspace, walked to its end or its first break."""
    app, walk = installation.app, Walk(workspace_id or installation.ann.workspace_id)
    key = app.vault.derive(KEY_PURPOSE)
    while await app.database.read(lambda session: walk_page(session, key, walk)):
        pass
    await app.database.read(lambda session: tail_of(session, walk))
    return walk


async def first_break(installation: Installation) -> Break | None:
    """Where Ann's chain does not hold."""
    return (await walked(installation)).first_break


async def run(installation: Installation, *statements: Any) -> None:
    """What somebody with access to the database does, past Postrider."""

    def write(session: Any) -> None:
        for statement in statements:
            session.connection().execute(statement)

    await installation.app.database.write(write)
