"""S3 through a plain client: versions, checksums, order, owners, and what S3 refuses."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import zlib
from itertools import count
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, FlexibleChecksumError
from moto.s3.models import s3_backends

from pytest_envdr.sandbox.control_plane import s3
from pytest_envdr.sandbox.control_plane.s3 import writing
from pytest_envdr.waiting import wait_until
from tests.sandbox.control_plane.served import ACCOUNT, Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION = "eu-south-2"
OTHER = "999999999999"
ODD = ["100% + tax (Steuer) 封筒.csv", "a b/c+d?e=f&g#h", "line\nbreak", "ünïcode/🎉", "trailing/", "<&>\"'"]

_numbers = count(1)


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


def make(client: Any, *, versioning: str | None = None, **more: Any) -> str:
    name = f"bucket-{next(_numbers)}"
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION}, **more)
    if versioning:
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": versioning})
    return name


def put(client: Any, bucket: str, key: str, body: bytes = b"x", **more: Any) -> str:
    """The new version's id."""
    return str(client.put_object(Bucket=bucket, Key=key, Body=body, **more).get("VersionId", "null"))


def refused(call: Any, **arguments: Any) -> tuple[int, str]:
    """Status and code of the error that a call ends with."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer: Any = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


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


# Checksums


def crc32(body: bytes) -> str:
    return base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


def plain(served: Served) -> Any:
    """A client that sends no checksum by itself, as older ones."""
    return boto3.client(
        "s3",
        region_name=REGION,
        endpoint_url=served.world.endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 (there is nothing to keep secret)
        config=Config(
            proxies={}, request_checksum_calculation="when_required", response_checksum_validation="when_required"
        ),
    )


def test_an_object_sent_without_a_checksum_has_s3s_own(served: Served, client: Any, bucket: str) -> None:
    """CRC64NVME, of the whole object: the catalogue's check value for `123456789` is ae8b14860a799888."""
    put(plain(served), bucket, "key", b"123456789")
    told = client.head_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
    assert base64.b64decode(told["ChecksumCRC64NVME"]).hex() == "ae8b14860a799888"
    assert told["ChecksumType"] == "FULL_OBJECT"
    assert "ChecksumCRC64NVME" not in client.head_object(Bucket=bucket, Key="key")
    attributes = client.get_object_attributes(Bucket=bucket, Key="key", ObjectAttributes=["Checksum", "ObjectSize"])
    assert attributes["Checksum"] == {"ChecksumCRC64NVME": told["ChecksumCRC64NVME"], "ChecksumType": "FULL_OBJECT"}
    assert attributes["ObjectSize"] == 9
    assert "ETag" not in attributes


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_the_clients_checksum_is_kept(client: Any, bucket: str, algorithm: str) -> None:
    """What the client sent is what HEAD, GET and the attributes report, and a copy has it too."""
    sent = client.put_object(Bucket=bucket, Key="key", Body=b"content", ChecksumAlgorithm=algorithm)
    value = sent[f"Checksum{algorithm}"]
    for call in (client.head_object, client.get_object):
        assert call(Bucket=bucket, Key="key", ChecksumMode="ENABLED")[f"Checksum{algorithm}"] == value
    copied = client.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "key"})
    assert copied["CopyObjectResult"][f"Checksum{algorithm}"] == value


def test_a_body_that_is_not_what_its_checksum_says_is_refused(served: Served, client: Any, bucket: str) -> None:
    """Content-MD5 and each kind of checksum: BadDigest; what is no digest at all: InvalidDigest, InvalidRequest."""
    md5 = base64.b64encode(hashlib.md5(b"other", usedforsecurity=False).digest()).decode()
    sha = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"ContentMD5": md5}, "BadDigest"),
        ({"ContentMD5": "bm9uZQ=="}, "InvalidDigest"),
        ({"ChecksumCRC32": crc32(b"other")}, "BadDigest"),
        ({"ChecksumCRC32C": crc32(b"other")}, "BadDigest"),
        ({"ChecksumCRC64NVME": "AAAAAAAAAAA="}, "BadDigest"),
        ({"ChecksumSHA256": sha}, "BadDigest"),
        ({"ChecksumSHA256": "bm9uZQ=="}, "InvalidRequest"),
    ]
    for arguments, code in wrong:
        assert refused(client.put_object, Bucket=bucket, Key="key", Body=b"body", **arguments) == (400, code)
    assert "Contents" not in client.list_objects_v2(Bucket=bucket)
    put(plain(served), bucket, "key", b"body", ChecksumCRC64NVME=crc64(client, bucket, b"body"))


