"""An installation whose people can sign in."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from postrider.settings import Settings, load_settings
from tests.conftest import Installation
from tests.people.rig import Person, give_password, person_at


@pytest.fixture
def settings(tmp_path: Path, prepared_sqlite: Path) -> Settings:
    """SQLite: the pages do not know which database there is. What they call is tested on both."""
    loaded = load_settings({"POSTRIDER_DATA_DIR": str(tmp_path / "data")})
    loaded.data_dir.mkdir(mode=0o700)
    shutil.copy2(prepared_sqlite, loaded.sqlite_path)
    return loaded


@pytest.fixture
async def house(installation: Installation) -> Installation:
    """Ann and Bob have passwords."""
    await give_password(installation.app, "ann@ann.test")
    await give_password(installation.app, "bob@bob.test")
    return installation


@pytest.fixture
async def visitor(house: Installation) -> AsyncIterator[Person]:
    """Somebody who has not signed in."""
    async with person_at(house.app) as person:
        yield person


@pytest.fixture
async def ann(house: Installation) -> AsyncIterator[Person]:
    """Ann, signed in."""
    async with person_at(house.app) as person:
        assert (await person.sign_in("ann@ann.test")).status_code == 303
        yield person
