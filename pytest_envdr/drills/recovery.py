"""When a service counts as back: all of aws-semantics 4.4, and that it holds.

ECS's word that a task runs says only that its process started; a load balancer with no healthy target sends requests
to sick ones all the same. So all of it must be true at once, and stay true: counts and deployment, every target, an
unbroken row of good answers to a client outside, with the same tasks throughout.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from pytest_envdr.aws import ecs
from pytest_envdr.drills import Finding
from pytest_envdr.drills.subject import unsteady
from pytest_envdr.errors import WaitTimedOut
from pytest_envdr.probe import samples
from pytest_envdr.timeline import Mark

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.subject import Subject
    from pytest_envdr.probe import Outage, Probe, Sample

PROOFS = 5
"""Good answers in a row, at least, that must prove work."""
SHORTEST_HOLD_SECONDS = 3.0
HOLD_SHARE = 6
"""A recovery must hold for this part of the RTO: 5 s of 30 s, a minute of six."""
PATIENCE = 2
"""How many times the RTO a recovery is waited for, so that one that comes late is measured all the same."""


@dataclass(frozen=True)
class Recovery:
    """A verified recovery. Seconds, on the client's clock.

    Attributes:
        rta_seconds: from the fault to verified; of it detect, recover and validate, None where the outage was noticed
            by nobody: then the evidence counts no RTA either.
        error_seconds: how far a part may be off.
        outage: what clients lost.
        tasks: the tasks that carry the service now.
    """

    rta_seconds: float
    detect_seconds: float | None
    recover_seconds: float | None
    validate_seconds: float | None
    error_seconds: float
    outage: Outage
    tasks: tuple[ecs.Task, ...]


def hold_seconds(rto_seconds: float) -> float:
    """How long a recovery must hold before it counts."""
    return max(SHORTEST_HOLD_SECONDS, rto_seconds / HOLD_SHARE)


@dataclass(frozen=True)
class Criteria:
    """What a service's way back is judged by, given its tasks.

    Attributes:
        missing: what ECS and the load balancer still lack, or "".
        floor: the monotonic instant before which no answer proves anything.
    """

    missing: Callable[[list[ecs.Task]], str]
    floor: Callable[[list[ecs.Task]], float]


@dataclass
class _Holding:
    """The state of one wait: since when all has been true, with which tasks, and how often it was not after all."""

    since: float | None = None
    tasks: frozenset[str] = frozenset()
    fell: list[str] = field(default_factory=list)

    def look(self, reason: str, tasks: frozenset[str], now: float) -> str:
        """Take in one reading; `reason` says why the service is not back, "" when all is true. What changed, in words,
        or ""."""
        if self.since is not None and not reason and tasks != self.tasks:
            reason = "its tasks were replaced"
        if not reason and self.since is None:
            self.since, self.tasks = now, tasks
            return "all is well, and must hold"
        if reason and self.since is not None:
            self.fell.append(f"{reason}, after {now - self.since:.1f} s")
            self.since = None
            return f"it did not hold: {self.fell[-1]}"
        return ""


def wait_until_recovered(
    aws: Aws, drill: Drill, before: Subject, probe: Probe, *, fault: float, criteria: Criteria | None = None
) -> Recovery:
    """Wait until a service is back and it held; marks RECOVERED and VERIFIED.

    Args:
        aws: read only.
        drill: whose objective says how long to wait, and for how long it must hold.
        before: the service as it was.
        probe: the client outside.
        fault: the monotonic instant of the fault.
        criteria: what else counts as back than other tasks in the place of all that were there before.

    Raises:
        WaitTimedOut: it did not come back, or did not hold; a finding says which.
    """
    hold = hold_seconds(drill.rto_seconds)
    deadline = PATIENCE * drill.rto_seconds + hold
    judged = criteria or Criteria(partial(_not_back, aws, before), partial(_floor, aws, drill, before, fault))
    holding = _Holding()
    rows: list[list[Sample]] = []

    def read() -> str:
        tasks = ecs.tasks(aws, before.row.cluster, before.row.name)
        reason = judged.missing(tasks)
        row = samples.row(probe.samples, since=judged.floor(tasks)) if not reason else []
        reason = reason or _unanswered(probe.samples, row, holding.since)
        rows[:] = [row]
        now = drill.clock.monotonic()
        if changed := holding.look(reason, frozenset(task.id for task in tasks), now):
            drill.note(f"{before.row.name}: {changed}")
        if holding.since is None:
            return reason or "it did not hold"
        return "" if now - holding.since >= hold else f"all is well, and has been for {now - holding.since:.1f} s"

    what = f"{before.row.name} back, and holding for {hold:g} s"
    try:
        drill.wait_until(read, lambda reason: not reason, what=what, deadline=deadline, longest_interval=0.5)
    except WaitTimedOut as error:
        drill.finding(_not_recovered(before, holding, error.last))
        raise
    return _verified(aws, drill, before, probe, rows[0], fault)


def _not_back(aws: Aws, before: Subject, tasks: list[ecs.Task]) -> str:
    """What ECS and the load balancer still lack for all tasks to be new ones, or ""."""
    if reason := not_steady(aws, before, tasks):
        return reason
    return "a task from before still counts" if before.task_ids & {task.id for task in tasks} else ""


def not_steady(aws: Aws, before: Subject, tasks: list[ecs.Task]) -> str:
    """What ECS and the load balancer still lack for as many tasks as before, whichever, to carry the service; or ""."""
    service = ecs.service(aws, before.row.name, before.row.cluster)
    if service.desired != before.service.desired:
        return f"its desired count is {service.desired}, and was {before.service.desired}"
    if reason := unsteady(aws, service):
        return reason
    starting = [task for task in tasks if task.last_status != "RUNNING"]
    return f"task {starting[0].id} is {starting[0].last_status}" if starting else ""


def _floor(aws: Aws, drill: Drill, before: Subject, fault: float, tasks: list[ecs.Task]) -> float:
    """Answers that were asked for before this instant prove nothing: the last old task was not gone yet, or no new
    one had started."""
    stamps = [task.started_at for task in tasks if task.started_at]
    ended = [
        task.execution_stopped_at or task.stopped_at
        for task in ecs.described(aws, before.row.cluster, [task.arn for task in before.tasks])
    ]
    first = [drill.clock.reading(min(stamps))] if stamps else []
    return max([fault, *first, *(drill.clock.reading(at) for at in ended if at)])


def _unanswered(asked: list[Sample], row: list[Sample], since: float | None) -> str:
    """What a client outside still lacks, or ""; `since` is the instant from which the row must have been unbroken."""
    proofs = sum(sample.answer.proof for sample in row)
    if since is not None and (not row or row[0].sent > since):
        failed = [sample for sample in asked if not sample.ok]
        return f"a client got {failed[-1].answer.error if failed else 'no good answer'}"
    if proofs >= PROOFS:
        return ""
    last = next((f", and {sample.answer.error} last" for sample in reversed(asked) if not sample.ok), "")
    return f"a client got {proofs} good answers in a row{last}"


def _not_recovered(before: Subject, holding: _Holding, last: str) -> Finding:
    if holding.fell:
        return Finding(
            "recovery.flapping",
            "failure",
            f"{before.row.name} came back and did not hold ({len(holding.fell)} times)",
            "; ".join(holding.fell[-3:]),
            "Look at its tasks' stop codes and its logs.",
        )
    return Finding(
        "recovery.none", "failure", f"{before.row.name} did not come back", last, "Look at its events and its logs."
    )


def _verified(aws: Aws, drill: Drill, before: Subject, probe: Probe, row: list[Sample], fault: float) -> Recovery:
    told = probe.samples
    error = samples.error_seconds(told, since=row[0].sent)
    drill.mark(Mark.RECOVERED, clock=row[0].ended, error_seconds=round(error, 3))
    verified = drill.mark(Mark.VERIFIED).clock
    tasks = tuple(ecs.tasks(aws, before.row.cluster, before.row.name))
    _tell_stamps(aws, drill, before, tasks)
    actuals = drill.actuals
    return Recovery(
        rta_seconds=verified - fault,
        detect_seconds=actuals.detect_seconds,
        recover_seconds=actuals.recover_seconds,
        validate_seconds=actuals.validate_seconds,
        error_seconds=error,
        outage=samples.outage(told, since=fault),
        tasks=tasks,
    )


def _tell_stamps(aws: Aws, drill: Drill, before: Subject, tasks: tuple[ecs.Task, ...]) -> None:
    """ECS's own time stamps, put on the time-line beside the client's."""
    for task in ecs.described(aws, before.row.cluster, [task.arn for task in before.tasks]):
        _tell_task(drill, task, ("stopping_at", "stopped_at"), f"{task.stop_code}: {task.stopped_reason}")
    for task in tasks:
        revision = task.task_definition.rpartition("/")[2]
        _tell_task(drill, task, ("created_at", "pull_started_at", "started_at"), revision)
    fault = drill.marked(Mark.FAULT)
    for event in reversed(ecs.service(aws, before.row.name, before.row.cluster).events):
        if fault is not None and event.at >= fault.at:
            drill.fact("service event", event.message, event.at)


def _tell_task(drill: Drill, task: ecs.Task, stamps: tuple[str, ...], text: str) -> None:
    for stamp in stamps:
        if at := getattr(task, stamp):
            drill.fact(f"task {task.id} {stamp.removesuffix('_at').replace('_', ' ')}", text, at)
