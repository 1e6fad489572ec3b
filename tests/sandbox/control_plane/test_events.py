"""EventBridge through a plain client: which rule is met, what its targets get, and where goes what they do not take."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from pytest_envdr.sandbox.control_plane import awslambda, cloudwatch, events, logs, sqs
from tests.sandbox.control_plane.lambda_rig import ECHO, Rig, allow_events
from tests.sandbox.control_plane.served import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

SPEED = 100
PATTERN = {"source": ["shop"], "detail-type": ["order.placed"], "detail": {"total": [{"numeric": [">", 10]}]}}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    services = {"lambda": awslambda, "events": events, "sqs": sqs, "logs": logs, "cloudwatch": cloudwatch}
    with serving(
        tmp_path_factory.mktemp("events"), services, region="eu-south-2", network="127.253.0.0/16", speed=SPEED
    ) as served:
        yield Rig(served)


@dataclass
class Bus:
    """A bus of the test's own with one rule."""

    rig: Rig
    name: str

    @classmethod
    def made(cls, rig: Rig) -> Bus:
        bus = cls(rig, f"bus-{uuid4().hex[:12]}")
        bus.events.create_event_bus(Name=bus.name)
        bus.events.put_rule(Name="rule", EventBusName=bus.name, EventPattern=json.dumps(PATTERN))
        return bus

    @property
    def events(self) -> Any:
        return self.rig.client("events")

    @property
    def arn(self) -> str:
        return f"arn:aws:events:eu-south-2:123456789012:event-bus/{self.name}"

    @property
    def rule_arn(self) -> str:
        return f"arn:aws:events:eu-south-2:123456789012:rule/{self.name}/rule"

    def put(self, total: int = 20, **more: Any) -> str:
        """The event's id."""
        entry = {
            "Source": "shop",
            "DetailType": "order.placed",
            "Detail": json.dumps({"total": total}),
            "EventBusName": self.name,
        }
        answer = self.events.put_events(Entries=[entry | more])
        assert answer["FailedEntryCount"] == 0
        return str(answer["Entries"][0]["EventId"])

    def target(self, arn: str, **more: Any) -> None:
        self.events.put_targets(Rule="rule", EventBusName=self.name, Targets=[{"Id": "target", "Arn": arn, **more}])

    def queue(self, **more: Any) -> str:
        """The URL of a queue that the rule sends to."""
        url, arn = self.rig.queue()
        self.rig.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(allow_events(arn))})
        self.target(arn, **more)
        return url

    def function(self, *, allowed: bool = True) -> tuple[str, str]:
        """The name of a function that the rule calls, and the URL of the target's dead-letter queue."""
        url, letters = self.rig.queue()
        policy = json.dumps(allow_events(letters))
        self.rig.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        name = self.rig.function(ECHO.replace("return", "print(event['id'], event.get('replay-name'));  return"))
        if allowed:
            self.allow(name)
        self.target(self.rig.function_arn(name), DeadLetterConfig={"Arn": letters})
        return name, url

    def allow(self, function: str) -> None:
        self.rig.client("lambda").add_permission(
            FunctionName=function,
            StatementId="rule",
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceArn=self.rule_arn,
        )

    def count(self, metric: str) -> float:
        return self.rig.total("AWS/Events", metric, EventBusName=self.name, RuleName="rule")


@pytest.fixture
def bus(rig: Rig) -> Bus:
    return Bus.made(rig)


def ran(rig: Rig, name: str) -> list[str]:
    """What the function printed."""
    return [line for line in rig.lines(name) if not line.startswith(("START", "END", "REPORT"))]


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
    bus.events.disable_rule(Name="rule", EventBusName=bus.name)
    assert bus.events.describe_rule(Name="rule", EventBusName=bus.name)["State"] == "DISABLED"
    bus.put()
    bus.events.enable_rule(Name="rule", EventBusName=bus.name)
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


# Archives and replays


def archived(bus: Bus) -> str:
    """The name of an archive of the bus."""
    name = f"archive-{uuid4().hex[:8]}"
    bus.events.create_archive(ArchiveName=name, EventSourceArn=bus.arn, EventPattern='{"source": ["shop"]}')
    return name


