"""Workers that are killed or stopped while marked jobs are pending, delayed, reserved and failing; and what became of
each job.

A worker that is killed leaves its job reserved; the queue gives it out again when `retry_after` has passed and another
worker asks. Whether that went well no queue can tell: the ledger in the database does.
"""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal, get_args
from uuid import uuid4

from pytest_envdr import jobs, undo
from pytest_envdr.aws import application_autoscaling, ecs
from pytest_envdr.drills import Finding, queue_checks
from pytest_envdr.drills.subject import SETTLE_SECONDS, Subject, check_fit, subject
from pytest_envdr.errors import Refused, UndoFailed
from pytest_envdr.timeline import Mark, Phase
from pytest_envdr.verify.queue import check_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.queue_checks import Recovery
    from pytest_envdr.journal import Journal
    from pytest_envdr.ledger import Page, QueueState
    from pytest_envdr.stack import Queue

__all__ = ["Case", "Fault", "StoppedWorker", "stopped"]

Fault = Literal["killed", "stopped", "all stopped"]
"""killed: workers in mid-job are stopped and do not end in time (SIGKILL); ECS starts others. stopped: they do end.
all stopped: the service is taken down altogether."""

SEEN_SECONDS = 60.0
"""How long ECS may take to start the first task in the place of one that was stopped, or to stop all."""
ENDED_SECONDS = 180.0
"""How long a task may take to end: its stopTimeout is at most 120 s on Fargate."""
KILLED = 137
"""The exit code of what SIGKILL ended."""


@dataclass
class Case:
    """What one drill knows.

    Attributes:
        how: what was done to the workers.
        exercise: what marks its jobs.
        row: the stack file's `[queue]`.
        before: the workers' service as it was.
        queue: the queue before anything was dispatched.
        page: queue and ledger just before the fault.
        hit: the tasks that were stopped.
        retried: the uuids that were.
        made_again: the jobs that were lost and made again from the outbox.
    """

    how: Fault
    exercise: str
    row: Queue
    before: Subject
    queue: QueueState
    page: Page | None = None
    hit: list[ecs.Task] = field(default_factory=list)
    retried: list[str] = field(default_factory=list)
    made_again: list[str] = field(default_factory=list)

    @property
    def gone(self) -> frozenset[str]:
        """The workers that were stopped, by their addresses."""
        return frozenset(task.address for task in self.hit if task.address)


@dataclass(frozen=True)
class StoppedWorker:
    """Workers that were stopped while they had jobs in hand.

    `wait_until_seen` returns when that was noticed, `restore` puts the desired count back, `retry` has done what fails
    by itself retried, `recreate` makes again what the queue lost, and `wait_until_recovered` tells what became of all.
    """

    case: Case
    wait_until_seen: Callable[[], None]
    restore: Callable[[], None]
    retry: Callable[[], list[str]]
    recreate: Callable[[], list[str]]
    wait_until_recovered: Callable[[], Recovery]


@contextmanager
def stopped(
    aws: Aws, journal: Journal, drill: Drill, *, how: Fault, settle_seconds: float = SETTLE_SECONDS
) -> Iterator[StoppedWorker]:
    """Dispatch marked jobs, and stop the workers that have some in hand. On leaving, however it is left, the desired
    count is as before and no marked job is in any place of the queue.

    Raises:
        StackFileError: the stack file lacks `[queue]`.
        Refused: the workers or their queue are not fit; nothing was touched.
        UndoFailed: on leaving, something could not be brought back.
    """
    with ExitStack() as leaving:
        with drill.phase(Phase.KICK_OFF):
            if how not in get_args(Fault):
                raise Refused(f"Workers cannot be {how!r}: they can be {', '.join(get_args(Fault))}.")
            row, worker = jobs.row(aws.stack), jobs.service(aws.stack)
            before = check_fit(aws, drill, worker, settle_seconds=settle_seconds)
            name = f"{drill.exercise_id[:48]}-{uuid4().hex[:6]}"
            leaving.enter_context(_put_back(aws, journal, drill, before, name))
            case = Case(how, name, row, before, jobs.queue(aws, journal, name))
            _check_queue(drill, case)
        with drill.phase(Phase.TRIGGER):
            _dispatch(aws, journal, drill, case)
            _take_down(aws, journal, drill, case)
        yield StoppedWorker(
            case,
            partial(_wait_until_seen, aws, drill, case),
            partial(_restore, aws, journal, drill, case),
            partial(_retry, aws, journal, drill, case),
            partial(_recreate, aws, journal, drill, case),
            partial(queue_checks.wait_until_recovered, aws, drill, case),
        )


