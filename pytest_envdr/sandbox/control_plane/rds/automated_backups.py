"""Automated backups: an instance's automated snapshots and its archive of binary logs, by resource id.

They begin when the retention period becomes more than 0, with a snapshot at once, and end when it becomes 0 again. With
the instance they go or stay, `retained`, as DeleteDBInstance says.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol, cast

from moto.rds.exceptions import RDSClientError
from moto.rds.models import rds_backends

from pytest_envdr.sandbox.control_plane.rds import snapshots, statuses
from pytest_envdr.sandbox.control_plane.rds.instance import Instance, resource_token

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from pytest_envdr.sandbox.control_plane.rds.backend import SandboxRDS
    from pytest_envdr.sandbox.control_plane.rds.snapshots import Snapshot
    from pytest_envdr.sandbox.world import World

DAY_SECONDS = 24 * 3600.0
PENDING, ACTIVE, RETAINED = "creating", "active", "retained"
OF_THE_INSTANCE = re.compile(
    "(region|allocated_storage|port|availability_zone|instance_create_time|master_username|engine|engine_version|"
    "license_model|iops|storage_throughput|storage_encrypted|storage_type|kms_key_id|db_instance_arn|"
    "iam_database_authentication_enabled|backup_retention_period|preferred_backup_window)"
)
"""What DescribeDBInstanceAutomatedBackups shows of the instance itself."""


class Held(Protocol):
    """A snapshot that can be restored: its files, and the instant that it holds."""

    @property
    def directory(self) -> Path: ...
    @property
    def snapshot_database_time(self) -> datetime | None: ...


class AutomatedBackup:
    """An instance's automated backup as the API shows it.

    Attributes:
        instance: the instance, which may be gone.
        archive: the directory of its binary logs.
        archived: the time up to which that is complete; None before anything was archived.
        began: when its newest automated snapshot was asked for; None before the first.
        source_region: where it is replicated from; None for a backup of this Region's own.
    """

    source_region: str | None = None

    def __init__(self, backend: SandboxRDS, instance: Instance, archive: Path) -> None:
        self._backend = backend
        self.instance = instance
        self.archive = archive
        self.archived: datetime | None = None
        self.began: datetime | None = None
        self.retained = False
        self.tag_list = instance.backup_tags
        partition, region, account = backend.partition, backend.region_name, backend.account_id
        self.db_instance_automated_backups_arn = (
            f"arn:{partition}:rds:{region}:{account}:auto-backup:ab-{resource_token().lower()}"
        )

    def __getattr__(self, name: str) -> Any:
        """The rest is the instance's."""
        if OF_THE_INSTANCE.fullmatch(name):
            return getattr(self.instance, name)
        raise AttributeError(name)

    @property
    def dbi_resource_id(self) -> str:
        return self.instance.dbi_resource_id

    @property
    def db_instance_identifier(self) -> str:
        return self.instance.db_instance_identifier

    @property
    def encrypted(self) -> bool:
        return self.instance.storage_encrypted

    @property
    def status(self) -> str:
        """`creating` before there is a snapshot, `retained` after the instance has gone."""
        if self.retained:
            return RETAINED
        return ACTIVE if self.snapshots() else PENDING

    @property
    def db_instance_automated_backups_replications(self) -> list[dict[str, str]]:
        """Where it is replicated to."""
        return replications(self._backend, self.dbi_resource_id)

    @property
    def holds_anything(self) -> bool:
        """Whether there is a snapshot, one that is being made among them."""
        return bool(every_automated_snapshot(self._backend, self.dbi_resource_id))

    def let_go(self, snapshot: Any) -> None:
        """Forget one of its snapshots; the control loop removes the files."""
        del self._backend.database_snapshots[snapshot.db_snapshot_identifier]

    def snapshots(self) -> Sequence[Held]:
        """Its available automated snapshots, oldest first."""
        found = [
            snapshot
            for snapshot in every_automated_snapshot(self._backend, self.dbi_resource_id)
            if snapshot.status == statuses.AVAILABLE
        ]
        return sorted(found, key=instant)

    @property
    def earliest(self) -> datetime | None:
        """The earliest time that it can be restored to."""
        return next((instant(snapshot) for snapshot in self.snapshots()), None)

    @property
    def latest(self) -> datetime | None:
        """The latest one: where its logs end, or with its newest snapshot."""
        times = [instant(snapshot) for snapshot in self.snapshots()]
        return max([*times, self.archived] if self.archived else times) if times else None

    @property
    def restore_window(self) -> dict[str, datetime] | None:
        if self.earliest is None or self.latest is None:
            return None
        return {"EarliestTime": self.earliest, "LatestTime": self.latest}

    def before(self, time: datetime) -> Held | None:
        """The newest snapshot that holds nothing later than `time`."""
        return next((snapshot for snapshot in reversed(self.snapshots()) if instant(snapshot) <= time), None)

    def is_due(self, world: World) -> bool:
        """Whether it is time for another snapshot."""
        return self.began is None or world.now() - self.began >= timedelta(seconds=world.scaled(DAY_SECONDS))


def every_automated_snapshot(backend: SandboxRDS, resource: str) -> list[Snapshot]:
    """All automated snapshots of an instance, those that are being made too."""
    return [
        cast("Snapshot", snapshot)
        for snapshot in backend.database_snapshots.values()
        if snapshot.snapshot_type == snapshots.AUTOMATED and snapshot.dbi_resource_id == resource
    ]


