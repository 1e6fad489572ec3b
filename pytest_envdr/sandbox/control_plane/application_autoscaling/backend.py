"""moto's Application Auto Scaling that really scales ECS services.

Three things change a desired count: registering a target (also without capacities, also while suspended), a step
scaling policy that an alarm drives, a scheduled action. ECS itself knows no minimum: an update below it stands until
one of these comes. Target tracking policies are only stored, with the alarms that moto makes for them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.applicationautoscaling.models import ApplicationAutoscalingBackend
from moto.core.exceptions import JsonRESTError
from moto.ecs.models import ecs_backends
from typing_extensions import override

from pytest_envdr.sandbox.control_plane.application_autoscaling.activities import KEPT, Activity
from pytest_envdr.sandbox.control_plane.application_autoscaling.schedules import parse
from pytest_envdr.sandbox.control_plane.application_autoscaling.steps import Bounds, bounded, step
from pytest_envdr.sandbox.control_plane.extension import backend_lock, moto_urls

if TYPE_CHECKING:
    from types import ModuleType

    from moto.applicationautoscaling.models import (
        FakeApplicationAutoscalingPolicy,
        FakeScalableTarget,
        FakeScheduledAction,
    )
    from moto.ecs.models import Service

    from pytest_envdr.sandbox.control_plane.application_autoscaling.steps import Direction

SUSPENSIONS = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")
DEFAULT_COOLDOWN = 300
ROLE = (
    "arn:aws:iam::{account}:role/aws-service-role/ecs.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_ECSService"
)


@dataclass(frozen=True)
class Trigger:
    """The alarm that drives a policy. `value` is its newest data point; None counts as exactly at the threshold."""

    alarm: str
    state: str
    threshold: float
    value: float | None

    @property
    def breach(self) -> float:
        return 0.0 if self.value is None else self.value - self.threshold


class SandboxApplicationAutoScaling(ApplicationAutoscalingBackend):
    """Application Auto Scaling of one account and Region."""

    speed = 1.0
    """Divides cooldowns; `install` sets it."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.activities: list[Activity] = []
        self._cooling: dict[tuple[str, Direction], tuple[float, int]] = {}
        self._looked: dict[str, datetime] = {}

    @property
    @override
    def _url_module(self) -> ModuleType:
        return moto_urls("applicationautoscaling")

    @override
    def register_scalable_target(
        self,
        namespace: str,
        r_id: str,
        dimension: str,
        min_capacity: int | None,
        max_capacity: int | None,
        role_arn: str,
        suspended_state: Any,
    ) -> FakeScalableTarget:
        """RegisterScalableTarget: brings the capacity into the range, whatever was asked and whatever is suspended."""
        with backend_lock:
            known = self.targets.get(dimension, {}).get(r_id)
            before = known.suspended_state if known else dict.fromkeys(SUSPENSIONS, False)
            _check_range(known, min_capacity, max_capacity)
            suspended: Any = {**before, **(suspended_state or {})}  # type: ignore[dict-item] # moto says str
            target = super().register_scalable_target(
                namespace, r_id, dimension, min_capacity, max_capacity, role_arn, suspended
            )
            target.role_arn = target.role_arn or ROLE.format(account=self.account_id)
            self._into_range(target)
            return target

    @override
    def deregister_scalable_target(self, namespace: str, r_id: str, dimension: str) -> None:
        """DeregisterScalableTarget: its policies and scheduled actions go with it."""
        with backend_lock:
            self._target(namespace, r_id, dimension)
            super().deregister_scalable_target(namespace, r_id, dimension)
            for key, policy in list(self.policies.items()):
                if (policy.resource_id, policy.scalable_dimension) == (r_id, dimension):
                    policy.delete_alarms(self.account_id, self.region_name)
                    del self.policies[key]
            self.scheduled_actions = [
                action
                for action in self.scheduled_actions
                if (action.resource_id, action.scalable_dimension) != (r_id, dimension)
            ]

    @override
    def put_scaling_policy(
        self,
        policy_name: str,
        service_namespace: str,
        resource_id: str,
        scalable_dimension: str,
        policy_body: dict[str, Any],
        policy_type: str | None,
    ) -> FakeApplicationAutoscalingPolicy:
        """PutScalingPolicy: a changed policy keeps its ARN, so that alarms go on finding it."""
        with backend_lock:
            self._target(service_namespace, resource_id, scalable_dimension)
            identity = (policy_name, service_namespace, resource_id, scalable_dimension)
            before = next((each for each in self.policies.values() if _identity(each) == identity), None)
            if before is not None:
                before.delete_alarms(self.account_id, self.region_name)
            policy = super().put_scaling_policy(*identity, policy_body, policy_type or "StepScaling")
            if before is not None:
                policy.policy_arn, policy.creation_time = before.policy_arn, before.creation_time
            return policy

    @override
    def put_scheduled_action(
        self,
        service_namespace: str,
        schedule: str,
        timezone: str,
        scheduled_action_name: str,
        resource_id: str,
        scalable_dimension: str,
        *times_and_action: Any,
        **named: Any,
    ) -> None:
        """PutScheduledAction: runs from now on; a time that is past is not made up for."""
        identity = (scheduled_action_name, resource_id, scalable_dimension)
        with backend_lock:
            self._target(service_namespace, resource_id, scalable_dimension)
            known = any(_identity_of_action(each) == identity for each in self.scheduled_actions)
            if schedule or not known:
                _parsed(schedule, timezone, _now())
            super().put_scheduled_action(service_namespace, schedule, timezone, *identity, *times_and_action, **named)
            action = next(each for each in self.scheduled_actions if _identity_of_action(each) == identity)
            self._looked[action.arn] = _now()

    def execute_policy(self, arn: str, trigger: Trigger) -> None:
        """What an alarm's action does: one step, within the range, unless suspended or cooling down.

        Raises:
            LookupError: no such policy, or none that the sandbox can execute.
        """
        with backend_lock:
            policy = next((each for each in self.policies.values() if arn.startswith(each.policy_arn)), None)
            if policy is None or policy.step_scaling_policy_configuration is None:
                raise LookupError(f"no step scaling policy {arn}")
            target = self.targets.get(policy.scalable_dimension, {}).get(policy.resource_id)
            service = self._service(target) if target else None
            if target is None or service is None:
                return
            configuration = policy.step_scaling_policy_configuration
            change = self._change(target, configuration, service.desired_count, trigger.breach)
            if change is None or _suspended(target, change[0]):
                return
            cause = f"monitor alarm {trigger.alarm} in state {trigger.state} triggered policy {policy.policy_name}"
            seconds = float(configuration.get("Cooldown", DEFAULT_COOLDOWN))
            self._cool(target, change[0], service.desired_count, seconds)
            self._set(target, change[1], cause)

    def run_due_actions(self) -> None:
        """Run the scheduled actions that have become due since the last look."""
        with backend_lock:
            for action in list(self.scheduled_actions):
                now, since = _now(), self._looked.get(action.arn, _now())
                self._looked[action.arn] = now
                created = datetime.fromtimestamp(action.creation_time, UTC)
                if _within(action, now) and _parsed(action.schedule, action.timezone, created).due(since, now):
                    self._run(action)

    def settle_activities(self) -> None:
        """End the activities whose service has the tasks that they asked for."""
        with backend_lock:
            for activity in self.activities:
                if activity.status != "InProgress":
                    continue
                service = self._service_of(activity.resource)
                if service is not None and service.running_count == activity.awaited == service.desired_count:
                    activity.end("Successful", f"{activity.message} Change successfully fulfilled by ecs.")
                elif service is None or service.desired_count != activity.awaited:
                    activity.end("Overridden", "The capacity was changed by another request.")

    def _run(self, action: FakeScheduledAction) -> None:
        target = self.targets.get(action.scalable_dimension, {}).get(action.resource_id)
        if target is None or target.suspended_state["ScheduledScalingSuspended"]:  # type: ignore[index] # moto says str
            return
        wanted: Any = action.scalable_target_action or {}
        target.update(wanted.get("MinCapacity"), wanted.get("MaxCapacity"), None)  # type: ignore[arg-type]
        said = " and ".join(
            f"{word} capacity to {wanted[key]}"
            for key, word in (("MinCapacity", "min"), ("MaxCapacity", "max"))
            if key in wanted
        )
        activity = self._activity(
            target,
            f"Setting {said}",
            f"scheduled action name {action.scheduled_action_name} was triggered",
            f"Successfully set {said}",
        )
        activity.end("Successful", activity.message)
        self._into_range(target)

    def _into_range(self, target: FakeScalableTarget) -> None:
        service, bounds = self._service(target), _bounds(target)
        if service is None or service.desired_count == bounds.hold(service.desired_count):
            return
        low = service.desired_count < bounds.least
        capacity, word = (bounds.least, "minimum") if low else (bounds.most, "maximum")
        self._set(target, capacity, f"{word} capacity was set to {capacity}")

    def _set(self, target: FakeScalableTarget, capacity: int, cause: str) -> None:
        _, cluster, service = target.resource_id.split("/")
        ecs_backends[self.account_id][self.region_name].update_service(
            {"cluster": cluster, "service": service, "desired_count": capacity}
        )
        activity = self._activity(
            target, f"Setting desired count to {capacity}.", cause, f"Successfully set desired count to {capacity}."
        )
        activity.awaited = capacity

    def _activity(self, target: FakeScalableTarget, description: str, cause: str, message: str) -> Activity:
        activity = Activity(
            target.service_namespace,
            target.resource_id,
            target.scalable_dimension,
            description,
            cause,
            message,
            "InProgress",
        )
        self.activities = [*self.activities[-KEPT:], activity]
        return activity

    def _change(
        self, target: FakeScalableTarget, configuration: dict[str, Any], current: int, breach: float
    ) -> tuple[Direction, int] | None:
        """What a step changes now.

        While a scale-out cools down, what it added counts for the next one: only a larger step adds more. Scale-in
        waits until an earlier one has cooled down, or a scale-out came between.
        """
        start = min(current, self._cooling_from(target, "out", current))
        asked = step(configuration, start, breach)
        if asked is not None and asked > start:
            return bounded(current, max(asked, current), _bounds(target))
        asked = step(configuration, current, breach)
        if asked is None or self._cooling_from(target, "in", None) is not None:
            return None
        return bounded(current, asked, _bounds(target))

    def _cooling_from(self, target: FakeScalableTarget, direction: Direction, otherwise: Any) -> Any:
        """The capacity that the last change in this direction started from, while it cools down."""
        until, start = self._cooling.get((target.resource_id, direction), (0.0, 0))
        return start if time.monotonic() < until else otherwise

    def _cool(self, target: FakeScalableTarget, direction: Direction, start: int, seconds: float) -> None:
        self._cooling[target.resource_id, direction] = (time.monotonic() + seconds / self.speed, start)
        if direction == "out":
            self._cooling.pop((target.resource_id, "in"), None)

    def _service(self, target: FakeScalableTarget) -> Service | None:
        return self._service_of(target.resource_id) if target.service_namespace == "ecs" else None

    def _service_of(self, resource: str) -> Service | None:
        """The ECS service behind a resource id, None where it is not active."""
        _, cluster, name = resource.split("/")
        services = ecs_backends[self.account_id][self.region_name].services
        service = services.get(f"{cluster}:{name}")
        return service if service is not None and service.status == "ACTIVE" else None

    def _target(self, namespace: str, resource: str, dimension: str) -> FakeScalableTarget:
        target = self.targets.get(dimension, {}).get(resource)
        if target is None:
            raise JsonRESTError(
                "ObjectNotFoundException",
                f"No scalable target registered for service namespace: {namespace}, resource ID: {resource}, "
                f"scalable dimension: {dimension}",
            )
        return target


