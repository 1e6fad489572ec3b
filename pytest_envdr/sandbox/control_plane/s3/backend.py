"""Buckets and objects: moto's, with the defaults of a bucket made today."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket, PublicAccessBlock, S3Backend
from typing_extensions import override

from pytest_envdr.sandbox.control_plane.extension import moto_urls
from pytest_envdr.sandbox.control_plane.s3 import policy

if TYPE_CHECKING:
    from types import ModuleType

PERMISSIONS = {policy.ALLOW: PermissionResult.PERMITTED, policy.DENY: PermissionResult.DENIED}


def default_encryption() -> dict[str, Any]:
    """What S3 gives every bucket since January 2023, as moto keeps it."""
    return {"Rule": {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": "false"}}


class SandboxS3(S3Backend):
    """moto's S3 with the defaults of a new bucket, and policies whose conditions count."""

    @property
    @override
    def _url_module(self) -> ModuleType:
        return moto_urls("s3")

    @override
    def create_bucket(self, bucket_name: str, region_name: str, bucket_namespace: str | None = None) -> FakeBucket:
        """CreateBucket: encrypted, closed to the public and without ACLs, as since April 2023."""
        bucket = super().create_bucket(bucket_name, region_name, bucket_namespace)
        bucket.encryption = default_encryption()
        bucket.ownership_rule = {"Rule": {"ObjectOwnership": "BucketOwnerEnforced"}}
        bucket.public_access_block = PublicAccessBlock("true", "true", "true", "true")
        bucket.get_permission = partial(_permission, bucket)  # type: ignore[method-assign] # moto's models are not to be subclassed
        return bucket

    @override
    def delete_bucket_encryption(self, bucket_name: str) -> None:
        """DeleteBucketEncryption: back to S3's own default; there is no bucket without encryption."""
        self.get_bucket(bucket_name).encryption = default_encryption()


def _permission(bucket: FakeBucket, action: str, resource: str) -> PermissionResult:
    asked = policy.context(bucket.account_id)
    said = policy.verdict(bucket.policy, action=action, resource=resource, asked=asked)
    return PERMISSIONS.get(str(said), PermissionResult.NEUTRAL)
