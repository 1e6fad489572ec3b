"""moto's CloudWatch with a metric store that can be asked, and alarms whose changes are recorded.

Requests and the evaluation only record; `AlarmController` carries the actions out.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.cloudwatch.exceptions import InvalidFormat, ResourceNotFound, ValidationError
from moto.cloudwatch.models import Alarm, CloudWatchBackend, MetricAggregatedDatum, MetricDatum
from typing_extensions import override

from pytest_envdr.sandbox.control_plane.cloudwatch import wording
from pytest_envdr.sandbox.control_plane.cloudwatch.datapoints import Metric, MetricStore, Point, supported
from pytest_envdr.sandbox.control_plane.cloudwatch.evaluation import OPERATORS
from pytest_envdr.sandbox.control_plane.cloudwatch.history import History, Kind
from pytest_envdr.sandbox.control_plane.extension import backend_lock, moto_urls

if TYPE_CHECKING:
    from types import ModuleType

    from moto.cloudwatch.models import MetricDatumBase

MISSING_DATA = ("breaching", "notBreaching", "ignore", "missing")


@dataclass(frozen=True)
class Change:
    """A state change whose actions are due. `value` is the newest data point, where an evaluation made the change."""

    alarm: Alarm
    old: str
    new: str
    reason: str
    at: datetime
    value: float | None = None


class SandboxCloudWatch(CloudWatchBackend):
    """CloudWatch of one account and Region."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.store = MetricStore()
        self.history = History()
        self.outbox: deque[Change] = deque()

    @property
    @override
    def _url_module(self) -> ModuleType:
        return moto_urls("cloudwatch")

    @override
    def put_metric_data(self, namespace: str, metric_data: list[dict[str, Any]]) -> None:
        """PutMetricData; for the sandbox's own services too. Timestamps: naive ones are UTC."""
        with backend_lock:
            super().put_metric_data(namespace, metric_data)
            for datum in self.metric_data:
                self.store.add(_metric(datum), _point(datum))
            self.metric_data.clear()
            # moto keeps each one for its own dashboard, for ever.
            MetricDatum.instances_tracked.clear()  # type: ignore[attr-defined] # set by moto's metaclass
            MetricAggregatedDatum.instances_tracked.clear()  # type: ignore[attr-defined] # likewise

    @override
    def list_metrics(
        self, next_token: str | None, namespace: str, metric_name: str, dimensions: list[dict[str, str]]
    ) -> tuple[str | None, list[MetricDatumBase]]:
        """ListMetrics: each metric once (moto gives one with several dimensions as often as it has values)."""
        wanted = [(each["Name"], each.get("Value")) for each in dimensions or []]
        with backend_lock:
            metrics: list[Any] = [
                _listed(metric)
                for metric in self.store.points
                if namespace in (None, metric.namespace)
                and metric_name in (None, metric.name)
                and all(_has(metric, name, value) for name, value in wanted)
            ]
        metrics += super().get_filtered_metrics(metric_name, namespace, dimensions)
        return None, metrics

    @override
    def put_metric_alarm(self, name: str, *args: Any, **settings: Any) -> Alarm:
        """PutMetricAlarm: a new alarm starts in INSUFFICIENT_DATA, a changed one keeps its state."""
        _check(settings)
        with backend_lock:
            before = self.alarms.get(name)
            alarm = super().put_metric_alarm(name, *args, **settings)
            if before is None:
                alarm.state_value, alarm.state_reason_data = "INSUFFICIENT_DATA", None  # type: ignore[assignment]
                _transitioned(alarm, alarm.state_updated_timestamp)
                self._configured(alarm, "created", {"type": "Create", "createdAlarm": wording.configuration(alarm)})
            else:
                _take_over(alarm, before)
                self._configured(alarm, "updated", {"type": "Update", "updatedAlarm": wording.configuration(alarm)})
        return alarm

    @override
    def delete_alarms(self, alarm_names: list[str]) -> None:
        """DeleteAlarms: their history stays."""
        with backend_lock:
            for alarm in self.get_alarms_by_alarm_names(alarm_names):
                self._configured(alarm, "deleted", {"type": "Delete", "deletedAlarm": wording.configuration(alarm)})
            super().delete_alarms(alarm_names)

    @override
    def enable_alarm_actions(self, alarm_names: list[str]) -> None:
        """EnableAlarmActions."""
        self._switch(alarm_names, enabled=True)

    @override
    def disable_alarm_actions(self, alarm_names: list[str]) -> None:
        """DisableAlarmActions."""
        self._switch(alarm_names, enabled=False)

    @override
    def set_alarm_state(self, alarm_name: str, reason: str, reason_data: str, state_value: str) -> None:
        """SetAlarmState: runs the actions as an evaluation does; the next evaluation sets the state right again.

        A scaling policy takes the size of the breach from `recentDatapoints` in the reason data, as on AWS.
        """
        with backend_lock:
            if alarm_name not in self.alarms:
                raise ResourceNotFound
            if state_value not in ("OK", "ALARM", "INSUFFICIENT_DATA"):
                raise ValidationError(
                    f"1 validation error detected: Value '{state_value}' at 'stateValue' failed to satisfy "
                    "constraint: Member must satisfy enum value set: [INSUFFICIENT_DATA, ALARM, OK]"
                )
            self.transition(self.alarms[alarm_name], state_value, reason, reason_data, value=_newest_said(reason_data))

    def transition(self, alarm: Alarm, new: str, reason: str, data: str | None, *, value: float | None = None) -> None:
        """Record a state; where it is another one than before, its actions become due. Callers hold the lock."""
        old, now = alarm.state_value, _now()
        sides = {
            "oldState": wording.state(old, alarm.state_reason, alarm.state_reason_data),
            "newState": wording.state(new, reason, data),
        }
        alarm.state_value, alarm.state_reason, alarm.state_updated_timestamp = new, reason, now
        alarm.state_reason_data = data  # type: ignore[assignment] # absent where there is none
        if new == old:
            return
        _transitioned(alarm, now)
        self.record(alarm, "StateUpdate", f"Alarm updated from {old} to {new}", sides, at=now)
        self.outbox.append(Change(alarm, old, new, reason, now, value))

    def record(self, alarm: Alarm, kind: Kind, summary: str, data: dict[str, Any], *, at: datetime) -> None:
        """Add to the history."""
        with backend_lock:
            self.history.add(alarm.name, kind, summary, json.dumps(data, separators=(",", ":")), at=at)

    def _configured(self, alarm: Alarm, done: str, data: dict[str, Any]) -> None:
        summary = f'Alarm "{alarm.name}" {done}'
        self.record(alarm, "ConfigurationUpdate", summary, {"version": "1.0", **data}, at=_now())

    def _switch(self, names: list[str], *, enabled: bool) -> None:
        with backend_lock:
            for alarm in self.get_alarms_by_alarm_names(names):
                alarm.actions_enabled = enabled
                alarm.configuration_updated_timestamp = _now()
                self._configured(alarm, "updated", {"type": "Update", "updatedAlarm": wording.configuration(alarm)})


