"""How an alarm's state follows from its data points: a pure function, tested against the tables that AWS publishes.

Source: CloudWatch user guide, "Configuring how CloudWatch alarms treat missing data". CloudWatch looks at more periods
than `EvaluationPeriods` (the evaluation range), prefers real data points from further back to filled ones, fills as few
as it can, and treats an alarm whose oldest breaching point is old enough as breaching early ("premature alarm state").
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]

EXTRA_PERIODS = 2
"""The evaluation range beyond `EvaluationPeriods`: AWS documents 5 for 3 and leaves the rest open."""

OPERATORS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}


@dataclass(frozen=True)
class Rule:
    """An alarm's configuration, as far as its evaluation needs it.

    Attributes:
        needed: how many breaching points make an alarm, "M".
        out_of: of how many points, "N" (`EvaluationPeriods`).
        missing: `TreatMissingData`.
        explicit: whether `DatapointsToAlarm` was given; CloudWatch words its reasons differently then.
    """

    comparison: str
    threshold: float
    out_of: int = 1
    needed: int = 1
    missing: str = "missing"
    explicit: bool = False

    @property
    def evaluation_range(self) -> int:
        """How many periods are looked at."""
        return self.out_of + EXTRA_PERIODS

    def breaches(self, value: float) -> bool:
        return OPERATORS[self.comparison][0](value, self.threshold)


@dataclass(frozen=True)
class Datapoint:
    """One period of the evaluation range: its start, its value (None if missing), how many samples made it."""

    start: datetime
    value: float | None
    samples: float = 0


@dataclass(frozen=True)
class Verdict:
    """What an evaluation says. `state` is None where the current state stays; `reason` as CloudWatch words it."""

    state: State | None
    reason: str = ""
    evaluated: tuple[Datapoint, ...] = ()


def evaluate(rule: Rule, points: Sequence[Datapoint]) -> Verdict:
    """The state that follows from the evaluation range.

    Args:
        rule: the alarm.
        points: `rule.evaluation_range` periods, oldest first.
    """
    real = [point for point in points if point.value is not None][-rule.out_of :]
    filled = rule.out_of - len(real)
    state = _state(rule, points, real, filled)
    if state is None:
        return Verdict(None)
    return Verdict(state, _reason(rule, state, real, filled), tuple(real or points[-rule.out_of :]))


def _state(rule: Rule, points: Sequence[Datapoint], real: list[Datapoint], filled: int) -> State | None:
    breaching = len(_breaching(rule, real))
    if rule.missing == "breaching":
        return "ALARM" if breaching + filled >= rule.needed else "OK"
    if breaching >= rule.needed:
        return "ALARM"
    if rule.missing == "notBreaching" or not filled or breaching < len(real):
        return "OK"
    if rule.missing == "ignore":
        return None
    return "ALARM" if _premature(rule, points) else "INSUFFICIENT_DATA"


def _premature(rule: Rule, points: Sequence[Datapoint]) -> bool:
    """Whether the oldest point (they all breach) is at least M periods old, the newest period being the first."""
    ages = [len(points) - index for index, point in enumerate(points) if point.value is not None]
    return bool(ages) and max(ages) >= rule.needed


def _breaching(rule: Rule, real: Sequence[Datapoint]) -> list[Datapoint]:
    return [point for point in real if point.value is not None and rule.breaches(point.value)]


def _reason(rule: Rule, state: State, real: list[Datapoint], filled: int) -> str:
    if state == "INSUFFICIENT_DATA":
        return f"Insufficient Data: {_count(filled)} {_was(filled)} unknown."
    breaching = _breaching(rule, real)
    telling = breaching if state == "ALARM" else [point for point in real if point not in breaching]
    treated = {"breaching": "Breaching", "notBreaching": "NonBreaching"}.get(rule.missing)
    fill = f" and {_count(filled, 'missing ')} {_was(filled)} treated as [{treated}]" if filled and treated else ""
    if not telling:
        received = f"{_count(len(real)) if real else 'no datapoints'} {_was(len(real))} received"
        return f"Threshold Crossed: {received} for {_count(rule.out_of, noun='period')}{fill}."
    return f"Threshold Crossed: {_compared(rule, state, telling)}{fill}{_minimum(rule, state)}."


def _compared(rule: Rule, state: State, telling: Sequence[Datapoint]) -> str:
    number = len(telling)
    share = f"{number} out of the last {rule.out_of} datapoints" if rule.explicit else _count(number)
    values = ", ".join(f"{point.value} ({point.start:%d/%m/%y %H:%M:%S})" for point in reversed(telling))
    phrase = OPERATORS[rule.comparison][1] if state == "ALARM" else f"not {OPERATORS[rule.comparison][1]}"
    return f"{share} [{values}] {_was(number)} {phrase} the threshold ({rule.threshold})"


def _minimum(rule: Rule, state: State) -> str:
    if not rule.explicit:
        return ""
    least, change = (rule.needed, "OK -> ALARM") if state == "ALARM" else (rule.out_of - rule.needed + 1, "ALARM -> OK")
    return f" (minimum {_count(least)} for {change} transition)"


def _count(number: int, adjective: str = "", noun: str = "datapoint") -> str:
    return f"{number} {adjective}{noun}{'' if number == 1 else 's'}"


def _was(number: int) -> str:
    return "was" if number == 1 else "were"
