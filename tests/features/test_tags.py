"""Labels, through the dispatcher, on both databases."""

import pytest

from postrider.kernel.errors import Conflict, InvalidInput
from tests.conftest import Installation


async def test_a_new_workspace_has_the_seeded_labels(installation: Installation) -> None:
    names = {tag["name"]: tag["positive"] for tag in (await installation.call("list_tags"))["items"]}
    assert names["interested"] is True
    assert names["unsubscribe"] is False
    assert len(names) == 11


async def test_a_created_label_is_listed_with_its_colour(installation: Installation) -> None:
    created = await installation.call("create_tag", name="Hot  Lead", color="#FF0000")
    assert created["name"] == "Hot Lead"
    assert created in (await installation.call("list_tags"))["items"]


async def test_label_names_are_unique_whatever_their_case(installation: Installation) -> None:
    with pytest.raises(Conflict, match="interested"):
        await installation.call("create_tag", name="INTERESTED")


async def test_another_workspace_keeps_its_own_labels(installation: Installation) -> None:
    await installation.call("create_tag", name="Mine")
    theirs = await installation.call("list_tags", owner=installation.bob)
    assert "Mine" not in [tag["name"] for tag in theirs["items"]]


async def test_an_unknown_field_is_refused_with_the_nearest_name(installation: Installation) -> None:
    with pytest.raises(InvalidInput, match="did you mean color"):
        await installation.call("create_tag", name="X", colour="#ffffff")
