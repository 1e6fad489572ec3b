"""What comes late: the provisioner put back, and the events given to it that it was kept from. Nothing may change.

That it changes nothing is not to be seen where it would write what is there already. So the bucket gets marks first
that no provisioner knows: a tag, and a lifecycle rule that does nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pytest_envdr import founding, undo
from pytest_envdr.aws import s3, s3_acts
from pytest_envdr.drills import Finding, provisioner_events, provisioner_seen
from pytest_envdr.errors import Refused, WaitTimedOut
from pytest_envdr.verify import bucket as verify

if TYPE_CHECKING:
    from pytest_envdr.aws import Aws, sqs
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.provisioner import Case
    from pytest_envdr.drills.provisioner_events import Told
    from pytest_envdr.founding import Founded
    from pytest_envdr.journal import Journal

MARK = "envdr-exercise"
RULE = {"ID": MARK, "Status": "Disabled", "Filter": {"Prefix": "envdr/"}, "Expiration": {"Days": 3650}}
MARKED_SECONDS = 30.0
GRACE_SECONDS = 60.0


@dataclass(frozen=True)
class Snapshot:
    """What a late event must not change: the record, the bucket with its ACL, what is in it, and that it is one."""

    record: str
    configuration: dict[str, Any]
    versions: tuple[tuple[str, str, str], ...]
    buckets: frozenset[str]

    def changes(self, now: Snapshot, *, own: frozenset[str]) -> list[str]:
        """What is otherwise, in words; `own` are buckets that are to come."""
        found = [f"{one.kind}: {one}" for one in verify.compare_configuration(self.configuration, now.configuration)]
        if self.record != now.record:
            found.append(f"the tenant's record points to {now.record}, and pointed to {self.record}")
        if self.versions != now.versions:
            found.append(f"{len(set(self.versions) ^ set(now.versions))} objects or versions differ")
        return found + [f"a second bucket: {name}" for name in sorted(now.buckets - self.buckets - own)]


def put_back(aws: Aws, journal: Journal, drill: Drill, case: Case) -> None:
    """Bring the provisioner's settings back exactly, and see that it works: an event goes the whole way again."""
    if case.fault is None:
        raise Refused("The provisioner was not disabled.")
    undone = undo.reverse(aws, journal, case.fault)
    case.back_at = drill.mark("provisioner put back").at
    drill.note(f"{undone.entry.inverse.restores}: {undone.how}")
    try:
        provisioner_seen.prove_works(aws, journal, drill, case, "again", patience=provisioner_seen.silence(case))
    except Refused as error:
        title = f"{case.row.function} does not work though it was put back"
        drill.finding(Finding("provisioner.away", "failure", title, str(error).partition("\n")[0]))


def check(aws: Aws, journal: Journal, drill: Drill, case: Case, tenant: Founded) -> list[str]:
    """Give the provisioner what it was kept from, and see what that changed."""
    bucket = case.manual.bucket if case.manual else tenant.bucket
    _mark(aws, journal, drill, bucket)
    before = _snapshot(aws, case, tenant.slug, bucket)
    how = _late(aws, journal, drill, case)
    own = frozenset(one.bucket for one in case.own)
    changed = before.changes(_snapshot(aws, case, tenant.slug, bucket), own=own)
    if changed:
        title = f"an event that came late changed what was there ({how})"
        remedy = "Let the provisioner look before it writes: a bucket of ours that is there is left as it is."
        drill.finding(Finding("provisioner.not-idempotent", "failure", title, "; ".join(changed[:5]), remedy))
    drill.note(f"late events, {how}: {len(changed)} changes to {bucket}, its objects and the tenant's record")
    return changed


def _late(aws: Aws, journal: Journal, drill: Drill, case: Case) -> str:
    """The events again, in whichever way they can come; says which."""
    if not case.letters.queues and not case.way.tried:
        return _from_archive(aws, journal, drill, case)
    letters = _surfaced(aws, drill, case)
    found = [(told, letters[told.slug]) for told in case.told if told.slug in letters]
    taken = provisioner_events.redrive(aws, journal, drill, case.row, found)
    if taken < len(found):
        title = f"{len(found) - taken} dead letters were not taken by {case.row.function}: they stay"
        drill.finding(Finding("events.refused", _refused(case), title, "see the table of dead letters"))
    ran = len(case.told) - len(found) - len(case.lost)
    return f"{taken} given to the function again" + (f", {ran} ran late by themselves" if ran else "")


