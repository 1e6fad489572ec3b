"""Snapshots: copies of an instance's files as they were at one instant."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, cast

from moto.core.utils import utcnow
from moto.rds.exceptions import (
    DBSnapshotAlreadyExistsError,
    DBSnapshotNotFoundFault,
    KMSKeyNotAccessibleFault,
    RDSClientError,
)
from moto.rds.models import DBSnapshot, rds_backends
from moto.rds.utils import FilterDef, merge_filters, split_arn

from pytest_envdr.sandbox.control_plane.rds import quotas, statuses

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from pytest_envdr.sandbox.control_plane.rds.backend import SandboxRDS
    from pytest_envdr.sandbox.control_plane.rds.instance import Instance

MANUAL, AUTOMATED, AWS_BACKUP = "manual", "automated", "awsbackup"
SHOWN_BY_DEFAULT = (AUTOMATED, MANUAL)
"""Without SnapshotType, DescribeDBSnapshots leaves AWS Backup's out (API Reference), unless one is named."""


class Snapshot(DBSnapshot):
    """A snapshot as the API shows it.

    Attributes:
        directory: where its files are once it has been taken.
        source: the snapshot that it is a copy of; None for one of an instance.
        snapshot_database_time: the instant that it holds; None until it has been taken.
        percent_progress: 0 to 100.
    """

    SUPPORTED_FILTERS = {  # noqa: RUF012 (moto's attribute)
        **DBSnapshot.SUPPORTED_FILTERS,
        # The instance as it was: moto asks the copy that it keeps of the instance, which knows no renaming either.
        "db-instance-id": FilterDef(
            ["database.db_instance_arn", "db_instance_identifier"], "DB Instance Identifiers", case_insensitive=True
        ),
        "dbi-resource-id": FilterDef(["dbi_resource_id"], "Dbi Resource Ids"),
    }

    def __init__(
        self,
        backend: SandboxRDS,
        database: Instance,
        snapshot_id: str,
        directory: Path,
        *,
        source: Snapshot | None = None,
        **more: Any,
    ) -> None:
        super().__init__(backend, database, snapshot_id, **more)
        self.directory = directory
        self.source = source
        self.status = statuses.CREATING
        self.percent_progress = 0
        self.snapshot_database_time: datetime | None = source.snapshot_database_time if source else None
        self.availability_zone = database.availability_zone
        self.backup_retention_period = database.backup_retention_period
        self.preferred_backup_window = database.preferred_backup_window
        self.license_model = database.license_model
        self.storage_type = database.storage_type
        self.option_group_name = database.option_group_name
        self.vpc_id = getattr(getattr(database, "db_subnet_group", None), "vpc_id", None)
        if source is not None:
            self.source_region = source.arn.split(":")[3]
            self.source_db_snapshot_identifier = source.arn
        else:
            self.original_snapshot_create_time = None  # type: ignore[assignment]

    @property
    def snapshot_create_time(self) -> datetime | None:  # type: ignore[override]
        """RDS shows none before the snapshot has been taken; of a copy, it is the copy's own."""
        return self.created if self.snapshot_database_time else None

    def taken(self, instant: datetime) -> None:
        """It holds the instance's data as of `instant`."""
        self.snapshot_database_time = instant
        self.created = self.original_snapshot_create_time = utcnow()

    def complete(self) -> None:
        """It can be restored from now on."""
        self.status, self.percent_progress = statuses.AVAILABLE, 100


def create(
    backend: SandboxRDS,
    instance: Instance,
    identifier: str,
    *,
    snapshot_type: str = MANUAL,
    tags: list[dict[str, str]] | None = None,
) -> Snapshot:
    """Record a snapshot of an instance. The control loop takes it.

    Raises:
        RDSClientError: DBSnapshotAlreadyExists or SnapshotQuotaExceeded.
    """
    if identifier in backend.database_snapshots:
        raise DBSnapshotAlreadyExistsError(identifier)
    if snapshot_type == MANUAL:
        quotas.check_snapshots(backend)
    snapshot = Snapshot(backend, instance, identifier, _place(backend), snapshot_type=snapshot_type, tags=_plain(tags))
    backend.database_snapshots[identifier] = snapshot
    return snapshot


