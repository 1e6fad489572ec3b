"""An instance as the API shows it, and what the control loop knows of it."""

from __future__ import annotations

import secrets
import string
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moto.rds.models import DBInstance

from pytest_envdr.sandbox.control_plane.rds import modifications, parameters, statuses

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from moto.rds.models import DBSnapshot

    from pytest_envdr.sandbox.control_plane.rds.automated_backups import AutomatedBackup
    from pytest_envdr.sandbox.control_plane.rds.backend import SandboxRDS

RESTORE_SECONDS = 60.0
"""AWS seconds that a restore takes at least, however small the data is."""
INITIALIZING_SECONDS = 120.0
"""AWS seconds for which a restored volume is still loaded from its snapshot after the instance is available."""


def resource_token() -> str:
    """What follows the prefix of a resource's own id, which no other ever has."""
    return "".join(secrets.choice(string.ascii_uppercase + "234567") for _ in range(26))


@dataclass(frozen=True)
class Origin:
    """What a restored instance's storage is made of.

    Attributes:
        snapshot: the directory of a snapshot's files.
        archive: where the binary logs that follow it are; None to restore the snapshot alone.
        until: the point in time to go on to; None for all that is archived.
        event: what is told when the instance is there.
        about: of what it is told; None for the instance.
        key: the ARN of the key that it is encrypted with; None for none.
    """

    snapshot: Path
    archive: Path | None
    until: datetime | None
    event: str
    about: DBSnapshot | None = None
    key: str | None = None


class Instance(DBInstance):
    """An instance as the API shows it.

    Attributes:
        host: the address of its server, shown as the endpoint once it is reachable.
        origin: what it was restored from; None for one that was created.
        reachable: whether it has been up.
        reboot_requested: RebootDBInstance was called, and the control loop has not acted on it.
        new_password: a master password that the control loop has not set.
        backup: its automated backup, while its retention period is not 0.
        backup_tags: what that is to be tagged with.
        pending: what ModifyDBInstance asked for and was not applied, in snake case.
        in_effect: the parameters that its server runs with; None before its first start.
        group_in_effect: the parameter group that it was last started with.
        refused: parameters that the running server did not take.
        modify_at: when (monotonic) the control loop goes on with applying it; None while it waits.
    """

    def __init__(self, backend: SandboxRDS, host: str, *, origin: Origin | None = None, **kwargs: Any) -> None:
        super().__init__(backend, **kwargs)
        self.host = host
        self.origin = origin
        self.dbi_resource_id = f"db-{resource_token()}"
        self.status = statuses.CREATING
        self.reachable = False
        self.reboot_requested = False
        self.new_password: str | None = None
        self.backup: AutomatedBackup | None = None
        self.backup_tags: list[dict[str, str]] = []
        self.pending: dict[str, Any] = {}
        self.modify_at: float | None = None
        self.in_effect: dict[str, str] | None = None
        self.group_in_effect: str | None = None
        self.refused: set[str] = set()
        self._scaled = backend.world.scaled if backend.world else float
        self._not_before = time.monotonic() + (self._scaled(RESTORE_SECONDS) if origin else 0.0)
        self._initializing: tuple[float, float] | None = None

    @property
    def address(self) -> str:
        return self.host

    @property
    def endpoint(self) -> dict[str, Any] | None:  # type: ignore[override]
        """RDS shows none before there is one."""
        return {"Address": self.host, "Port": self.port} if self.reachable else None

    @property
    def db_parameter_group_status_list(self) -> list[dict[str, str]]:
        """Its parameter group, and whether the server runs with what that says."""
        [group] = self.db_parameter_groups()
        return [{"DBParameterGroupName": group.name, "ParameterApplyStatus": parameters.status(self)}]

    @property
    def latest_restorable_time(self) -> datetime | None:  # type: ignore[override]
        """The time up to which it is really backed up; None where nothing is."""
        return self.backup.latest if self.backup else None

    @property
    def db_instance_automated_backups_replications(self) -> list[dict[str, str]]:
        """Where its automated backup is replicated to."""
        return self.backup.db_instance_automated_backups_replications if self.backup else []

    @property
    def pending_modified_values(self) -> dict[str, Any]:
        """What was asked for and has not taken effect."""
        return modifications.pending_values(self)

    @property
    def password(self) -> str:
        """The master user's password as it was last asked for."""
        return self._master_user_password or ""

    @property
    def ripe(self) -> bool:
        """Whether it has been `creating` for as long as RDS takes at least."""
        return time.monotonic() >= self._not_before

    def begin_initializing(self) -> None:
        """From now on its volume is loaded from the snapshot in the background, for a while."""
        now = time.monotonic()
        self._initializing = now, now + self._scaled(INITIALIZING_SECONDS)

    @property
    def storage_operation_status(self) -> str | None:
        """`Initializing` while a restored volume is loaded in the background; else RDS shows nothing."""
        return None if self.storage_operation_percent_progress is None else "Initializing"

    @property
    def storage_operation_percent_progress(self) -> int | None:
        """0 to 99 while that lasts."""
        if self._initializing is None:
            return None
        begin, end = self._initializing
        done = (time.monotonic() - begin) / (end - begin)
        return int(100 * done) if done < 1 else None
