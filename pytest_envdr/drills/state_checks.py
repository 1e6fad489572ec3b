"""A recovered state held against what was known of it, against the modules, and against AWS both ways.

Terraform's exit codes are no verdict (aws-semantics 7.5): what counts is the plan's JSON. And no plan sees what was
made outside of Terraform: that the tags tell, and the services themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pytest_envdr.aws import dynamodb, resourcegroupstaggingapi, s3_states
from pytest_envdr.drills import Finding, RecoveryPoint
from pytest_envdr.drills.state_losses import first_line
from pytest_envdr.drills.state_places import lock
from pytest_envdr.errors import AwsError, TerraformFailed
from pytest_envdr.terraform import state_of
from pytest_envdr.verify import state as verify

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.state_places import Place
    from pytest_envdr.terraform import Change, Plan, State, Terraform
    from pytest_envdr.verify.state import Candidate, Difference

STORE = "terraform-state"
REMEDIES = {
    "lineage": "Restore a version of the right lineage.",
    "serial": "Restore the version with the highest serial; what was applied after it must be imported.",
    "content": "Somebody changed the state by hand: compare it with the version of before.",
    "missing": "Restore the version with the highest serial, or import it.",
    "extra": "Find out who applied meanwhile.",
    "gone": "Apply, after the plan was read: Terraform makes it again.",
    "orphan": "Put the import blocks of import.tf beside the modules, plan, and apply after the plan was read.",
}


@dataclass(frozen=True)
class Checked:
    """What a recovered state is.

    Attributes:
        state: as Terraform reads it; None where it cannot.
        plan: what Terraform would do now; None where it cannot plan.
        differences: of lineage, serial, addresses and content from those known; and both ways from AWS.
    """

    state: State | None
    plan: Plan | None
    differences: tuple[Difference, ...]

    @property
    def changes(self) -> tuple[Change, ...]:
        """What something would be done to."""
        return self.plan.changes if self.plan else ()

    @property
    def orphans(self) -> tuple[str, ...]:
        """What is tagged as managed and in no state: the ARNs."""
        return tuple(one.subject for one in self.differences if one.kind == "orphan")


def check_state(aws: Aws, drill: Drill, place: Place, terraform: Terraform, before: State, *options: str) -> Checked:
    """All that defines a recovered state; what is not so is a finding."""
    state = _held(aws, drill, place)
    if state is None:
        return Checked(None, None, ())
    for finding in _of_keeping(aws, place, state):
        drill.finding(finding)
    plan = _planned(drill, terraform, *options) if _is_read(drill, terraform, state) else None
    found = [*verify.compare(before, state), *_against_aws(aws, drill, place, state)]
    for difference in found:
        title = str(difference).rstrip(".")
        drill.finding(Finding(f"state.{difference.kind}", "failure", title, "", REMEDIES[difference.kind]))
    return Checked(state, plan, tuple(found))


def _held(aws: Aws, drill: Drill, place: Place) -> State | None:
    """What the bucket has: the bytes themselves, which `terraform state pull` would give in another form."""
    try:
        return state_of(s3_states.body(aws, place.row.bucket, place.row.object_key))
    except (AwsError, TerraformFailed) as error:
        title = "There is no state where one was recovered"
        drill.finding(Finding("state.unreadable", "failure", title, str(error).partition("\n")[0]))
    return None


def _is_read(drill: Drill, terraform: Terraform, state: State) -> bool:
    """Whether Terraform reads that very state."""
    try:
        pulled = terraform.state()
    except TerraformFailed as error:
        words = first_line(error.words or str(error))
        drill.finding(Finding("state.refused", "failure", "Terraform refuses the recovered state", words))
        return False
    if pulled is None or (pulled.lineage, pulled.serial) != (state.lineage, state.serial):
        words = verify.described(pulled) if pulled else "none"
        drill.finding(Finding("state.other", "failure", "Terraform finds another state than the bucket has", words))
        return False
    return True


def _planned(drill: Drill, terraform: Terraform, *options: str) -> Plan | None:
    """The plan, with what it would change as a failure; drift and outputs are listed beside it."""
    begun = drill.clock.monotonic()
    try:
        plan = terraform.plan(*options)
    except TerraformFailed as error:
        words = first_line(error.words or str(error))
        drill.finding(Finding("state.no-plan", "failure", "Terraform cannot plan with the recovered state", words))
        return None
    took = drill.clock.monotonic() - begun
    drill.note(f"planned in {took:.1f} s: {len(plan.resources)} resources, {len(plan.changes)} changes")
    tell_plan(drill, plan)
    return plan


def tell_plan(drill: Drill, plan: Plan) -> None:
    """What a plan would change, what was found changed, and which outputs would."""
    columns = ("resource", "what", "attributes")
    if plan.changes:
        rows = [_row(change) for change in plan.changes]
        drill.table("Planned changes", columns, rows, caption="From the plan's JSON. Values are left out: secrets.")
        shown = "; ".join(str(change) for change in plan.changes[:3])
        title = f"With the recovered state Terraform would make {len(plan.changes)} changes"
        remedy = "Look at each: nothing is applied after a recovery unless somebody approved it."
        drill.finding(Finding("state.changes", "failure", title, shown, remedy))
    if plan.drift:
        rows = [_row(change) for change in plan.drift]
        drill.table("Drift", columns, rows, caption="Found changed outside of Terraform, whether or not it acts on it.")
        title = f"{len(plan.drift)} resources were changed outside of Terraform"
        drill.finding(Finding("state.drift", "warning", title, "; ".join(map(str, plan.drift[:3]))))
    if plan.outputs:
        outputs = [(name, " and ".join(actions)) for name, actions in sorted(plan.outputs.items())]
        drill.table("Planned changes of outputs", ("output", "what"), outputs)
        title = f"{len(outputs)} outputs would change"
        drill.finding(Finding("state.outputs", "warning", title, ", ".join(name for name, _ in outputs)))


def _row(change: Change) -> tuple[str, str, str]:
    return change.address, " and ".join(change.actions), ", ".join(change.differing)


def _against_aws(aws: Aws, drill: Drill, place: Place, state: State) -> list[Difference]:
    """Both ways; what is tagged and in no state gets its import blocks."""
    row = place.row
    tagged = resourcegroupstaggingapi.tagged(aws, row.tag_key, row.tag_value)
    parts = [arn for arn in tagged if verify.is_part(aws, arn)]
    own = [arn for arn in tagged if arn not in parts]
    found = verify.held_against(state, own, there=partial(verify.there, aws))
    orphans = [one.subject for one in found if one.kind == "orphan"]
    managed = sum(held.managed for held in state.resources)
    drill.note(
        f"held against AWS: {managed} resources in the state, {len(own)} tagged {row.tag_key}={row.tag_value}; "
        f"{len(found) - len(orphans)} gone, {len(orphans)} in no state"
    )
    if parts:
        caption = "Snapshots, nodes and the like have their tags from what they belong to; no state has them."
        drill.table("Parts of what is managed", ("ARN",), [(arn,) for arn in parts], caption=caption)
    if orphans:
        drill.attach("import.tf", "\n".join(map(verify.import_block, orphans)))
    return found


def _of_keeping(aws: Aws, place: Place, state: State) -> Iterator[Finding]:
    """What the backend keeps beside the state: its digest, its lock."""
    if place.row.locked_by_table:
        kept = dynamodb.digest(aws, place.row.lock_table, place.path)
        if kept and kept != state.md5:
            title = f"The lock table's digest is stale: {kept}, the state's is {state.md5}"
            remedy = "Put the MD5 of the restored bytes into the digest item, or delete the item."
            yield Finding("state.digest", "failure", title, place.path, remedy)
    held = lock(aws, place)
    if held is not None and held.version != GUARD:
        title = "The state is still locked: nobody can plan or apply"
        remedy = "See that its owner has ended, then `terraform force-unlock` with exactly this id."
        yield Finding("state.locked", "failure", title, str(held), remedy)


GUARD = "envdr"
"""What a lock says in its version's place that a drill holds to keep others out."""


