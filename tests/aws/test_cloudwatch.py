"""CloudWatch: alarms as configured, and how long one may take."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.aws import Aws, cloudwatch
from pytest_envdr.aws.cloudwatch import Alarm, detection_bound_seconds
from pytest_envdr.sandbox.control_plane import cloudwatch as sandboxed
from tests import account
from tests.sandbox.control_plane.served import Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

ALARM = Alarm(
    name="a",
    arn="arn",
    state="OK",
    state_reason="",
    actions_enabled=True,
    alarm_actions=(),
    ok_actions=(),
    insufficient_data_actions=(),
    treat_missing="missing",
    period_seconds=60,
    evaluation_periods=1,
    datapoints=1,
    namespace="N",
    metric="M",
    dimensions={},
    transitioned_at=None,
    evaluation="",
)


def put_alarm(name: str, **changes: Any) -> None:
    """Put an alarm of one metric."""
    metric = {
        "Namespace": "AWS/ApplicationELB",
        "MetricName": "HTTPCode_ELB_5XX_Count",
        "Statistic": "Sum",
        "Period": 60,
    }
    fixed = {"EvaluationPeriods": 3, "Threshold": 1, "ComparisonOperator": "GreaterThanOrEqualToThreshold"}
    account.plain("cloudwatch").put_metric_alarm(AlarmName=name, **{**metric, **fixed, **changes})


def test_an_alarm_is_read_as_configured() -> None:
    """Actions, what missing data means, the M of N, metric and dimensions; absent, AWS's defaults."""
    full, bare = account.unique("full"), account.unique("bare")
    put_alarm(
        full,
        ActionsEnabled=False,
        AlarmActions=[account.TOPIC],
        InsufficientDataActions=[account.TOPIC],
        TreatMissingData="breaching",
        DatapointsToAlarm=2,
        Dimensions=[{"Name": "LoadBalancer", "Value": "app/x"}],
    )
    put_alarm(bare)
    first, second = cloudwatch.alarms(Aws(account.stack()), [full, bare])
    assert (first.actions_enabled, first.alarm_actions, first.ok_actions) == (False, (account.TOPIC,), ())
    assert first.insufficient_data_actions == (account.TOPIC,)
    assert (first.treat_missing, first.period_seconds, first.evaluation_periods, first.datapoints) == (
        "breaching",
        60,
        3,
        2,
    )
    assert (first.namespace, first.metric) == ("AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count")
    assert first.dimensions == {"LoadBalancer": "app/x"}
    assert (second.actions_enabled, second.treat_missing, second.datapoints) == (True, "missing", 3)


def test_alarms_come_in_the_order_asked_for_and_missing_ones_do_not() -> None:
    """A name that is no alarm is left out: to miss it is the caller's finding."""
    one, two = account.unique("one"), account.unique("two")
    put_alarm(one)
    put_alarm(two)
    found = cloudwatch.alarms(Aws(account.stack()), [two, "no-such-alarm", one])
    assert [alarm.name for alarm in found] == [two, one]
    assert cloudwatch.alarms(Aws(account.stack()), []) == []


def test_more_alarms_than_a_page_are_all_read() -> None:
    """DescribeAlarms takes a hundred names and answers in pages: all come."""
    names = [account.unique("many") for _ in range(103)]
    for name in names:
        put_alarm(name)
    assert [alarm.name for alarm in cloudwatch.alarms(Aws(account.stack()), names)] == names


def test_an_expression_has_its_metrics_longest_period() -> None:
    """An alarm over several metrics: the longest period counts, and the first metric names it."""
    name = account.unique("expression")
    stat = {"Metric": {"Namespace": "N", "MetricName": "M", "Dimensions": []}, "Stat": "Sum"}
    queries = [
        {"Id": "e", "Expression": "a+b", "ReturnData": True},
        {"Id": "a", "MetricStat": {**stat, "Period": 60}, "ReturnData": False},
        {"Id": "b", "MetricStat": {**stat, "Period": 300}, "ReturnData": False},
    ]
    account.plain("cloudwatch").put_metric_alarm(
        AlarmName=name,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        Metrics=queries,
    )
    (alarm,) = cloudwatch.alarms(Aws(account.stack()), [name])
    assert (alarm.period_seconds, alarm.namespace, alarm.metric) == (300, "N", "M")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The sandbox's CloudWatch: stock moto keeps no history."""
    directory = tmp_path_factory.mktemp("cloudwatch")
    with serving(
        directory, {"cloudwatch": sandboxed}, region="ca-central-1", network="127.219.0.0/16", speed=50
    ) as served:
        yield served


def test_what_an_alarm_did_is_read_in_order(served: Served) -> None:
    """The history since an instant, oldest first: changes of state with their reason; what was before is left out."""
    stack = account.stack(endpoint=served.world.endpoint, region=served.world.region)
    name, client, aws = account.unique("history"), served.client("cloudwatch"), Aws(stack)
    metric = {"Namespace": "N", "MetricName": name, "Statistic": "Sum", "Period": 60, "TreatMissingData": "ignore"}
    client.put_metric_alarm(
        AlarmName=name, EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold", **metric
    )
    (alarm,) = cloudwatch.alarms(aws, [name])
    for state in ("ALARM", "OK"):
        client.set_alarm_state(AlarmName=name, StateValue=state, StateReason="by hand")
    items = cloudwatch.history(aws, name, since=datetime.now(UTC) - timedelta(minutes=1))
    assert [item.type for item in items] == ["ConfigurationUpdate", "StateUpdate", "StateUpdate"]
    assert [item.at for item in items] == sorted(item.at for item in items)
    assert "to ALARM" in items[1].summary
    assert json.loads(items[2].data)["newState"]["stateValue"] == "OK"
    assert items[0].at.tzinfo is UTC
    (after,) = cloudwatch.alarms(aws, [name])
    assert after.transitioned_at is not None
    assert alarm.transitioned_at is None or after.transitioned_at > alarm.transitioned_at
    assert cloudwatch.history(aws, name, since=datetime.now(UTC) + timedelta(minutes=1)) == []
    assert cloudwatch.active_mutes(aws, name) == []


@pytest.mark.parametrize(
    ("period", "evaluation_periods", "bound"),
    [
        (60, 1, 60 * 4 + 60 + 60),
        (60, 3, 60 * 6 + 60 + 60),
        (300, 2, 300 * 5 + 60 + 60),
        (10, 3, 10 * 6 + 10),
    ],
)
def test_the_bound_on_detection(period: int, evaluation_periods: int, bound: float) -> None:
    """The period of the fault, the evaluation range, the metric's arrival, and the time until the next evaluation: ten
    seconds for short periods, a minute for others."""
    alarm = replace(ALARM, period_seconds=period, evaluation_periods=evaluation_periods)
    assert detection_bound_seconds(alarm) == bound
