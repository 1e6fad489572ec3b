"""Snapshots and what is restored from them: real copies, independent of what they came from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pymysql
import pytest
from botocore.exceptions import ClientError

from pytest_envdr.sandbox.control_plane import rds
from pytest_envdr.waiting import wait_until
from tests.sandbox.control_plane.rds_rig import PASSWORD, Rig
from tests.sandbox.control_plane.served import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

NEW_PASSWORD = "battery staple"  # noqa: S105 (an example's)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    directory = tmp_path_factory.mktemp("rds")
    with serving(directory, {"rds": rds}, region="eu-west-1", network="127.222.0.0/16", speed=100) as served:
        served.world.cache = directory / "cache"
        yield Rig(served)


@pytest.fixture(scope="module")
def source(rig: Rig) -> str:
    """An instance with one order, and settings that no default has."""
    rig.rds.create_db_parameter_group(
        DBParameterGroupName="own", DBParameterGroupFamily="mariadb10.11", Description="own"
    )
    instance = rig.create(
        DBParameterGroupName="own",
        MultiAZ=True,
        DeletionProtection=True,
        CopyTagsToSnapshot=True,
        Tags=[{"Key": "environment", "Value": "prod"}],
    )
    rig.query(instance, "CREATE TABLE orders (id INT PRIMARY KEY)", "INSERT INTO orders VALUES (1)")
    return instance


@pytest.fixture(scope="module")
def snapshot(rig: Rig, source: str) -> str:
    """A snapshot of it."""
    return rig.snapshot(source)


def test_a_snapshot_is_made_before_it_is_available(rig: Rig, source: str) -> None:
    """`creating` without a time and below 100 %, the instance `backing-up`; then with the times of what it holds."""
    before = datetime.now(UTC)
    row = rig.rds.create_db_snapshot(DBInstanceIdentifier=source, DBSnapshotIdentifier="made")["DBSnapshot"]
    assert row["Status"] == "creating"
    assert row["PercentProgress"] < 100
    assert "SnapshotCreateTime" not in row
    assert rig.row(source)["DBInstanceStatus"] == "backing-up"
    rig.await_snapshot("made")
    row = rig.snapshot_row("made")
    assert row["PercentProgress"] == 100
    assert before < row["SnapshotDatabaseTime"] <= row["OriginalSnapshotCreateTime"] <= datetime.now(UTC)
    assert (row["SnapshotType"], row["DbiResourceId"]) == ("manual", rig.row(source)["DbiResourceId"])
    assert row["TagList"] == [{"Key": "environment", "Value": "prod"}]
    rig.await_available(source)
    assert {"Backing up DB instance", "Finished DB instance backup"} <= set(rig.messages(source))
    assert rig.messages("made", "db-snapshot") == ["Creating manual snapshot", "Manual snapshot created"]


def test_a_snapshot_holds_each_commit_before_it_and_none_after(rig: Rig) -> None:
    """Restored, it has the rows of its instant, while the source went on."""
    instance = rig.create()
    rig.query(instance, "CREATE TABLE orders (id INT PRIMARY KEY)", "INSERT INTO orders VALUES (1)")
    rig.rds.create_db_snapshot(DBInstanceIdentifier=instance, DBSnapshotIdentifier="instant")
    rig.await_snapshot("instant")
    rig.query(instance, "INSERT INTO orders VALUES (2)")
    restored = rig.restore("instant")
    assert rig.query(restored, "SELECT id FROM orders") == ((1,),)


def test_a_restored_instance_shares_nothing_with_its_source(rig: Rig) -> None:
    """Each keeps its own rows when the other is written to, and when source and snapshot are deleted."""
    instance = rig.create()
    rig.query(instance, "CREATE TABLE orders (id INT PRIMARY KEY)", "INSERT INTO orders VALUES (1)")
    taken = rig.snapshot(instance)
    restored = rig.restore(taken)
    rows = [rig.row(each) for each in (instance, restored)]
    assert len({row["DbiResourceId"] for row in rows}) == len({row["Endpoint"]["Address"] for row in rows}) == 2
    rig.query(restored, "INSERT INTO orders VALUES (2)")
    assert rig.query(instance, "SELECT id FROM orders") == ((1,),)
    rig.rds.delete_db_snapshot(DBSnapshotIdentifier=taken)
    rig.delete(instance)
    assert rig.query(restored, "SELECT id FROM orders") == ((1,), (2,))
    with pytest.raises(ClientError, match="DBSnapshotNotFound"):
        rig.rds.describe_db_snapshots(DBSnapshotIdentifier=taken)


def test_a_stopped_instance_can_be_backed_up(rig: Rig) -> None:
    """A snapshot of it, and a final one on deletion, hold what was committed before it was stopped."""
    instance, names = rig.create(), [rig.name("stopped"), rig.name("final")]
    rig.query(instance, "CREATE TABLE orders (id INT PRIMARY KEY)", "INSERT INTO orders VALUES (1)")
    rig.rds.stop_db_instance(DBInstanceIdentifier=instance)
    rig.await_status(instance, "stopped")
    rig.rds.create_db_snapshot(DBInstanceIdentifier=instance, DBSnapshotIdentifier=names[0])
    rig.await_snapshot(names[0])
    assert rig.row(instance)["DBInstanceStatus"] == "stopped"
    rig.delete(instance, SkipFinalSnapshot=False, FinalDBSnapshotIdentifier=names[1])
    for name in names:
        assert rig.query(rig.restore(name), "SELECT id FROM orders") == ((1,),)


def test_a_restore_takes_its_time_and_shows_no_endpoint_before(rig: Rig, snapshot: str) -> None:
    """`creating` without an endpoint; then available, with events, while its volume is still being loaded."""
    name = rig.name("restored")
    row = rig.rds.restore_db_instance_from_db_snapshot(DBInstanceIdentifier=name, DBSnapshotIdentifier=snapshot)
    assert row["DBInstance"]["DBInstanceStatus"] == "creating"
    assert "Endpoint" not in row["DBInstance"]
    rig.await_available(name)
    row = rig.row(name)
    assert row["StorageOperationStatus"] == "Initializing"
    assert 0 <= row["StorageOperationPercentProgress"] < 100
    assert "DB instance created" in rig.messages(name)
    assert f"Restored from snapshot {snapshot}" in rig.messages(snapshot, "db-snapshot")
    wait_until(
        lambda: rig.row(name), lambda row: "StorageOperationStatus" not in row, what="the volume loaded", deadline=30
    )


def test_a_restore_chooses_as_rds_does(rig: Rig, source: str, snapshot: str) -> None:
    """Default groups, one zone, no protection, but the source's tags, class, password and retention period."""
    restored, was = rig.row(rig.restore(snapshot)), rig.row(source)
    assert restored["DBParameterGroups"][0]["DBParameterGroupName"] == "default.mariadb10.11"
    assert (restored["MultiAZ"], restored["DeletionProtection"]) == (False, False)
    for same in ("TagList", "DBInstanceClass", "AllocatedStorage", "EngineVersion", "BackupRetentionPeriod"):
        assert restored[same] == was[same]
    assert rig.query(restored["DBInstanceIdentifier"], "SELECT 1") == ((1,),)


