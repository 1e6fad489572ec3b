"""Alarms through plain clients: from published values to the message in a subscriber's queue."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from pytest_envdr.sandbox.control_plane import cloudwatch
from pytest_envdr.waiting import pause, wait_until
from tests.sandbox.control_plane.served import ACCOUNT, Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION = "eu-west-2"
SPEED = 25
DIMENSIONS = [{"Name": "Service", "Value": "api"}, {"Name": "Zone", "Value": "a"}]
SEVERAL_EVALUATIONS = 2.0
"""Wall seconds; alarms of 10 s are evaluated each 0.2 s at this speed."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("cloudwatch")
    modules = {"cloudwatch": cloudwatch}
    with serving(directory, modules, region=REGION, network="127.205.0.0/16", speed=SPEED) as served:
        yield served


@dataclass
class Page:
    """One alarm with a metric, a topic and a subscribed queue of its own."""

    served: Served
    name: str = field(default_factory=lambda: f"alarm-{uuid4().hex[:8]}")

    def __post_init__(self) -> None:
        self.cloudwatch = self.served.client("cloudwatch")
        sns, self.sqs = self.served.client("sns"), self.served.client("sqs")
        self.topic = sns.create_topic(Name=self.name)["TopicArn"]
        self.queue = self.sqs.create_queue(QueueName=self.name)["QueueUrl"]
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{self.name}"
        sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=arn)

    def put(self, **other: Any) -> Page:
        settings = {
            "AlarmName": self.name,
            "AlarmDescription": "too few",
            "Namespace": "Shop",
            "MetricName": self.name,
            "Dimensions": DIMENSIONS,
            "Statistic": "Minimum",
            "Period": 10,
            "EvaluationPeriods": 1,
            "DatapointsToAlarm": 1,
            "Threshold": 1,
            "ComparisonOperator": "LessThanThreshold",
            "TreatMissingData": "ignore",
            "AlarmActions": [self.topic],
            "OKActions": [self.topic],
        }
        self.cloudwatch.put_metric_alarm(**(settings | other))
        return self

    def publish(self, value: float, **other: Any) -> None:
        datum = {"MetricName": self.name, "Dimensions": DIMENSIONS, "Value": value} | other
        self.cloudwatch.put_metric_data(Namespace="Shop", MetricData=[datum])

    def alarm(self) -> dict[str, Any]:
        return dict(self.cloudwatch.describe_alarms(AlarmNames=[self.name])["MetricAlarms"][0])

    def wait_for(self, state: str) -> dict[str, Any]:
        return wait_until(
            self.alarm, lambda alarm: bool(alarm["StateValue"] == state), what=f"{self.name} in {state}", deadline=10
        )

    def history(self, **asked: Any) -> list[dict[str, Any]]:
        answer = self.cloudwatch.describe_alarm_history(AlarmName=self.name, ScanBy="TimestampAscending", **asked)
        return list(answer["AlarmHistoryItems"])

    def messages(self, *, wait: int = 0) -> list[dict[str, Any]]:
        """The notifications in the queue, as SNS wraps them."""
        answer = self.sqs.receive_message(QueueUrl=self.queue, WaitTimeSeconds=wait, MaxNumberOfMessages=10)
        for message in answer.get("Messages", []):
            self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in answer.get("Messages", [])]


@pytest.fixture
def page(served: Served) -> Page:
    return Page(served)


def test_a_new_alarm_has_insufficient_data(page: Page) -> None:
    """A new alarm is in INSUFFICIENT_DATA, says so as CloudWatch does, and tells nobody."""
    alarm = page.put().alarm()
    assert (alarm["StateValue"], alarm["StateReason"]) == ("INSUFFICIENT_DATA", "Unchecked: Initial alarm creation")
    assert alarm["StateTransitionedTimestamp"] == alarm["StateUpdatedTimestamp"]
    assert "EvaluationState" not in alarm
    assert "StateReasonData" not in alarm
    assert page.messages() == []