def _refused(case: Case) -> Any:
    """The event of a tenant whose name was taken names a bucket of somebody else's: the function must refuse it."""
    return "note" if case.manual is not None and case.manual.fallback else "failure"


def _surfaced(aws: Aws, drill: Drill, case: Case) -> dict[str, sqs.Letter]:
    """Each event's message in a dead-letter queue, but of those that ran late by themselves; the rest is lost."""
    letters: dict[str, sqs.Letter] = {}
    since = case.back_at or datetime.now(UTC)

    def missing() -> list[Told]:
        for told in case.told:
            if told.slug not in letters and (found := provisioner_events.letter(aws, case.letters.queues, told.slug)):
                letters[told.slug] = found
        left = [told for told in case.told if told.slug not in letters]
        if not case.way.tried:
            return left
        return [told for told in left if not provisioner_events.logged(aws, case.row, [told], since=since)]

    try:
        drill.wait_until(
            missing,
            lambda left: not left,
            what="the events that were not processed being somewhere",
            deadline=case.letters.late_seconds + GRACE_SECONDS if case.letters.queues else GRACE_SECONDS,
            longest_interval=1.0,
            shown=lambda left: ", ".join(told.slug for told in left),
        )
    except WaitTimedOut:
        case.lost = missing()
        drill.finding(_lost(case))
    return letters


def _from_archive(aws: Aws, journal: Journal, drill: Drill, case: Case) -> str:
    """What only the archive can have: a rule that is disabled matches nothing, and what is dropped is dropped."""
    if case.way.told:
        case.lost = [*case.told]
        drill.finding(_lost(case))
    if provisioner_events.replayed(aws, journal, drill, case.row, case.before, case.told, own=case.own):
        return f"replayed from archive {case.row.archive}"
    if not case.lost:
        case.lost = [*case.told]
        drill.finding(_lost(case))
    return "none could be had again"


def _lost(case: Case) -> Finding:
    archived = f"archive {case.row.archive} may have them" if case.before.archive else "no archive has them"
    slugs = ", ".join(told.slug for told in case.lost)
    return Finding(
        "events.lost",
        "failure",
        f"{len(case.lost)} events were dropped, and no dead-letter queue has them",
        f"of {slugs}; {archived}",
        "Give the function a dead-letter queue, and the rule's target another.",
    )


def _mark(aws: Aws, journal: Journal, drill: Drill, bucket: str) -> None:
    tags = [*(s3.configuration(aws, bucket, "tags") or []), {"Key": MARK, "Value": drill.exercise_id}]
    s3_acts.configure(aws, journal, bucket, "s3.PutBucketTagging", Tagging={"TagSet": tags})
    rules = [*(s3.configuration(aws, bucket, "lifecycle") or {}).get("Rules", []), RULE]
    operation = "s3.PutBucketLifecycleConfiguration"
    s3_acts.configure(aws, journal, bucket, operation, LifecycleConfiguration={"Rules": rules})

    def marked() -> bool:
        tagged = any(tag["Key"] == MARK for tag in s3.configuration(aws, bucket, "tags") or [])
        ruled = (s3.configuration(aws, bucket, "lifecycle") or {}).get("Rules", [])
        return tagged and any(rule.get("ID") == MARK for rule in ruled)

    drill.wait_until(marked, what=f"the marks of {bucket} being seen", deadline=MARKED_SECONDS)


def _snapshot(aws: Aws, case: Case, slug: str, bucket: str) -> Snapshot:
    recorded = founding.tenant(aws.stack, slug)
    versions = tuple(sorted((one.key, one.version_id, one.etag) for one in s3.versions(aws, bucket)))
    own = frozenset(name for name in s3.buckets(aws) if case.token in name)
    return Snapshot(recorded.bucket if recorded else "", verify.configuration(aws, bucket), versions, own)
