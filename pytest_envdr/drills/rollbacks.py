"""What became of a bad deployment: who noticed it, when, and what went back by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from pytest_envdr.aws import ecs, ecs_deployments
from pytest_envdr.drills import Finding, budgets, witnesses
from pytest_envdr.drills.outage import FAILURES
from pytest_envdr.drills.recovery import PATIENCE
from pytest_envdr.errors import WaitTimedOut
from pytest_envdr.probe import samples
from pytest_envdr.timeline import Mark

if TYPE_CHECKING:
    from pytest_envdr.aws import Aws
    from pytest_envdr.aws.ecs_deployments import ServiceDeployment
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.releases import Release
    from pytest_envdr.journal import Journal
    from pytest_envdr.probe import Probe
    from pytest_envdr.timeline import Entry

SKEW = timedelta(seconds=60)
"""How far AWS's clock may be from this machine's; the revision is the drill's own, so no other deployment has it."""
COLUMNS = (
    "deployment",
    "revision",
    "status",
    "why",
    "failed tasks",
    "threshold",
    "rollback began after",
    "ended after",
)


@dataclass(frozen=True)
class Watched:
    """A bad deployment: what ran before, the broken revision (its ARN), the deployment's id, and the fault."""

    release: Release
    revision: str
    deployment: str
    fault: Entry


def wait_until_rolled_back(aws: Aws, drill: Drill, watched: Watched) -> ServiceDeployment | None:
    """Until ECS has ended the deployment; marks SEEN when it began to roll back, by its own time stamp.

    Returns what it came to; None where ECS tells of no such deployment. That it was not rolled back is a finding, and
    no exception: how the service recovers is still to be learnt.
    """
    told: list[ServiceDeployment | None] = [state_of(aws, watched)]
    deadline = _deadline(aws, drill, watched, told[0])

    def read() -> str:
        told[0] = now = state_of(aws, watched)
        if now and now.rollback and now.rollback.started_at and drill.marked(Mark.SEEN) is None:
            _mark_seen(drill, drill.clock.reading(now.rollback.started_at), _by(now))
        return "" if now and now.ended else f"{now.status if now else 'not listed yet'}{_count(now)}"

    try:
        drill.wait_until(
            read, lambda left: not left, what="ECS ending the deployment", deadline=deadline, longest_interval=0.5
        )
    except WaitTimedOut:
        drill.note(f"after {deadline:g} s ECS has not ended the deployment")
    for finding in _check_rolled_back(aws, watched, told[0]):
        drill.finding(finding)
    return told[0]


def _deadline(aws: Aws, drill: Drill, watched: Watched, state: ServiceDeployment | None) -> float:
    """How long ECS is waited for: as long as the service may need by its own settings, and the objective asks for."""
    least = PATIENCE * drill.rto_seconds
    if state is None or not state.breaker.threshold:
        return least
    needed = budgets.budget(watched.release.before, threshold=state.breaker.threshold, speed=aws.stack.speed)
    deadline = max(least, PATIENCE * needed.seconds)
    drill.note(f"the circuit breaker's budget: {needed}; it is waited for {deadline:.0f} s")
    return deadline


def wait_until_seen(aws: Aws, drill: Drill, watched: Watched, probe: Probe) -> float:
    """Until clients get no good answer any more, or as many broken tasks have ended by themselves as are wanted: the
    circuit breaker looks at neither once a deployment is complete. Or until ECS rolls back after all. Marks SEEN.
    Seconds from the fault."""
    seen = drill.wait_until(
        lambda: (
            _seen_by_client(probe, watched) or _seen_by_ecs(aws, drill, watched) or _seen_dying(aws, drill, watched)
        ),
        what=f"{FAILURES} failures in a row at a client, or tasks that die",
        deadline=PATIENCE * drill.rto_seconds,
        longest_interval=0.5,
    )
    if seen is None:  # for the type checker: the wait is over when it is not
        return 0.0
    clock, who = seen
    _mark_seen(drill, clock, who)
    return clock - watched.fault.clock


