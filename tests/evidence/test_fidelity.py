"""No vacuous passes: what stood behind the answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pytest_envdr.evidence.events import Event
from pytest_envdr.evidence.fidelity import total, weigh
from pytest_envdr.evidence.rows import Proves

NOW = datetime(2026, 5, 4, tzinfo=UTC)


def call(word: str | None, **changes: Any) -> Event:
    data = {"service": "ecs", "operation": "DescribeServices", "status": 200, "fidelity": word, **changes}
    return Event(0, NOW, 0.0, "aws.call", "t::x", data)


@pytest.mark.parametrize(
    ("calls", "proves", "unproven"),
    [
        ([call("acted")], Proves.MECHANISM, False),
        ([call("simulated"), call("stored")], Proves.MECHANISM, True),
        ([call("acted", status=500)], Proves.MECHANISM, True),
        ([call("acted", error="ThrottlingException")], Proves.MECHANISM, True),
        ([call(None)], Proves.MECHANISM, True),
        ([call("made up")], Proves.MECHANISM, True),
        ([], Proves.MECHANISM, True),
        ([call(None)], Proves.RECOVERY, False),
        ([call(None, status=None)], Proves.RECOVERY, True),
        ([], Proves.RECOVERY, True),
    ],
)
def test_only_an_acted_answer_proves(calls: list[Event], proves: Proves, unproven: bool) -> None:  # noqa: FBT001
    """On a sandbox an acted answer that succeeded, on AWS any that did."""
    assert weigh(calls, proves).unproven is unproven


def test_answers_are_counted_by_operation() -> None:
    """Each operation's answers are counted by what stood behind them; an unknown word is no declaration."""
    weighed = weigh(
        [call("acted"), call("acted"), call("what"), call("stored", operation="ListTasks")], Proves.MECHANISM
    )
    assert (weighed.acted, weighed.simulated, weighed.stored, weighed.undeclared) == (2, 0, 1, 1)
    assert weighed.operations == {"ecs.DescribeServices": {"acted": 2, "undeclared": 1}, "ecs.ListTasks": {"stored": 1}}


def test_one_unproven_drill_leaves_its_scenario_unproven() -> None:
    """Several drills add up, and one that proved nothing is not hidden by the others."""
    good, poor = weigh([call("acted")], Proves.MECHANISM), weigh([call("stored")], Proves.MECHANISM)
    assert total([good, poor]).unproven
    assert total([good, poor]).operations == {"ecs.DescribeServices": {"acted": 1, "stored": 1}}
    assert not total([good, good]).unproven
    assert total([]).unproven
