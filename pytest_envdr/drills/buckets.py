"""A tenant's bucket that is damaged, and recovered into a staging bucket beside it; merged back where that is allowed.

The original is versioned, so the damage adds versions and delete markers and takes nothing away: what the drill added
is deleted again when it ends, by its ids, and nothing else is.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pytest_envdr import guard, undo
from pytest_envdr.aws import backup, rds, s3, s3_acts, s3_copies
from pytest_envdr.drills import Finding, bucket_checks, merging, staging
from pytest_envdr.drills.holdings import check_fit, ids
from pytest_envdr.drills.restores import source_server
from pytest_envdr.drills.tenancy import tenancy
from pytest_envdr.errors import AwsError, NotCleared, Refused, UndoFailed
from pytest_envdr.timeline import Mark, Phase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_envdr.aws import Aws
    from pytest_envdr.aws.s3_acts import Made
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.bucket_checks import Checked
    from pytest_envdr.drills.holdings import Holding
    from pytest_envdr.drills.merging import Plan
    from pytest_envdr.drills.staging import Staging
    from pytest_envdr.journal import Journal
    from pytest_envdr.verify.bucket import Difference

__all__ = ["Damage", "Merge", "Source", "TenantBucketCopy", "copied", "tenant_bucket"]

Damage = Literal["deleted", "overwritten", "emptied"]
"""`deleted` and `overwritten` hit every other object, up to `DAMAGED`; `emptied` hits all of them."""
Source = Literal["versions", "backup"]

SCENARIO = "tenant_bucket_recovery"
DAMAGED = 100
SEEN_SECONDS = 30.0
RUBBISH = b"Written over by a disaster-recovery exercise.\n"


@dataclass(frozen=True)
class Merge:
    """What was merged into the original: how many objects, and what differs from the manifest after that."""

    copied: int
    differences: tuple[Difference, ...]


class TenantBucketCopy:
    """A damaged bucket, and the steps that recover it beside, in this order: `wait_until_seen`, `recover`, `check`,
    `plan`, `merge`.

    Attributes:
        before: the original as it was.
        source: what it is recovered from.
        fault: when it was damaged.
        damage: the ids of the versions and markers that the damage made, by key.
        staging: the bucket of the drill's own; None until `recover`.
    """

    def __init__(
        self, aws: Aws, journal: Journal, drill: Drill, before: Holding, *, source: Source, limit: int
    ) -> None:
        self.before = before
        self.source: Source = source
        self.fault = datetime.now(UTC)
        self.damage: dict[str, str] = {}
        self.staging: Staging | None = None
        self._aws, self._journal, self._drill, self._limit = aws, journal, drill, limit
        self._plan: Plan | None = None

    @property
    def _aside(self) -> Staging:
        if self.staging is None:
            raise Refused("The bucket was not recovered yet: call `recover` first.")
        return self.staging

    def wait_until_seen(self) -> None:
        """Until a reader sees every damaged object gone or changed; marks SEEN."""
        was = {key: self.before.objects[key].etag for key in self.damage}

        def unharmed() -> set[str]:
            found = {one.key: one.etag for page in s3.object_pages(self._aws, self.before.bucket) for one in page}
            return {key for key, etag in was.items() if found.get(key) == etag}

        self._drill.wait_until(
            unharmed,
            lambda keys: not keys,
            what=f"the damage of {len(was)} objects of {self.before.bucket} being seen",
            deadline=SEEN_SECONDS,
            shown=lambda keys: f"{len(keys)} objects as before",
        )
        self._drill.mark(Mark.SEEN, by="a reader")

    def recover(self) -> Staging:
        """Make a staging bucket like the original, and bring into it what was there; marks RECOVERED.

        Raises:
            WaitFailed: AWS Backup gave up.
            WaitTimedOut: its job did not end within twice the RTO.
        """
        self.staging = _recovered(
            self._aws, self._journal, self._drill, self.before, source=self.source, limit=self._limit
        )
        self._drill.mark(Mark.RECOVERED, error_seconds=0.0)
        return self.staging

    def check(self) -> Checked:
        """Hold the staging bucket against the manifest: differences are findings; marks VERIFIED where there are none
        that fail. What AWS Backup restored gets the verdict in AWS's own trail too."""
        checked = bucket_checks.check_staging(self._aws, self._drill, self.before, self._aside, fault=self.fault)
        if not checked.failures:
            self._drill.mark(Mark.VERIFIED)
        _post_verdict(self._aws, self._journal, self._aside, checked)
        return checked

    def plan(self) -> Plan:
        """What of the copy goes back into the original, and how; attached as JSON and as a shell script."""
        self._plan = merging.plan(self._aws, self.before, self._aside, damage=self.damage, limit=self._limit)
        merging.tell(self._aws, self._drill, self._plan)
        return self._plan

    def merge(self) -> Merge | None:
        """Apply the plan to the original, and prove it: the original is what its manifest says. Nothing is done, and
        that is a deviation, where the approval does not allow it.

        Conflicts are left alone, and so is what the copy does not have.
        """
        made = self._plan or self.plan()
        try:
            guard.check_allowed(self._aws.stack, SCENARIO, "merge", datetime.now(UTC).astimezone().date())
        except NotCleared as error:
            self._drill.deviation(f"The plan was not applied: {error}")
            return None
        done = merging.apply(self._aws, self._journal, made, limit=self._limit)
        self._drill.mark("merged")
        return self._proven(made, done)

    def _proven(self, made: Plan, done: Made) -> Merge:
        theirs = self._written_since(made, done)
        if theirs:
            self._drill.note(f"{len(theirs)} objects were written by somebody since the plan: {sorted(theirs)[:5]}")
        spared = {*made.keys("conflict"), *self._aside.left_out, *self._lost(), *theirs}
        found = bucket_checks.differences(self._aws, self.before, self.before.bucket, history=False)
        wrong = tuple(difference for difference in found if difference.key not in spared)
        if wrong or done.refused:
            self._drill.finding(
                Finding(
                    "bucket.merge",
                    "failure",
                    f"{self.before.bucket} is not what it was after the merge",
                    "; ".join([*map(str, wrong[:3]), *list(done.refused.values())[:3]]),
                    "Look at the merge plan, and at what in the staging bucket changed since it was checked.",
                )
            )
        self._drill.note(f"merged into {self.before.bucket}: {len(done.versions)} objects; {len(wrong)} differences")
        return Merge(len(done.versions), wrong)

    def _written_since(self, made: Plan, done: Made) -> set[str]:
        """Keys whose newest version is neither known to the plan nor the merge's own."""
        return {
            version.key
            for version in s3.versions(self._aws, self.before.bucket)
            if version.latest
            and version.version_id not in made.known.get(version.key, ())
            and version.version_id != done.versions.get(version.key)
        }

    def _lost(self) -> set[str]:
        """Keys that the recovery point has otherwise: their newest write is lost, which is told elsewhere."""
        return set(bucket_checks.written_after(self.before, self._aside))


