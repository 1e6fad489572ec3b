"""RDS: typed instances and snapshots, restores that leave AWS nothing to choose, and their undoing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_envdr import undo
from pytest_envdr.aws import Aws, rds
from pytest_envdr.errors import NotFound, UndoFailed
from pytest_envdr.journal import Header, Journal
from tests import account

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXERCISE = "ex-7"
TAGS = {"envdr:exercise": EXERCISE, "envdr:source": "prod-db"}
KINDS: tuple[rds.SnapshotKind, ...] = ("manual", "automated")
PASSWORD = "correct horse"  # noqa: S105 (an example's)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """An open journal."""
    header = Header(EXERCISE, account.ACCOUNT, account.REGION, account.endpoint())
    with Journal.open(tmp_path / "journal", header) as journal:
        yield journal


@pytest.fixture
def aws(journal: Journal) -> Aws:
    """The account."""
    return Aws(account.stack(), journal)


@pytest.fixture
def source(aws: Aws) -> rds.Instance:
    """An instance of somebody's, with tags of production."""
    name, options = account.unique("prod-db"), account.unique("options")
    account.plain("rds").create_option_group(
        OptionGroupName=options, EngineName="mariadb", MajorEngineVersion="10.6", OptionGroupDescription="of prod"
    )
    account.plain("rds").create_db_instance(
        DBInstanceIdentifier=name,
        Engine="mariadb",
        EngineVersion="10.6.14",
        DBInstanceClass="db.t4g.medium",
        AllocatedStorage=20,
        MasterUsername="owner",
        MasterUserPassword=PASSWORD,
        StorageType="gp3",
        OptionGroupName=options,
        BackupRetentionPeriod=7,
        Tags=[{"Key": "environment", "Value": "prod"}],
    )
    return rds.instance(aws, name)


def snapshot(source: rds.Instance) -> str:
    """A manual snapshot of it."""
    name = account.unique("snap")
    account.plain("rds").create_db_snapshot(DBInstanceIdentifier=source.identifier, DBSnapshotIdentifier=name)
    return name


def group() -> str:
    """A security group's id."""
    ec2 = account.plain("ec2")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    return str(ec2.create_security_group(GroupName=account.unique("sg"), Description="a", VpcId=vpc)["GroupId"])


def placement(aws: Aws, journal: Journal, source: rds.Instance) -> rds.Placement:
    """Where a copy shall stand: in groups of its own."""
    name = account.unique("envdr-test")
    rds.create_parameter_group(
        aws, journal, name=name, like=source.parameter_group, changed={"event_scheduler": "OFF"}, tags=TAGS
    )
    return rds.Placement(name, source, name, (group(),), TAGS)


def test_an_instance_is_a_typed_value(aws: Aws, source: rds.Instance) -> None:
    """Names, sizes, groups with their state, and tags; what is not there is NotFound, or None."""
    assert (source.engine, source.instance_class, source.allocated_gib) == ("mariadb", "db.t4g.medium", 20)
    assert (source.retention_days, source.master_user, source.tags) == (7, "owner", {"environment": "prod"})
    assert source.parameter_groups == (rds.Group("default.mariadb10.6", "in-sync"),)
    assert source.endpoint == (source.host, 3306)
    with pytest.raises(NotFound, match="Instance nobody cannot be read"):
        rds.instance(aws, "nobody")
    assert rds.existing(aws, "nobody") is None


def test_snapshots_of_another_are_not_its_own(aws: Aws, source: rds.Instance) -> None:
    """By resource id, and of the kind that is asked for (aws-semantics 1, T3)."""
    name = snapshot(source)
    own = {
        kind: [one for one in rds.snapshots(aws, source, kind) if one.instance == source.identifier] for kind in KINDS
    }
    assert [one.identifier for one in own["manual"]] == [name]
    assert {one.kind for one in own["automated"]} == {"automated"}
    assert rds.snapshots(aws, replace(source, resource_id="db-ANOTHER"), "manual") == []


