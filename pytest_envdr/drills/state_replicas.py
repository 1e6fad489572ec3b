"""Where S3 replicates a state to: whether the way back is there too, and what of a drill is carried along.

Replication copies every new version, and no deletion of one: what a drill writes and takes away again stays in the
replica. So its copies are taken away there as well, and the stack's own state is not lost in a way that its replica
would follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_envdr.aws import s3
from pytest_envdr.drills import Finding
from pytest_envdr.errors import AwsError, Refused
from pytest_envdr.journal import Inverse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.journal import Journal
    from pytest_envdr.tables import Terraform as Row

MARKERS = ("deleted", "locked")
"""The losses that write no version, but a delete marker: a replica follows only where its rule says so."""


@dataclass(frozen=True)
class Replica:
    """A bucket that an object's versions are replicated to: `account` is its owner where that is another one's, and
    `markers` whether it gets delete markers too."""

    bucket: str
    account: str
    markers: bool


def applies(rule: Mapping[str, Any], key: str) -> bool:
    """Whether a rule of a bucket, of its lifecycle or its replication, is for an object without tags."""
    where = rule.get("Filter") or {}
    both = where.get("And", {})
    prefix = both.get("Prefix", where.get("Prefix", rule.get("Prefix", "")))
    by_tag = "Tag" in where or both.get("Tags")
    return rule.get("Status") == "Enabled" and key.startswith(prefix or "") and not by_tag


def replicas(aws: Aws, bucket: str, key: str) -> list[Replica]:
    """Where a key's new versions are replicated to; nowhere where no rule in force is for it.

    Raises:
        AwsError: it may not be read.
    """
    rules = (s3.configuration(aws, bucket, "replication") or {}).get("Rules", [])
    return [_replica(aws, rule) for rule in rules if applies(rule, key)]


def _replica(aws: Aws, rule: Mapping[str, Any]) -> Replica:
    there = rule["Destination"]
    account = str(there.get("Account", ""))
    # A rule of the first form, without a filter, replicates delete markers.
    markers = "Filter" not in rule or rule.get("DeleteMarkerReplication", {}).get("Status") == "Enabled"
    return Replica(str(there["Bucket"]).split(":::")[-1], "" if account == aws.stack.account else account, markers)


def check_replicated(aws: Aws, row: Row) -> Iterator[Finding]:
    """Whether the state as it is has a copy where it is replicated to."""
    status = s3.head(aws, row.bucket, row.object_key).replication
    where = ", ".join(one.bucket for one in replicas(aws, row.bucket, row.object_key))
    if where and status == "FAILED":
        title = f"The state could not be replicated to {where}: it is in its own bucket alone"
        remedy = "Look at the replication's role, at the destination's policy and at its key."
        yield Finding("state.replica", "failure", title, "ReplicationStatus FAILED", remedy)
    elif where and not status:
        title = f"The state was never replicated to {where}: it was written before the rule was there"
        yield Finding("state.replica", "warning", title, "", "Apply once more, or run a batch replication.")


def check_kept(aws: Aws, row: Row, loss: str) -> None:
    """Refuse to lose the stack's own state in a way that its replica would follow: nothing here brings that back.

    Raises:
        Refused: it is replicated.
    """
    followed = [one.bucket for one in replicas(aws, row.bucket, row.object_key) if one.markers or loss not in MARKERS]
    if followed:
        raise Refused(
            f"Nothing was touched: the state {row.bucket}/{row.object_key} is replicated to {', '.join(followed)}, "
            f"and so a state that is {loss} would be.\nTo go on: lose a copy of it."
        )


def expect(aws: Aws, journal: Journal, drill: Drill, own: Row, prefix: str) -> None:
    """Write down that a drill's copies will be replicated. Undone, nothing under their prefix is there either.

    Replicas in another account's bucket are told as a finding: they stay there.
    """
    for replica in replicas(aws, own.bucket, own.object_key):
        if replica.account:
            title = (
                f"Copies of the state are replicated to {replica.bucket} of account {replica.account}, and stay there"
            )
            remedy = "Leave the prefix envdr/ out of the replication's rule."
            drill.finding(Finding("state.replicas-left", "warning", title, prefix, remedy))
            continue
        where = {"Bucket": replica.bucket, "prefix": prefix, "everything": True, "replica": True}
        words = f"nothing under {prefix} in bucket {replica.bucket}, which {own.bucket} is replicated to"
        inverse = Inverse("s3.DeleteObjects", where, words, region=_region(aws, replica.bucket))
        with journal.intending("s3.ExpectReplicas", {"Bucket": replica.bucket, "prefix": prefix}, inverse=inverse):
            drill.note(f"copies of it are replicated to {replica.bucket}, and taken away there too")


def _region(aws: Aws, bucket: str) -> str:
    """Where the bucket is; the stack's own Region where that may not be asked, from which S3 finds it as well."""
    try:
        return s3.region(aws, bucket)
    except AwsError:
        return ""
