"""The service scheduler: makes the tasks of each service what the service wants, and tells its deployments' progress.

Callers hold moto's lock; nothing here waits.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from pytest_envdr.sandbox.control_plane.ecs import health_check, rollback
from pytest_envdr.sandbox.control_plane.ecs.delays import STEADY_REPEAT_SECONDS, UNCHECKED_HEALTHY_SECONDS
from pytest_envdr.sandbox.control_plane.ecs.rollout import Condition, Limits, plan
from pytest_envdr.sandbox.control_plane.ecs.task import BEFORE_RUNNING, Status, StopCode, Task, TaskOrder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_envdr.sandbox.control_plane.ecs.backend import SandboxEcs
    from pytest_envdr.sandbox.control_plane.ecs.deployment import Deployment
    from pytest_envdr.sandbox.control_plane.ecs.service import Service
    from pytest_envdr.sandbox.control_plane.ecs.targets import TargetGroups, Verdict
    from pytest_envdr.sandbox.world import World


class ServiceScheduler:
    """Looks at one service at a time."""

    def __init__(self, world: World, targets: TargetGroups) -> None:
        self._world = world
        self._targets = targets

    def reconcile(self, service: Service, backend: SandboxEcs) -> None:
        """Bring one service a step nearer to what it wants."""
        if service.stored.status == "ACTIVE":
            rollback.judge(self._world, service)
        if service.stored.launch_type == "EC2" and service.desired:
            self._cannot_place(service)
            return
        service.history[0].begin()
        for deployment in service.deployments:
            self._account(service, deployment)
        if service.stored.status == "DRAINING":
            service.scale(0)
        self._act(service, backend)
        self._tell_registrations(service)
        self._settle(service)

    def _account(self, service: Service, deployment: Deployment) -> None:
        """Bury stopped tasks, note failures, and lift the throttle once a task runs."""
        for task in deployment.tasks:
            if task.last_status is Status.RUNNING and task.wanted:
                deployment.throttle.ran(task.order.attempt)
                self._note_health(service, deployment, task)
            elif not task.wanted and not task.accounted:
                task.accounted = True
                if _failed(task) and deployment.count_failure(task):
                    service.events.cannot_start()
        deployment.tasks = [task for task in deployment.tasks if task.last_status is not Status.STOPPED]

    def _note_health(self, service: Service, deployment: Deployment, task: Task) -> None:
        if task.proven and not deployment.failed_tasks:
            return
        if self._condition(service, task) is Condition.HEALTHY:
            deployment.failed_tasks = 0
            if not task.proven:
                deployment.note_health(task)

    def _act(self, service: Service, backend: SandboxEcs) -> None:
        primary, older = service.primary, service.deployments[1:]
        made = plan(
            service.desired,
            Limits.of(service.desired, service.options["deploymentConfiguration"]),
            [(task, self._condition(service, task)) for task in primary.wanted],
            [(task, self._condition(service, task)) for each in reversed(older) for task in each.wanted],
            launching=primary.rollout_state != "FAILED",
        )
        for task in made.unhealthy:
            self._stop_unhealthy(service, task)
        for task in made.surplus:
            task.stop(StopCode.SCHEDULER, f"Scaling activity initiated by (deployment {primary.id})")
        self._tell_stops(service, [*made.unhealthy, *made.surplus])
        if made.start and primary.throttle.open():
            tasks = [backend.launch(self._order(service, primary)) for _ in range(made.start)]
            primary.tasks.extend(tasks)
            service.events.started(tasks)
        if made.start or made.unhealthy or made.surplus:
            service.steady_since = None

    def _order(self, service: Service, deployment: Deployment) -> TaskOrder:
        revision = deployment.revision
        network = revision.network_configuration.get("awsvpcConfiguration", {})
        strategy = revision.capacity_provider_strategy
        return TaskOrder(
            cluster=service.cluster,
            definition=deployment.definition,
            group=f"service:{service.name}",
            started_by=deployment.id,
            launch_type=revision.launch_type or "FARGATE",
            capacity_provider=strategy[0]["capacityProvider"] if strategy else None,
            subnets=tuple(network.get("subnets", ())),
            security_groups=tuple(network.get("securityGroups", ())),
            load_balancers=revision.load_balancers,
            tags=tuple(service.task_tags(deployment.definition)),
            enable_execute_command=service.options["enableExecuteCommand"],
            attempt=deployment.throttle.attempt,
        )

    def _condition(self, service: Service, task: Task) -> Condition:
        if task.last_status in BEFORE_RUNNING:
            return Condition.COMING
        verdicts = self._targets.verdicts(task)
        graced = task.ran() < self._world.scaled(service.grace_seconds)
        if not graced and _ill(task, verdicts):
            return Condition.UNHEALTHY
        if not _well(task, verdicts):
            return Condition.UNPROVEN
        checked = bool(verdicts) or task.has_health_check
        return (
            Condition.HEALTHY
            if checked or task.ran() >= self._world.scaled(UNCHECKED_HEALTHY_SECONDS)
            else Condition.UNPROVEN
        )

    def _stop_unhealthy(self, service: Service, task: Task) -> None:
        failing = next((verdict for verdict in self._targets.verdicts(task) if verdict.state == "unhealthy"), None)
        if failing is not None:
            service.events.unhealthy_target(task, failing)
            task.stop(StopCode.SCHEDULER, f"Task failed ELB health checks in (target-group {failing.group})")
        else:
            service.events.unhealthy_container(task)
            task.stop(StopCode.SCHEDULER, "Task failed container health checks")
        task.failed_checks = True

    def _tell_stops(self, service: Service, tasks: Sequence[Task]) -> None:
        running = [task for task in tasks if task.last_status is Status.RUNNING]
        if running:
            service.events.stopped(running)
            draining = sum(1 for task in running if task.registered)
            if draining:
                service.events.draining(draining)

    def _tell_registrations(self, service: Service) -> None:
        for group, count in service.registered.items():
            service.events.registered(count, group)
        for group, count in service.deregistered.items():
            service.events.deregistered(count, group)
        service.registered, service.deregistered = Counter(), Counter()

    def _settle(self, service: Service) -> None:
        """Drop what has been replaced; tell when the rollout is complete, the service steady, or gone."""
        current = service.history[0]
        # With alarms, ECS keeps what has been replaced in the list until the bake time is over.
        kept = current.alarms.watching and current.status == "IN_PROGRESS"
        service.deployments[1:] = [each for each in service.deployments[1:] if kept or each.serving]
        service.stored.running_count, service.stored.pending_count = service.running, service.pending
        if service.stored.status == "DRAINING":
            if not any(deployment.serving for deployment in service.deployments):
                service.end()
            return
        if not self._steady(service):
            service.steady_since = None
            current.alarms.unsteady()
            return
        if service.primary.rollout_state == "IN_PROGRESS":
            if not (current.rolling_back or current.alarms.baked()):
                return
            service.complete()
        now = time.monotonic()
        if service.steady_since is None or now - service.steady_since > self._world.scaled(STEADY_REPEAT_SECONDS):
            service.steady_since = now
            service.events.steady()

    def _steady(self, service: Service) -> bool:
        """All tasks run and are well; for a rollout to be complete, each must also have lasted.

        Otherwise a program that ends at once would complete its deployment in the moment that it runs.
        """
        tasks = service.primary.wanted
        if any(each.serving for each in service.deployments[1:]):
            return False
        if not len(tasks) == service.desired == service.running:
            return False
        if service.primary.rollout_state == "IN_PROGRESS":
            return all(self._condition(service, task) is Condition.HEALTHY for task in tasks)
        return all(_well(task, self._targets.verdicts(task)) for task in tasks)

    def _cannot_place(self, service: Service) -> None:
        throttle = service.primary.throttle
        if throttle.open():
            throttle.failed(throttle.attempt)
            service.primary.note_failure()
            service.events.cannot_place()


def _failed(task: Task) -> bool:
    """It never started, failed a check, or ended by itself before anything had called it healthy.

    One that ends later is replaced and not counted: a deployment may pass its checks and still be no good.
    """
    ended = task.stop_code is StopCode.ESSENTIAL_EXITED and not task.proven
    return task.failed_checks or ended or task.stop_code is StopCode.FAILED_TO_START


def _ill(task: Task, verdicts: Sequence[Verdict]) -> bool:
    unhealthy_target = any(verdict.state == "unhealthy" for verdict in verdicts)
    return unhealthy_target or task.health_status == health_check.UNHEALTHY


def _well(task: Task, verdicts: Sequence[Verdict]) -> bool:
    """RUNNING, and every check that it has says healthy."""
    contained = not task.has_health_check or task.health_status == health_check.HEALTHY
    return task.last_status is Status.RUNNING and contained and all(verdict.state == "healthy" for verdict in verdicts)
