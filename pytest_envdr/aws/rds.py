"""RDS: instances, what they can be restored from, and restores aside; parameter groups of a drill's own.

A restore always makes a new instance, and AWS chooses by itself whatever it is not told: default groups, one zone, the
source's tags (aws-semantics 1.2, T1). So a restore here takes a `Placement`, in which nothing is left open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pytest_envdr.aws import Act
from pytest_envdr.aws.rds_rows import Group, Instance, Snapshot, instance_of, snapshot_of
from pytest_envdr.errors import NotFound
from pytest_envdr.journal import Inverse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pytest_envdr.aws import Aws
    from pytest_envdr.journal import Journal

__all__ = [
    "Event",
    "Group",
    "Instance",
    "ParameterGroup",
    "Placement",
    "Quota",
    "Snapshot",
    "SnapshotKind",
    "automated_backups",
    "create_parameter_group",
    "deletion",
    "events",
    "existing",
    "instance",
    "own_parameters",
    "parameter_group",
    "quotas",
    "reboot",
    "restore_point_in_time",
    "restore_snapshot",
    "retag_instance",
    "set_master_password",
    "set_security_groups",
    "snapshots",
    "snapshots_of",
]

TERMINAL = frozenset(
    {
        "deleted",
        "deleting",
        "failed",
        "incompatible-create",
        "incompatible-network",
        "incompatible-option-group",
        "incompatible-parameters",
        "incompatible-restore",
        "inaccessible-encryption-credentials",
        "inaccessible-encryption-credentials-recoverable",
        "insufficient-capacity",
        "restore-error",
        "storage-full",
    }
)
"""Statuses that an instance being restored does not leave by itself; boto3's waiter knows five of them
(aws-semantics 1.4)."""
READY = frozenset({"available", "storage-optimization", "storage-initialization"})
"""Statuses in which an instance serves."""
PROVISIONED_GIB = 400
"""RDS for MariaDB takes IOPS and throughput of gp3 volumes of this size or more only."""
SnapshotKind = Literal["automated", "manual", "awsbackup"]


@dataclass(frozen=True)
class Event:
    """What RDS tells of an instance. It has no id, and the order is not guaranteed (aws-semantics 0.9)."""

    at: datetime
    message: str
    categories: tuple[str, ...]


@dataclass(frozen=True)
class Quota:
    """How many there may be in account and Region, and are."""

    used: int
    maximum: int


@dataclass(frozen=True)
class ParameterGroup:
    """A parameter group: `family` is "mariadb10.11"."""

    name: str
    family: str
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Placement:
    """Everything about a restored instance that AWS would otherwise choose by itself."""

    identifier: str
    source: Instance
    parameter_group: str
    security_groups: tuple[str, ...]
    tags: Mapping[str, str]

    @property
    def arguments(self) -> dict[str, Any]:
        """What both restore calls take, without the identifier, which they name differently."""
        source, tags = self.source, _listed(self.tags)
        sized = source.storage_type != "gp3" or source.allocated_gib >= PROVISIONED_GIB
        given = {
            "DBInstanceClass": source.instance_class,
            "Port": source.port,
            "DBSubnetGroupName": source.subnet_group,
            "DBParameterGroupName": self.parameter_group,
            "OptionGroupName": source.option_group,
            "VpcSecurityGroupIds": list(self.security_groups),
            "StorageType": source.storage_type,
            "Iops": source.iops if sized else None,
            "StorageThroughput": source.throughput if sized else None,
            "CACertificateIdentifier": source.certificate,
            "NetworkType": source.network_type,
            "Tags": tags,
        }
        return {key: value for key, value in given.items() if value} | {
            "MultiAZ": source.multi_az,
            "PubliclyAccessible": False,
            "AutoMinorVersionUpgrade": source.minor_upgrades,
            "CopyTagsToSnapshot": source.copies_tags,
            "EnableIAMDatabaseAuthentication": source.iam_authentication,
            "EnableCloudwatchLogsExports": list(source.log_exports),
            "DeletionProtection": False,
            # Without it the copy is backed up as often as the source (aws-semantics 0.10), under the source's tags.
            "BackupRetentionPeriod": 0,
            "TagSpecifications": [{"ResourceType": "auto-backup", "Tags": tags}],
        }


def instance(aws: Aws, identifier: str) -> Instance:
    """An instance as it is.

    Raises:
        NotFound: there is none of that name.
    """
    what = f"Instance {identifier} cannot be read"
    return instance_of(
        aws.call("rds.DescribeDBInstances", what=what, DBInstanceIdentifier=identifier)["DBInstances"][0]
    )


def existing(aws: Aws, identifier: str) -> Instance | None:
    """The instance of that name; None where there is none."""
    try:
        return instance(aws, identifier)
    except NotFound:
        return None


def snapshots(aws: Aws, source: Instance, kind: SnapshotKind) -> list[Snapshot]:
    """An instance's own snapshots that can be restored, the newest first (aws-semantics 1, T3).

    By its resource id, because a name may have been another instance's; available only; a copy, whose creation says
    nothing of its data, is none of its own.
    """
    rows = aws.pages(
        "rds.DescribeDBSnapshots",
        "DBSnapshots",
        what=f"The snapshots of {source.identifier} cannot be read",
        DbiResourceId=source.resource_id,
        SnapshotType=kind,
    )
    found = [snapshot for snapshot in map(snapshot_of, rows) if snapshot.resource_id == source.resource_id]
    usable = [one for one in found if one.status == "available" and one.at and not one.copy_of and one.kind == kind]
    return sorted(usable, key=lambda one: (one.at, one.identifier), reverse=True)


def events(aws: Aws, identifier: str, *, since: datetime, until: datetime) -> list[Event]:
    """What RDS told of an instance, oldest first; AWS keeps 14 days."""
    rows = aws.pages(
        "rds.DescribeEvents",
        "Events",
        what=f"The events of {identifier} cannot be read",
        SourceIdentifier=identifier,
        SourceType="db-instance",
        StartTime=since,
        EndTime=until,
    )
    found = [Event(row["Date"], row.get("Message", ""), tuple(row.get("EventCategories", []))) for row in rows]
    # moto gives all that there are, whatever the time.
    return sorted((event for event in found if since <= event.at <= until), key=lambda event: event.at)


def quotas(aws: Aws) -> dict[str, Quota]:
    """By AWS's names: DBInstances, AllocatedStorage (GiB), ManualSnapshots, ..."""
    rows = aws.call("rds.DescribeAccountAttributes", what="The quotas of RDS cannot be read")["AccountQuotas"]
    return {row["AccountQuotaName"]: Quota(row["Used"], row["Max"]) for row in rows}


