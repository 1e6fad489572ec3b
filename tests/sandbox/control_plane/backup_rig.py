"""What the tests of AWS Backup share: a vault, a role, and waiting for jobs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from pytest_envdr.waiting import wait_until
from tests.sandbox.control_plane.served import ACCOUNT

if TYPE_CHECKING:
    from tests.sandbox.control_plane.served import Served

VAULT, ROLE = "vault", "backup-role"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "backup.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}
SECONDS = 60.0


def prepare(served: Served) -> None:
    """A vault, and a role that AWS Backup can assume."""
    served.client("backup").create_backup_vault(BackupVaultName=VAULT)
    served.client("iam").create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(TRUST))


def ended(served: Served, job: str) -> dict[str, Any]:
    """A backup job in its final state."""
    client = served.client("backup")
    return dict(
        wait_until(
            lambda: client.describe_backup_job(BackupJobId=job),
            lambda row: row["State"] in {"COMPLETED", "FAILED", "EXPIRED", "ABORTED"},
            what=f"backup job {job} ended",
            deadline=SECONDS,
            interval=0.05,
            longest_interval=0.1,
        )
    )


def restore_ended(served: Served, job: str) -> dict[str, Any]:
    """A restore job in its final state."""
    client = served.client("backup")
    return dict(
        wait_until(
            lambda: client.describe_restore_job(RestoreJobId=job),
            lambda row: row["Status"] in {"COMPLETED", "FAILED", "ABORTED"},
            what=f"restore job {job} ended",
            deadline=SECONDS,
            interval=0.05,
            longest_interval=0.1,
        )
    )


def refused(code: str) -> Any:
    """A call that is answered with that error."""
    return pytest.raises(ClientError, match=code)