def follow(backend: SandboxRDS, instance: Instance) -> None:
    """Begin or end an instance's automated backup, as its retention period says."""
    if instance.status == statuses.DELETING:
        return
    if instance.backup_retention_period and instance.backup is None and backend.world:
        archive = backend.world.directory / "rds" / "archives" / instance.dbi_resource_id
        instance.backup = AutomatedBackup(backend, instance, archive)
        backend.automated_backups[instance.dbi_resource_id] = instance.backup
    elif not instance.backup_retention_period and instance.backup:
        instance.backup = None
        remove(backend, instance.dbi_resource_id)


def part(backend: SandboxRDS, instance: Instance, *, retain: bool) -> None:
    """The instance goes; its automated backup stays or goes with it."""
    if instance.backup and retain:
        instance.backup.retained = True
    elif instance.backup:
        instance.backup = None
        remove(backend, instance.dbi_resource_id)


def take(backend: SandboxRDS, instance: Instance, now: datetime) -> Snapshot:
    """Record an automated snapshot."""
    if instance.backup:
        instance.backup.began = now
    return snapshots.create(backend, instance, _free_name(backend, instance, now), snapshot_type=snapshots.AUTOMATED)


def prune(backend: SandboxRDS, world: World) -> None:
    """Let go of what is older than the retention period: snapshots, and retained backups without any left."""
    for resource, backup in list(backend.automated_backups.items()):
        age = timedelta(seconds=world.scaled(backup.backup_retention_period * DAY_SECONDS))
        kept = backup.snapshots()
        # The newest one stays while the instance does: the logs are restored onto it.
        for snapshot in kept if backup.retained else kept[:-1]:
            if world.now() - instant(snapshot) > age:
                backup.let_go(snapshot)
        if backup.retained and not backup.holds_anything:
            remove(backend, resource)


def remove(backend: SandboxRDS, resource: str) -> None:
    """Let go of an automated backup with its snapshots; the control loop removes the files."""
    backend.automated_backups.pop(resource, None)
    for snapshot in every_automated_snapshot(backend, resource):
        del backend.database_snapshots[snapshot.db_snapshot_identifier]


def find(backend: SandboxRDS, *, resource: str | None = None, arn: str | None = None) -> AutomatedBackup:
    """An automated backup by its instance's resource id or its own ARN.

    Raises:
        RDSClientError: DBInstanceAutomatedBackupNotFound.
    """
    for backup in backend.automated_backups.values():
        if resource == backup.dbi_resource_id or (arn and arn == backup.db_instance_automated_backups_arn):
            return backup
    raise RDSClientError("DBInstanceAutomatedBackupNotFound", f"Automated backup {resource or arn} not found.")


def described(
    backend: SandboxRDS, identifier: str | None, resource: str | None, arn: str | None, filters: dict[str, list[str]]
) -> list[AutomatedBackup]:
    """DescribeDBInstanceAutomatedBackups.

    Raises:
        RDSClientError: DBInstanceAutomatedBackupNotFound for a resource id or an ARN that there is not.
    """
    if resource or arn:
        return [find(backend, resource=resource, arn=arn)]
    shown = {
        "status": lambda backup: backup.status,
        "db-instance-id": lambda backup: backup.db_instance_identifier,
        "dbi-resource-id": lambda backup: backup.dbi_resource_id,
    }
    return [
        backup
        for backup in backend.automated_backups.values()
        if (identifier is None or backup.db_instance_identifier == identifier.lower())
        and all(shown[name](backup) in values for name, values in filters.items() if name in shown)
    ]


def delete(backend: SandboxRDS, resource: str | None, arn: str | None) -> AutomatedBackup:
    """DeleteDBInstanceAutomatedBackup, for a retained one.

    Raises:
        RDSClientError: DBInstanceAutomatedBackupNotFound, or InvalidDBInstanceAutomatedBackupState for one whose
            instance is still there.
    """
    backup = find(backend, resource=resource, arn=arn)
    if not backup.retained:
        raise RDSClientError(
            "InvalidDBInstanceAutomatedBackupState",
            f"The automated backup of {backup.db_instance_identifier} is active and cannot be deleted.",
        )
    remove(backend, backup.dbi_resource_id)
    return backup


def replications(backend: SandboxRDS, resource: str) -> list[dict[str, str]]:
    """Where an instance's automated backup is replicated to, as its own Region shows it."""
    regions = [other for name, other in rds_backends[backend.account_id].items() if name != backend.region_name]
    copies = [cast("SandboxRDS", other).automated_backups.get(resource) for other in regions]
    return [
        {"DBInstanceAutomatedBackupsArn": copy.db_instance_automated_backups_arn}
        for copy in copies
        if copy and copy.source_region == backend.region_name and not copy.retained
    ]


def instant(snapshot: Held) -> datetime:
    """The instant that an available snapshot holds."""
    return cast("datetime", snapshot.snapshot_database_time)


def _free_name(backend: SandboxRDS, instance: Instance, now: datetime) -> str:
    """`rds:<instance>-<minute>`, as RDS names them; days are short in a sandbox, so it may be a later minute."""
    while True:
        name = f"rds:{instance.db_instance_identifier}-{now:%Y-%m-%d-%H-%M}"
        if name not in backend.database_snapshots:
            return name
        now += timedelta(minutes=1)
