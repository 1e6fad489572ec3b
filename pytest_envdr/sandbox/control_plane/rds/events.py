"""The events that moto does not have. Texts and categories: RDS User Guide, USER_Events.Messages (0003-0021, 0087)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.rds.models import Event

if TYPE_CHECKING:
    from moto.rds.models import ResourceWithEvents

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


def extend_catalogue() -> None:
    """Make moto know them."""
    for name, (category, message) in CATALOGUE.items():
        Event.EVENT_MAP[name] = {"Categories": [category], "Message": message}