def automated_backups(aws: Aws, identifier: str) -> list[str]:
    """The automated backups of instances of that name, also of deleted ones: `<resource id> <status>`."""
    rows = aws.pages(
        "rds.DescribeDBInstanceAutomatedBackups",
        "DBInstanceAutomatedBackups",
        what=f"The automated backups of {identifier} cannot be read",
        DBInstanceIdentifier=identifier,
    )
    return [f"{row.get('DbiResourceId', '')} {row.get('Status', '')}".strip() for row in rows]


def snapshots_of(aws: Aws, identifier: str) -> list[str]:
    """The snapshots of instances of that name, whatever their state."""
    rows = aws.pages(
        "rds.DescribeDBSnapshots",
        "DBSnapshots",
        what=f"The snapshots of {identifier} cannot be read",
        DBInstanceIdentifier=identifier,
    )
    return [row["DBSnapshotIdentifier"] for row in rows]


def parameter_group(aws: Aws, name: str) -> ParameterGroup:
    """A parameter group.

    Raises:
        NotFound: there is none of that name.
    """
    what = f"Parameter group {name} cannot be read"
    rows = aws.call("rds.DescribeDBParameterGroups", what=what, DBParameterGroupName=name)["DBParameterGroups"]
    if not rows:
        raise aws.not_found(f"There is no parameter group {name}", name)
    row = rows[0]
    arn = row.get("DBParameterGroupArn", "")
    tags = aws.call("rds.ListTagsForResource", what=what, ResourceName=arn)["TagList"] if arn else []
    return ParameterGroup(name, row["DBParameterGroupFamily"], {one["Key"]: one["Value"] for one in tags})


def own_parameters(aws: Aws, name: str) -> dict[str, str]:
    """What a parameter group says otherwise than its family's defaults."""
    rows = aws.pages(
        "rds.DescribeDBParameters",
        "Parameters",
        what=f"The parameters of {name} cannot be read",
        DBParameterGroupName=name,
        Source="user",
    )
    return {row["ParameterName"]: row["ParameterValue"] for row in rows if "ParameterValue" in row}


def create_parameter_group(
    aws: Aws, journal: Journal, *, name: str, like: str, changed: Mapping[str, str], tags: Mapping[str, str]
) -> None:
    """A parameter group like another one but for what is `changed`. AWS's default groups cannot be copied: of those
    the family is taken."""
    inverse = Inverse(
        "rds.DeleteDBParameterGroup",
        {"DBParameterGroupName": name, "exercise": journal.header.exercise},
        f"no parameter group {name}",
    )
    said: dict[str, Any] = {"Tags": _listed(tags)}
    words = f"as {like}, for a drill"
    if like.startswith("default."):
        operation = "rds.CreateDBParameterGroup"
        family = parameter_group(aws, like).family
        said |= {"DBParameterGroupName": name, "DBParameterGroupFamily": family, "Description": words}
    else:
        operation = "rds.CopyDBParameterGroup"
        said |= {
            "SourceDBParameterGroupIdentifier": like,
            "TargetDBParameterGroupIdentifier": name,
            "TargetDBParameterGroupDescription": words,
        }
    aws.act(journal, Act(operation, said, inverse, f"Parameter group {name} cannot be made like {like}"))
    rows = [
        {"ParameterName": key, "ParameterValue": value, "ApplyMethod": "immediate"} for key, value in changed.items()
    ]
    aws.act(
        journal,
        Act(
            "rds.ModifyDBParameterGroup",
            {"DBParameterGroupName": name, "Parameters": rows},
            Inverse.healed(f"parameter group {name} is the drill's own, and goes"),
            f"{', '.join(changed)} of {name} cannot be set",
        ),
    )