def crc64(client: Any, bucket: str, body: bytes) -> str:
    put(client, bucket, "sum", body, ChecksumAlgorithm="SHA1")
    copy: Any = {"Bucket": bucket, "Key": "sum"}
    answer = client.copy_object(Bucket=bucket, Key="sum2", CopySource=copy, ChecksumAlgorithm="CRC64NVME")
    return str(answer["CopyObjectResult"]["ChecksumCRC64NVME"])


def test_stored_bytes_that_change_are_seen(served: Served, client: Any, bucket: str) -> None:
    """`acted`: with other bytes in the store behind the API's back, GetObject gives them, which a client that verifies
    sees; and a copy has their sum."""
    put(client, bucket, "key", b"content", ChecksumAlgorithm="SHA256")
    [key] = s3_backends[ACCOUNT]["aws"].get_bucket(bucket).keys.getlist("key")
    key.value = b"damaged"
    with pytest.raises(FlexibleChecksumError):
        client.get_object(Bucket=bucket, Key="key")["Body"].read()
    answer = plain(served).get_object(Bucket=bucket, Key="key")
    assert answer["Body"].read() == b"damaged"
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-envdr-fidelity"] == "acted"
    copied = client.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "key"})
    wanted = base64.b64encode(hashlib.sha256(b"damaged").digest()).decode()
    assert copied["CopyObjectResult"]["ChecksumSHA256"] == wanted
    assert copied["ResponseMetadata"]["HTTPHeaders"]["x-envdr-fidelity"] == "acted"


# Copies and parts


def test_a_copy_keeps_what_s3_keeps(client: Any, versioned: str) -> None:
    """Metadata, headers and tags are the source's unless replaced; the storage class is STANDARD again."""
    packed = gzip.compress(b"text", mtime=0)
    first = put(
        client,
        versioned,
        "key",
        packed,
        ContentType="text/csv",
        ContentEncoding="gzip",
        CacheControl="no-store",
        ContentDisposition='attachment; filename="x.csv"',
        Metadata={"edition": "1"},
        Tagging="class=export",
        StorageClass="STANDARD_IA",
    )
    put(client, versioned, "key", b"newer")
    source: Any = {"Bucket": versioned, "Key": "key", "VersionId": first}
    assert client.copy_object(Bucket=versioned, Key="copy", CopySource=source)["CopySourceVersionId"] == first
    told = client.get_object(Bucket=versioned, Key="copy")
    assert told["Body"].read() == packed
    names = ("ContentType", "ContentEncoding", "CacheControl", "ContentDisposition", "Metadata")
    assert [told[name] for name in names] == [
        "text/csv",
        "gzip",
        "no-store",
        'attachment; filename="x.csv"',
        {"edition": "1"},
    ]
    assert "StorageClass" not in told
    assert client.get_object_tagging(Bucket=versioned, Key="copy")["TagSet"] == [{"Key": "class", "Value": "export"}]
    client.copy_object(
        Bucket=versioned, Key="other", CopySource=source, MetadataDirective="REPLACE", TaggingDirective="REPLACE"
    )
    told = client.head_object(Bucket=versioned, Key="other")
    assert (told["Metadata"], told["ContentType"]) == ({}, "binary/octet-stream")
    assert client.get_object_tagging(Bucket=versioned, Key="other")["TagSet"] == []


