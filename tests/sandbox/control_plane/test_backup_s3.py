"""AWS Backup of buckets through plain clients: what a recovery point holds is what comes back."""

from __future__ import annotations

import json
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.sandbox.control_plane import backup, s3
from pytest_envdr.waiting import wait_until
from tests.sandbox.control_plane.backup_rig import ROLE_ARN, VAULT, ended, prepare, refused, restore_ended
from tests.sandbox.control_plane.served import Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION = "ca-central-1"

_numbers = count(1)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("backup")
    with serving(directory, {"backup": backup, "s3": s3}, region=REGION, network="127.227.0.0/16", speed=100) as served:
        prepare(served)
        yield served


def bucket(served: Served, *, acls: bool = False, versioned: bool = True) -> str:
    """A bucket of the test's own."""
    name, s3 = f"backup-{next(_numbers)}", served.client("s3")
    ownership = {"ObjectOwnership": "ObjectWriter" if acls else "BucketOwnerEnforced"}
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION}, **ownership)
    if acls:
        s3.delete_public_access_block(Bucket=name)
    if versioned:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def started(served: Served, name: str, **more: Any) -> str:
    answer = served.client("backup").start_backup_job(
        BackupVaultName=VAULT, ResourceArn=f"arn:aws:s3:::{name}", IamRoleArn=ROLE_ARN, **more
    )
    return str(answer["BackupJobId"])


def point(served: Served, name: str, **more: Any) -> str:
    """The ARN of a new recovery point of a bucket."""
    row = ended(served, started(served, name, **more))
    assert row["State"] == "COMPLETED", row
    return str(row["RecoveryPointArn"])


def restored(served: Served, arn: str, destination: str, **metadata: str) -> dict[str, Any]:
    """A restore job that has ended."""
    job = served.client("backup").start_restore_job(
        RecoveryPointArn=arn, IamRoleArn=ROLE_ARN, Metadata={"DestinationBucketName": destination, **metadata}
    )["RestoreJobId"]
    return restore_ended(served, job)


def keys(served: Served, name: str) -> list[str]:
    return [row["Key"] for row in served.client("s3").list_objects_v2(Bucket=name).get("Contents", [])]


def body(served: Served, name: str, key: str) -> bytes:
    return bytes(served.client("s3").get_object(Bucket=name, Key=key)["Body"].read())


def test_a_job_goes_through_its_states_to_a_recovery_point(served: Served) -> None:
    """CREATED at first, COMPLETED with SUCCESS at last, and the vault, the resource and the job name one point."""
    name, client = bucket(served), served.client("backup")
    served.client("s3").put_object(Bucket=name, Key="a", Body=b"12345")
    job = started(served, name)
    assert client.describe_backup_job(BackupJobId=job)["State"] in {"CREATED", "PENDING"}
    row = ended(served, job)
    assert (row["State"], row["MessageCategory"], row["PercentDone"]) == ("COMPLETED", "SUCCESS", "100.0")
    assert row["BackupSizeInBytes"] == 5
    assert row["CreationDate"] < row["CompletionDate"]
    arn = row["RecoveryPointArn"]
    described = client.describe_recovery_point(BackupVaultName=VAULT, RecoveryPointArn=arn)
    assert (described["Status"], described["ResourceType"]) == ("COMPLETED", "S3")
    [listed] = client.list_recovery_points_by_resource(ResourceArn=f"arn:aws:s3:::{name}")["RecoveryPoints"]
    assert listed["RecoveryPointArn"] == arn
    rows = client.list_recovery_points_by_backup_vault(
        BackupVaultName=VAULT, ByResourceArn=f"arn:aws:s3:::{name}", ByCreatedBefore=row["CompletionDate"]
    )["RecoveryPoints"]
    assert [one["RecoveryPointArn"] for one in rows] == [arn]


