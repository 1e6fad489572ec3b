"""The cache that a queue is in, restarted or failed over while jobs are in every place of it.

A primary that restarts comes back empty, and its replicas become as empty: what was in the queue is gone, and only the
outbox knows of it. A failover loses what no replica had yet (aws-semantics 6).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pytest_envdr import jobs
from pytest_envdr.aws import elasticache
from pytest_envdr.drills import Finding, cache_fit
from pytest_envdr.drills.queue_faults import Way, fault_clock, in_hand, others
from pytest_envdr.errors import Refused, UndoFailed, WaitTimedOut
from pytest_envdr.timeline import Mark

if TYPE_CHECKING:
    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.cache_fit import Place
    from pytest_envdr.drills.queues import Case
    from pytest_envdr.journal import Journal

__all__ = ["FAILED_OVER", "REBOOTED"]

SKEW = timedelta(seconds=5)
"""How far AWS's clock may be from this machine's."""
BACK_SECONDS = 900.0
"""How long a cache may take to come back: a failover takes some minutes, a node that is replaced more."""


def _look_before_reboot(aws: Aws, _journal: Journal, drill: Drill, case: Case) -> None:
    case.place = cache_fit.check_reboot(aws, drill, case)


def _look_before_failover(aws: Aws, _journal: Journal, drill: Drill, case: Case) -> None:
    case.place = cache_fit.check_failover(aws, drill, case)


def _orders(case: Case) -> list[dict[str, Any]]:
    return [*in_hand(case), *others(case)]


def _reboot(aws: Aws, journal: Journal, drill: Drill, case: Case) -> None:
    target = _place(case).cluster
    drill.mark(Mark.FAULT)
    elasticache.reboot(aws, journal, target)


def _fail_over(aws: Aws, journal: Journal, drill: Drill, case: Case) -> None:
    group = _place(case).group
    if group is None:  # for the type checker: it was refused
        raise Refused(f"{_place(case).name} is no replication group.")
    drill.mark(Mark.FAULT)
    elasticache.fail_over(aws, journal, group)


def _wait_until_back(aws: Aws, drill: Drill, case: Case) -> None:
    """Until ElastiCache tells of it, by its own time stamp, which is SEEN; then until the application has its queue
    again."""
    place = _place(case)
    told = drill.wait_until(
        lambda: _told(aws, drill, place),
        what=f"ElastiCache telling of {place.name}",
        deadline=BACK_SECONDS,
        longest_interval=0.5,
    )
    drill.mark(Mark.SEEN, clock=max(drill.clock.reading(told[0].at), fault_clock(drill)), by="ElastiCache")
    _await_answers(aws, drill, case)
    for event in _told(aws, drill, place):
        drill.fact(f"cache {event.source}", event.message, event.at)
    drill.mark("cache back")


def _wait_until_failed_over(aws: Aws, drill: Drill, case: Case) -> None:
    """As after a restart; and then another node must be the primary."""
    _wait_until_back(aws, drill, case)
    place, now = _place(case), cache_fit.check_place(aws, drill)
    if now.cluster.identifier == place.cluster.identifier:
        title = f"{place.name} did not fail over: {place.cluster.identifier} is its primary still"
        drill.finding(Finding("cache.not-failed-over", "failure", title))


def _told(aws: Aws, drill: Drill, place: Place) -> list[elasticache.Event]:
    """What ElastiCache told of the group and its nodes since the fault, oldest first. Its stamps may be of whole
    seconds."""
    since = drill.clock.at(fault_clock(drill)).replace(microsecond=0)
    until = drill.clock.at(drill.clock.monotonic()) + SKEW
    found: list[elasticache.Event] = []
    for name in place.members:
        found += elasticache.events(aws, name, "cache-cluster", since=since, until=until)
    if place.group:
        found += elasticache.events(aws, place.name, "replication-group", since=since, until=until)
    return sorted(found, key=lambda event: event.at)


def _await_answers(aws: Aws, drill: Drill, case: Case) -> None:
    place = _place(case)
    drill.wait_until(
        lambda: elasticache.condition(aws, place.name),
        lambda status: status == "available",
        what=f"{place.name} available again",
        deadline=BACK_SECONDS,
        longest_interval=1.0,
    )
    drill.wait_until(
        lambda: jobs.page(aws.stack, case.exercise),
        what="the application having its queue back",
        deadline=BACK_SECONDS,
        longest_interval=0.5,
        tolerated=(OSError, ValueError),
    )


def _nothing_to_restore(_aws: Aws, _journal: Journal, drill: Drill, _case: Case) -> None:
    drill.note("ElastiCache has brought the cache back: nothing to do; what it lost is made again")


def _check_back(aws: Aws, drill: Drill, case: Case) -> None:
    """What is in it must be seen before anything of the drill's is taken out of it."""
    if case.place is None:
        return
    try:
        _await_answers(aws, drill, case)
    except WaitTimedOut as error:
        raise UndoFailed(f"{case.place.name} has not come back: {error}") from error


def _place(case: Case) -> Place:
    if case.place is None:
        raise Refused("The cache was not looked at.")
    return case.place


REBOOTED = Way(
    _orders,
    lambda case: len(case.before.tasks),
    _reboot,
    _wait_until_back,
    _nothing_to_restore,
    _look_before_reboot,
    _check_back,
    allows="reboot",
    in_cache=True,
)
FAILED_OVER = Way(
    _orders,
    lambda case: len(case.before.tasks),
    _fail_over,
    _wait_until_failed_over,
    _nothing_to_restore,
    _look_before_failover,
    _check_back,
    allows="reboot",
    in_cache=True,
)
