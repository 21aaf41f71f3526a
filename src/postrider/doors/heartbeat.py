"""Whether an engine is alive, as far as the database knows."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from postrider.storage.leases import wall_ms
from postrider.storage.tables import EngineLease


def lease_left_ms(session: Session) -> int | None:
    """How long the freshest lease of any engine still holds (not above 0: it has run out); None when there is none."""
    now = wall_ms(session.get_bind().dialect.name)
    left = session.scalar(select(func.max(EngineLease.expires_ms) - now))
    return None if left is None else int(left)


def engine_runs(session: Session) -> bool:
    """Whether some engine, in this process or another one, is alive."""
    return (lease_left_ms(session) or 0) > 0
