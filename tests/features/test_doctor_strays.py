"""Mail that no lead shows is counted where the person who runs the installation looks."""

import asyncio

import pytest

from postrider.doors.doctor import Finding, examine
from tests.conftest import Installation
from tests.engine.inbound import letter, make_mailroom


async def test_the_doctor_counts_stray_wishes_and_unreadable_mail(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = installation.app.settings
    monkeypatch.setenv("POSTRIDER_DATA_DIR", str(settings.data_dir))
    if settings.database_url is not None:
        monkeypatch.setenv("POSTRIDER_DATABASE_URL", settings.database_url)

    async def strays() -> Finding:
        findings = await asyncio.to_thread(lambda: list(examine("127.0.0.1", 0)))
        return next(each for each in findings if each.subject == "unmatched mail")

    room = await make_mailroom(installation)
    await room.take(letter("Please remove me from your list.", answers=room.id_of(0)))
    assert (await strays()).state == "ok"
    await room.take(letter("Please remove me from your list.", sender="other@elsewhere.test"))
    await room.take(letter("Our newsletter of March", sender="news@elsewhere.test"))
    await room.take(b"\x00\xff poison " * 100, poison=True)
    found = await strays()
    assert found.state == "note" and found.text.startswith("1 wishes") and "and 1 messages" in found.text
    assert found.mend is not None and "add_dnc_entries" in found.mend
