"""A state before it is touched, and whether it is fit to be lost."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pytest_envdr.aws import dynamodb, s3_states
from pytest_envdr.drills import Finding, state_bucket, state_losses
from pytest_envdr.drills.holdings import check_ours
from pytest_envdr.drills.state_places import Place, candidates, lock
from pytest_envdr.errors import Refused, TerraformFailed
from pytest_envdr.verify.state import described

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_envdr.aws import Aws
    from pytest_envdr.aws.s3 import Version
    from pytest_envdr.drills import Drill
    from pytest_envdr.tables import Terraform as Row
    from pytest_envdr.terraform import State, Terraform


@dataclass(frozen=True)
class Known:
    """The stack's own state as it was: the reference that a recovery is judged by.

    Attributes:
        row: where it is.
        state: lineage, serial, addresses, hashes.
        versions: those of its object, the newest first.
        digest: what the lock table has for it; "" where there is no table, or nothing in it.
    """

    row: Row
    state: State
    versions: Sequence[Version]
    digest: str

    @property
    def ids(self) -> frozenset[str]:
        """The ids of its versions and markers."""
        return frozenset(version.version_id for version in self.versions)

    def told(self) -> dict[str, Any]:
        """What evidence may hold of it (aws-semantics 7.9)."""
        facts = {name: value for name, value in asdict(self.state).items() if name != "resources"}
        where = {"bucket": self.row.bucket, "key": self.row.object_key, "lock": self.row.lock, "digest": self.digest}
        return {**where, **facts, "addresses": sorted(self.state.addresses)}


def check_fit(aws: Aws, drill: Drill, row: Row, loss: str) -> Known:
    """The stack's state before anything is touched, or a refusal; and whether its bucket could give it back next year.

    Raises:
        Refused: the bucket is another account's or not versioned, the state is not there or is none, somebody holds its
            lock, or its digest is not its own.
        UsageError: the drill has no objective.
    """
    drill.check_objective()
    place = Place(row, own=False)
    check_ours(aws, row.bucket)
    state_bucket.check_versioned(aws, row.bucket)
    state_bucket.check_unlocked(aws, row.bucket)
    if held := lock(aws, place):
        raise Refused(
            f"Nothing was touched: the state {place.path} is locked: {held}.\n"
            "To go on: wait until that run has ended; where it was killed, `terraform force-unlock` with its id."
        )
    known = _known(aws, place, loss)
    for finding in state_bucket.check_recoverable(aws, row):
        drill.finding(finding)
    return known


def _known(aws: Aws, place: Place, loss: str) -> Known:
    row = place.row
    found = candidates(aws, place)
    current = found[0] if found else None
    if current is None or current.state is None:
        why = current.why if current else "there is none"
        raise Refused(f"Nothing was touched: there is no state to lose in {place.path}: {why}.")
    state_losses.check_loss(loss, current.state, [one.state for one in found if one.state])
    digest = dynamodb.digest(aws, row.lock_table, place.path) if row.locked_by_table else ""
    if digest and digest != current.state.md5:
        raise Refused(
            f"Nothing was touched: the digest of {place.path} in {row.lock_table} is {digest}, the state's is "
            f"{current.state.md5}: Terraform would refuse it already.\n"
            "To go on: find out which of them is right, and mend the other."
        )
    return Known(row, current.state, s3_states.versions_of(aws, row.bucket, row.object_key), digest)


def check_ready(drill: Drill, terraform: Terraform) -> None:
    """See that Terraform has its providers and modules, and finds the bucket.

    Raises:
        Refused: it has not; nothing was touched.
    """
    begun = drill.clock.monotonic()
    try:
        terraform.init()
    except TerraformFailed as error:
        raise Refused(f"Nothing was touched: {error}") from error
    drill.note(f"{terraform.program.name}: ready in {drill.clock.monotonic() - begun:.1f} s")
    if ignored := terraform.ignored():
        caption = "What `ignore_changes` names may be changed by anybody: no plan, and so no drill, sees it."
        drill.table("Attributes that no plan looks at", ("resource", "attributes"), ignored, caption=caption)
        title = f"Changes of {len(ignored)} resources are ignored by their modules, and so by this drill"
        drill.finding(Finding("state.ignored", "note", title, "; ".join(": ".join(row) for row in ignored[:3])))


def check_plannable(drill: Drill, terraform: Terraform, known: Known, *options: str) -> None:
    """See that Terraform can plan with the state as it is; what it would change already is told.

    Raises:
        TerraformFailed: it cannot.
    """
    begun = drill.clock.monotonic()
    plan = terraform.plan(*options)
    took = drill.clock.monotonic() - begun
    drill.note(f"planned in {took:.1f} s, before anything is lost; the state is {described(known.state)}")
    if plan.changes:
        shown = "; ".join(str(change) for change in plan.changes[:3])
        title = f"The stack is not as its modules say, before anything was touched: {len(plan.changes)} changes"
        drill.finding(Finding("state.changes-before", "warning", title, shown))


def changed(aws: Aws, known: Known) -> str:
    """What of the stack's own state is not as it was, or "". Versions that others wrote meanwhile are theirs."""
    row, place = known.row, Place(known.row, own=False)
    versions = s3_states.versions_of(aws, row.bucket, row.object_key)
    if missing := known.ids - {version.version_id for version in versions}:
        return f"{len(missing)} of its versions are gone"
    if not versions or versions[0].delete_marker:
        return "it is deleted"
    if {version.version_id for version in versions} - known.ids:
        return ""  # somebody applied meanwhile: digest and lock are theirs
    if row.locked_by_table and (now := dynamodb.digest(aws, row.lock_table, place.path)) != known.digest:
        return f"its digest is {now or 'gone'}, and was {known.digest or 'none'}"
    return ""
