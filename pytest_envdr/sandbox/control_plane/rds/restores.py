"""Restores: new instances whose storage is made of a snapshot, or of one and the binary logs that followed it.

What the request does not say is what RDS chooses (API Reference; User Guide: USER_RestoreFromSnapshot, USER_PIT): most
of the source's settings, but the default parameter, option and security groups, a single zone, no deletion protection,
and, where it names no tags, the source's.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from moto.rds.exceptions import (
    DBInstanceAlreadyExists,
    InvalidParameterCombination,
    InvalidParameterValue,
    RDSClientError,
)

from pytest_envdr.sandbox.control_plane.rds import automated_backups, networks, quotas, snapshots
from pytest_envdr.sandbox.control_plane.rds.instance import Instance, Origin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_envdr.sandbox.control_plane.rds.automated_backups import AutomatedBackup
    from pytest_envdr.sandbox.control_plane.rds.backend import SandboxRDS

INHERITED = (
    "allocated_storage",
    "auto_minor_version_upgrade",
    "backup_retention_period",
    "character_set_name",
    "copy_tags_to_snapshot",
    "db_instance_class",
    "db_name",
    "engine",
    "engine_version",
    "iops",
    "license_model",
    "master_username",
    "port",
    "preferred_backup_window",
    "preferred_maintenance_window",
    "storage_encrypted",
    "storage_throughput",
    "storage_type",
)
TAKEN = (
    *INHERITED,
    "availability_zone",
    "ca_certificate_identifier",
    "db_parameter_group_name",
    "db_subnet_group_name",
    "deletion_protection",
    "enable_cloudwatch_logs_exports",
    "enable_iam_database_authentication",
    "max_allocated_storage",
    "multi_az",
    "option_group_name",
    "publicly_accessible",
    "vpc_security_group_ids",
)
"""What a request may set. The database's name and the account are the data's own."""
NOT_HERE = ("manage_master_user_password", "db_cluster_snapshot_identifier", "domain", "custom_iam_instance_profile")
SETS_NOTHING = {"engine_version", "master_username", "db_name", "character_set_name", "storage_encrypted", "kms_key_id"}


def from_snapshot(backend: SandboxRDS, identifier: str, wanted: Mapping[str, Any]) -> Instance:
    """RestoreDBInstanceFromDBSnapshot.

    Args:
        backend: where.
        identifier: the snapshot's identifier or ARN.
        wanted: the request's parameters, in snake case.

    Raises:
        RDSClientError: DBSnapshotNotFound, InvalidDBSnapshotState, and those of `_restored`.
    """
    snapshot = snapshots.find(backend, identifier)
    snapshots.check_available(snapshot)
    origin = Origin(
        snapshot.directory,
        None,
        None,
        f"Restored from snapshot {snapshot.db_snapshot_identifier}",
        snapshot,
        key=snapshot.kms_key_id,
    )
    return _restored(
        backend,
        wanted["db_instance_identifier"],
        cast("Instance", snapshot.database),
        wanted,
        origin,
        allocated=int(snapshot.allocated_storage),
        too_small="The allocated storage size can't be less than the source snapshot or backup size.",
    )


def to_point_in_time(backend: SandboxRDS, source: str | None, identifier: str, wanted: Mapping[str, Any]) -> Instance:
    """RestoreDBInstanceToPointInTime.

    Args:
        backend: where.
        source: the source instance's identifier; None where `wanted` names it by resource id or backup ARN.
        identifier: the new instance's.
        wanted: the request's parameters, in snake case.

    Raises:
        RDSClientError: DBInstanceNotFound, DBInstanceAutomatedBackupNotFound, PointInTimeRestoreNotEnabled,
            InvalidParameterValue, InvalidParameterCombination, and those of `_restored`.
    """
    backup = _backup(backend, source, wanted)
    time = _time(backup, wanted)
    snapshot = backup.before(time) if time else backup.snapshots()[-1]
    until = time or _whole_second_after(backup.latest)
    if snapshot is None:
        raise _outside(backup)
    of = backup.instance
    origin = Origin(
        snapshot.directory,
        backup.archive,
        until,
        f"Restored from DB instance {of.db_instance_identifier} to {identifier.lower()}",
        key=backup.kms_key_id,
    )
    return _restored(
        backend,
        identifier,
        of,
        wanted,
        origin,
        allocated=int(of.allocated_storage),
        too_small="Allocated storage size can't be less than the source instance size.",
    )


def _backup(backend: SandboxRDS, source: str | None, wanted: Mapping[str, Any]) -> AutomatedBackup:
    resource = wanted.get("source_dbi_resource_id")
    arn = wanted.get("source_db_instance_automated_backups_arn")
    if sum(each is not None for each in (source, resource, arn)) != 1:
        raise InvalidParameterCombination(
            "Exactly one of SourceDBInstanceIdentifier, SourceDbiResourceId and SourceDBInstanceAutomatedBackupsArn "
            "must be given."
        )
    if source is None:
        backup = automated_backups.find(backend, resource=resource, arn=arn)
    else:
        instance = cast("Instance", backend.describe_db_instances(source)[0])
        if instance.backup is None:
            raise RDSClientError(
                "PointInTimeRestoreNotEnabled", f"Point in time restore is not enabled for instance {source}"
            )
        backup = instance.backup
    if not backup.snapshots():
        raise RDSClientError(
            "InvalidDBInstanceState", f"The instance {backup.db_instance_identifier} has no automated backup yet."
        )
    return backup


def _time(backup: AutomatedBackup, wanted: Mapping[str, Any]) -> datetime | None:
    """The point in time that is asked for; None for the latest."""
    latest = str(wanted.get("use_latest_restorable_time", False)).lower() == "true"
    time = wanted.get("restore_time")
    if latest and time:
        raise InvalidParameterCombination("You can not specify both UseLatestRestorableTime and RestoreTime.")
    if latest:
        return None
    if not time:
        raise InvalidParameterCombination("One of UseLatestRestorableTime and RestoreTime must be specified.")
    point = _aware(time)
    if backup.earliest is None or backup.latest is None or not backup.earliest <= point <= backup.latest:
        raise _outside(backup)
    return point


def _whole_second_after(latest: datetime | None) -> datetime | None:
    """What is archived after the request is not for it, though it may be there before the logs are read."""
    return latest.replace(microsecond=0) + timedelta(seconds=1) if latest else None


def _aware(time: datetime | str) -> datetime:
    parsed = datetime.fromisoformat(time.replace("Z", "+00:00")) if isinstance(time, str) else time
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _outside(backup: AutomatedBackup) -> RDSClientError:
    return InvalidParameterValue(
        f"The specified instance cannot be restored to a time outside of {backup.earliest:%Y-%m-%dT%H:%M:%SZ} "
        f"to {backup.latest:%Y-%m-%dT%H:%M:%SZ}."
    )


def _restored(
    backend: SandboxRDS,
    identifier: str,
    source: Instance,
    wanted: Mapping[str, Any],
    origin: Origin,
    *,
    allocated: int,
    too_small: str,
) -> Instance:
    """Record an instance that is restored.

    Raises:
        RDSClientError: DBInstanceAlreadyExists, InvalidParameterValue, InvalidParameterCombination, the quotas', and
            those for groups that there are not.
    """
    if identifier in backend.databases:
        raise DBInstanceAlreadyExists
    for name in NOT_HERE:
        if wanted.get(name):
            raise NotImplementedError(name)
    if wanted.get("engine") not in {None, source.engine}:
        raise InvalidParameterCombination(f"The engine {wanted['engine']} is not that of the source, {source.engine}.")
    settings = _settings(source, wanted, allocated)
    if origin.key:
        settings["kms_key_id"] = origin.key
    if int(settings["allocated_storage"]) < allocated:
        raise InvalidParameterValue(too_small)
    quotas.check_instances(backend, int(settings["allocated_storage"]))
    networks.complete(backend, settings)
    instance = backend.add(identifier, settings, origin=origin)
    instance.backup_tags = _auto_backup_tags(wanted)
    return instance


def _settings(source: Instance, wanted: Mapping[str, Any], allocated: int) -> dict[str, Any]:
    settings = {name: getattr(source, name, None) for name in INHERITED}
    settings["allocated_storage"] = allocated
    settings["tags"] = wanted.get("tags") or [*source.tags]
    settings["master_user_password"] = source.password
    for name in TAKEN:
        if name not in SETS_NOTHING and wanted.get(name) is not None:
            settings[name] = wanted[name]
    if str(settings.get("option_group_name", "")).startswith("default:"):
        # RDS has its default option groups from the start; moto gives their names, and knows no such group.
        del settings["option_group_name"]
    return {name: value for name, value in settings.items() if value is not None}


def _auto_backup_tags(wanted: Mapping[str, Any]) -> list[dict[str, str]]:
    """`TagSpecifications` for the automated backup that the new instance will have."""
    return [
        {"Key": tag["Key"], "Value": tag["Value"]}
        for specification in wanted.get("tag_specifications") or []
        if specification.get("ResourceType") == "auto-backup"
        for tag in specification.get("Tags") or []
    ]
