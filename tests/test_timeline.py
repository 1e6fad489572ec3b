"""The time-line: what happened when, and what that makes of the objectives."""

from __future__ import annotations

from datetime import UTC, timedelta

import pytest

from pytest_envdr.timeline import Actuals, Clock, Entry, Mark, Phase, Timeline, actuals


@pytest.fixture
def told() -> list[Entry]:
    """What the sink was given."""
    return []


@pytest.fixture
def timeline(told: list[Entry]) -> Timeline:
    """A time-line on a clock of its own."""
    return Timeline(told.append, Clock())


def recovered(timeline: Timeline, *, fault: float, seen: float, good: float, verified: float) -> Actuals:
    """Mark a recovery at these readings; the actuals."""
    timeline.mark(Mark.FAULT, clock=fault)
    timeline.mark(Mark.SEEN, clock=seen)
    timeline.mark(Mark.RECOVERED, clock=good, error_seconds=0.25)
    timeline.mark(Mark.VERIFIED, clock=verified)
    return actuals(timeline.entries)


def test_the_parts_add_up(timeline: Timeline) -> None:
    """RTA = detect + recover + validate, with the stated error."""
    assert recovered(timeline, fault=10, seen=14, good=20, verified=23) == Actuals(13, 4, 6, 3, 0.25)


def test_what_heals_unseen_has_no_recovery_after_detection(timeline: Timeline) -> None:
    """Seen after it was well again: detection ends with the recovery, and the parts still add up."""
    found = recovered(timeline, fault=10, seen=25, good=20, verified=23)
    assert (found.rta_seconds, found.detect_seconds, found.recover_seconds, found.validate_seconds) == (13, 10, 0, 3)


@pytest.mark.parametrize("missing", list(Mark))
def test_without_every_mark_there_is_no_actual(timeline: Timeline, missing: Mark) -> None:
    """A recovery that was not begun, seen, reached or verified has no RTA, not a small one."""
    for reading, mark in enumerate(Mark):
        if mark is not missing:
            timeline.mark(mark, clock=float(reading))
    assert actuals(timeline.entries) == Actuals()


def test_the_last_mark_of_a_name_holds(timeline: Timeline) -> None:
    """A recovery that did not hold is marked again: the last counts, for the actuals and for whoever asks."""
    recovered(timeline, fault=0, seen=1, good=2, verified=3)
    timeline.mark(Mark.RECOVERED, clock=8.0)
    timeline.mark(Mark.VERIFIED, clock=9.0)
    assert actuals(timeline.entries).rta_seconds == 9
    found = timeline.marked(Mark.RECOVERED)
    assert found is not None
    assert found.clock == 8
    assert timeline.marked("never") is None


def test_phases_end_however_they_are_left(timeline: Timeline, told: list[Entry]) -> None:
    """A phase that fails is ended too, and everything reaches the sink in order."""
    with timeline.phase(Phase.KICK_OFF):
        pass
    with pytest.raises(KeyboardInterrupt), timeline.phase("recover"):
        raise KeyboardInterrupt
    assert [(entry.kind, entry.data["phase"]) for entry in told] == [
        ("phase.begin", "kick-off"),
        ("phase.end", "kick-off"),
        ("phase.begin", "recover"),
        ("phase.end", "recover"),
    ]
    assert told == timeline.entries


def test_a_phase_that_the_plan_does_not_have_is_refused(timeline: Timeline, told: list[Entry]) -> None:
    """Only the plan's six phases."""
    with pytest.raises(ValueError, match="intermission"), timeline.phase("intermission"):
        pytest.fail("entered")
    assert told == []


def test_one_clock_for_durations_and_instants() -> None:
    """A reading and its UTC instant belong together both ways, so AWS's own time stamps find their place."""
    clock = Clock()
    reading = clock.monotonic()
    at = clock.at(reading)
    assert at.tzinfo is UTC
    assert clock.reading(at) == pytest.approx(reading, abs=1e-5)
    assert clock.at(reading + 90) - at == timedelta(seconds=90)


def test_an_entry_may_be_placed_elsewhere(timeline: Timeline) -> None:
    """What AWS says happened earlier stands at its own instant, with its data."""
    now = timeline.clock.monotonic()
    entry = timeline.add("aws.fact", clock=now - 5, what="task", text="started")
    assert (entry.clock, entry.at) == (now - 5, timeline.clock.at(now - 5))
    assert entry.data == {"what": "task", "text": "started"}
