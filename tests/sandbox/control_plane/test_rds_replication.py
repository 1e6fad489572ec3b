"""Backups in another Region: what can be restored there is what was really copied, without anything of the source."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from pytest_envdr.sandbox.control_plane import rds
from pytest_envdr.waiting import wait_until
from tests.sandbox.control_plane.rds_rig import Rig
from tests.sandbox.control_plane.served import Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE, THERE = "eu-west-1", "eu-central-1"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("rds")
    with serving(
        directory, {"rds": rds}, region=HERE, network="127.12.0.0/16", speed=300, beside=(THERE, "127.14.0.0/16")
    ) as served:
        assert served.beside is not None
        served.world.cache = served.beside.world.cache = directory / "cache"
        yield served


@pytest.fixture(scope="module")
def rig(served: Served) -> Rig:
    """The source's Region."""
    return Rig(served)


@pytest.fixture(scope="module")
def there(served: Served) -> Rig:
    """The destination."""
    assert served.beside is not None
    return Rig(served.beside)


@pytest.fixture(scope="module")
def key(there: Rig) -> str:
    """The ARN of a key of the destination."""
    return str(there.served.client("kms").create_key()["KeyMetadata"]["Arn"])


def backed_up(rig: Rig, **more: Any) -> str:
    """An instance with a table of orders and automated backups; its name."""
    instance = rig.create(BackupRetentionPeriod=7, **more)
    rig.query(instance, "CREATE TABLE orders (id INT PRIMARY KEY AUTO_INCREMENT)")
    return instance


def replicate(rig: Rig, there: Rig, instance: str, **more: Any) -> str:
    """Replicate an instance's automated backups; the ARN of what comes of it."""
    source = rig.row(instance)["DBInstanceArn"]
    made = there.rds.start_db_instance_automated_backups_replication(SourceDBInstanceArn=source, **more)
    return str(made["DBInstanceAutomatedBackup"]["DBInstanceAutomatedBackupsArn"])


def replica(there: Rig, arn: str) -> dict[str, Any]:
    [row] = there.rds.describe_db_instance_automated_backups(DBInstanceAutomatedBackupsArn=arn)[
        "DBInstanceAutomatedBackups"
    ]
    return dict(row)


def await_copied(there: Rig, arn: str, time: datetime) -> datetime:
    """Wait until what was written until then can be restored from the replica; the latest time that can be."""
    row = wait_until(
        lambda: replica(there, arn),
        lambda row: bool(row.get("RestoreWindow")) and row["RestoreWindow"]["LatestTime"] > time,
        what=f"{arn} copied to {time}",
        deadline=60,
    )
    return row["RestoreWindow"]["LatestTime"]  # type: ignore[no-any-return]


def test_a_replica_is_restored_without_its_source(rig: Rig, there: Rig, key: str) -> None:
    """Restored in the other Region, after the source is gone, it has all that was written before its latest time."""
    instance = backed_up(rig, StorageEncrypted=True)
    arn = replicate(rig, there, instance, KmsKeyId=key, BackupRetentionPeriod=3)
    assert replica(there, arn)["Status"] == "pending"
    rig.query(instance, "INSERT INTO orders VALUES (1), (2)")
    latest = await_copied(there, arn, datetime.now(UTC))
    row = replica(there, arn)
    assert (row["Status"], row["Region"], row["Encrypted"]) == ("replicating", HERE, True)
    assert (row["KmsKeyId"], row["BackupRetentionPeriod"]) == (key, 3)
    assert row["DBInstanceAutomatedBackupsReplications"] == []
    assert latest <= rig.row(instance)["LatestRestorableTime"]
    assert rig.row(instance)["DBInstanceAutomatedBackupsReplications"] == [{"DBInstanceAutomatedBackupsArn": arn}]
    rig.delete(instance)
    wait_until(lambda: replica(there, arn)["Status"], lambda status: status == "retained", what="retained", deadline=30)
    there.rds.restore_db_instance_to_point_in_time(
        SourceDBInstanceAutomatedBackupsArn=arn, TargetDBInstanceIdentifier="again", UseLatestRestorableTime=True
    )
    there.await_available("again")
    assert there.query("again", "SELECT id FROM orders") == ((1,), (2,))
    restored = there.row("again")
    assert (restored["KmsKeyId"], restored["Endpoint"]["Address"].split(".")[1]) == (key, "14")
    assert restored["DBParameterGroups"][0]["DBParameterGroupName"].startswith("default.")


