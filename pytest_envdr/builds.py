"""What Terraform builds for a drill, and its undoing: exactly what a plan created is destroyed again.

Its state has a key of its own in the bucket that the stack file names, and goes with it. What was planned is destroyed
by address, and no data source is read for it: what one looked up may be gone by then.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_envdr import leftovers
from pytest_envdr.aws import dynamodb, s3_states
from pytest_envdr.aws.s3_states import OWN_PREFIX
from pytest_envdr.errors import Refused, TerraformFailed, UndoFailed, WaitTimedOut
from pytest_envdr.journal import Inverse
from pytest_envdr.settings import host
from pytest_envdr.tables import Terraform as Row
from pytest_envdr.terraform import DESTROY, Terraform
from pytest_envdr.verify.state import Lock
from pytest_envdr.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_envdr.aws import Aws
    from pytest_envdr.journal import Entry, Journal
    from pytest_envdr.terraform import Plan
    from pytest_envdr.waiting import Progress

BEGIN = "terraform.Init"
LOCK_SECONDS = 120.0
"""How long a Terraform that was interrupted may take to end, and to give its lock back."""
GONE_SECONDS = 60.0
"""How long what was destroyed may still be listed."""
UNREAD = "-refresh=false"


@dataclass(frozen=True)
class Build:
    """Modules with a state of a drill's own.

    Attributes:
        row: as Terraform finds them.
        work: the working directory; it holds secrets, and goes with the build.
        variables: what is said otherwise than in the variables files; no secrets, for the journal keeps them.
    """

    row: Row
    work: Path
    variables: Mapping[str, Any] = field(default_factory=dict)

    @property
    def as_json(self) -> dict[str, Any]:
        return {"row": self.row.model_dump(mode="json"), "work": str(self.work), "variables": dict(self.variables)}

    def terraform(self, aws: Aws) -> Terraform:
        """Ready to be planned, once it was initialised.

        Raises:
            StackFileError, MissingProgram: as `Terraform.opened`.
        """
        return Terraform.opened(aws.stack, aws.credentials(), self.work, row=self.row, variables=self.variables)


def begin(
    aws: Aws, journal: Journal, row: Row, variables: Mapping[str, Any], *, prefixes: Sequence[str] = ()
) -> tuple[Build, Terraform]:
    """Modules ready to be planned, with an empty state of the drill's own. Undone, state and working directory go, once
    nothing of what was built is left.

    Args:
        aws: the Region to build in.
        journal: where the inverse is written first.
        row: the stack file's; its state must be in that Region too, or it is lost with the other one.
        variables: what is said otherwise than in the variables files; no secrets.
        prefixes: how the names begin of what the modules make, in a Region that has nothing so named.

    Raises:
        Refused: the state would be in another Region.
        StackFileError, MissingProgram, TerraformFailed: Terraform cannot be run.
    """
    exercise = journal.header.exercise
    if (row.region or aws.stack.region) != aws.stack.region:
        raise Refused(
            f"Nothing was touched: what is built in {aws.stack.region} would have its state in {row.region}, which may "
            f"be the Region that is lost.\nLooked at: {aws.stack.path}: secondary.terraform.region"
        )
    prefix = f"{OWN_PREFIX}{exercise}/"
    own = row.model_copy(update={"key": f"{prefix}{row.key}"})
    build = Build(own, journal.path.with_suffix("") / exercise, variables)
    terraform = build.terraform(aws)
    where = {
        "Bucket": own.bucket,
        "prefix": prefix,
        "everything": True,
        "work": str(build.work),
        "named": list(prefixes),
    }
    words = f"no state of this exercise in bucket {own.bucket}"
    inverse = Inverse("s3.DeleteObjects", where, words, region=aws.stack.region)
    with journal.intending(BEGIN, {"Bucket": own.bucket, "Key": own.object_key}, inverse=inverse):
        terraform.init()
    return build, terraform


def apply(
    aws: Aws, journal: Journal, build: Build, plan: Plan, *, what: str, progress: Progress | None = None
) -> list[str]:
    """Apply a plan that only creates; the addresses of what it makes. Undone, these are destroyed.

    Args:
        aws: the Region that is built.
        journal: where the inverse is written first.
        build: whose plan it is.
        plan: judged before.
        what: is built, in words, for the journal.
        progress: told about once a second.

    Raises:
        TerraformFailed: with Terraform's own words; what was made by then is in the state.
    """
    addresses = sorted(change.address for change in plan.changes)
    inverse = Inverse(DESTROY, {**build.as_json, "addresses": addresses}, f"no {what}", region=aws.stack.region)
    build.terraform(aws).apply(journal, plan, inverse=inverse, progress=progress)
    return addresses


def left(aws: Aws, before: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """What of a build is still to be destroyed: the arguments of the one call, or none. Waits for a Terraform that is
    still at work on it; the lock of one that was killed is released.

    Raises:
        UndoFailed: it cannot be told; with Terraform's own words, and what to do about a lock that nobody holds.
    """
    terraform = _opened(aws, before)
    try:
        terraform.init()
        _release(aws, terraform)
        plan = terraform.plan(*_targets(before["addresses"]), UNREAD, destroy=True, lock_seconds=LOCK_SECONDS)
    except TerraformFailed as error:
        raise UndoFailed(
            f"what is left cannot be told: {error}\n"
            f"To go on: where the lock's owner is gone, `terraform force-unlock` it, then `envdr undo` again."
        ) from error
    still = [change.address for change in plan.changes]
    return ({**before, "addresses": still},) if still else ()


def perform(aws: Aws, arguments: Mapping[str, Any]) -> None:
    """Destroy what is left of a build.

    Raises:
        TerraformFailed: with Terraform's own words; what was destroyed by then is no longer in the state.
        NotCleared: no entry is being undone that this is the inverse of.
    """
    if aws.journal is None:
        raise UndoFailed("without a journal nothing is destroyed")
    targets = _targets(arguments["addresses"])
    _opened(aws, arguments).destroy(aws.journal, *targets, UNREAD, lock_seconds=LOCK_SECONDS)


def check_gone(aws: Aws, entry: Entry, *, deadline: float = GONE_SECONDS) -> None:
    """Refuse to give up a state while something that was built is left. Terraform writes its state every 20 seconds:
    what one that was killed had made since, no state knows.

    Args:
        aws: the Region that was built.
        entry: the build's beginning; of any other there is nothing to say.
        deadline: seconds for what was destroyed to be listed no more.

    Raises:
        UndoFailed: with all that is left.
    """
    if entry.act != BEGIN:
        return
    found: list[str] = []

    def looked() -> list[str]:
        found[:] = _left_behind(aws, entry)
        return found

    with suppress(WaitTimedOut):
        wait_until(looked, lambda left: not left, what=entry.inverse.restores, deadline=deadline)
    if found:
        shown = "\n".join(f"    {one}" for one in found)
        raise UndoFailed(
            f"the state is kept: {len(found)} of exercise {entry.header.exercise} left in "
            f"{aws.stack.region}, as where Terraform was killed before it could write down what it made:\n{shown}\n"
            f"    To go on: delete them by hand (services, load balancers and caches before the security groups and "
            f"subnets that they are in), then `envdr undo` again."
        )


def _left_behind(aws: Aws, entry: Entry) -> list[str]:
    prefixes = entry.inverse.arguments.get("named", ())
    named = leftovers.in_region(aws, prefixes=prefixes) if prefixes else []
    return [*named, *leftovers.tagged_by(aws, entry.header.exercise)]


def check_unneeded(entry: Entry, owed: Sequence[Entry]) -> None:
    """Refuse to take a state away by which something is still to be destroyed.

    Raises:
        UndoFailed: says what.
    """
    if entry.act != BEGIN:
        return
    work = entry.inverse.arguments["work"]
    for other in owed:
        if other.inverse.operation == DESTROY and other.inverse.arguments["work"] == work:
            raise UndoFailed(
                f"the state is kept: {other.inverse.restores} is still owed, and only this state brings it"
            )


def forget(entries: Sequence[Entry]) -> None:
    """Take away the working directories of builds that are undone, or whose sandbox has ended."""
    for entry in entries:
        if entry.act == BEGIN:
            shutil.rmtree(entry.inverse.arguments["work"], ignore_errors=True)


def _release(aws: Aws, terraform: Terraform) -> None:
    """Release the lock that a killed Terraform of this drill left. Only a drill's own state is looked at, and only
    where it was taken on this machine, and no Terraform of the drill is at work on it any more."""
    row = terraform.row
    if aws.journal is None or not row.key.startswith(OWN_PREFIX) or terraform.at_work():
        return
    found = _lock(aws, row)
    if found is not None and found.id and found.who.rpartition("@")[2] == host():
        words = f"lock {found.id} was the exercise's own"
        terraform.force_unlock(aws.journal, found.id, inverse=Inverse.healed(words))


def _lock(aws: Aws, row: Row) -> Lock | None:
    text = s3_states.lock(aws, row.bucket, row.lock_key) if row.locked_by_file else None
    if text is None and row.locked_by_table:
        text = dynamodb.lock(aws, row.lock_table, f"{row.bucket}/{row.object_key}")
    return None if text is None else Lock.parse(text)


def _opened(aws: Aws, told: Mapping[str, Any]) -> Terraform:
    return Build(Row(**told["row"]), Path(told["work"]), told["variables"]).terraform(aws)


def _targets(addresses: Sequence[str]) -> list[str]:
    return [f"-target={address}" for address in addresses]
