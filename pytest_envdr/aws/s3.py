"""S3 as it is: buckets, objects, their versions and attributes, their bytes, a bucket's configuration.

Every read names the stack's account as the bucket's expected owner: a bucket of that name which belongs to somebody
else answers 403 to all of them, where botocore's `bucket_exists` takes 403 for "it is there" (aws-semantics 3, T1).
Objects, tags and ACLs are strongly consistent, a bucket's configuration is not (aws-semantics 3.7).

A version's time is S3's `LastModified`: whole seconds, and of an object uploaded in parts the time at which the upload
was begun (Amazon S3 User Guide, "Editing object metadata", system-defined metadata).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import (
    ConnectionClosedError,
    FlexibleChecksumError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from pytest_envdr.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from pytest_envdr.aws import Aws

CHUNK = 1024 * 1024
"""How many bytes of an object are held at a time."""
ATTEMPTS = 5
"""How often an object's bytes are asked for when the connection ends in their midst."""
HEADERS = {
    "Content-Type": "ContentType",
    "Content-Encoding": "ContentEncoding",
    "Content-Disposition": "ContentDisposition",
    "Content-Language": "ContentLanguage",
    "Cache-Control": "CacheControl",
    "Expires": "ExpiresString",
    "x-amz-website-redirect-location": "WebsiteRedirectLocation",
}
"""The headers that an object is stored with, and what botocore calls them."""
LOCKED = ("ObjectLockMode", "ObjectLockRetainUntilDate", "ObjectLockLegalHoldStatus")

ASPECTS = {
    "versioning": ("GetBucketVersioning", None),
    "encryption": ("GetBucketEncryption", "ServerSideEncryptionConfiguration"),
    "policy": ("GetBucketPolicy", "Policy"),
    "public-access-block": ("GetPublicAccessBlock", "PublicAccessBlockConfiguration"),
    "ownership": ("GetBucketOwnershipControls", "OwnershipControls"),
    "acl": ("GetBucketAcl", None),
    "lifecycle": ("GetBucketLifecycleConfiguration", None),
    "notification": ("GetBucketNotificationConfiguration", None),
    "cors": ("GetBucketCors", "CORSRules"),
    "replication": ("GetBucketReplication", "ReplicationConfiguration"),
    "logging": ("GetBucketLogging", "LoggingEnabled"),
    "tags": ("GetBucketTagging", "TagSet"),
    "object-lock": ("GetObjectLockConfiguration", "ObjectLockConfiguration"),
    "website": ("GetBucketWebsite", None),
    "intelligent-tiering": ("ListBucketIntelligentTieringConfigurations", "IntelligentTieringConfigurationList"),
    "acceleration": ("GetBucketAccelerateConfiguration", "Status"),
    "requester-pays": ("GetBucketRequestPayment", "Payer"),
}
"""The parts of a bucket's configuration: which call reads each, and under which key of the answer it is (None: all)."""
ABSENT = ("NoSuch", "NotFound", "MethodNotAllowed", "UnsupportedArgument")
"""What AWS's codes contain where a bucket has no such part of a configuration, or its Region no such feature."""


@dataclass(frozen=True, slots=True)
class Object:
    """An object as ListObjectsV2 gives it; size in bytes, the ETag without its quotes."""

    key: str
    size: int
    etag: str
    last_modified: datetime
    storage_class: str


@dataclass(frozen=True, slots=True)
class Version:
    """A version of an object, or a delete marker, which has neither size nor ETag nor storage class. `version_id` is
    "null" for what was written while the bucket was not versioned."""

    key: str
    version_id: str
    size: int
    etag: str
    last_modified: datetime
    latest: bool
    delete_marker: bool
    storage_class: str


@dataclass(frozen=True)
class Head:
    """What HeadObject tells.

    Attributes:
        checksums: algorithm ("CRC64NVME", "SHA256") to base64 value.
        checksum_type: FULL_OBJECT, or COMPOSITE: a checksum of the parts' checksums, which depends on their sizes.
        headers: those of `HEADERS` that are set.
        metadata: the user's, its names in lower case.
        tags: how many tags there are; 0 as well where the caller may not read them.
        encryption: AES256, aws:kms, aws:kms:dsse, or "" where S3 says none; `encryption_key` and `bucket_key` with it.
        lock: the values of `LOCKED` that are set.
        replication: PENDING, COMPLETED, FAILED or REPLICA; "" where no rule was for it when it was written.
    """

    size: int
    etag: str
    version_id: str | None
    checksums: Mapping[str, str]
    checksum_type: str
    headers: Mapping[str, str]
    metadata: Mapping[str, str]
    tags: int
    encryption: str
    encryption_key: str
    bucket_key: bool
    lock: Mapping[str, str] = field(default_factory=dict)
    replication: str = ""