def tenant_bucket(aws: Aws) -> str:
    """The bucket of the stack's drill tenant, as its central database says.

    Raises:
        StackFileError: the stack file does not name database and drill tenant.
        Refused: the database cannot be asked, does not know the tenant, or knows no bucket of it.
    """
    aws.stack.needs("database", "drill_tenant")
    instance = aws.stack.database.instance if aws.stack.database else ""
    found = tenancy(aws, source_server(aws, rds.instance(aws, instance))).subject
    if not found.bucket:
        raise Refused(f"Nothing was touched: the central database knows no bucket of tenant {found.slug}.")
    return found.bucket


def _damaged(aws: Aws, journal: Journal, drill: Drill, before: Holding, damage: Damage) -> dict[str, str]:
    """Do the damage; the id of what it put on top of each key. What a key had before is in the journal first."""
    current = {key: held.version_id for key, held in before.objects.items()}
    latest = {key: version.version_id for key, version in before.latest.items()}
    keys = [key for key in sorted(current) if latest.get(key) == current[key]]
    if damage != "emptied":
        keys = keys[::2][:DAMAGED]
    known = {key: before.known[key] for key in keys}
    if damage == "overwritten":
        made = s3_acts.overwrite(aws, journal, before.bucket, known, body=RUBBISH)
    else:
        made = s3_acts.delete_current(aws, journal, before.bucket, known)
    if made.refused:
        key, words = next(iter(made.refused.items()))
        raise AwsError(f"{len(made.refused)} objects of {before.bucket} could not be damaged: {key!r}: {words}")
    drill.note(f"{len(keys)} of {len(current)} objects of {before.bucket} were {damage}")
    return made.versions


