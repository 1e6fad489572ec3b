"""Each assertion of Control Plane Loss can fail: one thing is broken, and the findings say so."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.timeline import Mark
from pytest_envdr.verify.state import Lock
from tests.drills.state_rig import KEY, TABLE, Ran, Rig, rigged, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_envdr.stack import Stack

FOREIGN = (
    b'{"version": 4, "terraform_version": "1.11.4", "serial": 9, "lineage": "theirs", "outputs": {}, "resources": []}'
)
MONTH = {"NoncurrentVersionExpiration": {"NoncurrentDays": 30}}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """S3 and DynamoDB, for this module."""
    with rigged(tmp_path_factory.mktemp("broken-states"), region="eu-north-1", network="127.236.0.0/16") as rig:
        yield rig


@pytest.fixture(scope="module")
def stack(rig: Rig) -> Stack:
    """A stack that was applied twice."""
    return rig.founded()


@pytest.fixture(scope="module")
def recovered(rig: Rig, stack: Stack) -> Iterator[Ran]:
    """The state, lost and recovered, once: what a test then breaks, a check must see."""
    with rig.lost(stack) as ran:
        ran.lost.wait_until_seen()
        ran.lost.recover()
        yield ran


@contextmanager
def broken(rig: Rig, recovered: Ran) -> Iterator[Ran]:
    """The recovered state, told to a drill of its own; checked after what is done to it, which is then mended."""
    drill = rig.drill()
    told = Ran(drill, replace(recovered.lost, _drill=drill))
    known = {one["VersionId"] for one in versions(rig, recovered)}
    yield told
    told.seen["checked"] = told.lost.check()
    row = recovered.lost.place.row
    for one in versions(rig, recovered):
        if one["VersionId"] not in known:
            rig.s3.delete_object(Bucket=row.bucket, Key=row.object_key, VersionId=one["VersionId"])


def verified(ran: Ran) -> bool:
    """Whether the drill says so: of one that is red there is no recovery time."""
    return Mark.VERIFIED in [entry.data["name"] for entry in ran.drill.entries if entry.kind == "mark"]


def versions(rig: Rig, ran: Ran) -> list[Any]:
    """The state's versions where it was lost, the newest first."""
    row = ran.lost.place.row
    listed = rig.s3.list_object_versions(Bucket=row.bucket, Prefix=row.object_key)["Versions"]
    found = [one for one in listed if one["Key"] == row.object_key]
    return sorted(found, key=lambda one: not one["IsLatest"])


def put(rig: Rig, ran: Ran, body: bytes) -> None:
    """Something else in the recovered state's place."""
    row = ran.lost.place.row
    rig.s3.put_object(Bucket=row.bucket, Key=row.object_key, Body=body)


def body_of(rig: Rig, ran: Ran, version: str = "") -> bytes:
    """The recovered state's bytes, or those of another version."""
    row = ran.lost.place.row
    which = {"VersionId": version} if version else {}
    return bytes(rig.s3.get_object(Bucket=row.bucket, Key=row.object_key, **which)["Body"].read())


def test_nothing_broken(rig: Rig, recovered: Ran) -> None:
    """What follows is red by what it breaks: as it was recovered, the state is green."""
    with broken(rig, recovered) as ran:
        pass
    assert ran.failures == []
    assert verified(ran)


def test_the_wrong_version_restored(rig: Rig, recovered: Ran) -> None:
    """An older one: its serial, the resource that it does not know, what Terraform would do, and how much is lost."""
    with broken(rig, recovered) as ran:
        bodies = [body_of(rig, ran, one["VersionId"]) for one in versions(rig, ran)]
        put(rig, ran, next(body for body in bodies if json.loads(body)["serial"] < ran.lost.known.state.serial))
    assert ran.failures == ["state.changes", "state.serial", "state.missing", "state.rpo"]
    assert "terraform_data.one[1]: create" in ran.findings["state.changes"]
    assert ran.drill.recovery_points[0].lost == 1
    assert not verified(ran)


