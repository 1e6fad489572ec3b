"""AWS Backup of database instances through plain clients: the rows come back on a server of their own."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from pytest_envdr.sandbox.control_plane import backup, rds
from pytest_envdr.waiting import pause, wait_until
from tests.sandbox.control_plane.backup_rig import ROLE_ARN, VAULT, ended, prepare, refused, restore_ended
from tests.sandbox.control_plane.served import ACCOUNT, Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION, SOURCE = "ca-west-1", "shop-db"
ARN = f"arn:aws:rds:{REGION}:{ACCOUNT}:db:{SOURCE}"
PASSWORD = "correct horse"  # noqa: S105 (an example's)
FAST: dict[str, Any] = {"Delay": 0.1, "MaxAttempts": 600}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A database instance with rows, a vault and a role."""
    directory = tmp_path_factory.mktemp("backup-rds")
    modules = {"rds": rds, "backup": backup}
    with serving(directory, modules, region=REGION, network="127.228.0.0/16", speed=600) as served:
        prepare(served)
        served.client("rds").create_db_instance(
            DBInstanceIdentifier=SOURCE,
            Engine="mariadb",
            DBInstanceClass="db.t4g.micro",
            AllocatedStorage=20,
            DBName="shop",
            MasterUsername="owner",
            MasterUserPassword=PASSWORD,
            BackupRetentionPeriod=0,
            Tags=[{"Key": "environment", "Value": "prod"}],
        )
        await_available(served, SOURCE)
        query(served, SOURCE, "CREATE TABLE orders (id INT PRIMARY KEY)")
        yield served


def await_available(served: Served, identifier: str) -> None:
    waiter = served.client("rds").get_waiter("db_instance_available")
    waiter.wait(DBInstanceIdentifier=identifier, WaiterConfig=FAST)


