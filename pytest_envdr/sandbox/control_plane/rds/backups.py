"""Takes the snapshots that were asked for, and keeps the automated backups going."""

from __future__ import annotations

import logging
import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from pytest_envdr.sandbox.control_plane.rds import automated_backups, events, statuses
from pytest_envdr.sandbox.control_plane.rds.snapshots import Snapshot
from pytest_envdr.sandbox.data_plane import mariadb_snapshot
from pytest_envdr.sandbox.data_plane.watch import Condition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from concurrent.futures import Executor, Future
    from datetime import datetime
    from pathlib import Path

    from pytest_envdr.sandbox.control_plane.rds.backend import SandboxRDS
    from pytest_envdr.sandbox.control_plane.rds.instance import Instance
    from pytest_envdr.sandbox.control_plane.rds.machine import Machine
    from pytest_envdr.sandbox.world import World

SNAPSHOT_SECONDS = 30.0
"""AWS seconds that a snapshot takes at least."""
ARCHIVE_SECONDS = 300.0
"""AWS seconds between two uploads of binary logs (User Guide: USER_PIT)."""
SHORTEST_SECONDS = 1.0
"""... but never fewer wall seconds than these."""

log = logging.getLogger("envdr.sandbox")


@dataclass
class _Taking:
    """A snapshot that is being made; of an instance, or from another snapshot (then without an instant)."""

    snapshot: Snapshot
    future: Future[datetime | None]
    begin: float = field(default_factory=time.monotonic)


