"""An outage that ought to be seen: by ECS, the load balancer, a client, the alarms, and a subscriber of their topic."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_envdr.aws import application_autoscaling, ecs, elbv2
from pytest_envdr.drills import Finding, alarms
from pytest_envdr.errors import WaitTimedOut
from pytest_envdr.probe import samples
from pytest_envdr.timeline import Mark

if TYPE_CHECKING:
    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.subject import Subject
    from pytest_envdr.probe import Probe

FAILURES = 5
"""Failed requests in a row that make an outage at the client."""
SHORTEST_WATCH_SECONDS = 60.0
"""How long an outage is watched at least, where neither an objective nor an alarm says how long."""


@dataclass
class Seen:
    """What was seen of an outage.

    Attributes:
        no_task: ECS counts no running task.
        no_healthy_target: no target group has a healthy target; None for a service without a port.
        client_failed: a client outside got no good answer any more.
        client_errors: what it got instead, by class.
        fought: something else raised the desired count meanwhile.
    """

    no_task: bool = False
    no_healthy_target: bool | None = None
    client_failed: bool = False
    client_errors: dict[str, int] = field(default_factory=dict)
    fought: str = ""

    @property
    def missing(self) -> list[str]:
        """What has not been seen yet, in words."""
        wanted = (
            (self.no_task, "no task running"),
            (self.no_healthy_target is not False, "no healthy target"),
            (self.client_failed, "a client's requests failing"),
        )
        return [words for seen, words in wanted if not seen]


def wait_until_seen(aws: Aws, drill: Drill, before: Subject, probe: Probe, watch: alarms.Watch) -> Seen:
    """Until the outage is seen by all that ought to: ECS, the load balancer, a client, the alarms, a subscriber.

    What is not seen in time is a finding, and no exception: how the service recovers is still to be learnt.
    """
    fault = drill.marked(Mark.FAULT)
    began = fault.clock if fault else drill.clock.monotonic()
    seen = Seen(no_healthy_target=False if before.target_groups else None)
    deadline = _deadline(drill, watch)

    def read() -> list[str]:
        _look_at_service(aws, drill, before, seen)
        failed = samples.trailing_failures(probe.samples, since=began)
        seen.client_failed = seen.client_failed or len(failed) >= FAILURES
        alarms.look(aws, drill, watch)
        if watch.first_told is not None and drill.marked(Mark.SEEN) is None:
            drill.mark(Mark.SEEN, clock=watch.first_told.clock, by="a subscriber")
        return seen.missing + watch.missing

    try:
        drill.wait_until(
            read,
            lambda missing: not missing,
            what=f"the outage of {before.row.name} being seen",
            deadline=deadline,
            longest_interval=0.5,
            shown=", ".join,
        )
    except WaitTimedOut:
        for words in seen.missing:
            drill.finding(
                Finding("outage.not-seen", "failure", f"{words} was not seen within {deadline:.0f} s", before.row.name)
            )
    seen.client_errors = samples.outage(probe.samples, since=began).failures
    since = drill.clock.at(began)
    for finding in (
        *alarms.check_noticed(aws, drill, watch, since=since, waited=deadline),
        *_check_client(before, seen),
        *_check_left_alone(aws, before, seen, drill),
    ):
        drill.finding(finding)
    return seen


def _deadline(drill: Drill, watch: alarms.Watch) -> float:
    """What the objective promises, else what the alarms' own configuration gives."""
    promised = drill.objective.detect_seconds if drill.objective else None
    return promised or max(watch.bound_seconds, SHORTEST_WATCH_SECONDS)


def _look_at_service(aws: Aws, drill: Drill, before: Subject, seen: Seen) -> None:
    service = ecs.service(aws, before.row.name, before.row.cluster)
    if service.desired and not seen.fought:
        seen.fought = f"its desired count went to {service.desired}"
    if not seen.no_task and service.running == 0 and service.desired == 0:
        seen.no_task = True
        drill.mark("no task running")
    if seen.no_healthy_target is False:
        groups = (elbv2.target_health(aws, group.arn) for group in before.target_groups)
        if not any(target.state == "healthy" for group in groups for target in group):
            seen.no_healthy_target = True
            drill.mark("no healthy target")


def _check_client(before: Subject, seen: Seen) -> list[Finding]:
    """A load balancer without a target answers 503; anything else means that something else answered."""
    if not before.target_groups or not seen.client_failed or "http 503" in seen.client_errors:
        return []
    return [
        Finding(
            "client.no-503",
            "failure",
            f"without a task, clients of {before.row.name} did not get 503 from the load balancer",
            f"they got {seen.client_errors}",
            "Look at the listener's rules: is it this service that the probe asks?",
        )
    ]


def _check_left_alone(aws: Aws, before: Subject, seen: Seen, drill: Drill) -> list[Finding]:
    if not seen.fought:
        return []
    fault = drill.marked(Mark.FAULT)
    did = application_autoscaling.activities(aws, before.service.resource_id, since=fault.at) if fault else []
    cause = "; ".join(f"{activity.description} ({activity.cause})" for activity in did)
    return [
        Finding(
            "outage.fought",
            "failure",
            f"while {before.row.name} was to be down, something else raised it again: {seen.fought}",
            cause or "not auto scaling: its activities show nothing",
            "Find who else sets this service's desired count: a scheduled action, a pipeline, an operator.",
        )
    ]
