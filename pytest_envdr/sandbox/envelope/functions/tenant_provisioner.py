"""Makes a new tenant's bucket: the Lambda function behind the event `tenant.created`.

An event may come twice, late, or again from an archive, and a run may end in the middle. So what is there is never
overwritten: a bucket of ours is left as it is, but for settings that it lacks altogether, which are those that a run
before did not come to. A bucket of somebody else's is an error, however often it is tried.

`configuration.json` beside this module says how a tenant's bucket is configured: boto3's method -> its arguments, in
the order to call them, with `@slug@` and `@bucket@` for the tenant's.
"""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

SLUG = re.compile(r"[a-z0-9][a-z0-9-]*")
CONFIGURATION = Path(__file__).with_name("configuration.json")
READS = {
    "put_public_access_block": ("get_public_access_block", "PublicAccessBlockConfiguration"),
    "put_bucket_ownership_controls": ("get_bucket_ownership_controls", "OwnershipControls"),
    "put_bucket_versioning": ("get_bucket_versioning", "Status"),
    "put_bucket_encryption": ("get_bucket_encryption", "ServerSideEncryptionConfiguration"),
    "put_bucket_policy": ("get_bucket_policy", "Policy"),
    "put_bucket_cors": ("get_bucket_cors", "CORSRules"),
    "put_bucket_tagging": ("get_bucket_tagging", "TagSet"),
    "put_bucket_lifecycle_configuration": ("get_bucket_lifecycle_configuration", "Rules"),
    "put_bucket_notification_configuration": ("get_bucket_notification_configuration", "EventBridgeConfiguration"),
}
"""What writes a setting -> what reads it, and the member that is there where it was set."""
ABSENT = re.compile(r"NoSuch\w+|\w+NotFoundError")
"""S3's error codes for a setting that was never made."""

log = logging.getLogger()
log.setLevel(logging.INFO)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Make the bucket of the tenant that the event tells of; what was done.

    Raises:
        ValueError: the event tells of none.
        ClientError: the bucket is somebody else's, or S3 refused something.
    """
    slug, bucket = str(event["detail"]["slug"]), str(event["detail"]["bucket"])
    if not SLUG.fullmatch(slug):
        raise ValueError(f"{slug!r} is no tenant's name")
    _, _, _, region, account, *_ = context.invoked_function_arn.split(":")
    s3 = boto3.client("s3", region_name=region)
    made = not _is_ours(s3, bucket, account) and _made(s3, bucket, region)
    wanted = json.loads(CONFIGURATION.read_text().replace("@slug@", slug).replace("@bucket@", bucket))
    put = [method for method in wanted if made or not _is_set(s3, method, bucket)]
    for method in put:
        getattr(s3, method)(Bucket=bucket, **wanted[method])
    log.info("bucket %s of tenant %s: %s, %d settings made", bucket, slug, "made" if made else "there", len(put))
    return {"bucket": bucket, "made": made, "put": put}


def _is_ours(s3: Any, bucket: str, account: str) -> bool:
    """Whether it is there already. Asked before it is made: in us-east-1 making it once more is no error, and resets
    its ACL."""
    try:
        s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
    except ClientError as error:
        if error.response["Error"]["Code"] in {"404", "NoSuchBucket"}:
            return False
        raise
    return True


def _made(s3: Any, bucket: str, region: str) -> bool:
    """Make it; False where another run was faster."""
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        s3.create_bucket(Bucket=bucket, **where)
    except s3.exceptions.BucketAlreadyOwnedByYou:
        return False
    return True


def _is_set(s3: Any, method: str, bucket: str) -> bool:
    read, member = READS[method]
    try:
        found = getattr(s3, read)(Bucket=bucket)
    except ClientError as error:
        if ABSENT.fullmatch(error.response["Error"]["Code"]):
            return False
        raise
    return member in found
