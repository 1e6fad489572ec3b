"""The loop's part: evaluates alarms over what was really published, and has their actions carried out.

When: alarms with a period of 60 s or more each 60 s, those of 10, 20 and 30 s each 10 s, divided by `speed`, a moment
after the boundary (`SETTLING`), so that what was published at the boundary is in. Over what: the newest complete
periods that end at that boundary; a period that still runs never counts. A new alarm waits for the next boundary.
"""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from moto.cloudwatch.models import cloudwatch_backends

from pytest_envdr.sandbox.control_plane.cloudwatch import wording
from pytest_envdr.sandbox.control_plane.cloudwatch.actions import Courier
from pytest_envdr.sandbox.control_plane.cloudwatch.backend import SandboxCloudWatch
from pytest_envdr.sandbox.control_plane.cloudwatch.datapoints import Metric, aggregate
from pytest_envdr.sandbox.control_plane.cloudwatch.evaluation import Datapoint, Rule, Verdict, evaluate
from pytest_envdr.sandbox.control_plane.extension import backend_lock

if TYPE_CHECKING:
    from moto.cloudwatch.models import Alarm

    from pytest_envdr.sandbox.world import World

SETTLING = 0.1
"""What an evaluation waits after the boundary, as a share of the interval (6 s of 60 s at speed 1)."""
LEAST_SETTLING = 0.15
"""The same in wall seconds, for high speeds; never more than half an interval."""

KEPT_SECONDS = 3600.0
"""How long values are kept, wall seconds: AWS keeps high-resolution ones for three hours."""
FORGET_EVERY = 60.0


class AlarmController:
    """Alarms of the world's account and Region."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._courier = Courier(world.account, world.region)
        self._evaluated: dict[str, float] = {}
        self._forgotten = time.time()

    def step(self) -> None:
        """Evaluate the alarms that are due, then hand over what their changes ask for."""
        backend = cloudwatch_backends[self._world.account][self._world.region]
        if not isinstance(backend, SandboxCloudWatch):
            return
        now = time.time()
        with backend_lock:
            alarms = list(backend.alarms.values())
            self._evaluated = {alarm.name: at for alarm in alarms if (at := self._evaluated.get(alarm.name))}
        for alarm in alarms:
            self._evaluate_if_due(backend, alarm, now)
        while backend.outbox:
            self._courier.announce(backend, backend.outbox.popleft())
        if now - self._forgotten > FORGET_EVERY:
            self._forgotten = now
            with backend_lock:
                backend.store.forget(now - KEPT_SECONDS)

    def close(self) -> None:
        """Stop delivering."""
        self._courier.close()

    def _evaluate_if_due(self, backend: SandboxCloudWatch, alarm: Alarm, now: float) -> None:
        interval = self._world.scaled(60 if alarm.period >= 60 else 10)
        settling = min(max(SETTLING * interval, LEAST_SETTLING), interval / 2)
        boundary = math.floor((now - settling) / interval) * interval
        if boundary <= self._evaluated.setdefault(alarm.name, boundary):
            return
        self._evaluated[alarm.name] = boundary
        with backend_lock:
            if backend.alarms.get(alarm.name) is not alarm:
                return  # deleted or changed while this pass was on its way
            verdict = self._evaluate(backend, alarm, boundary)
        if verdict.state is None or verdict.state == alarm.state_value:
            self._courier.repeat(alarm, _newest(verdict))

    def _evaluate(self, backend: SandboxCloudWatch, alarm: Alarm, boundary: float) -> Verdict:
        rule = rule_of(alarm)
        verdict = evaluate(rule, self._points(backend, alarm, rule, boundary))
        if verdict.state is not None and verdict.state != alarm.state_value:
            queried = datetime.now(UTC)
            data = wording.reason_data(alarm, rule, verdict.evaluated, queried=queried)
            backend.transition(alarm, verdict.state, verdict.reason, data, value=_newest(verdict))
        return verdict

    def _points(self, backend: SandboxCloudWatch, alarm: Alarm, rule: Rule, end: float) -> list[Datapoint]:
        """The evaluation range that ends at `end`, oldest first."""
        pairs = frozenset((str(each.name), str(each.value)) for each in alarm.dimensions)
        metric = Metric(alarm.namespace, alarm.metric_name, pairs)
        period = self._world.scaled(alarm.period)
        points = []
        for number in range(rule.evaluation_range, 0, -1):
            start = end - number * period
            seen = backend.store.between(metric, start, start + period, alarm.unit)
            value = aggregate(seen, alarm.statistic or alarm.extended_statistic or "")
            points.append(Datapoint(datetime.fromtimestamp(start, UTC), value, sum(each.count for each in seen)))
        return points


def rule_of(alarm: Alarm) -> Rule:
    """What of an alarm's configuration its evaluation needs."""
    default = "ignore" if alarm.namespace == "AWS/DynamoDB" else "missing"
    return Rule(
        comparison=alarm.comparison_operator,
        threshold=float(alarm.threshold),
        out_of=alarm.evaluation_periods,
        needed=alarm.datapoints_to_alarm or alarm.evaluation_periods,
        missing=alarm.treat_missing_data or default,
        explicit=alarm.datapoints_to_alarm is not None,
    )


def _newest(verdict: Verdict) -> float | None:
    return next((point.value for point in reversed(verdict.evaluated) if point.value is not None), None)
