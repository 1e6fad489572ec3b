"""S3's objects through a plain client: checksums, copies, parts, the archive."""

from __future__ import annotations

import base64
import gzip
import hashlib
import zlib
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import FlexibleChecksumError
from moto.s3.models import s3_backends

from pytest_envdr.sandbox.control_plane import s3
from pytest_envdr.sandbox.control_plane.s3 import writing
from pytest_envdr.waiting import wait_until
from tests.sandbox.control_plane.s3_rig import make, put, refused
from tests.sandbox.control_plane.served import ACCOUNT, Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION = "eu-north-1"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("s3")
    with serving(directory, {"s3": s3}, region=REGION, network="127.10.0.0/16", speed=1000) as served:
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


# Archive and lock


def test_an_archived_object_is_not_read_while_it_is_restored(client: Any, bucket: str) -> None:
    """Neither read nor copied before and meanwhile, nor restored twice; it can be looked at all the time."""
    put(client, bucket, "key", b"old", StorageClass="GLACIER")
    code = (403, "InvalidObjectState")
    copy: Any = {"Bucket": bucket, "Key": "copy", "CopySource": {"Bucket": bucket, "Key": "key"}}
    assert refused(client.get_object, Bucket=bucket, Key="key") == code
    assert refused(client.copy_object, **copy) == code
    assert client.head_object(Bucket=bucket, Key="key")["StorageClass"] == "GLACIER"
    wanted: Any = {"Days": 1, "GlacierJobParameters": {"Tier": "Bulk"}}
    client.restore_object(Bucket=bucket, Key="key", RestoreRequest=wanted)
    assert client.head_object(Bucket=bucket, Key="key")["Restore"] == 'ongoing-request="true"'
    assert refused(client.get_object, Bucket=bucket, Key="key") == code
    again = {"Bucket": bucket, "Key": "key", "RestoreRequest": wanted}
    assert refused(client.restore_object, **again) == (409, "RestoreAlreadyInProgress")


def test_an_archived_object_is_read_after_it_was_restored(client: Any, bucket: str) -> None:
    """The restore takes its (scaled) time; a copy made then is not archived."""
    put(client, bucket, "key", b"old", StorageClass="GLACIER")
    wanted: Any = {"Days": 1, "GlacierJobParameters": {"Tier": "Expedited"}}
    client.restore_object(Bucket=bucket, Key="key", RestoreRequest=wanted)
    wait_until(
        lambda: client.head_object(Bucket=bucket, Key="key")["Restore"],
        lambda told: told.startswith('ongoing-request="false", expiry-date='),
        what="the restore's end",
        deadline=20,
    )
    assert client.get_object(Bucket=bucket, Key="key")["Body"].read() == b"old"
    client.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "key"})
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