def wait_until_failing(aws: Aws, drill: Drill, watched: Watched) -> float:
    """Until ECS has given a broken task up while the deployment is still under way; or until it rolls back by itself.
    Marks SEEN, at the task's own time stamp. Seconds from the fault.

    Raises:
        WaitTimedOut: no broken task ends: whoever watches the deployment sees nothing.
    """
    seen = drill.wait_until(
        lambda: _seen_failing(aws, drill, watched) or _seen_by_ecs(aws, drill, watched),
        what="a task of the broken revision given up",
        deadline=PATIENCE * drill.rto_seconds,
        longest_interval=0.5,
    )
    if seen is None:  # for the type checker: the wait is over when it is not
        return 0.0
    clock, who = seen
    _mark_seen(drill, clock, who)
    return clock - watched.fault.clock


def _seen_failing(aws: Aws, drill: Drill, watched: Watched) -> tuple[float, str] | None:
    broken = witnesses.broken_tasks(aws, watched.release.before.row, watched.revision)
    failed = [task for task in broken if not witnesses.unwanted(task)]
    stamps = [at for task in failed if (at := task.stopping_at or witnesses.ended_at(task))]
    return (drill.clock.reading(min(stamps)), f"whoever watches ({failed[0].stopped_reason})") if stamps else None


def stop(aws: Aws, journal: Journal, drill: Drill, watched: Watched) -> None:
    """Tell ECS to roll the deployment back before its circuit breaker does; that it was too late is a deviation."""
    drill.mark(witnesses.BY_REQUEST)
    state = state_of(aws, watched)
    if state is None or state.rollback or not ecs_deployments.roll_back(aws, journal, state):
        came_to = state.status if state else "not listed"
        drill.deviation(f"the deployment could not be stopped: it was {came_to} before anybody could ask for that")


def _seen_dying(aws: Aws, drill: Drill, watched: Watched) -> tuple[float, str] | None:
    before = watched.release.before
    died = [task for task in witnesses.broken_tasks(aws, before.row, watched.revision) if witnesses.died(task)]
    stamps = sorted(at for task in died if (at := witnesses.ended_at(task)))
    if len(stamps) < before.service.desired:
        return None
    codes = sorted({code for task in died for code in task.exit_codes.values()})
    who = f"ECS ({len(died)} tasks ended by themselves, exit code {', '.join(map(str, codes)) or 'unknown'})"
    return drill.clock.reading(stamps[before.service.desired - 1]), who


def _mark_seen(drill: Drill, clock: float, who: str) -> None:
    drill.mark(Mark.SEEN, clock=clock, by=who)
    drill.add("note", clock=clock, text=f"seen by {who}")


def _seen_by_client(probe: Probe, watched: Watched) -> tuple[float, str] | None:
    failed = samples.trailing_failures(probe.samples, since=watched.fault.clock)
    return (failed[FAILURES - 1].ended, f"a client ({FAILURES} failures in a row)") if len(failed) >= FAILURES else None


def _seen_by_ecs(aws: Aws, drill: Drill, watched: Watched) -> tuple[float, str] | None:
    state = state_of(aws, watched)
    began = state.rollback.started_at if state and state.rollback else None
    return (drill.clock.reading(began), _by(state)) if state and began else None


def floor(aws: Aws, drill: Drill, watched: Watched, _: list[ecs.Task]) -> float:
    """Before the last broken task was gone and the rollback had ended, an answer proves nothing."""
    state = state_of(aws, watched)
    broken = witnesses.broken_tasks(aws, watched.release.before.row, watched.revision)
    stamps = [task.execution_stopped_at or task.stopped_at for task in broken]
    if state is not None and state.rollback is not None:
        stamps.append(state.finished_at)
    return max([watched.fault.clock, *(drill.clock.reading(at) for at in stamps if at)])


