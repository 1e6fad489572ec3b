"""What S3 looks at before it does anything: whose bucket it is, what its policy says, and whether ACLs are in use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_envdr.sandbox.control_plane.s3 import policy
from pytest_envdr.sandbox.control_plane.s3.backend import ENFORCED, ownership
from pytest_envdr.sandbox.control_plane.s3.refusals import Refused, denied

if TYPE_CHECKING:
    from collections.abc import Mapping

    from moto.s3.models import FakeBucket

ACTIONS = {
    "HeadObject": "GetObject",
    "HeadBucket": "ListBucket",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "ListParts": "ListMultipartUploadParts",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "GetBucketReplication": "GetReplicationConfiguration",
    "PutBucketReplication": "PutReplicationConfiguration",
    "GetBucketCors": "GetBucketCORS",
    "PutBucketCors": "PutBucketCORS",
    "DeleteBucketCors": "PutBucketCORS",
    "DeleteBucketTagging": "PutBucketTagging",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
}
"""Operation -> the action that a policy names it by, where that is another word."""
VERSIONED = {"GetObject", "GetObjectTagging", "GetObjectAcl", "DeleteObject", "PutObjectTagging", "GetObjectAttributes"}
"""Actions that have one of their own for a named version."""
UNGUARDED = {"CreateBucket", "ListBuckets", "DeleteObjects", ""}
"""Asked before there is a bucket, or judged for each key (DeleteObjects)."""
OWN_POLICY = {"GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy"}
"""A bucket's owner can always mend its policy, however that denies everything to everyone."""
OPEN_ACL = "bucket-owner-full-control"


@dataclass(frozen=True)
class Request:
    """Who asks for what.

    Attributes:
        operation: the API's name.
        account: whose credentials they are.
        key: the object's key; empty for the bucket itself.
        version: the named version.
        headers: in small letters.
    """

    operation: str
    account: str
    key: str
    version: str | None
    headers: Mapping[str, str]


def check(bucket: FakeBucket, request: Request, *, expected: str = "x-amz-expected-bucket-owner") -> None:
    """Let a request pass.

    Args:
        bucket: the bucket that it is for.
        request: the request.
        expected: the header in which the client says whose bucket it believes it is.

    Raises:
        Refused: AccessDenied: another owner than expected, another account's bucket, or its policy says so;
            AccessControlListNotSupported: a bucket without ACLs.
    """
    if request.headers.get(expected, bucket.account_id) != bucket.account_id:
        raise denied()
    if request.operation in UNGUARDED:
        return
    check_policy(bucket, request)
    _check_acl(bucket, request)


def check_policy(bucket: FakeBucket, request: Request) -> None:
    """What the bucket's policy says; who is not of the bucket's account needs to be allowed by it.

    Raises:
        Refused: AccessDenied.
    """
    own = request.account == bucket.account_id
    if own and request.operation in OWN_POLICY:
        return
    asked = policy.context(request.account) | _told(request.headers)
    resource = f"arn:aws:s3:::{bucket.name}" + (f"/{request.key}" if request.key else "")
    said = policy.verdict(bucket.policy, action=f"s3:{_action(request)}", resource=resource, asked=asked)
    if said == policy.DENY or (not own and said != policy.ALLOW):
        raise denied()


def _check_acl(bucket: FakeBucket, request: Request) -> None:
    if ownership(bucket) != ENFORCED:
        return
    grants = [name for name in request.headers if name.startswith("x-amz-grant-")]
    silent = "none" if request.operation in {"PutBucketAcl", "PutObjectAcl"} else OPEN_ACL
    if grants or request.headers.get("x-amz-acl", silent) != OPEN_ACL:
        raise Refused("AccessControlListNotSupported", "The bucket does not allow ACLs")


def _action(request: Request) -> str:
    action = ACTIONS.get(request.operation, request.operation)
    if request.version and action in VERSIONED:
        return action.replace("Object", "ObjectVersion", 1)
    return action


def _told(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that S3 has condition keys of the same names for."""
    return {f"s3:{name}": value for name, value in headers.items() if name.startswith("x-amz-")}