def test_a_restore_does_as_it_is_told(rig: Rig, snapshot: str) -> None:
    """Tags, parameter group, class, more storage, protection and BackupRetentionPeriod, 0 included, are kept."""
    told: dict[str, Any] = {
        "Tags": [{"Key": "envdr:exercise", "Value": "1"}],
        "DBInstanceClass": "db.r6g.large",
        "AllocatedStorage": 40,
        "DeletionProtection": True,
        "BackupRetentionPeriod": 0,
        "PubliclyAccessible": False,
    }
    row = rig.row(rig.restore(snapshot, **told, DBParameterGroupName="own"))
    assert {"Tags": row["TagList"], **{key: row[key] for key in told if key != "Tags"}} == told
    assert row["DBParameterGroups"][0]["DBParameterGroupName"] == "own"


def test_the_password_is_the_snapshots(rig: Rig) -> None:
    """A password that was changed since does not open the restored instance; the old one does."""
    instance = rig.create()
    taken = rig.snapshot(instance)
    rig.rds.modify_db_instance(DBInstanceIdentifier=instance, MasterUserPassword=NEW_PASSWORD, ApplyImmediately=True)
    restored = rig.restore(taken)
    assert rig.query(restored, "SELECT 1", password=PASSWORD) == ((1,),)
    with pytest.raises(pymysql.MySQLError, match="Access denied"):
        rig.query(restored, "SELECT 1", password=NEW_PASSWORD)


def test_a_copy_has_a_newer_date_and_the_same_data(rig: Rig, snapshot: str) -> None:
    """SnapshotCreateTime moves; OriginalSnapshotCreateTime and SnapshotDatabaseTime do not; it can be restored."""
    rig.rds.copy_db_snapshot(SourceDBSnapshotIdentifier=snapshot, TargetDBSnapshotIdentifier="copied", CopyTags=True)
    rig.await_snapshot("copied")
    original, copy = rig.snapshot_row(snapshot), rig.snapshot_row("copied")
    assert copy["SnapshotCreateTime"] > original["SnapshotCreateTime"]
    for same in ("OriginalSnapshotCreateTime", "SnapshotDatabaseTime", "DbiResourceId", "TagList"):
        assert copy[same] == original[same]
    assert rig.query(rig.restore("copied"), "SELECT id FROM orders") == ((1,),)