def check_minimum(aws: Aws, drill: Drill, watched: Watched) -> list[Finding]:
    """Whether ECS took tasks of before away while it tried the broken ones, by its own time stamps."""
    before = watched.release.before
    state = state_of(aws, watched)
    if state is None or state.rollback is None or state.alarms:
        return []  # its tasks passed for good, at first or for ever: then the old ones had to go
    now = ecs.described(aws, before.row.cluster, [task.arn for task in before.tasks])
    left = len(before.tasks) - sum(1 for task in now if task.stopping_at and task.stopping_at >= watched.fault.at)
    # With a minimum of 0, ECS may take all of them, which the drill does not call well: nobody would serve.
    wanted = max(1, math.ceil(before.service.desired * before.service.minimum_percent / 100))
    drill.note(f"{left} of {len(before.tasks)} tasks of before served throughout; at least {wanted} had to")
    if left >= wanted:
        return []
    return [
        Finding(
            "deployment.below-minimum",
            "failure",
            f"of {before.row.name} only {left} tasks of before were left, and {wanted} had to be",
            f"minimumHealthyPercent {before.service.minimum_percent}, desired count {before.service.desired}",
        )
    ]


def tell_witnesses(aws: Aws, drill: Drill, watched: Watched, probe: Probe) -> None:
    """What ECS made of it, who noticed it and when, for the report, whatever became of it."""
    state = state_of(aws, watched)
    _tell(drill, watched, state)
    witnesses.tell(
        aws,
        drill,
        watched.release.before.row,
        fault=watched.fault,
        revision=watched.revision,
        probe=probe,
        state=state,
    )


def state_of(aws: Aws, watched: Watched) -> ServiceDeployment | None:
    """What ECS tells of the deployment; None where it tells of none."""
    service = watched.release.before.service
    return ecs_deployments.deployment_of(aws, service, watched.revision, since=watched.fault.at - SKEW)


def _by(state: ServiceDeployment) -> str:
    return f"alarm {', '.join(state.alarms)}" if state.alarms else "the circuit breaker"


def _count(state: ServiceDeployment | None) -> str:
    return f" ({state.breaker.failures} of {state.breaker.threshold} failures)" if state else ""


def _tell(drill: Drill, watched: Watched, state: ServiceDeployment | None) -> None:
    """What ECS says of the deployment, as a table and at its instants."""
    if state is None:
        return
    rollback, breaker = state.rollback, state.breaker
    began = watched.fault.at
    seen = rollback.started_at if rollback else None
    why = (rollback.reason if rollback else "") or state.reason or f"circuit breaker {breaker.status}"
    spans = [f"{(at - began).total_seconds():.1f} s" if at else "never" for at in (seen, state.finished_at)]
    revision = watched.revision.rpartition("/")[2]
    row = (watched.deployment, revision, state.status, why, breaker.failures, breaker.threshold, *spans)
    drill.table("What ECS made of the deployment", COLUMNS, [row], caption="by ECS's own time stamps, from the fault")
    told = (
        ("began", state.started_at, f"to bring {revision}"),
        ("rollback began", seen, why),
        ("ended", state.finished_at, state.status),
    )
    for what, at, text in told:
        if at:
            drill.fact(f"deployment {what}", f"{watched.deployment}: {text}", at)


def _check_rolled_back(aws: Aws, watched: Watched, state: ServiceDeployment | None) -> list[Finding]:
    row = watched.release.before.row
    if state is None or state.status != "ROLLBACK_SUCCESSFUL":
        came_to = f"{state.status} {state.reason}".strip() if state else "ECS tells of no such deployment"
        return [
            Finding(
                "deployment.not-rolled-back",
                "failure",
                f"ECS did not take the broken deployment of {row.name} back by itself",
                came_to,
                "Look at deploymentCircuitBreaker, the health checks, and the service's events.",
            )
        ]
    listed = {one.id: one.rollout_state for one in ecs.service(aws, row.name, row.cluster).deployments}
    if listed.get(watched.deployment, "FAILED") == "FAILED":
        return []
    return [
        Finding(
            "deployment.still-there",
            "failure",
            f"deployment {watched.deployment} of {row.name} is {listed[watched.deployment]} though it was rolled back",
        )
    ]
