"""Buckets and objects: moto's, with the defaults of a bucket made today and S3's own rules for versions."""

from __future__ import annotations

import hashlib
import secrets
from contextlib import suppress
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

from moto.iam.access_control import PermissionResult
from moto.s3 import notifications
from moto.s3.exceptions import AccessDeniedByLock, InvalidStorageClass
from moto.s3.models import FakeBucket, FakeDeleteMarker, FakeKey, PublicAccessBlock, S3Backend
from moto.s3.notifications import S3NotificationEvent
from moto.s3.utils import STORAGE_CLASS
from typing_extensions import override

from pytest_envdr.sandbox.control_plane.extension import backend_lock, moto_urls
from pytest_envdr.sandbox.control_plane.s3 import policy
from pytest_envdr.sandbox.control_plane.s3.listing import SortedKeys

if TYPE_CHECKING:
    from types import ModuleType

    from moto.s3.models import FakeMultipart

    from pytest_envdr.sandbox.control_plane.s3.replicator import Replicator

ENFORCED = "BucketOwnerEnforced"
PERMISSIONS = {policy.ALLOW: PermissionResult.PERMITTED, policy.DENY: PermissionResult.DENIED}
MARKED = S3NotificationEvent.OBJECT_REMOVED_DELETE_MARKER_CREATED_EVENT
REMOVED = S3NotificationEvent.OBJECT_REMOVED_DELETE_EVENT
EVENTS = {
    "PUT": S3NotificationEvent.OBJECT_CREATED_PUT_EVENT,
    "POST": S3NotificationEvent.OBJECT_CREATED_POST_EVENT,
    "COPY": S3NotificationEvent.OBJECT_CREATED_COPY_EVENT,
    "COMPLETE": S3NotificationEvent.OBJECT_CREATED_COMPLETE_MULTIPART_UPLOAD_EVENT,
}


