"""The events that moto does not have. Texts and categories: RDS User Guide, USER_Events.Messages (0003-0021, 0087)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from moto.rds.exceptions import InvalidParameterCombination
from moto.rds.models import Event

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from moto.rds.models import ResourceWithEvents

SPAN_MINUTES = 60
"""What DescribeEvents looks back unless told otherwise."""

CREATED = "DB_INSTANCE_CREATE"
CREDENTIALS_RESET = "DB_INSTANCE_RESET_MASTER_CREDENTIALS"
DELETED = "DB_INSTANCE_DELETE"
SHUT_DOWN = "DB_INSTANCE_SHUTDOWN"
RESTARTED = "DB_INSTANCE_RESTART"
STOPPED = "DB_INSTANCE_STOP"
STARTED = "DB_INSTANCE_START"
RECOVERY_STARTED = "DB_INSTANCE_RECOVERY_START"
RECOVERED = "DB_INSTANCE_RECOVERY_FINISH"
BACKUP_STARTED = "DB_INSTANCE_BACKUP_START"
BACKUP_FINISHED = "DB_INSTANCE_BACKUP_FINISH"
SNAPSHOT_STARTED = {
    "automated": "DB_SNAPSHOT_CREATE_AUTOMATED_START",
    "manual": "DB_SNAPSHOT_CREATE_MANUAL_START",
}
SNAPSHOT_FINISHED = {
    "automated": "DB_SNAPSHOT_CREATE_AUTOMATED_FINISH",
    "manual": "DB_SNAPSHOT_CREATE_MANUAL_FINISH",
}
"""By the snapshot's type."""

BACKUPS_ENABLED = "DB_INSTANCE_BACKUPS_ENABLED"
BACKUPS_DISABLED = "DB_INSTANCE_BACKUPS_DISABLED"
CLASS_CHANGED = "DB_INSTANCE_CLASS_CHANGED"

CATALOGUE: dict[str, tuple[str, str]] = {
    DELETED: ("deletion", "DB instance deleted"),
    SHUT_DOWN: ("availability", "DB instance shutdown"),
    RESTARTED: ("availability", "DB instance restarted"),
    STOPPED: ("notification", "DB instance stopped"),
    STARTED: ("notification", "DB instance started"),
    RECOVERY_STARTED: (
        "recovery",
        "Recovery of the DB instance has started. Recovery time will vary with the amount of data to be recovered.",
    ),
    BACKUPS_ENABLED: ("configuration change", "Enabled automated backups"),
    BACKUPS_DISABLED: ("configuration change", "Disabled automated backups"),
    CLASS_CHANGED: ("configuration change", "Finished applying modification to DB instance class"),
    RECOVERED: ("recovery", "Recovery of the DB instance is complete."),
}


def told(category: str, message: str, resource: ResourceWithEvents) -> Event:
    """An event whose text is not the same each time."""
    event = Event(CREATED, resource)
    event.message, event.event_categories = message, [category]
    return event


def described(events: Sequence[Event], wanted: Mapping[str, Any], now: datetime) -> list[Event]:
    """DescribeEvents: of one source, of some categories, of a span of time; the last hour unless one is named.

    Args:
        events: all there are.
        wanted: the request's parameters, in snake case.
        now: the time, UTC.
    """
    source, kind = wanted.get("source_identifier"), wanted.get("source_type")
    if source is not None and kind is None:
        raise InvalidParameterCombination("Cannot specify source identifier without source type")
    end = _naive(wanted.get("end_time") or now)
    begin = _naive(wanted.get("start_time") or end - timedelta(minutes=int(wanted.get("duration") or SPAN_MINUTES)))
    categories = set(wanted.get("event_categories") or [])
    return [
        event
        for event in events
        if begin <= event.date <= end
        and source in {None, event.source_identifier}
        and kind in {None, event.source_type}
        and (not categories or categories & set(event.event_categories))
    ]


def _naive(time: datetime) -> datetime:
    """As moto keeps times: UTC, without saying so."""
    return time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time


def extend_catalogue() -> None:
    """Make moto know them."""
    for name, (category, message) in CATALOGUE.items():
        Event.EVENT_MAP[name] = {"Categories": [category], "Message": message}
