"""A bucket's recovery point: every version of every object, with its bytes.

Source: AWS Backup developer guide, "Amazon S3 backups": versioning is a prerequisite; archived objects are not backed
up; backups are incremental, which here means that a version's bytes are kept once for all recovery points.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC
from typing import TYPE_CHECKING, Any

from moto.s3.models import FakeDeleteMarker, FakeKey, s3_backends

from pytest_envdr.sandbox.control_plane.backup.errors import JobFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from moto.s3.models import FakeAcl, FakeBucket, S3Backend

    from pytest_envdr.sandbox.control_plane.backup.background import Progress

ARCHIVED = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Storage classes that AWS Backup does not read."""
PARTITION = "aws"
CARRIED = (
    "encryption",
    "kms_key_id",
    "bucket_key_enabled",
    "website_redirect_location",
    "checksum_algorithm",
    "checksum_value",
    "checksum_type",
    "checksum_parts",
)
"""What moto keeps of an object beside bytes, metadata, tags and ACL."""


@dataclass(frozen=True)
class Version:
    """One version of an object, or a delete marker.

    Attributes:
        body: its bytes; None for a delete marker.
        tags: None where the backup leaves them out.
        acl: likewise.
        more: the attributes of `CARRIED`.
    """

    key: str
    version: str
    modified: datetime
    body: bytes | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] | None = None
    acl: FakeAcl | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class BucketContent:
    """What a recovery point holds of a bucket.

    Attributes:
        versions: of each key, oldest first.
        with_acls: whether ACLs were enabled on the bucket and are in the backup.
        skipped: the keys whose archived versions are not in it.
    """

    bucket: str
    with_acls: bool
    versions: dict[str, list[Version]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes, of all versions."""
        return sum(len(version.body or b"") for version in self.each())

    def each(self) -> Iterator[Version]:
        for versions in self.versions.values():
            yield from versions

    def latest(self) -> dict[str, Version]:
        """What a restore takes: each key's newest version; a delete marker counts as absent."""
        newest = {key: versions[-1] for key, versions in self.versions.items()}
        return {key: version for key, version in newest.items() if version.body is not None}

    def copied(self) -> BucketContent:
        """The same, of which nothing goes when this is deleted."""
        return replace(self, versions={key: list(each) for key, each in self.versions.items()})

    def delete(self) -> None:
        """Forget all."""
        self.versions = {}


def backend(account: str) -> S3Backend:
    """moto's S3 of an account."""
    return s3_backends[account][PARTITION]


def bucket_of(account: str, arn: str) -> FakeBucket | None:
    """The bucket of an ARN, where the account has it."""
    return backend(account).buckets.get(arn.split(":")[5])


def acls_enabled(bucket: FakeBucket) -> bool:
    """Whether its object ownership leaves ACLs on: not with BucketOwnerEnforced, which is S3's default."""
    return bucket.ownership_rule is not None and "BucketOwnerEnforced" not in str(bucket.ownership_rule)


def take(
    account: str, bucket: FakeBucket, options: Mapping[str, str], previous: BucketContent | None, progress: Progress
) -> BucketContent:
    """Copy a bucket; versions that `previous` holds share its bytes."""
    if bucket.versioning_status != "Enabled":
        raise JobFailed(
            f"Bucket {bucket.name} does not have versioning enabled. AWS Backup for S3 requires versioning."
        )
    options = {name.lower(): value.lower() for name, value in options.items()}
    content = BucketContent(bucket.name, acls_enabled(bucket) and options.get("backupacls") != "disabled")
    known = {(v.key, v.version): v.body for v in previous.each() if v.body is not None} if previous else {}
    wanted = _Wanted(backend(account), options.get("backupobjecttags") != "disabled", content.with_acls, known)
    keys = sorted(bucket.keys._self_iterable())
    for number, key in enumerate(keys):
        if progress.cancelled:
            break
        progress.tell(number, len(keys))
        _take_key(wanted, key, list(bucket.keys.getlist(key, [])), content)
    return content


@dataclass(frozen=True)
class _Wanted:
    s3: S3Backend
    tags: bool
    acls: bool
    known: Mapping[tuple[str, str], bytes]


def _take_key(wanted: _Wanted, key: str, stored: list[FakeKey | FakeDeleteMarker], content: BucketContent) -> None:
    versions = []
    for one in stored:
        if isinstance(one, FakeDeleteMarker):
            versions.append(Version(key, one.version_id, one.last_modified.replace(tzinfo=UTC)))
        elif one.storage_class in ARCHIVED:
            content.skipped.append(key)
        else:
            versions.extend(_taken(wanted, one))
    if versions:
        content.versions[key] = versions


def _taken(wanted: _Wanted, one: FakeKey) -> Iterator[Version]:
    identity = (one.name, one.version_id)
    body = wanted.known.get(identity) if one.version_id != "null" else None
    if body is None:
        try:
            body = one.value
        except ValueError:  # its file is closed: the version was deleted a moment ago
            return
    yield Version(
        *identity,
        modified=one.last_modified.replace(tzinfo=UTC),
        body=body,
        metadata=dict(one.metadata),
        tags=wanted.s3.tagger.get_tag_dict_for_resource(one.arn) if wanted.tags else None,
        acl=one.acl if wanted.acls else None,
        more={name: getattr(one, name, None) for name in CARRIED},
    )
