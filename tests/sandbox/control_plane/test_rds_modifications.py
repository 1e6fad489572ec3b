"""ModifyDBInstance: what takes effect at once, what is pending, and what a modification takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from pytest_envdr.sandbox.control_plane import rds
from pytest_envdr.waiting import wait_until
from tests.sandbox.control_plane.rds_rig import Rig
from tests.sandbox.control_plane.served import serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    directory = tmp_path_factory.mktemp("rds")
    with serving(directory, {"rds": rds}, region="eu-west-2", network="127.223.0.0/16", speed=50) as served:
        served.world.cache = directory / "cache"
        yield Rig(served)


def modify(rig: Rig, instance: str, **wanted: Any) -> dict[str, Any]:
    return dict(rig.rds.modify_db_instance(DBInstanceIdentifier=instance, **wanted)["DBInstance"])


def await_class(rig: Rig, instance: str, wanted: str) -> None:
    wait_until(lambda: rig.row(instance)["DBInstanceClass"], lambda seen: seen == wanted, what=wanted, deadline=30)


def test_what_is_not_applied_immediately_is_pending(rig: Rig) -> None:
    """The class stays until ApplyImmediately; then the instance is still available, then modifying, then changed."""
    instance = rig.create()
    row = modify(rig, instance, DBInstanceClass="db.r6g.large")
    assert row["PendingModifiedValues"] == {"DBInstanceClass": "db.r6g.large"}
    assert (row["DBInstanceStatus"], row["DBInstanceClass"]) == ("available", "db.t4g.micro")
    row = modify(rig, instance, AllocatedStorage=30, ApplyImmediately=True)
    assert row["PendingModifiedValues"] == {"DBInstanceClass": "db.r6g.large", "AllocatedStorage": 30}
    assert row["DBInstanceStatus"] == "available"
    rig.await_status(instance, "modifying")
    await_class(rig, instance, "db.r6g.large")
    rig.await_available(instance)
    row = rig.row(instance)
    assert (row["AllocatedStorage"], row["PendingModifiedValues"]) == (30, {})
    assert "Finished applying modification to DB instance class" in rig.messages(instance)


def test_some_settings_take_effect_at_once(rig: Rig) -> None:
    """Protection, backup window and security groups do not wait, whatever ApplyImmediately says."""
    instance, group = rig.create(), rig.row(rig.create())["VpcSecurityGroups"]
    row = modify(
        rig,
        instance,
        DeletionProtection=True,
        PreferredBackupWindow="01:00-01:30",
        VpcSecurityGroupIds=[group[0]["VpcSecurityGroupId"]],
        ApplyImmediately=False,
    )
    assert (row["DeletionProtection"], row["PreferredBackupWindow"]) == (True, "01:00-01:30")
    assert row["PendingModifiedValues"] == {}


def test_backups_begin_with_the_retention_period_and_end_with_it(rig: Rig) -> None:
    """0 to 7: a backup at once, restorable to its time. 7 to 3: at once. Back to 0: nothing of it is left."""
    instance = rig.create()
    assert modify(rig, instance, BackupRetentionPeriod=7)["BackupRetentionPeriod"] == 0
    modify(rig, instance, BackupRetentionPeriod=7, ApplyImmediately=True)
    rig.await_status(instance, "backing-up")
    rig.await_available(instance)
    [snapshot] = rig.automated(instance)
    assert snapshot["DBSnapshotIdentifier"].startswith(f"rds:{instance}-20")
    assert rig.row(instance)["LatestRestorableTime"] >= snapshot["SnapshotDatabaseTime"]
    assert modify(rig, instance, BackupRetentionPeriod=3)["BackupRetentionPeriod"] == 3
    modify(rig, instance, BackupRetentionPeriod=0, ApplyImmediately=True)
    wait_until(lambda: rig.automated(instance), lambda rows: not rows, what="no automated snapshot", deadline=30)
    assert "LatestRestorableTime" not in rig.row(instance)
    assert {"Enabled automated backups", "Disabled automated backups"} <= set(rig.messages(instance))


def test_an_instance_can_be_renamed(rig: Rig) -> None:
    """It keeps its resource id, its rows and its address; the old name is free for another."""
    instance, new = rig.create(), rig.name("renamed")
    rig.query(instance, "CREATE TABLE orders (id INT PRIMARY KEY)", "INSERT INTO orders VALUES (1)")
    before = rig.row(instance)
    modify(rig, instance, NewDBInstanceIdentifier=new, ApplyImmediately=True)
    rig.await_status(instance, "renaming")
    rig.served.client("rds").get_waiter("db_instance_deleted").wait(
        DBInstanceIdentifier=instance, WaiterConfig={"Delay": 0.1, "MaxAttempts": 300}
    )
    after = rig.row(new)
    assert (after["DbiResourceId"], after["Endpoint"]) == (before["DbiResourceId"], before["Endpoint"])
    assert rig.query(new, "SELECT id FROM orders") == ((1,),)
    rig.create(instance)
    assert rig.query(instance, "SHOW TABLES") == ()


def test_what_rds_would_refuse_is_refused(rig: Rig) -> None:
    """AWS's codes for a name that is taken, less storage, groups that there are not, and an instance that is not up."""
    instance, other = rig.create(), rig.create()
    refusals: dict[str, dict[str, Any]] = {
        "DBInstanceAlreadyExists": {"NewDBInstanceIdentifier": other},
        "InvalidParameterCombination": {"AllocatedStorage": 5},
        "InvalidParameterValue": {"BackupRetentionPeriod": 36},
        "DBParameterGroupNotFound": {"DBParameterGroupName": "missing"},
        "DBInstanceNotFound": {"DBInstanceIdentifier": "missing"},
        "StorageQuotaExceeded": {"AllocatedStorage": 1_000_000},
    }
    for code, wanted in refusals.items():
        with pytest.raises(ClientError) as refused:
            rig.rds.modify_db_instance(**{"DBInstanceIdentifier": instance, **wanted})
        assert refused.value.response["Error"]["Code"] == code
    rig.rds.reboot_db_instance(DBInstanceIdentifier=instance)
    with pytest.raises(ClientError, match="InvalidDBInstanceState"):
        modify(rig, instance, DeletionProtection=True)
    rig.await_available(instance)
