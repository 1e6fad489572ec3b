"""What containers print: readable as logs, and as the metrics in it."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.sandbox.control_plane import cloudwatch, logs
from tests.sandbox.control_plane.served import Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("logs")
    modules = {"logs": logs, "cloudwatch": cloudwatch}
    with serving(directory, modules, region="eu-north-1", network="127.3.0.0/16", speed=50) as served:
        yield served


def event(**members: Any) -> str:
    """An embedded-metric line as the application prints it."""
    directive = {
        "Namespace": "Shop",
        "Dimensions": [["Service"], ["Service", "Zone"]],
        "Metrics": [{"Name": "Jobs", "Unit": "Count"}, {"Name": "Seconds"}],
    }
    metadata = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
    return json.dumps({"_aws": metadata, "Service": "worker", "Zone": "a", "Jobs": 3} | members)


def test_shipped_lines_are_readable(served: Served) -> None:
    """Lines come back in order, with their times in milliseconds, from a group and stream made on the way."""
    lines = [(NOW + timedelta(milliseconds=7), "second"), (NOW, "first"), (NOW, "")]
    logs.ship(served.world, "/ecs/read", "api/api/1", lines)
    client = served.client("logs")
    events = client.get_log_events(logGroupName="/ecs/read", logStreamName="api/api/1", startFromHead=True)["events"]
    assert [each["message"] for each in events] == ["first", "second"]
    assert events[0]["timestamp"] == int(NOW.timestamp() * 1000)
    [stream] = client.describe_log_streams(logGroupName="/ecs/read")["logStreams"]
    assert (stream["logStreamName"], stream["lastEventTimestamp"]) == ("api/api/1", events[1]["timestamp"])


def test_lines_of_all_streams_are_filtered_in_order_of_time(served: Served) -> None:
    """FilterLogEvents mixes the streams by time, whether interleaving is asked for or not, and takes a pattern."""
    for number, stream in enumerate(("late", "early")):
        at = NOW - timedelta(seconds=number)
        logs.ship(served.world, "/ecs/filter", stream, [(at, f"{stream} SIGTERM"), (at, "noise")])
    found = served.client("logs").filter_log_events(logGroupName="/ecs/filter", filterPattern="SIGTERM")["events"]
    assert [each["message"] for each in found] == ["early SIGTERM", "late SIGTERM"]


def test_old_lines_make_room(served: Served) -> None:
    """A stream does not grow for ever: the newest lines stay."""
    lines = [(NOW, str(number)) for number in range(logs.KEPT_EVENTS + 5)]
    logs.ship(served.world, "/ecs/long", "s", lines)
    answer = served.client("logs").get_log_events(logGroupName="/ecs/long", logStreamName="s", startFromHead=True)
    assert answer["events"][0]["message"] == "5"


def test_the_aws_cli_tails(served: Served) -> None:
    """`aws logs tail` prints the lines of a group."""
    logs.ship(served.world, "/ecs/tail", "api/api/1", [(datetime.now(UTC), "ready to serve")])
    assert "api/api/1 ready to serve" in served.cli("logs", "tail", "/ecs/tail", "--since", "10m")


def test_embedded_metrics_reach_cloudwatch(served: Served) -> None:
    """A line in the embedded metric format is a value for each of its dimension sets, and stays a log line."""
    logs.ship(served.world, "/ecs/metrics", "s", [(datetime.now(UTC), event(Seconds=[0.5, 1.5]))])
    when = {"StartTime": NOW - timedelta(minutes=5), "EndTime": NOW + timedelta(hours=1), "Period": 86400}
    ask = served.client("cloudwatch").get_metric_statistics
    one = [{"Name": "Service", "Value": "worker"}]
    for dimensions in (one, [*one, {"Name": "Zone", "Value": "a"}]):
        [jobs] = ask(Namespace="Shop", MetricName="Jobs", Dimensions=dimensions, Statistics=["Sum"], **when)[
            "Datapoints"
        ]
        assert (jobs["Sum"], jobs["Unit"]) == (3, "Count")
    asked = {"Namespace": "Shop", "MetricName": "Seconds", "Dimensions": one}
    [seconds] = ask(**asked, Statistics=["Average", "SampleCount"], **when)["Datapoints"]
    assert (seconds["Average"], seconds["SampleCount"]) == (1, 2)
    events = served.client("logs").filter_log_events(logGroupName="/ecs/metrics")["events"]
    assert len(events) == 1


def test_embedded_metrics_that_come_through_the_api_count_as_well(served: Served) -> None:
    """PutLogEvents with an embedded-metric line publishes its metrics."""
    client = served.client("logs")
    client.create_log_group(logGroupName="/own")
    client.create_log_stream(logGroupName="/own", logStreamName="s")
    line = {"timestamp": int(time.time() * 1000), "message": event(Service="own")}
    client.put_log_events(logGroupName="/own", logStreamName="s", logEvents=[line])
    listed = served.client("cloudwatch").list_metrics(Dimensions=[{"Name": "Service", "Value": "own"}])["Metrics"]
    assert {each["MetricName"] for each in listed} == {"Jobs"}


@pytest.mark.parametrize(
    "line",
    [
        "plain text about _aws",
        '["_aws"]',
        '{"_aws": 1}',
        '{"_aws": {"CloudWatchMetrics": [{}]}}',
        '{"_aws": {"Timestamp": 99999999999999999, "CloudWatchMetrics": []}}',
        '{"_aws": {"Timestamp": 1, "CloudWatchMetrics": 7}}',
        '{"_aws": {"Timestamp": 1, "CloudWatchMetrics": [{"Metrics": [{"Name": "x"}]}]}, "x": 1}',
        '{"_aws": {"Timestamp": 1, "CloudWatchMetrics": [{"Namespace": "N", "Metrics": [{"Unit": "Count"}]}]}}',
        event(Jobs="three"),
        event(Jobs=True),
        event(Jobs=[1] * 101),
        event(Jobs=float("nan")),
        event(Jobs=10**400),
    ],
)
def test_what_is_no_embedded_metric_is_a_log_line_and_nothing_more(line: str) -> None:
    """A line that does not follow the specification gives no metric and no error."""
    assert list(logs.embedded_metrics(line)) == []
