"""When a key was last used, to the minute."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, or_, update

from postrider.access.tables import ApiKey

GRAIN: Final = timedelta(minutes=1)
"""Who calls all the time costs one write in so long."""


def note_key_use(connection: Connection, key_id: str, now: datetime) -> None:
    """Writes down that a key is in use."""
    stale = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= now - GRAIN)
    connection.execute(update(ApiKey).where(ApiKey.id == key_id, stale).values(last_used_at=now))
