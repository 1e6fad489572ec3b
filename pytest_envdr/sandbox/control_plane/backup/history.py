"""What a plan did before the sandbox began: records of jobs whose recovery points have reached their end.

For the seed and for tests, in process; the API shows the records as it shows every job. A health check of the last days
is to find what it would find in an account: one that ran every day, or one that failed, expired, or was not made.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from moto.backup.models import backup_backends

from pytest_envdr.sandbox.control_plane.backup import delays
from pytest_envdr.sandbox.control_plane.backup.jobs import BackupJob
from pytest_envdr.sandbox.control_plane.backup.plan_runs import created_by, run_rule
from pytest_envdr.sandbox.control_plane.backup.resources import type_of
from pytest_envdr.sandbox.control_plane.backup.schedule import schedule_of
from pytest_envdr.sandbox.control_plane.extension import backend_lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from typing import Any

    from moto.backup.models import Plan

    from pytest_envdr.sandbox.control_plane.backup.backend import SandboxBackup
    from pytest_envdr.sandbox.world import World

DAYS = 30
SHORTEST, SPREAD = 240, 600
"""How long a recorded job took, in seconds: at least, and by how much it varies."""


@dataclass(frozen=True)
class Outcome:
    """How a recorded job ended.

    Attributes:
        state: COMPLETED, FAILED, ABORTED, EXPIRED or PARTIAL.
        category: its `MessageCategory`; COMPLETED with another than SUCCESS is "completed with issues".
        message: its `StatusMessage`.
    """

    state: str = "COMPLETED"
    category: str = "SUCCESS"
    message: str | None = None


SUCCESSFUL = Outcome()


def always(resource: str, scheduled: datetime) -> Outcome | None:  # noqa: ARG001 (what a history is asked)
    """A plan that never failed."""
    return SUCCESSFUL


def record_daily(
    world: World,
    plan: str,
    *,
    days: int = DAYS,
    outcome: Callable[[str, datetime], Outcome | None] = always,
) -> list[BackupJob]:
    """Record the jobs that a plan's rules would have made in the last days, for each resource that it selects now.

    Args:
        world: the account and Region.
        plan: the plan's id.
        days: how many; the List operations show 30.
        outcome: resource and scheduled time -> how the job ended; None for one that was never made.
    """
    backend = backend_of(world)
    with backend_lock:
        found, now = backend.plan(plan), backend.now()
        arns = _selected(backend, plan)
        return [
            _record(backend, found, rule, arn, role, moment, how)
            for rule in found.backup_plan["Rules"]
            for moment in _times(rule, now - timedelta(days=days), now)
            for arn, role in arns.items()
            if (how := outcome(arn, moment)) is not None
        ]


def run_plan(world: World, plan: str, *, type_: str | None = None) -> list[BackupJob]:
    """Make the jobs of all of a plan's rules now, as if they had come due; `type_` for resources of one type only."""
    backend = backend_of(world)
    with backend_lock:
        found = backend.plan(plan)
        return [job for rule in found.backup_plan["Rules"] for job in run_rule(backend, found, rule, type_)]


def backend_of(world: World) -> SandboxBackup:
    """The AWS Backup of a world."""
    return cast("SandboxBackup", backup_backends[world.account][world.region])


def _selected(backend: SandboxBackup, plan: str) -> dict[str, str]:
    selections = backend.state.selections.get(plan, {}).values()
    return {arn: one.role for one in selections for arn in one.resources(backend.kinds.values())}


def _times(rule: dict[str, Any], since: datetime, until: datetime) -> list[datetime]:
    """When a rule's schedule came due, by the minute."""
    schedule = schedule_of(rule["ScheduleExpression"], rule.get("ScheduleExpressionTimezone"), since)
    first = since.replace(second=0, microsecond=0)
    minutes = int((until - first) / timedelta(minutes=1))
    moments = (first + timedelta(minutes=number) for number in range(1, minutes + 1))
    return [moment for moment in moments if schedule.due(moment - timedelta(minutes=1), moment)]


def _record(
    backend: SandboxBackup,
    plan: Plan,
    rule: dict[str, Any],
    resource: str,
    role: str,
    scheduled: datetime,
    how: Outcome,
) -> BackupJob:
    seconds = SHORTEST + _noise(f"{resource}{scheduled}") % SPREAD
    window = float(rule["StartWindowMinutes"]) * delays.MINUTE
    kind = type_of(resource)
    job = BackupJob(
        resource=resource,
        resource_type=kind,
        vault=rule["TargetBackupVaultName"],
        vault_arn=backend.vault(rule["TargetBackupVaultName"]).backup_vault_arn,
        role=role,
        account=backend.account_id,
        created=scheduled,
        start_by=scheduled + timedelta(seconds=window),
        complete_by=scheduled + timedelta(minutes=float(rule["CompletionWindowMinutes"])),
        lifecycle=rule.get("Lifecycle"),
        creator=created_by(plan, rule),
    )
    if how.state in {"COMPLETED", "PARTIAL"}:
        job.recovery_point = backend.kinds[kind].point_arn(job)
        job.size = _noise(resource) * 2**16
    after = window if how.state == "EXPIRED" else seconds
    job.end(how.state, scheduled + timedelta(seconds=after), message=how.message, category=how.category)
    backend.state.jobs[job.identifier] = job
    return job


def _noise(text: str) -> int:
    """A number below 2**16 that only depends on the text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:2], "big")