def check_bucket(aws: Aws, name: str) -> None:
    """See that a bucket is there and belongs to the stack's account.

    Raises:
        NotFound: there is none.
        AwsError: it belongs to another account, or these credentials may not read it; it is in another Region.
    """
    try:
        aws.call("s3.HeadBucket", what=f"Bucket {name} cannot be read", **_of(aws, name))
    except AwsError as error:
        if error.code in ("404", "NoSuchBucket"):
            raise aws.not_found(f"There is no bucket {name}", name) from error
        if error.code in ("403", "AccessDenied"):
            what = f"Bucket {name} belongs to another account, or these credentials may not read it"
            raise aws.refused(what, code=error.code) from error
        raise


def buckets(aws: Aws, *, prefix: str = "") -> list[str]:
    """The names of the account's own buckets that begin so, in every Region."""
    rows = aws.call("s3.ListBuckets", what="The account's buckets cannot be listed")["Buckets"]
    return sorted(row["Name"] for row in rows if row["Name"].startswith(prefix))


def region(aws: Aws, bucket: str) -> str:
    """Where a bucket is: asked of any Region, and answered with nothing for the oldest one.

    Raises:
        AwsError: there is no such bucket, or it may not be asked.
    """
    what = f"The Region of bucket {bucket} cannot be read"
    return aws.call("s3.GetBucketLocation", what=what, **_of(aws, bucket)).get("LocationConstraint") or "us-east-1"


def object_pages(aws: Aws, bucket: str, *, prefix: str = "") -> Iterator[list[Object]]:
    """The current objects in the order of their keys' UTF-8 bytes, up to 1,000 a page and request.

    Keys are asked for percent-encoded and decoded by botocore, since XML 1.0 cannot carry all of them.

    Raises:
        AwsError, UsageError: as `Aws.call`.
    """
    arguments: dict[str, Any] = {**_of(aws, bucket), "Prefix": prefix}
    while True:
        page = aws.call("s3.ListObjectsV2", what=f"Bucket {bucket} cannot be listed", **arguments)
        yield [_object(row) for row in page.get("Contents", [])]
        if not page.get("IsTruncated"):
            return
        arguments["ContinuationToken"] = page["NextContinuationToken"]


def version_pages(aws: Aws, bucket: str, *, prefix: str = "") -> Iterator[list[Version]]:
    """All versions and delete markers in the order of their keys, the newest of a key first, up to 1,000 a page; those
    of one key may go on in the next page.

    S3 lists versions and markers as they followed one another; botocore takes them apart, and `LastModified` has whole
    seconds. So the order in the answer itself is kept for those of the same second.

    Raises:
        AwsError, UsageError: as `Aws.call`.
    """
    events = aws.client("s3").meta.events
    events.register("after-call.s3.ListObjectVersions", _keep_order, unique_id="envdr-s3-order")
    arguments: dict[str, Any] = {**_of(aws, bucket), "Prefix": prefix}
    while True:
        page = aws.call("s3.ListObjectVersions", what=f"The versions in bucket {bucket} cannot be listed", **arguments)
        kinds = {b"Version": iter(page.get("Versions", [])), b"DeleteMarker": iter(page.get("DeleteMarkers", []))}
        rows = [_version(next(kinds[kind])) for kind in page["Order"]]
        # Sorted, though S3 lists them so: moto gives all markers behind all versions.
        yield sorted(rows, key=lambda row: (row.key, not row.latest, -row.last_modified.timestamp()))
        if not page.get("IsTruncated"):
            return
        arguments |= {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}


def _keep_order(http_response: Any, parsed: dict[str, Any], **_: Any) -> None:
    """Add what botocore drops of an answer: in which order versions and delete markers came."""
    parsed["Order"] = re.findall(rb"<(Version|DeleteMarker)>", http_response.content)


def versions(aws: Aws, bucket: str, *, prefix: str = "") -> Iterator[Version]:
    """All versions and delete markers, as `version_pages`."""
    for page in version_pages(aws, bucket, prefix=prefix):
        yield from page


def head(aws: Aws, bucket: str, key: str, *, version_id: str | None = None) -> Head:
    """What is stored with an object.

    Raises:
        AwsError: with code "404" where there is none (or a delete marker), "403", or "400" where the object is
            encrypted with the customer's own key; a HEAD answer carries no words.
    """
    answer = aws.call(
        "s3.HeadObject", what=_what(bucket, key), ChecksumMode="ENABLED", **_object_of(aws, bucket, key, version_id)
    )
    return _head(answer)


def delete_marker(aws: Aws, bucket: str, key: str) -> bool:
    """Whether a key that is not listed has a delete marker on top of its versions: S3 says so in its 404."""
    try:
        aws.call("s3.HeadObject", what=_what(bucket, key), **_object_of(aws, bucket, key, None))
    except AwsError as error:
        answer = getattr(error.__cause__, "response", {})
        headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        return str(headers.get("x-amz-delete-marker", "")).lower() == "true"
    return False


def tags(aws: Aws, bucket: str, key: str, *, version_id: str | None = None) -> dict[str, str]:
    """An object's tags."""
    answer = aws.call("s3.GetObjectTagging", what=_what(bucket, key), **_object_of(aws, bucket, key, version_id))
    return {row["Key"]: row["Value"] for row in answer.get("TagSet", [])}


