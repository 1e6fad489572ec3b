"""A staging bucket beside a tenant's: configured like it, and filled from its versions or by AWS Backup.

The order matters (aws-semantics 3.6): what keeps the copies safe comes before them; what would act on them comes after,
or each copied object would be announced to the tenant's consumers, and old ones expire as soon as they are back.
"""

from __future__ import annotations

import json
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pytest_envdr.aws import backup, s3, s3_acts, s3_copies
from pytest_envdr.errors import Refused, WaitTimedOut
from pytest_envdr.journal import Inverse
from pytest_envdr.verify import bucket as verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.holdings import Held, Holding
    from pytest_envdr.journal import Journal

LIFETIME = timedelta(hours=12)
"""After how long nobody should find a staging bucket any more."""
PATIENCE = 2
"""How many times the RTO a restore job is waited for, so that one that comes late is measured all the same."""
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


Puts = list[tuple[str, dict[str, Any]]]


def _versioning(raw: Any, *_: str) -> Puts:
    return [("PutBucketVersioning", {"VersioningConfiguration": {"Status": raw["Status"]}})]


def _ownership(raw: Any, *_: str) -> Puts:
    """Without one ACLs count; a bucket made today has one that disables them."""
    return (
        [("PutBucketOwnershipControls", {"OwnershipControls": raw})] if raw else [("DeleteBucketOwnershipControls", {})]
    )


def _public_access_block(raw: Any, *_: str) -> Puts:
    name = "PublicAccessBlockConfiguration"
    return [("PutPublicAccessBlock", {name: raw})] if raw else [("DeletePublicAccessBlock", {})]


def _policy(raw: Any, bucket: str, to: str) -> Puts:
    """Rewritten for the new name; a policy for the old one S3 would refuse."""
    if not raw:
        return []
    own = re.compile(rf"(arn:aws[a-z-]*:s3:::){re.escape(bucket)}(?=$|/)")
    return [("PutBucketPolicy", {"Policy": json.dumps(_renamed(json.loads(raw), own, to))})]


def _renamed(value: Any, own: re.Pattern[str], to: str) -> Any:
    if isinstance(value, dict):
        return {name: _renamed(one, own, to) for name, one in value.items()}
    if isinstance(value, list):
        return [_renamed(one, own, to) for one in value]
    return own.sub(rf"\g<1>{to}", value) if isinstance(value, str) else value


def _put(operation: str, argument: str, *keys: str) -> Callable[..., Puts]:
    """A part that is given as it was read; `keys` are those of the answer that the request takes, "" for all of it."""

    def puts(raw: Any, *_: str) -> Puts:
        value = {key: raw[key] for key in keys if key in raw} if keys and isinstance(raw, dict) else raw
        return [(operation, {argument: value})] if value else []

    return puts


def _cors(raw: Any, *_: str) -> Puts:
    return [("PutBucketCors", {"CORSConfiguration": {"CORSRules": raw}})] if raw else []


def _lifecycle(raw: Any, *_: str) -> Puts:
    """The default of the minimum size is a parameter of the call, not a part of the configuration."""
    if not raw or not raw.get("Rules"):
        return []
    rest = {name: raw[name] for name in ("TransitionDefaultMinimumObjectSize",) if raw.get(name)}
    return [("PutBucketLifecycleConfiguration", {"LifecycleConfiguration": {"Rules": raw["Rules"]}, **rest})]


def _logging(raw: Any, *_: str) -> Puts:
    return [("PutBucketLogging", {"BucketLoggingStatus": {"LoggingEnabled": raw}})] if raw else []


def _tiering(raw: Any, *_: str) -> Puts:
    operation, argument = "PutBucketIntelligentTieringConfiguration", "IntelligentTieringConfiguration"
    return [(operation, {"Id": row["Id"], argument: row}) for row in raw or []]


def _acceleration(raw: Any, *_: str) -> Puts:
    return [("PutBucketAccelerateConfiguration", {"AccelerateConfiguration": {"Status": raw}})] if raw else []


def _payer(raw: Any, *_: str) -> Puts:
    """BucketOwner is what holds without a word."""
    wanted = raw and raw != "BucketOwner"
    return [("PutBucketRequestPayment", {"RequestPaymentConfiguration": {"Payer": raw}})] if wanted else []


FIRST = ("versioning", "ownership", "public-access-block", "encryption", "policy", "cors", "website")
LAST = ("lifecycle", "logging", "intelligent-tiering", "acceleration", "requester-pays")
PUTS: dict[str, Callable[..., Puts]] = {
    "versioning": _versioning,
    "ownership": _ownership,
    "public-access-block": _public_access_block,
    "encryption": _put("PutBucketEncryption", "ServerSideEncryptionConfiguration"),
    "policy": _policy,
    "cors": _cors,
    "website": _put("PutBucketWebsite", "WebsiteConfiguration"),
    "lifecycle": _lifecycle,
    "logging": _logging,
    "intelligent-tiering": _tiering,
    "acceleration": _acceleration,
    "requester-pays": _payer,
}
"""What puts each aspect that a staging bucket gets: from what was read of the original, its name and the new one."""
