"""Asynchronous invocations: what becomes of an event when its function cannot run."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.sandbox.control_plane import awslambda, cloudwatch, logs, sqs
from tests.sandbox.control_plane.lambda_rig import BROKEN, ECHO, Rig, zipped
from tests.sandbox.control_plane.served import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

SPEED = 100
EVENT = {"detail": {"slug": "acme"}}
SLOW = "import time\ndef handler(event, context): time.sleep(1); print('ran', event['number'])"


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    services = {"lambda": awslambda, "sqs": sqs, "logs": logs, "cloudwatch": cloudwatch}
    with serving(
        tmp_path_factory.mktemp("lambda"), services, region="eu-south-2", network="127.252.0.0/16", speed=SPEED
    ) as served:
        yield Rig(served)


def sent(rig: Rig, name: str, event: Any = EVENT) -> str:
    """The request's id; it is taken whatever comes of it."""
    answer = rig.client("lambda").invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(event))
    assert answer["StatusCode"] == 202
    return str(answer["ResponseMetadata"]["RequestId"])


def failing(rig: Rig, source: str = BROKEN, **settings: Any) -> tuple[str, str]:
    """A function with a dead-letter queue: its name and the queue's URL."""
    url, arn = rig.queue()
    return rig.function(source, DeadLetterConfig={"TargetArn": arn}, **settings), url


def attributes(message: dict[str, Any]) -> dict[str, str]:
    return {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}


def starts(rig: Rig, name: str) -> int:
    return sum(line.startswith("START") for line in rig.lines(name))


def replace(rig: Rig, name: str, source: str) -> None:
    rig.client("lambda").update_function_code(FunctionName=name, ZipFile=zipped(source))


def test_broken_code_is_tried_three_times(rig: Rig) -> None:
    """At once, a minute later and two minutes after that, in AWS's time; then the event itself is in the dead-letter
    queue, with the error, and counts as dropped."""
    name, url = failing(rig)
    begun = time.monotonic()
    request = sent(rig, name)
    message = rig.message(url)
    assert time.monotonic() - begun >= (60 + 120) / SPEED
    assert json.loads(message["Body"]) == EVENT
    assert attributes(message) == {"RequestID": request, "ErrorCode": "200", "ErrorMessage": "no bucket today"}
    assert starts(rig, name) == 3
    assert rig.awaited(lambda: rig.metric(name, "AsyncEventsDropped"), "the metric") == 1
    assert [rig.metric(name, each) for each in ("AsyncEventsReceived", "Invocations", "Errors")] == [1, 3, 3]


def test_repaired_code_may_run_late_by_itself(rig: Rig) -> None:
    """Whoever repairs a function within three minutes sees the old event processed: nothing is in the queue."""
    name, url = failing(rig)
    sent(rig, name)
    rig.awaited(lambda: rig.metric(name, "Errors"), "the first try")
    replace(rig, name, ECHO)
    rig.awaited(lambda: rig.metric(name, "Invocations") > rig.metric(name, "Errors"), "a try that succeeds")
    time.sleep(200 / SPEED)
    assert rig.messages(url) == []
    assert rig.metric(name, "AsyncEventsDropped") == 0


@pytest.mark.parametrize(("retries", "tries"), [(0, 1), (1, 2)])
def test_fewer_retries_can_be_asked_for(rig: Rig, retries: int, tries: int) -> None:
    """MaximumRetryAttempts from 0 to 2."""
    name, url = failing(rig)
    rig.client("lambda").put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=retries)
    sent(rig, name)
    rig.message(url)
    assert starts(rig, name) == tries


def test_an_event_gets_too_old(rig: Rig) -> None:
    """MaximumEventAgeInSeconds ends it before its last try."""
    name, url = failing(rig)
    rig.client("lambda").put_function_event_invoke_config(FunctionName=name, MaximumEventAgeInSeconds=100)
    sent(rig, name)
    rig.message(url)
    assert starts(rig, name) == 2