def grants(aws: Aws, bucket: str, key: str, *, version_id: str | None = None) -> list[dict[str, Any]]:
    """What an object's ACL grants, its owner's own grant left out. Means nothing where ACLs are disabled."""
    answer = aws.call("s3.GetObjectAcl", what=_what(bucket, key), **_object_of(aws, bucket, key, version_id))
    return granted(answer)


def granted(acl: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The grants of an ACL, but for the owner's own."""
    owner = acl.get("Owner", {}).get("ID")
    return [one for one in acl.get("Grants", []) if one.get("Grantee", {}).get("ID") != owner]


def contents(aws: Aws, bucket: str, key: str, *, version_id: str | None = None) -> Iterator[bytes]:
    """An object's bytes, up to `CHUNK` at a time. Where the connection ends in their midst they are asked for from
    there on; should the object have been overwritten meanwhile, S3 refuses that (412).

    Raises:
        AwsError: S3 refused it ("InvalidObjectState": it is archived); the connection kept ending; the bytes are not
            those of the object's own checksum ("FlexibleChecksumError").
    """
    arguments = _object_of(aws, bucket, key, version_id)
    done = 0
    for attempt in range(ATTEMPTS):
        answer = aws.call("s3.GetObject", what=_what(bucket, key), **arguments)
        try:
            for piece in answer["Body"].iter_chunks(CHUNK):
                done += len(piece)
                yield piece
        except (IncompleteReadError, ReadTimeoutError, ResponseStreamingError, ConnectionClosedError) as error:
            arguments |= {"IfMatch": answer["ETag"], "Range": f"bytes={done}-"}
            if attempt + 1 == ATTEMPTS:
                raise AwsError(f"{_what(bucket, key)}: {error}", code=type(error).__name__) from error
        except FlexibleChecksumError as error:
            raise AwsError(f"{_what(bucket, key)}: {error}", code="FlexibleChecksumError") from error
        else:
            return


def configuration(aws: Aws, bucket: str, aspect: str) -> Any:
    """One of `ASPECTS` as S3 answers it, None where the bucket has none of it.

    Raises:
        AwsError: it may not be read, or the API does not know it.
    """
    operation, key = ASPECTS[aspect]
    try:
        answer = aws.call(f"s3.{operation}", what=f"The {aspect} of bucket {bucket} cannot be read", **_of(aws, bucket))
    except AwsError as error:
        if error.code != "NoSuchBucket" and any(word in error.code for word in ABSENT):
            return None
        raise
    answer.pop("ResponseMetadata", None)
    return answer.get(key) if key else answer


def _of(aws: Aws, bucket: str) -> dict[str, Any]:
    return {"Bucket": bucket, "ExpectedBucketOwner": aws.stack.account}


def _object_of(aws: Aws, bucket: str, key: str, version_id: str | None) -> dict[str, Any]:
    return {**_of(aws, bucket), "Key": key, **({"VersionId": version_id} if version_id else {})}


def _what(bucket: str, key: str) -> str:
    return f"Object {key!r} of bucket {bucket} cannot be read"


def _object(row: dict[str, Any]) -> Object:
    return Object(
        row["Key"], row["Size"], row["ETag"].strip('"'), row["LastModified"], row.get("StorageClass", "STANDARD")
    )


def _version(row: dict[str, Any]) -> Version:
    return Version(
        key=row["Key"],
        version_id=row["VersionId"],
        size=row.get("Size", 0),
        etag=row.get("ETag", "").strip('"'),
        last_modified=row["LastModified"],
        latest=row["IsLatest"],
        delete_marker="Size" not in row,
        storage_class=row.get("StorageClass", "" if "Size" not in row else "STANDARD"),
    )


def _head(answer: dict[str, Any]) -> Head:
    checksums = {
        name.removeprefix("Checksum"): value
        for name, value in answer.items()
        if name.startswith("Checksum") and name != "ChecksumType"
    }
    composite = any("-" in value for value in checksums.values())
    return Head(
        size=answer["ContentLength"],
        etag=answer["ETag"].strip('"'),
        version_id=answer.get("VersionId"),
        checksums=checksums,
        checksum_type=answer.get("ChecksumType", "COMPOSITE" if composite else "FULL_OBJECT"),
        headers={header: value for header, name in HEADERS.items() if (value := _header(answer.get(name)))},
        metadata=answer.get("Metadata", {}),
        tags=answer.get("TagCount", 0),
        encryption=answer.get("ServerSideEncryption", answer.get("SSECustomerAlgorithm", "")),
        encryption_key=answer.get("SSEKMSKeyId", ""),
        bucket_key=answer.get("BucketKeyEnabled", False),
        lock={name: str(answer[name]) for name in LOCKED if answer.get(name)},
        replication=str(answer.get("ReplicationStatus", "")),
    )


def _header(value: Any) -> str:
    """Without "aws-chunked": how the upload was framed, which some clients leave in Content-Encoding."""
    words = [word.strip() for word in str(value or "").split(",")]
    return ", ".join(word for word in words if word != "aws-chunked")
