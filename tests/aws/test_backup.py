"""AWS Backup: recovery points, their metadata, and restore jobs, of the sandbox's vault."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from pytest_envdr.aws import Aws, backup, rds
from pytest_envdr.errors import NotFound
from pytest_envdr.stack import read

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_envdr.tables import Backup


@pytest.fixture
def aws(battered_stack: Path) -> Aws:
    """The sandbox's account; nothing is changed there."""
    return Aws(read(battered_stack))


@pytest.fixture
def row(aws: Aws) -> Backup:
    """The stack file's vault."""
    assert aws.stack.backup is not None
    return aws.stack.backup


def test_recovery_points_of_one_resource(aws: Aws, row: Backup) -> None:
    """Those that can be restored, of this resource and no other, the newest first; without any, none."""
    assert aws.stack.database is not None
    arn = rds.instance(aws, aws.stack.database.instance).arn
    points = backup.recovery_points(aws, row.vault, arn)
    assert points
    assert {(one.resource, one.kind, one.status) for one in points} == {(arn, "RDS", "COMPLETED")}
    assert [one.created_at for one in points] == sorted((one.created_at for one in points), reverse=True)
    assert points[0].created_at.tzinfo is UTC
    assert backup.recovery_points(aws, row.vault, f"{arn}-of-nobody") == []
    with pytest.raises(NotFound, match="vault nowhere cannot be read"):
        backup.recovery_points(aws, "nowhere", arn)


def test_metadata_says_where_it_stood(aws: Aws, row: Backup) -> None:
    """All texts, as StartRestoreJob takes them again."""
    assert aws.stack.database is not None
    arn = rds.instance(aws, aws.stack.database.instance).arn
    metadata = backup.restore_metadata(aws, backup.recovery_points(aws, row.vault, arn)[0])
    assert metadata["DBInstanceIdentifier"] == aws.stack.database.instance
    assert {type(value) for value in metadata.values()} == {str}


def test_a_job_that_is_not_there(aws: Aws) -> None:
    """NotFound by its id; none in a list."""
    with pytest.raises(NotFound, match="Restore job 00000000-0000 cannot be read"):
        backup.restore_job(aws, "00000000-0000")
    since = datetime.now(UTC) - timedelta(days=1)
    assert backup.restore_jobs(aws, since=since, recovery_point="arn:aws:rds:nowhere") == []


@pytest.mark.parametrize(
    ("status", "under_way"), [("PENDING", True), ("RUNNING", True), ("COMPLETED", False), ("FAILED", False)]
)
def test_a_job_under_way_may_still_create(status: str, *, under_way: bool) -> None:
    """What is pending or runs may bring forth an instance that an undo must wait for."""
    job = backup.RestoreJob("1", status, "", "", "", "", None, None, "")
    assert job.under_way == under_way