def test_a_reserved_concurrency_of_0_sends_events_to_the_queue_at_once(rig: Rig) -> None:
    """No try, no retry: the plain event is in the dead-letter queue, and comes by itself never again."""
    name, url = failing(rig, ECHO)
    client = rig.client("lambda")
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    request = sent(rig, name)
    message = rig.message(url)
    assert json.loads(message["Body"]) == EVENT
    told = attributes(message)
    assert told.keys() == {"RequestID", "ErrorMessage"}
    assert told["RequestID"] == request
    assert rig.awaited(lambda: rig.metric(name, "AsyncEventsDropped"), "the metric") == 1
    client.delete_function_concurrency(FunctionName=name)
    time.sleep(300 / SPEED)
    assert starts(rig, name) == 0


def test_without_a_queue_an_event_is_dropped_at_once(rig: Rig) -> None:
    """Nobody has it any more; only a metric tells."""
    name, client = rig.function(), rig.client("lambda")
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    sent(rig, name)
    assert rig.awaited(lambda: rig.metric(name, "AsyncEventsDropped"), "the metric") == 1
    client.delete_function_concurrency(FunctionName=name)
    time.sleep(300 / SPEED)
    assert starts(rig, name) == 0


@pytest.mark.parametrize(
    ("reserved", "condition", "count"), [(0, "ZeroReservedConcurrency", 0), (None, "RetriesExhausted", 1)]
)
def test_a_destination_is_told_in_a_record(rig: Rig, reserved: int | None, condition: str, count: int) -> None:
    """The event is in it as `requestPayload`, beside why and what the function answered."""
    client, name = rig.client("lambda"), rig.function(BROKEN)
    url, arn = rig.queue()
    client.put_function_event_invoke_config(
        FunctionName=name, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": arn}}
    )
    if reserved is not None:
        client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=reserved)
    request = sent(rig, name)
    record = json.loads(rig.message(url)["Body"])
    assert record["requestPayload"] == EVENT
    assert record["requestContext"] == {
        "requestId": request,
        "functionArn": f"{rig.function_arn(name)}:$LATEST",
        "condition": condition,
        "approximateInvokeCount": count,
    }
    if count:
        assert record["responseContext"]["functionError"] == "Unhandled"
        assert record["responsePayload"]["errorMessage"] == "no bucket today"
    else:
        assert "responsePayload" not in record


def test_a_success_can_be_told_as_well(rig: Rig) -> None:
    """OnSuccess: the same record, with the answer; nothing is dropped."""
    client, name = rig.client("lambda"), rig.function()
    url, arn = rig.queue()
    client.put_function_event_invoke_config(FunctionName=name, DestinationConfig={"OnSuccess": {"Destination": arn}})
    sent(rig, name)
    record = json.loads(rig.message(url)["Body"])
    assert record["requestContext"]["condition"] == "Success"
    assert record["responsePayload"] == EVENT
    assert rig.metric(name, "AsyncEventsDropped") == 0


def test_too_little_concurrency_delays_events(rig: Rig) -> None:
    """They are throttled and tried again until there is room: late, but none is lost."""
    client, name = rig.client("lambda"), rig.function(SLOW)
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    for number in range(3):
        sent(rig, name, {"number": number})
    rig.awaited(lambda: rig.metric(name, "Invocations") == 3, "all events")
    assert rig.metric(name, "Throttles") > 0
    assert rig.metric(name, "AsyncEventsDropped") == 0


def test_a_dead_letter_queue_that_is_gone_is_counted(rig: Rig) -> None:
    """The event is lost, and DeadLetterErrors tells."""
    name, url = failing(rig)
    rig.client("sqs").delete_queue(QueueUrl=url)
    rig.client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    sent(rig, name)
    assert rig.awaited(lambda: rig.metric(name, "DeadLetterErrors"), "the metric") == 1


def test_an_alarm_fires_on_errors(rig: Rig) -> None:
    """The metrics are CloudWatch's own: an alarm on them is evaluated."""
    name, _ = failing(rig)
    rig.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Namespace="AWS/Lambda",
        MetricName="Errors",
        Dimensions=[{"Name": "FunctionName", "Value": name}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
    )

    def fired() -> bool:
        history = rig.client("cloudwatch").describe_alarm_history(AlarmName=name, HistoryItemType="StateUpdate")
        return any("to ALARM" in item["HistorySummary"] for item in history["AlarmHistoryItems"])

    sent(rig, name)
    rig.awaited(fired, "the alarm")
