"""A restore job's life: PENDING, RUNNING, and how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_envdr.sandbox.control_plane.backup import delays, notifications
from pytest_envdr.sandbox.control_plane.backup.errors import InvalidParameterValueException, JobFailed
from pytest_envdr.sandbox.control_plane.backup.selection import require_role

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pytest_envdr.sandbox.control_plane.backup.backend import SandboxBackup
    from pytest_envdr.sandbox.control_plane.backup.jobs import RestoreJob
    from pytest_envdr.sandbox.control_plane.backup.notifications import Event


class RestoreRuns:
    """Brings restores on, a step at a time."""

    def __init__(self, backend: SandboxBackup, tell: Callable[[Event], None]) -> None:
        self._backend, self._tell = backend, tell

    def step(self, now: datetime) -> None:
        for job in list(self._backend.state.restores.values()):
            before = job.status
            if before in {"PENDING", "RUNNING"}:
                self._advance(job, now)
            if job.status != before:
                self._tell(notifications.of_restore(job, job.vault_arn.rsplit(":", 1)[-1]))

    def _advance(self, job: RestoreJob, now: datetime) -> None:
        try:
            if job.status == "RUNNING":
                self._run(job, now)
            elif (now - job.created).total_seconds() >= self._backend.placed().scaled(delays.PENDING):
                self._begin(job, now)
        except (JobFailed, InvalidParameterValueException) as failure:
            job.end("FAILED", now, message=str(failure))

    def _begin(self, job: RestoreJob, now: datetime) -> None:
        point = self._backend.state.points.get(job.recovery_point)
        if point is None:
            raise JobFailed(f"Recovery point {job.recovery_point} does not exist.")
        if job.role:
            require_role(job.role, exists=self._backend.role_exists)
        job.restoration = point.content.restore(job)
        job.status, job.started, point.last_restore = "RUNNING", now, now

    def _run(self, job: RestoreJob, now: datetime) -> None:
        if job.restoration is None or job.started is None:
            return
        share = (now - job.started).total_seconds() / self._backend.placed().scaled(delays.RUNNING)
        job.percent = max(job.percent, min(job.restoration.percent(), 100.0 * share))
        if job.percent >= 100.0:
            job.made = job.restoration.arn
            job.end("COMPLETED", now)
            vault = job.vault_arn.rsplit(":", 1)[-1]
            for event in notifications.of_objects(vault, "Restore", job.identifier, job.restoration.failures()):
                self._tell(event)
