"""Who noticed a bad deployment, when, and by what: ECS, deployment alarms, a client, the service's own alarms.

Told when all is over, as two tables: the witnesses, those first that were first; and how the broken tasks ended. All
instants are of whoever noticed: AWS's own time stamps, the client's clock.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from pytest_envdr.aws import cloudwatch, ecs
from pytest_envdr.drills import alarms
from pytest_envdr.probe import samples

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from pytest_envdr.aws import Aws
    from pytest_envdr.aws.ecs_deployments import ServiceDeployment
    from pytest_envdr.drills import Drill
    from pytest_envdr.probe import Probe
    from pytest_envdr.stack import Service
    from pytest_envdr.timeline import Entry

SKEW = timedelta(seconds=5)
"""How far AWS's clock may be from this machine's."""
WHO = ("who", "noticed after", "what")
ENDS = ("task", "created after", "stopping after", "ended after", "stop code", "exit code", "reason")
TIMES = "\N{MULTIPLICATION SIGN}"
BY_HAND = "roll back by hand"
"""The mark of the manual rollback."""
BY_REQUEST = "stop the deployment"
"""The mark of the request that ECS roll a deployment back which is under way."""


class Witness(NamedTuple):
    """Who noticed what, and when; `at` is None where nothing was noticed."""

    who: str
    at: datetime | None
    what: str


def tell(
    aws: Aws, drill: Drill, row: Service, *, fault: Entry, revision: str, probe: Probe, state: ServiceDeployment | None
) -> None:
    """Both tables, and the alarms' changes at their instants.

    Args:
        aws: read only.
        drill: whose report it is.
        row: the service.
        fault: the deployment's beginning.
        revision: the broken task definition (its ARN).
        probe: the client outside.
        state: what ECS says of the deployment.
    """
    ended = broken_tasks(aws, row, revision)
    found = [
        *_circuit_breaker(state),
        *_deployment_alarms(state),
        *_scheduler(ended),
        _client(drill, probe, fault),
        *_alarms(aws, drill, row, fault),
        _rollback(drill, state),
    ]
    found.sort(key=lambda one: (one.at is None, one.at or fault.at))
    rows = [(one.who, _after(one.at, fault), one.what) for one in found]
    caption = "from the fault; ECS and alarms by AWS's own time stamps, the client by its own clock"
    drill.table("Who noticed the broken deployment", WHO, rows, caption=caption)
    ends = [_end(task, fault) for task in ended]
    drill.table("How the broken tasks ended", ENDS, ends, caption="by ECS's own time stamps, from the fault")


def broken_tasks(aws: Aws, row: Service, revision: str) -> list[ecs.Task]:
    """The tasks of the broken revision (its ARN) that have stopped or shall, oldest first."""
    stopped = ecs.tasks(aws, row.cluster, row.name, status="STOPPED")
    return [task for task in stopped if task.task_definition == revision]


def _circuit_breaker(state: ServiceDeployment | None) -> Iterator[Witness]:
    if state is None:
        yield Witness("circuit breaker", None, "ECS tells of no such deployment")
        return
    breaker = state.breaker
    counted = f"{breaker.failures} failed tasks, threshold {breaker.threshold}"
    at = state.rollback.started_at if state.rollback and breaker.status == "TRIGGERED" else None
    yield Witness("circuit breaker", at, f"{breaker.status}: {counted}")


def _deployment_alarms(state: ServiceDeployment | None) -> Iterator[Witness]:
    if state is None or not state.watched_alarms:
        return
    at = state.rollback.started_at if state.rollback and state.alarms else None
    names = ", ".join(state.alarms or state.watched_alarms)
    yield Witness("deployment alarms", at, f"{state.alarm_watch}: {names}")


def _scheduler(ended: list[ecs.Task]) -> Iterator[Witness]:
    """Tasks that did not end because they were no longer wanted."""
    failed = [task for task in ended if not unwanted(task)]
    if failed:
        first = min((at for task in failed if (at := task.stopping_at or ended_at(task))), default=None)
        whys = Counter(_why(task) for task in failed)
        yield Witness(
            "ECS, by its tasks", first, "; ".join(f"{count} {TIMES} {why}" for why, count in whys.most_common())
        )


def _client(drill: Drill, probe: Probe, fault: Entry) -> Witness:
    lost = samples.outage(probe.samples, since=fault.clock)
    if lost.began is None:
        return Witness("a client", None, f"all of its {lost.requests} requests were answered well")
    count = sum(lost.failures.values())
    classes = ", ".join(f"{name} {TIMES} {number}" for name, number in lost.failures.items())
    return Witness("a client", drill.clock.at(lost.began), f"{count} of {lost.requests} requests failed: {classes}")


def _alarms(aws: Aws, drill: Drill, row: Service, fault: Entry) -> Iterator[Witness]:
    """An alarm that had no data, or was in ALARM before, tells nothing of the deployment by being in ALARM."""
    for name in (*row.alarms, *row.error_alarms):
        since = [item for item in cloudwatch.history(aws, name, since=fault.at - SKEW) if item.at >= fault.at]
        for item in since:
            drill.fact(f"alarm {name}: {item.type}", item.summary, item.at)
        fired = [item for item in since if item.type == "StateUpdate" and alarms.became_alarm(item)]
        well = [item for item in fired if alarms.state_before(item) == "OK"]
        if well:
            yield Witness(f"alarm {name}", well[0].at, well[0].summary)
        else:
            said = "; ".join(item.summary for item in fired)
            yield Witness(f"alarm {name}", None, f"it was not OK before: {said}" if said else "did not fire")


def _rollback(drill: Drill, state: ServiceDeployment | None) -> Witness:
    """What brought the revision of before back."""
    if state and state.rollback and state.rollback.started_at:
        return Witness("rolled back by ECS", state.rollback.started_at, state.rollback.reason)
    hand = drill.marked(BY_HAND)
    if hand:
        return Witness("rolled back by hand", hand.at, "the revision of before was deployed, named in full")
    return Witness("rolled back", None, "by nobody")


def unwanted(task: ecs.Task) -> bool:
    """Whether ECS stopped a task only because its deployment was over."""
    return task.stop_code == "ServiceSchedulerInitiated" and task.stopped_reason.startswith("Scaling activity")


def _why(task: ecs.Task) -> str:
    codes = ", ".join(f"exit code {code}" for code in task.exit_codes.values())
    said = "; ".join(dict.fromkeys(task.reasons.values())) or task.stopped_reason
    return f"{task.stop_code} ({', '.join(part for part in (codes, said) if part)})"


def died(task: ecs.Task) -> bool:
    """Whether a task ended by itself after it had started."""
    return task.stop_code == "EssentialContainerExited"


def ended_at(task: ecs.Task) -> datetime | None:
    """When a task's processes were gone, as far as ECS says."""
    return task.execution_stopped_at or task.stopping_at or task.stopped_at


def _end(task: ecs.Task, fault: Entry) -> tuple[str, ...]:
    codes = ", ".join(str(code) for code in task.exit_codes.values()) or "none"
    reasons = "; ".join(dict.fromkeys([task.stopped_reason, *task.reasons.values()]))
    spans = (_after(at, fault) for at in (task.created_at, task.stopping_at, ended_at(task)))
    return (task.id, *spans, task.stop_code, codes, reasons)


def _after(at: datetime | None, fault: Entry) -> str:
    return "never" if at is None else f"{(at - fault.at).total_seconds():.1f} s"
