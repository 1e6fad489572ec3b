"""Database instances as a kind of resource that is backed up: a recovery point is a snapshot of RDS's."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, cast

from moto.rds.exceptions import RDSClientError
from moto.rds.models import rds_backends

from pytest_envdr.sandbox.control_plane.backup import rds_metadata
from pytest_envdr.sandbox.control_plane.backup.errors import JobFailed, NotYet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_envdr.sandbox.control_plane.backup.jobs import BackupJob, RestoreJob
    from pytest_envdr.sandbox.control_plane.backup.resources import Content
    from pytest_envdr.sandbox.control_plane.rds.backend import SandboxRDS
    from pytest_envdr.sandbox.control_plane.rds.instance import Instance
    from pytest_envdr.sandbox.control_plane.rds.snapshots import Snapshot
    from pytest_envdr.sandbox.world import World

SNAPSHOT_TYPE = "awsbackup"
DEFAULT_KEY = "alias/aws/rds"
"""What encrypts a copy where the vault names no key of its own."""
NOT_NOW = "InvalidDBInstanceState"
"""The error of an instance that cannot be copied at the moment: it is being created, rebooting, ..."""
MADE = frozenset({"available", "backing-up", "modifying", "storage-optimization"})
"""Statuses in which a restored instance is there."""
BROKEN = frozenset(
    {
        "failed",
        "incompatible-restore",
        "incompatible-parameters",
        "incompatible-network",
        "incompatible-option-group",
        "inaccessible-encryption-credentials",
        "storage-full",
        "deleting",
    }
)
"""Statuses from which no restored instance becomes available."""
GIB = 2**30


class Databases:
    """The instances of the world's account and Region."""

    type = "RDS"

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def rds(self) -> SandboxRDS:
        return cast("SandboxRDS", rds_backends[self._world.account][self._world.region])

    def arns(self) -> list[str]:
        return [str(instance.db_instance_arn) for instance in list(self.rds.databases.values())]

    def tags(self, arn: str) -> Mapping[str, str]:
        instance = self._instance(arn)
        return {tag["Key"]: tag["Value"] for tag in instance.tags} if instance else {}

    def capture(self, job: BackupJob, previous: Content | None) -> SnapshotCapture:  # noqa: ARG002 (one signature)
        instance = self._instance(job.resource)
        if instance is None:
            raise JobFailed(f"The resource {job.resource} does not exist.", "ResourceNotFound")
        identifier = f"{SNAPSHOT_TYPE}:job-{job.identifier}"
        metadata = rds_metadata.describe(instance, identifier)
        try:
            self.rds.create_db_snapshot(
                instance.db_instance_identifier,
                identifier,
                snapshot_type=SNAPSHOT_TYPE,
                tags=[{"Key": name, "Value": value} for name, value in {**self.tags(job.resource), **job.tags}.items()],
            )
        except RDSClientError as error:
            if error.code == NOT_NOW:
                raise NotYet(error.message) from error
            raise JobFailed(error.message) from error
        return SnapshotCapture(self, identifier, metadata, GIB * int(instance.allocated_storage))

    def point_arn(self, job: BackupJob) -> str:
        region, account = self._world.region, self._world.account
        return f"arn:aws:rds:{region}:{account}:snapshot:{SNAPSHOT_TYPE}:job-{job.identifier}"

    def receive(self, content: Content, job: str, key: str | None) -> SnapshotCapture:
        """Have RDS copy the snapshot; what is encrypted gets a key of this Region."""
        if not isinstance(content, SnapshotContent):
            raise JobFailed("The recovery point is none of a database instance.")
        identifier = _copied(job)
        try:
            self.rds.copy_db_snapshot(
                content.arn, identifier, kms_key_id=key or DEFAULT_KEY, snapshot_type=SNAPSHOT_TYPE, copy_tags=True
            )
        except RDSClientError as error:
            raise JobFailed(f"{error.message} (Service: AmazonRDS; Error Code: {error.code})") from error
        metadata = rds_metadata.elsewhere(content.metadata(), identifier)
        return SnapshotCapture(self, identifier, metadata, content.size)

    def copy_arn(self, resource: str, job: str) -> str:  # noqa: ARG002 (one signature)
        return f"arn:aws:rds:{self._world.region}:{self._world.account}:snapshot:{_copied(job)}"

    def test_metadata(self, content: Content) -> dict[str, str]:
        """Source: "Restore testing inferred metadata": small, unprotected, in one zone, in the default groups."""
        given = content.metadata()
        kept = {name: given[name] for name in ("DBInstanceClass", "DBSubnetGroupName") if name in given}
        return kept | {
            "DBInstanceIdentifier": f"awsbackup-restore-test-{secrets.token_hex(8)}",
            "DeletionProtection": "false",
            "MultiAZ": "false",
            "PubliclyAccessible": "false",
        }

    def restore(self, snapshot: str, job: RestoreJob) -> InstanceRestoration:
        """Ask RDS for an instance of a snapshot."""
        wanted = rds_metadata.parameters(job.metadata)
        if job.tags:
            wanted["tags"] = [{"Key": name, "Value": value} for name, value in job.tags.items()]
        try:
            instance = self.rds.restore_db_instance_from_db_snapshot(snapshot, wanted)
        except RDSClientError as error:
            raise JobFailed(f"{error.message} (Service: AmazonRDS; Error Code: {error.code})") from error
        return InstanceRestoration(self, instance)

    def _instance(self, arn: str) -> Instance | None:
        found: Any = self.rds.databases.get(arn.rsplit(":", 1)[-1])
        return cast("Instance | None", found)