def kept(bus: Bus, archive: str) -> int:
    return int(bus.events.describe_archive(ArchiveName=archive)["EventCount"])


def replay(bus: Bus, archive: str, **destination: Any) -> str:
    """The name of a replay of the last hour that has ended."""
    name, now = f"replay-{uuid4().hex[:8]}", time.time()
    started = bus.events.start_replay(
        ReplayName=name,
        EventSourceArn=f"arn:aws:events:eu-south-2:123456789012:archive/{archive}",
        EventStartTime=now - 3600,
        EventEndTime=now + 60,
        Destination={"Arn": bus.arn, **destination},
    )
    assert started["State"] == "STARTING"
    bus.rig.awaited(lambda: bus.events.describe_replay(ReplayName=name)["State"] == "COMPLETED", "the replay's end")
    return name


def test_a_replay_brings_lost_events_back(rig: Rig, bus: Bus) -> None:
    """What a disabled rule lost is in the archive ten minutes later; replayed, it has the replay's name, and the id
    that it had; it is not archived again."""
    name, _ = bus.function()
    bus.put(total=99)
    archive = archived(bus)
    bus.events.disable_rule(Name="rule", EventBusName=bus.name)
    event_id = bus.put()
    assert kept(bus, archive) == 0
    bus.events.enable_rule(Name="rule", EventBusName=bus.name)
    rig.awaited(lambda: kept(bus, archive) == 1, "the archive")
    before = len(rig.awaited(lambda: ran(rig, name), "the event before the archive"))
    replayed = replay(bus, archive)
    rig.awaited(lambda: len(ran(rig, name)) > before, "the function")
    assert ran(rig, name)[before:] == [f"{event_id} {replayed}"]
    time.sleep(600 / SPEED + 1)
    assert kept(bus, archive) == 1


def test_a_replay_too_early_finds_nothing(rig: Rig, bus: Bus) -> None:
    """An event is not in the archive at once; who does not wait replays nothing, and is not told."""
    url = bus.queue()
    archive = archived(bus)
    bus.put()
    rig.message(url)
    replay(bus, archive)
    assert rig.messages(url) == []


def test_a_replay_can_be_for_one_rule_only(rig: Rig, bus: Bus) -> None:
    """FilterArns; without it every rule of the bus is met again."""
    url = bus.queue()
    bus.events.put_rule(Name="other", EventBusName=bus.name, EventPattern=json.dumps(PATTERN))
    other, arn = rig.queue()
    rig.client("sqs").set_queue_attributes(QueueUrl=other, Attributes={"Policy": json.dumps(allow_events(arn))})
    bus.events.put_targets(Rule="other", EventBusName=bus.name, Targets=[{"Id": "other", "Arn": arn}])
    archive = archived(bus)
    bus.put()
    rig.message(url), rig.message(other)
    rig.awaited(lambda: kept(bus, archive) == 1, "the archive")
    replay(bus, archive, FilterArns=[bus.rule_arn])
    assert "replay-name" in json.loads(rig.message(url)["Body"])
    assert rig.messages(other) == []


def test_a_replay_goes_to_its_own_bus_and_has_a_name_of_its_own(rig: Rig, bus: Bus) -> None:
    """Another bus, an end before the start and a name that is taken are refused; a replay that ended cannot be
    cancelled."""
    archive = archived(bus)
    name = replay(bus, archive)
    wanted = {
        "ReplayName": uuid4().hex,
        "EventSourceArn": f"arn:aws:events:eu-south-2:123456789012:archive/{archive}",
        "EventStartTime": 100,
        "EventEndTime": 200,
        "Destination": {"Arn": bus.arn},
    }
    for wrong, code in (
        ({"Destination": {"Arn": Bus.made(rig).arn}}, "ValidationException"),
        ({"EventEndTime": 50}, "ValidationException"),
        ({"ReplayName": name}, "ResourceAlreadyExistsException"),
    ):
        with pytest.raises(ClientError) as refused:
            bus.events.start_replay(**{**wanted, **wrong})
        assert refused.value.response["Error"]["Code"] == code
    with pytest.raises(ClientError) as late:
        bus.events.cancel_replay(ReplayName=name)
    assert late.value.response["Error"]["Code"] == "IllegalStatusException"
