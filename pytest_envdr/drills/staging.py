"""A staging bucket beside a tenant's: configured like it, and filled from its versions or by AWS Backup.

The order matters (aws-semantics 3.6): what keeps the copies safe comes before them; what would act on them comes after,
or each copied object would be announced to the tenant's consumers, and old ones expire as soon as they are back.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pytest_envdr.aws import backup, s3, s3_acts, s3_copies
from pytest_envdr.drills.configuring import PUTS
from pytest_envdr.errors import Refused, WaitTimedOut
from pytest_envdr.journal import Inverse
from pytest_envdr.verify import bucket as verify

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.holdings import Held, Holding
    from pytest_envdr.journal import Journal

LIFETIME = timedelta(hours=12)
"""After how long nobody should find a staging bucket any more."""
PATIENCE = 2
"""How many times the RTO a restore job is waited for, so that one that comes late is measured all the same."""
FIRST = ("versioning", "ownership", "public-access-block", "encryption", "policy", "cors", "website")
LAST = ("lifecycle", "logging", "intelligent-tiering", "acceleration", "requester-pays")
"""Which aspects a staging bucket gets before its objects, and which after them."""
CONSISTENT_SECONDS = 30.0
"""How long a bucket's configuration may take to be seen as it was put."""
WITHHELD = {
    "tags": "its own tags: with the tenant's, backup plans and clean-ups would take it for the tenant's bucket",
    "replication": "none: the copies would be replicated into the replica of the original",
    "object-lock": "none: a locked copy could not be taken away again",
}
"""Aspects of the configuration that a staging bucket does not get on purpose, and why."""
HEADER = "x-amz-website-redirect-location"


@dataclass
class Staging:
    """A bucket of the drill's own with what was recovered.

    Attributes:
        bucket: its name.
        source: "versions" or "backup".
        refused: AWS's words for each object that could not be copied.
        left_out: objects that were not even tried, because they are archived.
        point: the recovery point; None from versions.
        job: AWS Backup's restore job, with what it said at its end; None from versions.
    """

    bucket: str
    source: str
    refused: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    point: backup.RecoveryPoint | None = None
    job: backup.RestoreJob | None = None


def newest_point(aws: Aws, bucket: str) -> backup.RecoveryPoint:
    """The newest recovery point of a bucket in the stack's vault.

    Raises:
        Refused: there is none.
        StackFileError: the stack file names no vault.
    """
    aws.stack.needs("backup")
    vault = aws.stack.backup.vault if aws.stack.backup else ""
    points = backup.recovery_points(aws, vault, arn(bucket))
    if not points:
        raise Refused(
            f"Nothing was touched: vault {vault} has no recovery point of bucket {bucket}.\n"
            f"Looked at: {aws.stack.path}: backup.vault\n"
            "To go on: let a backup plan select the bucket, and wait for its first backup."
        )
    return points[0]


def arn(bucket: str) -> str:
    """What AWS Backup calls a bucket."""
    return f"arn:aws:s3:::{bucket}"


def create(aws: Aws, journal: Journal, drill: Drill, before: Holding, *, source: str) -> Staging:
    """A bucket like the tenant's, as far as it has to be before the objects come."""
    name = f"{s3_acts.STAGING_PREFIX}{secrets.token_hex(5)}"
    tags = {
        "envdr:exercise": drill.exercise_id,
        "envdr:scenario": "tenant_bucket_recovery",
        "envdr:expires-at": (datetime.now(UTC) + LIFETIME).isoformat(timespec="seconds"),
        "envdr:source": before.bucket,
    }
    s3_acts.create_bucket(aws, journal, name, tags=tags)
    _configure(aws, journal, before.bucket, name, FIRST)
    return Staging(name, source)


def fill(aws: Aws, journal: Journal, before: Holding, staging: Staging, *, limit: int) -> None:
    """Copy the versions that a reader saw before the damage."""
    wanted = [held for held in before.objects.values() if not held.archived]
    staging.left_out = [held.key for held in before.objects.values() if held.archived]
    copies = [copy(before.bucket, held, held.version_id, to=staging.bucket) for held in wanted]
    made = s3_copies.fill(aws, journal, staging.bucket, copies, limit=limit)
    staging.refused = made.refused
    granted = {held.key: held.version_id for held in wanted if held.facts.get("acl") and held.key in made.versions}
    s3_copies.grant_like(aws, journal, before.bucket, granted, to=staging.bucket)


