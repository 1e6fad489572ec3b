"""The agent: takes each task through its life, and does what each state stands for.

Callers hold moto's lock, so nothing here waits: processes are started on the launcher's thread, signalled, and looked
at again at the next pass. That thread must outlive the processes: the kernel kills them when it ends (`Process`).
"""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pytest_envdr.sandbox.control_plane.ecs import memory
from pytest_envdr.sandbox.control_plane.ecs.delays import (
    DEPROVISIONING_SECONDS,
    OUTPUT_FLUSH_SECONDS,
    PROVISIONING_SECONDS,
    PULL_SECONDS,
)
from pytest_envdr.sandbox.control_plane.ecs.errors import TaskFailedToStart
from pytest_envdr.sandbox.control_plane.ecs.interfaces import Interfaces
from pytest_envdr.sandbox.control_plane.ecs.output import OutputReader
from pytest_envdr.sandbox.control_plane.ecs.targets import DRAINING, TargetGroups
from pytest_envdr.sandbox.control_plane.ecs.task import Status, StopCode, Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_envdr.sandbox.control_plane.ecs.output import Ship
    from pytest_envdr.sandbox.world import World


class Agent:
    """Moves tasks. `on_registered` and `on_deregistered` hear which task entered or left which target group."""

    def __init__(self, world: World, targets: TargetGroups, ship: Ship) -> None:
        self._world = world
        self._targets = targets
        self._interfaces = Interfaces(world)
        self._output = OutputReader(ship)
        self._launcher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ecs-launcher")
        self.on_registered: Callable[[Task, str], None] = _ignore
        self.on_deregistered: Callable[[Task, str], None] = _ignore
        self._moves: dict[Status, Callable[[Task], None]] = {
            Status.PROVISIONING: self._provisioning,
            Status.PENDING: self._pending,
            Status.ACTIVATING: self._activating,
            Status.RUNNING: self._running,
            Status.DEACTIVATING: self._deactivating,
            Status.STOPPING: self._stopping,
            Status.DEPROVISIONING: self._deprovisioning,
        }

    def advance(self, task: Task) -> None:
        """One look at the task, and at most one step in its life."""
        memory.enforce(task)
        move = self._moves.get(task.last_status)
        if move is not None:
            move(task)

    def close(self) -> None:
        """Stop launching and reading; the processes have been stopped before."""
        self._launcher.shutdown(wait=True, cancel_futures=True)
        self._output.close()

    def _provisioning(self, task: Task) -> None:
        if not task.wanted:
            task.reach(Status.DEPROVISIONING, "executionStoppedAt")
        elif task.waited() >= self._world.scaled(PROVISIONING_SECONDS):
            try:
                self._interfaces.attach(task)
            except TaskFailedToStart as reason:
                self._fail(task, reason)
            else:
                task.reach(Status.PENDING, "connectivityAt", "pullStartedAt")

    def _pending(self, task: Task) -> None:
        if not task.wanted:
            task.reach(Status.DEPROVISIONING, "executionStoppedAt")
        elif task.waited() >= self._world.scaled(PULL_SECONDS):
            self._launch(task)

    def _launch(self, task: Task) -> None:
        address = task.interface.address if task.interface else "127.0.0.1"
        for container in task.containers:
            try:
                container.prepare(self._world, address)
            except TaskFailedToStart as reason:
                container.reason = str(reason)
                self._fail(task, reason)
                return
        for container in task.containers:
            container.start(self._launcher, self._output)
        task.reach(Status.ACTIVATING, "pullStoppedAt")

    def _activating(self, task: Task) -> None:
        try:
            started = [container.started() for container in task.containers]
        except TaskFailedToStart as reason:
            task.stop(StopCode.FAILED_TO_START, str(reason))
            self._terminate(task)
            return
        if not all(started):
            return
        if not task.wanted:
            self._terminate(task)
            return
        task.reach(Status.RUNNING, "startedAt")
        for container in task.containers:
            container.begin_health_checks(self._world.speed)
        for group in self._targets.register(task):
            self.on_registered(task, group)
        task.registered = True

    def _running(self, task: Task) -> None:
        for container in task.containers:
            container.observe(self._launcher)
        if any(container.essential and container.exit_code is not None for container in task.containers):
            task.stop(StopCode.ESSENTIAL_EXITED, "Essential container in task exited")
        if not task.wanted:
            self._leave_load_balancers(task)
            task.reach(Status.DEACTIVATING)

    def _deactivating(self, task: Task) -> None:
        self._observe(task)
        # The scheduler lets connections drain before it stops a task; StopTask is `docker stop` at once.
        drains = task.stop_code is StopCode.SCHEDULER and self._alive(task)
        if not drains or not any(verdict.state in DRAINING for verdict in self._targets.verdicts(task)):
            self._terminate(task)

    def _terminate(self, task: Task) -> None:
        for container in task.containers:
            container.close()
            container.signal(signal.SIGTERM)
        task.reach(Status.STOPPING)

    def _stopping(self, task: Task) -> None:
        self._observe(task)
        if not self._alive(task):
            task.reach(Status.DEPROVISIONING, "executionStoppedAt")
            return
        for container in task.containers:
            if task.waited() >= self._world.scaled(container.stop_timeout):
                container.signal(signal.SIGKILL)

    def _deprovisioning(self, task: Task) -> None:
        flushed = all(container.flushed() for container in task.containers) or task.waited() >= OUTPUT_FLUSH_SECONDS
        if flushed and task.waited() >= self._world.scaled(DEPROVISIONING_SECONDS):
            self._interfaces.detach(task)
            task.reach(Status.STOPPED, "stoppedAt")

    def _leave_load_balancers(self, task: Task) -> None:
        if not task.registered:
            return
        for group in self._targets.deregister(task):
            self.on_deregistered(task, group)
        task.registered = False

    def _fail(self, task: Task, reason: TaskFailedToStart) -> None:
        task.stop(StopCode.FAILED_TO_START, str(reason))
        task.reach(Status.DEPROVISIONING, "executionStoppedAt")

    def _observe(self, task: Task) -> None:
        for container in task.containers:
            container.observe(self._launcher)

    def _alive(self, task: Task) -> bool:
        return any(container.running() for container in task.containers)


def _ignore(task: Task, group: str) -> None:
    """Until the service scheduler listens."""