def default_encryption() -> dict[str, Any]:
    """What S3 gives every bucket since January 2023, as moto keeps it."""
    return {"Rule": {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": "false"}}


def ownership(bucket: FakeBucket) -> str:
    """Who owns a bucket's objects: `BucketOwnerEnforced` is without ACLs; ObjectWriter where no controls are set."""
    rule: Any = bucket.ownership_rule
    return str(rule["Rule"]["ObjectOwnership"] if isinstance(rule, dict) else rule or "ObjectWriter")


class SandboxS3(S3Backend):
    """moto's S3, where versions are kept as S3 keeps them and each key is in its place of the order.

    Attributes:
        replicator: who hears of what is written; set when the sandbox is made.
    """

    replicator: ClassVar[Replicator]

    @property
    @override
    def _url_module(self) -> ModuleType:
        return moto_urls("s3")

    @override
    def create_bucket(self, bucket_name: str, region_name: str, bucket_namespace: str | None = None) -> FakeBucket:
        """CreateBucket: encrypted, closed to the public and without ACLs, as since April 2023."""
        bucket = super().create_bucket(bucket_name, region_name, bucket_namespace)
        bucket.keys = SortedKeys()
        bucket.encryption = default_encryption()
        bucket.ownership_rule = ENFORCED  # type: ignore[assignment] # moto keeps the word
        bucket.public_access_block = PublicAccessBlock("true", "true", "true", "true")
        bucket.get_permission = partial(_permission, bucket)  # type: ignore[method-assign] # moto's models are not to be subclassed
        return bucket

    @override
    def delete_bucket_encryption(self, bucket_name: str) -> None:
        """DeleteBucketEncryption: back to S3's own default; there is no bucket without encryption."""
        self.get_bucket(bucket_name).encryption = default_encryption()

    @override
    def put_object(
        self,
        bucket_name: str,
        key_name: str,
        value: bytes,
        storage: str | None = None,
        etag: str | None = None,
        multipart: FakeMultipart | None = None,
        encryption: str | None = None,
        kms_key_id: str | None = None,
        bucket_key_enabled: Any = None,
        lock_mode: str | None = None,
        lock_legal_status: str | None = None,
        lock_until: str | None = None,
        checksum_value: str | None = None,
        request_method: str | None = "PUT",
        disable_notification: bool | None = False,
        replica_of: str | None = None,
    ) -> FakeKey:
        """A new version; without versioning, or with it suspended, it takes the place of the one with the id `null`.

        `replica_of` is the id of the version that it is a replica of, and its own.
        """
        if storage is not None and storage not in STORAGE_CLASS:
            raise InvalidStorageClass(storage=storage)
        bucket = self.get_bucket(bucket_name)
        rule = (bucket.encryption or default_encryption())["Rule"]
        default = rule["ApplyServerSideEncryptionByDefault"]
        encryption = encryption or default["SSEAlgorithm"]
        key = FakeKey(
            name=key_name,
            bucket_name=bucket_name,
            value=value,
            account_id=self.account_id,
            region_name=self.region_name,
            storage=storage,
            etag=etag or _etag(value, str(encryption)),
            is_versioned=bool(bucket.versioning_status),
            version_id=replica_of or (secrets.token_hex(16) if bucket.is_versioned else "null"),
            multipart=multipart,
            encryption=encryption,
            kms_key_id=kms_key_id or default.get("KMSMasterKeyID"),
            bucket_key_enabled=bucket_key_enabled or rule.get("BucketKeyEnabled", False),
            lock_mode=lock_mode,
            lock_legal_status=lock_legal_status,
            lock_until=lock_until,
            checksum_value=checksum_value,
        )
        self._append(bucket, key_name, key, replica=replica_of is not None)
        if not disable_notification:
            notifications.send_event(self.account_id, EVENTS[str(request_method)], bucket, key)
        return key

    @override
    def delete_object(
        self, bucket_name: str, key_name: str, version_id: str | None = None, bypass: bool = False
    ) -> tuple[bool, dict[str, Any]]:
        """DeleteObject: a delete marker, or a version gone for good. What is not there is deleted as well."""
        bucket = self.get_bucket(bucket_name)
        if version_id is not None:
            return True, self._delete_version(bucket, key_name, version_id, bypass=bypass)
        if not bucket.versioning_status:
            gone = bucket.keys.get(key_name)
            with backend_lock, suppress(KeyError):
                bucket.keys.pop(key_name)
            if gone is not None:
                notifications.send_event(self.account_id, REMOVED, bucket, gone)
            return True, {}
        marker = self.mark_deleted(bucket, key_name)
        notifications.send_event(self.account_id, MARKED, bucket, _told(marker))
        return True, {"version-id": marker.version_id, "delete-marker": "true"}

    def mark_deleted(self, bucket: FakeBucket, name: str, *, version_id: str | None = None) -> FakeDeleteMarker:
        """A new delete marker; one with a `version_id` is a replica."""
        marker = FakeDeleteMarker(key=SimpleNamespace(name=name))  # type: ignore[arg-type] # only the name is asked for
        marker._version_id = version_id or (secrets.token_hex(16) if bucket.is_versioned else "null")
        self._append(bucket, name, marker, replica=version_id is not None)
        return marker

    def _delete_version(self, bucket: FakeBucket, name: str, version_id: str, *, bypass: bool) -> dict[str, Any]:
        said: dict[str, Any] = {"version-id": version_id}
        with backend_lock:
            kept = list(bucket.keys.getlist(name, []))
            gone = next((one for one in kept if one.version_id == version_id), None)
            if gone is None:
                return said
            if isinstance(gone, FakeKey) and gone.is_locked(governance_bypass=bypass):
                raise AccessDeniedByLock
            kept.remove(gone)
            bucket.keys.setlist(name, kept)
            if not kept:
                bucket.keys.pop(name)
        if isinstance(gone, FakeDeleteMarker):
            return said | {"delete-marker": "true"}
        self.tagger.delete_all_tags_for_resource(gone.arn)
        notifications.send_event(self.account_id, REMOVED, bucket, _told(gone))
        return said

    def _append(self, bucket: FakeBucket, name: str, version: FakeKey | FakeDeleteMarker, *, replica: bool) -> None:
        with backend_lock:
            older = bucket.keys.getlist(name, [])
            if not bucket.is_versioned:
                older = [one for one in older if one.version_id != "null"]
            bucket.keys.setlist(name, [*older, version])
            if not replica:
                self.replicator.begin(bucket, name, version)


def _etag(value: bytes, encryption: str) -> str:
    """The MD5 of the bytes; with KMS, something that is none (aws-semantics 3.3)."""
    if encryption.startswith("aws:kms"):
        return secrets.token_hex(16)
    return hashlib.md5(value, usedforsecurity=False).hexdigest()


def _told(gone: FakeKey | FakeDeleteMarker) -> Any:
    """What an event says of what is no longer there."""
    return SimpleNamespace(name=gone.name, etag='""', size=0, version_id=gone.version_id)


def _permission(bucket: FakeBucket, action: str, resource: str) -> PermissionResult:
    asked = policy.context(bucket.account_id)
    said = policy.verdict(bucket.policy, action=action, resource=resource, asked=asked)
    return PERMISSIONS.get(str(said), PermissionResult.NEUTRAL)
