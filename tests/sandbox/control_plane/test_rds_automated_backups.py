"""Automated backups and points in time: what is restorable is what was really archived."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from pytest_envdr.sandbox.control_plane import rds
from pytest_envdr.waiting import pause, wait_until
from tests.sandbox.control_plane.rds_rig import Rig
from tests.sandbox.control_plane.served import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

SPEED = 300


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    directory = tmp_path_factory.mktemp("rds")
    with serving(directory, {"rds": rds}, region="eu-west-1", network="127.224.0.0/16", speed=SPEED) as served:
        served.world.cache = directory / "cache"
        yield Rig(served)


@pytest.fixture(scope="module")
def source(rig: Rig) -> str:
    """An instance that is backed up, with its first automated snapshot, and an empty table of orders."""
    instance = rig.create()
    rig.query(instance, "CREATE TABLE orders (id INT PRIMARY KEY AUTO_INCREMENT, at DATETIME(6) DEFAULT NOW(6))")
    rig.rds.modify_db_instance(DBInstanceIdentifier=instance, BackupRetentionPeriod=7, ApplyImmediately=True)
    await_backup(rig, instance)
    return instance


def await_backup(rig: Rig, instance: str) -> None:
    wait_until(lambda: rig.automated(instance), what="the first automated snapshot", deadline=60)
    rig.await_available(instance)


def await_archived(rig: Rig, instance: str, time: datetime) -> datetime:
    """Wait until an instance can be restored to that time."""
    row = wait_until(
        lambda: rig.row(instance),
        lambda row: row["LatestRestorableTime"] > time,
        what=f"restorable to {time}",
        deadline=60,
    )
    return row["LatestRestorableTime"]  # type: ignore[no-any-return]


def restore(rig: Rig, **wanted: Any) -> str:
    name = rig.name("restored")
    rig.rds.restore_db_instance_to_point_in_time(TargetDBInstanceIdentifier=name, **wanted)
    rig.await_available(name)
    return name


def backups(rig: Rig, **wanted: Any) -> list[dict[str, Any]]:
    return list(rig.rds.describe_db_instance_automated_backups(**wanted)["DBInstanceAutomatedBackups"])


def ids(rig: Rig, instance: str) -> list[int]:
    return [row[0] for row in rig.query(instance, "SELECT id FROM orders ORDER BY id")]


def test_a_point_in_time_holds_what_was_committed_before_it(rig: Rig, source: str) -> None:
    """An order each half second, then a mishap: restored to a second before it, all orders before that are there."""
    for _ in range(8):
        rig.query(source, "INSERT INTO orders () VALUES ()")
        pause(0.4)
    rows = rig.query(source, "SELECT id, at FROM orders ORDER BY id")
    point = datetime.now(UTC).replace(microsecond=0)
    pause(1.1)
    rig.query(source, "DELETE FROM orders")
    await_archived(rig, source, datetime.now(UTC))
    restored = restore(rig, SourceDBInstanceIdentifier=source, RestoreTime=point)
    assert ids(rig, restored) == [row[0] for row in rows if row[1].replace(tzinfo=UTC) < point]
    assert ids(rig, source) == []
    assert f"Restored from DB instance {source} to {restored}" in rig.messages(restored)


def test_the_latest_restorable_time_is_what_was_archived(rig: Rig, source: str) -> None:
    """Restored to it, the instance holds each order from before it; an order of now is not restorable yet."""
    rig.query(source, "INSERT INTO orders () VALUES ()")
    [(first, at)] = rig.query(source, "SELECT id, at FROM orders ORDER BY id DESC LIMIT 1")
    assert rig.row(source)["LatestRestorableTime"] < datetime.now(UTC)
    await_archived(rig, source, at.replace(tzinfo=UTC))
    restored = restore(rig, SourceDBInstanceIdentifier=source, UseLatestRestorableTime=True, BackupRetentionPeriod=0)
    assert first in ids(rig, restored)


def test_the_window_follows_the_server(rig: Rig) -> None:
    """RestoreWindow goes from the first snapshot to the end of the logs, and moves only while the server runs.

    So DescribeDBInstanceAutomatedBackups is acted out.
    """
    instance = rig.create(BackupRetentionPeriod=1)
    await_backup(rig, instance)
    [row] = backups(rig, DBInstanceIdentifier=instance)
    [snapshot] = rig.automated(instance)
    assert (row["Status"], row["DbiResourceId"]) == ("active", rig.row(instance)["DbiResourceId"])
    assert row["RestoreWindow"]["EarliestTime"] == snapshot["SnapshotDatabaseTime"]
    await_archived(rig, instance, datetime.now(UTC))
    rig.rds.stop_db_instance(DBInstanceIdentifier=instance)
    rig.await_status(instance, "stopped")
    stopped = datetime.now(UTC)
    pause(2 * 300 / SPEED)
    assert backups(rig, DBInstanceIdentifier=instance)[0]["RestoreWindow"]["LatestTime"] < stopped
    rig.rds.start_db_instance(DBInstanceIdentifier=instance)
    await_archived(rig, instance, stopped)


def test_a_snapshot_that_cannot_be_made_is_failed(rig: Rig) -> None:
    """DescribeDBSnapshots is acted out: where the files cannot be copied there is no available snapshot."""
    instance = rig.create()
    data = rig.served.world.directory / "rds" / rig.row(instance)["DbiResourceId"] / "data"
    data.rename(data.with_name("moved"))
    rig.rds.create_db_snapshot(DBInstanceIdentifier=instance, DBSnapshotIdentifier="doomed")
    status = wait_until(
        lambda: rig.snapshot_row("doomed")["Status"], lambda seen: seen != "creating", what="an end", deadline=30
    )
    data.with_name("moved").rename(data)
    assert status == "failed"


def test_an_automated_backup_is_retained_where_it_shall(rig: Rig) -> None:
    """After the instance is gone it is `retained`, restorable by resource id and by ARN, and can be deleted."""
    instance = rig.create(BackupRetentionPeriod=1)
    rig.query(instance, "CREATE TABLE orders (id INT PRIMARY KEY)")
    await_backup(rig, instance)
    rig.query(instance, "INSERT INTO orders VALUES (1)")
    resource = rig.row(instance)["DbiResourceId"]
    await_archived(rig, instance, datetime.now(UTC))
    rig.delete(instance, DeleteAutomatedBackups=False)
    [row] = backups(rig, DbiResourceId=resource)
    assert (row["Status"], row["DBInstanceIdentifier"]) == ("retained", instance)
    arn = row["DBInstanceAutomatedBackupsArn"]
    for named in ({"SourceDbiResourceId": resource}, {"SourceDBInstanceAutomatedBackupsArn": arn}):
        assert ids(rig, restore(rig, UseLatestRestorableTime=True, BackupRetentionPeriod=0, **named)) == [1]
    rig.rds.delete_db_instance_automated_backup(DbiResourceId=resource)
    with pytest.raises(ClientError, match="DBInstanceAutomatedBackupNotFound"):
        backups(rig, DbiResourceId=resource)
    assert rig.rds.describe_db_snapshots(DbiResourceId=resource, SnapshotType="automated")["DBSnapshots"] == []


def test_backups_go_with_the_instance_unless_told_otherwise(rig: Rig) -> None:
    """Its automated snapshots and logs are gone, files included; manual and final snapshots stay, with its rows."""
    instance = rig.create(BackupRetentionPeriod=1)
    rig.query(instance, "CREATE TABLE orders (id INT PRIMARY KEY)")
    await_backup(rig, instance)
    await_archived(rig, instance, datetime.now(UTC))
    rig.query(instance, "INSERT INTO orders VALUES (1)")
    resource, final = rig.row(instance)["DbiResourceId"], rig.name("final")
    rig.delete(instance, SkipFinalSnapshot=False, FinalDBSnapshotIdentifier=final)
    assert backups(rig, DBInstanceIdentifier=instance) == []
    assert rig.rds.describe_db_snapshots(DbiResourceId=resource, SnapshotType="automated")["DBSnapshots"] == []
    logs = rig.served.world.directory / "rds" / "archives" / resource
    wait_until(lambda: not logs.exists(), what="its logs gone", deadline=30)
    assert rig.snapshot_row(final)["Status"] == "available"
    assert ids(rig, rig.restore(final, BackupRetentionPeriod=0)) == [1]


def test_snapshots_are_made_daily_and_go_with_their_age(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot a day; those that are older than the retention period are gone, and with them the window's beginning.

    A day takes 4 s here.
    """
    instance = rig.create(BackupRetentionPeriod=1)
    await_backup(rig, instance)
    [first] = rig.automated(instance)
    begin = backups(rig, DBInstanceIdentifier=instance)[0]["RestoreWindow"]["EarliestTime"]
    assert begin == first["SnapshotDatabaseTime"]
    monkeypatch.setattr(rig.served.world, "speed", 24 * 3600 / 4)
    wait_until(
        lambda: [row["DBSnapshotIdentifier"] for row in rig.automated(instance)],
        lambda names: bool(names) and first["DBSnapshotIdentifier"] not in names,
        what="another snapshot in the place of the first",
        deadline=60,
    )
    assert backups(rig, DBInstanceIdentifier=instance)[0]["RestoreWindow"]["EarliestTime"] > begin
    rig.delete(instance)


