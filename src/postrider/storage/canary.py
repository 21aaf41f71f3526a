"""Tells at the start whether the installation's key is the one that the stored secrets were sealed with."""

import base64
from typing import Final

from sqlalchemy import Connection, Engine, create_engine, select
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool, StaticPool

from postrider.kernel.secret import Secret
from postrider.kernel.vault import Vault, VaultError
from postrider.settings import Settings
from postrider.storage.base import insert_or_ignore
from postrider.storage.schema import sqlite_path
from postrider.storage.sqlite import make_engine
from postrider.storage.tables import Meta

_KEY: Final = "key_canary"
_OWNER: Final = "installation/key_canary"
WRONG_KEY: Final = "The data was sealed with another key: restore secret.key or POSTRIDER_SECRET_KEY."


def check_key(settings: Settings, vault: Vault) -> None:
    """Makes sure that ``vault`` has this database's key; on the first start, makes it so. Raises: VaultError."""
    engine = _engine(settings)
    try:
        with engine.begin() as connection:
            fits = key_fits(connection, vault)
        if fits is None:
            with engine.begin() as connection:
                _leave(connection, vault)
                # Of two processes that start at once, the second reads what the first has left.
                fits = key_fits(connection, vault)
    finally:
        engine.dispose()
    if not fits:
        raise VaultError(WRONG_KEY)


def key_fits(session: Session | Connection, vault: Vault) -> bool | None:
    """Whether the database was sealed with the key of ``vault``; None before the first start."""
    found = session.execute(select(Meta.value).where(Meta.key == _KEY)).scalar()
    if found is None:
        return None
    try:
        vault.open(base64.b64decode(found), _OWNER)
    except VaultError:
        return False
    return True


def _leave(connection: Connection, vault: Vault) -> None:
    sealed = base64.b64encode(vault.seal(Secret("canary"), _OWNER)).decode()
    connection.execute(insert_or_ignore(Meta, connection.dialect.name, "key").values(key=_KEY, value=sealed))


def _engine(settings: Settings) -> Engine:
    path = sqlite_path(settings)
    if path is not None:
        return make_engine(str(path), begin="BEGIN", pool=StaticPool, size=1)
    assert settings.database_url is not None
    return create_engine(settings.database_url, poolclass=NullPool)
