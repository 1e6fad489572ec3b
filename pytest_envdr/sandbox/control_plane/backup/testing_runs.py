"""Restore tests: begun on schedule, kept for their validation, deleted."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from moto.core.exceptions import ServiceException
from werkzeug.exceptions import HTTPException

from pytest_envdr.sandbox.control_plane.backup import delays
from pytest_envdr.sandbox.control_plane.backup.schedule import schedule_of

if TYPE_CHECKING:
    from datetime import datetime

    from pytest_envdr.sandbox.control_plane.backup.backend import SandboxBackup
    from pytest_envdr.sandbox.control_plane.backup.jobs import RestoreJob
    from pytest_envdr.sandbox.control_plane.backup.recovery_points import RecoveryPoint
    from pytest_envdr.sandbox.control_plane.backup.restore_testing import TestingPlan, TestingSelection

VALIDATING = "VALIDATING"


class TestingRuns:
    """Begins the restores of testing plans, and ends what they made."""

    def __init__(self, backend: SandboxBackup) -> None:
        self._backend = backend

    def step(self, now: datetime) -> None:
        for plan in list(self._backend.state.testing.values()):
            zone = plan.document.get("ScheduleExpressionTimezone")
            schedule = schedule_of(plan.document["ScheduleExpression"], zone, plan.clock.origin)
            if plan.clock.due([schedule], now):
                self._begin(plan, now)
        for job in list(self._backend.state.restores.values()):
            if job.testing_plan and job.status in {"COMPLETED", "FAILED"} and job.restoration is not None:
                self._conclude(job, now)

    def _begin(self, plan: TestingPlan, now: datetime) -> None:
        plan.ran = now
        for point in plan.chosen(self._backend.state.points.values(), now):
            selection = self._selection(plan, point)
            if selection is not None:
                self._restore(plan, selection, point)

    def _selection(self, plan: TestingPlan, point: RecoveryPoint) -> TestingSelection | None:
        """The first selection that protects the point's resource."""
        tags = self._backend.list_tags(point.arn)
        fitting = (
            one
            for one in plan.selections.values()
            if one.document["ProtectedResourceType"] == point.resource_type and one.takes(point.resource, tags)
        )
        return next(fitting, None)

    def _restore(self, plan: TestingPlan, selection: TestingSelection, point: RecoveryPoint) -> None:
        inferred = self._backend.kinds[point.resource_type].test_metadata(point.content)
        overrides = dict(selection.document.get("RestoreMetadataOverrides") or {})
        changed = {name.lower() for name in overrides}
        metadata = {name: text for name, text in inferred.items() if name.lower() not in changed} | overrides
        job = self._backend.restore_of(point, metadata, selection.document["IamRoleArn"])
        job.testing_plan = plan.arn
        job.validation_window = self._backend.placed().scaled(delays.HOUR * selection.validation_hours)

    def _conclude(self, job: RestoreJob, now: datetime) -> None:
        if job.deletion == "DELETING":
            self._delete(job, now)
        elif job.deletion is None and not self._awaits_validation(job, now):
            job.deletion, job.deletion_began = "DELETING", now

    def _awaits_validation(self, job: RestoreJob, now: datetime) -> bool:
        if not job.validation_window or job.status != "COMPLETED":
            return False
        if job.validate_by is None:
            job.validation = job.validation or VALIDATING
            job.validate_by = now + timedelta(seconds=job.validation_window)
        if job.validation == VALIDATING and now >= job.validate_by:
            job.validation = "TIMED_OUT"
        return job.validation == VALIDATING

    def _delete(self, job: RestoreJob, now: datetime) -> None:
        began, restoration = job.deletion_began, job.restoration
        if began is None or restoration is None:
            return
        try:
            gone = restoration.delete()
        except (ServiceException, HTTPException) as error:
            job.deletion, job.deletion_message = "FAILED", str(error)
            return
        if gone and (now - began).total_seconds() >= self._backend.placed().scaled(delays.DELETING):
            job.deletion, job.restoration = "SUCCESSFUL", None
