"""The embedded stack's backups, as a health check of an account would look at them."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.sandbox.envelope.account import Account
from pytest_envdr.sandbox.envelope.names import DATABASE, PLAN, VAULT
from pytest_envdr.stack import read

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def backup(sandbox_stack: Path) -> Any:
    """A plain boto3 client of the running stack."""
    stack = read(sandbox_stack)
    return Account(type("Place", (), {"region": stack.region, "endpoint": stack.endpoint})()).client("backup")


def test_each_protected_resource_was_backed_up_every_day(backup: Any) -> None:
    """The last seven days have a job of the database and of each bucket, all COMPLETED with SUCCESS."""
    now = datetime.now(UTC)
    pages = backup.get_paginator("list_backup_jobs").paginate(ByCreatedAfter=now - timedelta(days=7))
    days: dict[str, set[int]] = defaultdict(set)
    for job in (job for page in pages for job in page["BackupJobs"]):
        if job["State"] in {"CREATED", "PENDING", "RUNNING"}:
            continue
        assert (job["State"], job["MessageCategory"]) == ("COMPLETED", "SUCCESS")
        assert job["CreatedBy"]["BackupPlanName"] == PLAN
        days[job["ResourceArn"]].add((now - job["CreationDate"]).days)
    assert any(arn.endswith(f":db:{DATABASE}") for arn in days)
    assert any(arn.startswith("arn:aws:s3:::") for arn in days)
    assert set(map(frozenset, days.values())) == {frozenset(range(7))}


def test_each_has_a_recovery_point_that_holds_data(backup: Any) -> None:
    """Those of before the sandbox have expired; one of each resource is there to be restored."""
    points = backup.list_recovery_points_by_backup_vault(BackupVaultName=VAULT)["RecoveryPoints"]
    assert all(point["Status"] == "COMPLETED" and point["BackupSizeInBytes"] > 0 for point in points)
    resources = {point["ResourceArn"] for point in points}
    protected = {row["ResourceArn"] for row in backup.list_protected_resources()["Results"]}
    assert resources == protected
    kinds = {point["ResourceType"] for point in points}
    assert kinds == {"RDS", "S3"}
