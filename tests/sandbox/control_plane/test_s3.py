"""S3 through a plain client: buckets, versions, order, owners, and what S3 refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from pytest_envdr.sandbox.control_plane import s3
from tests.sandbox.control_plane.s3_rig import make, put, refused
from tests.sandbox.control_plane.served import ACCOUNT, Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION = "eu-south-2"
OTHER = "999999999999"
ODD = ["100% + tax (Steuer) 封筒.csv", "a b/c+d?e=f&g#h", "line\nbreak", "ünïcode/🎉", "trailing/", "<&>\"'"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("s3")
    with serving(directory, {"s3": s3}, region=REGION, network="127.230.0.0/16", speed=1000) as served:
        yield served


@pytest.fixture
def client(served: Served) -> Any:
    return served.client("s3")


@pytest.fixture
def bucket(client: Any) -> str:
    return make(client)


@pytest.fixture
def versioned(client: Any) -> str:
    return make(client, versioning="Enabled")


# A bucket made today


def test_a_new_bucket_has_todays_defaults(client: Any, bucket: str) -> None:
    """Encrypted with AES256, closed to the public, without ACLs; its objects say so; its Region is listed."""
    [rule] = client.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert rule["BucketKeyEnabled"] is False
    controls = client.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]
    assert controls == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    closed = client.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert set(closed.values()) == {True}
    put(client, bucket, "key")
    assert client.head_object(Bucket=bucket, Key="key")["ServerSideEncryption"] == "AES256"
    rows = client.list_buckets(Prefix=bucket)["Buckets"]
    assert (bucket, REGION) in [(row["Name"], row["BucketRegion"]) for row in rows]


def test_buckets_are_listed_page_by_page(client: Any) -> None:
    """MaxBuckets and the token lead through all of them, once each."""
    names = {make(client) for _ in range(3)}
    pages = list(client.get_paginator("list_buckets").paginate(PaginationConfig={"PageSize": 2}))
    found = [row["Name"] for page in pages for row in page["Buckets"]]
    assert len(pages) > 1
    assert names <= set(found)
    assert len(found) == len(set(found))


def test_the_eventbridge_flag_is_told(client: Any, bucket: str) -> None:
    """It is on when it was put, alone and beside a queue, and gone with an empty configuration."""
    assert "EventBridgeConfiguration" not in client.get_bucket_notification_configuration(Bucket=bucket)
    for more in (
        {},
        {"QueueConfigurations": [{"QueueArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q", "Events": ["s3:ObjectCreated:*"]}]},
    ):
        wanted: Any = {"EventBridgeConfiguration": {}, **more}
        client.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration=wanted, SkipDestinationValidation=True
        )
        told = client.get_bucket_notification_configuration(Bucket=bucket)
        assert told["EventBridgeConfiguration"] == {}
        assert len(told.get("QueueConfigurations", [])) == len(more)
    client.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    assert "EventBridgeConfiguration" not in client.get_bucket_notification_configuration(Bucket=bucket)


def test_without_acls_every_acl_is_refused(client: Any, bucket: str) -> None:
    """BucketOwnerEnforced: no ACL of object or bucket, but the one that changes nothing; with ACLs they are taken."""
    code = (400, "AccessControlListNotSupported")
    assert refused(client.put_object, Bucket=bucket, Key="k", Body=b"", ACL="public-read") == code
    assert refused(client.put_bucket_acl, Bucket=bucket, ACL="private") == code
    put(client, bucket, "k", ACL="bucket-owner-full-control")
    assert refused(client.put_object_acl, Bucket=bucket, Key="k", ACL="private") == code
    client.put_object_acl(Bucket=bucket, Key="k", ACL="bucket-owner-full-control")
    wanted = (400, "InvalidBucketAclWithObjectOwnership")
    assert refused(client.create_bucket, Bucket="never-made", ACL="public-read") == wanted
    old = make(client, ObjectOwnership="ObjectWriter")
    put(client, old, "k", ACL="public-read")
    assert len(client.get_object_acl(Bucket=old, Key="k")["Grants"]) == 2


# Versions


def test_versions_come_newest_first_and_one_is_the_latest(client: Any, versioned: str) -> None:
    """Versions put within one millisecond are still in their order."""
    ids = [put(client, versioned, "key", str(number).encode()) for number in range(5)]
    rows = client.list_object_versions(Bucket=versioned)["Versions"]
    assert [row["VersionId"] for row in rows] == ids[::-1]
    assert [row["IsLatest"] for row in rows] == [True, False, False, False, False]
    assert client.get_object(Bucket=versioned, Key="key", VersionId=ids[1])["Body"].read() == b"1"


def test_a_delete_marker_hides_an_object_and_says_so(client: Any, versioned: str) -> None:
    """GET and HEAD: 404 with x-amz-delete-marker; by the marker's own version 405; without the marker all is back."""
    put(client, versioned, "key", b"content")
    marker = client.delete_object(Bucket=versioned, Key="key")
    assert marker["DeleteMarker"] is True
    for call, code in ((client.get_object, "NoSuchKey"), (client.head_object, "404")):
        with pytest.raises(ClientError) as caught:
            call(Bucket=versioned, Key="key")
        assert caught.value.response["Error"]["Code"] == code
        headers: Any = caught.value.response["ResponseMetadata"]["HTTPHeaders"]
        assert (headers["x-amz-delete-marker"], headers["x-amz-version-id"]) == ("true", marker["VersionId"])
        assert refused(call, Bucket=versioned, Key="key", VersionId=marker["VersionId"])[0] == 405
    assert "Contents" not in client.list_objects_v2(Bucket=versioned)
    gone = client.delete_object(Bucket=versioned, Key="key", VersionId=marker["VersionId"])
    assert gone["DeleteMarker"] is True
    assert client.get_object(Bucket=versioned, Key="key")["Body"].read() == b"content"


