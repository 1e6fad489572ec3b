"""What is done to the workers of a queue, how it is noticed, and what is put back: the faults of the worker themselves.

Another fault is another `Way`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_envdr import guard, jobs, undo
from pytest_envdr.aws import application_autoscaling, ecs
from pytest_envdr.drills import Finding, alarms
from pytest_envdr.errors import WaitTimedOut
from pytest_envdr.timeline import Mark

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.queues import Case
    from pytest_envdr.journal import Journal
    from pytest_envdr.stack import Stack

__all__ = ["ALL_STOPPED", "KILLED", "STOPPED", "Way", "check_allowed", "fault_clock", "in_hand", "others"]

SEEN_SECONDS = 60.0
"""How long ECS may take to start the first task in the place of one that was stopped, or alarms to tell."""
ENDED_SECONDS = 180.0
"""How long a task may take to end: its stopTimeout is at most 120 s on Fargate."""
SIGKILLED = 137
"""The exit code of what SIGKILL ended."""
Order = dict[str, Any]


@dataclass(frozen=True)
class Way:
    """One fault.

    Attributes:
        orders: the jobs to dispatch.
        busy: how many workers must have one in hand when it happens.
        inflict: does it; marks FAULT just before.
        wait_until_seen: returns when it was noticed; marks SEEN.
        restore: puts back what does not come back by itself.
        prepare: looks whether it can be done, and sets up what shall notice it. Nothing is touched yet.
        check_after: looks, in the end, whether what was broken is as before.
        allows: what the approval must allow beyond the scenario; "" for nothing.
        in_cache: it is done to the cache that the queue is in; a queue in SQS is in none.
    """

    orders: Callable[[Case], list[Order]]
    busy: Callable[[Case], int]
    inflict: Callable[[Aws, Journal, Drill, Case], None]
    wait_until_seen: Callable[[Aws, Drill, Case], None]
    restore: Callable[[Aws, Journal, Drill, Case], None]
    prepare: Callable[[Aws, Journal, Drill, Case], None] = lambda *_: None
    check_after: Callable[[Aws, Drill, Case], None] = lambda *_: None
    allows: str = ""
    in_cache: bool = False


def check_allowed(stack: Stack, way: Way, today: date) -> None:
    """Refuse what goes further than the scenario itself, and was not approved.

    Raises:
        NotCleared: with the key to add.
    """
    if way.allows:
        guard.check_allowed(stack, "worker_queue_recovery", way.allows, today)


def in_hand(case: Case) -> list[Order]:
    """As many jobs as there are workers, each longer than ECS waits between SIGTERM and SIGKILL.

    Half of them may be tried once only: killed, they fail without being run again, and must be retried.
    """
    workers, long = len(case.before.tasks), case.row.long_seconds
    return [
        {"kind": "works", "count": workers - workers // 2, "seconds": long},
        {"kind": "works", "count": max(workers // 2, 1), "seconds": long, "tries": 1},
    ]


def others(case: Case) -> list[Order]:
    """Those that wait meanwhile: pending, delayed, unique, and failing; a tenant's among these, since it is by a retry
    that a job may lose its tenant."""
    tenant = {"tenant": case.row.tenant} if case.row.tenant else {}
    return [
        {"kind": "works", "count": 4},
        {"kind": "delayed", "count": 2, "delay": round(case.row.long_seconds)},
        {"kind": "unique", "unique_for": 3600},
        {"kind": "fails", "fails": 1},
        {"kind": "fails", "fails": 1, "tries": 1, **tenant},
    ]


def fault_clock(drill: Drill) -> float:
    """When the fault was injected; now, where it was not."""
    fault = drill.marked(Mark.FAULT)
    return fault.clock if fault else drill.clock.monotonic()


def _all_busy(case: Case) -> int:
    return len(case.before.tasks)


def _stop_tasks(aws: Aws, journal: Journal, drill: Drill, case: Case) -> None:
    """StopTask for the workers that have a job in hand."""
    running = case.page.ledger.runs if case.page else ()
    busy = {run.worker for run in running if run.finished_at is None}
    case.hit = [task for task in case.before.tasks if task.address in busy] or [*case.before.tasks]
    drill.mark(Mark.FAULT)
    for task in case.hit:
        ecs.stop_task(aws, journal, task, cluster=case.before.row.cluster, reason=f"envdr exercise {drill.exercise_id}")


def _take_down(aws: Aws, journal: Journal, drill: Drill, case: Case) -> None:
    """Scaling first: while the desired count lies below the minimum, a scale-out would lift it."""
    case.hit = [*case.before.tasks]
    if case.before.scaling is not None:
        application_autoscaling.suspend(aws, journal, case.before.scaling)
    drill.mark(Mark.FAULT)
    ecs.set_desired_count(aws, journal, case.before.service, count=0)


def _wait_until_replaced(aws: Aws, drill: Drill, case: Case) -> None:
    """Until ECS has started another task, by its own time stamp; then until those stopped have ended, and how."""
    row = case.before.row
    started = drill.wait_until(
        lambda: [task for task in ecs.tasks(aws, row.cluster, row.name) if task.id not in case.before.task_ids],
        what=f"ECS starting tasks of {row.name} again",
        deadline=max(drill.rto_seconds, SEEN_SECONDS),
        longest_interval=0.5,
    )
    stamps = [drill.clock.reading(task.created_at) for task in started if task.created_at]
    drill.mark(Mark.SEEN, clock=max(min(stamps, default=0.0), fault_clock(drill)), by="ECS")
    _check_ends(aws, drill, case)


def _listen(aws: Aws, journal: Journal, drill: Drill, case: Case) -> None:
    """To the alarms: where no worker is wanted, nobody else notices that none works.

    Raises:
        Refused: one of them fires already.
    """
    names, told = case.before.row.alarms, aws.stack.notifications
    for finding in (
        *alarms.check_alarms(aws, names, told.topic),
        *alarms.check_subscribers(aws, told.topic, told.subscribers),
    ):
        drill.finding(finding)
    alarms.check_quiet(aws, drill, names, settle_seconds=SEEN_SECONDS)
    case.watch = alarms.listen(aws, journal, told.topic, names)


def _wait_until_told(aws: Aws, drill: Drill, case: Case) -> None:
    """Until the alarms told a subscriber, and no worker runs. What does not tell in time is a finding."""
    watch = case.watch
    if watch is None:
        return
    promised = drill.objective.detect_seconds if drill.objective else None
    deadline = promised or max(watch.bound_seconds, SEEN_SECONDS)

    def read() -> list[str]:
        alarms.look(aws, drill, watch)
        if watch.first_told is not None and drill.marked(Mark.SEEN) is None:
            drill.mark(Mark.SEEN, clock=watch.first_told.clock, by="a subscriber")
        running = ecs.service(aws, case.before.row.name, case.before.row.cluster).running
        return [*watch.missing, *([f"{running} workers running"] if running else [])]

    try:
        drill.wait_until(
            read,
            lambda missing: not missing,
            what=f"{case.before.row.name} being seen to do no work",
            deadline=deadline,
            longest_interval=0.5,
            shown=", ".join,
        )
    except WaitTimedOut as error:
        drill.note(str(error))
    for finding in alarms.check_noticed(aws, drill, watch, since=drill.clock.at(fault_clock(drill)), waited=deadline):
        drill.finding(finding)
    _check_ends(aws, drill, case)


def _check_ends(aws: Aws, drill: Drill, case: Case) -> None:
    """That those killed were killed in mid-job, and those stopped ended by themselves: else it was another drill."""
    ended = drill.wait_until(
        lambda: ecs.described(aws, case.before.row.cluster, [task.arn for task in case.hit]),
        lambda tasks: all(task.last_status == "STOPPED" for task in tasks),
        what="the end of the stopped tasks",
        deadline=ENDED_SECONDS,
        longest_interval=0.5,
    )
    broken = _broken_off(aws, case)
    rows = []
    for task in ended:
        codes = [*task.exit_codes.values()]
        at = task.execution_stopped_at or task.stopped_at
        after = "" if at is None else f"{drill.clock.reading(at) - fault_clock(drill):+.1f}"
        rows.append((task.id, task.address, after, ", ".join(map(str, codes)), broken.get(task.address, "none")))
        if at:
            drill.fact(f"task {task.id} ended", f"worker {task.address}, exit code {codes}", at)
    columns = ("task", "worker", "ended", "exit code", "job left behind")
    drill.table("How the workers ended", columns, rows, caption="Seconds from the fault, by ECS's clock.")
    drill_findings = _not_stopped(ended) if case.how == "stopped" else _not_killed(ended, broken)
    for finding in drill_findings:
        drill.finding(finding)


def _broken_off(aws: Aws, case: Case) -> dict[str | None, str]:
    """Worker to the job that it had in hand when it ended: a run that never ended."""
    page = jobs.page(aws.stack, case.exercise)
    return {run.worker: run.id for run in page.ledger.runs if run.outcome is None and run.worker in case.gone}


def _not_stopped(ended: list[ecs.Task]) -> list[Finding]:
    killed = [task.id for task in ended if SIGKILLED in task.exit_codes.values()]
    if not killed:
        return []
    remedy = "Give short_seconds of [queue] less than the container's stopTimeout."
    return [Finding("queue.killed", "failure", "A worker did not end its job in time", ", ".join(killed), remedy)]


def _not_killed(ended: list[ecs.Task], broken: dict[str | None, str]) -> list[Finding]:
    whole = [
        f"task {task.id}: exit code {[*task.exit_codes.values()]}, job {broken.get(task.address or '', 'none')}"
        for task in ended
        if SIGKILLED not in task.exit_codes.values() or task.address not in broken
    ]
    if not whole:
        return []
    remedy = "Give long_seconds of [queue] more than the container's stopTimeout."
    return [Finding("queue.not-killed", "failure", "A worker was not killed in mid-job", "; ".join(whole), remedy)]


def _nothing_to_restore(_aws: Aws, _journal: Journal, drill: Drill, _case: Case) -> None:
    drill.note("ECS starts tasks in the place of those stopped: nothing to do")


def _raise_again(aws: Aws, journal: Journal, drill: Drill, _case: Case) -> None:
    """Put the desired count back as it was found."""
    drill.mark("restore")
    for entry in reversed(journal.owed()):
        if entry.act == "ecs.UpdateService":
            undo.reverse(aws, journal, entry)


def _killed_orders(case: Case) -> list[Order]:
    return [*in_hand(case), *others(case)]


def _stopped_orders(case: Case) -> list[Order]:
    """Jobs that end in time when their worker is told to stop."""
    count = 6 * len(case.before.tasks)
    return [{"kind": "works", "count": count, "seconds": case.row.short_seconds}, *others(case)]


KILLED = Way(_killed_orders, _all_busy, _stop_tasks, _wait_until_replaced, _nothing_to_restore)
STOPPED = Way(_stopped_orders, lambda _: 1, _stop_tasks, _wait_until_replaced, _nothing_to_restore)
ALL_STOPPED = Way(_killed_orders, _all_busy, _take_down, _wait_until_told, _raise_again, _listen)
