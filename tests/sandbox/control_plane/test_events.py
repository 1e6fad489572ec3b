"""EventBridge through a plain client: which rule is met, what its targets get, and where goes what they do not take."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from pytest_envdr.sandbox.control_plane import awslambda, cloudwatch, events, logs, s3, sqs
from tests.sandbox.control_plane.events_rig import Bus, ran
from tests.sandbox.control_plane.lambda_rig import Rig, allow_events
from tests.sandbox.control_plane.served import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

SPEED = 100


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    services = {"lambda": awslambda, "events": events, "sqs": sqs, "logs": logs, "cloudwatch": cloudwatch, "s3": s3}
    with serving(
        tmp_path_factory.mktemp("events"), services, region="eu-south-2", network="127.253.0.0/16", speed=SPEED
    ) as served:
        yield Rig(served)


@pytest.fixture
def bus(rig: Rig) -> Bus:
    return Bus.made(rig)


def test_a_rule_gets_what_matches_and_nothing_else(rig: Rig, bus: Bus) -> None:
    """The target has the whole event; what does not match is nobody's."""
    url = bus.queue()
    bus.put(total=5)
    bus.put(Source="another")
    event_id = bus.put(total=20, Resources=["arn:aws:s3:::thing"])
    event = json.loads(rig.message(url)["Body"])
    assert {**event, "time": ""} == {
        "version": "0",
        "id": event_id,
        "detail-type": "order.placed",
        "source": "shop",
        "account": "123456789012",
        "time": "",
        "region": "eu-south-2",
        "resources": ["arn:aws:s3:::thing"],
        "detail": {"total": 20},
    }
    assert event["time"].endswith("Z")
    assert rig.messages(url) == []
    counted = ("MatchedEvents", "TriggeredRules", "Invocations", "FailedInvocations")
    assert [bus.count(name) for name in counted] == [1, 1, 1, 0]


def test_entries_are_taken_or_refused_one_by_one(rig: Rig, bus: Bus) -> None:
    """The answer is 200 with a count of what failed; an event for a bus that is not there is taken, and lost."""
    good = {"Source": "shop", "DetailType": "order.placed", "Detail": '{"total": 11}', "EventBusName": bus.name}
    url = bus.queue()
    lost = good | {"EventBusName": "no-such-bus"}
    answer = bus.events.put_events(Entries=[good | {"Detail": "no JSON"}, good, lost])
    assert answer["FailedEntryCount"] == 1
    assert answer["Entries"][0]["ErrorCode"] == "MalformedDetail"
    assert all("EventId" in entry for entry in answer["Entries"][1:])
    assert json.loads(rig.message(url)["Body"])["id"] == answer["Entries"][1]["EventId"]


def test_a_disabled_rule_loses_events(rig: Rig, bus: Bus) -> None:
    """They are not kept for it: after it is enabled again, only what comes then is delivered."""
    url = bus.queue()
    bus.switch(on=False)
    assert bus.events.describe_rule(Name="rule", EventBusName=bus.name)["State"] == "DISABLED"
    bus.put()
    bus.switch(on=True)
    later = bus.put()
    assert json.loads(rig.message(url)["Body"])["id"] == later
    assert rig.messages(url) == []
    assert bus.count("MatchedEvents") == 1


def test_a_rule_calls_a_function(rig: Rig, bus: Bus) -> None:
    """Asynchronously, with the event."""
    name, letters = bus.function()
    event_id = bus.put()
    assert rig.awaited(lambda: ran(rig, name), "the function") == [f"{event_id} None"]
    assert rig.messages(letters) == []


def test_without_permission_an_event_goes_to_the_targets_queue_at_once(rig: Rig, bus: Bus) -> None:
    """No retry, and why; the function never hears of it. With the permission back, the next event arrives."""
    name, letters = bus.function()
    rig.client("lambda").remove_permission(FunctionName=name, StatementId="rule")
    event_id = bus.put()
    message = rig.message(letters)
    assert json.loads(message["Body"])["id"] == event_id
    told = {key: value["StringValue"] for key, value in message["MessageAttributes"].items()}
    assert told.pop("ERROR_MESSAGE")
    assert told == {
        "RULE_ARN": bus.rule_arn,
        "TARGET_ARN": rig.function_arn(name),
        "ERROR_CODE": "NO_PERMISSIONS",
        "RETRY_ATTEMPTS": "0",
    }
    rig.awaited(lambda: bus.count("InvocationsSentToDlq"), "the metric")
    assert bus.count("FailedInvocations") == 1
    bus.allow(name)
    later = bus.put()
    assert rig.awaited(lambda: ran(rig, name), "the function") == [f"{later} None"]


