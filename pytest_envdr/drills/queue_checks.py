"""What became of an exercise's marked jobs: when they were done, which were lost, which were executed twice."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pytest_envdr import jobs, laravel
from pytest_envdr.aws import ecs
from pytest_envdr.drills import Finding, RecoveryPoint
from pytest_envdr.drills.queue_faults import fault_clock
from pytest_envdr.drills.queue_listings import attach_listing
from pytest_envdr.drills.queue_logs import attach_workers_log
from pytest_envdr.drills.subject import unsteady
from pytest_envdr.errors import WaitTimedOut
from pytest_envdr.timeline import Mark
from pytest_envdr.verify.queue import Difference, differences

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.queues import Case
    from pytest_envdr.laravel import Begun
    from pytest_envdr.ledger import Job, Ledger, Page, Run

TWICE = "At least once is what queues promise: what counts is that no effect was doubled by it."
PATIENCE = 2
"""How many times the RTO is waited for, so that a recovery that comes late is measured all the same."""
LOST = ("lost", "not-queued")
READINGS = 2
"""How often in a row nothing must be under way: between leaving the queue and being among the failed ones a job is
nowhere for a moment."""
MARGIN_SECONDS = 1.0
"""How much longer than its time-out a job may take to be killed: Laravel's alarm counts whole seconds."""
REMEDIES = {
    "lost": "`php artisan dr:redispatch` makes it again from the outbox.",
    "stuck": "Release the lock, and give unique jobs a `uniqueFor`.",
    "retry-after": "Set QUEUE_RETRY_AFTER above the workers' --timeout, and that above the longest job.",
    "timeout": "Set the workers' --timeout above the longest job.",
    "tries": "Set the workers' --tries to 2 or more, or retry what failed.",
    "eviction": "Set maxmemory-policy to noeviction in the cache's parameter group.",
    "wrong-tenant": "Have the payload name the tenant, and the worker make it the current one before it runs the job.",
    "dead": "`php artisan dr:redrive` puts it back into the queue, and nobody else's.",
    "visibility": "Set the queue's VisibilityTimeout above the workers' --timeout, and that above the longest job.",
    "receives": "Set maxReceiveCount of the queue's redrive policy above the workers' --tries.",
    "no-dead-letters": "Give the queue a redrive policy with a dead-letter queue.",
    "retention": "Set MessageRetentionPeriod higher; the dead-letter queue's above that of the queue.",
    "delay": "Give long_seconds of [queue] 900 at most.",
    "foreign-gone": "Find out who retried or deleted it; the drill names the uuids that it retried.",
}


@dataclass(frozen=True)
class Recovery:
    """What came of the jobs. Seconds.

    Attributes:
        rta_seconds: from the fault to verified.
        last_done_seconds: from the fault to the last effect, by the application's clock; None where there was none.
        jobs: how many were dispatched.
        lost: those that the queue lost, those made again among them.
        made_again: of them, those that were made again from the outbox.
        duplicates: those executed more than once, without harm.
        differences: all that does harm.
        rpa_seconds: how old the oldest job was at the fault that was lost and not made again; 0 where none was.
    """

    rta_seconds: float
    last_done_seconds: float | None
    jobs: int
    lost: list[str]
    made_again: list[str]
    duplicates: list[Difference]
    differences: list[Difference]
    rpa_seconds: float


def finding(difference: Difference) -> Finding:
    """A difference as the drill tells it: harmless ones are warnings."""
    severity = "warning" if difference.harmless else "failure"
    remedy = REMEDIES.get(difference.kind, "")
    return Finding(f"queue.{difference.kind}", severity, str(difference).rstrip("."), difference.actual, remedy)  # type: ignore[arg-type]


def under_way(page: Page, gone: frozenset[str]) -> set[str]:
    """The jobs that something will still come of by itself: in the queue, or in the hands of a worker that lives."""
    return {run.id for run in _in_hand(page, gone)} | page.queue.queued


def _in_hand(page: Page, gone: frozenset[str]) -> Iterator[Run]:
    """A run without an end may be over all the same: its worker was stopped, or began another job since, or could not
    write what came of it, the database being away. It cannot be under way when the worker's time-out has passed."""
    timeouts = [worker.timeout for worker in page.queue.workers]
    longest = max(timeouts) if timeouts and all(timeouts) else None
    latest = {run.worker: run for run in page.ledger.runs}
    for run in latest.values():
        over = longest is not None and page.queue.at >= run.started_at + longest + MARGIN_SECONDS
        if run.outcome is None and run.worker not in gone and not over:
            yield run


