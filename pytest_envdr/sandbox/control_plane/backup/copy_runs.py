"""A copy job's life: CREATED, RUNNING, and how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_envdr.sandbox.control_plane.backup import delays, notifications
from pytest_envdr.sandbox.control_plane.backup.copy_jobs import destination_of, has_vault
from pytest_envdr.sandbox.control_plane.backup.errors import InvalidParameterValueException, JobFailed
from pytest_envdr.sandbox.control_plane.backup.recovery_points import RecoveryPoint
from pytest_envdr.sandbox.control_plane.backup.selection import require_role

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pytest_envdr.sandbox.control_plane.backup.backend import SandboxBackup
    from pytest_envdr.sandbox.control_plane.backup.copy_jobs import CopyJob
    from pytest_envdr.sandbox.control_plane.backup.notifications import Event
    from pytest_envdr.sandbox.control_plane.backup.resources import Capture


class CopyRuns:
    """Brings copies on, a step at a time; one to a Region that is cut off waits."""

    def __init__(self, backend: SandboxBackup, tell: Callable[[Event], None]) -> None:
        self._backend, self._tell = backend, tell

    def step(self, now: datetime) -> None:
        for job in list(self._backend.state.copies.values()):
            if job.active and not self._backend.placed().regions[job.region].cut_off:
                before = job.state
                self._advance(job, now)
                if job.state != before:
                    self._tell(notifications.of_copy(job))

    def _advance(self, job: CopyJob, now: datetime) -> None:
        try:
            if job.state == "RUNNING":
                self._run(job, now)
            elif (now - job.created).total_seconds() >= self._backend.placed().taken(delays.PENDING):
                self._begin(job, now)
        except (JobFailed, InvalidParameterValueException) as failure:
            job.end("FAILED", now, message=str(failure), category=getattr(failure, "category", None))

    def _begin(self, job: CopyJob, now: datetime) -> None:
        point = self._backend.state.points.get(job.point)
        if point is None:
            raise JobFailed(f"Recovery point {job.point} does not exist.", "ResourceNotFound")
        if not has_vault(self._backend, job.destination):
            raise JobFailed(f"Backup vault {job.destination} does not exist.", "ResourceNotFound")
        require_role(job.role, exists=self._backend.role_exists)
        there = destination_of(self._backend, job.region)
        kind = there.kinds[job.resource_type]
        job.capture = kind.receive(point.content, job.identifier, there.vaults[job.vault].encryption_key_arn)
        job.state, job.started, job.size = "RUNNING", now, point.content.size

    def _run(self, job: CopyJob, now: datetime) -> None:
        if job.capture is None or job.started is None:
            return
        due = (now - job.started).total_seconds() >= self._backend.placed().taken(delays.RUNNING)
        if job.capture.percent() >= 100.0 and due:
            self._complete(job, job.capture, now)

    def _complete(self, job: CopyJob, capture: Capture, now: datetime) -> None:
        there, original = destination_of(self._backend, job.region), self._backend.state.points.get(job.point)
        if not has_vault(self._backend, job.destination):
            capture.cancel()
            raise JobFailed(f"Backup vault {job.destination} does not exist.", "ResourceNotFound")
        point = RecoveryPoint(
            arn=there.kinds[job.resource_type].copy_arn(job.resource, job.identifier),
            resource=job.resource,
            resource_type=job.resource_type,
            vault=job.vault,
            vault_arn=job.destination,
            role=job.role,
            created=now,
            initiated=original.initiated or original.created if original else None,
            completed=now,
            content=capture.content(),
            day=there.placed().scaled(delays.DAY),
            lifecycle=job.lifecycle,
            creator=job.creator,
            source_vault=job.source_vault,
        )
        there.state.points[point.arn] = point
        if tags := self._backend.list_tags(job.point):
            there.tag_resource(point.arn, tags)
        job.made = point.arn
        job.end("COMPLETED", now)
