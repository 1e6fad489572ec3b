"""Copies to a vault of another Region: what is restored there needs neither the original nor what it was made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.sandbox.control_plane import backup, rds, s3
from pytest_envdr.waiting import wait_until
from tests.sandbox.control_plane.backup_rig import ROLE_ARN, VAULT, ended, prepare, refused, restore_ended
from tests.sandbox.control_plane.rds_rig import Rig
from tests.sandbox.control_plane.served import ACCOUNT, Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE, THERE = "eu-west-1", "eu-central-1"
DESTINATION = f"arn:aws:backup:{THERE}:{ACCOUNT}:backup-vault:{VAULT}"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A vault in each Region, the other one's under a key of its own."""
    directory, modules = tmp_path_factory.mktemp("copies"), {"rds": rds, "backup": backup, "s3": s3}
    with serving(
        directory, modules, region=HERE, network="127.243.0.0/16", speed=600, beside=(THERE, "127.244.0.0/16")
    ) as served:
        assert served.beside is not None
        served.world.cache = served.beside.world.cache = directory / "cache"
        prepare(served)
        key = served.beside.client("kms").create_key()["KeyMetadata"]["Arn"]
        served.beside.client("backup").create_backup_vault(BackupVaultName=VAULT, EncryptionKeyArn=key)
        yield served


@pytest.fixture(scope="module")
def there(served: Served) -> Served:
    assert served.beside is not None
    return served.beside


def back_up(served: Served, arn: str) -> str:
    """The ARN of a new recovery point of a resource."""
    job = served.client("backup").start_backup_job(BackupVaultName=VAULT, ResourceArn=arn, IamRoleArn=ROLE_ARN)
    row = ended(served, job["BackupJobId"])
    assert row["State"] == "COMPLETED", row
    return str(row["RecoveryPointArn"])


def order(served: Served, point: str, **more: Any) -> str:
    """A copy job's id."""
    wanted = {"SourceBackupVaultName": VAULT, "DestinationBackupVaultArn": DESTINATION, "IamRoleArn": ROLE_ARN}
    return str(served.client("backup").start_copy_job(RecoveryPointArn=point, **(wanted | more))["CopyJobId"])


def copied(served: Served, job: str) -> dict[str, Any]:
    """A copy job that has ended."""
    client = served.client("backup")
    return dict(
        wait_until(
            lambda: client.describe_copy_job(CopyJobId=job)["CopyJob"],
            lambda row: row["State"] in {"COMPLETED", "FAILED"},
            what=f"copy job {job} ended",
            deadline=60,
        )
    )


def restore(served: Served, point: str, **metadata: str) -> dict[str, Any]:
    """Restore a recovery point as its own metadata say, but for some."""
    client = served.client("backup")
    kept = client.get_recovery_point_restore_metadata(BackupVaultName=VAULT, RecoveryPointArn=point)["RestoreMetadata"]
    job = client.start_restore_job(RecoveryPointArn=point, IamRoleArn=ROLE_ARN, Metadata=kept | metadata)
    row = restore_ended(served, job["RestoreJobId"])
    assert row["Status"] == "COMPLETED", row
    return row


def test_a_database_is_restored_from_a_copy(served: Served, there: Served) -> None:
    """The copy is a snapshot there, under a key of the Region; it is restored after the original was deleted."""
    here = Rig(served)
    here.create("shop", StorageEncrypted=True)
    here.query("shop", "CREATE TABLE orders (id INT PRIMARY KEY)", "INSERT INTO orders VALUES (9)")
    original = back_up(served, here.row("shop")["DBInstanceArn"])
    row = copied(served, order(served, original))
    assert (row["State"], row["MessageCategory"], row["ResourceType"]) == ("COMPLETED", "SUCCESS", "RDS")
    copy = row["DestinationRecoveryPointArn"]
    assert copy.startswith(f"arn:aws:rds:{THERE}:{ACCOUNT}:snapshot:awsbackup:copyjob-")
    shown = there.client("backup").describe_recovery_point(BackupVaultName=VAULT, RecoveryPointArn=copy)
    assert shown["SourceBackupVaultArn"] == f"arn:aws:backup:{HERE}:{ACCOUNT}:backup-vault:{VAULT}"
    assert shown["InitiationDate"] < shown["CreationDate"]
    served.client("backup").delete_recovery_point(BackupVaultName=VAULT, RecoveryPointArn=original)
    here.delete("shop")
    restore(there, copy, DBInstanceIdentifier="again")
    elsewhere = Rig(there)
    assert elsewhere.query("again", "SELECT id FROM orders") == ((9,),)
    assert elsewhere.row("again")["KmsKeyId"].split(":")[3] == THERE


