"""Automated backups of another Region's instances, replicated to this one: what was really copied, and no more.

Source: RDS User Guide, USER_ReplicateBackups. Snapshots and logs are copied as they are made, beginning with the newest
snapshot; the copy's restore window ends where the copied logs do, so it lags the source's. An encrypted source needs a
key of the destination. Parameter and option groups are not copied. What was copied stays for its own retention period
when the replication is stopped or the source's backup ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from moto.rds.exceptions import InvalidParameterValue, KMSKeyNotAccessibleFault, RDSClientError
from moto.rds.models import rds_backends
from moto.rds.utils import split_arn
from typing_extensions import override

from pytest_envdr.sandbox.control_plane.rds.automated_backups import RETAINED, AutomatedBackup
from pytest_envdr.sandbox.control_plane.rds.instance import Instance, resource_token

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from pytest_envdr.sandbox.control_plane.rds.backend import SandboxRDS

STARTING, REPLICATING = "pending", "replicating"
RETENTION_DAYS = 7
"""Where the request names no retention period."""
MOST = 20
"""Replicated backups that a Region takes."""


@dataclass(frozen=True)
class CopiedSnapshot:
    """An automated snapshot that has been copied; the API does not show it."""

    directory: Path
    snapshot_database_time: datetime


class ReplicatedBackup(AutomatedBackup):
    """An automated backup as its destination's API shows it.

    Attributes:
        directory: where all that was copied is.
        copies: the automated snapshots among it, oldest first.
    """

    def __init__(
        self,
        backend: SandboxRDS,
        instance: Instance,
        directory: Path,
        *,
        retention: int,
        key: str | None,
        tags: list[dict[str, str]],
    ) -> None:
        super().__init__(backend, instance, directory / "archive")
        self.source_region: str = instance.region
        self.directory = directory
        self.copies: list[CopiedSnapshot] = []
        self.backup_retention_period = retention
        self.kms_key_id = key
        self.tag_list = tags

    @property
    @override
    def status(self) -> str:
        if self.retained:
            return RETAINED
        return REPLICATING if self.copies else STARTING

    @override
    def snapshots(self) -> list[CopiedSnapshot]:
        return list(self.copies)

    @override
    def let_go(self, snapshot: Any) -> None:
        self.copies.remove(snapshot)

    @property
    @override
    def holds_anything(self) -> bool:
        return bool(self.copies)

    @property
    def reachable(self) -> bool:
        """Whether its source's Region answers."""
        world = _backend(self._backend, self.source_region).world
        return world is None or not world.cut_off

    def source(self) -> AutomatedBackup | None:
        """The backup that it is a copy of; None once that has ended."""
        source = _backend(self._backend, self.source_region).automated_backups.get(self.dbi_resource_id)
        return None if source is None or source.retained else source


def start(backend: SandboxRDS, wanted: Mapping[str, Any]) -> ReplicatedBackup:
    """StartDBInstanceAutomatedBackupsReplication, asked of the destination. One that was stopped goes on.

    Args:
        backend: the destination's.
        wanted: the request's parameters, as in the API.

    Raises:
        RDSClientError: DBInstanceNotFound, InvalidDBInstanceState for a source without automated backups,
            InvalidParameterValue, KMSKeyNotAccessibleFault, DBInstanceAutomatedBackupQuotaExceeded.
    """
    if backend.world is None:
        raise NotImplementedError(f"automated backups in {backend.region_name}")
    instance = _instance(backend, wanted["SourceDBInstanceArn"])
    if instance.backup is None:
        raise RDSClientError(
            "InvalidDBInstanceState",
            f"Automated backups are not enabled for the instance {instance.db_instance_identifier}.",
        )
    retention = int(wanted.get("BackupRetentionPeriod") or RETENTION_DAYS)
    if not 1 <= retention <= 35:
        raise InvalidParameterValue(f"Invalid backup retention period: {retention}. It must be between 1 and 35.")
    key = _key(backend, instance, wanted.get("KmsKeyId"))
    known = backend.automated_backups.get(instance.dbi_resource_id)
    if isinstance(known, ReplicatedBackup):
        known.retained, known.backup_retention_period = False, retention
        return known
    if len(replicas(backend)) >= MOST:
        raise RDSClientError(
            "DBInstanceAutomatedBackupQuotaExceeded", f"The quota of {MOST} replicated automated backups was exceeded."
        )
    directory = backend.world.directory / "rds" / "replicas" / resource_token()
    tags = [{"Key": tag["Key"], "Value": tag["Value"]} for tag in wanted.get("Tags") or []]
    made = ReplicatedBackup(backend, instance, directory, retention=retention, key=key, tags=tags)
    backend.automated_backups[instance.dbi_resource_id] = made
    return made


def stop(backend: SandboxRDS, arn: str) -> ReplicatedBackup:
    """StopDBInstanceAutomatedBackupsReplication: nothing more is copied, and what was stays.

    Raises:
        RDSClientError: DBInstanceNotFound, InvalidDBInstanceState for an instance that is not replicated here.
    """
    for backup in replicas(backend):
        if backup.instance.db_instance_arn == arn and not backup.retained:
            backup.retained = True
            return backup
    instance = _instance(backend, arn)
    raise RDSClientError(
        "InvalidDBInstanceState",
        f"The automated backups of {instance.db_instance_identifier} are not replicated to {backend.region_name}.",
    )


def replicas(backend: SandboxRDS) -> list[ReplicatedBackup]:
    """All that are in a Region, those that nothing more comes to as well."""
    return [backup for backup in backend.automated_backups.values() if isinstance(backup, ReplicatedBackup)]


def _instance(backend: SandboxRDS, arn: str) -> Instance:
    try:
        region, _, kind, identifier = split_arn(arn)
    except ValueError:
        raise InvalidParameterValue(f"Invalid ARN: {arn}") from None
    if kind != "db":
        raise InvalidParameterValue(f"Not the ARN of a DB instance: {arn}")
    if region == backend.region_name:
        raise InvalidParameterValue(f"The source of a replication must be in another Region than {region}.")
    instance = _backend(backend, region).describe_db_instances(identifier)[0]
    if not isinstance(instance, Instance):
        raise NotImplementedError(instance.engine)
    return instance


def _key(backend: SandboxRDS, instance: Instance, key: str | None) -> str | None:
    """The key that the copies are encrypted with: one of the destination, which a source's never is."""
    if key:
        return str(backend._validate_kms_key(key))
    if instance.storage_encrypted:
        raise KMSKeyNotAccessibleFault(instance.kms_key_id or "of the source")
    return None


def _backend(backend: SandboxRDS, region: str) -> SandboxRDS:
    return cast("SandboxRDS", rds_backends[backend.account_id][region])
