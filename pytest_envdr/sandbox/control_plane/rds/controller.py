"""Steps the machine behind each instance, and says of the instance what RDS would say."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pytest_envdr.sandbox.control_plane.extension import backend_lock
from pytest_envdr.sandbox.control_plane.rds import (
    automated_backups,
    events,
    modifications,
    parameters,
    statuses,
    variables,
)
from pytest_envdr.sandbox.control_plane.rds.backups import Backups
from pytest_envdr.sandbox.control_plane.rds.machine import Machine, RestoreImpossible
from pytest_envdr.sandbox.control_plane.rds.replicator import Replicator
from pytest_envdr.sandbox.data_plane.watch import Condition

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_plane.rds.backend import SandboxRDS
    from pytest_envdr.sandbox.control_plane.rds.instance import Instance, Origin
    from pytest_envdr.sandbox.world import World

THREADS = 16
BECOMING_AVAILABLE = {
    statuses.CREATING: events.CREATED,
    statuses.STARTING: events.STARTED,
    statuses.REBOOTING: events.RESTARTED,
}
"""Status -> what is told when it ends."""

log = logging.getLogger("envdr.sandbox")


class Controller:
    """The machines of one account's instances in one Region, by resource id: an instance may be renamed."""

    def __init__(self, world: World, backend: SandboxRDS) -> None:
        self._world = world
        self._backend = backend
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="rds")
        self._machines: dict[str, Machine] = {}
        self._backups = Backups(world, backend, self._pool)
        self._replicator = Replicator(world, backend, self._pool)

    def step(self) -> None:
        """Bring each server a step closer to what is wanted of it."""
        with backend_lock:
            instances = {instance.dbi_resource_id: instance for instance in self._backend.instances()}
        for resource in self._machines.keys() - instances.keys():
            self._pool.submit(self._machines.pop(resource).discard)
        for resource, instance in instances.items():
            if resource not in self._machines:
                self._machines[resource] = Machine(self._world, instance, self._pool)
            machine = self._machines[resource]
            with backend_lock:
                self._want(instance, machine)
            machine.step()
            with backend_lock:
                self._tell(instance, machine)
        with backend_lock:
            self._backups.step(instances, self._machines)
            self._replicator.step(restoring=any(machine.laying_out for machine in self._machines.values()))

    def freeze(self) -> None:
        """Stop all servers in their tracks."""
        for machine in self._machines.values():
            machine.freeze()

    def thaw(self) -> None:
        """Let them run on."""
        for machine in self._machines.values():
            machine.thaw()

    def close(self) -> None:
        """End all servers."""
        for machine in self._machines.values():
            machine.close()
        self._machines.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def machine(self, identifier: str) -> Machine:
        """The machine behind an instance. Raises KeyError."""
        return self._machines[self._backend.databases[identifier].dbi_resource_id]

    def _want(self, instance: Instance, machine: Machine) -> None:
        """From the status that a request left to what is wanted of the machine."""
        up = machine.condition is Condition.UP
        if instance.status in statuses.DEAD:
            machine.down()
        elif instance.status in {statuses.STOPPING, statuses.STOPPED, statuses.DELETING}:
            # A snapshot that was asked for before, or a final one, is still taken of the running server.
            if not (up and self._backups.busy(instance.dbi_resource_id)):
                machine.down()
        elif up or not self._backups.taking(instance.dbi_resource_id):
            # The files of a stopped server that are being copied are left alone until then.
            machine.up()
        if instance.reboot_requested:
            instance.reboot_requested = False
            self._event(instance, events.SHUT_DOWN)
            machine.reboot()
        if instance.new_password and instance.status == statuses.AVAILABLE:
            machine.set_password(instance.master_username or "", instance.new_password)
            instance.status = statuses.RESETTING

    def _tell(self, instance: Instance, machine: Machine) -> None:
        """From how the machine is to the status."""
        if machine.failure and instance.status == statuses.CREATING:
            log.error("%s: %s", instance.db_instance_identifier, machine.failure)
            impossible = isinstance(machine.failure, RestoreImpossible)
            instance.status = statuses.INCOMPATIBLE_RESTORE if impossible else statuses.FAILED
        elif machine.refuses and instance.status in BECOMING_AVAILABLE:
            own = parameters.values(instance) != variables.DEFAULTS
            instance.status = statuses.INCOMPATIBLE_PARAMETERS if own else statuses.FAILED
        elif machine.condition is Condition.DOWN and instance.status == statuses.STOPPING:
            self._become(instance, statuses.STOPPED, events.STOPPED)
        elif machine.condition is Condition.DOWN and instance.status == statuses.DELETING:
            if not self._backups.busy(instance.dbi_resource_id) and not machine.laying_out:
                self._event(instance, events.DELETED)
                del self._backend.databases[instance.db_instance_identifier]
        elif machine.condition is Condition.UP:
            self._tell_up(instance, machine)
        elif instance.status in statuses.SERVING:
            # It died, or hung and was killed: RDS recovers it by a restart.
            self._become(instance, statuses.REBOOTING, events.RECOVERY_STARTED)

    def _tell_up(self, instance: Instance, machine: Machine) -> None:
        modifications.step(self._backend, self._world, instance)
        if instance.status == statuses.CREATING and not instance.ripe:
            return
        instance.reachable = True
        if instance.status == statuses.RESETTING and not machine.setting_password:
            self._tell_reset(instance, machine)
        elif instance.status in BECOMING_AVAILABLE and not instance.reboot_requested:
            if instance.status == statuses.CREATING and instance.origin:
                self._tell_restored(instance, instance.origin)
            self._become(instance, statuses.AVAILABLE, BECOMING_AVAILABLE[instance.status])
            automated_backups.follow(self._backend, instance)
            self._backups.begin_due(instance)
        adjustments = parameters.to_set(instance)
        if adjustments:
            machine.adjust(adjustments)

    def _tell_restored(self, instance: Instance, origin: Origin) -> None:
        self._backend.events.append(events.told("restoration", origin.event, origin.about or instance))
        instance.begin_initializing()

    def _tell_reset(self, instance: Instance, machine: Machine) -> None:
        """A password that could not be set stays wanted."""
        instance.status = statuses.AVAILABLE
        if instance.new_password and machine.has_password(instance.new_password):
            instance.new_password = None
            self._event(instance, events.CREDENTIALS_RESET)

    def _become(self, instance: Instance, status: str, event: str) -> None:
        instance.status = status
        self._event(instance, event)

    def _event(self, instance: Instance, event: str) -> None:
        self._backend.add_event(event, instance)