def test_a_bucket_is_restored_from_a_copy(served: Served, there: Served) -> None:
    """Its objects come back in the other Region after the original recovery point was deleted."""
    client = served.client("s3")
    client.create_bucket(Bucket="papers", CreateBucketConfiguration={"LocationConstraint": HERE})
    client.put_bucket_versioning(Bucket="papers", VersioningConfiguration={"Status": "Enabled"})
    client.put_object(Bucket="papers", Key="k", Body=b"kept", Metadata={"a": "b"})
    original = back_up(served, "arn:aws:s3:::papers")
    copy = copied(served, order(served, original))["DestinationRecoveryPointArn"]
    served.client("backup").delete_recovery_point(BackupVaultName=VAULT, RecoveryPointArn=original)
    restore(there, copy, DestinationBucketName="papers-again", NewBucket="true")
    assert there.client("s3").get_bucket_location(Bucket="papers-again")["LocationConstraint"] == THERE
    found = there.client("s3").get_object(Bucket="papers-again", Key="k")
    assert (found["Body"].read(), found["Metadata"]) == (b"kept", {"a": "b"})


def test_a_plan_copies_what_it_backs_up(served: Served) -> None:
    """A rule's copy action follows each backup that it makes, with the action's own lifecycle."""
    client = served.client("s3")
    client.create_bucket(Bucket="planned", CreateBucketConfiguration={"LocationConstraint": HERE})
    client.put_bucket_versioning(Bucket="planned", VersioningConfiguration={"Status": "Enabled"})
    rule = {
        "RuleName": "minutely",
        "TargetBackupVaultName": VAULT,
        "ScheduleExpression": "cron(* * ? * * *)",
        "CopyActions": [{"DestinationBackupVaultArn": DESTINATION, "Lifecycle": {"DeleteAfterDays": 35}}],
    }
    planner = served.client("backup")
    plan = planner.create_backup_plan(BackupPlan={"BackupPlanName": "p", "Rules": [rule]})["BackupPlanId"]
    planner.create_backup_selection(
        BackupPlanId=plan,
        BackupSelection={"SelectionName": "s", "IamRoleArn": ROLE_ARN, "Resources": ["arn:aws:s3:::planned"]},
    )
    rows = wait_until(
        lambda: planner.list_copy_jobs(ByResourceArn="arn:aws:s3:::planned", ByState="COMPLETED")["CopyJobs"],
        what="a copy that the plan made",
        deadline=60,
    )
    assert rows[0]["CreatedBy"]["BackupPlanId"] == plan
    assert rows[0]["DestinationRecoveryPointLifecycle"] == {"DeleteAfterDays": 35}
    [selection] = planner.list_backup_selections(BackupPlanId=plan)["BackupSelectionsList"]
    planner.delete_backup_selection(BackupPlanId=plan, SelectionId=selection["SelectionId"])
    planner.delete_backup_plan(BackupPlanId=plan)


def test_a_copy_to_a_vault_that_is_gone_fails(served: Served, there: Served) -> None:
    """The job says why, and nothing comes to be in the destination; what cannot be ordered is refused."""
    client = served.client("s3")
    client.create_bucket(Bucket="stays", CreateBucketConfiguration={"LocationConstraint": HERE})
    client.put_bucket_versioning(Bucket="stays", VersioningConfiguration={"Status": "Enabled"})
    point = back_up(served, "arn:aws:s3:::stays")
    with refused("ResourceNotFoundException"):
        order(served, point, DestinationBackupVaultArn=DESTINATION + "-none")
    with refused("ResourceNotFoundException"):
        order(served, f"{point}-none")
    with refused("InvalidParameterValueException"):
        order(served, point, DestinationBackupVaultArn="vault")
    for nowhere in (DESTINATION.replace(THERE, "us-east-1"), DESTINATION.replace(ACCOUNT, "210987654321")):
        with refused("NotImplementedInSandbox"):
            order(served, point, DestinationBackupVaultArn=nowhere)
    spare = f"{VAULT}-spare"
    there.client("backup").create_backup_vault(BackupVaultName=spare)
    job = order(served, point, DestinationBackupVaultArn=f"{DESTINATION}-spare")
    there.client("backup").delete_backup_vault(BackupVaultName=spare)
    row = copied(served, job)
    assert (row["State"], row["StatusMessage"]) == ("FAILED", f"Backup vault {DESTINATION}-spare does not exist.")
    points = there.client("backup").list_recovery_points_by_resource(ResourceArn="arn:aws:s3:::stays")
    assert points["RecoveryPoints"] == []