def test_a_time_that_was_not_copied_cannot_be_restored(rig: Rig, there: Rig) -> None:
    """The replica ends where its copied logs do; later, and in the other Region by its instance's name, is refused."""
    instance = backed_up(rig)
    arn = replicate(rig, there, instance)
    latest = await_copied(there, arn, datetime.now(UTC))
    source = rig.row(instance)["DBInstanceArn"]
    stopped = there.rds.stop_db_instance_automated_backups_replication(SourceDBInstanceArn=source)
    assert stopped["DBInstanceAutomatedBackup"]["DBInstanceAutomatedBackupsArn"] == arn
    later = wait_until(
        lambda: rig.row(instance)["LatestRestorableTime"],
        lambda time: time > latest + timedelta(seconds=2),
        what="logs",
        deadline=60,
    )
    assert replica(there, arn)["RestoreWindow"]["LatestTime"] < later
    assert rig.row(instance)["DBInstanceAutomatedBackupsReplications"] == []
    wanted = {"TargetDBInstanceIdentifier": "never"}
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        there.rds.restore_db_instance_to_point_in_time(
            SourceDBInstanceAutomatedBackupsArn=arn, RestoreTime=later, **wanted
        )
    with pytest.raises(ClientError, match="DBInstanceNotFound"):
        there.rds.restore_db_instance_to_point_in_time(
            SourceDBInstanceIdentifier=instance, UseLatestRestorableTime=True, **wanted
        )
    there.rds.delete_db_instance_automated_backup(DBInstanceAutomatedBackupsArn=arn)
    with pytest.raises(ClientError, match="DBInstanceAutomatedBackupNotFound"):
        replica(there, arn)


def test_what_cannot_be_replicated_is_refused(rig: Rig, there: Rig) -> None:
    """Without a key of the destination for an encrypted source, without backups, from the same Region, from nowhere."""
    encrypted, bare = backed_up(rig, StorageEncrypted=True), rig.create()
    own = rig.served.client("kms").create_key()["KeyMetadata"]["Arn"]
    for given in ({}, {"KmsKeyId": own}):
        with pytest.raises(ClientError, match="KMSKeyNotAccessibleFault"):
            replicate(rig, there, encrypted, **given)
    with pytest.raises(ClientError, match="InvalidDBInstanceState"):
        replicate(rig, there, bare)
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        replicate(rig, rig, encrypted)
    with pytest.raises(ClientError, match="DBInstanceNotFound"):
        there.rds.start_db_instance_automated_backups_replication(
            SourceDBInstanceArn=f"arn:aws:rds:{HERE}:123456789012:db:none"
        )
    with pytest.raises(ClientError, match="InvalidDBInstanceState"):
        there.rds.stop_db_instance_automated_backups_replication(SourceDBInstanceArn=rig.row(bare)["DBInstanceArn"])


def test_a_snapshot_is_copied_to_another_region(rig: Rig, there: Rig, key: str) -> None:
    """The copy, under a key of its own Region, can be restored there after the original was deleted."""
    instance = rig.create(StorageEncrypted=True)
    rig.query(instance, "CREATE TABLE orders (id INT PRIMARY KEY)", "INSERT INTO orders VALUES (7)")
    original = rig.snapshot(instance)
    arn = rig.snapshot_row(original)["DBSnapshotArn"]
    with pytest.raises(ClientError, match="KMSKeyNotAccessibleFault"):
        there.rds.copy_db_snapshot(SourceDBSnapshotIdentifier=arn, TargetDBSnapshotIdentifier="copy")
    there.rds.copy_db_snapshot(
        SourceDBSnapshotIdentifier=arn, TargetDBSnapshotIdentifier="copy", KmsKeyId=key, SourceRegion=HERE
    )
    there.await_snapshot("copy")
    row = there.snapshot_row("copy")
    assert (row["SourceRegion"], row["SourceDBSnapshotIdentifier"], row["KmsKeyId"]) == (HERE, arn, key)
    assert row["SnapshotDatabaseTime"] == rig.snapshot_row(original)["SnapshotDatabaseTime"]
    rig.rds.delete_db_snapshot(DBSnapshotIdentifier=original)
    there.restore("copy", "restored")
    assert there.query("restored", "SELECT id FROM orders") == ((7,),)
    assert there.row("restored")["KmsKeyId"] == key