def test_a_breaching_value_reaches_the_subscriber_as_cloudwatch_words_it(page: Page) -> None:
    """A value below the threshold puts the alarm into ALARM, and the queue gets the message that CloudWatch sends."""
    page.put().publish(0)
    alarm = page.wait_for("ALARM")
    assert alarm["StateReason"].startswith("Threshold Crossed: 1 out of the last 1 datapoints [0.0 (")
    data = json.loads(alarm["StateReasonData"])
    assert (data["recentDatapoints"], data["statistic"], data["period"], data["threshold"]) == ([0.0], "Minimum", 10, 1)
    [notification] = page.messages(wait=5)
    assert notification["Subject"] == f'ALARM: "{page.name}" in EU (London)'
    message = json.loads(notification["Message"])
    assert message["NewStateReason"] == alarm["StateReason"]
    assert (message["OldStateValue"], message["NewStateValue"]) == ("INSUFFICIENT_DATA", "ALARM")
    assert (message["AWSAccountId"], message["Region"]) == (ACCOUNT, "EU (London)")
    assert message["AlarmArn"] == alarm["AlarmArn"]
    assert message["Trigger"] == {
        "MetricName": page.name,
        "Namespace": "Shop",
        "StatisticType": "Statistic",
        "Statistic": "MINIMUM",
        "Unit": None,
        "Dimensions": [{"value": each["Value"], "name": each["Name"]} for each in DIMENSIONS],
        "Period": 10,
        "EvaluationPeriods": 1,
        "DatapointsToAlarm": 1,
        "ComparisonOperator": "LessThanThreshold",
        "Threshold": 1.0,
        "TreatMissingData": "ignore",
        "EvaluateLowSampleCountPercentile": "",
    }


def test_an_alarm_that_stays_in_its_state_tells_nobody_again(page: Page) -> None:
    """Actions run when the state changes, not while it lasts."""
    page.put().publish(0)
    page.wait_for("ALARM")
    assert len(page.messages(wait=5)) == 1
    page.publish(0)
    pause(SEVERAL_EVALUATIONS)
    assert page.messages() == []
    page.publish(3)
    page.wait_for("OK")
    assert [each["Subject"][:3] for each in page.messages(wait=5)] == ["OK:"]


def test_disabled_actions_leave_the_queue_empty(page: Page) -> None:
    """An alarm whose actions are disabled goes into ALARM and nobody hears of it; enabled again, they do."""
    page.put()
    page.cloudwatch.disable_alarm_actions(AlarmNames=[page.name])
    page.publish(0)
    assert page.wait_for("ALARM")["ActionsEnabled"] is False
    pause(SEVERAL_EVALUATIONS)
    assert page.messages() == []
    assert page.history(HistoryItemType="Action") == []
    page.cloudwatch.enable_alarm_actions(AlarmNames=[page.name])
    page.publish(3)
    page.wait_for("OK")
    assert len(page.messages(wait=5)) == 1


def test_a_metric_with_other_dimensions_is_not_the_alarms(page: Page) -> None:
    """Dimensions match exactly: a value with fewer of them changes nothing."""
    page.put().publish(0, Dimensions=DIMENSIONS[:1])
    pause(SEVERAL_EVALUATIONS)
    assert page.alarm()["StateValue"] == "INSUFFICIENT_DATA"


def test_missing_data_is_treated_as_configured(page: Page) -> None:
    """Values that stop coming put an alarm that takes missing data for breaching into ALARM."""
    page.put(TreatMissingData="breaching").publish(3)
    page.wait_for("OK")
    assert "no datapoints were received" in page.wait_for("ALARM")["StateReason"]


def test_a_set_state_runs_the_actions_and_does_not_last(page: Page) -> None:
    """SetAlarmState is in the history and tells the subscriber; the next evaluation sets the state right."""
    page.put(TreatMissingData="notBreaching")
    page.wait_for("OK")
    page.messages(wait=5)
    page.cloudwatch.set_alarm_state(AlarmName=page.name, StateValue="ALARM", StateReason="a test of the wiring")
    page.wait_for("OK")
    told = page.messages(wait=5) + page.messages(wait=1)
    assert [json.loads(each["Message"])["NewStateValue"] for each in told] == ["ALARM", "OK"]
    summaries = [item["HistorySummary"] for item in page.history(HistoryItemType="StateUpdate")]
    assert summaries[-2:] == ["Alarm updated from OK to ALARM", "Alarm updated from ALARM to OK"]