def test_what_never_was_is_deleted_as_well(client: Any, versioned: str) -> None:
    """DeleteObject of a key without any version leaves a delete marker; of an unknown version, nothing."""
    client.delete_object(Bucket=versioned, Key="never")
    [marker] = client.list_object_versions(Bucket=versioned)["DeleteMarkers"]
    assert (marker["Key"], marker["IsLatest"]) == ("never", True)
    client.delete_object(Bucket=versioned, Key="never", VersionId="0123456789abcdef0123456789abcdef")
    assert len(client.list_object_versions(Bucket=versioned)["DeleteMarkers"]) == 1
    assert refused(client.get_object, Bucket=versioned, Key="key", VersionId="no") == (404, "NoSuchVersion")


def test_suspended_versioning_keeps_the_versions_there_are(client: Any, versioned: str) -> None:
    """New objects take the place of the version `null` only; so does the delete marker."""
    old = put(client, versioned, "key", b"old")
    client.put_bucket_versioning(Bucket=versioned, VersioningConfiguration={"Status": "Suspended"})
    for body in (b"first", b"second"):
        assert put(client, versioned, "key", body) == "null"
    rows = client.list_object_versions(Bucket=versioned)["Versions"]
    assert [row["VersionId"] for row in rows] == ["null", old]
    assert client.head_object(Bucket=versioned, Key="key", VersionId=old)["ContentLength"] == 3
    client.delete_object(Bucket=versioned, Key="key")
    answer = client.list_object_versions(Bucket=versioned)
    assert [row["VersionId"] for row in answer["Versions"]] == [old]
    assert [row["VersionId"] for row in answer["DeleteMarkers"]] == ["null"]


