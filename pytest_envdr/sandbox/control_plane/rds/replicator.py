"""Brings the replicated backups of a Region up to date, by real copies."""

from __future__ import annotations

import logging
import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_envdr.sandbox.control_plane.rds.automated_backups import instant
from pytest_envdr.sandbox.control_plane.rds.replication import CopiedSnapshot, replicas
from pytest_envdr.sandbox.data_plane import mariadb_snapshot
from pytest_envdr.sandbox.data_plane.mariadb_archive import Archive

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future
    from datetime import datetime
    from pathlib import Path

    from pytest_envdr.sandbox.control_plane.rds.automated_backups import AutomatedBackup
    from pytest_envdr.sandbox.control_plane.rds.backend import SandboxRDS
    from pytest_envdr.sandbox.control_plane.rds.replication import ReplicatedBackup
    from pytest_envdr.sandbox.world import World

COPY_SECONDS = 60.0
"""AWS seconds that a copy between Regions takes at least."""

log = logging.getLogger("envdr.sandbox")


@dataclass
class _Copying:
    """A copy under way: of a snapshot, of logs that are complete up to an instant, or of both."""

    future: Future[None]
    snapshot: CopiedSnapshot | None
    archived: datetime | None
    begin: float = field(default_factory=time.monotonic)


class Replicator:
    """The replicated backups of one account in one Region. `step` wants moto's lock."""

    def __init__(self, world: World, backend: SandboxRDS, pool: Executor) -> None:
        self._world = world
        self._backend = backend
        self._pool = pool
        self._copyings: dict[str, _Copying] = {}
        self._directories: set[Path] = set()

    def step(self, *, restoring: bool) -> None:
        """Note what has been copied, and begin what is new. Nothing is removed while some instance is `restoring`."""
        here = replicas(self._backend)
        for backup in here:
            self._advance(backup)
        if not restoring and not self._copyings:
            self._discard(here)

    def _advance(self, backup: ReplicatedBackup) -> None:
        arn = backup.db_instance_automated_backups_arn
        copying = self._copyings.get(arn)
        if copying:
            if copying.future.done() and time.monotonic() - copying.begin >= self._world.taken(COPY_SECONDS):
                del self._copyings[arn]
                self._note(backup, copying)
            return
        if backup.retained or not backup.reachable:
            return
        source = backup.source()
        if source is None:
            backup.retained = True
        else:
            self._begin(backup, source)

    def _begin(self, backup: ReplicatedBackup, source: AutomatedBackup) -> None:
        newest = source.snapshots()[-1:]
        held = [each for each in newest if not backup.copies or instant(backup.copies[-1]) < instant(each)]
        archived = source.archived if source.archived != backup.archived else None
        if not held and not (archived and backup.copies):
            return
        snapshot = None
        if held:
            at = instant(held[0])
            snapshot = CopiedSnapshot(backup.directory / f"{at:%Y%m%d%H%M%S%f}", at)
        self._directories |= {backup.directory} | ({snapshot.directory} if snapshot else set())
        origin = held[0].directory if held else None
        future = self._pool.submit(_copy, origin, snapshot, Archive(source.archive), Archive(backup.archive))
        self._copyings[backup.db_instance_automated_backups_arn] = _Copying(future, snapshot, archived)

    def _note(self, backup: ReplicatedBackup, copying: _Copying) -> None:
        error = copying.future.exception()
        if error:
            # What it was to be a copy of may have gone meanwhile; the next pass looks at what there is.
            log.warning("replica of %s: %s", backup.db_instance_identifier, error)
            return
        if copying.snapshot:
            backup.copies.append(copying.snapshot)
        if copying.archived:
            backup.archived = copying.archived

    def _discard(self, here: list[ReplicatedBackup]) -> None:
        kept = {backup.directory for backup in here} | {each.directory for backup in here for each in backup.copies}
        for directory in self._directories - kept:
            self._directories.discard(directory)
            self._pool.submit(shutil.rmtree, directory, ignore_errors=True)


def _copy(origin: Path | None, snapshot: CopiedSnapshot | None, source: Archive, target: Archive) -> None:
    if origin and snapshot:
        mariadb_snapshot.lay_out(origin, snapshot.directory)
    target.follow(source)