def test_the_history_tells_what_happened(page: Page) -> None:
    """Creation, state change and action are in the history with CloudWatch's data, and stay when the alarm goes."""
    began = datetime.now(UTC) - timedelta(seconds=1)
    page.put().publish(0)
    page.wait_for("ALARM")
    wait_until(page.history, lambda items: len(items) >= 3, what="three items", deadline=5)
    page.cloudwatch.delete_alarms(AlarmNames=[page.name])
    items = page.history(StartDate=began, EndDate=datetime.now(UTC) + timedelta(seconds=1))
    kinds = ["ConfigurationUpdate", "StateUpdate", "Action", "ConfigurationUpdate"]
    assert [item["HistoryItemType"] for item in items] == kinds
    created, changed, acted, deleted = (json.loads(item["HistoryData"]) for item in items)
    assert created["createdAlarm"]["stateValue"] == "INSUFFICIENT_DATA"
    assert changed["newState"]["stateReasonData"]["recentDatapoints"] == [0.0]
    assert (acted["actionState"], acted["notificationResource"]) == ("Succeeded", page.topic)
    assert items[2]["HistorySummary"] == f"Successfully executed action {page.topic}"
    assert deleted["type"] == "Delete"
    assert page.history(StartDate=datetime.now(UTC) + timedelta(hours=1)) == []
    assert page.history(AlarmTypes=["CompositeAlarm"]) == []


def test_the_history_comes_in_pages(page: Page) -> None:
    """Pages follow one another without gap or repetition, newest first by default."""
    page.put(TreatMissingData="missing")
    for state in ("ALARM", "INSUFFICIENT_DATA", "ALARM"):
        page.cloudwatch.set_alarm_state(AlarmName=page.name, StateValue=state, StateReason="turn")
    pages = page.cloudwatch.get_paginator("describe_alarm_history").paginate(
        AlarmName=page.name, PaginationConfig={"PageSize": 1}
    )
    stamps = [item["Timestamp"] for each in pages for item in each["AlarmHistoryItems"]]
    assert len(stamps) >= 4
    assert stamps == sorted(stamps, reverse=True)


def test_a_missing_topic_is_a_failed_action(page: Page) -> None:
    """An action on a topic that is not there is in the history as failed."""
    page.put(AlarmActions=[f"{page.topic}-gone"]).publish(0)
    page.wait_for("ALARM")
    [action] = wait_until(lambda: page.history(HistoryItemType="Action"), what="the action", deadline=5)
    assert action["HistorySummary"].startswith(f"Failed to execute action {page.topic}-gone")
    assert json.loads(action["HistoryData"])["actionState"] == "Failed"


def test_a_changed_alarm_keeps_its_state(page: Page) -> None:
    """PutMetricAlarm on an existing alarm replaces its configuration and leaves its state."""
    page.put().publish(0)
    before = page.wait_for("ALARM")
    after = page.put(AlarmDescription="other words").alarm()
    assert (after["StateValue"], after["AlarmDescription"]) == ("ALARM", "other words")
    assert after["StateTransitionedTimestamp"] == before["StateTransitionedTimestamp"]


def test_alarms_are_found_by_each_filter(page: Page) -> None:
    """Prefix, state, action and metric narrow the list, together."""
    page.put()
    find = page.cloudwatch.describe_alarms
    assert len(find(AlarmNamePrefix=page.name[:-1], StateValue="INSUFFICIENT_DATA")["MetricAlarms"]) == 1
    assert find(AlarmNamePrefix=page.name, StateValue="OK")["MetricAlarms"] == []
    assert len(find(ActionPrefix=page.topic)["MetricAlarms"]) == 1
    assert find(AlarmNames=[page.name], AlarmTypes=["CompositeAlarm"])["MetricAlarms"] == []
    wanted = {"Namespace": "Shop", "MetricName": page.name}
    of_metric = page.cloudwatch.describe_alarms_for_metric
    assert len(of_metric(**wanted, Dimensions=DIMENSIONS)["MetricAlarms"]) == 1
    assert of_metric(**wanted)["MetricAlarms"] == []