def orders(case: Case) -> list[dict[str, Any]]:
    """What is dispatched: first as many jobs as there are workers, to be in their hands; then those that wait.

    Of those in hand half may be tried once only: killed, they fail without being run again, and must be retried.
    """
    workers = len(case.before.tasks)
    long = case.row.long_seconds
    in_hand: list[dict[str, Any]] = [
        {"kind": "works", "count": workers - workers // 2, "seconds": long},
        {"kind": "works", "count": max(workers // 2, 1), "seconds": long, "tries": 1},
    ]
    if case.how == "stopped":
        in_hand = [{"kind": "works", "count": 6 * workers, "seconds": case.row.short_seconds}]
    return [
        *in_hand,
        {"kind": "works", "count": 4},
        {"kind": "delayed", "count": 2, "delay": round(long)},
        {"kind": "unique", "unique_for": 3600},
        {"kind": "fails", "fails": 1},
        {"kind": "fails", "fails": 1, "tries": 1},
    ]


def _check_queue(drill: Drill, case: Case) -> None:
    """Whether workers take jobs at all, and whether their settings can go well."""
    queue = case.queue
    drill.attach("queue before.json", json.dumps(asdict(queue), indent=2), media_type="application/json")
    if queue.paused or queue.maintenance:
        why = "the queue is paused" if queue.paused else "the application is in maintenance mode"
        raise Refused(f"Nothing was touched: {why}, so workers rightly take no job.")
    if not queue.workers:
        raise Refused("Nothing was touched: no worker says that it is alive, so nobody would take the jobs.")
    counts = ", ".join(f"{count} {place}" for place, count in queue.counts.items())
    drill.note(f"queue {queue.keys['pending']} before: {counts}; {queue.foreign.count} failed jobs are of others")
    settings = sorted(
        {f"retry_after {one.retry_after}, timeout {one.timeout}, tries {one.tries}" for one in queue.workers}
    )
    drill.note(f"workers run with {'; '.join(settings)}")
    for difference in check_settings(queue, longest_seconds=case.row.long_seconds):
        drill.finding(queue_checks.finding(difference))


def _dispatch(aws: Aws, journal: Journal, drill: Drill, case: Case) -> None:
    """Until every worker has one of them in hand, and all others wait."""
    wanted = orders(case)
    total = sum(order.get("count", 1) for order in wanted)
    busy = len(case.before.tasks) if case.how != "stopped" else 1

    def ready(page: Page) -> bool:
        running = [run for run in page.ledger.runs if run.finished_at is None]
        dispatched = [job for job in page.ledger.jobs if job.dispatches]
        return len(dispatched) == total and len(running) >= busy

    case.page = jobs.dispatch(aws, journal, case.exercise, wanted, ready=ready)
    drill.note(f"{total} jobs dispatched, {len(case.page.queue.reserved)} of them reserved, marked {case.exercise}")


def _take_down(aws: Aws, journal: Journal, drill: Drill, case: Case) -> None:
    """The workers that have a job in hand, or the service."""
    running = case.page.ledger.runs if case.page else ()
    busy = {run.worker for run in running if run.finished_at is None}
    case.hit = [task for task in case.before.tasks if task.address in busy] or [*case.before.tasks]
    if case.how == "all stopped":
        case.hit = [*case.before.tasks]
        if case.before.scaling is not None:
            application_autoscaling.suspend(aws, journal, case.before.scaling)
        drill.mark(Mark.FAULT)
        ecs.set_desired_count(aws, journal, case.before.service, count=0)
        return
    drill.mark(Mark.FAULT)
    for task in case.hit:
        ecs.stop_task(aws, journal, task, cluster=case.before.row.cluster, reason=f"envdr exercise {drill.exercise_id}")


def _wait_until_seen(aws: Aws, drill: Drill, case: Case) -> None:
    """Until it is noticed: by ECS, which starts another task; where the service is down, by jobs that nobody takes.
    Marks SEEN. Then until the stopped tasks have ended, and how."""
    if case.how == "all stopped":
        drill.wait_until(
            lambda: ecs.service(aws, case.before.row.name, case.before.row.cluster).running,
            lambda running: running == 0,
            what="no worker running",
            deadline=ENDED_SECONDS,
            longest_interval=0.5,
        )
        drill.mark(Mark.SEEN, by="the queue, which nobody works on")
    else:
        _await_replacement(aws, drill, case)
    _check_ends(aws, drill, case)


def _await_replacement(aws: Aws, drill: Drill, case: Case) -> None:
    row = case.before.row
    started = drill.wait_until(
        lambda: [task for task in ecs.tasks(aws, row.cluster, row.name) if task.id not in case.before.task_ids],
        what=f"ECS starting tasks of {row.name} again",
        deadline=max(drill.rto_seconds, SEEN_SECONDS),
        longest_interval=0.5,
    )
    stamps = [drill.clock.reading(task.created_at) for task in started if task.created_at]
    drill.mark(Mark.SEEN, clock=max(min(stamps, default=0.0), _fault(drill)), by="ECS")


def _check_ends(aws: Aws, drill: Drill, case: Case) -> None:
    """That those killed were killed, and those stopped ended by themselves: else it was another drill."""
    ended = drill.wait_until(
        lambda: ecs.described(aws, case.before.row.cluster, [task.arn for task in case.hit]),
        lambda tasks: all(task.last_status == "STOPPED" for task in tasks),
        what="the end of the stopped tasks",
        deadline=ENDED_SECONDS,
        longest_interval=0.5,
    )
    codes = {task.id: [*task.exit_codes.values()] for task in ended}
    for task in ended:
        if at := task.execution_stopped_at or task.stopped_at:
            drill.fact(f"task {task.id} ended", f"worker {task.address}, exit code {codes[task.id]}", at)
    killed = [task for task, code in codes.items() if KILLED in code]
    if case.how == "stopped" and killed:
        remedy = "Give short_seconds of [queue] less than the container's stopTimeout."
        drill.finding(
            Finding("queue.killed", "failure", "A worker did not end its job in time", ", ".join(killed), remedy)
        )
    if case.how != "stopped" and not killed:
        remedy = "Give long_seconds of [queue] more than the container's stopTimeout."
        drill.finding(Finding("queue.not-killed", "failure", "No worker was killed in mid-job", str(codes), remedy))


def _restore(aws: Aws, journal: Journal, drill: Drill, case: Case) -> None:
    """Put the desired count back; where tasks were stopped ECS starts others by itself."""
    if case.how != "all stopped":
        drill.note("ECS starts tasks in the place of those stopped: nothing to do")
        return
    drill.mark("restore")
    for entry in reversed(journal.owed()):
        if entry.act == "ecs.UpdateService":
            undo.reverse(aws, journal, entry)


def _retry(aws: Aws, journal: Journal, drill: Drill, case: Case) -> list[str]:
    """`queue:retry` with the uuids of the drill's own failed jobs, and no other, once nothing else is under way."""
    page = queue_checks.wait_until_settled(aws, drill, case)
    failed = page.queue.failed
    drill.table(
        "Failed jobs",
        ("job", "uuid", "why"),
        [(job.id, job.uuid, job.reason) for job in failed],
        caption="The drill's own, which are retried. Those of others are not touched.",
    )
    case.retried = [job.uuid for job in failed]
    if case.retried:
        ran = jobs.retry(aws, journal, case.retried)
        drill.attach("queue-retry.txt", ran.output)
    return case.retried


def _recreate(aws: Aws, journal: Journal, drill: Drill, case: Case) -> list[str]:
    """Jobs that are in no place of the queue and have no effect, again from the outbox."""
    queue_checks.wait_until_settled(aws, drill, case)
    case.made_again = jobs.redispatch(aws, journal, case.exercise)
    rows = [(job, "made again from the outbox") for job in case.made_again]
    drill.table("Jobs that the queue lost", ("job", "what became of it"), rows)
    return case.made_again


@contextmanager
def _put_back(aws: Aws, journal: Journal, drill: Drill, before: Subject, name: str) -> Iterator[None]:
    """All that is owed, the newest first; then look whether all is as before."""
    try:
        yield
    finally:
        undo.replay(aws, journal, lambda undone: drill.note(f"{undone.entry.inverse.restores}: {undone.how}"))
        _check_as_before(aws, before, name)


def _check_as_before(aws: Aws, before: Subject, name: str) -> None:
    now = subject(aws, before.row)
    if now.service.desired < before.service.desired or now.scaling != before.scaling:
        raise UndoFailed(
            f"{before.row.name} is not as before: desired count {before.service.desired}, now {now.service.desired}; "
            f"auto scaling {before.scaling}, now {now.scaling}."
        )
    if not jobs.page(aws.stack, name).empty:
        raise UndoFailed(f"Marked jobs of {name} are left.\nTo go on: `php artisan dr:forget {name}` in a task.")


def _fault(drill: Drill) -> float:
    fault = drill.marked(Mark.FAULT)
    return fault.clock if fault else drill.clock.monotonic()