def test_snapshots_are_found_by_instance_type_and_resource(rig: Rig, source: str, snapshot: str) -> None:
    """Each filter of DescribeDBSnapshots narrows; the AWS CLI waits for the same and sees the same."""

    def names(**wanted: Any) -> set[str]:
        return {row["DBSnapshotIdentifier"] for row in rig.rds.describe_db_snapshots(**wanted)["DBSnapshots"]}

    resource = rig.row(source)["DbiResourceId"]
    assert snapshot in names(DBInstanceIdentifier=source) & names(DbiResourceId=resource) & names()
    assert snapshot in names(Filters=[{"Name": "dbi-resource-id", "Values": [resource]}])
    assert snapshot not in names(SnapshotType="automated") | names(DbiResourceId="db-OTHER") | names(
        SnapshotType="awsbackup"
    )
    rig.served.cli("rds", "wait", "db-snapshot-available", "--db-snapshot-identifier", snapshot)
    shown = rig.served.cli_json("rds", "describe-db-snapshots", "--db-snapshot-identifier", snapshot)["DBSnapshots"]
    assert [row["DBSnapshotIdentifier"] for row in shown] == [snapshot]


def test_what_rds_would_refuse_is_refused(rig: Rig, source: str, snapshot: str) -> None:
    """AWS's error codes for what is not there, is there already, is not ready, or does not fit."""
    client = rig.rds
    restoring = client.restore_db_instance_from_db_snapshot
    name = rig.name("unready")
    unready = {"DBInstanceIdentifier": source, "DBSnapshotIdentifier": name}
    client.create_db_snapshot(**unready)
    for code, call, request in [
        (
            "InvalidDBSnapshotState",
            client.restore_db_instance_from_db_snapshot,
            unready | {"DBInstanceIdentifier": "x"},
        ),
        (
            "InvalidDBSnapshotState",
            client.delete_db_snapshot,
            {"DBSnapshotIdentifier": unready["DBSnapshotIdentifier"]},
        ),
        ("InvalidDBInstanceState", client.create_db_snapshot, unready | {"DBSnapshotIdentifier": "second"}),
    ]:
        with pytest.raises(ClientError) as refused:
            call(**request)
        assert refused.value.response["Error"]["Code"] == code
    rig.await_snapshot(name)
    rig.await_available(source)
    restore: dict[str, Any] = {"DBInstanceIdentifier": "new", "DBSnapshotIdentifier": snapshot}
    for code, call, request in [
        ("DBSnapshotAlreadyExists", client.create_db_snapshot, restore | {"DBInstanceIdentifier": source}),
        ("DBInstanceNotFound", client.create_db_snapshot, restore | {"DBSnapshotIdentifier": "of-none"}),
        ("DBSnapshotNotFound", client.delete_db_snapshot, {"DBSnapshotIdentifier": "missing"}),
        ("DBSnapshotNotFound", restoring, restore | {"DBSnapshotIdentifier": "none"}),
        (
            "DBInstanceAlreadyExists",
            client.restore_db_instance_from_db_snapshot,
            restore | {"DBInstanceIdentifier": source},
        ),
        ("InvalidParameterValue", restoring, restore | {"AllocatedStorage": 5}),
        (
            "DBParameterGroupNotFound",
            client.restore_db_instance_from_db_snapshot,
            restore | {"DBParameterGroupName": "no"},
        ),
        (
            "InvalidParameterValue",
            client.restore_db_instance_from_db_snapshot,
            restore | {"VpcSecurityGroupIds": ["sg-0"]},
        ),
        ("StorageQuotaExceeded", restoring, restore | {"AllocatedStorage": 99_999}),
    ]:
        with pytest.raises(ClientError) as refused:
            call(**request)
        assert refused.value.response["Error"]["Code"] == code, request


def test_quotas_are_shown_and_kept(rig: Rig, source: str, snapshot: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """DescribeAccountAttributes says how many are used of how many; one more than that is refused with AWS's code."""

    def quota(name: str) -> dict[str, Any]:
        rows = rig.rds.describe_account_attributes()["AccountQuotas"]
        return next(dict(row) for row in rows if row["AccountQuotaName"] == name)

    assert (quota("ManualSnapshots")["Max"], quota("DBInstances")["Max"]) == (100, 40)
    manual = rig.rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
    assert quota("ManualSnapshots")["Used"] == len(manual)
    for name in ("ManualSnapshots", "DBInstances"):
        monkeypatch.setitem(rds.quotas.QUOTAS, name, quota(name)["Used"])
    with pytest.raises(ClientError, match="SnapshotQuotaExceeded"):
        rig.rds.create_db_snapshot(DBInstanceIdentifier=source, DBSnapshotIdentifier="one-too-many")
    with pytest.raises(ClientError, match="InstanceQuotaExceeded"):
        rig.restore(snapshot)


def test_events_are_found_by_category_and_time(rig: Rig, source: str) -> None:
    """DescribeEvents keeps to the categories and to the span that it is asked for."""
    asked: dict[str, Any] = {"SourceIdentifier": source, "SourceType": "db-instance"}
    created = rig.rds.describe_events(**asked, EventCategories=["creation"])["Events"]
    assert [event["Message"] for event in created] == ["DB instance created"]
    after = created[0]["Date"] + timedelta(milliseconds=1)
    later = rig.rds.describe_events(**asked, StartTime=after)["Events"]
    assert "DB instance created" not in [event["Message"] for event in later]
    assert rig.rds.describe_events(**asked, EndTime=created[0]["Date"] - timedelta(seconds=1))["Events"] == []