def wait_until_settled(aws: Aws, drill: Drill, case: Case) -> Page:
    """Until nothing is under way: all jobs are done, failed or lost. What takes longer is told, and no exception."""
    seen: list[Page] = []
    quiet = 0

    def read() -> set[str]:
        nonlocal quiet
        seen[:] = [_page(aws, drill, case)]
        left = under_way(seen[0], case.gone)
        quiet = 0 if left else quiet + 1
        return left

    try:
        drill.wait_until(
            read,
            lambda _: quiet >= READINGS,
            what=f"no job of {case.exercise} under way",
            deadline=PATIENCE * drill.rto_seconds,
            longest_interval=0.5,
            tolerated=(OSError, ValueError),
            shown=lambda left: ", ".join(sorted(left or ())),
        )
    except WaitTimedOut as error:
        drill.note(str(error))
    return seen[0] if seen else jobs.page(aws.stack, case.exercise)


def _page(aws: Aws, drill: Drill, case: Case) -> Page:
    """The page; and how far the clock that it stamps with may be from the drill's, by the best answer so far."""
    asked = drill.clock.monotonic()
    page = jobs.page(aws.stack, case.exercise)
    error = clock_error(_clock(drill, page.queue.at), asked=asked, answered=drill.clock.monotonic())
    case.clock_error = error if case.clock_error is None else min(error, case.clock_error)
    return page


def clock_error(stamp: float, *, asked: float, answered: float) -> float:
    """How far the clock that gave a stamp between question and answer may be from the one that these were read from."""
    return max(abs(stamp - asked), abs(stamp - answered))


def wait_until_recovered(aws: Aws, drill: Drill, case: Case) -> Recovery:
    """Until nothing is under way and the service is steady; then what became of each job. Marks RECOVERED when the last
    job was done, and VERIFIED where nothing failed.

    Nothing is held for a while: when no job is in any place or hand, no more can come of any.
    """
    page = wait_until_settled(aws, drill, case)
    _await_service(aws, drill, case)
    found = differences(page.ledger, page.queue, before=case.queue)
    _tell(drill, case, page.ledger, found)
    attach_workers_log(aws, drill, case, found)
    for difference in found:
        drill.finding(finding(difference))
    _tell_made_again(drill, case)
    lost = [one.subject for one in found if one.kind in LOST]
    last = _mark_recovered(drill, case, page.ledger)
    if not drill.failures:
        drill.mark(Mark.VERIFIED)
    rta = drill.clock.monotonic() - fault_clock(drill)
    if case.listing is not None:
        _attach_last_listing(aws, drill, case.listing, case.retried)
    return Recovery(
        rta_seconds=rta,
        last_done_seconds=last,
        jobs=len(page.ledger.jobs),
        lost=sorted({*lost, *case.made_again}),
        made_again=sorted(case.made_again),
        duplicates=[one for one in found if one.harmless],
        differences=[one for one in found if not one.harmless],
        rpa_seconds=_tell_recovery_point(drill, case, page.ledger, lost),
    )


def _await_service(aws: Aws, drill: Drill, case: Case) -> None:
    row = case.before.row
    try:
        drill.wait_until(
            lambda: _not_back(ecs.service(aws, row.name, row.cluster), aws, case),
            lambda reason: not reason,
            what=f"{row.name} with all its workers",
            deadline=PATIENCE * drill.rto_seconds,
            longest_interval=0.5,
        )
    except WaitTimedOut as error:
        drill.finding(Finding("recovery.none", "failure", f"{row.name} did not come back", error.last))


def _not_back(service: ecs.Service, aws: Aws, case: Case) -> str:
    if service.desired != case.before.service.desired:
        return f"its desired count is {service.desired}, and was {case.before.service.desired}"
    return unsteady(aws, service)


def _tell(drill: Drill, case: Case, ledger: Ledger, found: list[Difference]) -> None:
    """Each job's story, the duplicates, the lost ones; the whole ledger is attached."""
    fault = fault_clock(drill)
    drill.attach("ledger.json", json.dumps(asdict(ledger), indent=2), media_type="application/json")
    rows = [_story(drill, case, job, ledger, fault) for job in ledger.jobs]
    drill.table(
        "What happened to each job",
        ("job", "asked to", "runs", "effect", "how it came to be done"),
        rows,
        caption="Seconds from the fault, by the application's clock.",
    )
    twice = [(one.subject, one.actual, one.expected) for one in found if one.kind == "executed-twice"]
    drill.table("Jobs executed more than once", ("job", "executions", "expected"), twice, caption=TWICE)
    lost = [(one.subject, _last_seen(ledger, one.subject, case), str(one)) for one in found if one.kind in LOST]
    again = "in no place of the queue and not among the failed; made again from the outbox"
    lost += [(job, _last_seen(ledger, job, case), again) for job in case.made_again]
    drill.table("Jobs that the queue lost", ("job", "last seen before", "what became of it"), lost)
    for run in ledger.runs:
        text = f"attempt {run.attempt} by worker {run.worker}: {_end(run, case)}"
        drill.fact(f"job {run.id}", text, datetime.fromtimestamp(run.started_at, UTC))