def test_many_are_deleted_and_each_failure_is_told_within_a_200(client: Any, versioned: str) -> None:
    """What a policy denies is an error of its key alone; Quiet tells only those; 1,001 keys are too many."""
    for key in ("free", "held", "quiet"):
        put(client, versioned, key)
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:DeleteObject",
        "Resource": f"arn:aws:s3:::{versioned}/held",
    }
    client.put_bucket_policy(Bucket=versioned, Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    wanted: Any = {"Objects": [{"Key": "free"}, {"Key": "held"}]}
    answer = client.delete_objects(Bucket=versioned, Delete=wanted)
    assert [(row["Key"], row["Code"]) for row in answer["Errors"]] == [("held", "AccessDenied")]
    [deleted] = answer["Deleted"]
    assert (deleted["Key"], deleted["DeleteMarker"]) == ("free", True)
    quiet = client.delete_objects(Bucket=versioned, Delete={"Objects": [{"Key": "quiet"}], "Quiet": True})
    assert "Deleted" not in quiet
    many: Any = {"Objects": [{"Key": str(number)} for number in range(1001)]}
    assert refused(client.delete_objects, Bucket=versioned, Delete=many) == (400, "MalformedXML")


# Lists


def test_odd_keys_are_listed_as_they_are(client: Any, versioned: str) -> None:
    """Spaces, percent, plus, newline, Unicode and mark-up come back unchanged from all three lists."""
    for key in ODD:
        put(client, versioned, key, key.encode())
    wanted = sorted(ODD)
    assert [row["Key"] for row in client.list_objects_v2(Bucket=versioned)["Contents"]] == wanted
    assert [row["Key"] for row in client.list_objects(Bucket=versioned)["Contents"]] == wanted
    assert [row["Key"] for row in client.list_object_versions(Bucket=versioned)["Versions"]] == wanted
    for key in ODD:
        assert client.get_object(Bucket=versioned, Key=key)["Body"].read().decode() == key
    raw = client.list_objects_v2(Bucket=versioned, EncodingType="url")["Contents"]
    assert "line%0Abreak" in [row["Key"] for row in raw]


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize("delimiter", ["", "/"])
def test_pages_hold_everything_once(client: Any, versioned: str, size: int, delimiter: str) -> None:
    """However small the pages, and rolled up or not, each key, version and common prefix comes exactly once."""
    keys = ["a", "a/", "a/1", "a/2", "b", "b/1/x", "c/1"]
    for key in keys:
        put(client, versioned, key)
        put(client, versioned, key)
    client.delete_object(Bucket=versioned, Key="c/1")
    more: Any = {"Bucket": versioned, "PaginationConfig": {"PageSize": size}} | (
        {"Delimiter": delimiter} if delimiter else {}
    )
    pages = list(client.get_paginator("list_objects_v2").paginate(**more))
    found = [row["Key"] for page in pages for row in page.get("Contents", [])]
    folders = [row["Prefix"] for page in pages for row in page.get("CommonPrefixes", [])]
    assert (found, folders) == ((["a", "b"], ["a/", "b/"]) if delimiter else (keys[:-1], []))
    pages = list(client.get_paginator("list_object_versions").paginate(**more))
    seen = [row["Key"] for page in pages for row in page.get("Versions", [])]
    assert seen == [key for key in (("a", "b") if delimiter else keys) for _ in range(2)]
    folders = [row["Prefix"] for page in pages for row in page.get("CommonPrefixes", [])]
    assert folders == (["a/", "b/", "c/"] if delimiter else [])
    markers = [row["Key"] for page in pages for row in page.get("DeleteMarkers", [])]
    assert markers == ([] if delimiter else ["c/1"])
    inside = client.list_objects_v2(Bucket=versioned, Prefix="a/", Delimiter="/", MaxKeys=1)
    rest = client.list_objects_v2(
        Bucket=versioned, Prefix="a/", Delimiter="/", ContinuationToken=inside["NextContinuationToken"]
    )
    assert [row["Key"] for row in inside["Contents"] + rest["Contents"]] == ["a/", "a/1", "a/2"]


def test_a_token_that_is_none_is_refused(client: Any, bucket: str) -> None:
    """InvalidArgument, for a token that no page gave and for a version without its key."""
    code = (400, "InvalidArgument")
    assert refused(client.list_objects_v2, Bucket=bucket, ContinuationToken="%%%") == code
    assert refused(client.list_object_versions, Bucket=bucket, VersionIdMarker="x") == code


# Owners and policies


def stranger(served: Served) -> Any:
    """A client of another account."""
    client = served.client("s3")
    client.meta.events.register(
        "before-sign.s3.*", lambda request, **_: request.headers.add_header("x-moto-account-id", OTHER)
    )
    return client


def test_another_accounts_bucket_is_forbidden(served: Served, client: Any) -> None:
    """403 for whatever is asked of it, as if it were there and not yours; what its policy allows is allowed."""
    theirs = make(stranger(served))
    put(stranger(served), theirs, "key", b"theirs")
    assert refused(client.head_bucket, Bucket=theirs)[0] == 403
    for call, more in (
        (client.list_objects_v2, {}),
        (client.get_bucket_policy, {}),
        (client.get_object, {"Key": "key"}),
        (client.put_object, {"Key": "key", "Body": b"mine"}),
        (client.delete_bucket, {}),
    ):
        assert refused(call, Bucket=theirs, **more) == (403, "AccessDenied")
    mine = make(client)
    copy: Any = {"Bucket": theirs, "Key": "key"}
    assert refused(client.copy_object, Bucket=mine, Key="k", CopySource=copy) == (403, "AccessDenied")
    allow = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{theirs}/*",
    }
    stranger(served).put_bucket_policy(
        Bucket=theirs, Policy=json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    )
    assert client.get_object(Bucket=theirs, Key="key")["Body"].read() == b"theirs"
    client.copy_object(Bucket=mine, Key="k", CopySource=copy)
    assert refused(client.delete_object, Bucket=theirs, Key="key") == (403, "AccessDenied")


def test_an_owner_that_is_not_the_expected_one_is_refused(client: Any, bucket: str) -> None:
    """ExpectedBucketOwner, of the bucket and of a copy's source; the right one passes."""
    put(client, bucket, "key")
    code = (403, "AccessDenied")
    assert refused(client.get_object, Bucket=bucket, Key="key", ExpectedBucketOwner=OTHER) == code
    assert refused(client.list_objects_v2, Bucket=bucket, ExpectedBucketOwner=OTHER) == code
    copy: Any = {"Bucket": bucket, "Key": "copy", "CopySource": {"Bucket": bucket, "Key": "key"}}
    assert refused(client.copy_object, **copy, ExpectedSourceBucketOwner=OTHER) == code
    client.copy_object(**copy, ExpectedBucketOwner=ACCOUNT, ExpectedSourceBucketOwner=ACCOUNT)


@pytest.mark.parametrize(
    ("condition", "passes"),
    [
        ({}, False),
        ({"Bool": {"aws:SecureTransport": "false"}}, False),
        ({"Bool": {"aws:SecureTransport": True}}, True),
        ({"Bool": {"aws:SecureTransport": "false"}, "NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, True),
        ({"StringNotEquals": {"s3:x-amz-server-side-encryption": "AES256"}}, False),
        ({"StringEquals": {"s3:x-amz-storage-class": "GLACIER"}}, True),
        ({"Null": {"aws:PrincipalTag/team": "true"}}, False),
    ],
)
def test_a_policys_conditions_count(client: Any, bucket: str, condition: Any, passes: bool) -> None:  # noqa: FBT001
    """A Deny holds if all of its conditions do; the owner can always take the policy away."""
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket}*"} | (
        {"Condition": condition} if condition else {}
    )
    client.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    if passes:
        put(client, bucket, "key")
    else:
        assert refused(client.put_object, Bucket=bucket, Key="key", Body=b"") == (403, "AccessDenied")
    client.delete_bucket_policy(Bucket=bucket)
    put(client, bucket, "key")


def test_policies_that_s3_refuses(client: Any, bucket: str) -> None:
    """No JSON; another bucket's name in it; allowing something to everybody while public policies are blocked."""

    def policy(resource: str) -> str:
        allow = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{resource}/*",
        }
        return json.dumps({"Version": "2012-10-17", "Statement": [allow]})

    put_policy = client.put_bucket_policy
    assert refused(put_policy, Bucket=bucket, Policy="{") == (400, "MalformedPolicy")
    assert refused(put_policy, Bucket=bucket, Policy=policy("another")) == (400, "MalformedPolicy")
    assert refused(put_policy, Bucket=bucket, Policy=policy(bucket)) == (403, "AccessDenied")
    client.delete_public_access_block(Bucket=bucket)
    put_policy(Bucket=bucket, Policy=policy(bucket))


def test_an_acl_is_put_as_xml_and_of_one_version(client: Any) -> None:
    """PutObjectAcl with grants written out, of the version that is named and of no other."""
    bucket = make(client, versioning="Enabled", ObjectOwnership="ObjectWriter")
    first, second = put(client, bucket, "key"), put(client, bucket, "key")
    told = client.get_object_acl(Bucket=bucket, Key="key")
    readers = {"Type": "Group", "URI": "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"}
    grants = [*told["Grants"], {"Grantee": readers, "Permission": "READ"}]
    wanted: Any = {"Owner": told["Owner"], "Grants": grants}
    client.put_object_acl(Bucket=bucket, Key="key", VersionId=first, AccessControlPolicy=wanted)
    counts = [len(client.get_object_acl(Bucket=bucket, Key="key", VersionId=one)["Grants"]) for one in (first, second)]
    assert counts == [2, 1]