def test_another_lineage_restored(rig: Rig, recovered: Ran) -> None:
    """Its lineage is named, and all that Terraform would make once more."""
    with broken(rig, recovered) as ran:
        put(rig, ran, FOREIGN)
    assert ran.failures[:2] == ["state.changes", "state.lineage"]
    assert set(ran.failures) == {"state.changes", "state.lineage", "state.missing"}
    assert not verified(ran)


def test_content_changed_under_the_same_serial(rig: Rig, recovered: Ran) -> None:
    """Somebody edited it by hand: same lineage, same serial, other bytes."""
    with broken(rig, recovered) as ran:
        put(rig, ran, body_of(rig, ran) + b"\n")
    assert ran.failures == ["state.content"]
    assert not verified(ran)


def test_no_state_restored(rig: Rig, recovered: Ran) -> None:
    """Half a state is none."""
    with broken(rig, recovered) as ran:
        put(rig, ran, FOREIGN[:40])
    assert ran.failures == ["state.unreadable", "state.rpo"]
    assert not verified(ran)


def test_the_good_version_is_gone(rig: Rig, stack: Stack) -> None:
    """It has expired: what is left is older, and what was applied since is lost, which the recovery point says."""
    with rig.lost(stack) as ran:
        row = ran.lost.place.row
        newest = max(versions(rig, ran), key=lambda one: (one["LastModified"], one["Size"]))
        rig.s3.delete_object(Bucket=row.bucket, Key=row.object_key, VersionId=newest["VersionId"])
        whole(ran)
    assert {"state.serial", "state.missing", "state.changes", "state.rpo"} == set(ran.failures)
    assert ran.drill.rpa_seconds
    assert "1 serials lost" in ran.findings["state.rpo"]


def test_no_version_will_do(rig: Rig, stack: Stack) -> None:
    """All are gone: nothing is restored, nothing is forced, and nothing is verified."""
    with rig.lost(stack, loss="truncated") as ran:
        row = ran.lost.place.row
        for one in versions(rig, ran)[1:]:
            rig.s3.delete_object(Bucket=row.bucket, Key=row.object_key, VersionId=one["VersionId"])
        whole(ran)
    assert ran.seen["restored"] is None
    assert ran.failures == ["state.no-version", "state.unreadable", "state.rpo"]
    assert ran.drill.rpa_seconds is None


def taken(rig: Rig, ran: Ran) -> None:
    """Somebody's lock on the state, whoever had it before."""
    row = ran.lost.place.row
    held = Lock("theirs", "OperationTypeApply", "ada@ci", "2026-11-29T12:00:00Z")
    rig.s3.put_object(Bucket=row.bucket, Key=row.lock_key, Body=held.text())


def given_back(rig: Rig, ran: Ran) -> str:
    """Whose lock it is; then it is released."""
    row = ran.lost.place.row
    held = rig.s3.get_object(Bucket=row.bucket, Key=row.lock_key)["Body"].read().decode()
    rig.s3.delete_object(Bucket=row.bucket, Key=row.lock_key)
    return str(Lock.parse(held))


def test_a_lock_that_somebody_took_since(rig: Rig, recovered: Ran) -> None:
    """After the recovery nobody can plan: the lock's holder is named."""
    with broken(rig, recovered) as ran:
        taken(rig, ran)
    assert "lock theirs of ada@ci" in given_back(rig, ran)
    assert ran.failures == ["state.locked", "state.no-plan"]
    assert "lock theirs of ada@ci" in ran.findings["state.locked"]
    assert not verified(ran)


def test_another_lock_than_the_stale_one(rig: Rig, stack: Stack) -> None:
    """Somebody released the stale lock and took it: theirs is not released, whatever the drill waits for."""
    with rig.lost(stack, loss="locked") as ran:
        taken(rig, ran)
        ran.lost.recover()
        ran.lost.check()
        assert "lock theirs of ada@ci" in given_back(rig, ran)
    assert ran.failures == ["state.lock", "state.locked", "state.no-plan"]


