"""Recovery points: what a backup job leaves in a vault."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pytest_envdr.sandbox.control_plane.backup.jobs import present

if TYPE_CHECKING:
    from datetime import datetime

    from pytest_envdr.sandbox.control_plane.backup.resources import Content


@dataclass
class RecoveryPoint:
    """One backup of a resource.

    Attributes:
        content: the data themselves.
        day: how long a day of the lifecycle lasts, in wall seconds.
        initiated: when the backup was asked for that a copy is one of; None for an original.
        source_vault: the ARN of the vault that a copy came from; None for an original.
    """

    arn: str
    resource: str
    resource_type: str
    vault: str
    vault_arn: str
    role: str
    created: datetime
    completed: datetime
    content: Content
    day: float
    lifecycle: dict[str, Any] | None = None
    creator: dict[str, Any] | None = None
    tags: dict[str, str] = field(default_factory=dict)
    status: str = "COMPLETED"
    message: str | None = None
    last_restore: datetime | None = None
    initiated: datetime | None = None
    source_vault: str | None = None

    @property
    def delete_at(self) -> datetime | None:
        """When its lifecycle ends it; a day is as long as the sandbox's."""
        days = (self.lifecycle or {}).get("DeleteAfterDays")
        return self.created + timedelta(seconds=self.day * days) if days else None

    def shown(self) -> dict[str, Any]:
        """As DescribeRecoveryPoint and both List operations answer."""
        return present(
            {
                "RecoveryPointArn": self.arn,
                "BackupVaultName": self.vault,
                "BackupVaultArn": self.vault_arn,
                "ResourceArn": self.resource,
                "ResourceName": self.resource.rsplit(":", 1)[-1],
                "ResourceType": self.resource_type,
                "CreatedBy": self.creator,
                "IamRoleArn": self.role,
                "Status": self.status,
                "StatusMessage": self.message,
                "CreationDate": self.created,
                "InitiationDate": self.initiated or self.created,
                "SourceBackupVaultArn": self.source_vault,
                "CompletionDate": self.completed,
                "BackupSizeInBytes": self.content.size,
                "BackupSizeBytes": self.content.size,
                "Lifecycle": self.lifecycle,
                "CalculatedLifecycle": {"DeleteAt": self.delete_at} if self.delete_at else None,
                "IsEncrypted": True,
                "StorageClass": "WARM",
                "LastRestoreTime": self.last_restore,
                "IsParent": False,
                "VaultType": "BACKUP_VAULT",
            }
        )