def restore_snapshot(aws: Aws, journal: Journal, snapshot: str, placement: Placement) -> Instance:
    """Restore a snapshot aside. Returns at once, with an instance that is "creating".

    Raises:
        AwsError: AWS refused it; says why.
    """
    arguments = {
        "DBInstanceIdentifier": placement.identifier,
        "DBSnapshotIdentifier": snapshot,
        **placement.arguments,
    }
    what = f"Snapshot {snapshot} cannot be restored to {placement.identifier}"
    return _restore(
        aws, journal, Act("rds.RestoreDBInstanceFromDBSnapshot", arguments, deletion(journal, placement), what)
    )


def restore_point_in_time(aws: Aws, journal: Journal, at: datetime | None, placement: Placement) -> Instance:
    """Restore to an instant, or to the latest that can be restored, aside. Returns at once.

    The source is named by its resource id: its name may be another's meanwhile.

    Raises:
        AwsError: AWS refused it; says why.
    """
    when = {"UseLatestRestorableTime": True} if at is None else {"RestoreTime": at.isoformat()}
    source = placement.source
    arguments = {
        "TargetDBInstanceIdentifier": placement.identifier,
        "SourceDbiResourceId": source.resource_id,
        **when,
        **placement.arguments,
    }
    what = f"{source.identifier} cannot be restored to {placement.identifier}"
    return _restore(
        aws, journal, Act("rds.RestoreDBInstanceToPointInTime", arguments, deletion(journal, placement), what)
    )


def deletion(journal: Journal, placement: Placement) -> Inverse:
    """What takes a restored instance away again: only the one of that name with this exercise's tag."""
    return Inverse(
        "rds.DeleteDBInstance",
        {"DBInstanceIdentifier": placement.identifier, "exercise": journal.header.exercise},
        f"no instance {placement.identifier}",
    )


def set_master_password(aws: Aws, journal: Journal, target: Instance, password: str) -> None:
    """Give an instance another master password, which RDS sets while it says "resetting-master-credentials". Meant for
    an instance of a drill's own, with which the password goes; it is written nowhere."""
    what = f"The master password of {target.identifier} cannot be set"
    said = {"DBInstanceIdentifier": target.identifier, "ApplyImmediately": True}
    inverse = Inverse.healed(f"instance {target.identifier} is the drill's own, and goes")
    with journal.intending("rds.ModifyDBInstance", {**said, "MasterUserPassword": "(not written)"}, inverse=inverse):
        aws.call("rds.ModifyDBInstance", what=what, **said, MasterUserPassword=password)


def set_security_groups(aws: Aws, journal: Journal, identifier: str, groups: Sequence[str]) -> None:
    """Give an instance of a drill's own other security groups (ids)."""
    aws.act(
        journal,
        Act(
            "rds.ModifyDBInstance",
            {"DBInstanceIdentifier": identifier, "VpcSecurityGroupIds": list(groups), "ApplyImmediately": True},
            Inverse.healed(f"instance {identifier} is the drill's own, and goes"),
            f"The security groups of {identifier} cannot be set",
        ),
    )


def reboot(aws: Aws, journal: Journal, target: Instance) -> None:
    """Reboot an instance. Returns at once; its clients' connections break, and none is taken until it is back."""
    inverse = Inverse.healed(f"instance {target.identifier} available, which it becomes by itself")
    what = f"{target.identifier} cannot be rebooted"
    aws.act(journal, Act("rds.RebootDBInstance", {"DBInstanceIdentifier": target.identifier}, inverse, what))


def retag_instance(aws: Aws, journal: Journal, target: Instance, tags: Mapping[str, str]) -> None:
    """Give an instance of a drill's own these tags and no others, where it could not be told them as it was made."""
    inverse = Inverse.healed(f"instance {target.identifier} is the drill's own, and goes")
    what = f"{target.identifier} cannot be tagged"
    said = {"ResourceName": target.arn, "Tags": _listed(tags)}
    aws.act(journal, Act("rds.AddTagsToResource", said, inverse, what))
    if foreign := [key for key in target.tags if key not in tags and not key.startswith("aws:")]:
        said = {"ResourceName": target.arn, "TagKeys": foreign}
        aws.act(journal, Act("rds.RemoveTagsFromResource", said, inverse, what))


def _restore(aws: Aws, journal: Journal, act: Act) -> Instance:
    def kept(answer: dict[str, Any]) -> dict[str, Any]:
        return {"DbiResourceId": answer["DBInstance"].get("DbiResourceId", "")}

    return instance_of(aws.act(journal, act, kept=kept)["DBInstance"])


def _listed(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
