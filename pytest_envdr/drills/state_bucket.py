"""Whether a lost state can be recovered from its bucket at all, next year as well (aws-semantics 7.10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_envdr.aws import kms, s3
from pytest_envdr.drills import Finding
from pytest_envdr.drills.state_replicas import applies, check_replicated, replicas
from pytest_envdr.errors import NotFound, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_envdr.aws import Aws
    from pytest_envdr.tables import Terraform as Row

COLD = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Classes that a version comes back from in hours."""


def check_versioned(aws: Aws, bucket: str) -> None:
    """Refuse a bucket without versions: what is lost there is gone.

    Raises:
        Refused: versioning is off, or suspended.
    """
    status = (s3.configuration(aws, bucket, "versioning") or {}).get("Status", "off")
    if status != "Enabled":
        raise Refused(
            f"Nothing was touched: versioning of bucket {bucket} is {status}, so a state that is lost there is gone.\n"
            f"To go on: aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled"
        )


def check_unlocked(aws: Aws, bucket: str) -> None:
    """Refuse a bucket that locks every new version: the drill's own could not be taken away for years.

    Raises:
        Refused: it has a default retention.
    """
    lock = s3.configuration(aws, bucket, "object-lock") or {}
    if lock.get("Rule", {}).get("DefaultRetention"):
        raise Refused(f"Nothing was touched: bucket {bucket} locks every new version, and so the drill's own.")


def check_recoverable(aws: Aws, row: Row) -> list[Finding]:
    """What keeps a state from being recovered when it is needed: findings, none where nothing does."""
    rules = (s3.configuration(aws, row.bucket, "lifecycle") or {}).get("Rules", [])
    found = [finding for rule in rules if applies(rule, row.object_key) for finding in _of_rule(rule, row)]
    return [*found, *_of_keys(aws, row), *_of_copies(aws, row)]


def _of_rule(rule: Mapping[str, Any], row: Row) -> Iterator[Finding]:
    name = f"lifecycle rule {rule.get('ID', 'without a name')!r} of {row.bucket}"
    expiry = rule.get("NoncurrentVersionExpiration", {})
    days, kept = expiry.get("NoncurrentDays"), expiry.get("NewerNoncurrentVersions")
    if days is not None and days < row.exercise_days:
        yield Finding(
            "state.expiry",
            "warning" if kept else "failure",
            f"Versions of the state are deleted {days} days after they were replaced, and exercises are "
            f"{row.exercise_days} days apart",
            f"{name}" + (f"; the {kept} newest are kept" if kept else ""),
            f"Keep noncurrent versions for {row.exercise_days} days or more (NoncurrentDays).",
        )
    if rule.get("Expiration", {}).keys() & {"Days", "Date"}:
        yield Finding(
            "state.expires", "failure", "The state itself expires", name, "Leave the state out of the rule's prefix."
        )
    cold = [one["StorageClass"] for one in rule.get("NoncurrentVersionTransitions", []) if one["StorageClass"] in COLD]
    if cold:
        title = f"Versions of the state move to {cold[0]}: they come back in hours"
        yield Finding("state.cold", "failure", title, name, "Leave the state out of the rule's prefix.")


def _of_keys(aws: Aws, row: Row) -> Iterator[Finding]:
    encryption = s3.configuration(aws, row.bucket, "encryption") or {}
    rules = [rule.get("ApplyServerSideEncryptionByDefault", {}) for rule in encryption.get("Rules", [])]
    keys = {rule["KMSMasterKeyID"] for rule in rules if rule.get("KMSMasterKeyID")}
    head = s3.head(aws, row.bucket, row.object_key)
    if not rules and not head.encryption:
        title = f"Neither bucket {row.bucket} nor the state is said to be encrypted: a state holds secrets"
        yield Finding("state.plain", "warning", title, "", "Set the bucket's default encryption.")
    for key in sorted(keys | ({head.encryption_key} if head.encryption_key else set())):
        status = _key_state(aws, key)
        if status != "Enabled":
            title = f"The key that the state is encrypted with is {status}: without it no version can be read"
            yield Finding("state.key", "failure", title, key, "Cancel the key's deletion, or enable it.")


def _key_state(aws: Aws, key: str) -> str:
    try:
        return kms.key_state(aws, key)
    except NotFound:
        return "not there"


def _of_copies(aws: Aws, row: Row) -> Iterator[Finding]:
    locked = (s3.configuration(aws, row.bucket, "object-lock") or {}).get("ObjectLockEnabled") == "Enabled"
    deletion = (s3.configuration(aws, row.bucket, "versioning") or {}).get("MFADelete") == "Enabled"
    yield from check_replicated(aws, row)
    if not (replicas(aws, row.bucket, row.object_key) or locked or deletion):
        rules = (s3.configuration(aws, row.bucket, "replication") or {}).get("Rules", [])
        yield Finding(
            "state.alone",
            "warning",
            f"Bucket {row.bucket} is neither replicated nor protected by Object Lock or MFA delete: who may delete its "
            "versions deletes the way back",
            f"its {len(rules)} rules of replication leave the state out" if rules else "",
            "Replicate it to another Region and account.",
        )
