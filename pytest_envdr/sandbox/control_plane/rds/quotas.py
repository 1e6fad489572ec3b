"""What one account may have of each thing in one Region. RDS User Guide: CHAP_Limits.

DescribeAccountAttributes shows all of them; those of instances, storage and manual snapshots are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.rds.exceptions import RDSClientError, SnapshotQuotaExceededFault

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_plane.rds.backend import SandboxRDS

QUOTAS: dict[str, int] = {
    "DBInstances": 40,
    "ReservedDBInstances": 40,
    "AllocatedStorage": 100_000,
    "DBSecurityGroups": 25,
    "AuthorizationsPerDBSecurityGroup": 20,
    "DBParameterGroups": 50,
    "ManualSnapshots": 100,
    "EventSubscriptions": 20,
    "DBSubnetGroups": 50,
    "OptionGroups": 20,
    "SubnetsPerDBSubnetGroup": 20,
    "ReadReplicasPerMaster": 15,
    "DBClusters": 40,
    "DBClusterParameterGroups": 50,
    "DBClusterRoles": 5,
    "DBInstanceRoles": 5,
    "ManualClusterSnapshots": 100,
    "CustomEndpointsPerDBCluster": 5,
}
"""AccountQuotaName -> Max; AllocatedStorage in GiB."""
RETAINED_BACKUPS = 40
"""Of instances that are gone. DescribeAccountAttributes does not show it."""


def described(backend: SandboxRDS) -> list[dict[str, Any]]:
    """DescribeAccountAttributes."""
    used = _used(backend)
    return [{"AccountQuotaName": name, "Used": used.get(name, 0), "Max": maximum} for name, maximum in QUOTAS.items()]


def check_instances(backend: SandboxRDS, storage: int) -> None:
    """Raise InstanceQuotaExceeded or StorageQuotaExceeded where one more instance of `storage` GiB would."""
    used = _used(backend)
    if used["DBInstances"] >= QUOTAS["DBInstances"]:
        raise RDSClientError("InstanceQuotaExceeded", "DBInstance quota exceeded")
    check_storage(backend, storage)


def check_storage(backend: SandboxRDS, more: int) -> None:
    """Raise StorageQuotaExceeded where `more` GiB would."""
    if _used(backend)["AllocatedStorage"] + more > QUOTAS["AllocatedStorage"]:
        raise RDSClientError(
            "StorageQuotaExceeded",
            "The request cannot be processed because it would exceed the maximum amount of storage allowed: "
            f"{QUOTAS['AllocatedStorage']} GiB.",
        )


def check_snapshots(backend: SandboxRDS) -> None:
    """Raise SnapshotQuotaExceeded where one more manual snapshot would; AWS Backup's do not count."""
    if _used(backend)["ManualSnapshots"] >= QUOTAS["ManualSnapshots"]:
        raise SnapshotQuotaExceededFault


def check_retained(backend: SandboxRDS) -> None:
    """Raise DBInstanceAutomatedBackupQuotaExceeded where one more automated backup without its instance would."""
    if sum(backup.retained for backup in backend.automated_backups.values()) >= RETAINED_BACKUPS:
        raise RDSClientError(
            "DBInstanceAutomatedBackupQuotaExceeded", "The quota of retained automated backups was exceeded."
        )


def _used(backend: SandboxRDS) -> dict[str, int]:
    return {
        "DBInstances": len(backend.databases),
        "AllocatedStorage": sum(int(instance.allocated_storage or 0) for instance in backend.databases.values()),
        "DBParameterGroups": len(backend.db_parameter_groups),
        "ManualSnapshots": sum(each.snapshot_type == "manual" for each in backend.database_snapshots.values()),
        "EventSubscriptions": len(backend.event_subscriptions),
        "DBSubnetGroups": len(backend.subnet_groups),
        "OptionGroups": len(backend.option_groups),
    }