def copy(
    backend: SandboxRDS,
    source_identifier: str,
    identifier: str,
    *,
    key: str | None,
    tags: list[dict[str, str]] | None,
    copy_tags: bool,
    snapshot_type: str,
) -> Snapshot:
    """Record a copy of a snapshot, a manual one or AWS Backup's whatever its source is. The control loop makes it.

    The source may be in another Region, which the copy is independent of. `key` is a key of this one, without which
    nothing encrypted comes from another.

    Raises:
        RDSClientError: DBSnapshotNotFound, DBSnapshotAlreadyExists, InvalidDBSnapshotState, SnapshotQuotaExceeded or
            KMSKeyNotAccessibleFault.
    """
    source = find(_home(backend, source_identifier), source_identifier)
    key = str(backend._validate_kms_key(key)) if key else None
    if key is None and source.storage_encrypted and source.backend is not backend:
        raise KMSKeyNotAccessibleFault(source.kms_key_id or "of the source")
    if identifier in backend.database_snapshots:
        raise DBSnapshotAlreadyExistsError(identifier)
    check_available(source)
    if snapshot_type == MANUAL:
        quotas.check_snapshots(backend)
    target = Snapshot(
        backend,
        cast("Instance", source.database),
        identifier,
        _place(backend),
        source=source,
        snapshot_type=snapshot_type,
        tags=_plain(tags) or (source.tags if copy_tags else []),
        original_created_at=source.original_snapshot_create_time,
        kms_key_id=key or source.kms_key_id,
    )
    target.tags = _plain(tags) or (source.tags if copy_tags else [])
    for name in ("dbi_resource_id", "db_instance_identifier"):
        setattr(target, name, getattr(source, name))
    backend.database_snapshots[identifier] = target
    return target


def delete(backend: SandboxRDS, identifier: str) -> Snapshot:
    """Forget a snapshot; the control loop removes its files.

    Raises:
        RDSClientError: DBSnapshotNotFound; InvalidDBSnapshotState for one that is being made, and for an automated one,
            which goes with its retention period.
    """
    snapshot = find(backend, identifier)
    if snapshot.snapshot_type == AUTOMATED:
        raise _wrong_state(f"Cannot delete the automated snapshot {snapshot.db_snapshot_identifier}.")
    if snapshot.status == statuses.CREATING:
        raise _wrong_state(
            f"Cannot delete the snapshot because it is not currently in the available state: {identifier}"
        )
    del backend.database_snapshots[snapshot.db_snapshot_identifier]
    snapshot.status = "deleted"
    return snapshot


def find(backend: SandboxRDS, identifier: str) -> Snapshot:
    """A snapshot by its identifier or ARN.

    Raises:
        RDSClientError: DBSnapshotNotFound.
    """
    if identifier.startswith("arn:"):
        region, _, _, name = split_arn(identifier)
        # Of another Region's, only a copy can be made.
        identifier = name if region == backend.region_name else identifier
    snapshot = backend.database_snapshots.get(identifier)
    if not isinstance(snapshot, Snapshot):
        raise DBSnapshotNotFoundFault(identifier)
    return snapshot


def _home(backend: SandboxRDS, identifier: str) -> SandboxRDS:
    """The backend of the Region that a snapshot's ARN names; this one for a bare identifier."""
    region = split_arn(identifier)[0] if identifier.startswith("arn:") else backend.region_name
    return cast("SandboxRDS", rds_backends[backend.account_id][region])


def check_available(snapshot: Snapshot) -> None:
    """Raise InvalidDBSnapshotState unless a snapshot can be used."""
    if snapshot.status != statuses.AVAILABLE:
        raise _wrong_state(
            f"The snapshot {snapshot.db_snapshot_identifier} is in {snapshot.status} state and cannot be used."
        )


def described(
    backend: SandboxRDS,
    instance_identifier: str | None,
    identifier: str | None,
    snapshot_type: str | None,
    filters: dict[str, Any] | None,
) -> list[Snapshot]:
    """DescribeDBSnapshots.

    Raises:
        RDSClientError: DBSnapshotNotFound for an identifier that does not exist.
    """
    filters = dict(filters or {})
    if instance_identifier:
        filters = merge_filters(filters, {"db-instance-id": [instance_identifier]})
    if identifier:
        filters = merge_filters(filters, {"db-snapshot-id": [find(backend, identifier).db_snapshot_identifier]})
    if snapshot_type:
        filters = merge_filters(filters, {"snapshot-type": [snapshot_type]})
    elif not identifier and "snapshot-type" not in filters:
        filters["snapshot-type"] = list(SHOWN_BY_DEFAULT)
    found = backend.database_snapshots
    if filters:
        found = backend._filter_resources(found, filters, Snapshot)
    if identifier and not found and not instance_identifier:
        raise DBSnapshotNotFoundFault(identifier)
    return [snapshot for snapshot in found.values() if isinstance(snapshot, Snapshot)]


def _place(backend: SandboxRDS) -> Path:
    if backend.world is None:
        raise NotImplementedError(f"snapshots in {backend.region_name}")
    return backend.world.directory / "rds" / "snapshots" / uuid.uuid4().hex


def _plain(tags: list[dict[str, str]] | None) -> list[dict[str, str]]:
    """moto hands tags over in a mapping of its own."""
    return [{"Key": tag["Key"], "Value": tag["Value"]} for tag in tags or []]


def _wrong_state(message: str) -> RDSClientError:
    return RDSClientError("InvalidDBSnapshotState", message)
