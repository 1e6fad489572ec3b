"""A plan's rules becoming jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_envdr.sandbox.control_plane.backup.resources import type_of
from pytest_envdr.sandbox.control_plane.backup.schedule import schedule_of

if TYPE_CHECKING:
    from datetime import datetime

    from moto.backup.models import Plan

    from pytest_envdr.sandbox.control_plane.backup.backend import SandboxBackup
    from pytest_envdr.sandbox.control_plane.backup.jobs import BackupJob


def run_due(backend: SandboxBackup, now: datetime) -> None:
    """Make the jobs of each rule that came due since the last look."""
    for identifier, clock in list(backend.state.clocks.items()):
        plan = backend.plans.get(identifier)
        if plan is None or plan.deletion_date is not None:
            backend.state.clocks.pop(identifier)
            continue
        rules = plan.backup_plan["Rules"]
        schedules = [
            schedule_of(rule["ScheduleExpression"], rule.get("ScheduleExpressionTimezone"), clock.origin)
            for rule in rules
        ]
        for position in clock.due(schedules, now):
            run_rule(backend, plan, rules[position])


def run_rule(backend: SandboxBackup, plan: Plan, rule: dict[str, Any], type_: str | None = None) -> list[BackupJob]:
    """A job for each resource (of one type, if so) that the plan selects, as its schedule makes them."""
    plan.last_execution_date = backend.placed().now().timestamp()  # type: ignore[assignment]
    if rule["TargetBackupVaultName"] not in backend.vaults:
        return []
    selections = backend.state.selections.get(plan.backup_plan_id, {}).values()
    chosen = {arn: one.role for one in selections for arn in one.resources(backend.kinds.values())}
    return [
        backend.order(_wanted(plan, rule, arn, role), created_by(plan, rule))
        for arn, role in chosen.items()
        if type_ in (None, type_of(arn))
    ]


def created_by(plan: Plan, rule: dict[str, Any]) -> dict[str, Any]:
    """A job's `CreatedBy`."""
    return {
        "BackupPlanId": plan.backup_plan_id,
        "BackupPlanArn": plan.backup_plan_arn,
        "BackupPlanName": plan.backup_plan["BackupPlanName"],
        "BackupPlanVersion": plan.version_id,
        "BackupRuleId": rule["RuleId"],
        "BackupRuleName": rule["RuleName"],
        "BackupRuleCron": rule["ScheduleExpression"],
        "BackupRuleTimezone": rule.get("ScheduleExpressionTimezone", "Etc/UTC"),
    }


def _wanted(plan: Plan, rule: dict[str, Any], arn: str, role: str) -> dict[str, Any]:
    settings = {
        one["ResourceType"]: one["BackupOptions"] for one in plan.backup_plan.get("AdvancedBackupSettings") or []
    }
    return {
        "BackupVaultName": rule["TargetBackupVaultName"],
        "ResourceArn": arn,
        "IamRoleArn": role,
        "StartWindowMinutes": rule.get("StartWindowMinutes"),
        "CompleteWindowMinutes": rule.get("CompletionWindowMinutes"),
        "Lifecycle": rule.get("Lifecycle"),
        "RecoveryPointTags": rule.get("RecoveryPointTags"),
        "BackupOptions": settings.get(type_of(arn)),
    }
