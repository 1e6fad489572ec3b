"""An alarm's state and reason, against the tables that AWS publishes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pytest_envdr.sandbox.control_plane.cloudwatch.evaluation import Datapoint, Rule, Verdict, evaluate

START = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)
MODES = ("missing", "ignore", "breaching", "notBreaching")
OK, ALARM, UNKNOWN, RETAIN = "OK", "ALARM", "INSUFFICIENT_DATA", None
VALUES = {"0": 0.0, "X": 5.0, "-": None}

THREE_OF_THREE = {
    "0 - X - X": (OK, OK, OK, OK),
    "0 - - - -": (OK, OK, OK, OK),
    "- - - - -": (UNKNOWN, RETAIN, ALARM, OK),
    "0 X X - X": (ALARM, ALARM, ALARM, ALARM),
    "- - X - -": (ALARM, RETAIN, ALARM, OK),
    # From the text below AWS's tables: not yet old enough for an alarm; the guide's edition of 2019 gives the states.
    "- - - - X": (UNKNOWN, RETAIN, ALARM, OK),
    "- - - X -": (UNKNOWN, RETAIN, ALARM, OK),
    "X - - - -": (ALARM, RETAIN, ALARM, OK),
}
TWO_OF_THREE = {
    "0 - X - X": (ALARM, ALARM, ALARM, ALARM),
    "0 0 X 0 X": (ALARM, ALARM, ALARM, ALARM),
    "0 - X - -": (OK, OK, ALARM, OK),
    "- - - - 0": (OK, OK, ALARM, OK),
    "- - - X -": (ALARM, RETAIN, ALARM, OK),
    "- - - - X": (UNKNOWN, RETAIN, ALARM, OK),
    "- - X X -": (ALARM, ALARM, ALARM, ALARM),
    "X X 0 0 0": (OK, OK, OK, OK),
}
ONE_OF_ONE = {
    "- - X": (ALARM, ALARM, ALARM, ALARM),
    "X - 0": (OK, OK, OK, OK),
    "0 - -": (OK, OK, OK, OK),
    "X - -": (ALARM, ALARM, ALARM, ALARM),
    "- - -": (UNKNOWN, RETAIN, ALARM, OK),
}
TABLES = {(3, 3): THREE_OF_THREE, (2, 3): TWO_OF_THREE, (1, 1): ONE_OF_ONE}
CASES = [
    pytest.param(needed, out_of, points, mode, state, id=f"{needed} of {out_of}, {points}, {mode}")
    for (needed, out_of), table in TABLES.items()
    for points, states in table.items()
    for mode, state in zip(MODES, states, strict=True)
]


def datapoints(*values: float | None) -> list[Datapoint]:
    return [Datapoint(START + number * timedelta(minutes=1), value) for number, value in enumerate(values)]


def verdict(rule: Rule, *values: float | None) -> Verdict:
    return evaluate(rule, datapoints(*values))


@pytest.mark.parametrize(("needed", "out_of", "points", "mode", "state"), CASES)
def test_states_are_those_of_the_published_tables(
    needed: int, out_of: int, points: str, mode: str, state: str | None
) -> None:
    """Each row of AWS's tables gives AWS's state, in each of the four ways to treat missing data."""
    rule = Rule("GreaterThanThreshold", 3.0, out_of=out_of, needed=needed, missing=mode)
    values = [VALUES[mark] for mark in points.split()]
    assert len(values) == rule.evaluation_range
    assert evaluate(rule, datapoints(*values)).state == state


@pytest.mark.parametrize(
    ("comparison", "below", "at", "above"),
    [
        ("GreaterThanThreshold", False, False, True),
        ("GreaterThanOrEqualToThreshold", False, True, True),
        ("LessThanThreshold", True, False, False),
        ("LessThanOrEqualToThreshold", True, True, False),
    ],
)
def test_each_operator_treats_the_threshold_itself_right(comparison: str, below: bool, at: bool, above: bool) -> None:  # noqa: FBT001 (a table)
    """A value below, at and above the threshold breaches where the operator says so."""
    rule = Rule(comparison, 1.0)
    assert [rule.breaches(value) for value in (0.9, 1.0, 1.1)] == [below, at, above]


REASONS = [
    pytest.param(
        Rule("LessThanThreshold", 1.0, explicit=True),
        (1.0, 1.0, 0.0),
        "Threshold Crossed: 1 out of the last 1 datapoints [0.0 (23/11/26 16:02:00)] was less than the threshold (1.0) "
        "(minimum 1 datapoint for OK -> ALARM transition).",
        id="alarm, M of N",
    ),
    pytest.param(
        Rule("GreaterThanOrEqualToThreshold", 1.0, out_of=3, needed=2, explicit=True),
        (5.0, 5.0, 0.0, 0.0, 0.0),
        "Threshold Crossed: 3 out of the last 3 datapoints [0.0 (23/11/26 16:04:00), 0.0 (23/11/26 16:03:00), "
        "0.0 (23/11/26 16:02:00)] were not greater than or equal to the threshold (1.0) "
        "(minimum 2 datapoints for ALARM -> OK transition).",
        id="ok, M of N",
    ),
    pytest.param(
        Rule("GreaterThanThreshold", 3.0),
        (0.0, 0.0, 63.0),
        "Threshold Crossed: 1 datapoint [63.0 (23/11/26 16:02:00)] was greater than the threshold (3.0).",
        id="alarm, N of N",
    ),
    pytest.param(
        Rule("LessThanThreshold", 1.0, missing="breaching"),
        (None, None, None),
        "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as "
        "[Breaching].",
        id="nothing, breaching",
    ),
    pytest.param(
        Rule("GreaterThanThreshold", 1.0, out_of=3, needed=3, missing="notBreaching"),
        (None,) * 5,
        "Threshold Crossed: no datapoints were received for 3 periods and 3 missing datapoints were treated as "
        "[NonBreaching].",
        id="nothing, not breaching",
    ),
    pytest.param(
        Rule("GreaterThanThreshold", 0.0, out_of=3, needed=2, missing="breaching"),
        (None, None, None, None, 0.0),
        "Threshold Crossed: 1 datapoint was received for 3 periods and 2 missing datapoints were treated as "
        "[Breaching].",
        id="alarm from missing data alone",
    ),
    pytest.param(
        Rule("LessThanOrEqualToThreshold", 0.0, out_of=8, needed=8, missing="breaching"),
        (None,) * 9 + (2.0,),
        "Threshold Crossed: 1 datapoint [2.0 (23/11/26 16:09:00)] was not less than or equal to the threshold (0.0) "
        "and 7 missing datapoints were treated as [Breaching].",
        id="ok with missing data",
    ),
    pytest.param(
        Rule("GreaterThanThreshold", 1.0, out_of=3, needed=3),
        (None,) * 5,
        "Insufficient Data: 3 datapoints were unknown.",
        id="insufficient",
    ),
]


@pytest.mark.parametrize(("rule", "values", "reason"), REASONS)
def test_reasons_are_worded_as_cloudwatch_words_them(rule: Rule, values: tuple[float | None, ...], reason: str) -> None:
    """StateReason says what CloudWatch says, character for character."""
    assert verdict(rule, *values).reason == reason
