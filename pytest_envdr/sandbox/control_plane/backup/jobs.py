"""Backup jobs and restore jobs: what is kept of them, and how they are shown."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from datetime import datetime

    from pytest_envdr.sandbox.control_plane.backup.resources import Capture, Restoration

KEPT: Final = timedelta(days=30)
"""How long the List operations show a job."""
SUCCESS: Final = "SUCCESS"
"""The `MessageCategory` of a job that had no issues."""
UNDER_WAY: Final = frozenset({"CREATED", "PENDING", "RUNNING"})


def new_id() -> str:
    return str(uuid.uuid4())


def present(row: dict[str, Any]) -> dict[str, Any]:
    """Without what is unknown: AWS leaves such members out."""
    return {name: value for name, value in row.items() if value is not None}


@dataclass
class BackupJob:
    """One backup of one resource.

    Attributes:
        started: when it turned RUNNING.
        next_attempt: when starting is tried again.
        creator: `CreatedBy`, for a job that a plan made.
        capture: the backup under way.
        percent: how much is done, 0-100.
    """

    resource: str
    resource_type: str
    vault: str
    vault_arn: str
    role: str
    account: str
    created: datetime
    start_by: datetime
    complete_by: datetime
    identifier: str = field(default_factory=new_id)
    lifecycle: dict[str, Any] | None = None
    tags: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] | None = None
    creator: dict[str, Any] | None = None
    state: str = "CREATED"
    category: str | None = None
    message: str | None = None
    recovery_point: str | None = None
    started: datetime | None = None
    next_attempt: datetime | None = None
    completed: datetime | None = None
    percent: float = 0.0
    size: int | None = None
    encrypted: bool = True
    capture: Capture | None = None

    @property
    def name(self) -> str:
        return self.resource.rsplit(":", 1)[-1]

    def end(self, state: str, at: datetime, *, message: str | None = None, category: str | None = None) -> None:
        """Set a final state."""
        self.state, self.completed, self.message = state, at, message
        self.category = category or (SUCCESS if state == "COMPLETED" else "FAILURE")
        self.percent = 100.0 if state == "COMPLETED" else self.percent
        self.capture = None

    def shown(self) -> dict[str, Any]:
        """As DescribeBackupJob and ListBackupJobs answer."""
        return present(
            {
                "AccountId": self.account,
                "BackupJobId": self.identifier,
                "BackupVaultName": self.vault,
                "BackupVaultArn": self.vault_arn,
                "VaultType": "BACKUP_VAULT",
                "RecoveryPointArn": self.recovery_point,
                "RecoveryPointLifecycle": self.lifecycle,
                "IsEncrypted": self.encrypted,
                "ResourceArn": self.resource,
                "ResourceName": self.name,
                "ResourceType": self.resource_type,
                "CreationDate": self.created,
                "CompletionDate": self.completed,
                "ExpectedCompletionDate": self.complete_by if self.state == "RUNNING" else None,
                "State": self.state,
                "StatusMessage": self.message,
                "MessageCategory": self.category,
                "PercentDone": f"{self.percent:.1f}",
                "BackupSizeInBytes": self.size,
                "BytesTransferred": self.size,
                "IamRoleArn": self.role,
                "CreatedBy": self.creator,
                "StartBy": self.start_by,
                "InitiationDate": self.created,
                "BackupOptions": self.options,
                "IsParent": False,
            }
        )


@dataclass
class RestoreJob:
    """One restore of one recovery point.

    Attributes:
        metadata: what StartRestoreJob was given.
        tags: the source's, where they are to be copied.
        testing_plan: the ARN of the restore testing plan that made it; None for one that was asked for.
        validate_by: until when a restore test's resource waits for its validation.
        restoration: the restore under way, or what it made.
    """

    recovery_point: str
    recovery_point_created: datetime
    source: str
    resource_type: str
    vault_arn: str
    account: str
    created: datetime
    metadata: dict[str, str]
    tags: dict[str, str] = field(default_factory=dict)
    role: str | None = None
    size: int | None = None
    identifier: str = field(default_factory=lambda: new_id().upper())
    status: str = "PENDING"
    message: str | None = None
    percent: float = 0.0
    started: datetime | None = None
    completed: datetime | None = None
    made: str | None = None
    testing_plan: str | None = None
    validation_window: float = 0.0
    validate_by: datetime | None = None
    validation: str | None = None
    validation_message: str | None = None
    deletion: str | None = None
    deletion_message: str | None = None
    deletion_began: datetime | None = None
    restoration: Restoration | None = None

    def end(self, status: str, at: datetime, *, message: str | None = None) -> None:
        """Set a final status."""
        self.status, self.completed, self.message = status, at, message
        self.percent = 100.0 if status == "COMPLETED" else self.percent

    def shown(self) -> dict[str, Any]:
        """As DescribeRestoreJob and ListRestoreJobs answer."""
        return present(
            {
                "AccountId": self.account,
                "RestoreJobId": self.identifier,
                "RecoveryPointArn": self.recovery_point,
                "RecoveryPointCreationDate": self.recovery_point_created,
                "SourceResourceArn": self.source,
                "BackupVaultArn": self.vault_arn,
                "CreationDate": self.created,
                "CompletionDate": self.completed,
                "Status": self.status,
                "StatusMessage": self.message,
                "PercentDone": f"{self.percent:.2f}%",
                "BackupSizeInBytes": self.size,
                "IamRoleArn": self.role,
                "CreatedResourceArn": self.made,
                "ResourceType": self.resource_type,
                "CreatedBy": {"RestoreTestingPlanArn": self.testing_plan} if self.testing_plan else None,
                "ValidationStatus": self.validation,
                "ValidationStatusMessage": self.validation_message,
                "DeletionStatus": self.deletion,
                "DeletionStatusMessage": self.deletion_message,
                "IsParent": False,
            }
        )
