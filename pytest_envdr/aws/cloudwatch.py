"""CloudWatch: alarms as they are configured, what they did, and how long one may take to see an outage."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_envdr.aws import Aws

INGESTION_SECONDS = 60
"""How long a metric may take to arrive; load balancers send each minute's values within the next."""

EXTRA_PERIODS = 2
"""How many periods beyond EvaluationPeriods CloudWatch may look back when data is missing: its evaluation range is
"more"; its documentation's own example has 5 for 3."""

TYPES = ["MetricAlarm", "CompositeAlarm"]
PAGE = 100


@dataclass(frozen=True)
class Alarm:
    """A metric or composite alarm.

    Attributes:
        state: OK, ALARM or INSUFFICIENT_DATA.
        treat_missing: missing, breaching, notBreaching or ignore; `missing` makes an outage that leaves no data
            INSUFFICIENT_DATA and not ALARM (aws-semantics 10.2.3).
        datapoints: how many of `evaluation_periods` must breach.
        period_seconds: 0 for a composite alarm, which has none.
        transitioned_at: when the state last became another; `StateUpdatedTimestamp` moves at other times too.
        evaluation: PARTIAL_DATA, EVALUATION_ERROR, EVALUATION_FAILURE, or "".
    """

    name: str
    arn: str
    state: str
    state_reason: str
    actions_enabled: bool
    alarm_actions: tuple[str, ...]
    ok_actions: tuple[str, ...]
    insufficient_data_actions: tuple[str, ...]
    treat_missing: str
    period_seconds: int
    evaluation_periods: int
    datapoints: int
    namespace: str
    metric: str
    dimensions: Mapping[str, str]
    transitioned_at: datetime | None
    evaluation: str


@dataclass(frozen=True)
class HistoryItem:
    """One item of an alarm's history. `type` is ConfigurationUpdate, StateUpdate or Action; `data` is JSON."""

    alarm: str
    at: datetime
    type: str
    summary: str
    data: str


def alarms(aws: Aws, names: Sequence[str]) -> list[Alarm]:
    """The alarms of these names, in this order; one that does not exist is left out."""
    found: dict[str, Alarm] = {}
    for start in range(0, len(names), PAGE):
        what = f"The alarms {', '.join(names)} cannot be read"
        arguments = {"AlarmNames": list(names[start : start + PAGE]), "AlarmTypes": TYPES}
        for row in aws.pages("cloudwatch.DescribeAlarms", "MetricAlarms", "CompositeAlarms", what=what, **arguments):
            found[row["AlarmName"]] = _alarm(row)
    return [found[name] for name in names if name in found]


def history(aws: Aws, alarm: str, *, since: datetime) -> list[HistoryItem]:
    """What an alarm did since an instant, oldest first.

    AWS keeps two weeks. It answers three of these calls a second in an account and Region, and no more: do not poll
    with it (aws-semantics 10.2.7).
    """
    rows = aws.pages(
        "cloudwatch.DescribeAlarmHistory",
        "AlarmHistoryItems",
        what=f"The history of alarm {alarm} cannot be read",
        AlarmName=alarm,
        AlarmTypes=TYPES,
        StartDate=since,
        ScanBy="TimestampAscending",
    )
    return [
        HistoryItem(
            row["AlarmName"], row["Timestamp"], row["HistoryItemType"], row["HistorySummary"], row["HistoryData"]
        )
        for row in rows
    ]


def total(aws: Aws, namespace: str, metric: str, dimensions: Mapping[str, str], *, since: datetime) -> float:
    """The sum of a metric's values since an instant, in whole minutes; a value may take a minute or two to arrive."""
    end = datetime.now(UTC) + timedelta(minutes=1)
    rows = aws.call(
        "cloudwatch.GetMetricStatistics",
        what=f"Metric {metric} of {namespace} cannot be read",
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=since,
        EndTime=end,
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    return float(sum(row["Sum"] for row in rows))


def active_mutes(aws: Aws, alarm: str) -> list[str]:
    """The mute rules (ARNs) that keep an alarm from telling anybody now (aws-semantics 0.14)."""
    what = f"The mute rules of alarm {alarm} cannot be read"
    rows = aws.pages(
        "cloudwatch.ListAlarmMuteRules", "AlarmMuteRuleSummaries", what=what, AlarmName=alarm, Statuses=["ACTIVE"]
    )
    return [row["AlarmMuteRuleArn"] for row in rows]


def detection_bound_seconds(alarm: Alarm) -> float:
    """How long an alarm may take, at most, to see an outage that lasts (aws-semantics 10.2.2).

    The period in which the outage begins may still look well, then `datapoints` periods must breach. Where data is
    missing, CloudWatch goes on looking at what it knows within its evaluation range, which is longer than
    `evaluation_periods`. Then the metric's arrival, and up to a minute until the next evaluation (ten seconds with
    periods of less than a minute).
    """
    periods = alarm.evaluation_periods + EXTRA_PERIODS
    tick, arrival = (60, INGESTION_SECONDS) if alarm.period_seconds >= 60 else (10, 0)
    return alarm.period_seconds * (1 + periods) + arrival + tick


def _alarm(row: Mapping[str, Any]) -> Alarm:
    evaluation_periods = row.get("EvaluationPeriods", 0)
    metric = _metric(row)
    return Alarm(
        name=row["AlarmName"],
        arn=row["AlarmArn"],
        state=row["StateValue"],
        state_reason=row.get("StateReason", ""),
        actions_enabled=row.get("ActionsEnabled", True),
        alarm_actions=tuple(row.get("AlarmActions", [])),
        ok_actions=tuple(row.get("OKActions", [])),
        insufficient_data_actions=tuple(row.get("InsufficientDataActions", [])),
        treat_missing=row.get("TreatMissingData", "missing"),
        period_seconds=metric["period"],
        evaluation_periods=evaluation_periods,
        datapoints=row.get("DatapointsToAlarm") or evaluation_periods,
        namespace=metric["namespace"],
        metric=metric["name"],
        dimensions=metric["dimensions"],
        transitioned_at=row.get("StateTransitionedTimestamp"),
        evaluation=row.get("EvaluationState", ""),
    )


def _metric(row: Mapping[str, Any]) -> dict[str, Any]:
    """What an alarm looks at; of an expression over several metrics, the first and the longest period."""
    stats = [query["MetricStat"] for query in row.get("Metrics", []) if "MetricStat" in query]
    source = stats[0]["Metric"] if stats else row
    return {
        "namespace": source.get("Namespace", ""),
        "name": source.get("MetricName", ""),
        "dimensions": {one["Name"]: one["Value"] for one in source.get("Dimensions", [])},
        "period": max((stat["Period"] for stat in stats), default=row.get("Period", 0)),
    }