def copy(bucket: str, held: Held, version_id: str, *, to: str) -> s3_copies.Copy:
    """A copy of an object's version that is stored as `held` was: S3 itself would choose class and encryption anew."""
    kept: dict[str, Any] = {"StorageClass": held.storage_class}
    encryption = held.facts.get("encryption", {})
    if algorithm := encryption.get("algorithm"):
        kept["ServerSideEncryption"] = algorithm
    if key := encryption.get("key"):
        kept |= {"SSEKMSKeyId": key, "BucketKeyEnabled": "bucket key" in encryption}
    if redirect := held.facts.get("metadata", {}).get(HEADER):
        kept["WebsiteRedirectLocation"] = redirect
    return s3_copies.Copy(bucket, held.key, version_id, to, held.size, kept)


def restore(aws: Aws, journal: Journal, drill: Drill, before: Holding, staging: Staging) -> None:
    """Let AWS Backup write its newest recovery point into the staging bucket, and wait until it has.

    Raises:
        WaitFailed: the job failed; says what AWS Backup says.
        WaitTimedOut: it did not end within twice the RTO.
    """
    point = newest_point(aws, before.bucket)
    role = aws.stack.backup.role if aws.stack.backup else ""
    staging.point = point
    metadata = backup.restore_metadata(aws, point) | {
        "DestinationBucketName": staging.bucket,
        "NewBucket": "false",
        "EncryptionType": "original",
    }
    inverse = Inverse(
        "s3.DeleteObjects",
        {"Bucket": staging.bucket, "everything": True, "recovery_point": point.arn},
        f"nothing in bucket {staging.bucket}, and no restore job that still writes to it",
    )
    token = f"{drill.exercise_id}-{staging.bucket}"
    job = backup.start_restore(aws, journal, point, metadata=metadata, role=role, token=token, inverse=inverse)
    drill.note(f"restore job {job} writes the recovery point of {point.created_at:%Y-%m-%d %H:%M:%S} UTC")
    staging.job = drill.wait_until(
        lambda: backup.restore_job(aws, job),
        lambda now: now.status == "COMPLETED",
        failed=lambda now: f"{now.status}: {now.message}" if now.status in ("ABORTED", "FAILED") else None,
        what=f"restore job {job} completed",
        deadline=PATIENCE * drill.rto_seconds,
        longest_interval=2.0,
        shown=lambda now: f"{now.status} {now.percent} {now.message}",
    )
    if staging.job.message:
        # Objects that fail do not fail the job (aws-semantics 3.8).
        drill.note(f"restore job {job} says: {staging.job.message}")


def finish(aws: Aws, journal: Journal, drill: Drill, before: Holding, staging: Staging) -> None:
    """The rest of the configuration, once the objects are there; notifications last. A bucket's configuration is
    eventually consistent (aws-semantics 3.7): what was put is waited for, and judged later, seen or not."""
    _configure(aws, journal, before.bucket, staging.bucket, LAST)
    if raw := s3.configuration(aws, before.bucket, "notification"):
        s3_acts.announce(aws, journal, staging.bucket, raw)
    with suppress(WaitTimedOut):
        drill.wait_until(
            lambda: _unseen(aws, before, staging),
            lambda aspects: not aspects,
            what=f"the configuration of {staging.bucket} being seen",
            deadline=CONSISTENT_SECONDS,
            shown=", ".join,
        )


def _unseen(aws: Aws, before: Holding, staging: Staging) -> list[str]:
    """The aspects that are not yet as they were put."""
    found = verify.compare_configuration(before.configuration, verify.configuration(aws, staging.bucket))
    return [one.kind for one in found if one.kind not in WITHHELD and one.kind != "unreadable"]


def _configure(aws: Aws, journal: Journal, bucket: str, to: str, aspects: Iterable[str]) -> None:
    for aspect in aspects:
        raw = s3.configuration(aws, bucket, aspect)
        for operation, arguments in PUTS[aspect](raw, bucket, to):
            s3_acts.configure(aws, journal, to, f"s3.{operation}", **arguments)