def test_bytes_metadata_and_tags_come_back(served: Served) -> None:
    """After the original is gone, the restore's objects have its bytes, metadata and tags, in the STANDARD class."""
    name, target, s3 = bucket(served), bucket(served), served.client("s3")
    s3.put_object(
        Bucket=name,
        Key="Ordner/ä b%.txt",
        Body=b"bytes",
        Metadata={"owner": "acme"},
        ContentType="text/plain",
        Tagging="kind=invoice",
        StorageClass="STANDARD_IA",
    )
    arn = point(served, name)
    s3.delete_object(Bucket=name, Key="Ordner/ä b%.txt")
    job = restored(served, arn, target)
    assert job["Status"] == "COMPLETED"
    assert job["CreatedResourceArn"] == f"arn:aws:s3:::{target}"
    assert job["PercentDone"] == "100.00%"
    head = s3.head_object(Bucket=target, Key="Ordner/ä b%.txt")
    assert (head["Metadata"], head["ContentType"]) == ({"owner": "acme"}, "text/plain")
    assert head.get("StorageClass", "STANDARD") == "STANDARD"
    assert body(served, target, "Ordner/ä b%.txt") == b"bytes"
    tags = s3.get_object_tagging(Bucket=target, Key="Ordner/ä b%.txt")["TagSet"]
    assert tags == [{"Key": "kind", "Value": "invoice"}]


def test_checksums_come_back_and_encryption_is_chosen(served: Served) -> None:
    """The object's checksum is the one it had; EncryptionType says how the copy is encrypted, `original` as it was."""
    name, s3 = bucket(served), served.client("s3")
    s3.put_object(Bucket=name, Key="a", Body=b"bytes", ChecksumAlgorithm="SHA256", ServerSideEncryption="AES256")
    before = s3.head_object(Bucket=name, Key="a", ChecksumMode="ENABLED")
    arn, key = point(served, name), f"arn:aws:kms:{REGION}:123456789012:key/one"
    for encryption, more, expected in (
        ("original", {}, "AES256"),
        ("SSE-S3", {}, "AES256"),
        ("SSE-KMS", {"KMSKey": key}, "aws:kms"),
    ):
        target = bucket(served)
        assert restored(served, arn, target, EncryptionType=encryption, **more)["Status"] == "COMPLETED"
        head = s3.head_object(Bucket=target, Key="a", ChecksumMode="ENABLED")
        assert head["ServerSideEncryption"] == expected
        assert head["ChecksumSHA256"] == before["ChecksumSHA256"]
    for wrong in ({"EncryptionType": "SSE-KMS"}, {"EncryptionType": "rot13"}, {"RestoreTime": "2024-01-01T00:00:00Z"}):
        with refused("InvalidParameterValueException"):
            restored(served, arn, name, **wrong)


def test_only_the_latest_version_is_restored_and_a_delete_marker_counts_as_absent(served: Served) -> None:
    """Of three versions the last one comes back; an object that was deleted when the point was made does not."""
    name, target, s3 = bucket(served), bucket(served), served.client("s3")
    for text in (b"1", b"2", b"3"):
        s3.put_object(Bucket=name, Key="changed", Body=text)
    s3.put_object(Bucket=name, Key="deleted", Body=b"x")
    s3.delete_object(Bucket=name, Key="deleted")
    restored(served, point(served, name), target)
    assert keys(served, target) == ["changed"]
    assert body(served, target, "changed") == b"3"


def test_a_restore_merges_and_never_overwrites(served: Served) -> None:
    """Into the original: what is there stays as it is, what came later stays, what was deleted comes back."""
    name, s3 = bucket(served), served.client("s3")
    for key in ("kept", "lost"):
        s3.put_object(Bucket=name, Key=key, Body=b"before")
    arn = point(served, name)
    s3.put_object(Bucket=name, Key="kept", Body=b"after")
    s3.put_object(Bucket=name, Key="later", Body=b"later")
    s3.delete_object(Bucket=name, Key="lost")
    assert restored(served, arn, name)["Status"] == "COMPLETED"
    found = {key: body(served, name, key) for key in keys(served, name)}
    assert found == {"kept": b"after", "later": b"later", "lost": b"before"}


def test_an_earlier_point_is_not_changed_by_a_later_one(served: Served) -> None:
    """Two points of one bucket share bytes, yet each restores its own moment, and outlives the other."""
    name, s3, client = bucket(served), served.client("s3"), served.client("backup")
    s3.put_object(Bucket=name, Key="a", Body=b"old")
    first = point(served, name)
    s3.put_object(Bucket=name, Key="a", Body=b"new")
    second = point(served, name)
    client.delete_recovery_point(BackupVaultName=VAULT, RecoveryPointArn=first)
    with refused("ResourceNotFoundException"):
        client.describe_recovery_point(BackupVaultName=VAULT, RecoveryPointArn=first)
    restored(served, second, f"{name}-copy", NewBucket="true")
    assert body(served, f"{name}-copy", "a") == b"new"


