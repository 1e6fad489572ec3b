"""What numbered rows tell of a loss: how far, how many, and whether there is a hole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pytest_envdr.drills.heartbeats import Beats, Loss, losses

FAULT = datetime(2026, 1, 1, 12, tzinfo=UTC)


def beats(*numbers: int) -> Beats:
    """Heartbeats of these numbers, one a second; number 100 was written at the fault."""
    return Beats({number: FAULT + timedelta(seconds=number - 100) for number in numbers})


def loss(before: Beats, restored: Beats) -> Loss:
    """What one database lost."""
    (found,) = losses({"central": before}, {"central": restored}, FAULT)
    return found


def test_the_newest_that_survived() -> None:
    """RPA from it to the fault, and what was written between."""
    found = loss(beats(*range(50, 101)), beats(*range(40, 91)))
    assert (found.newest, found.lost, found.rpa_seconds, found.missing) == (90, 10, 10.0, ())
    point = found.point("manual")
    assert (point.store, point.lost, point.error_seconds, point.source) == ("database central", 10, 1.0, "manual")
    assert "heartbeat 90 of 11:59:50" in point.newest


def test_nothing_survived() -> None:
    """No heartbeat at all: nothing is known but that all may be lost."""
    found = loss(beats(*range(90, 101)), beats())
    assert (found.newest, found.rpa_seconds, found.lost) == (None, None, 11)
    assert found.point("manual").newest == "no heartbeat"


def test_none_is_older_than_the_fault() -> None:
    """What was written while the restore was asked for is no negative loss."""
    found = loss(beats(*range(90, 101)), beats(*range(90, 105)))
    assert (found.rpa_seconds, found.lost) == (0.0, 0)


@pytest.mark.parametrize(
    ("before", "restored", "missing"),
    [
        (range(50, 101), [*range(60, 70), *range(71, 91)], (70,)),
        # The source lacks it too: a tenant that was out of service.
        ([*range(50, 70), *range(71, 101)], [*range(50, 70), *range(71, 91)], ()),
        # Older than what the source still has: numbers are without a hole, whoever pruned since.
        (range(95, 101), [*range(10, 20), *range(21, 30)], (20,)),
        # Older than what was restored: pruned before the backup.
        (range(50, 101), range(80, 91), ()),
    ],
    ids=["a hole", "a hole of the source's", "a hole from before", "pruned"],
)
def test_a_hole(before: range | list[int], restored: range | list[int], missing: tuple[int, ...]) -> None:
    """A number that the source has and the copy has not, below the newest."""
    assert loss(beats(*before), beats(*restored)).missing == missing


def test_a_database_without_heartbeats_says_nothing() -> None:
    """One that had none at the fault is left out."""
    assert losses({"central": beats()}, {}, FAULT) == []