def _recovered(aws: Aws, journal: Journal, drill: Drill, before: Holding, *, source: Source, limit: int) -> Staging:
    """A staging bucket like the original, with what was there."""
    made = staging.create(aws, journal, drill, before, source=source)
    drill.mark("staging bucket made")
    if source == "versions":
        staging.fill(aws, journal, before, made, limit=limit)
    else:
        staging.restore(aws, journal, drill, before, made)
    drill.mark("objects copied")
    staging.finish(aws, journal, drill, before, made)
    return made


def _post_verdict(aws: Aws, journal: Journal, aside: Staging, checked: Checked) -> None:
    if aside.job is None:
        return
    verdict: backup.Validation = "FAILED" if checked.failures else "SUCCESSFUL"
    message = f"{len(checked.failures)} differences, {len(checked.lost)} since the recovery point"
    backup.put_validation(aws, journal, aside.job.id, verdict=verdict, message=message)


@contextmanager
def copied(
    aws: Aws,
    journal: Journal,
    drill: Drill,
    bucket: str,
    *,
    damage: Damage,
    source: Source = "versions",
    copy_limit: int | None = None,
) -> Iterator[TenantBucketCopy]:
    """Damage a tenant's bucket. On leaving, however it is left, what the drill added to it is deleted, the staging
    bucket is gone, and the versions of the original are seen to be those from before.

    Args:
        aws, journal, drill: as everywhere.
        bucket: the tenant's.
        damage: what is done to it.
        source: what it is recovered from.
        copy_limit: objects of more bytes are copied in parts; None: S3's own limit.

    Raises:
        Refused: the bucket is not fit to be damaged, or there is nothing to recover from; nothing was touched.
        UndoFailed: on leaving, the state before could not be brought back.
    """
    with tempfile.TemporaryDirectory(prefix="envdr-") as directory:
        with drill.phase(Phase.KICK_OFF):
            before = check_fit(aws, drill, bucket, Path(directory))
            if source == "backup":
                staging.newest_point(aws, bucket)
        limit = copy_limit or s3_copies.COPY_LIMIT
        copy = TenantBucketCopy(aws, journal, drill, before, source=source, limit=limit)
        with _put_back(aws, journal, drill, copy):
            with drill.phase(Phase.TRIGGER):
                copy.fault = drill.mark(Mark.FAULT).at
                copy.damage = _damaged(aws, journal, drill, before, damage)
            yield copy


@contextmanager
def _put_back(aws: Aws, journal: Journal, drill: Drill, copy: TenantBucketCopy) -> Iterator[None]:
    """All that is owed, in reverse order, however the block ends; then look whether all is as before."""
    try:
        yield
    finally:
        undo.replay(aws, journal, lambda undone: drill.note(f"{undone.entry.inverse.restores}: {undone.how}"))
        _check_as_before(aws, drill, copy.before)


def _check_as_before(aws: Aws, drill: Drill, before: Holding) -> None:
    """Every version from before is there; what is there besides is somebody else's."""
    now = ids(list(s3.versions(aws, before.bucket)))
    gone = [key for key, known in before.known.items() if not set(known) <= set(now.get(key, ()))]
    if gone:
        raise UndoFailed(f"{len(gone)} objects of {before.bucket} lack versions that were there before: {gone[:5]}")
    more = [key for key, known in now.items() if set(known) - set(before.known.get(key, ()))]
    if more:
        drill.note(f"{len(more)} objects of {before.bucket} were written by somebody meanwhile: {more[:5]}")
