"""A staging bucket held against the manifest from before the damage: what failed, what the way of recovery cannot keep,
what it lost. All of it is computed from one comparison; which way cannot keep which *kind* of thing is all that is
known beforehand."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Any

from pytest_envdr.aws import s3
from pytest_envdr.aws.s3_acts import WORKERS
from pytest_envdr.drills import Finding, RecoveryPoint
from pytest_envdr.drills.staging import WITHHELD
from pytest_envdr.verify import bucket as verify

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.holdings import Holding
    from pytest_envdr.drills.staging import Staging
    from pytest_envdr.verify.bucket import Difference

BEYOND = {
    # One version of each object is copied, and a lock on a copy would keep it for years.
    "versions": {"versions", "retention", "legal-hold"},
    # Into the STANDARD class, whatever it was (aws-semantics 3.8).
    "backup": {"versions", "retention", "legal-hold", "storage-class"},
}
"""Kinds of difference that a way of recovery cannot avoid; whether there are any, and where, is found out each time."""
CONTENT = {"missing", "content", "size"}
"""Kinds that mean that a write is lost."""
REMEDIES = {
    "missing": "Look why it was not copied; recover it by hand before the versions expire.",
    "content": "Recover it from an older version, and compare again.",
    "tags": "Copy with TaggingDirective=COPY; in parts, read the tags and give them with the upload.",
    "configuration": "Put this part of the configuration into the staging bucket's template.",
}


@dataclass
class Checked:
    """What a comparison came to, each difference in one place.

    Attributes:
        failures: what should have been kept.
        beyond: what the way of recovery cannot keep.
        withheld: parts of the configuration that the staging bucket does not get on purpose.
        archived: objects that no recovery within the RTO has.
        lost: what was written or deleted after the recovery point.
    """

    failures: list[Difference] = field(default_factory=list)
    beyond: list[Difference] = field(default_factory=list)
    withheld: list[Difference] = field(default_factory=list)
    archived: list[Difference] = field(default_factory=list)
    lost: list[Difference] = field(default_factory=list)


def check_staging(aws: Aws, drill: Drill, before: Holding, staging: Staging, *, fault: datetime) -> Checked:
    """Compare objects and configuration; each failure is a finding, all else is told in tables."""
    found = differences(aws, before, staging.bucket)
    checked = _sorted_out(found, before, staging)
    _tell_failures(drill, checked.failures, staging)
    _tell_beyond(aws, drill, before, staging, checked)
    _tell_lost(drill, before, staging, checked, fault)
    return checked


def differences(aws: Aws, before: Holding, bucket: str, *, history: bool = True) -> list[Difference]:
    """Between the manifest and a bucket as it is now, objects first, then the configuration."""
    now = verify.Bucket(aws, bucket, history=history)
    with ThreadPoolExecutor(WORKERS) as pool:
        found = list(verify.compare(before.manifest, now, depth=before.depth, executor=pool))
    return found + verify.compare_configuration(before.configuration, verify.configuration(aws, bucket))


def _sorted_out(found: Iterable[Difference], before: Holding, staging: Staging) -> Checked:
    checked, later = Checked(), written_after(before, staging)
    left_out = set(staging.left_out)
    for difference in found:
        aspect = difference.kind if difference.kind != "unreadable" else difference.name
        if not difference.key:
            (checked.withheld if aspect in WITHHELD else checked.failures).append(difference)
        elif difference.key in left_out and difference.kind == "missing":
            checked.archived.append(difference)
        elif difference.kind in BEYOND[staging.source]:
            checked.beyond.append(difference)
        elif difference.key in later:
            checked.lost.append(difference)
        else:
            checked.failures.append(difference)
    return checked


def written_after(before: Holding, staging: Staging) -> Collection[str]:
    """The keys whose newest version or marker is later than the recovery point; S3 gives times in whole seconds."""
    if staging.point is None:
        return set()
    instant = staging.point.created_at.astimezone(UTC).replace(microsecond=0)
    return {key for key, version in before.latest.items() if version.last_modified >= instant}


def _tell_failures(drill: Drill, failures: Sequence[Difference], staging: Staging) -> None:
    by_kind: dict[str, list[Difference]] = defaultdict(list)
    for difference in failures:
        by_kind[_word(difference)].append(difference)
    for word, rows in by_kind.items():
        drill.finding(
            Finding(
                f"bucket.{word}",
                "failure",
                f"{len(rows)} of what was recovered into {staging.bucket} is not as it was: {word}",
                "; ".join(
                    [str(row) for row in rows[:3]] + [staging.refused.get(row.key, "") for row in rows[:1]]
                ).strip("; "),
                REMEDIES.get(word, ""),
            )
        )
    if failures:
        caption = "What was recovered, held against the manifest from before the damage."
        rows_ = [_row(difference) for difference in failures]
        drill.table("Differences", ("object", "what", "was", "is"), rows_, caption=caption)


def _word(difference: Difference) -> str:
    """The last word of a finding's id."""
    if not difference.key:
        return "configuration"
    return "content" if difference.kind == "size" else difference.kind


