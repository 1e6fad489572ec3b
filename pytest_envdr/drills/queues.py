"""Workers that are killed or stopped while marked jobs are pending, delayed, reserved and failing; and what became of
each job.

A worker that is killed leaves its job reserved; the queue gives it out again when `retry_after` has passed and another
worker asks. Whether that went well no queue can tell: the ledger in the database does.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Literal, get_args
from uuid import uuid4

from pytest_envdr import jobs, undo
from pytest_envdr.drills import Finding, caches, queue_checks, queue_database, queue_faults, queue_fit, queue_listings
from pytest_envdr.drills.subject import SETTLE_SECONDS, Subject, check_fit, subject
from pytest_envdr.errors import NotCleared, Refused, UndoFailed
from pytest_envdr.timeline import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_envdr.aws import Aws, ecs
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.alarms import Watch
    from pytest_envdr.drills.cache_fit import Place
    from pytest_envdr.drills.queue_checks import Recovery
    from pytest_envdr.drills.queue_faults import Way
    from pytest_envdr.journal import Journal
    from pytest_envdr.laravel import Begun
    from pytest_envdr.ledger import Page, QueueState
    from pytest_envdr.stack import Stack
    from pytest_envdr.tables import Queue

__all__ = ["Case", "Fault", "StoppedWorker", "stopped", "unsuited"]

Fault = Literal["killed", "stopped", "all stopped", "database away", "cache rebooted", "cache failed over"]
"""killed: workers in mid-job are stopped and do not end in time (SIGKILL); ECS starts others. stopped: they do end.
all stopped: the service is taken down altogether. database away: the database is rebooted while jobs end. cache
rebooted: what the queue is in comes back empty. cache failed over: a replica of it takes over."""

WAYS: dict[Fault, Way] = {
    "killed": queue_faults.KILLED,
    "stopped": queue_faults.STOPPED,
    "all stopped": queue_faults.ALL_STOPPED,
    "database away": queue_database.AWAY,
    "cache rebooted": caches.REBOOTED,
    "cache failed over": caches.FAILED_OVER,
}


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
        watch: what shall notice the fault, where that is alarms.
        listing: `queue:failed` after the retry.
        place: the cache that the queue is in, where that is what is broken.
        clock_error: how far the application's clock may be from the drill's; None until it was asked.
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
    watch: Watch | None = None
    listing: Begun | None = None
    place: Place | None = None
    clock_error: float | None = None

    @property
    def way(self) -> Way:
        """What that is: how it is done, noticed, and put back."""
        return WAYS[self.how]

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


def unsuited(stack: Stack, how: Fault) -> str:
    """Why a fault has no place in a stack: nobody allowed it, or it breaks a cache and the queue is in none. "" where
    it has."""
    if how not in WAYS:
        return ""
    try:
        queue_faults.check_allowed(stack, WAYS[how], date.today())  # noqa: DTZ011 (the approver's day)
    except NotCleared as error:
        return f"{how}: {error}"
    if not WAYS[how].in_cache or stack.queue is None or stack.queue.connection in {"", "redis"}:
        return ""
    return f"{how}: the queue's connection is {stack.queue.connection!r}, and no cache is broken for it."


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
            queue_faults.check_allowed(aws.stack, WAYS[how], date.today())  # noqa: DTZ011 (the approver's day)
            row, worker = jobs.row(aws.stack), jobs.service(aws.stack)
            before = check_fit(aws, drill, worker, settle_seconds=settle_seconds)
            name = f"{drill.exercise_id[:48]}-{uuid4().hex[:6]}"
            running = {task.address for task in before.tasks if task.address}
            queue = queue_fit.check_queue(aws, drill, row, name, running=running, patience=settle_seconds)
            case = Case(how, name, row, before, queue)
            leaving.enter_context(_put_back(aws, journal, drill, case))
            case.way.prepare(aws, journal, drill, case)
            queue_listings.list_failed(aws, journal, drill, case, when="before")
        with drill.phase(Phase.TRIGGER):
            _dispatch(aws, journal, drill, case)
            case.way.inflict(aws, journal, drill, case)
        yield StoppedWorker(
            case,
            partial(case.way.wait_until_seen, aws, drill, case),
            partial(case.way.restore, aws, journal, drill, case),
            partial(_retry, aws, journal, drill, case),
            partial(_recreate, aws, journal, drill, case),
            partial(queue_checks.wait_until_recovered, aws, drill, case),
        )


def _dispatch(aws: Aws, journal: Journal, drill: Drill, case: Case) -> None:
    """Until workers have jobs in hand, and all others wait."""
    wanted, busy = case.way.orders(case), case.way.busy(case)
    total = sum(order.get("count", 1) for order in wanted)

    def ready(page: Page) -> bool:
        running = [run for run in page.ledger.runs if run.finished_at is None]
        dispatched = [job for job in page.ledger.jobs if job.dispatches]
        return len(dispatched) == total and len(running) >= busy

    case.page = jobs.dispatch(aws, journal, case.exercise, wanted, ready=ready)
    queue = case.page.queue
    places = f"{len(queue.pending)} pending, {len(queue.delayed)} delayed, {len(queue.reserved)} reserved"
    drill.note(f"{total} jobs dispatched, marked {case.exercise}; of them {places}")


def _retry(aws: Aws, journal: Journal, drill: Drill, case: Case) -> list[str]:
    """The plan's own steps, once nothing else is under way: `queue:failed`, then `queue:retry` with the uuids of the
    drill's own failed jobs, and no other. The listing that ought to show them no more is begun, and not waited for."""
    page = queue_checks.wait_until_settled(aws, drill, case)
    failed = page.queue.failed
    drill.table(
        "Failed jobs",
        ("job", "uuid", "why"),
        [(job.id, job.uuid, job.reason) for job in failed],
        caption="The drill's own, which are retried. Those of others are not touched.",
    )
    _redrive(aws, journal, drill, page, case.exercise)
    case.retried = [job.uuid for job in failed]
    if case.retried:
        queue_listings.list_failed(aws, journal, drill, case, when="before the retry", wanted=case.retried)
        ran = jobs.retry(aws, journal, case.retried)
        drill.attach("queue-retry.txt", f"$ {' '.join(ran.command)}\n{ran.output}\n")
    case.listing = queue_listings.begin_listing(aws, journal, case)
    return case.retried