def test_a_restore_leaves_nothing_to_choose(aws: Aws, journal: Journal, source: rds.Instance) -> None:
    """Groups, class and tags are those that were asked for, not AWS's defaults nor production's."""
    wanted = placement(aws, journal, source)
    made = rds.restore_snapshot(aws, journal, snapshot(source), wanted)
    copy = rds.instance(aws, made.identifier)
    assert copy.parameter_group == wanted.parameter_group
    assert copy.security_groups == wanted.security_groups
    assert copy.tags == TAGS
    assert (copy.public, copy.instance_class) == (False, source.instance_class)
    entry = journal.entries[-1]
    assert entry.inverse.restores == f"no instance {wanted.identifier}"
    assert entry.arguments["BackupRetentionPeriod"] == 0
    assert entry.arguments["TagSpecifications"][0]["ResourceType"] == "auto-backup"
    assert entry.result == {"DbiResourceId": made.resource_id}


@pytest.mark.parametrize(("gib", "told"), [(20, False), (400, True)])
def test_small_volumes_take_no_iops(source: rds.Instance, gib: int, *, told: bool) -> None:
    """RDS refuses IOPS and throughput of a small gp3 volume, though it shows them."""
    large = replace(source, storage_type="gp3", allocated_gib=gib, iops=3000, throughput=125)
    arguments = rds.Placement("envdr-x", large, "group", ("sg-1",), {}).arguments
    assert ("Iops" in arguments, "StorageThroughput" in arguments) == (told, told)


def test_a_group_of_its_own_is_a_copy(aws: Aws, journal: Journal, source: rds.Instance) -> None:
    """A group of the customer's is copied with its parameters; AWS's own, which cannot be, gives its family."""
    client, theirs = account.plain("rds"), account.unique("theirs")
    client.create_db_parameter_group(
        DBParameterGroupName=theirs, DBParameterGroupFamily="mariadb10.6", Description="theirs"
    )
    parameter = {"ParameterName": "max_connections", "ParameterValue": "77", "ApplyMethod": "immediate"}
    client.modify_db_parameter_group(DBParameterGroupName=theirs, Parameters=[parameter])
    for like in (theirs, source.parameter_group):
        name = account.unique("envdr-group")
        rds.create_parameter_group(aws, journal, name=name, like=like, changed={"event_scheduler": "OFF"}, tags=TAGS)
        assert rds.parameter_group(aws, name) == rds.ParameterGroup(name, "mariadb10.6", TAGS)
    undo.replay(aws, journal)
    with pytest.raises(NotFound):
        rds.parameter_group(aws, name)
    assert rds.parameter_group(aws, theirs).family == "mariadb10.6"


def test_a_password_is_written_nowhere(aws: Aws, journal: Journal, source: rds.Instance) -> None:
    """Neither the journal nor what an instance or a login prints holds it."""
    rds.set_master_password(aws, journal, source, "battery staple")
    assert "battery staple" not in journal.path.read_text()
    assert journal.owed() == []


def test_a_copy_goes_again(aws: Aws, journal: Journal, source: rds.Instance) -> None:
    """Undone: the copy and its group are gone, the source is not touched, and a second replay does nothing."""
    wanted = placement(aws, journal, source)
    rds.restore_snapshot(aws, journal, snapshot(source), wanted)
    done = [one.how for one in undo.replay(aws, journal)]
    assert done == ["brought back", "brought back"]
    assert rds.existing(aws, wanted.identifier) is None
    assert rds.instance(aws, source.identifier).resource_id == source.resource_id
    assert undo.replay(aws, journal) == []


def test_what_is_somebody_else_s_is_not_deleted(aws: Aws, journal: Journal, source: rds.Instance) -> None:
    """An instance of that name with other tags, or with another id than the one recorded: left, and said."""
    wanted = placement(aws, journal, source)
    made = rds.restore_snapshot(aws, journal, snapshot(source), wanted)
    client, entry = account.plain("rds"), journal.entries[-1]
    entry.result = {"DbiResourceId": "db-ANOTHER"}
    with pytest.raises(UndoFailed, match="not db-ANOTHER"):
        undo.reverse(aws, journal, entry)
    entry.result = {"DbiResourceId": made.resource_id}
    arn = rds.instance(aws, made.identifier).arn
    client.remove_tags_from_resource(ResourceName=arn, TagKeys=["envdr:exercise"])
    with pytest.raises(UndoFailed, match="its tags do not say"):
        undo.reverse(aws, journal, entry)
    assert rds.existing(aws, made.identifier) is not None
    assert entry.owed
