"""The control loop's step for ECS: each task moves on, then each service looks at its tasks."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, cast

from moto.ecs.models import ecs_backends

from pytest_envdr.sandbox.control_plane.ecs.agent import Agent
from pytest_envdr.sandbox.control_plane.ecs.announcements import Bus
from pytest_envdr.sandbox.control_plane.ecs.delays import STOPPED_VISIBLE_SECONDS
from pytest_envdr.sandbox.control_plane.ecs.scheduler import ServiceScheduler
from pytest_envdr.sandbox.control_plane.ecs.targets import TargetGroups
from pytest_envdr.sandbox.control_plane.extension import backend_lock
from pytest_envdr.waiting import pause

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_plane.ecs.backend import SandboxEcs
    from pytest_envdr.sandbox.control_plane.ecs.output import Ship
    from pytest_envdr.sandbox.control_plane.ecs.service import Service
    from pytest_envdr.sandbox.control_plane.ecs.task import Task
    from pytest_envdr.sandbox.world import World

CLOSING_SECONDS = 1.0
"""Wall seconds that processes have between SIGTERM and SIGKILL when the sandbox ends."""


class EcsController:
    """Steps the backend of the world's account and Region."""

    def __init__(self, world: World, ship: Ship) -> None:
        self._world = world
        self._targets = TargetGroups(world)
        self._agent = Agent(world, self._targets, ship)
        self._agent.on_registered = self._registered
        self._agent.on_deregistered = self._deregistered
        self._services = ServiceScheduler(world, self._targets)
        self._bus = Bus(world)
        self._closed = False

    def step(self) -> None:
        """One pass."""
        with backend_lock:
            backend = self._backend
            services = [service for service in backend.managed.values() if service.scheduled]
            self._targets.observe(group for service in services for group in service.target_groups())
            for task in list(backend.launched.values()):
                self._agent.advance(task)
            for service in services:
                self._services.reconcile(service, backend)
                self._bus.add(service.announcements.take())
            backend.forget(self._world.scaled(STOPPED_VISIBLE_SECONDS))
        self._bus.publish()

    def freeze(self) -> None:
        """Stop all tasks in their tracks."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them run on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        with backend_lock:
            for task in self._backend.launched.values():
                for container in task.containers:
                    container.signal(number)

    def close(self) -> None:
        """Stop all processes: SIGTERM, and SIGKILL for those that are still there a second later."""
        if self._closed:
            return
        self._closed = True
        with backend_lock:
            containers = [container for task in self._backend.launched.values() for container in task.containers]
        for container in containers:
            container.close()
            container.signal(signal.SIGTERM)
        end = time.monotonic() + CLOSING_SECONDS
        while time.monotonic() < end and any(container.alive() for container in containers):
            pause(0.02)
        for container in containers:
            container.signal(signal.SIGKILL)
        self._agent.close()

    @property
    def _backend(self) -> SandboxEcs:
        return cast("SandboxEcs", ecs_backends[self._world.account][self._world.region])

    def _service_of(self, task: Task) -> Service | None:
        kind, _, name = task.group.partition(":")
        cluster = task.order.cluster.name
        return self._backend.managed.get(f"{cluster}:{name}") if kind == "service" else None

    def _registered(self, task: Task, group: str) -> None:
        service = self._service_of(task)
        if service is not None:
            service.registered[group] += 1

    def _deregistered(self, task: Task, group: str) -> None:
        service = self._service_of(task)
        if service is not None:
            service.deregistered[group] += 1
