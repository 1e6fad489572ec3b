"""What went on around a drill: alarms that changed their state, events of instances, errors in logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_envdr.aws import cloudwatch, ecs, ecs_definitions, logs, rds
from pytest_envdr.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill

ANOMALIES = ("ERROR", "CRITICAL", "EMERGENCY", "Exception", "Fatal")
"""What a line of a log has in it that somebody ought to look at."""
LINES = 20
"""How many of them are put on the time-line."""


def tell(aws: Aws, drill: Drill, *, instances: Iterable[str], since: datetime, until: datetime) -> None:
    """Put on the time-line what alarms, instances and logs said meanwhile, each at its own instant."""
    for identifier in instances:
        for event in rds.events(aws, identifier, since=since, until=until):
            drill.fact(f"instance {identifier}", event.message, event.at)
    services = aws.stack.services.values()
    for name in sorted({alarm for row in services for alarm in (*row.alarms, *row.error_alarms)}):
        _alarm(aws, drill, name, since)
    for row in services:
        _log(aws, drill, row.name, row.cluster, since)


def _alarm(aws: Aws, drill: Drill, name: str, since: datetime) -> None:
    try:
        items = cloudwatch.history(aws, name, since=since)
    except NotFound:
        return
    for item in items:
        drill.fact(f"alarm {name}: {item.type}", item.summary, item.at)


def _log(aws: Aws, drill: Drill, service: str, cluster: str, since: datetime) -> None:
    definition = ecs_definitions.task_definition(aws, ecs.service(aws, service, cluster).task_definition)
    for group in sorted({container.log_group for container in definition.containers if container.log_group}):
        try:
            events = logs.events(aws, group, since=since, pattern=" ".join(f"?{word}" for word in ANOMALIES))
        except NotFound:
            continue
        # Once more: not every server of this API reads a pattern with `?` as "any of these".
        found = [event for event in events if any(word in event.message for word in ANOMALIES)]
        for line in found[:LINES]:
            drill.fact(f"log {group}", line.message.strip()[:300], line.at)
        if len(found) > LINES:
            drill.attach(
                f"{service} anomalies.log", "\n".join(f"{line.at.isoformat()} {line.message}" for line in found)
            )