def _story(drill: Drill, case: Case, job: Job, ledger: Ledger, fault: float) -> tuple[str, ...]:
    def since(at: float) -> str:
        return f"{_clock(drill, at) - fault:+.1f}"

    runs = [
        f"{since(run.started_at)} {run.worker} attempt {run.attempt}: {_end(run, case)}"
        for run in ledger.runs_of(job.id)
    ]
    effects = [since(effect.applied_at) for effect in ledger.effects if effect.id == job.id]
    how = _how(job, ledger, case) if effects else "not done"
    return job.id, _asked(job), "; ".join(runs) or "none", ", ".join(effects) or "none", how


def _asked(job: Job) -> str:
    """A job's orders in words."""
    words = {key: f"{value:g}" for key, value in job.orders.items() if isinstance(value, int | float) and value}
    told = [job.kind, *(f"{key.replace('_', ' ')} {value}" for key, value in words.items())]
    return ", ".join([*told, f"for tenant {job.tenant}"] if job.tenant else told)


def _how(job: Job, ledger: Ledger, case: Case) -> str:
    """Which mechanism brought a job to its end."""
    runs = ledger.runs_of(job.id)
    if job.id in case.made_again:
        return "lost by the queue, made again from the outbox"
    if job.uuid in case.retried:
        return "failed, retried by its uuid"
    if any(run.outcome is None for run in runs):
        return "given out again by the queue"
    return "run again by the framework" if len(runs) > 1 else "in its first run"


def _last_seen(ledger: Ledger, job: str, case: Case) -> str:
    """The run in which a lost job was lost, where one could be written down."""
    broken = [run for run in ledger.runs_of(job) if run.outcome is None]
    return (
        f"attempt {broken[0].attempt} by {broken[0].worker}: {_end(broken[0], case)}"
        if broken
        else "no run was written"
    )


def _tell_made_again(drill: Drill, case: Case) -> None:
    """That nothing is missing in the end is not "no loss": the queue lost them."""
    if case.made_again:
        count, jobs_ = len(case.made_again), ", ".join(sorted(case.made_again))
        title = f"The queue lost {count} of the jobs for good; what was lost was made again from the outbox"
        remedy = "Keep an outbox for whatever must not be lost: neither the queue nor failed_jobs knows of these."
        drill.finding(Finding("queue.lost-made-again", "warning", title, jobs_, remedy))


def _attach_last_listing(aws: Aws, drill: Drill, begun: Begun, retried: list[str]) -> None:
    drill.wait_until(
        lambda: laravel.ended(aws, begun),
        what=f"the end of `{' '.join(begun.command)}`",
        deadline=laravel.COMMAND_SECONDS,
        longest_interval=0.5,
    )
    attach_listing(aws, drill, begun, when="after the retry", unwanted=retried)


def _end(run: Run, case: Case) -> str:
    if run.outcome is None:
        return "killed" if run.worker in case.gone else "never ended"
    return run.outcome


def _tell_recovery_point(drill: Drill, case: Case, ledger: Ledger, lost: list[str]) -> float:
    """How old the oldest job was that was lost and not made again."""
    stamps = [_clock(drill, job.dispatched_at) for job in ledger.jobs if job.id in lost and job.dispatched_at]
    rpa = max([0.0, *(fault_clock(drill) - at for at in stamps)])
    kept = len(ledger.jobs) - len({*lost, *case.made_again})
    text = f"{kept} of {len(ledger.jobs)} marked jobs survived in the queue"
    if case.made_again:
        text += f", {len(case.made_again)} were lost there and made again from the outbox"
    drill.recovery_point(RecoveryPoint("queue", round(rpa, 3), text, len(lost)))
    return rpa


def _mark_recovered(drill: Drill, case: Case, ledger: Ledger) -> float | None:
    """Two instants by the application's clock: when the queue was worked on again, by the first job done that no
    stopped worker did; and when the last job was done, which is the recovery. Gives the seconds from fault to last."""
    fault = fault_clock(drill)
    ends = [
        _clock(drill, run.finished_at)
        for run in ledger.runs
        if run.finished_at is not None and run.outcome != "failed" and run.worker not in case.gone
    ]
    if after := [at for at in ends if at >= fault]:
        drill.mark("first job done by another worker", clock=min(after))
    effects = [_clock(drill, effect.applied_at) for effect in ledger.effects]
    last = max(effects, default=None)
    if last is None or last < fault:
        return None
    seen = drill.marked(Mark.SEEN)
    error = None if case.clock_error is None else round(case.clock_error, 3)
    drill.mark(Mark.RECOVERED, clock=max(last, seen.clock) if seen else last, error_seconds=error)
    return last - fault


def _clock(drill: Drill, at: float) -> float:
    """An instant of the application's clock on the drill's."""
    return drill.clock.reading(datetime.fromtimestamp(at, UTC))