def _newest_said(reason_data: str | None) -> float | None:
    """The newest of `recentDatapoints` in StateReasonData.

    Raises:
        InvalidFormat: it is no JSON object.
    """
    try:
        points = json.loads(reason_data or "{}").get("recentDatapoints") or [None]
        return None if points[-1] is None else float(points[-1])
    except (ValueError, AttributeError, TypeError) as error:
        raise InvalidFormat("StateReasonData is not valid JSON.") from error


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _metric(datum: MetricDatumBase) -> Metric:
    pairs = frozenset((str(each.name), str(each.value)) for each in datum.dimensions)
    return Metric(datum.namespace, datum.name, pairs)


def _point(datum: MetricDatumBase) -> Point:
    at = wording.epoch(datum.timestamp)
    if isinstance(datum, MetricAggregatedDatum):
        return Point(at, datum.sample_count, datum.sum, datum.min, datum.max, datum.unit)
    value = datum.value if isinstance(datum, MetricDatum) else 0.0
    return Point(at, 1, value, value, value, datum.unit)


def _listed(metric: Metric) -> dict[str, Any]:
    pairs = [{"Name": name, "Value": value} for name, value in sorted(metric.dimensions)]
    return {"Namespace": metric.namespace, "MetricName": metric.name, "Dimensions": pairs}


def _has(metric: Metric, name: str, value: str | None) -> bool:
    return any(name == own and value in (None, given) for own, given in metric.dimensions)


def _take_over(alarm: Alarm, before: Alarm) -> None:
    for member in ("state_value", "state_reason", "state_reason_data", "state_updated_timestamp"):
        setattr(alarm, member, getattr(before, member))
    _transitioned(alarm, getattr(before, "state_transitioned_timestamp", before.state_updated_timestamp))


def _transitioned(alarm: Alarm, at: datetime) -> None:
    """moto's serialiser gives any attribute that the API's model knows."""
    alarm.state_transitioned_timestamp = at  # type: ignore[attr-defined]


def _check(settings: dict[str, Any]) -> None:
    """Refuse what CloudWatch refuses, and say what the sandbox cannot evaluate.

    Raises:
        ValidationError: as AWS.
        NotImplementedError: metric math, anomaly detection, trimmed statistics (answered as a 501).
    """
    statistic = settings.get("statistic") or settings.get("extended_statistic") or ""
    if settings.get("metric_data_queries") or settings.get("rule") or settings["comparison_operator"] not in OPERATORS:
        raise NotImplementedError("alarms on metric math, anomaly detection or other alarms")
    if None in (settings["namespace"], settings["metric_name"], settings["period"], settings["threshold"]):
        raise ValidationError("Namespace, MetricName, Period and Threshold are required for an alarm on a metric.")
    if not statistic:
        raise ValidationError("Exactly one of Statistic and ExtendedStatistic must be specified.")
    if not supported(statistic):
        raise NotImplementedError(f"alarms on the statistic {statistic}")
    period, out_of = settings["period"], settings["evaluation_periods"]
    if period not in (10, 20, 30) and (period <= 0 or period % 60):
        raise ValidationError("Metric alarm period must be 10, 20, 30 or a multiple of 60 seconds.")
    if not 1 <= (settings.get("datapoints_to_alarm") or 1) <= out_of:
        raise ValidationError("DatapointsToAlarm must be between 1 and EvaluationPeriods.")
    missing = settings.get("treat_missing_data")
    if missing is not None and missing not in MISSING_DATA:
        raise ValidationError(
            f"Option {missing} is not supported. Supported options for parameter TreatMissingData are "
            "breaching, notBreaching, ignore and missing."
        )
