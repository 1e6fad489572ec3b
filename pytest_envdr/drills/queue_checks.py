"""What became of an exercise's marked jobs: when they were done, which were lost, which were executed twice."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pytest_envdr import jobs
from pytest_envdr.aws import ecs
from pytest_envdr.drills import Finding, RecoveryPoint
from pytest_envdr.drills.subject import unsteady
from pytest_envdr.errors import WaitTimedOut
from pytest_envdr.timeline import Mark
from pytest_envdr.verify.queue import Difference, differences

if TYPE_CHECKING:
    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.queues import Case
    from pytest_envdr.ledger import Job, Ledger, Page, Run

PATIENCE = 2
"""How many times the RTO is waited for, so that a recovery that comes late is measured all the same."""
LOST = ("lost", "not-queued")
READINGS = 2
"""How often in a row nothing must be under way: between leaving the queue and being among the failed ones a job is
nowhere for a moment."""
REMEDIES = {
    "lost": "`php artisan dr:redispatch` makes it again from the outbox.",
    "stuck": "Release the lock, and give unique jobs a `uniqueFor`.",
    "retry-after": "Set QUEUE_RETRY_AFTER above the workers' --timeout, and that above the longest job.",
    "timeout": "Set the workers' --timeout above the longest job.",
    "tries": "Set the workers' --tries to 2 or more, or retry what failed.",
    "eviction": "Set maxmemory-policy to noeviction in the cache's parameter group.",
    "foreign-gone": "Find out who retried or deleted it; the drill names the uuids that it retried.",
}


@dataclass(frozen=True)
class Recovery:
    """What came of the jobs. Seconds.

    Attributes:
        rta_seconds: from the fault to verified.
        last_done_seconds: from the fault to the last effect, by the application's clock; None where there was none.
        jobs: how many were dispatched.
        lost: those without effect that are nowhere, now or before they were made again.
        duplicates: those executed more than once, without harm.
        differences: all that does harm.
        rpa_seconds: how old the oldest lost job was at the fault; 0 where none is lost.
    """

    rta_seconds: float
    last_done_seconds: float | None
    jobs: int
    lost: list[str]
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
    latest = {run.id: run for run in page.ledger.runs}
    in_hand = {run.id for run in latest.values() if run.outcome is None and run.worker not in gone}
    return in_hand | page.queue.queued


def wait_until_settled(aws: Aws, drill: Drill, case: Case) -> Page:
    """Until nothing is under way: all jobs are done, failed or lost. What takes longer is told, and no exception."""
    seen: list[Page] = []
    quiet = 0

    def read() -> set[str]:
        nonlocal quiet
        seen[:] = [jobs.page(aws.stack, case.exercise)]
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


def wait_until_recovered(aws: Aws, drill: Drill, case: Case) -> Recovery:
    """Until nothing is under way and the service is steady; then what became of each job. Marks RECOVERED, and VERIFIED
    where nothing failed.

    Nothing is held for a while: when no job is in any place or hand, no more can come of any.
    """
    page = wait_until_settled(aws, drill, case)
    _await_service(aws, drill, case)
    found = differences(page.ledger, page.queue, before=case.queue)
    for difference in found:
        drill.finding(finding(difference))
    _tell(drill, case, page.ledger, found)
    lost = [one.subject for one in found if one.kind in LOST]
    rpa = _tell_recovery_point(drill, case, page.ledger, lost)
    _mark_recovered(drill, case, page.ledger)
    if not drill.failures:
        drill.mark(Mark.VERIFIED)
    ends = [effect.applied_at for effect in page.ledger.effects]
    last = _clock(drill, max(ends)) if ends else None
    if last is not None:
        drill.mark("last job done", clock=last)
    fault = _fault(drill)
    return Recovery(
        rta_seconds=drill.clock.monotonic() - fault,
        last_done_seconds=None if last is None else last - fault,
        jobs=len(page.ledger.jobs),
        lost=sorted({*lost, *case.made_again}),
        duplicates=[one for one in found if one.harmless],
        differences=[one for one in found if not one.harmless],
        rpa_seconds=rpa,
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
    fault = _fault(drill)
    drill.attach("ledger.json", json.dumps(asdict(ledger), indent=2), media_type="application/json")
    rows = [_story(drill, case, job, ledger, fault) for job in ledger.jobs]
    drill.table(
        "What happened to each job",
        ("job", "asked to", "runs", "effect"),
        rows,
        caption="Seconds from the fault, by the application's clock.",
    )
    twice = [(one.subject, one.actual, one.expected) for one in found if one.kind == "executed-twice"]
    drill.table("Jobs executed more than once", ("job", "executions", "expected"), twice)
    lost = [(one.subject, str(one)) for one in found if one.kind in LOST]
    drill.table("Jobs lost", ("job", "what is known"), lost)
    for run in ledger.runs:
        text = f"attempt {run.attempt} by worker {run.worker}: {_end(run, case)}"
        drill.fact(f"job {run.id}", text, datetime.fromtimestamp(run.started_at, UTC))


def _story(drill: Drill, case: Case, job: Job, ledger: Ledger, fault: float) -> tuple[str, str, str, str]:
    def since(at: float) -> str:
        return f"{_clock(drill, at) - fault:+.1f}"

    asked = ", ".join(
        f"{key} {value:g}" for key, value in job.orders.items() if isinstance(value, int | float) and value
    )
    runs = [
        f"{since(run.started_at)} {run.worker} attempt {run.attempt}: {_end(run, case)}"
        for run in ledger.runs_of(job.id)
    ]
    effects = [since(effect.applied_at) for effect in ledger.effects if effect.id == job.id]
    retried = " (retried)" if job.uuid in case.retried else ""
    return f"{job.id}{retried}", f"{job.kind} {asked}".strip(), "; ".join(runs) or "none", ", ".join(effects) or "none"


def _end(run: Run, case: Case) -> str:
    if run.outcome is None:
        return "killed" if run.worker in case.gone else "never ended"
    return run.outcome


def _tell_recovery_point(drill: Drill, case: Case, ledger: Ledger, lost: list[str]) -> float:
    """A queue's recovery point: how old the oldest job was that it lost."""
    fault = _fault(drill)
    gone = {*lost, *case.made_again}
    stamps = [_clock(drill, job.dispatched_at) for job in ledger.jobs if job.id in gone and job.dispatched_at]
    rpa = max((fault - at for at in stamps), default=0.0)
    kept = len(ledger.jobs) - len(gone)
    text = f"{kept} of {len(ledger.jobs)} marked jobs"
    drill.recovery_point(RecoveryPoint("queue", round(max(rpa, 0.0), 3), text, len(gone)))
    return max(rpa, 0.0)


def _mark_recovered(drill: Drill, case: Case, ledger: Ledger) -> None:
    """The first job done after the fault by a worker that was not stopped."""
    fault = _fault(drill)
    ends = [
        _clock(drill, run.finished_at)
        for run in ledger.runs
        if run.finished_at is not None and run.outcome != "failed" and run.worker not in case.gone
    ]
    after = [at for at in ends if at >= fault]
    if after:
        drill.mark(Mark.RECOVERED, clock=min(after), error_seconds=0.0)


def _clock(drill: Drill, at: float) -> float:
    """An instant of the application's clock on the drill's."""
    return drill.clock.reading(datetime.fromtimestamp(at, UTC))


def _fault(drill: Drill) -> float:
    fault = drill.marked(Mark.FAULT)
    return fault.clock if fault else drill.clock.monotonic()
