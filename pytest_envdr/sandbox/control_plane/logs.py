"""CloudWatch Logs: what containers print reaches its log group, and the metrics that it carries reach CloudWatch.

Source: "Specification: Embedded metric format" (CloudWatch user guide): a line that is a JSON object with the root
member `_aws` is a log event and at the same time one value for each metric and dimension set that it names. CloudWatch
drops what does not follow the specification without telling the writer; so do we.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeGuard

from moto.cloudwatch.models import cloudwatch_backends
from moto.logs.models import LogEvent, LogGroup, LogsBackend, LogStream, logs_backends
from pydantic import BaseModel, Field
from typing_extensions import override

from pytest_envdr.sandbox.control_plane.extension import backend_lock, extend, moto_urls
from pytest_envdr.sandbox.fidelity import SIMULATED, Fidelity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

    from pytest_envdr.sandbox.control_loop import Controller
    from pytest_envdr.sandbox.world import World

FIDELITY: dict[str, Fidelity] = {
    # The lines are what real processes printed, but the store is ours: a frozen process leaves its old lines readable.
    "FilterLogEvents": SIMULATED,
    "GetLogEvents": SIMULATED,
    "DescribeLogGroups": SIMULATED,
    "DescribeLogStreams": SIMULATED,
    "PutLogEvents": SIMULATED,
}

KEPT_EVENTS = 20_000
"""Events kept of a stream; older ones go first. CloudWatch keeps them for the group's retention time."""

LATEST_MILLISECONDS = 4_102_444_800_000
"""The year 2100; beyond, a time stamp is a mistake."""

LARGEST_VALUE = 2**360
"""CloudWatch's bound, either side of zero."""

EMF_MAX_VALUES = 100
"""Values that one metric may have in one embedded-metric event; CloudWatch ignores an event with more."""


class SandboxLogs(LogsBackend):
    """moto's logs, which also take the metrics out of events that come through the API."""

    @property
    @override
    def _url_module(self) -> ModuleType:
        return moto_urls("logs")

    @override
    def put_log_events(
        self, log_group_name: str, log_stream_name: str, log_events: list[dict[str, Any]]
    ) -> tuple[str, dict[str, Any]]:
        """PutLogEvents; the token and which events were rejected."""
        answer = super().put_log_events(log_group_name, log_stream_name, log_events)
        _publish_embedded_metrics(self.account_id, self.region_name, (event["message"] for event in log_events))
        return answer

    @override
    def filter_log_events(
        self,
        log_group_name: str,
        log_stream_names: list[str],
        start_time: int,
        end_time: int,
        limit: int | None,
        next_token: str | None,
        filter_pattern: str,
        interleaved: bool,
    ) -> tuple[list[dict[str, Any]], str | None, list[dict[str, Any]]]:
        """FilterLogEvents: CloudWatch always interleaves the streams, since 2019 whatever `interleaved` says."""
        return super().filter_log_events(
            log_group_name, log_stream_names, start_time, end_time, limit, next_token, filter_pattern, interleaved=True
        )


class LogsController:
    """Nothing moves by itself here: writers ship their lines when they have some."""

    def step(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to stop."""


def install(world: World) -> Controller:  # noqa: ARG001 (every service installs alike)
    """Put our backend in moto's place."""
    extend("logs", SandboxLogs)
    return LogsController()


def ship(world: World, group: str, stream: str, lines: list[tuple[datetime, str]]) -> None:
    """Append a container's output to a log stream, as the `awslogs` driver does; makes group and stream where needed.

    Args:
        world: whose account and Region.
        group: the log group's name.
        stream: the log stream's name, `<prefix>/<container>/<task id>` for ECS.
        lines: when each line was printed (aware), and the line; empty ones are dropped, as the driver does.
    """
    events = [{"timestamp": int(at.timestamp() * 1000), "message": line} for at, line in lines if line]
    if not events:
        return
    events.sort(key=lambda event: event["timestamp"])  # type: ignore[arg-type, return-value] # ints
    with backend_lock:
        target = _stream(_group(world, group), stream)
        target.put_log_events(events)
        del target.events[:-KEPT_EVENTS]
        # moto keeps each one for its own dashboard, for ever.
        LogEvent.instances_tracked.clear()  # type: ignore[attr-defined] # set by moto's metaclass
    _publish_embedded_metrics(world.account, world.region, (line for _, line in lines))


def _group(world: World, name: str) -> LogGroup:
    backend = logs_backends[world.account][world.region]
    if name not in backend.groups:
        # A new dictionary, not a new key: another thread may be in the middle of listing the old one.
        group = LogGroup(world.account, world.region, name)  # type: ignore[abstract] # moto makes them so itself
        backend.groups = {**backend.groups, name: group}
    return backend.groups[name]


def _stream(group: LogGroup, name: str) -> LogStream:
    if name not in group.streams:
        group.streams = {**group.streams, name: LogStream(group, name)}
    return group.streams[name]


def _publish_embedded_metrics(account: str, region: str, lines: Iterable[str]) -> None:
    metrics = cloudwatch_backends[account][region]
    for line in lines:
        for namespace, datum in embedded_metrics(line):
            metrics.put_metric_data(namespace, [datum])


def embedded_metrics(line: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The metrics that a log line carries: namespace and PutMetricData's `MetricDatum`, one for each dimension set."""
    if "_aws" not in line:
        return
    try:
        event = json.loads(line)
        metadata = _Metadata.model_validate(event["_aws"])
    except (ValueError, TypeError, LookupError):
        return
    at = datetime.fromtimestamp(metadata.milliseconds / 1000, UTC)
    for directive in metadata.directives:
        for metric in directive.metrics:
            for names in directive.dimensions:
                values = _values(event.get(metric.name))
                if values and all(name in event for name in names):
                    yield directive.namespace, _datum(metric, {name: str(event[name]) for name in names}, values, at)


class _Metric(BaseModel):
    """A metric that a line has a value for, under its name in the event's root."""

    name: str = Field(alias="Name", min_length=1)
    unit: str = Field(alias="Unit", default="None")


class _Directive(BaseModel):
    """What CloudWatch shall take from a line."""

    namespace: str = Field(alias="Namespace", min_length=1)
    dimensions: list[list[str]] = Field(alias="Dimensions", default=[[]])
    metrics: list[_Metric] = Field(alias="Metrics")


class _Metadata(BaseModel):
    """The root member `_aws`."""

    milliseconds: int = Field(alias="Timestamp", ge=0, lt=LATEST_MILLISECONDS)
    directives: list[_Directive] = Field(alias="CloudWatchMetrics")


def _datum(metric: _Metric, dimensions: dict[str, str], values: list[float], at: datetime) -> dict[str, Any]:
    return {
        "MetricName": metric.name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
        "Timestamp": at.replace(tzinfo=None),
        "Values": values,
        "Unit": metric.unit,
    }


def _values(value: object) -> list[float]:
    values = value if isinstance(value, list) else [value]
    numbers = [float(each) for each in values if _is_value(each)]
    return numbers if len(numbers) == len(values) <= EMF_MAX_VALUES else []


def _is_value(value: object) -> TypeGuard[float]:
    """A number that CloudWatch takes; no NaN, which compares with nothing."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST_VALUE