def _redrive(aws: Aws, journal: Journal, drill: Drill, page: Page, exercise: str) -> None:
    """The drill's own jobs of the dead-letter queue, where there is one, back into the queue, and no other."""
    if "dead" not in page.queue.counts:
        return
    drill.table(
        "Dead-letter queue",
        ("job", "uuid"),
        [(job.id, job.uuid) for job in page.queue.dead],
        caption=f"The drill's own of {page.queue.counts['dead']} messages; they are put back, those of others are not.",
    )
    if page.queue.dead:
        drill.note(f"put back from the dead-letter queue: {', '.join(jobs.redrive(aws, journal, exercise))}")


def _recreate(aws: Aws, journal: Journal, drill: Drill, case: Case) -> list[str]:
    """Jobs that are in no place of the queue and have no effect, again from the outbox."""
    queue_checks.wait_until_settled(aws, drill, case)
    case.made_again = jobs.redispatch(aws, journal, case.exercise)
    if not case.made_again:
        title = "The queue lost no job: that lost ones can be made again was not shown"
        drill.finding(Finding("queue.nothing-lost", "warning", title))
    return case.made_again


@contextmanager
def _put_back(aws: Aws, journal: Journal, drill: Drill, case: Case) -> Iterator[None]:
    """All that is owed, the newest first; then look whether all is as before."""
    try:
        yield
    finally:
        case.way.check_after(aws, drill, case)
        undo.replay(aws, journal, lambda undone: drill.note(f"{undone.entry.inverse.restores}: {undone.how}"))
        _check_as_before(aws, case)


def _check_as_before(aws: Aws, case: Case) -> None:
    before = case.before
    now = subject(aws, before.row)
    if now.service.desired < before.service.desired or now.scaling != before.scaling:
        raise UndoFailed(
            f"{before.row.name} is not as before: desired count {before.service.desired}, now {now.service.desired}; "
            f"auto scaling {before.scaling}, now {now.scaling}."
        )
    if not jobs.page(aws.stack, case.exercise).empty:
        name = case.exercise
        raise UndoFailed(f"Marked jobs of {name} are left.\nTo go on: `php artisan dr:forget {name}` in a task.")