def test_a_restored_instance_is_backed_up_as_its_source(rig: Rig, source: str) -> None:
    """With the source's retention period it gets an automated snapshot of its own, and can be restored itself."""
    [snapshot] = rig.automated(source)[:1]
    restored = rig.restore(snapshot["DBSnapshotIdentifier"])
    assert rig.row(restored)["BackupRetentionPeriod"] == 7
    await_backup(rig, restored)
    rig.query(restored, "INSERT INTO orders (id) VALUES (1000)")
    await_archived(rig, restored, datetime.now(UTC))
    again = restore(rig, SourceDBInstanceIdentifier=restored, UseLatestRestorableTime=True, BackupRetentionPeriod=0)
    assert 1000 in ids(rig, again)


def test_what_rds_would_refuse_is_refused(rig: Rig, source: str) -> None:
    """AWS's codes for times out of the window, sources without backups, and requests that name two times or none."""
    bare, now, target = rig.create(), datetime.now(UTC), {"TargetDBInstanceIdentifier": "new"}
    latest = {"UseLatestRestorableTime": True}
    refusals: list[tuple[str, dict[str, Any]]] = [
        ("PointInTimeRestoreNotEnabled", {"SourceDBInstanceIdentifier": bare, **latest}),
        ("DBInstanceNotFound", {"SourceDBInstanceIdentifier": "missing", **latest}),
        ("DBInstanceAutomatedBackupNotFound", {"SourceDbiResourceId": "db-MISSING", **latest}),
        ("InvalidParameterValue", {"SourceDBInstanceIdentifier": source, "RestoreTime": now + timedelta(days=4)}),
        ("InvalidParameterValue", {"SourceDBInstanceIdentifier": source, "RestoreTime": now - timedelta(days=4)}),
        ("InvalidParameterCombination", {"SourceDBInstanceIdentifier": source, "RestoreTime": now, **latest}),
        ("InvalidParameterCombination", {"SourceDBInstanceIdentifier": source}),
        ("InvalidParameterCombination", latest),
    ]
    for code, wanted in refusals:
        with pytest.raises(ClientError) as refused:
            rig.rds.restore_db_instance_to_point_in_time(**target, **wanted)
        assert refused.value.response["Error"]["Code"] == code, wanted
    with pytest.raises(ClientError, match="DBInstanceAlreadyExists"):
        rig.rds.restore_db_instance_to_point_in_time(
            SourceDBInstanceIdentifier=source, TargetDBInstanceIdentifier=bare, **latest
        )
    automated = rig.automated(source)[0]["DBSnapshotIdentifier"]
    with pytest.raises(ClientError, match="InvalidDBSnapshotState"):
        rig.rds.delete_db_snapshot(DBSnapshotIdentifier=automated)
    with pytest.raises(ClientError, match="InvalidDBInstanceAutomatedBackupState"):
        rig.rds.delete_db_instance_automated_backup(DbiResourceId=rig.row(source)["DbiResourceId"])
