"""AWS Backup: recovery points, restore jobs, and the verdict on a restore in AWS's own trail (aws-semantics 1.14)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pytest_envdr.aws import Act
from pytest_envdr.journal import Inverse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pytest_envdr.aws import Aws
    from pytest_envdr.journal import Journal

UNDER_WAY = ("PENDING", "RUNNING")
Validation = Literal["SUCCESSFUL", "FAILED", "TIMED_OUT", "VALIDATING"]


@dataclass(frozen=True)
class RecoveryPoint:
    """A backup of one resource. `status` is COMPLETED, AVAILABLE, PARTIAL, EXPIRED, ...; `created_at` is when the
    backup began, and its data are at least that old."""

    arn: str
    vault: str
    resource: str
    kind: str
    status: str
    created_at: datetime


@dataclass(frozen=True)
class RestoreJob:
    """A restore. `status` is PENDING, RUNNING, COMPLETED, ABORTED or FAILED; `message` says why."""

    id: str
    status: str
    message: str
    percent: str
    recovery_point: str
    created_resource: str
    created_at: datetime | None
    completed_at: datetime | None
    validation: str

    @property
    def under_way(self) -> bool:
        """Whether it may still create something."""
        return self.status in UNDER_WAY


def recovery_points(aws: Aws, vault: str, resource: str) -> list[RecoveryPoint]:
    """The recovery points of a resource (its ARN) in a vault that can be restored, the newest first.

    Raises:
        NotFound: there is no such vault.
    """
    rows = aws.pages(
        "backup.ListRecoveryPointsByBackupVault",
        "RecoveryPoints",
        what=f"The recovery points of {resource} in vault {vault} cannot be read",
        BackupVaultName=vault,
        ByResourceArn=resource,
    )
    found = [
        RecoveryPoint(
            row["RecoveryPointArn"], vault, row["ResourceArn"], row["ResourceType"], row["Status"], row["CreationDate"]
        )
        for row in rows
    ]
    # What S3 and continuous backups call AVAILABLE is COMPLETED for all others.
    usable = [one for one in found if one.status in ("COMPLETED", "AVAILABLE") and one.resource == resource]
    return sorted(usable, key=lambda one: (one.created_at, one.arn), reverse=True)


def restore_metadata(aws: Aws, point: RecoveryPoint) -> dict[str, str]:
    """What AWS Backup knows of the resource as it was: to be overlaid, and given to `start_restore`."""
    what = f"The metadata of {point.arn} cannot be read"
    answer = aws.call(
        "backup.GetRecoveryPointRestoreMetadata", what=what, BackupVaultName=point.vault, RecoveryPointArn=point.arn
    )
    return dict(answer["RestoreMetadata"])


def start_restore(
    aws: Aws,
    journal: Journal,
    point: RecoveryPoint,
    *,
    metadata: Mapping[str, str],
    role: str,
    token: str,
    inverse: Inverse,
) -> str:
    """Start a restore job; its id. Nothing is created yet.

    Args:
        aws: the account.
        journal: where `inverse`, which takes away what the job will have created, is written first.
        point: what to restore.
        metadata: where to, in the words of `restore_metadata`.
        role: what AWS Backup does it as.
        token: a retry with the same token starts no second job.
        inverse: how the created resource goes again.
    """
    arguments: dict[str, Any] = {
        "RecoveryPointArn": point.arn,
        "Metadata": dict(metadata),
        "IamRoleArn": role,
        "IdempotencyToken": token,
        "ResourceType": point.kind,
        "CopySourceTagsToRestoredResource": False,
    }
    act = Act("backup.StartRestoreJob", arguments, inverse, f"{point.arn} cannot be restored")
    answer = aws.act(journal, act, kept=lambda answer: {"RestoreJobId": answer["RestoreJobId"]})
    return str(answer["RestoreJobId"])


def restore_job(aws: Aws, job: str) -> RestoreJob:
    """A restore job as it is.

    Raises:
        NotFound: there is none of that id.
    """
    return _job(aws.call("backup.DescribeRestoreJob", what=f"Restore job {job} cannot be read", RestoreJobId=job))


def restore_jobs(aws: Aws, *, since: datetime, recovery_point: str) -> list[RestoreJob]:
    """The restore jobs of a recovery point that were created since an instant."""
    rows = aws.pages(
        "backup.ListRestoreJobs",
        "RestoreJobs",
        what=f"The restore jobs of {recovery_point} cannot be read",
        ByCreatedAfter=since,
    )
    return [job for job in map(_job, rows) if job.recovery_point == recovery_point]


def put_validation(aws: Aws, journal: Journal, job: str, *, verdict: Validation, message: str) -> None:
    """Tell AWS Backup what the restored resource was worth; it stays in its trail. AWS takes 1,024 characters."""
    aws.act(
        journal,
        Act(
            "backup.PutRestoreValidationResult",
            {"RestoreJobId": job, "ValidationStatus": verdict, "ValidationStatusMessage": message[:1024]},
            Inverse.healed(f"the verdict on restore job {job} stays: it is the record"),
            f"The verdict on restore job {job} cannot be given",
        ),
    )


def _job(row: Mapping[str, Any]) -> RestoreJob:
    return RestoreJob(
        id=row["RestoreJobId"],
        status=row.get("Status", ""),
        message=row.get("StatusMessage", ""),
        percent=row.get("PercentDone", ""),
        recovery_point=row.get("RecoveryPointArn", ""),
        created_resource=row.get("CreatedResourceArn", ""),
        created_at=row.get("CreationDate"),
        completed_at=row.get("CompletionDate"),
        validation=row.get("ValidationStatus", ""),
    )
