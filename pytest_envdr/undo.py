"""Bringing the state before back: journal entry -> the calls that still have to be made.

The rows of `remains` tell which those are; none when all is as before.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_envdr import builds, swaps
from pytest_envdr.errors import AwsError, NotFound, UndoFailed
from pytest_envdr.remains import UNDOS, UNDOS_BY_ANSWER
from pytest_envdr.terraform import DESTROY
from pytest_envdr.waiting import pause, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from pytest_envdr.aws import Aws
    from pytest_envdr.journal import Entry, Journal
    from pytest_envdr.remaining import Remaining
    from pytest_envdr.waiting import Progress

DEADLINE = 120.0
"""How long the state before may take to be seen again, in seconds (a deleted queue may be found for 60)."""
DEADLINES = {
    "rds.DeleteDBInstance": 1800.0,
    "ecs.UpdateService": 600.0,
    "s3.DeleteObjects": 1800.0,
    "fis.StopExperiment": 600.0,
    DESTROY: 3600.0,
    "sqs.DeleteMessage": 600.0,
}
"""... of what takes AWS longer."""
NOT_NOW = frozenset(
    {
        "InvalidDBInstanceState",
        "InvalidDBInstanceStateFault",
        "InvalidDBParameterGroupState",
        "DependencyViolation",
        "ResourceConflictException",
    }
)
"""AWS's codes for what it will do a little later."""
OPENS = "codepipeline.EnableStageTransition"
ARRIVAL = 2.0
"""How long a call may be on its way, in seconds."""


@dataclass(frozen=True)
class Undone:
    """What became of an entry: `how` is "brought back", or why there was nothing to do."""

    entry: Entry
    how: str


def reverse(
    aws: Aws, journal: Journal, entry: Entry, *, deadline: float = DEADLINE, progress: Progress | None = None
) -> Undone:
    """Bring back what was before an entry's act, see that it is, and write that down.

    Raises:
        UndoFailed: it is not back; the entry stays owed.
    """
    swaps.check_unneeded(entry, journal.owed())
    _let_arrive(entry)
    aws = aws.elsewhere(entry.inverse.region or entry.header.region)
    builds.check_gone(aws, entry, deadline=min(deadline, builds.GONE_SECONDS))
    builds.check_unneeded(entry, journal.owed())
    operation = entry.inverse.operation or ""
    look = _looking(aws, entry, operation)
    if look is None:
        raise UndoFailed(f"{entry.inverse.restores}: this version knows no undo by {operation}.")
    remaining = look()
    how = remaining.note or ("was as before" if remaining.done else "brought back")
    with journal.reversing(entry):
        advance = _advancing(aws, entry, operation, remaining, look)
        if not remaining.done:
            wait_until(
                advance,
                lambda now: now.done,
                what=entry.inverse.restores,
                deadline=max(deadline, DEADLINES.get(operation, 0.0)),
                progress=progress,
            )
    journal.reversed(entry, how)
    builds.forget([entry])
    return Undone(entry, how)


def _looking(aws: Aws, entry: Entry, operation: str) -> Callable[[], Remaining] | None:
    """What tells how much of an entry's inverse is still to be done; None where no row of the tables does."""
    if row := UNDOS.get(operation):
        return partial(row, aws, entry.inverse.arguments)
    answered = UNDOS_BY_ANSWER.get(operation)
    return partial(answered, aws, entry) if answered else None


def _advancing(
    aws: Aws, entry: Entry, operation: str, first: Remaining, look: Callable[[], Remaining]
) -> Callable[[], Remaining]:
    """Make the calls of an inverse, each once. Gives what looks how far it is, and repeats those that AWS refused."""

    def call(now: Remaining) -> bool:
        refused = [arguments for arguments in now.calls if not _call(aws, operation, entry, arguments)]
        return not refused

    taken = bool(first.calls) and call(first)

    def advance() -> Remaining:
        nonlocal taken
        now = look()
        if now.calls and not taken:
            taken = call(now)
        return now

    return advance