def test_copies_that_s3_refuses(client: Any, versioned: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Onto itself unchanged; of what is deleted or not there; too large; of another ETag than expected."""
    first = put(client, versioned, "key", b"content")
    source: Any = {"Bucket": versioned, "Key": "key"}
    assert refused(client.copy_object, Bucket=versioned, Key="key", CopySource=source) == (400, "InvalidRequest")
    other = {"Bucket": versioned, "Key": "copy", "CopySource": source}
    assert refused(client.copy_object, **other, CopySourceIfMatch="no")[1] == "PreconditionFailed"
    monkeypatch.setattr(writing, "COPY_LIMIT", 6)
    assert refused(client.copy_object, **other) == (400, "InvalidRequest")
    monkeypatch.undo()
    client.delete_object(Bucket=versioned, Key="key")
    assert refused(client.copy_object, **other) == (404, "NoSuchKey")
    client.copy_object(Bucket=versioned, Key="key", CopySource=source | {"VersionId": first})
    assert client.get_object(Bucket=versioned, Key="key")["Body"].read() == b"content"


PART = 5 * 1024 * 1024


@pytest.mark.parametrize(
    ("more", "wanted"),
    [({"ChecksumAlgorithm": "SHA256"}, "COMPOSITE"), ({}, "FULL_OBJECT")],
)
def test_an_object_of_parts_and_its_copy_in_one(served: Served, bucket: str, more: Any, wanted: str) -> None:
    """Its ETag is no MD5 and its checksum may be of the parts; copied in one piece it has others for the same bytes."""
    client = plain(served)
    body = bytes(range(256)) * (PART // 256) + b"the end"
    put(client, bucket, "source", body)
    upload = client.create_multipart_upload(Bucket=bucket, Key="parts", Tagging="a=b", **more)["UploadId"]
    names: Any = {"Bucket": bucket, "Key": "parts", "UploadId": upload}
    copy: Any = {"CopySource": {"Bucket": bucket, "Key": "source"}, "CopySourceRange": f"bytes=0-{PART - 1}"}
    etags = [client.upload_part_copy(**names, **copy, PartNumber=1)["CopyPartResult"]["ETag"]]
    etags.append(client.upload_part(**names, PartNumber=2, Body=b"the end", **more)["ETag"])
    parts: Any = {"Parts": [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, start=1)]}
    done = client.complete_multipart_upload(**names, MultipartUpload=parts)
    assert done["ETag"].endswith('-2"')
    told = client.head_object(Bucket=bucket, Key="parts", ChecksumMode="ENABLED")
    assert told["ChecksumType"] == wanted
    attributes = client.get_object_attributes(Bucket=bucket, Key="parts", ObjectAttributes=["ObjectParts"])
    assert attributes["ObjectParts"]["TotalPartsCount"] == 2
    second = client.get_object(Bucket=bucket, Key="parts", PartNumber=2)
    assert (second["Body"].read(), second["PartsCount"]) == (b"the end", 2)
    client.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "parts"})
    whole = client.head_object(Bucket=bucket, Key="copy", ChecksumMode="ENABLED")
    assert whole["ETag"].strip('"') == hashlib.md5(body, usedforsecurity=False).hexdigest()
    assert whole["ChecksumType"] == "FULL_OBJECT"
    assert client.get_object(Bucket=bucket, Key="copy")["Body"].read() == body
    assert client.get_object_tagging(Bucket=bucket, Key="copy")["TagSet"] == [{"Key": "a", "Value": "b"}]
    assert refused(client.upload_part, **names, PartNumber=3, Body=b"") == (404, "NoSuchUpload")


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


# Archive and lock


def test_an_archived_object_is_read_after_it_was_restored(client: Any, bucket: str) -> None:
    """Neither read nor copied before; the restore takes its (scaled) time; it can still be looked at meanwhile."""
    put(client, bucket, "key", b"old", StorageClass="GLACIER")
    code = (403, "InvalidObjectState")
    copy: Any = {"Bucket": bucket, "Key": "copy", "CopySource": {"Bucket": bucket, "Key": "key"}}
    assert refused(client.get_object, Bucket=bucket, Key="key") == code
    assert refused(client.copy_object, **copy) == code
    assert client.head_object(Bucket=bucket, Key="key")["StorageClass"] == "GLACIER"
    wanted: Any = {"Days": 1, "GlacierJobParameters": {"Tier": "Expedited"}}
    client.restore_object(Bucket=bucket, Key="key", RestoreRequest=wanted)
    assert client.head_object(Bucket=bucket, Key="key")["Restore"] == 'ongoing-request="true"'
    assert refused(client.get_object, Bucket=bucket, Key="key") == code
    again = {"Bucket": bucket, "Key": "key", "RestoreRequest": wanted}
    assert refused(client.restore_object, **again) == (409, "RestoreAlreadyInProgress")
    wait_until(
        lambda: client.head_object(Bucket=bucket, Key="key")["Restore"],
        lambda told: told.startswith('ongoing-request="false", expiry-date='),
        what="the restore's end",
        deadline=20,
    )
    assert client.get_object(Bucket=bucket, Key="key")["Body"].read() == b"old"
    client.copy_object(**copy)
    assert "StorageClass" not in client.head_object(Bucket=bucket, Key="copy")


def test_retention_can_be_asked_for(client: Any, bucket: str) -> None:
    """GetObjectRetention of a locked object, of one that is not, and of a bucket without locks."""
    locked = make(client, ObjectLockEnabledForBucket=True)
    put(client, locked, "key")
    assert refused(client.get_object_retention, Bucket=locked, Key="key") == (404, "NoSuchObjectLockConfiguration")
    until = "2031-01-01T00:00:00Z"
    client.put_object_retention(Bucket=locked, Key="key", Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until})
    told = client.get_object_retention(Bucket=locked, Key="key")["Retention"]
    assert (told["Mode"], told["RetainUntilDate"].year) == ("GOVERNANCE", 2031)
    put(client, bucket, "key")
    assert refused(client.get_object_retention, Bucket=bucket, Key="key") == (400, "InvalidRequest")