def test_item_level_restores_take_at_most_five(served: Served) -> None:
    """The named objects come back; six are refused; one that the point does not hold fails alone."""
    name, target, s3 = bucket(served), bucket(served), served.client("s3")
    for key in ("a", "b", "c"):
        s3.put_object(Bucket=name, Key=key, Body=key.encode())
    arn = point(served, name)
    items = json.dumps([f"s3://{name}/a", f"s3://{name}/none"])
    assert restored(served, arn, target, ItemsToRestore=items)["Status"] == "COMPLETED"
    assert keys(served, target) == ["a"]
    with refused("InvalidParameterValueException"):
        restored(served, arn, target, ItemsToRestore=json.dumps(list("abcdef")))


def test_a_backup_with_acls_needs_a_destination_with_acls(served: Served) -> None:
    """Into a bucket without ACLs the job fails; without ACLs in the backup it does not."""
    name, without, s3 = bucket(served, acls=True), bucket(served), served.client("s3")
    s3.put_object(Bucket=name, Key="a", Body=b"a", ACL="public-read")
    job = restored(served, point(served, name), without)
    assert job["Status"] == "FAILED"
    assert "ACL" in job["StatusMessage"]
    assert keys(served, without) == []
    plain = point(served, name, BackupOptions={"BackupACLs": "disabled", "BackupObjectTags": "disabled"})
    assert restored(served, plain, without)["Status"] == "COMPLETED"
    assert keys(served, without) == ["a"]


def test_public_objects_are_silently_left_out_where_public_access_is_blocked(served: Served) -> None:
    """The job completes, the public object is not there, the private one is."""
    name, target, s3 = bucket(served, acls=True), bucket(served, acls=True), served.client("s3")
    s3.put_object(Bucket=name, Key="private", Body=b"a")
    s3.put_object(Bucket=name, Key="public", Body=b"a", ACL="public-read")
    blocked = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
    s3.put_public_access_block(Bucket=target, PublicAccessBlockConfiguration=blocked)
    assert restored(served, point(served, name), target)["Status"] == "COMPLETED"
    assert keys(served, target) == ["private"]


def test_what_cannot_be_backed_up_is_refused_or_fails(served: Served) -> None:
    """No such bucket, vault, role or kind: refused. Without versioning, or deleted meanwhile: the job FAILS."""
    name, client = bucket(served), served.client("backup")
    good = {"BackupVaultName": VAULT, "ResourceArn": f"arn:aws:s3:::{name}", "IamRoleArn": ROLE_ARN}
    for code, wrong in (
        ("ResourceNotFoundException", {"ResourceArn": "arn:aws:s3:::nowhere"}),
        ("ResourceNotFoundException", {"BackupVaultName": "nowhere"}),
        ("InvalidParameterValueException", {"ResourceArn": "arn:aws:sqs:eu-west-1:1:queue"}),
        ("InvalidParameterValueException", {"IamRoleArn": f"{ROLE_ARN}-of-another"}),
    ):
        with refused(code):
            client.start_backup_job(**good | wrong)
    unversioned = ended(served, started(served, bucket(served, versioned=False)))
    assert (unversioned["State"], "RecoveryPointArn" in unversioned) == ("FAILED", False)
    assert unversioned["MessageCategory"] != "SUCCESS"
    assert "versioning" in unversioned["StatusMessage"]
    job = started(served, name)
    served.client("s3").delete_bucket(Bucket=name)
    assert ended(served, job)["State"] == "FAILED"


def test_archived_objects_make_a_job_complete_with_issues(served: Served) -> None:
    """COMPLETED, but not SUCCESS, with a message that names the object; the others are in the point."""
    name, s3 = bucket(served), served.client("s3")
    s3.put_object(Bucket=name, Key="warm", Body=b"a")
    s3.put_object(Bucket=name, Key="cold", Body=b"a", StorageClass="GLACIER")
    row = ended(served, started(served, name))
    assert (row["State"], row["MessageCategory"] != "SUCCESS") == ("COMPLETED", True)
    assert "cold" in row["StatusMessage"]
    jobs = served.client("backup").list_backup_jobs(ByState="COMPLETED", ByMessageCategory="SUCCESS")["BackupJobs"]
    assert row["BackupJobId"] not in {job["BackupJobId"] for job in jobs}


