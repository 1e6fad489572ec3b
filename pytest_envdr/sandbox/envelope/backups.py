"""The stack's backups: a vault, a daily plan of the database and the tenants' buckets, and what it did until today."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pytest_envdr.sandbox.control_plane.backup import history
from pytest_envdr.sandbox.envelope.names import ACCOUNT, DATABASE, MANAGED, PLAN, PREFIX, REGION, VAULT

if TYPE_CHECKING:
    from pytest_envdr.sandbox.envelope.account import Account

RETENTION_DAYS = 7
SECONDS = 120.0
"""How long the first backups may take; they took some five at speed 10."""


def create(account: Account) -> str:
    """Vault, plan and selections with 30 days of history, and the buckets' first backups begun; the plan's id."""
    client = account.client("backup")
    role = account.role("backup", "backup")
    client.create_backup_vault(BackupVaultName=VAULT, BackupVaultTags=MANAGED)
    rule = {
        "RuleName": "daily",
        "TargetBackupVaultName": VAULT,
        "ScheduleExpression": f"cron(0 {_hour(account)} ? * * *)",
        "StartWindowMinutes": 60,
        "CompletionWindowMinutes": 480,
        "Lifecycle": {"DeleteAfterDays": RETENTION_DAYS},
    }
    declared = {"BackupPlanName": PLAN, "Rules": [rule]}
    plan = client.create_backup_plan(BackupPlan=declared, BackupPlanTags=MANAGED)["BackupPlanId"]
    for name, resource in {
        "database": f"arn:aws:rds:{REGION}:{ACCOUNT}:db:{DATABASE}",
        "tenant-buckets": f"arn:aws:s3:::{PREFIX}-tenant-*",
    }.items():
        client.create_backup_selection(
            BackupPlanId=plan,
            BackupSelection={"SelectionName": name, "IamRoleArn": role, "Resources": [resource]},
        )
    history.record_daily(account.world, plan)
    history.run_plan(account.world, plan, type_="S3")
    return str(plan)


def complete(account: Account, plan: str) -> None:
    """The database's first backup too, and all of them there: what is restored later is there from the start."""
    jobs = [job.identifier for job in history.run_plan(account.world, plan, type_="RDS")]
    client = account.client("backup")

    def states() -> set[str]:
        return {client.describe_backup_job(BackupJobId=job)["State"] for job in jobs}

    account.wait_until("the first backups", lambda: states() <= {"COMPLETED"}, deadline=SECONDS)


def _hour(account: Account) -> int:
    """The hour before this one: the next backup comes as late as it can, and not in the middle of a drill."""
    return (account.world.now() - timedelta(hours=1)).hour
