"""Each assertion of Tenant Bucket Recovery can fail: one thing is broken, and that finding and no other turns red."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.drills import bucket_checks
from pytest_envdr.stack import Objective
from tests.drills.bucket_rig import PLAIN, Ran, Rig, rigged, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY, RARE = PLAIN[1], "rare.csv"
TOLD = {"Metadata": {"edition": "2"}, "ContentType": "text/x-test", "CacheControl": "no-store"}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """S3 and AWS Backup, for this module."""
    with rigged(tmp_path_factory.mktemp("broken-buckets"), region="eu-south-1", network="127.232.0.0/16") as rig:
        yield rig


@pytest.fixture(scope="module")
def recovered(rig: Rig) -> Iterator[Ran]:
    """A bucket that was emptied and recovered beside, nothing checked yet. A test breaks the copy, and mends it."""
    with rig.copied(rig.bucket(odd=False), damage="emptied") as ran:
        assert ran.copy is not None
        ran.copy.recover()
        yield ran


def checked(rig: Rig, ran: Ran) -> Ran:
    """The check of the copy, told to a drill of its own."""
    told, copy = Ran(rig.drill()), ran.copy
    assert copy is not None
    assert copy.staging is not None
    with rig.hands() as (aws, _):
        told.seen["checked"] = bucket_checks.check_staging(aws, told.drill, copy.before, copy.staging, fault=copy.fault)
    return told


def object_broken(act: Callable[[Any, str], Any]) -> Any:
    """Something done to an object; mended by the deletion of the versions and markers that it made."""

    @contextmanager
    def breaking(s3: Any, bucket: str) -> Iterator[None]:
        def rows() -> set[tuple[str, str]]:
            found = s3.list_object_versions(Bucket=bucket)
            return {(row["Key"], row["VersionId"]) for row in found["Versions"] + found.get("DeleteMarkers", [])}

        before = rows()
        act(s3, bucket)
        yield
        for key, version in rows() - before:
            s3.delete_object(Bucket=bucket, Key=key, VersionId=version)

    return breaking


def copied_onto_itself(s3: Any, bucket: str, key: str, **changed: Any) -> None:
    """As it is, but for what is changed."""
    s3.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": key}, **changed)


def tags_lost() -> Any:
    @contextmanager
    def breaking(s3: Any, bucket: str) -> Iterator[None]:
        tags = s3.get_object_tagging(Bucket=bucket, Key=KEY)["TagSet"]
        s3.delete_object_tagging(Bucket=bucket, Key=KEY)
        yield
        s3.put_object_tagging(Bucket=bucket, Key=KEY, Tagging={"TagSet": tags})

    return breaking


def aspect_broken(read: str, lost: str, put: str, **blank: Any) -> Any:
    """A part of the configuration that is not there; put back as it was read."""

    @contextmanager
    def breaking(s3: Any, bucket: str) -> Iterator[None]:
        before = getattr(s3, read)(Bucket=bucket)
        before.pop("ResponseMetadata")
        getattr(s3, lost)(Bucket=bucket, **blank)
        yield
        taken = {
            "put_bucket_cors": {"CORSConfiguration": before},
            "put_bucket_lifecycle_configuration": {"LifecycleConfiguration": {"Rules": before.get("Rules")}},
            "put_bucket_notification_configuration": {"NotificationConfiguration": before},
            "put_bucket_versioning": {"VersioningConfiguration": {"Status": before.get("Status")}},
        }
        getattr(s3, put)(Bucket=bucket, **taken.get(put, before))

    return breaking


def changed_byte(s3: Any, bucket: str) -> None:
    body = bytearray(s3.get_object(Bucket=bucket, Key=KEY)["Body"].read())
    body[0] ^= 1
    s3.put_object(Bucket=bucket, Key=KEY, Body=bytes(body), Tagging="edition=2", **TOLD)


def metadata_lost(s3: Any, bucket: str) -> None:
    kept = {name: value for name, value in TOLD.items() if name != "Metadata"}
    copied_onto_itself(s3, bucket, KEY, MetadataDirective="REPLACE", **kept)


def header_lost(s3: Any, bucket: str) -> None:
    kept = {name: value for name, value in TOLD.items() if name != "CacheControl"}
    copied_onto_itself(s3, bucket, KEY, MetadataDirective="REPLACE", **kept)


BREAKS = {
    "a byte": ("bucket.content", object_broken(changed_byte)),
    "an object": ("bucket.missing", object_broken(lambda s3, bucket: s3.delete_object(Bucket=bucket, Key=KEY))),
    "a stranger": ("bucket.extra", object_broken(lambda s3, bucket: s3.put_object(Bucket=bucket, Key="x", Body=b"x"))),
    "tags": ("bucket.tags", tags_lost()),
    "metadata": ("bucket.metadata", object_broken(metadata_lost)),
    "a header": ("bucket.metadata", object_broken(header_lost)),
    "the storage class": (
        "bucket.storage-class",
        object_broken(lambda s3, bucket: copied_onto_itself(s3, bucket, RARE, StorageClass="STANDARD")),
    ),
    "the encryption": (
        "bucket.encryption",
        object_broken(
            lambda s3, bucket: copied_onto_itself(
                s3, bucket, RARE, StorageClass="STANDARD_IA", ServerSideEncryption="aws:kms"
            )
        ),
    ),
    "the policy": (
        "bucket.configuration",
        aspect_broken("get_bucket_policy", "delete_bucket_policy", "put_bucket_policy"),
    ),
    "public access": (
        "bucket.configuration",
        aspect_broken("get_public_access_block", "delete_public_access_block", "put_public_access_block"),
    ),
    "cors": ("bucket.configuration", aspect_broken("get_bucket_cors", "delete_bucket_cors", "put_bucket_cors")),
    "the lifecycle": (
        "bucket.configuration",
        aspect_broken(
            "get_bucket_lifecycle_configuration", "delete_bucket_lifecycle", "put_bucket_lifecycle_configuration"
        ),
    ),
    "notifications": (
        "bucket.configuration",
        aspect_broken(
            "get_bucket_notification_configuration",
            "put_bucket_notification_configuration",
            "put_bucket_notification_configuration",
            NotificationConfiguration={},
        ),
    ),
    "versioning": (
        "bucket.configuration",
        aspect_broken(
            "get_bucket_versioning",
            "put_bucket_versioning",
            "put_bucket_versioning",
            VersioningConfiguration={"Status": "Suspended"},
        ),
    ),
}
"""What is broken -> the finding that must tell it, and how."""


def test_nothing_is_broken(rig: Rig, recovered: Ran) -> None:
    """What is well is green, and what could not be kept is listed from the comparison: ids, times, the older versions;
    of the configuration, the tags."""
    told = checked(rig, recovered)
    assert told.failures == []
    kinds = {row[0] for row in told.table("What could not be kept")}
    assert kinds == {"version id", "LastModified", "versions", "configuration: tags"}


@pytest.mark.parametrize("broken", BREAKS)
def test_broken(rig: Rig, recovered: Ran, broken: str) -> None:
    """One thing of the copy is broken: its finding is red, and no other is."""
    assert recovered.copy is not None
    assert recovered.copy.staging is not None
    finding, breaking = BREAKS[broken]
    with breaking(rig.s3, recovered.copy.staging.bucket):
        told = checked(rig, recovered)
    assert told.failures == [finding]
    assert len({row[0] for row in told.table("Differences")}) == 1


def test_a_stale_recovery_point(rig: Rig) -> None:
    """A recovery point older than the RPO for its source is red, though all objects are there; nothing else is."""
    bucket = rig.bucket(odd=False)
    rig.backed_up(bucket)
    stale = Objective(rto_seconds=120, rpo_seconds=3600, rpo_seconds_from={"backup": 0.0})
    with rig.copied(bucket, source="backup", objective=stale) as ran:
        whole(ran)
    assert ran.failures == ["bucket.rpo"]


def test_what_was_written_after_the_recovery_point_is_lost_and_listed(rig: Rig) -> None:
    """Objects written, written over and deleted after the backup: counted as lost, listed, and no failure; the merge
    leaves alone what is newer and undamaged."""
    bucket = rig.bucket(odd=False)
    rig.backed_up(bucket)
    rig.put(bucket, "new.txt", "1")
    rig.put(bucket, PLAIN[0], "3")
    rig.s3.delete_object(Bucket=bucket, Key=PLAIN[5])
    before = rig.versions(bucket)
    with rig.copied(bucket, damage="overwritten", source="backup") as ran:
        whole(ran)
        assert ran.copy is not None
        checked = ran.seen["checked"]
    assert ran.failures == []
    assert {row.key for row in checked.lost} == {"new.txt", PLAIN[0], PLAIN[5]}
    assert ran.drill.recovery_points[0].lost == 2
    assert PLAIN[5] in ran.plan.keys("skip")
    assert rig.versions(bucket) == before


def test_a_merge_of_something_else(rig: Rig) -> None:
    """The proof of a merge is the original itself: a copy that changed after it was checked turns it red; what somebody
    writes elsewhere meanwhile does not."""
    bucket = rig.bucket(odd=False)
    with rig.copied(bucket) as ran:
        copy = ran.copy
        assert copy is not None
        copy.wait_until_seen()
        staging = copy.recover()
        copy.check()
        (damaged, *_), unharmed = sorted(copy.damage), sorted(set(copy.before.objects) - set(copy.damage))
        rig.put(staging.bucket, damaged, "9")
        copy.plan()
        theirs = rig.put(bucket, unharmed[0], "9")
        merge = copy.merge()
    assert merge is not None
    assert ran.failures == ["bucket.merge"]
    assert {row.key for row in merge.differences} == {damaged}
    assert theirs in {row[1] for row in rig.versions(bucket)}


def test_what_is_not_verified_has_no_rta(rig: Rig) -> None:
    """Without verified recovery there is no RTA: a copy that is not as it was marks nothing as verified."""
    bucket = rig.bucket(odd=False)
    with rig.copied(bucket) as ran:
        copy = ran.copy
        assert copy is not None
        copy.wait_until_seen()
        staging = copy.recover()
        rig.s3.delete_object(Bucket=staging.bucket, Key=PLAIN[0])
        copy.check()
        assert ran.drill.since("verified") == 0.0
    assert ran.drill.actuals.rta_seconds is None
