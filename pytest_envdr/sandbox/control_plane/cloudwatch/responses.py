"""CloudWatch's answers where moto's lack an operation, a filter or the truth."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from moto.cloudwatch.exceptions import InvalidParameterCombination, InvalidParameterValue, ValidationError
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult
from typing_extensions import override

from pytest_envdr.sandbox.control_plane.cloudwatch.datapoints import Metric, Point, aggregate, buckets, supported
from pytest_envdr.sandbox.control_plane.cloudwatch.history import Wanted
from pytest_envdr.sandbox.control_plane.cloudwatch.wording import epoch
from pytest_envdr.sandbox.control_plane.extension import backend_lock

if TYPE_CHECKING:
    from moto.cloudwatch.models import Alarm

    from pytest_envdr.sandbox.control_plane.cloudwatch.backend import SandboxCloudWatch

PAGE = 100


class SandboxCloudWatchResponse(CloudWatchResponse):
    """Periods asked for in GetMetric* are wall seconds: they are the client's question, not a delay of AWS's."""

    @property
    def sandbox(self) -> SandboxCloudWatch:
        return cast("SandboxCloudWatch", self.cloudwatch_backend)

    @override
    def describe_alarms(self) -> ActionResult:
        """DescribeAlarms: all filters together, by name, in pages."""
        types = self._get_param("AlarmTypes", ["MetricAlarm"])
        prefix, state, action = (self._get_param(key) for key in ("AlarmNamePrefix", "StateValue", "ActionPrefix"))
        names = self._get_param("AlarmNames", [])
        with backend_lock:
            alarms = sorted(self.sandbox.alarms.values(), key=lambda alarm: alarm.name)
        found = [
            alarm
            for alarm in alarms
            if "MetricAlarm" in types
            and (not names or alarm.name in names)
            and alarm.name.startswith(prefix or "")
            and state in (None, alarm.state_value)
            and (action is None or any(each.startswith(action) for each in _actions(alarm)))
            and alarm.name > (self._get_param("NextToken") or "")
        ]
        limit = self._get_param("MaxRecords") or PAGE
        token = found[limit - 1].name if len(found) > limit else None
        return ActionResult({"MetricAlarms": found[:limit], "CompositeAlarms": [], "NextToken": token})

    @override
    def describe_alarms_for_metric(self) -> ActionResult:
        """DescribeAlarmsForMetric: the alarms on exactly this metric."""
        dimensions = self._get_param("Dimensions", [])
        wanted = Metric.of(self._get_param("Namespace"), self._get_param("MetricName"), dimensions)
        narrowed = {
            key: self._get_param(name)
            for key, name in (("statistic", "Statistic"), ("period", "Period"), ("unit", "Unit"))
            if self._get_param(name) is not None
        }
        with backend_lock:
            alarms = list(self.sandbox.alarms.values())
        found = [
            alarm
            for alarm in alarms
            if _metric_of(alarm) == wanted and all(getattr(alarm, key) == value for key, value in narrowed.items())
        ]
        return ActionResult({"MetricAlarms": found})

    def describe_alarm_history(self) -> ActionResult:
        """DescribeAlarmHistory: newest first unless asked otherwise; of metric alarms, which are all there are."""
        wanted = Wanted(*(self._get_param(key) for key in ("AlarmName", "HistoryItemType", "StartDate", "EndDate")))
        token = self._get_param("NextToken")
        if token is not None and not str(token).isdigit():
            raise InvalidParameterValue("Request parameter NextToken is invalid")
        if "MetricAlarm" not in self._get_param("AlarmTypes", ["MetricAlarm"]):
            return ActionResult({"AlarmHistoryItems": []})
        items, last = self.sandbox.history.page(
            wanted,
            ascending=self._get_param("ScanBy") == "TimestampAscending",
            limit=self._get_param("MaxRecords") or PAGE,
            after=None if token is None else int(token),
        )
        following = None if last is None else str(last)
        return ActionResult({"AlarmHistoryItems": [item.shown() for item in items], "NextToken": following})

    def list_alarm_mute_rules(self) -> ActionResult:
        """ListAlarmMuteRules: the sandbox has none, and no way to make one."""
        return ActionResult({"AlarmMuteRuleSummaries": []})

    @override
    def get_metric_statistics(self) -> ActionResult:
        """GetMetricStatistics, percentiles included."""
        simple, extended = self._get_param("Statistics", []), self._get_param("ExtendedStatistics", [])
        if not simple and not extended:
            raise InvalidParameterCombination("Must specify either Statistics or ExtendedStatistics")
        name, unit = self._get_param("MetricName"), self._get_param("Unit")
        metric = Metric.of(self._get_param("Namespace"), name, self._get_param("Dimensions", []))
        start, end, period = (self._get_param(key) for key in ("StartTime", "EndTime", "Period"))
        datapoints = []
        for at, points in buckets(self._points(metric, start, end, period, unit), period):
            values = {stat: aggregate(points, stat) for stat in (*simple, *extended)}
            shown: dict[str, Any] = {stat: values[stat] for stat in simple}
            if extended:
                shown["ExtendedStatistics"] = {stat: values[stat] for stat in extended}
            datapoints.append({"Timestamp": _naive(at), "Unit": points[0].unit or "None", **shown})
        return ActionResult({"Label": name, "Datapoints": datapoints})

    @override
    def get_metric_data(self) -> ActionResult:
        """GetMetricData of plain metrics; expressions are not in the sandbox (a 501)."""
        params = self._get_params()
        ascending = params.get("ScanBy") == "TimestampAscending"
        results = []
        for query in params.get("MetricDataQueries", []):
            if "Expression" in query:
                raise NotImplementedError("metric math")
            if "MetricStat" not in query:
                raise ValidationError("The parameter MetricDataQueries.member.1.MetricStat is required.\n")
            if query.get("ReturnData", True):
                results.append(self._series(query, params["StartTime"], params["EndTime"], ascending=ascending))
        return ActionResult({"MetricDataResults": results, "Messages": []})

    def _series(self, query: dict[str, Any], start: datetime, end: datetime, *, ascending: bool) -> dict[str, Any]:
        asked = query["MetricStat"]
        names, period, stat = asked["Metric"], int(asked["Period"]), asked["Stat"]
        if not supported(stat):
            raise NotImplementedError(f"the statistic {stat}")
        metric = Metric.of(names["Namespace"], names["MetricName"], names.get("Dimensions", []))
        series = [
            (at, aggregate(points, stat))
            for at, points in buckets(self._points(metric, start, end, period, asked.get("Unit")), period)
        ]
        if not ascending:
            series.reverse()
        return {
            "Id": query["Id"],
            "Label": query.get("Label") or names["MetricName"],
            "Timestamps": [_naive(at) for at, _ in series],
            "Values": [value for _, value in series],
            "StatusCode": "Complete",
        }

    def _points(self, metric: Metric, start: datetime, end: datetime, period: int, unit: str | None) -> list[Point]:
        """The points from the start of the period that `start` lies in."""
        if start >= end:
            raise InvalidParameterValue("The parameter StartTime must be less than the parameter EndTime.")
        first = math.floor(epoch(start) / period) * period
        with backend_lock:
            return self.sandbox.store.between(metric, first, epoch(end), unit)


def _actions(alarm: Alarm) -> list[str]:
    return [*alarm.alarm_actions, *alarm.ok_actions, *alarm.insufficient_data_actions]


def _metric_of(alarm: Alarm) -> Metric:
    pairs = frozenset((str(each.name), str(each.value)) for each in alarm.dimensions)
    return Metric(alarm.namespace, alarm.metric_name, pairs)


def _naive(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC).replace(tzinfo=None)