def query(served: Served, identifier: str, statement: str) -> Any:
    [row] = served.client("rds").describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"]
    with (
        pymysql.connect(
            host=row["Endpoint"]["Address"],
            port=row["Endpoint"]["Port"],
            user="owner",
            password=PASSWORD,
            database="shop",
            autocommit=True,
            ssl_disabled=True,
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
        return cursor.fetchall()


def pid(served: Served, identifier: str) -> int | None:
    """The server's process; None before there is one."""
    rows = served.client("rds").describe_db_instances()["DBInstances"]
    [resource] = [row["DbiResourceId"] for row in rows if row["DBInstanceIdentifier"] == identifier] or ["none"]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if command[0].endswith(b"mariadbd") and resource.encode() in b" ".join(command):
            return int(process.name)
    return None


def started(served: Served, **more: Any) -> str:
    wanted = {"BackupVaultName": VAULT, "ResourceArn": ARN, "IamRoleArn": ROLE_ARN, **more}
    return str(served.client("backup").start_backup_job(**wanted)["BackupJobId"])


def restore(served: Served, point: str, **metadata: str) -> dict[str, Any]:
    job = served.client("backup").start_restore_job(RecoveryPointArn=point, IamRoleArn=ROLE_ARN, Metadata=metadata)
    return restore_ended(served, job["RestoreJobId"])


def drop(served: Served, identifier: str) -> None:
    client = served.client("rds")
    client.delete_db_instance(DBInstanceIdentifier=identifier, SkipFinalSnapshot=True)
    client.get_waiter("db_instance_deleted").wait(DBInstanceIdentifier=identifier, WaiterConfig=FAST)


def test_the_rows_of_the_backup_come_back(served: Served) -> None:
    """A restored instance has what was there when the point was made, nothing later, and is told what to be."""
    client = served.client("backup")
    query(served, SOURCE, "REPLACE INTO orders VALUES (1)")
    row = ended(served, started(served))
    assert (row["State"], row["MessageCategory"]) == ("COMPLETED", "SUCCESS")
    point = row["RecoveryPointArn"]
    assert point == f"arn:aws:rds:{REGION}:{ACCOUNT}:snapshot:awsbackup:job-{row['BackupJobId']}"
    query(served, SOURCE, "REPLACE INTO orders VALUES (2)")
    given = client.get_recovery_point_restore_metadata(BackupVaultName=VAULT, RecoveryPointArn=point)
    assert given["ResourceType"] == "RDS"
    assert given["RestoreMetadata"]["DBInstanceIdentifier"] == SOURCE
    overlay = given["RestoreMetadata"] | {"DBInstanceIdentifier": "restored-db", "DBInstanceClass": "db.t4g.small"}
    job = restore(served, point, **overlay)
    assert job["Status"] == "COMPLETED", job
    assert job["CreatedResourceArn"] == f"arn:aws:rds:{REGION}:{ACCOUNT}:db:restored-db"
    assert query(served, "restored-db", "SELECT id FROM orders") == ((1,),)
    [made] = served.client("rds").describe_db_instances(DBInstanceIdentifier="restored-db")["DBInstances"]
    assert made["DBInstanceClass"] == "db.t4g.small"
    drop(served, "restored-db")


def test_a_frozen_server_keeps_a_job_from_completing(served: Served) -> None:
    """DescribeBackupJob is acted out: while the server is frozen there is no recovery point, and later there is."""
    process, client = pid(served, SOURCE), served.client("backup")
    assert process
    os.kill(process, signal.SIGSTOP)
    try:
        wait_until(
            lambda: served.client("rds").describe_db_instances(DBInstanceIdentifier=SOURCE)["DBInstances"][0],
            lambda row: row["DBInstanceStatus"] == "rebooting",
            what="the frozen server noticed",
            deadline=60,
            longest_interval=0.05,
        )
        job = started(served)
    finally:
        if Path(f"/proc/{process}").exists():  # it may have been replaced
            os.kill(process, signal.SIGCONT)
    assert "RecoveryPointArn" not in client.describe_backup_job(BackupJobId=job)
    assert ended(served, job)["State"] == "COMPLETED"


def test_a_frozen_restore_does_not_complete(served: Served) -> None:
    """DescribeRestoreJob is acted out: a restored server that does not answer is no COMPLETED restore."""
    point = ended(served, started(served))["RecoveryPointArn"]
    job = served.client("backup").start_restore_job(
        RecoveryPointArn=point, IamRoleArn=ROLE_ARN, Metadata={"DBInstanceIdentifier": "frozen-db"}
    )["RestoreJobId"]
    process = wait_until(
        lambda: pid(served, "frozen-db"), what="the restored server's process", deadline=60, interval=0.02
    )
    assert process
    os.kill(process, signal.SIGSTOP)
    try:
        pause(1)
        assert served.client("backup").describe_restore_job(RestoreJobId=job)["Status"] in {"PENDING", "RUNNING"}
    finally:
        os.kill(process, signal.SIGCONT)
    assert restore_ended(served, job)["Status"] == "COMPLETED"
    assert query(served, "frozen-db", "SELECT 1") == ((1,),)
    drop(served, "frozen-db")


def test_what_rds_refuses_fails_the_restore(served: Served) -> None:
    """An identifier that is taken: FAILED with RDS's code. Bad metadata: refused at once."""
    point = ended(served, started(served))["RecoveryPointArn"]
    job = restore(served, point, DBInstanceIdentifier=SOURCE)
    assert job["Status"] == "FAILED"
    assert "DBInstanceAlreadyExists" in job["StatusMessage"]
    for wrong in (
        {},
        {"DBInstanceIdentifier": "a", "Colour": "red"},
        {"DBInstanceIdentifier": "a", "MultiAZ": "maybe"},
    ):
        with refused("InvalidParameterValueException"):
            restore(served, point, **wrong)


def test_a_deleted_point_takes_its_snapshot_with_it(served: Served) -> None:
    """Neither AWS Backup nor RDS knows it any more."""
    point = ended(served, started(served))["RecoveryPointArn"]
    served.client("backup").delete_recovery_point(BackupVaultName=VAULT, RecoveryPointArn=point)
    with refused("ResourceNotFoundException"):
        served.client("backup").describe_recovery_point(BackupVaultName=VAULT, RecoveryPointArn=point)
    snapshots = served.client("rds").describe_db_snapshots(SnapshotType="awsbackup")["DBSnapshots"]
    assert point not in {snapshot["DBSnapshotArn"] for snapshot in snapshots}


def test_an_instance_that_cannot_be_copied_lets_the_start_window_pass(served: Served) -> None:
    """While it is being created the job waits as CREATED, then is EXPIRED; nothing was copied."""
    point = ended(served, started(served))["RecoveryPointArn"]
    served.client("backup").start_restore_job(
        RecoveryPointArn=point, IamRoleArn=ROLE_ARN, Metadata={"DBInstanceIdentifier": "slow-db"}
    )
    process = wait_until(
        lambda: pid(served, "slow-db"), what="the restored server's process", deadline=60, interval=0.02
    )
    assert process
    os.kill(process, signal.SIGSTOP)
    try:
        job = started(served, ResourceArn=f"arn:aws:rds:{REGION}:{ACCOUNT}:db:slow-db", StartWindowMinutes=60)
        pause(1)
        assert served.client("backup").describe_backup_job(BackupJobId=job)["State"] == "CREATED"
        row = ended(served, job)
    finally:
        if Path(f"/proc/{process}").exists():  # RDS may have given it up
            os.kill(process, signal.SIGCONT)
    assert (row["State"], "RecoveryPointArn" in row) == ("EXPIRED", False)
    assert row["CompletionDate"] >= row["StartBy"]
    drop(served, "slow-db")


def test_an_rds_job_cannot_be_stopped(served: Served) -> None:
    """StopBackupJob is not for RDS."""
    job = started(served)
    with refused("InvalidRequestException"):
        served.client("backup").stop_backup_job(BackupJobId=job)
    assert ended(served, job)["State"] == "COMPLETED"
