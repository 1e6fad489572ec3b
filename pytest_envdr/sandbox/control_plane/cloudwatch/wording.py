"""The JSON that CloudWatch writes about alarms: reasons, history, the message to subscribers. Pure."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moto.cloudwatch.models import Alarm

    from pytest_envdr.sandbox.control_plane.cloudwatch.evaluation import Datapoint, Rule

REGION_NAMES = {
    "eu-west-1": "EU (Ireland)",
    "eu-west-2": "EU (London)",
    "eu-west-3": "EU (Paris)",
    "eu-central-1": "EU (Frankfurt)",
    "eu-north-1": "EU (Stockholm)",
    "us-east-1": "US East (N. Virginia)",
    "us-east-2": "US East (Ohio)",
    "us-west-2": "US West (Oregon)",
}
"""How CloudWatch calls the Regions in its messages; others go by their code."""

SUBJECT_LIMIT = 100
"""Characters that SNS takes for a subject."""


def stamp(at: datetime) -> str:
    """A time as CloudWatch writes it in JSON: `2026-11-23T16:00:06.123+0000`. Naive times are UTC."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}+0000"


def reason_data(alarm: Alarm, rule: Rule, evaluated: tuple[Datapoint, ...], *, queried: datetime) -> str:
    """`StateReasonData`: the values and periods that a state came from."""
    real = [point for point in evaluated if point.value is not None]
    data: dict[str, Any] = {"version": "1.0", "queryDate": stamp(queried)}
    if real:
        data["startDate"] = stamp(real[0].start)
    data |= {"statistic": alarm.statistic} if alarm.statistic else {"extendedStatistic": alarm.extended_statistic}
    data |= {
        "period": alarm.period,
        "recentDatapoints": [point.value for point in real],
        "threshold": rule.threshold,
        "evaluatedDatapoints": [_evaluated(point) for point in reversed(evaluated)],
    }
    return json.dumps(data, separators=(",", ":"))


def _evaluated(point: Datapoint) -> dict[str, Any]:
    seen = {} if point.value is None else {"sampleCount": point.samples, "value": point.value}
    return {"timestamp": stamp(point.start), **seen}


def state(value: str, reason: str, data: str | None) -> dict[str, Any]:
    """One side of a state change in the history."""
    details = {"stateReasonData": json.loads(data)} if data else {}
    return {"stateValue": value, "stateReason": reason, **details}


def configuration(alarm: Alarm) -> dict[str, Any]:
    """An alarm as the history's ConfigurationUpdate items show it."""
    shown = {
        "alarmName": alarm.name,
        "alarmDescription": alarm.description,
        "alarmArn": alarm.alarm_arn,
        "alarmConfigurationUpdatedTimestamp": stamp(alarm.configuration_updated_timestamp),
        "namespace": alarm.namespace,
        "metricName": alarm.metric_name,
        "statistic": alarm.statistic,
        "extendedStatistic": alarm.extended_statistic,
        "period": alarm.period,
        "dimensions": _dimensions(alarm),
        "threshold": alarm.threshold,
        "comparisonOperator": alarm.comparison_operator,
        "evaluationPeriods": alarm.evaluation_periods,
        "datapointsToAlarm": alarm.datapoints_to_alarm,
        "treatMissingData": alarm.treat_missing_data,
        "stateValue": alarm.state_value,
        "stateUpdatedTimestamp": stamp(alarm.state_updated_timestamp),
        "actionsEnabled": alarm.actions_enabled,
        "alarmActions": alarm.alarm_actions,
        "insufficientDataActions": alarm.insufficient_data_actions,
        "okactions": alarm.ok_actions,
    }
    return {key: value for key, value in shown.items() if value is not None}


def subject(alarm: Alarm, new: str, region: str) -> str:
    """The notification's subject."""
    return f'{new}: "{alarm.name}" in {REGION_NAMES.get(region, region)}'[:SUBJECT_LIMIT]


def message(alarm: Alarm, *, account: str, region: str, old: str, new: str, reason: str, at: datetime) -> str:
    """What CloudWatch publishes to a topic when an alarm changes its state."""
    body = {
        "AlarmName": alarm.name,
        "AlarmDescription": alarm.description,
        "AWSAccountId": account,
        "AlarmConfigurationUpdatedTimestamp": stamp(alarm.configuration_updated_timestamp),
        "NewStateValue": new,
        "NewStateReason": reason,
        "StateChangeTime": stamp(at),
        "Region": REGION_NAMES.get(region, region),
        "AlarmArn": alarm.alarm_arn,
        "OldStateValue": old,
        "OKActions": alarm.ok_actions,
        "AlarmActions": alarm.alarm_actions,
        "InsufficientDataActions": alarm.insufficient_data_actions,
        "Trigger": _trigger(alarm),
    }
    return json.dumps(body, separators=(",", ":"))


def _trigger(alarm: Alarm) -> dict[str, Any]:
    simple = bool(alarm.statistic)
    kind = "Statistic" if simple else "ExtendedStatistic"
    needed = {} if alarm.datapoints_to_alarm is None else {"DatapointsToAlarm": alarm.datapoints_to_alarm}
    return {
        "MetricName": alarm.metric_name,
        "Namespace": alarm.namespace,
        "StatisticType": kind,
        kind: alarm.statistic.upper() if simple else alarm.extended_statistic,
        "Unit": alarm.unit,
        "Dimensions": _dimensions(alarm),
        "Period": alarm.period,
        "EvaluationPeriods": alarm.evaluation_periods,
        **needed,
        "ComparisonOperator": alarm.comparison_operator,
        "Threshold": alarm.threshold,
        "TreatMissingData": alarm.treat_missing_data or "missing",
        "EvaluateLowSampleCountPercentile": alarm.evaluate_low_sample_count_percentile or "",
    }


def _dimensions(alarm: Alarm) -> list[dict[str, str | None]]:
    return [{"value": each.value, "name": each.name} for each in alarm.dimensions]


def epoch(at: datetime) -> float:
    """Seconds since the epoch; naive times are UTC, as moto keeps them."""
    return (at.replace(tzinfo=UTC) if at.tzinfo is None else at).timestamp()