def _copied(job: str) -> str:
    """The identifier of the snapshot that a copy job makes."""
    return f"{SNAPSHOT_TYPE}:copyjob-{job.lower()}"


class SnapshotCapture:
    """A snapshot being made."""

    def __init__(self, databases: Databases, identifier: str, metadata: dict[str, str], size: int) -> None:
        self._databases, self._identifier, self._metadata, self._size = databases, identifier, metadata, size

    def percent(self) -> float:
        snapshot = self._snapshot()
        if snapshot is None or snapshot.status == "failed":
            raise JobFailed(f"The snapshot {self._identifier} failed.", "FAILURE")
        return 100.0 if snapshot.status == "available" else min(99.0, float(snapshot.percent_progress))

    def content(self) -> SnapshotContent:
        return SnapshotContent(self._databases, self._identifier, self._metadata, self._size)

    def issues(self) -> list[str]:
        """RDS copies all or nothing."""
        return []

    def cancel(self) -> None:
        self.content().delete()

    def _snapshot(self) -> Snapshot | None:
        return cast("Snapshot | None", self._databases.rds.database_snapshots.get(self._identifier))


class SnapshotContent:
    """A snapshot in a vault: the data are RDS's.

    Attributes:
        size: what RDS shows for a snapshot, its volume's.
    """

    def __init__(self, databases: Databases, identifier: str, metadata: dict[str, str], size: int) -> None:
        self._databases, self._identifier, self._metadata, self.size = databases, identifier, metadata, size

    @property
    def arn(self) -> str:
        """The snapshot's."""
        rds = self._databases.rds
        return f"arn:aws:rds:{rds.region_name}:{rds.account_id}:snapshot:{self._identifier}"

    def metadata(self) -> dict[str, str]:
        return dict(self._metadata)

    def check(self, metadata: Mapping[str, str]) -> None:
        rds_metadata.parameters(metadata)

    def restore(self, job: RestoreJob) -> InstanceRestoration:
        return self._databases.restore(self._identifier, job)

    def delete(self) -> None:
        """Delete the snapshot, unless it is gone."""
        if self._identifier in self._databases.rds.database_snapshots:
            self._databases.rds.delete_db_snapshot(self._identifier)


class InstanceRestoration:
    """An instance being restored, or restored."""

    def __init__(self, databases: Databases, instance: Instance) -> None:
        self._databases, self._instance = databases, instance

    def percent(self) -> float:
        name, status = self._instance.db_instance_identifier, self._instance.status
        if status in BROKEN or self._databases.rds.databases.get(name) is not self._instance:
            raise JobFailed(f"Instance {name} is {status}.")
        return 100.0 if status in MADE else 50.0

    @property
    def arn(self) -> str:
        return str(self._instance.db_instance_arn)

    def failures(self) -> list[str]:
        """RDS restores all or nothing."""
        return []

    def delete(self) -> bool:
        """Ask for the instance's deletion, once; then look whether it is gone."""
        name = self._instance.db_instance_identifier
        if self._databases.rds.databases.get(name) is not self._instance:
            return True
        if self._instance.status != "deleting":
            self._databases.rds.delete_db_instance(name, skip_final_snapshot=True, delete_automated_backups=True)
        return False