@pytest.mark.sweep
def test_a_digest_left_stale(rig: Rig) -> None:
    """Terraform refuses the recovered state until the digest is that of its bytes."""
    stack = rig.founded(lock="table")
    with rig.lost(stack, loss="foreign") as ran:
        ran.lost.recover()
        key = {"LockID": {"S": f"{ran.lost.place.path}-md5"}}
        rig.dynamodb.put_item(TableName=TABLE, Item={**key, "Digest": {"S": "0" * 32}})
        ran.lost.check()
    assert ran.failures == ["state.digest", "state.refused"]
    assert not verified(ran)


def test_a_table_that_has_no_digest(rig: Rig) -> None:
    """Then a loss is as silent as without a table, which that stack's owner does not expect: it is a failure."""
    stack = rig.founded(lock="table")
    assert stack.terraform is not None
    key = {"LockID": {"S": f"{stack.terraform.bucket}/{KEY}-md5"}}
    rig.dynamodb.delete_item(TableName=TABLE, Key=key)
    with rig.lost(stack) as ran:
        ran.lost.wait_until_seen()
    assert ran.failures == ["state.detection"]
    assert "was to say checksum" in ran.findings["state.detection"]


def encrypted(rig: Rig, bucket: str) -> None:
    """A bucket whose key is about to be deleted."""
    kms = rig.served.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    rig.s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)


def lifecycle(rule: dict[str, Any]) -> Callable[[Rig, str], Any]:
    """A bucket with a rule."""
    given = {"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": ""}} | rule

    def put(rig: Rig, bucket: str) -> None:
        rig.s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [given]})

    return put


BUCKETS: dict[str, tuple[Callable[[Rig, str], Any], list[str]]] = {
    "versions expire too soon": (lifecycle(MONTH), ["state.expiry"]),
    "under the state's prefix": (lifecycle({**MONTH, "Filter": {"Prefix": "prod/"}}), ["state.expiry"]),
    "under another prefix": (lifecycle({**MONTH, "Filter": {"Prefix": "logs/"}}), []),
    "not in force": (lifecycle({**MONTH, "Status": "Disabled"}), []),
    "late enough": (lifecycle({"NoncurrentVersionExpiration": {"NoncurrentDays": 365}}), []),
    "the state itself expires": (lifecycle({"Expiration": {"Days": 30}}), ["state.expires"]),
    "versions are archived": (
        lifecycle({"NoncurrentVersionTransitions": [{"NoncurrentDays": 30, "StorageClass": "GLACIER"}]}),
        ["state.cold"],
    ),
    "a key about to be deleted": (encrypted, ["state.key"]),
}


@pytest.mark.parametrize("case", BUCKETS)
def test_whether_the_bucket_could_give_it_back_next_time(rig: Rig, stack: Stack, case: str) -> None:
    """What would keep a state from being recovered by the next exercise fails this one."""
    from pytest_envdr.drills import state_bucket  # noqa: PLC0415 (for this one test)

    put_up, expected = BUCKETS[case]
    assert stack.terraform is not None
    bucket = rig.bucket()
    rig.s3.put_object(Bucket=bucket, Key=KEY, Body=b"{}")
    put_up(rig, bucket)
    row = stack.terraform.model_copy(update={"bucket": bucket})
    with rig.hands(stack) as (aws, _):
        found = state_bucket.check_recoverable(aws, row)
    assert [finding.id for finding in found if finding.severity == "failure"] == expected


def test_a_bucket_alone_is_a_finding(recovered: Ran) -> None:
    """Neither replicated nor locked: whoever may delete versions may delete them all. A warning, and no more."""
    assert "state.alone" in recovered.findings
    assert recovered.failures == []


def test_noncurrent_expiry_fails_the_drill(rig: Rig, stack: Stack) -> None:
    """A recovery that went well is red all the same where the next one would not."""
    assert stack.terraform is not None
    lifecycle(MONTH)(rig, stack.terraform.bucket)
    with rig.lost(stack) as ran:
        whole(ran)
    rig.s3.delete_bucket_lifecycle(Bucket=stack.terraform.bucket)
    assert ran.failures == ["state.expiry"]
    assert "30 days" in ran.findings["state.expiry"]
    assert ran.drill.actuals.rta_seconds is None
