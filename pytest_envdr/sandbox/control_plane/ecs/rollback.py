"""How a deployment fails: found by its monitors or stopped on request; rolled back to the last completed one, or left.

Source: ECS developer guide, "deployment failure detection": the deployment that was COMPLETED last is the one to go
back to; it becomes PRIMARY again under its old id, and is no candidate for another rollback until it is COMPLETED
again. Where there is none, the failed deployment launches nothing more and stays. Callers hold moto's lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_envdr.sandbox.control_plane.ecs.circuit_breaker import CircuitBreaker
from pytest_envdr.sandbox.control_plane.ecs.deployment import Deployment
from pytest_envdr.sandbox.control_plane.ecs.failures import ALARM, BREAKER, NO_CANDIDATE, Failure

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_plane.ecs.service import Service
    from pytest_envdr.sandbox.control_plane.ecs.service_deployments import Revision
    from pytest_envdr.sandbox.world import World


def judge(world: World, service: Service) -> None:
    """Let the service's deployment fail if its monitors say so, and carry out what was requested of it."""
    current = service.history[0]
    if service.primary.rollout_state != "IN_PROGRESS":
        return
    if current.status == "STOP_REQUESTED" and current.failure:
        _leave(service, current.failure)
    elif current.status == "ROLLBACK_REQUESTED" and current.failure:
        _roll_back(world, service, current.failure)
    elif service.primary.breaker.trips(service.desired):
        _end(world, service, BREAKER, back=service.primary.breaker.rollback)
    elif not current.rolling_back and service.primary.running and current.alarms.look():
        _end(world, service, ALARM, back=current.alarms.rollback)


def _end(world: World, service: Service, failure: Failure, *, back: bool) -> None:
    if service.history[0].rolling_back:
        # What the service was to go back to fails itself: it stalls.
        _fail(service, failure)
        service.history[0].fail_rollback(f"{failure.rolled_back} {NO_CANDIDATE}")
    elif back:
        _roll_back(world, service, failure)
    else:
        _leave(service, failure)


def _leave(service: Service, failure: Failure) -> None:
    _fail(service, failure)
    service.history[0].stop(failure.stopped)


def _roll_back(world: World, service: Service, failure: Failure) -> None:
    current, candidate = service.history[0], service.fallback
    _fail(service, failure)
    if candidate is None:
        current.fail_rollback(NO_CANDIDATE)
        return
    revision, definition = candidate
    if definition.status != "ACTIVE":
        current.fail_rollback(f"{failure.rolled_back} TaskDefinition is inactive: {definition.arn}.")
        return
    service.fallback = None
    current.begin_rollback(failure.rolled_back, revision)
    service.primary.status = "ACTIVE"
    target = _former(service, revision) or Deployment(world, revision, definition, current, service.desired)
    breaker = CircuitBreaker(current.configuration.get("deploymentCircuitBreaker", {}))
    target.renew(current, service.desired, failure.rolling_back(target.id), breaker)
    service.make_primary(target)
    service.events.rolling_back(target.id)
    service.announcements.state_of(target)


def _former(service: Service, revision: Revision) -> Deployment | None:
    """The deployment of that revision, if it still has tasks; they go on serving."""
    return next((one for one in service.deployments if one.revision is revision), None)


def _fail(service: Service, failure: Failure) -> None:
    service.primary.fail(failure.rollout_reason)
    service.events.failed(service.primary.id, failure.finding)
    service.announcements.state_of(service.primary)
