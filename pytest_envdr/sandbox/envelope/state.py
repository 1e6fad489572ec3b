"""Where the state of the stack's Terraform is: a versioned bucket, and the table that locks it where one does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_envdr.sandbox.envelope.names import STATE_BUCKET

if TYPE_CHECKING:
    from pytest_envdr.sandbox.envelope.account import Account

OLD_VERSIONS_DAYS = 90
"""How long a version lives on that another one replaced: longer than from one exercise to the next."""


def create(account: Account) -> None:
    """The bucket, as yet without a state."""
    s3 = account.client("s3")
    account.bucket(STATE_BUCKET)
    s3.put_bucket_versioning(Bucket=STATE_BUCKET, VersioningConfiguration={"Status": "Enabled"})
    encryption = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
    s3.put_bucket_encryption(Bucket=STATE_BUCKET, ServerSideEncryptionConfiguration=encryption)
    blocked = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.put_public_access_block(Bucket=STATE_BUCKET, PublicAccessBlockConfiguration=dict.fromkeys(blocked, True))
    expiry = {
        "ID": "old-versions",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "NoncurrentVersionExpiration": {"NoncurrentDays": OLD_VERSIONS_DAYS},
    }
    s3.put_bucket_lifecycle_configuration(Bucket=STATE_BUCKET, LifecycleConfiguration={"Rules": [expiry]})
