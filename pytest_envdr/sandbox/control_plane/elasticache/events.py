"""What ElastiCache tells of clusters and groups.

Texts: API reference, TestFailover; User Guide, ElastiCacheSNS.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from moto.elasticache.exceptions import InvalidParameterCombinationException

if TYPE_CHECKING:
    from collections.abc import Sequence

CLUSTER, GROUP = "cache-cluster", "replication-group"
SPAN = timedelta(hours=1)
"""What DescribeEvents looks back unless told otherwise."""
KEPT = timedelta(days=14)

CLUSTER_CREATED = "Cache cluster created"
SHUT_DOWN = "Cache node {node} shutdown"
RESTARTED = "Cache node {node} restarted"
RECOVERING = "Recovering cache nodes {node}"
RECOVERED = "Finished recovery for cache nodes {node}"
GROUP_CREATED = "Replication group {group} created"
TESTED = "Test Failover API called for node group {shard}"
FAILED_OVER = "Failover from primary node {old} to replica node {new} completed"


@dataclass(frozen=True)
class Event:
    """An event, with its attributes as the API names them."""

    source_identifier: str
    source_type: str
    message: str
    date: datetime


@dataclass(frozen=True)
class Wanted:
    """What DescribeEvents is asked for."""

    source: str | None = None
    kind: str | None = None
    begin: datetime | None = None
    end: datetime | None = None
    minutes: int | None = None


def told(source: str, kind: str, message: str) -> Event:
    """An event of now."""
    return Event(source, kind, message, datetime.now(UTC))


def described(events: Sequence[Event], wanted: Wanted) -> list[Event]:
    """Of one source, of a span of time; the last hour unless one is named. The newest first.

    Raises:
        InvalidParameterCombinationException: a source without its type.
    """
    if wanted.source is not None and wanted.kind is None:
        raise InvalidParameterCombinationException("Cannot specify source identifier without source type")
    now = datetime.now(UTC)
    end = _aware(wanted.end or now)
    span = SPAN if wanted.minutes is None else timedelta(minutes=wanted.minutes)
    begin = max(_aware(wanted.begin or end - span), now - KEPT)
    found = [
        event
        for event in events
        if begin <= event.date <= end
        and wanted.source in {None, event.source_identifier}
        and wanted.kind in {None, event.source_type}
    ]
    return sorted(found, key=lambda event: event.date, reverse=True)


def _aware(time: datetime) -> datetime:
    """moto reads times as UTC, without saying so."""
    return time if time.tzinfo else time.replace(tzinfo=UTC)
