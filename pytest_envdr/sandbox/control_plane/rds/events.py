"""The events that moto does not have. Texts and categories: RDS User Guide, USER_Events.Messages (0003-0021, 0087)."""

from __future__ import annotations

from moto.rds.models import Event

CREATED = "DB_INSTANCE_CREATE"
CREDENTIALS_RESET = "DB_INSTANCE_RESET_MASTER_CREDENTIALS"
DELETED = "DB_INSTANCE_DELETE"
SHUT_DOWN = "DB_INSTANCE_SHUTDOWN"
RESTARTED = "DB_INSTANCE_RESTART"
STOPPED = "DB_INSTANCE_STOP"
STARTED = "DB_INSTANCE_START"
RECOVERY_STARTED = "DB_INSTANCE_RECOVERY_START"
RECOVERED = "DB_INSTANCE_RECOVERY_FINISH"

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
    RECOVERED: ("recovery", "Recovery of the DB instance is complete."),
}


def extend_catalogue() -> None:
    """Make moto know them."""
    for name, (category, message) in CATALOGUE.items():
        Event.EVENT_MAP[name] = {"Categories": [category], "Message": message}
