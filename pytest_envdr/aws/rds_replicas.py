"""RDS: automated backups of another Region's instance that are replicated here, and restores from them.

Source: RDS User Guide, USER_ReplicateBackups. The copy's restore window ends some minutes before the source's;
parameter and option groups are not copied (aws-semantics 9.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_envdr.aws import Act
from pytest_envdr.aws.rds import deletion
from pytest_envdr.aws.rds_rows import instance_of

if TYPE_CHECKING:
    from datetime import datetime

    from pytest_envdr.aws import Aws
    from pytest_envdr.aws.rds import Placement
    from pytest_envdr.aws.rds_rows import Instance
    from pytest_envdr.journal import Journal

USABLE = frozenset({"replicating", "retained", "active"})
"""Statuses in which a replicated backup can be restored."""


@dataclass(frozen=True)
class ReplicatedBackup:
    """Automated backups of an instance of another Region.

    Attributes:
        arn: its own.
        instance: the source's identifier, and `resource_id` its own for ever.
        source_region: where that is.
        status: "pending" before anything has arrived, "replicating", "retained" when the source is gone.
        since, until: what can be restored to; None where nothing has arrived.
    """

    arn: str
    instance: str
    resource_id: str
    source_region: str
    status: str
    encrypted: bool
    kms_key: str
    since: datetime | None
    until: datetime | None

    @property
    def usable(self) -> bool:
        return self.status in USABLE and self.until is not None


def replicated_backups(aws: Aws, instance: str, *, source_region: str) -> list[ReplicatedBackup]:
    """Those of instances of that name in another Region; the one that reaches furthest first."""
    rows = aws.pages(
        "rds.DescribeDBInstanceAutomatedBackups",
        "DBInstanceAutomatedBackups",
        what=f"The automated backups of {instance} that are replicated to {aws.stack.region} cannot be read",
    )
    found = []
    for row in rows:
        window = row.get("RestoreWindow") or {}
        found.append(
            ReplicatedBackup(
                arn=row.get("DBInstanceAutomatedBackupsArn", ""),
                instance=row.get("DBInstanceIdentifier", ""),
                resource_id=row.get("DbiResourceId", ""),
                source_region=row.get("Region", ""),
                status=row.get("Status", ""),
                encrypted=row.get("Encrypted", False),
                kms_key=row.get("KmsKeyId", ""),
                since=window.get("EarliestTime"),
                until=window.get("LatestTime"),
            )
        )
    ours = [one for one in found if (one.instance, one.source_region) == (instance, source_region)]
    return sorted(ours, key=lambda one: (one.usable, one.until.timestamp() if one.until else 0.0), reverse=True)


def restore_replicated(aws: Aws, journal: Journal, backup: ReplicatedBackup, placement: Placement) -> Instance:
    """Restore the latest that a replicated backup can be restored to. Returns at once, with an instance "creating".

    Raises:
        AwsError: AWS refused it; says why.
    """
    arguments = {
        "TargetDBInstanceIdentifier": placement.identifier,
        "SourceDBInstanceAutomatedBackupsArn": backup.arn,
        "UseLatestRestorableTime": True,
        **placement.arguments,
    }
    what = f"{backup.instance} of {backup.source_region} cannot be restored to {placement.identifier}"
    act = Act("rds.RestoreDBInstanceToPointInTime", arguments, deletion(journal, placement), what)
    answer = aws.act(journal, act, kept=lambda told: {"DbiResourceId": told["DBInstance"].get("DbiResourceId", "")})
    return instance_of(answer["DBInstance"])


def is_offered(aws: Aws, *, engine: str, version: str, instance_class: str) -> bool:
    """Whether an instance of that engine, version and class can be had in the Region.

    Raises:
        AwsError: RDS does not tell.
    """
    rows = aws.pages(
        "rds.DescribeOrderableDBInstanceOptions",
        "OrderableDBInstanceOptions",
        what=f"Whether {engine} {version} on {instance_class} is offered in {aws.stack.region} cannot be read",
        Engine=engine,
        EngineVersion=version,
        DBInstanceClass=instance_class,
    )
    return any(row["EngineVersion"] == version and row["DBInstanceClass"] == instance_class for row in rows)