class Backups:
    """The snapshots and archives of one account in one Region. All methods but `close` want moto's lock."""

    def __init__(self, world: World, backend: SandboxRDS, pool: Executor) -> None:
        self._world = world
        self._backend = backend
        self._pool = pool
        self._takings: dict[str, _Taking] = {}
        self._shippings: dict[str, Future[datetime]] = {}
        self._ship_at: dict[str, float] = {}
        self._directories: set[Path] = set()

    def step(self, instances: Mapping[str, Instance], machines: Mapping[str, Machine]) -> None:
        """Begin what is due and can begin, and note what is done. By resource id."""
        for snapshot in self._unmade():
            if snapshot.source is not None:
                self._begin_copy(snapshot, snapshot.source)
            elif snapshot.dbi_resource_id not in instances:
                snapshot.status = statuses.FAILED
        for resource, instance in instances.items():
            automated_backups.follow(self._backend, instance)
            if instance.status == statuses.AVAILABLE:
                self.begin_due(instance)
            self._take_next(resource, instance, machines[resource])
            self._archive(resource, instance, machines[resource])
        for key, taking in list(self._takings.items()):
            self._advance(key, taking, instances.get(key))
        automated_backups.prune(self._backend, self._world)
        self._discard(machines.values())

    def begin_due(self, instance: Instance) -> None:
        """Have an available instance's automated snapshot taken, if it is time."""
        if instance.backup and instance.backup.is_due(self._world):
            automated_backups.take(self._backend, instance, self._world.now())
            instance.status = statuses.BACKING_UP

    def busy(self, resource: str) -> bool:
        """Whether a snapshot of an instance is wanted or being taken, so that its server must not go."""
        return resource in self._takings or any(each.dbi_resource_id == resource for each in self._unmade())

    def taking(self, resource: str) -> bool:
        """Whether an instance's files are being copied."""
        return resource in self._takings

    def _unmade(self) -> list[Snapshot]:
        taken = {id(taking.snapshot) for taking in self._takings.values()}
        return [
            snapshot
            for snapshot in self._backend.database_snapshots.values()
            if isinstance(snapshot, Snapshot) and snapshot.status == statuses.CREATING and id(snapshot) not in taken
        ]

    def _begin_copy(self, snapshot: Snapshot, source: Snapshot) -> None:
        def copy() -> None:
            mariadb_snapshot.lay_out(source.directory, snapshot.directory)

        self._directories.add(snapshot.directory)
        future = cast("Future[datetime | None]", self._pool.submit(copy))
        self._takings[snapshot.db_snapshot_identifier] = _Taking(snapshot, future)

    def _take_next(self, resource: str, instance: Instance, machine: Machine) -> None:
        """One at a time, and not while the logs are being copied, or the server is on its way up or down."""
        down = machine.condition is Condition.DOWN and instance.status in {statuses.STOPPED, statuses.DELETING}
        ready = machine.condition is Condition.UP or (down and not machine.laying_out)
        if resource in self._takings or resource in self._shippings or not ready:
            return
        mine = [each for each in self._unmade() if each.dbi_resource_id == resource and each.source is None]
        if mine:
            snapshot = mine[0]
            snapshot.directory.parent.mkdir(parents=True, exist_ok=True)
            self._directories.add(snapshot.directory)
            self._event(snapshot, events.BACKUP_STARTED, events.SNAPSHOT_STARTED)
            self._takings[resource] = _Taking(snapshot, machine.take(snapshot.directory))

    def _advance(self, key: str, taking: _Taking, instance: Instance | None) -> None:
        snapshot, seconds = taking.snapshot, self._world.taken(SNAPSHOT_SECONDS)
        elapsed = time.monotonic() - taking.begin
        snapshot.percent_progress = min(99, int(100 * elapsed / seconds))
        if not taking.future.done() or elapsed < seconds:
            return
        del self._takings[key]
        error = taking.future.exception()
        if error:
            log.error("snapshot %s: %s", snapshot.db_snapshot_identifier, error)
            snapshot.status = statuses.FAILED
        else:
            instant = taking.future.result()
            if instant:
                snapshot.taken(instant)
            snapshot.complete()
            self._event(snapshot, events.BACKUP_FINISHED, events.SNAPSHOT_FINISHED)
        if instance and instance.status == statuses.BACKING_UP and not self.busy(key):
            instance.status = statuses.AVAILABLE

    def _archive(self, resource: str, instance: Instance, machine: Machine) -> None:
        """Upload binary logs, once there is a snapshot that they can be applied to."""
        shipping, backup = self._shippings.get(resource), instance.backup
        if shipping and shipping.done():
            del self._shippings[resource]
            if shipping.exception():
                log.warning("archive of %s: %s", instance.db_instance_identifier, shipping.exception())
            elif backup:
                backup.archived = shipping.result()
            return
        idle = not shipping and resource not in self._takings and machine.condition is Condition.UP
        if backup and idle and backup.snapshots() and time.monotonic() >= self._ship_at.get(resource, 0.0):
            self._ship_at[resource] = time.monotonic() + max(self._world.scaled(ARCHIVE_SECONDS), SHORTEST_SECONDS)
            self._directories.add(backup.archive)
            self._shippings[resource] = self._pool.submit(machine.ship, backup.archive)

    def _discard(self, machines: Iterable[Machine]) -> None:
        """Remove the files of what is no longer there, once no restore reads any."""
        if any(machine.laying_out for machine in machines) or self._takings or self._shippings:
            return
        kept = {each.directory for each in self._backend.database_snapshots.values() if isinstance(each, Snapshot)}
        kept |= {backup.archive for backup in self._backend.automated_backups.values()}
        for directory in self._directories - kept:
            self._directories.discard(directory)
            self._pool.submit(shutil.rmtree, directory, ignore_errors=True)

    def _event(self, snapshot: Snapshot, of_instance: str, of_snapshot: Mapping[str, str]) -> None:
        instance = self._backend.databases.get(snapshot.db_instance_identifier)
        if instance is not None and snapshot.source is None:
            self._backend.add_event(of_instance, instance)
        if snapshot.snapshot_type in of_snapshot:
            self._backend.add_event(of_snapshot[snapshot.snapshot_type], snapshot)
