"""A lost state's way back, from the versions in its bucket (aws-semantics 7.3).

The version to restore is the one of the right lineage with the highest serial. It becomes the current one by taking the
delete marker away, or by a copy over its key: S3 asks nobody, where `terraform state push` would want `-force` against
another lineage. Then the digest is mended where it is another one, and the lock of a run that was killed is released.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_envdr.aws import dynamodb, s3_states
from pytest_envdr.drills import Finding, state_checks, state_places
from pytest_envdr.journal import Inverse
from pytest_envdr.verify import state as verify

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.state_places import Place
    from pytest_envdr.journal import Journal
    from pytest_envdr.terraform import State, Terraform
    from pytest_envdr.verify.state import Candidate, Lock


@dataclass(frozen=True)
class Left:
    """What is known of a state that was lost, and what the loss left.

    Attributes:
        lineage: the state's.
        marker: the id of the delete marker that was put on it; "" for none.
        stale: the lock that nobody holds any more; None where there is none.
    """

    lineage: str
    marker: str = ""
    stale: Lock | None = None


def recovered(
    aws: Aws, journal: Journal, drill: Drill, place: Place, terraform: Terraform, *, left: Left
) -> Candidate | None:
    """Bring the state back; None where no version of it will do. Nothing is applied, nothing is forced.

    Raises:
        AwsError: S3 or DynamoDB refused it.
        TerraformFailed: the lock could not be released.
    """
    found = state_places.candidates(aws, place)
    version = ".".join(map(str, terraform.program.version))
    judged = verify.judge(found, lineage=left.lineage, terraform=version)
    state_checks.tell_versions(drill, judged.verdicts)
    chosen = judged.chosen
    if chosen is None or chosen.state is None:
        title = f"No version of {place.path} can be restored"
        drill.finding(Finding("state.no-version", "failure", title, f"{len(found)} versions were looked at"))
        return None
    _restore(aws, journal, drill, place, found, chosen.version_id, chosen.state, marker=left.marker)
    if place.row.locked_by_table:
        _mend_digest(aws, journal, drill, place, chosen.state.md5)
    if left.stale is not None:
        _release(aws, journal, drill, place, terraform, left.stale)
    return chosen


def _restore(
    aws: Aws,
    journal: Journal,
    drill: Drill,
    place: Place,
    found: Sequence[Candidate],
    version_id: str,
    state: State,
    *,
    marker: str,
) -> None:
    """Take the delete marker away, where that is all that lies on the version; else copy it over the key."""
    bucket, key, words = place.row.bucket, place.row.object_key, verify.described(state)
    versions = s3_states.versions_of(aws, bucket, key)
    chosen = next(one for one in versions if one.version_id == version_id)
    if versions[0] == chosen:
        drill.note(f"version {version_id} is the current one: {words}")
        return
    if versions[0].version_id == marker and versions[1] == chosen:
        s3_states.remove_marker(aws, journal, bucket, key, marker)
        drill.note(f"delete marker taken away, and with it the loss: {words} is the current one again")
        return
    if why := verify.push_refusal(found[0].state, state):
        drill.deviation(f"`terraform state push` would need -force ({why}): the version was copied instead")
    s3_states.restore(aws, journal, bucket, chosen, before=[one.version_id for one in versions])
    drill.note(f"version {version_id} copied over the key: {words}")


def _mend_digest(aws: Aws, journal: Journal, drill: Drill, place: Place, md5: str) -> None:
    """Only where it is another one: of the same bytes as before it still is right."""
    table = place.row.lock_table
    if dynamodb.digest(aws, table, place.path) != md5:
        dynamodb.set_digest(aws, journal, table, place.path, md5)
        drill.note(f"digest in {table} mended: {md5}")


def _release(aws: Aws, journal: Journal, drill: Drill, place: Place, terraform: Terraform, stale: Lock) -> None:
    """The lock that the killed run left, by its id, and no other."""
    now = state_places.lock(aws, place)
    if now is None or now.id != stale.id:
        title = "The lock is another one than the killed run's: it is not released"
        drill.finding(Finding("state.lock", "failure", title, str(now)))
        return
    terraform.force_unlock(journal, stale.id, inverse=Inverse.healed(f"lock {stale.id} was the exercise's own"))
    drill.note(f"lock {stale.id} released")
