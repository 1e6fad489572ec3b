"""The database rebooted while jobs fail: the framework takes those that may not be tried again out of the queue first,
and then has nowhere to write them down (aws-semantics 6). They are lost for good, but for the outbox.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pytest_envdr import jobs
from pytest_envdr.aws import rds
from pytest_envdr.drills.queue_faults import Way, fault_clock, others
from pytest_envdr.errors import Refused, UndoFailed, WaitTimedOut
from pytest_envdr.timeline import Mark

if TYPE_CHECKING:
    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.queues import Case
    from pytest_envdr.journal import Journal

__all__ = ["AWAY"]

ROUNDS = 25
"""How many times jobs with one try alternate with some that have more."""
SHARE = 3
"""How many with one try there are to each that has more, so that every outage meets one, whoever holds what."""
PART, SHORTEST_SECONDS = 16, 0.05
"""The jobs' part of `short_seconds`: each asks the database when it begins and when it ends, and some must do so while
it is away, which may be a fraction of a second."""
SKEW = timedelta(seconds=5)
"""How far AWS's clock may be from this machine's."""
BACK_SECONDS = 600.0
"""How long the instance may take to come back; an hour of crash recovery is another drill's."""


def _check_instance(aws: Aws, _journal: Journal, drill: Drill, _case: Case) -> None:
    aws.stack.needs("database")
    found = rds.instance(aws, _identifier(aws))
    if found.status not in rds.READY:
        raise Refused(f"Nothing was touched: instance {found.identifier} is {found.status}, and is not rebooted.")
    drill.note(f"instance {found.identifier} is {found.status}; it will be rebooted, and comes back by itself")


def _orders(case: Case) -> list[dict[str, Any]]:
    seconds = round(max(case.row.short_seconds / PART, SHORTEST_SECONDS), 2)
    count = max(len(case.before.tasks) // 2, 1)
    few = [
        {"kind": "works", "count": SHARE * count, "seconds": seconds, "tries": 1},
        {"kind": "works", "count": count, "seconds": seconds},
    ]
    return [*(few * ROUNDS), *others(case)]


def _reboot(aws: Aws, journal: Journal, drill: Drill, _case: Case) -> None:
    target = rds.instance(aws, _identifier(aws))
    drill.mark(Mark.FAULT)
    rds.reboot(aws, journal, target)


def _wait_until_back(aws: Aws, drill: Drill, case: Case) -> None:
    """Until RDS tells of it, by its own time stamp, which is SEEN; then until the application has its database back."""
    told = drill.wait_until(
        lambda: _told(aws, drill),
        what=f"RDS telling of {_identifier(aws)}",
        deadline=BACK_SECONDS,
        longest_interval=0.5,
    )
    drill.mark(Mark.SEEN, clock=max(drill.clock.reading(told[0].at), fault_clock(drill)), by="RDS")
    _await_answers(aws, drill, case)
    for event in _told(aws, drill):
        drill.fact(f"instance {_identifier(aws)}", event.message, event.at)
    drill.mark("database back")


def _told(aws: Aws, drill: Drill) -> list[rds.Event]:
    """What RDS told of its availability since the fault. Its stamps may be of whole seconds."""
    since = drill.clock.at(fault_clock(drill)).replace(microsecond=0)
    until = drill.clock.at(drill.clock.monotonic()) + SKEW
    found = rds.events(aws, _identifier(aws), since=since, until=until)
    return [event for event in found if "availability" in event.categories]


def _await_answers(aws: Aws, drill: Drill, case: Case) -> None:
    drill.wait_until(
        lambda: rds.instance(aws, _identifier(aws)).status,
        lambda status: status in rds.READY,
        what=f"{_identifier(aws)} available again",
        deadline=BACK_SECONDS,
        longest_interval=1.0,
    )
    drill.wait_until(
        lambda: jobs.page(aws.stack, case.exercise),
        what="the application having its database back",
        deadline=BACK_SECONDS,
        longest_interval=0.5,
        tolerated=(OSError, ValueError),
    )


def _nothing_to_restore(_aws: Aws, _journal: Journal, drill: Drill, _case: Case) -> None:
    drill.note("RDS has brought the instance back: nothing to do")


def _check_back(aws: Aws, drill: Drill, case: Case) -> None:
    """What it held must be seen before anything of the drill's is taken out of it."""
    try:
        _await_answers(aws, drill, case)
    except WaitTimedOut as error:
        raise UndoFailed(f"{_identifier(aws)} has not come back: {error}") from error


def _identifier(aws: Aws) -> str:
    if aws.stack.database is None:
        raise Refused("The stack file has no [database].")
    return aws.stack.database.instance


AWAY = Way(
    _orders, lambda _: 1, _reboot, _wait_until_back, _nothing_to_restore, _check_instance, _check_back, allows="reboot"
)
