"""How sure a rate is, in the browser that computes it, against published figures."""

from pathlib import Path
from typing import Any

import pytest

from tests.views.browser import Chromium
from tests.views.test_registry import SOURCES

SOURCE = Path(SOURCES / "statistics.js").read_text(encoding="utf-8")


async def computed(browser: Chromium, expression: str) -> Any:
    page = await browser.browser.new_page()
    found = await page.evaluate(f"() => {{ {SOURCE}\nreturn {expression}; }}")
    await page.close()
    return found


@pytest.mark.parametrize(
    ("hits", "tries", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
async def test_wilsons_interval_is_as_newcombe_printed_it(
    browser: Chromium, hits: int, tries: int, low: float, high: float
) -> None:
    """Source: Newcombe, Statistics in Medicine 17 (1998) 857, table I, method 3."""
    assert await computed(browser, f"wilson({hits}, {tries})") == pytest.approx([low, high], abs=6e-5)


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 10), -0.2775, 0.2775),
    ],
)
async def test_the_interval_of_a_difference_is_as_newcombe_printed_it(
    browser: Chromium, one: tuple[int, int], other: tuple[int, int], low: float, high: float
) -> None:
    """Source: Newcombe, Statistics in Medicine 17 (1998) 873, table II, method 10."""
    given = [f"{{hits: {hits}, tries: {tries}}}" for hits, tries in (one, other)]
    assert await computed(browser, f"difference({', '.join(given)})") == pytest.approx([low, high], abs=6e-5)


@pytest.mark.parametrize(
    ("variants", "best"),
    [
        ([(56, 70), (48, 80)], "0"),
        ([(48, 80), (56, 70)], "1"),
        ([(50, 70), (52, 80)], None),
        ([(9, 10)], None),
        ([(9, 10), (0, 0)], None),
        ([(0, 10), (0, 10)], None),
        # Clear between two, not clear any more among three: more comparisons, more chance.
        ([(54, 70), (48, 80)], "0"),
        ([(54, 70), (48, 80), (48, 80)], None),
        ([(70, 80), (40, 80), (40, 80)], "0"),
        ([(5, 3), (1, 90)], "0"),
    ],
)
async def test_a_winner_is_named_only_where_it_beats_each_other_one(
    browser: Chromium, variants: list[tuple[int, int]], best: str | None
) -> None:
    given = [{"label": str(place), "hits": hits, "tries": tries} for place, (hits, tries) in enumerate(variants)]
    assert await computed(browser, f"clearlyBest({given})?.label ?? null") == best