def _now() -> datetime:
    return datetime.now(UTC)


def _bounds(target: FakeScalableTarget) -> Bounds:
    return Bounds(int(target.min_capacity or 0), int(target.max_capacity or 0))


def _suspended(target: FakeScalableTarget, direction: Direction) -> bool:
    state: Any = target.suspended_state
    return bool(state["DynamicScalingOutSuspended" if direction == "out" else "DynamicScalingInSuspended"])


def _identity(policy: FakeApplicationAutoscalingPolicy) -> tuple[str, str, str, str]:
    return (policy.policy_name, policy.service_namespace, policy.resource_id, policy.scalable_dimension)


def _identity_of_action(action: FakeScheduledAction) -> tuple[str, str, str]:
    return (action.scheduled_action_name, action.resource_id, action.scalable_dimension)


def _within(action: FakeScheduledAction, now: datetime) -> bool:
    """Whether `now` lies between the action's start and end, which the API gives in seconds since the epoch."""
    start, end = (None if each is None else float(each) for each in (action.start_time, action.end_time))
    return (start is None or start <= now.timestamp()) and (end is None or now.timestamp() <= end)


def _parsed(schedule: str, timezone: str | None, origin: datetime) -> Any:
    try:
        return parse(schedule, timezone=timezone, origin=origin)
    except ValueError as error:
        raise JsonRESTError("ValidationException", str(error)) from error


def _check_range(known: FakeScalableTarget | None, least: int | None, most: int | None) -> None:
    """Refuse a range that AWS refuses.

    Raises:
        JsonRESTError: ValidationException.
    """
    least = known.min_capacity if least is None and known else least
    most = known.max_capacity if most is None and known else most
    if least is None or most is None:
        raise JsonRESTError("ValidationException", "Both MinCapacity and MaxCapacity must be specified")
    if least > most:
        raise JsonRESTError("ValidationException", "Maximum capacity cannot be less than minimum capacity")
