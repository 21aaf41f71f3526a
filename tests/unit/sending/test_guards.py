"""The guards of a send: each objects to its own trouble, at its own instant, and to nothing else."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from postrider.sending.guards import GUARDS, Objection, Standing, objection
from tests.engine.guard_changes import named_guards

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
FREE = Standing(
    workspace_paused=False,
    campaign_status="active",
    enrollment_status="active",
    mailbox_status="active",
    mailbox_enabled=True,
    cool_until=None,
    suppressed=None,
    claimed=True,
    revision=1,
    closes_at=NOW + timedelta(hours=1),
)
"""Nothing forbids this send."""
TROUBLES = (
    ("claim_holds", "claim_lost", {"claimed": False}, "another engine has taken this over"),
    ("workspace_running", "workspace_paused", {"workspace_paused": True}, "the workspace is paused"),
    ("campaign_active", "campaign_not_active", {"campaign_status": "paused"}, "the campaign is paused"),
    ("campaign_active", "campaign_not_active", {"campaign_status": "completed"}, "the campaign is completed"),
    ("lead_active", "lead_not_active", {"enrollment_status": "replied"}, "the lead is replied"),
    ("lead_active", "lead_not_active", {"enrollment_status": "paused"}, "the lead is paused"),
    ("not_on_dnc", "on_dnc", {"suppressed": "said no"}, "on the do-not-contact list (said no)"),
    ("not_on_dnc", "on_dnc", {"suppressed": ""}, "on the do-not-contact list ()"),
    ("mailbox_healthy", "mailbox_unavailable", {"mailbox_status": None}, "the mailbox is gone"),
    (
        "mailbox_healthy",
        "mailbox_unavailable",
        {"mailbox_enabled": False},
        "sending is turned off for the mailbox",
    ),
    ("mailbox_healthy", "mailbox_unavailable", {"mailbox_status": "error"}, "the mailbox is in state error"),
    (
        "mailbox_healthy",
        "mailbox_unavailable",
        {"cool_until": NOW + MOMENT},
        "the mailbox cools down until 2026-03-02T12:00:00",
    ),
    ("window_open", "window_closed", {"closes_at": NOW}, "the sending window closed at 2026-03-02T12:00:00"),
    ("window_open", "window_closed", {"closes_at": NOW - MOMENT}, "the sending window closed at 2026-03-02T11:59:59"),
    ("copies_not_on_dnc", "copy_on_dnc", {"listed_copy": "boss@a.test"}, "boss@a.test is on the do-not-contact list"),
)


@pytest.mark.parametrize(("guard", "reason", "trouble", "detail"), TROUBLES)
def test_a_guard_objects_to_its_own_trouble_and_no_other_guard_does(
    guard: str, reason: str, trouble: dict[str, object], detail: str
) -> None:
    standing = replace(FREE, **trouble)  # type: ignore[arg-type]
    assert {name for name, _, verdict in GUARDS if verdict(standing, NOW) is not None} <= {guard}
    found = objection(standing, NOW)
    assert found is not None
    assert (found.guard, found.reason) == (guard, reason)
    assert found.detail.startswith(detail)


def test_every_guard_has_a_trouble_here() -> None:
    assert set(named_guards()) == {trouble[:2] for trouble in TROUBLES}


@pytest.mark.parametrize(
    "standing",
    [
        FREE,
        replace(FREE, cool_until=NOW),
        replace(FREE, closes_at=NOW + MOMENT),
        replace(FREE, closes_at=None),
        replace(FREE, campaign_status=None, enrollment_status=None, revision=None, closes_at=None),
    ],
    ids=["free", "just cooled down", "the last moment of the window", "no window", "mail of no campaign"],
)
def test_nothing_objects_where_nothing_forbids(standing: Standing) -> None:
    assert objection(standing, NOW) is None


def test_the_first_guard_that_objects_has_the_word() -> None:
    """Whoever lost the claim may write nothing, so that is looked at before all else."""
    standing, order = FREE, []
    for name, trouble in reversed([(name, trouble) for name, _, trouble, _ in TROUBLES]):
        standing = replace(standing, **trouble)
        found = objection(standing, NOW)
        assert isinstance(found, Objection)
        assert found.guard == name
        order.append(name)
    assert list(dict.fromkeys(reversed(order))) == [name for name, _ in named_guards()]