def test_what_is_not_there_says_so(page: Page) -> None:
    """Mute rules: none. Metric math: a 501 that names the operation, not a page of HTML."""
    assert page.cloudwatch.list_alarm_mute_rules()["AlarmMuteRuleSummaries"] == []
    math = {"AlarmName": "m", "EvaluationPeriods": 1, "ComparisonOperator": "LessThanThreshold", "Threshold": 1}
    with pytest.raises(ClientError, match="PutMetricAlarm") as refused:
        page.cloudwatch.put_metric_alarm(**math, Metrics=[{"Id": "e", "Expression": "1+1"}])
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_wrong_settings_are_refused(page: Page) -> None:
    """A period, a number of datapoints or a way to treat missing data that CloudWatch does not know is an error."""
    for wrong in ({"Period": 25}, {"DatapointsToAlarm": 2}, {"TreatMissingData": "no"}):
        with pytest.raises(ClientError, match="ValidationError"):
            page.put(**wrong)


def test_statistic_sets_are_read_back(page: Page) -> None:
    """Values and statistic sets come back from both ways to ask, with exact dimensions and in their periods."""
    page.publish(2)
    page.publish(4, Timestamp=datetime.now(UTC))
    several = {"SampleCount": 4, "Sum": 20, "Minimum": 1, "Maximum": 9}
    metric = {"Namespace": "Shop", "MetricName": page.name, "Dimensions": DIMENSIONS}
    datum = {"MetricName": page.name, "Dimensions": DIMENSIONS, "StatisticValues": several}
    page.cloudwatch.put_metric_data(Namespace="Shop", MetricData=[datum])
    when = {"StartTime": datetime.now(UTC) - timedelta(minutes=5), "EndTime": datetime.now(UTC) + timedelta(minutes=5)}
    stats = page.cloudwatch.get_metric_statistics(**metric, **when, Period=3600, Statistics=["Sum", "Maximum"])
    assert sum(point["Sum"] for point in stats["Datapoints"]) == 26
    assert max(point["Maximum"] for point in stats["Datapoints"]) == 9
    queries = [{"Id": "q", "MetricStat": {"Metric": metric, "Period": 3600, "Stat": "SampleCount"}}]
    [result] = page.cloudwatch.get_metric_data(MetricDataQueries=queries, **when)["MetricDataResults"]
    assert (sum(result["Values"]), result["StatusCode"]) == (6, "Complete")
    assert (
        page.cloudwatch.get_metric_statistics(**(metric | {"Dimensions": []}), **when, Period=3600, Statistics=["Sum"])[
            "Datapoints"
        ]
        == []
    )
    listed = page.cloudwatch.list_metrics(Namespace="Shop", MetricName=page.name)["Metrics"]
    assert [sorted(each["Name"] for each in one["Dimensions"]) for one in listed] == [["Service", "Zone"]]


def test_the_aws_cli_reads_alarms_and_history(page: Page) -> None:
    """Debian's AWS CLI, which speaks the older protocol, reads the same."""
    page.put().publish(0)
    page.wait_for("ALARM")
    described = page.served.cli_json("cloudwatch", "describe-alarms", "--alarm-names", page.name)["MetricAlarms"]
    assert [(each["StateValue"], each["Threshold"]) for each in described] == [("ALARM", 1.0)]
    history = page.served.cli_json(
        "cloudwatch", "describe-alarm-history", "--alarm-name", page.name, "--history-item-type", "StateUpdate"
    )
    [item] = history["AlarmHistoryItems"]
    assert json.loads(item["HistoryData"])["newState"]["stateValue"] == "ALARM"
