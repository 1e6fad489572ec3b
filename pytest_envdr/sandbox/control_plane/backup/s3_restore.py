"""Writing a bucket's recovery point back: what AWS Backup restores, skips, and silently leaves out.

Source: AWS Backup developer guide, "Restoring S3 data": only the latest version; into the STANDARD class; a key that is
there is skipped, never overwritten; what came later is not removed; ACLs must be enabled on the destination if the
backup holds them, or the job fails; with Block Public Access, objects with public ACLs are not restored, though the job
completes; up to five items of an item-level restore; an object that fails does not fail the job.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moto.core.exceptions import ServiceException
from moto.s3 import notifications
from moto.s3.models import ALL_USERS_GRANTEE, AUTHENTICATED_USERS_GRANTEE, FakeDeleteMarker
from werkzeug.exceptions import HTTPException

from pytest_envdr.sandbox.control_plane.backup.errors import InvalidParameterValueException, JobFailed
from pytest_envdr.sandbox.control_plane.backup.s3_content import acls_enabled, backend

if TYPE_CHECKING:
    from collections.abc import Mapping

    from moto.s3.models import FakeBucket, FakeKey, S3Backend

    from pytest_envdr.sandbox.control_plane.backup.background import Progress
    from pytest_envdr.sandbox.control_plane.backup.s3_content import BucketContent, Version

CREATED = notifications.S3NotificationEvent.OBJECT_CREATED_PUT_EVENT
MOST_ITEMS = 5
TYPES = {"original", "sse-s3", "sse-kms"}
TRUE = "true"


@dataclass(frozen=True)
class Order:
    """A restore's metadata, read.

    Attributes:
        items: the keys of an item-level restore; None for the whole bucket.
        encryption: `original`, `sse-s3` or `sse-kms`.
    """

    destination: str
    new: bool
    items: tuple[str, ...] | None
    encryption: str
    key: str | None


@dataclass
class Outcome:
    """What a restore did: keys restored, keys that were there already, and each failure as a sentence."""

    restored: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def order(metadata: Mapping[str, str]) -> Order:
    """Read StartRestoreJob's metadata; the names' case does not count.

    Raises:
        InvalidParameterValueException: AWS Backup would not take it.
    """
    given = {name.lower(): value for name, value in metadata.items()}
    destination = given.get("destinationbucketname")
    if not destination:
        raise InvalidParameterValueException("DestinationBucketName is required in the restore metadata.")
    encryption = given.get("encryptiontype", "original").lower()
    if encryption not in TYPES:
        raise InvalidParameterValueException(f"Invalid EncryptionType: {given['encryptiontype']}")
    key = given.get("kmskey") or given.get("kmskeyid")
    if encryption == "sse-kms" and not key:
        raise InvalidParameterValueException("KMSKey is required with EncryptionType SSE-KMS.")
    if given.get("restoretime"):
        raise InvalidParameterValueException("RestoreTime is only for continuous backups.")
    is_new = given.get("newbucket", "false").lower() == TRUE
    return Order(destination, is_new, _items(given.get("itemstorestore")), encryption, key)


def _items(text: str | None) -> tuple[str, ...] | None:
    if not text:
        return None
    try:
        items = json.loads(text)
    except ValueError as error:
        raise InvalidParameterValueException("ItemsToRestore must be a JSON array of strings.") from error
    if not isinstance(items, list) or not 1 <= len(items) <= MOST_ITEMS:
        raise InvalidParameterValueException(f"ItemsToRestore must hold one to {MOST_ITEMS} items.")
    return tuple(_key(str(item)) for item in items)


def _key(item: str) -> str:
    """The key of an S3 URI, or of a bare key."""
    return item.removeprefix("s3://").partition("/")[2] if item.startswith("s3://") else item


def destination(account: str, region: str, wanted: Order, content: BucketContent) -> FakeBucket:
    """The bucket to restore into, made where it shall be new.

    Raises:
        JobFailed: there is none, or it cannot take this backup.
    """
    s3 = backend(account)
    bucket = _created(s3, region, wanted, content) if wanted.new else s3.buckets.get(wanted.destination)
    if bucket is None:
        raise JobFailed(f"The destination bucket {wanted.destination} does not exist.")
    if content.with_acls and not acls_enabled(bucket):
        raise JobFailed(
            f"Access Control Lists (ACLs) are disabled on the destination bucket {bucket.name}, but are in the backup."
            " Enable ACLs on the bucket, or exclude them from backups."
        )
    return bucket


def _created(s3: S3Backend, region: str, wanted: Order, content: BucketContent) -> FakeBucket:
    try:
        bucket = s3.create_bucket(wanted.destination, region)
    except (ServiceException, HTTPException) as error:
        raise JobFailed(f"The bucket {wanted.destination} could not be created: {error}") from error
    if content.with_acls:
        bucket.ownership_rule = {"Rule": {"ObjectOwnership": "ObjectWriter"}}
    return bucket


def write(account: str, bucket: FakeBucket, wanted: Order, content: BucketContent, progress: Progress) -> Outcome:
    """Write the objects; what went wrong with single ones is in the outcome."""
    outcome, latest = Outcome(), content.latest()
    keys = list(latest) if wanted.items is None else list(wanted.items)
    for number, key in enumerate(keys):
        if progress.cancelled:
            break
        progress.tell(number, len(keys))
        if key not in latest:
            outcome.failures.append(f"{key}: the recovery point does not hold it.")
        else:
            _write_one(backend(account), bucket, wanted, latest[key], outcome)
    return outcome


def _write_one(s3: S3Backend, bucket: FakeBucket, wanted: Order, version: Version, outcome: Outcome) -> None:
    current = bucket.keys.get(version.key)
    if current is not None and not isinstance(current, FakeDeleteMarker):
        outcome.skipped.append(version.key)
    elif _is_public(version) and _blocks_public_acls(bucket):
        return  # silently: neither restored nor a failure
    else:
        try:
            _put(s3, bucket, wanted, version)
        except (ServiceException, HTTPException) as error:
            outcome.failures.append(f"{version.key}: {error}")
        else:
            outcome.restored.append(version.key)


def _put(s3: S3Backend, bucket: FakeBucket, wanted: Order, version: Version) -> None:
    key = s3.put_object(
        bucket.name,
        version.key,
        version.body or b"",
        storage="STANDARD",
        disable_notification=True,
        **_encryption(wanted, version),
    )
    key.set_metadata(dict(version.metadata), replace=True)
    if version.acl is not None:
        key.set_acl(version.acl)
    if version.tags:
        s3.put_object_tagging(key, dict(version.tags))
    _carry(key, version)
    # Whoever is told of the object finds it whole.
    notifications.send_event(s3.account_id, CREATED, bucket, key)


def _carry(key: FakeKey, version: Version) -> None:
    """What put_object has no parameter for. A checksum of parts does not hold for one written in a single part."""
    key.website_redirect_location = version.more["website_redirect_location"]
    if version.more["checksum_type"] != "COMPOSITE" and version.more["checksum_value"]:
        for name in ("checksum_algorithm", "checksum_value", "checksum_type"):
            setattr(key, name, version.more[name])


def _encryption(wanted: Order, version: Version) -> dict[str, Any]:
    if wanted.encryption == "sse-s3":
        return {"encryption": "AES256"}
    if wanted.encryption == "sse-kms":
        return {"encryption": "aws:kms", "kms_key_id": wanted.key}
    return {name: version.more[name] for name in ("encryption", "kms_key_id", "bucket_key_enabled")}


def _is_public(version: Version) -> bool:
    public = (ALL_USERS_GRANTEE, AUTHENTICATED_USERS_GRANTEE)
    grants = version.acl.grants if version.acl else []
    return any(grantee in public for grant in grants for grantee in grant.grantees)


def _blocks_public_acls(bucket: FakeBucket) -> bool:
    block = bucket.public_access_block
    return block is not None and bool(block.block_public_acls)