def _row(difference: Difference) -> tuple[str, str, str, str]:
    what = f"{difference.kind} {difference.name}".strip()
    return (difference.key or "the bucket", what, difference.expected or "-", difference.actual or "-")


def _tell_beyond(aws: Aws, drill: Drill, before: Holding, staging: Staging, checked: Checked) -> None:
    rows = [*_identities(aws, before, staging)]
    by_kind: dict[str, list[Difference]] = defaultdict(list)
    for difference in (*checked.beyond, *checked.archived):
        by_kind["archived objects" if difference in checked.archived else difference.kind].append(difference)
    for kind, found in by_kind.items():
        first = found[0]
        rows.append((kind, f"{len(found)} objects", first.key, first.expected or "-", first.actual or "-"))
    for difference in checked.withheld:
        why = f"on purpose: {WITHHELD.get(difference.kind, '')}"
        rows.append((f"configuration: {difference.kind}", "the bucket", why, difference.expected, difference.actual))
    caption = f"Computed from the comparison of {staging.bucket} with the manifest; recovered from {staging.source}."
    drill.table("What could not be kept", ("what", "of", "for example", "was", "is"), rows, caption=caption)


def _identities(aws: Aws, before: Holding, staging: Staging) -> Iterable[tuple[str, str, str, str, str]]:
    """What tells one version from another: it changes with every copy, and whoever stored it elsewhere must know."""
    was = {version.key: version for version in before.versions if version.latest}
    pairs = [
        (was[version.key], version)
        for version in s3.versions(aws, staging.bucket)
        if version.latest and version.key in before.objects and version.key in was
    ]
    for what, name in (("version id", "version_id"), ("LastModified", "last_modified"), ("ETag", "etag")):
        changed = [(old, new) for old, new in pairs if getattr(old, name) != getattr(new, name)]
        if changed:
            old, new = changed[0]
            yield what, f"{len(changed)} objects", old.key, str(getattr(old, name)), str(getattr(new, name))


def _tell_lost(drill: Drill, before: Holding, staging: Staging, checked: Checked, fault: datetime) -> None:
    """The recovery point actual: from versions every write up to the fault, from a backup what it holds."""
    store = f"bucket {before.bucket}"
    gone = {difference.key for difference in (*checked.failures, *checked.lost) if difference.kind in CONTENT}
    alive = [version for key, version in before.latest.items() if key not in gone and not version.delete_marker]
    newest = max(alive, key=lambda version: (version.last_modified, version.key), default=None)
    words = f"{newest.key!r} of {newest.last_modified:%Y-%m-%d %H:%M:%S} UTC" if newest else "none"
    rpa: float | None = 0.0
    error = 0.0
    if staging.point is not None:
        reached = staging.point.created_at
        words = f"{words}; recovery point of {reached:%Y-%m-%d %H:%M:%S} UTC"
        rpa, error = max(0.0, (fault - reached).total_seconds()), 1.0
    elif not gone:
        words = f"{words}: every write before the damage survived"
    else:
        rpa, error = (fault - newest.last_modified).total_seconds() if newest else None, 1.0
    point = RecoveryPoint(store, rpa, words, len(gone), error, source=staging.source)
    drill.recovery_point(point)
    if staging.point is not None or not gone:  # from versions, what is lost has a finding of its own already
        _check_objective(drill, point, staging)
    if checked.lost:
        caption = "Written or deleted after the recovery point: what a recovery from it loses, or brings back."
        rows = [_row(difference) for difference in checked.lost]
        drill.table("Lost since the recovery point", ("object", "what", "was", "is"), rows, caption=caption)


def _check_objective(drill: Drill, point: RecoveryPoint, staging: Staging) -> None:
    promised: Any = drill.rpo_of(staging.source)
    if point.rpa_seconds is not None and point.rpa_seconds <= promised:
        return
    actual = "all may be lost" if point.rpa_seconds is None else f"{point.rpa_seconds:.1f} s"
    drill.finding(
        Finding(
            "bucket.rpo",
            "failure",
            f"a recovery of the {point.store} from {staging.source} loses more than was promised: {actual}",
            f"RPO {promised:g} s; {point.lost} writes lost; newest that survived: {point.newest}",
            "Back up more often, or recover from versions.",
        )
    )