def test_a_permission_for_another_rule_is_none(rig: Rig, bus: Bus) -> None:
    """The function's policy names its source."""
    name, letters = bus.function(allowed=False)
    Bus.made(rig).allow(name)
    bus.put()
    assert rig.message(letters)["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"


def test_a_target_that_is_gone_is_no_resource(rig: Rig, bus: Bus) -> None:
    """At once as well."""
    name, letters = bus.function()
    rig.client("lambda").delete_function(FunctionName=name)
    bus.put()
    assert rig.message(letters)["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_RESOURCE"


def test_a_queue_that_lets_nobody_in_loses_events(rig: Rig, bus: Bus) -> None:
    """A dead-letter queue needs a policy, too; only a metric tells."""
    name, _ = bus.function(allowed=False)
    _, closed = rig.queue()
    bus.target(rig.function_arn(name), DeadLetterConfig={"Arn": closed})
    bus.put()
    rig.awaited(lambda: bus.count("InvocationsFailedToBeSentToDlq"), "the metric")
    assert bus.count("InvocationsSentToDlq") == 0


def test_a_function_that_cannot_run_counts_as_delivered(rig: Rig, bus: Bus) -> None:
    """EventBridge's retries and queue are of no help against a reserved concurrency of 0: the event was taken."""
    name, letters = bus.function()
    rig.client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    bus.put()
    assert rig.awaited(lambda: rig.metric(name, "AsyncEventsDropped"), "the metric") == 1
    assert (bus.count("Invocations"), bus.count("FailedInvocations")) == (1, 0)
    assert rig.messages(letters) == []


@pytest.mark.parametrize(
    ("settings", "body"),
    [
        ({"Input": '{"fixed": true}'}, '{"fixed": true}'),
        ({"InputPath": "$.detail.total"}, "20"),
        (
            {
                "InputTransformer": {
                    "InputPathsMap": {"total": "$.detail.total", "kind": "$.detail-type"},
                    "InputTemplate": '{"text": "<kind> of <total>", "total": <total>, "rule": <aws.events.rule-name>}',
                }
            },
            '{"text": "order.placed of 20", "total": 20, "rule": "rule"}',
        ),
    ],
)
def test_a_target_can_be_given_something_else(rig: Rig, bus: Bus, settings: dict[str, Any], body: str) -> None:
    """A constant, a part, or a text with parts in it."""
    url = bus.queue(**settings)
    bus.put()
    assert rig.message(url)["Body"] == body


def test_what_is_not_acted_out_is_not_taken(bus: Bus) -> None:
    """Schedules, and targets that nothing would be sent to, are answered with a clean 501."""
    refused = []
    for asked in (
        lambda: bus.events.put_rule(Name="daily", ScheduleExpression="rate(1 day)"),
        lambda: bus.target("arn:aws:kinesis:eu-south-2:123456789012:stream/some"),
        lambda: bus.target("arn:aws:sqs:eu-west-3:123456789012:elsewhere"),
    ):
        with pytest.raises(ClientError) as error:
            asked()
        refused.append(error.value.response["ResponseMetadata"]["HTTPStatusCode"])
    assert refused == [501, 501, 501]


def test_a_rule_goes_on_for_a_moment_when_it_is_disabled(rig: Rig) -> None:
    """Whoever does not prove that it is off may still see an event delivered (PutRule does the same)."""
    bus = Bus.made(rig)
    url = bus.queue()
    with rig.at_speed(10):
        bus.events.disable_rule(Name="rule", EventBusName=bus.name)
        early = bus.put()
    assert json.loads(rig.message(url)["Body"])["id"] == early
    time.sleep(0.6)
    bus.put()
    time.sleep(0.5)
    assert rig.messages(url) == []


def test_a_target_that_refuses_is_tried_again(rig: Rig, bus: Bus) -> None:
    """As often as its RetryPolicy says; then the event is in the target's dead-letter queue, with the bound it hit."""
    letters_url, letters = rig.queue()
    name = f"{uuid4().hex}.fifo"
    sqs = rig.client("sqs")
    sqs.create_queue(QueueName=name, Attributes={"FifoQueue": "true"})
    arn = letters.rsplit(":", 1)[0] + f":{name}"
    for url, allowed in ((letters_url, letters), (sqs.get_queue_url(QueueName=name)["QueueUrl"], arn)):
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(allow_events(allowed))})
    # Without content-based deduplication the queue refuses messages that have no id of their own.
    bus.target(
        arn,
        SqsParameters={"MessageGroupId": "all"},
        RetryPolicy={"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 600},
        DeadLetterConfig={"Arn": letters},
    )
    bus.put()
    told = {key: value["StringValue"] for key, value in rig.message(letters_url)["MessageAttributes"].items()}
    assert (told["ERROR_CODE"], told["RETRY_ATTEMPTS"]) == ("ERROR_FROM_TARGET", "2")
    assert told["EXHAUSTED_RETRY_CONDITION"] == "MaximumRetryAttempts"


def test_topics_buses_and_logs_are_targets_as_well(rig: Rig, bus: Bus) -> None:
    """A topic by its policy, another bus by its rules, a log group as lines."""
    far = Bus.made(rig)
    url = far.queue()
    sns, logs_ = rig.client("sns"), rig.client("logs")
    topic = sns.create_topic(Name=uuid4().hex)["TopicArn"]
    heard, queue = rig.queue()
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    policy = json.dumps(allow_events(topic)).replace("sqs:SendMessage", "sns:Publish")
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    group = f"/events/{uuid4().hex}"
    arns = {"topic": topic, "bus": far.arn, "log": f"arn:aws:logs:eu-south-2:123456789012:log-group:{group}"}
    bus.events.put_targets(
        Rule="rule", EventBusName=bus.name, Targets=[{"Id": key, "Arn": arn} for key, arn in arns.items()]
    )
    bus.put(total=77)
    assert json.loads(json.loads(rig.message(heard)["Body"])["Message"])["detail"] == {"total": 77}
    assert json.loads(rig.message(url)["Body"])["detail"] == {"total": 77}
    found = rig.awaited(
        lambda: (
            logs_.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
            and logs_.filter_log_events(logGroupName=group)["events"]
        ),
        "the log",
    )
    assert json.loads(found[0]["message"])["detail"] == {"total": 77}


def test_s3_announces_objects_on_the_default_bus(rig: Rig, bus: Bus) -> None:
    """And to no other one; a function that a bucket's configuration names hears of them by its own policy."""
    s3, name = rig.client("s3"), f"bucket-{uuid4().hex[:12]}"
    url, arn = rig.queue()
    rig.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(allow_events(arn))})
    pattern = json.dumps(
        {"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": {"bucket": {"name": [name]}}}
    )
    bus.events.put_rule(Name=name, EventPattern=pattern)
    bus.events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
    bus.events.put_rule(Name="rule", EventBusName=bus.name, EventPattern=pattern)
    elsewhere = bus.queue()
    function = rig.function("def handler(event, context): print(event['Records'][0]['s3']['object']['key'])")
    rig.client("lambda").add_permission(
        FunctionName=function,
        StatementId="bucket",
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
        SourceArn=f"arn:aws:s3:::{name}",
    )
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-south-2"})
    s3.put_bucket_notification_configuration(
        Bucket=name,
        NotificationConfiguration={
            "EventBridgeConfiguration": {},
            "LambdaFunctionConfigurations": [
                {"LambdaFunctionArn": rig.function_arn(function), "Events": ["s3:ObjectCreated:*"]}
            ],
        },
    )
    s3.put_object(Bucket=name, Key="new", Body=b"x")
    event = json.loads(rig.message(url)["Body"])
    assert event["detail"]["object"]["key"] == "new"
    assert event["time"].endswith("Z")
    assert rig.awaited(lambda: ran(rig, function), "the function") == ["new"]
    assert rig.messages(elsewhere) == []
