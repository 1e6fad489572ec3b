"""Buckets replicated to another Region: what is written after the rule is there too, and the rest is not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from pytest_envdr.sandbox.control_plane import s3
from pytest_envdr.waiting import wait_until
from tests.sandbox.control_plane import s3_rig
from tests.sandbox.control_plane.served import ACCOUNT, Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE, THERE = "eu-west-1", "eu-central-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/replicator"
TRUST = {"Version": "2012-10-17", "Statement": []}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("crr")
    with serving(
        directory, {"s3": s3}, region=HERE, network="127.32.0.0/16", speed=600, beside=(THERE, "127.246.0.0/16")
    ) as served:
        served.client("iam").create_role(RoleName="replicator", AssumeRolePolicyDocument=json.dumps(TRUST))
        yield served


@pytest.fixture(scope="module")
def here(served: Served) -> Any:
    return served.client("s3")


@pytest.fixture(scope="module")
def there(served: Served) -> Any:
    assert served.beside is not None
    return served.beside.client("s3")


def pair(here: Any, there: Any) -> tuple[str, str]:
    """Two versioned buckets, one in each Region."""
    return s3_rig.make(here, versioning="Enabled"), s3_rig.make(there, versioning="Enabled")


def replicate(here: Any, source: str, *destinations: str, role: str = ROLE, **more: Any) -> None:
    """Replicate all of a bucket, or what the rule's further members say."""
    rules = [
        {
            "Priority": number,
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "DeleteMarkerReplication": {"Status": "Disabled"},
            "Destination": {"Bucket": f"arn:aws:s3:::{destination}"},
            **more,
        }
        for number, destination in enumerate(destinations)
    ]
    here.put_bucket_replication(Bucket=source, ReplicationConfiguration={"Role": role, "Rules": rules})


def await_status(client: Any, bucket: str, key: str, status: str) -> None:
    wait_until(
        lambda: client.head_object(Bucket=bucket, Key=key).get("ReplicationStatus"),
        lambda seen: seen == status,
        what=f"{key} {status}",
        deadline=30,
    )


def test_what_is_written_afterwards_is_replicated(here: Any, there: Any) -> None:
    """Bytes, metadata, tags, class and version id are the same there; what was there before the rule is not."""
    source, target = pair(here, there)
    s3_rig.put(here, source, "before")
    replicate(here, source, target)
    version = s3_rig.put(
        here, source, "k", b"bytes", Metadata={"a": "b"}, Tagging="t=1", ContentType="text/csv", CacheControl="no-store"
    )
    # It is on its way from the start; a slow machine may look when it has arrived.
    assert here.head_object(Bucket=source, Key="k")["ReplicationStatus"] in {"PENDING", "COMPLETED"}
    await_status(here, source, "k", "COMPLETED")
    found = there.get_object(Bucket=target, Key="k")
    original = here.get_object(Bucket=source, Key="k")
    assert found["Body"].read() == b"bytes"
    assert found["ReplicationStatus"] == "REPLICA"
    for name in ("VersionId", "ETag", "LastModified", "Metadata", "ContentType", "CacheControl", "TagCount"):
        assert found[name] == original[name]
    assert found["VersionId"] == version
    assert [row["Key"] for row in there.list_objects_v2(Bucket=target)["Contents"]] == ["k"]
    assert "ReplicationStatus" not in here.head_object(Bucket=source, Key="before")


def test_deletions_are_not_replicated_unless_asked(here: Any, there: Any) -> None:
    """A delete marker goes along only where the rule says so; the deletion of a version never does."""
    source, target = pair(here, there)
    replicate(here, source, target)
    version = s3_rig.put(here, source, "k")
    await_status(here, source, "k", "COMPLETED")
    here.delete_object(Bucket=source, Key="k")
    here.delete_object(Bucket=source, Key="k", VersionId=version)
    s3_rig.put(here, source, "later")
    await_status(here, source, "later", "COMPLETED")
    assert there.head_object(Bucket=target, Key="k")["VersionId"] == version
    replicate(here, source, target, DeleteMarkerReplication={"Status": "Enabled"})
    marker = here.delete_object(Bucket=source, Key="later")["VersionId"]
    markers = wait_until(
        lambda: there.list_object_versions(Bucket=target).get("DeleteMarkers", []), what="the marker", deadline=30
    )
    assert [(row["Key"], row["VersionId"]) for row in markers] == [("later", marker)]


