"""A backup job's life: CREATED, PENDING, RUNNING, and how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_envdr.sandbox.control_plane.backup import copy_jobs, delays, notifications
from pytest_envdr.sandbox.control_plane.backup.errors import JobFailed, NotYet
from pytest_envdr.sandbox.control_plane.backup.jobs import UNDER_WAY
from pytest_envdr.sandbox.control_plane.backup.recovery_points import RecoveryPoint
from pytest_envdr.sandbox.control_plane.backup.selection import require_role

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pytest_envdr.sandbox.control_plane.backup.backend import SandboxBackup
    from pytest_envdr.sandbox.control_plane.backup.jobs import BackupJob
    from pytest_envdr.sandbox.control_plane.backup.notifications import Event
    from pytest_envdr.sandbox.control_plane.backup.resources import Capture, Content

WAITING = frozenset({"CREATED", "PENDING"})
ISSUES_SHOWN = 5
"""How many issues a job's message names; it says how many there are."""


class BackupRuns:
    """Brings jobs on, a step at a time."""

    def __init__(self, backend: SandboxBackup, tell: Callable[[Event], None]) -> None:
        self._backend, self._tell = backend, tell

    def step(self, now: datetime) -> None:
        for job in list(self._backend.state.active.values()):
            before = job.state
            self._advance(job, now)
            if job.state != before and job.state not in WAITING:
                self._tell(notifications.of_backup(job))
            if job.state not in UNDER_WAY:
                del self._backend.state.active[job.identifier]

    def _advance(self, job: BackupJob, now: datetime) -> None:
        if job.state == "ABORTING":
            self._abort(job, now, "Backup job was stopped by user.")
        elif job.state == "RUNNING":
            self._run(job, now)
        elif now > job.start_by:
            job.end("EXPIRED", now, message="Backup job expired before it could start.")
        else:
            self._wait(job, now)

    def _wait(self, job: BackupJob, now: datetime) -> None:
        age = (now - job.created).total_seconds()
        world = self._backend.placed()
        if job.state == "CREATED" and job.next_attempt is None and age >= world.taken(delays.CREATED):
            job.state = "PENDING"
        elif age >= world.taken(delays.CREATED + delays.PENDING) and (not job.next_attempt or now >= job.next_attempt):
            self._begin(job, now)

    def _begin(self, job: BackupJob, now: datetime) -> None:
        try:
            require_role(job.role, exists=self._backend.role_exists)
            if job.resource in self._running():
                raise NotYet("Another job is running on the resource.")
            job.capture = self._backend.kind_of(job.resource).capture(job, self._previous(job))
        except NotYet as later:
            seconds = self._backend.placed().taken(delays.RETRY)
            job.state, job.message = "CREATED", str(later)  # "remains in CREATED status until it has begun"
            job.next_attempt = now.fromtimestamp(now.timestamp() + seconds, now.tzinfo)
        except JobFailed as failure:
            job.end("FAILED", now, message=str(failure), category=failure.category)
        else:
            job.state, job.message, job.started = "RUNNING", None, now

    def _running(self) -> set[str]:
        """The resources that are being backed up."""
        return {job.resource for job in self._backend.state.active.values() if job.state == "RUNNING"}

    def _previous(self, job: BackupJob) -> Content | None:
        """The data of the resource's newest recovery point."""
        points = [point for point in self._backend.state.points.values() if point.resource == job.resource]
        return max(points, key=lambda point: point.created).content if points else None

    def _run(self, job: BackupJob, now: datetime) -> None:
        capture, started = job.capture, job.started
        if capture is None or started is None:
            return
        if now > job.complete_by:
            self._abort(job, now, "Backup job did not complete within its completion window.")
            return
        try:
            share = (now - started).total_seconds() / self._backend.placed().taken(delays.RUNNING)
            job.percent = max(job.percent, min(capture.percent(), 100.0 * share))
            if job.percent >= 100.0:
                self._complete(job, capture, now)
        except JobFailed as failure:
            job.end("FAILED", now, message=str(failure), category=failure.category)

    def _complete(self, job: BackupJob, capture: Capture, now: datetime) -> None:
        content, issues = capture.content(), capture.issues()
        kind = self._backend.kind_of(job.resource)
        point = RecoveryPoint(
            arn=kind.point_arn(job),
            resource=job.resource,
            resource_type=job.resource_type,
            vault=job.vault,
            vault_arn=job.vault_arn,
            role=job.role,
            created=job.created,
            completed=now,
            content=content,
            day=self._backend.placed().scaled(delays.DAY),
            lifecycle=job.lifecycle,
            creator=job.creator,
        )
        self._backend.state.points[point.arn] = point
        tags = {**kind.tags(job.resource), **job.tags}
        if tags:
            self._backend.tag_resource(point.arn, tags)
        job.recovery_point, job.size = point.arn, content.size
        copy_jobs.follow(self._backend, job, point)
        job.end("COMPLETED", now, message=_summary(issues), category="FAILURE" if issues else None)
        for event in notifications.of_objects(job.vault, "Backup", job.identifier, issues):
            self._tell(event)

    @staticmethod
    def _abort(job: BackupJob, now: datetime, message: str) -> None:
        if job.capture:
            job.capture.cancel()
        job.end("ABORTED", now, message=message)


def _summary(issues: list[str]) -> str | None:
    if not issues:
        return None
    return f"Completed with issues: {len(issues)} objects were not backed up. " + " ".join(issues[:ISSUES_SHOWN])
