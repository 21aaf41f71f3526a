"""``db``: upgrade, status, release-hold."""

import asyncio

import typer

from postrider.doors.cli.opening import opened
from postrider.doors.cli.words import say
from postrider.sending import epoch
from postrider.sending.epoch import FILE_NAME, held_reason
from postrider.settings import load_settings
from postrider.storage.schema import HEAD, read_revision, upgrade_schema


def upgrade() -> None:
    """Upgrades, and says from where to where."""
    settings = load_settings()
    if read_revision(settings) == HEAD:
        say(f"The database is at {HEAD} already.")
        return
    before = upgrade_schema(settings)
    say(f"Upgraded from {before or 'nothing'} to {HEAD}.")


def status() -> None:
    """Prints the revision; exit status 1 unless it is the needed one."""
    found = read_revision(load_settings())
    if found == HEAD:
        say(f"The database is at {HEAD}, as needed.")
        return
    say(f"The database {'is empty' if found is None else f'is at {found}'}; {HEAD} is needed.")
    say("Run: postrider db upgrade")
    raise typer.Exit(1)


def release_hold() -> None:
    """Accepts this database as the one to go on with, and says why it was held."""
    asyncio.run(_release_hold())


async def _release_hold() -> None:
    async with opened() as app:
        file = app.settings.data_dir / FILE_NAME
        reason = await app.database.read(lambda session: held_reason(session, file))
        if reason is None:
            say("Nothing was held.")
            return
        say(reason)
        await app.database.write(lambda session: epoch.release_hold(session, file))
        say("Released: the engine sends again.")