def test_tokens_make_requests_idempotent(served: Served) -> None:
    """The same token gives the same job, and makes no second one."""
    name, client = bucket(served), served.client("backup")
    job = started(served, name, IdempotencyToken="once")
    assert started(served, name, IdempotencyToken="once") == job
    arn = f"arn:aws:s3:::{name}"
    assert len(client.list_backup_jobs(ByResourceArn=arn)["BackupJobs"]) == 1
    wanted = {"RecoveryPointArn": ended(served, job)["RecoveryPointArn"], "IamRoleArn": ROLE_ARN}
    metadata = {"DestinationBucketName": name}
    restores = {
        client.start_restore_job(**wanted, Metadata=metadata, IdempotencyToken="twice")["RestoreJobId"]
        for _ in range(2)
    }
    assert len(restores) == 1


def test_a_job_can_be_stopped(served: Served) -> None:
    """ABORTED, and without a recovery point."""
    job = started(served, bucket(served))
    served.client("backup").stop_backup_job(BackupJobId=job)
    row = ended(served, job)
    assert (row["State"], "RecoveryPointArn" in row) == ("ABORTED", False)


def test_lists_are_paged_and_filtered(served: Served) -> None:
    """Every page together is everything, once; states and times filter."""
    name, client = bucket(served), served.client("backup")
    jobs = [started(served, name) for _ in range(3)]
    rows = [ended(served, job) for job in jobs]
    arn = f"arn:aws:s3:::{name}"
    pages = client.get_paginator("list_backup_jobs").paginate(ByResourceArn=arn, PaginationConfig={"PageSize": 2})
    assert sorted(row["BackupJobId"] for one in pages for row in one["BackupJobs"]) == sorted(jobs)
    middle = sorted(row["CreationDate"] for row in rows)[1]
    after = client.list_backup_jobs(ByResourceArn=arn, ByCreatedAfter=middle)["BackupJobs"]
    assert all(row["CreationDate"] > middle for row in after)
    assert len(after) < 3
    assert client.list_backup_jobs(ByResourceArn=arn, ByState="FAILED")["BackupJobs"] == []


def test_restore_metadata_can_be_overlaid(served: Served) -> None:
    """What GetRecoveryPointRestoreMetadata gives, with another bucket, is a restore's metadata."""
    name, client = bucket(served), served.client("backup")
    served.client("s3").put_object(Bucket=name, Key="a", Body=b"a")
    arn = point(served, name)
    given = client.get_recovery_point_restore_metadata(BackupVaultName=VAULT, RecoveryPointArn=arn)
    assert given["ResourceType"] == "S3"
    overlay = given["RestoreMetadata"] | {"DestinationBucketName": f"{name}-new", "NewBucket": "true"}
    job = client.start_restore_job(RecoveryPointArn=arn, IamRoleArn=ROLE_ARN, Metadata=overlay, ResourceType="S3")
    row = restore_ended(served, job["RestoreJobId"])
    assert keys(served, f"{name}-new") == ["a"]
    client.put_restore_validation_result(
        RestoreJobId=row["RestoreJobId"], ValidationStatus="SUCCESSFUL", ValidationStatusMessage="all equal"
    )
    shown = client.describe_restore_job(RestoreJobId=row["RestoreJobId"])
    assert (shown["ValidationStatus"], shown["ValidationStatusMessage"]) == ("SUCCESSFUL", "all equal")


def test_the_cli_understands_the_answers(served: Served) -> None:
    """Jobs, points and restores as Debian's AWS CLI prints them."""
    name = bucket(served)
    served.client("s3").put_object(Bucket=name, Key="a", Body=b"a")
    arn = point(served, name)
    named = ("--backup-vault-name", VAULT, "--recovery-point-arn", arn)
    assert served.cli_json("backup", "describe-recovery-point", *named)["Status"] == "COMPLETED"
    jobs = served.cli_json("backup", "list-backup-jobs", "--by-resource-arn", f"arn:aws:s3:::{name}")["BackupJobs"]
    assert [job["State"] for job in jobs] == ["COMPLETED"]
    metadata = json.dumps({"DestinationBucketName": f"{name}-cli", "NewBucket": "true"})
    restore = ("--recovery-point-arn", arn, "--iam-role-arn", ROLE_ARN, "--metadata", metadata)
    job = served.cli_json("backup", "start-restore-job", *restore)["RestoreJobId"]
    wait_until(
        lambda: served.cli_json("backup", "describe-restore-job", "--restore-job-id", job)["Status"],
        lambda status: status == "COMPLETED",
        what="the restore",
        deadline=60,
    )
    assert served.cli("s3", "cp", f"s3://{name}-cli/a", "-") == "a"
