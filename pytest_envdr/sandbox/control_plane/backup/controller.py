"""The control loop's part: schedules become jobs, jobs move data, recovery points reach their end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_envdr.sandbox.control_plane.backup.backup_runs import BackupRuns
from pytest_envdr.sandbox.control_plane.backup.copy_runs import CopyRuns
from pytest_envdr.sandbox.control_plane.backup.notifications import Courier
from pytest_envdr.sandbox.control_plane.backup.plan_runs import run_due
from pytest_envdr.sandbox.control_plane.backup.restore_runs import RestoreRuns
from pytest_envdr.sandbox.control_plane.backup.testing_runs import TestingRuns
from pytest_envdr.sandbox.control_plane.extension import backend_lock

if TYPE_CHECKING:
    from datetime import datetime

    from pytest_envdr.sandbox.control_plane.backup.backend import SandboxBackup
    from pytest_envdr.sandbox.control_plane.backup.background import Background
    from pytest_envdr.sandbox.control_plane.backup.notifications import Event
    from pytest_envdr.sandbox.world import World


class BackupController:
    """Acts for the world's account and Region."""

    def __init__(self, world: World, backend: SandboxBackup, background: Background) -> None:
        self._backend, self._background = backend, background
        self._courier = Courier(world.account, world.region)
        self._backups = BackupRuns(backend, self._tell)
        self._copies = CopyRuns(backend, self._tell)
        self._restores = RestoreRuns(backend, self._tell)
        self._tests = TestingRuns(backend)

    def step(self) -> None:
        now = self._backend.now()
        with backend_lock:
            run_due(self._backend, now)
            self._backups.step(now)
            self._copies.step(now)
            self._restores.step(now)
            self._tests.step(now)
            self._expire(now)

    def close(self) -> None:
        self._courier.close()
        self._background.close()

    def _expire(self, now: datetime) -> None:
        """Delete what a lifecycle has ended; the jobs that made it stay."""
        for point in list(self._backend.state.points.values()):
            if point.delete_at is not None and now >= point.delete_at:
                self._backend.delete_point(point.arn)

    def _tell(self, event: Event) -> None:
        configuration = self._backend.state.notifications.get(event.vault)
        if configuration:
            self._courier.send(configuration, event)
