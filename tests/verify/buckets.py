"""Pairs of equal buckets in the account of `tests.account`, to be damaged."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from pytest_envdr.aws import Aws
from pytest_envdr.verify import bucket as verify
from tests import account

OBJECT = {
    "Tagging": "team=blue&class=invoice",
    "Metadata": {"author": "ada", "page": "1"},
    "ContentType": "application/pdf",
    "CacheControl": "no-cache",
}
"""What each object is stored with."""
ODD_KEYS = (
    "a b",
    "a%20b",
    "a+b",
    "100%",
    "a/../b",
    "../up",
    "./here",
    "a//b",
    "/lead",
    "folder/",
    "..",
    "q?x=1#f",
    "<&>\"'",
    "é/ü",
    "e\u0301/decomposed",
    "\uffee before the next in UTF-8, behind it in UTF-16",
    "\U0001f600",
    "trailing ",
)


@cache
def s3() -> Any:
    """A client of the account, without the guard."""
    return account.plain("s3")


@cache
def aws() -> Aws:
    """The account as a drill has it."""
    return Aws(account.stack())


def new(*, versioned: bool = True, enforced: bool = True) -> str:
    """An empty bucket; as AWS makes them: no ACLs. (moto makes them as AWS did before 2023.)"""
    name = account.unique("tenant")
    s3().create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": account.REGION})
    if versioned:
        s3().put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    if enforced:
        rules = [{"ObjectOwnership": "BucketOwnerEnforced"}]
        s3().put_bucket_ownership_controls(Bucket=name, OwnershipControls={"Rules": rules})
    return name


def put(bucket: str, key: str, body: bytes | None = None, **changes: Any) -> str:
    """An object with all that `OBJECT` says; its version id."""
    arguments = {**OBJECT, **changes}
    answer = s3().put_object(Bucket=bucket, Key=key, Body=body or f"body of {key}".encode(), **arguments)
    return str(answer.get("VersionId", ""))


def pair(*keys: str) -> tuple[str, str]:
    """Two equal buckets with these objects."""
    names = new(), new()
    for name in names:
        for key in keys:
            put(name, key)
    return names


def found(expected: str, actual: str, depth: verify.Depth = "attributes", **options: Any) -> list[tuple[str, str, str]]:
    """Key, kind and name of each difference between two buckets."""
    sources = (verify.Bucket(aws(), name) for name in (expected, actual))
    return [(one.key, one.kind, one.name) for one in verify.compare(*sources, depth=depth, **options)]


def configure(bucket: str) -> None:
    """Every part of a configuration that moto keeps."""
    own = f"arn:aws:s3:::{bucket}"
    insecure = {"Bool": {"aws:SecureTransport": "false"}}
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"{own}/*"}
    s3().put_bucket_policy(
        Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [{**statement, "Condition": insecure}]})
    )
    s3().put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [kms()]})
    s3().put_public_access_block(
        Bucket=bucket,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        },
    )
    s3().put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [expiry(30)]})
    s3().put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=notification(queue()))
    s3().put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [cors("GET", "HEAD")]})
    s3().put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "tenant", "Value": "acme"}]})


def kms() -> dict[str, Any]:
    """A rule of default encryption."""
    return {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/tenant"}}


def expiry(days: int) -> dict[str, Any]:
    """A lifecycle rule."""
    return {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": days}}


def cors(*methods: str) -> dict[str, Any]:
    """A CORS rule."""
    return {"AllowedMethods": list(methods), "AllowedOrigins": ["https://envelope.example"]}


def queue() -> str:
    """The ARN of a queue that is there, always the same."""
    account.plain("sqs").create_queue(QueueName="uploads")
    return f"arn:aws:sqs:{account.REGION}:{account.ACCOUNT}:uploads"


def notification(queue: str) -> dict[str, Any]:
    """A configuration that tells a queue of new objects."""
    return {"QueueConfigurations": [{"Id": "new", "QueueArn": queue, "Events": ["s3:ObjectCreated:*"]}]}