def tell_versions(drill: Drill, verdicts: Sequence[tuple[Candidate, str]]) -> None:
    """Each version that was looked at, and what was thought of it."""
    rows = []
    for candidate, verdict in verdicts:
        state = candidate.state
        facts = (state.lineage, state.serial, len(state.addresses)) if state else ("-", "-", "-")
        rows.append((f"{candidate.at:%Y-%m-%d %H:%M:%S}", candidate.version_id, *facts, verdict))
    columns = ("written", "version", "lineage", "serial", "resources", "verdict")
    drill.table("Versions of the state", columns, rows, caption="The newest first; times are S3's, in whole seconds.")


def tell_recovery_point(
    drill: Drill, before: State, restored: Candidate | None, checked: Checked, *, fault: datetime
) -> RecoveryPoint:
    """What the control plane lost: serials, and what was made that no state knows of."""
    state = checked.state
    if state is None or restored is None:
        return drill.recovery_point(RecoveryPoint(STORE, None, "none: no version could be restored", None))
    serials = max(0, before.serial - state.serial)
    lost = serials + len(checked.orphans)
    if not lost:
        words = f"serial {state.serial} of {restored.at:%Y-%m-%d %H:%M:%S} UTC: every write before the loss survived"
        return drill.recovery_point(RecoveryPoint(STORE, 0.0, words, 0, source="versions"))
    # What was put there otherwise than by the recovery has no time that is known.
    known = restored.state is not None and restored.state.sha256 == state.sha256
    age = max(0.0, (fault - restored.at).total_seconds()) if known else None
    words = f"serial {state.serial}: {serials} serials lost, {len(checked.orphans)} resources in no state"
    return drill.recovery_point(RecoveryPoint(STORE, age, words, lost, error_seconds=1.0, source="versions"))
