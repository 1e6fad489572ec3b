"""RDS's answers as values: instances and snapshots."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime


@dataclass(frozen=True)
class Group:
    """A parameter or option group that an instance has: `status` is in-sync when it holds."""

    name: str
    status: str


@dataclass(frozen=True)
class Instance:
    """An instance as DescribeDBInstances gives it.

    Attributes:
        identifier: its name, which may be another's tomorrow.
        resource_id: DbiResourceId, its own for ever.
        status: "available", "creating", ...
        host, port: where it listens; no host before there is an endpoint.
        retention_days: 0 where nothing is backed up automatically.
        restorable_until: LatestRestorableTime, some five minutes ago; None where there is none.
        pending: PendingModifiedValues.
        storage_operation: "Initializing" while data are still being loaded (lazy loading), and how far; "" and None
            where nothing is in progress (aws-semantics 0.11).
    """

    identifier: str
    arn: str
    resource_id: str
    status: str
    engine: str
    engine_version: str
    instance_class: str
    storage_type: str
    allocated_gib: int
    max_allocated_gib: int | None
    iops: int | None
    throughput: int | None
    multi_az: bool
    zone: str
    public: bool
    encrypted: bool
    kms_key: str
    certificate: str
    log_exports: tuple[str, ...]
    parameter_groups: tuple[Group, ...]
    option_groups: tuple[Group, ...]
    security_groups: tuple[str, ...]
    subnet_group: str
    vpc: str
    network_type: str
    master_user: str
    host: str
    port: int
    retention_days: int
    restorable_until: datetime | None
    deletion_protection: bool
    copies_tags: bool
    minor_upgrades: bool
    iam_authentication: bool
    monitoring_seconds: int
    performance_insights: bool
    storage_operation: str
    storage_percent: int | None
    created_at: datetime | None
    pending: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def endpoint(self) -> tuple[str, int] | None:
        """Host and port; None before there is one."""
        return (self.host, self.port) if self.host else None

    @property
    def parameter_group(self) -> str:
        return self.parameter_groups[0].name if self.parameter_groups else ""

    @property
    def option_group(self) -> str:
        return self.option_groups[0].name if self.option_groups else ""


@dataclass(frozen=True)
class Snapshot:
    """A snapshot; `at` is the time of the last transaction in it, `copy_of` the ARN of the one that it was copied
    from. AWS Backup's are "awsbackup:job-..." (aws-semantics 1, T4)."""

    identifier: str
    arn: str
    kind: str
    status: str
    percent: int
    instance: str
    resource_id: str
    at: datetime | None
    copy_of: str
    encrypted: bool
    kms_key: str


def instance_of(row: Mapping[str, Any]) -> Instance:
    """An instance of DescribeDBInstances, or as a restore answers it."""
    endpoint, subnets = row.get("Endpoint") or {}, row.get("DBSubnetGroup") or {}
    return Instance(
        identifier=row["DBInstanceIdentifier"],
        arn=row.get("DBInstanceArn", ""),
        resource_id=row.get("DbiResourceId", ""),
        status=row.get("DBInstanceStatus", ""),
        engine=row.get("Engine", ""),
        engine_version=row.get("EngineVersion", ""),
        instance_class=row.get("DBInstanceClass", ""),
        storage_type=row.get("StorageType", ""),
        allocated_gib=row.get("AllocatedStorage", 0),
        max_allocated_gib=row.get("MaxAllocatedStorage"),
        iops=row.get("Iops") or None,
        throughput=row.get("StorageThroughput") or None,
        multi_az=row.get("MultiAZ", False),
        zone=row.get("AvailabilityZone", ""),
        public=row.get("PubliclyAccessible", False),
        encrypted=row.get("StorageEncrypted", False),
        kms_key=row.get("KmsKeyId", ""),
        certificate=row.get("CACertificateIdentifier", ""),
        log_exports=tuple(sorted(row.get("EnabledCloudwatchLogsExports", []))),
        parameter_groups=_groups(row.get("DBParameterGroups", []), "DBParameterGroupName", "ParameterApplyStatus"),
        option_groups=_groups(row.get("OptionGroupMemberships", []), "OptionGroupName", "Status"),
        security_groups=tuple(sorted(one["VpcSecurityGroupId"] for one in row.get("VpcSecurityGroups", []))),
        subnet_group=subnets.get("DBSubnetGroupName", ""),
        vpc=subnets.get("VpcId", ""),
        network_type=row.get("NetworkType", ""),
        master_user=row.get("MasterUsername", ""),
        host=endpoint.get("Address", ""),
        port=endpoint.get("Port") or row.get("DbInstancePort") or 3306,
        retention_days=row.get("BackupRetentionPeriod", 0),
        restorable_until=row.get("LatestRestorableTime"),
        deletion_protection=row.get("DeletionProtection", False),
        copies_tags=row.get("CopyTagsToSnapshot", False),
        minor_upgrades=row.get("AutoMinorVersionUpgrade", False),
        iam_authentication=row.get("IAMDatabaseAuthenticationEnabled", False),
        monitoring_seconds=row.get("MonitoringInterval", 0),
        performance_insights=row.get("PerformanceInsightsEnabled", False),
        storage_operation=row.get("StorageOperationStatus", ""),
        storage_percent=row.get("StorageOperationPercentProgress"),
        created_at=row.get("InstanceCreateTime"),
        pending=dict(row.get("PendingModifiedValues") or {}),
        tags={one["Key"]: one["Value"] for one in row.get("TagList", [])},
    )


def snapshot_of(row: Mapping[str, Any]) -> Snapshot:
    """A snapshot of DescribeDBSnapshots."""
    return Snapshot(
        identifier=row["DBSnapshotIdentifier"],
        arn=row.get("DBSnapshotArn", ""),
        kind=row.get("SnapshotType", ""),
        status=row.get("Status", ""),
        percent=row.get("PercentProgress", 0),
        instance=row.get("DBInstanceIdentifier", ""),
        resource_id=row.get("DbiResourceId", ""),
        # A copy has a creation of its own, and one taken in a loaded server ends later than its data.
        at=row.get("SnapshotDatabaseTime") or row.get("OriginalSnapshotCreateTime") or row.get("SnapshotCreateTime"),
        copy_of=row.get("SourceDBSnapshotIdentifier", ""),
        encrypted=row.get("Encrypted", False),
        kms_key=row.get("KmsKeyId", ""),
    )


def _groups(rows: Iterable[Mapping[str, str]], name: str, status: str) -> tuple[Group, ...]:
    return tuple(Group(row.get(name, ""), row.get(status, "")) for row in rows)