def _let_arrive(entry: Entry) -> None:
    """A call that was sent but not answered may still be on its way: it must not arrive after we looked."""
    age = (datetime.now(UTC) - entry.at).total_seconds()
    if not entry.settled and 0 <= age < ARRIVAL:
        pause(ARRIVAL - age)


def _call(aws: Aws, operation: str, entry: Entry, arguments: Mapping[str, Any]) -> bool:
    """One call of an inverse; that it is gone already is as good. False where AWS would take it later."""
    try:
        if operation in swaps.OPERATIONS:
            swaps.perform(aws, operation, arguments)
        elif operation == DESTROY:
            builds.perform(aws, arguments)
        else:
            aws.call(operation, what=f"{entry.inverse.restores}: it cannot be brought back", **arguments)
    except NotFound:
        return True
    except AwsError as error:
        if error.code in NOT_NOW:
            return False
        raise
    return True


def _in_order(owed: Sequence[Entry]) -> list[Entry]:
    """The newest first, but what users wait for before all else: an instance takes minutes to be deleted. Services that
    were deployed otherwise go back, then maintenance mode ends, after the task that began it. A tenant's data are back
    before the tenant is. Last of all the way into a pipeline's stage opens: what waited there changes services."""
    commands = [list(entry.arguments["command"]) for entry in owed if entry.act == "laravel.Down"]
    deployed = [
        entry for entry in owed if "taskDefinition" in entry.inverse.arguments and "set" in entry.inverse.arguments
    ]
    maintained = [entry for entry in owed if entry.act == "laravel.Down" or _command(entry) in commands]
    data, tenants = (
        [entry for entry in reversed(owed) if entry.inverse.operation == operation]
        for operation in (swaps.LOAD, swaps.RESUME)
    )
    urgent = [*data, *tenants, *reversed(deployed), *reversed(maintained)]
    last = [entry for entry in reversed(owed) if entry.inverse.operation == OPENS]
    return [*urgent, *(entry for entry in reversed(owed) if entry not in [*urgent, *last]), *last]


def _command(entry: Entry) -> list[str] | None:
    """What a task of its own was started with."""
    if entry.act != "ecs.RunTask":
        return None
    overrides = entry.arguments.get("overrides", {}).get("containerOverrides") or [{}]
    return list(overrides[0].get("command", []))


def replay(
    aws: Aws,
    journal: Journal,
    report: Callable[[Undone], None] = lambda _: None,
    *,
    but: Collection[str] = (),
    deadline: float = DEADLINE,
    progress: Progress | None = None,
) -> list[Undone]:
    """Bring back all that is owed, the newest first: what was suspended before a count was lowered is resumed after it
    was raised. But what keeps users out comes before all else. One that fails does not keep the others from being
    tried.

    Args:
        aws: the target.
        journal: what is owed.
        report: told of each entry as it is undone.
        but: acts that stay owed for now.
        deadline: seconds for each entry to be seen back.
        progress: told how each wait stands.

    Raises:
        UndoFailed: with what remains, and why; all of that stays owed.
    """
    done: list[Undone] = []
    failures: list[str] = []
    causes: list[Exception] = []
    for entry in _in_order([entry for entry in journal.owed() if entry.act not in but]):
        try:
            undone = reverse(aws, journal, entry, deadline=deadline, progress=progress)
        except Exception as error:  # the undo boundary: whatever it is, the rest must still be tried
            failures.append(f"  {entry.inverse.restores}: {error}")
            causes.append(error)
            continue
        done.append(undone)
        report(undone)
    if failures:
        raise UndoFailed(
            "Not all of the state before could be brought back:\n"
            + "\n".join(failures)
            + f"\nLooked at: {journal.path}\n"
            "To go on: mend what keeps it, then `envdr undo` again; what is back already is left alone."
        ) from causes[0]
    return done