def test_only_what_a_rule_is_for_is_replicated(here: Any, there: Any) -> None:
    """Prefix and tags decide; replicas are not replicated further."""
    source, target = pair(here, there)
    last = s3_rig.make(here, versioning="Enabled")
    replicate(there, target, last)
    wanted = {"And": {"Prefix": "in/", "Tags": [{"Key": "copy", "Value": "yes"}]}}
    replicate(here, source, target, Filter=wanted, Destination={"Bucket": f"arn:aws:s3:::{target}"})
    s3_rig.put(here, source, "out/k", Tagging="copy=yes")
    s3_rig.put(here, source, "in/no")
    s3_rig.put(here, source, "in/k", Tagging="copy=yes")
    await_status(here, source, "in/k", "COMPLETED")
    assert [row["Key"] for row in there.list_objects_v2(Bucket=target)["Contents"]] == ["in/k"]
    s3_rig.put(there, target, "own")
    await_status(there, target, "own", "COMPLETED")
    assert [row["Key"] for row in here.list_objects_v2(Bucket=last)["Contents"]] == ["own"]


def test_what_cannot_be_replicated_has_failed(here: Any, there: Any) -> None:
    """Without its role, or with a destination that is no longer versioned, an object is FAILED and not there."""
    source, target = pair(here, there)
    replicate(here, source, target, role=f"{ROLE}-none")
    s3_rig.put(here, source, "a")
    await_status(here, source, "a", "FAILED")
    replicate(here, source, target)
    there.put_bucket_versioning(Bucket=target, VersioningConfiguration={"Status": "Suspended"})
    s3_rig.put(here, source, "b")
    await_status(here, source, "b", "FAILED")
    assert "Contents" not in there.list_objects_v2(Bucket=target)


def test_a_configuration_comes_back_as_it_was_put(here: Any, there: Any) -> None:
    """With its filter, priority, delete markers and storage class; a bucket without one says so."""
    source, target = pair(here, there)
    rule = {
        "ID": "all",
        "Priority": 7,
        "Status": "Disabled",
        "Filter": {"Prefix": "p/"},
        "DeleteMarkerReplication": {"Status": "Enabled"},
        "Destination": {"Bucket": f"arn:aws:s3:::{target}", "StorageClass": "STANDARD_IA"},
    }
    configuration = {"Role": ROLE, "Rules": [rule]}
    here.put_bucket_replication(Bucket=source, ReplicationConfiguration=configuration)
    assert here.get_bucket_replication(Bucket=source)["ReplicationConfiguration"] == configuration
    here.delete_bucket_replication(Bucket=source)
    code = "ReplicationConfigurationNotFoundError"
    assert s3_rig.refused(here.get_bucket_replication, Bucket=source) == (404, code)


def test_a_configuration_that_cannot_hold_is_refused(here: Any, there: Any) -> None:
    """Both buckets are there and versioned; another account's is not implemented."""
    source, target = pair(here, there)
    plain = s3_rig.make(here)
    for bucket, destination in ((plain, target), (source, plain), (source, "no-such-bucket"), (source, source)):
        with pytest.raises(ClientError, match="InvalidRequest"):
            replicate(here, bucket, destination)
    with pytest.raises(ClientError, match="NotImplementedInSandbox"):
        replicate(here, source, target, Destination={"Bucket": f"arn:aws:s3:::{target}", "Account": "210987654321"})
