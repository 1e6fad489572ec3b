"""Copy jobs: what is kept of them, and how they are ordered: by StartCopyJob, or by the copy actions of a plan's rule.

A job is the source's: it is asked for, and shown, in the Region of the vault that it copies from. The destination is
another vault, of this Region or of the other one; what comes to be there is independent of what it is a copy of.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from moto.backup.models import backup_backends

from pytest_envdr.sandbox.control_plane.backup.errors import (
    InvalidParameterValueException,
    ResourceNotFoundException,
)
from pytest_envdr.sandbox.control_plane.backup.jobs import SUCCESS, new_id, present
from pytest_envdr.sandbox.control_plane.backup.selection import check_role

if TYPE_CHECKING:
    from datetime import datetime

    from pytest_envdr.sandbox.control_plane.backup.backend import SandboxBackup
    from pytest_envdr.sandbox.control_plane.backup.jobs import BackupJob
    from pytest_envdr.sandbox.control_plane.backup.recovery_points import RecoveryPoint
    from pytest_envdr.sandbox.control_plane.backup.resources import Capture


@dataclass
class CopyJob:
    """One copy of one recovery point.

    Attributes:
        destination: the ARN of the vault that it copies to.
        backup_job: the backup job that it follows, for one that a plan made.
        started: when it turned RUNNING.
        made: the ARN of the copy, once it is there.
        capture: the copy under way.
    """

    point: str
    resource: str
    resource_type: str
    source_vault: str
    destination: str
    role: str
    account: str
    created: datetime
    lifecycle: dict[str, Any] | None = None
    creator: dict[str, Any] | None = None
    backup_job: str | None = None
    identifier: str = field(default_factory=lambda: new_id().upper())
    state: str = "CREATED"
    message: str | None = None
    category: str | None = None
    started: datetime | None = None
    completed: datetime | None = None
    made: str | None = None
    size: int | None = None
    capture: Capture | None = None

    @property
    def active(self) -> bool:
        return self.state in {"CREATED", "RUNNING"}

    @property
    def region(self) -> str:
        """Where it copies to."""
        return self.destination.split(":")[3]

    @property
    def vault(self) -> str:
        """The name of the vault there."""
        return self.destination.rsplit(":", 1)[-1]

    def end(self, state: str, at: datetime, *, message: str | None = None, category: str | None = None) -> None:
        """Set a final state."""
        self.state, self.completed, self.message, self.capture = state, at, message, None
        self.category = category or (SUCCESS if state == "COMPLETED" else "FAILURE")

    def shown(self) -> dict[str, Any]:
        """As DescribeCopyJob and ListCopyJobs answer."""
        return present(
            {
                "AccountId": self.account,
                "CopyJobId": self.identifier,
                "SourceBackupVaultArn": self.source_vault,
                "SourceRecoveryPointArn": self.point,
                "DestinationBackupVaultArn": self.destination,
                "DestinationVaultType": "BACKUP_VAULT",
                "DestinationRecoveryPointArn": self.made,
                "DestinationRecoveryPointLifecycle": self.lifecycle,
                "ResourceArn": self.resource,
                "ResourceName": self.resource.rsplit(":", 1)[-1],
                "ResourceType": self.resource_type,
                "CreationDate": self.created,
                "CompletionDate": self.completed,
                "State": self.state,
                "StatusMessage": self.message,
                "MessageCategory": self.category,
                "BackupSizeInBytes": self.size,
                "IamRoleArn": self.role,
                "CreatedBy": self.creator,
                "CreatedByBackupJobId": self.backup_job,
                "IsParent": False,
            }
        )


def start(backend: SandboxBackup, wanted: dict[str, Any]) -> CopyJob:
    """StartCopyJob; the members are the request's.

    Raises:
        ResourceNotFoundException: there is no such vault or recovery point.
        InvalidParameterValueException: the destination is none, or the source itself; the role is none.
    """
    known = backend.state.tokens.get(("copy", wanted.get("IdempotencyToken") or ""))
    if known:
        return backend.state.copies[known]
    point = backend.point(wanted["RecoveryPointArn"], wanted["SourceBackupVaultName"])
    destination = wanted["DestinationBackupVaultArn"]
    if destination == point.vault_arn:
        raise InvalidParameterValueException("The destination is the vault that the recovery point is in.")
    check_destination(backend, destination)
    if not has_vault(backend, destination):
        raise ResourceNotFoundException(f"Backup vault {destination} does not exist.")
    check_role(wanted["IamRoleArn"], exists=backend.role_exists)
    job = _ordered(backend, point, destination, wanted["IamRoleArn"], wanted.get("Lifecycle"))
    if token := wanted.get("IdempotencyToken"):
        backend.state.tokens["copy", token] = job.identifier
    return job


def follow(backend: SandboxBackup, backup: BackupJob, point: RecoveryPoint) -> None:
    """Order the copies that the rule wants which made a backup."""
    creator = backup.creator or {}
    plan = backend.plans.get(creator.get("BackupPlanId", ""))
    for rule in plan.backup_plan["Rules"] if plan else []:
        if rule["RuleId"] == creator["BackupRuleId"]:
            for action in rule.get("CopyActions") or []:
                destination = action["DestinationBackupVaultArn"]
                job = _ordered(backend, point, destination, backup.role, action.get("Lifecycle"))
                job.creator, job.backup_job = creator, backup.identifier


def check_destination(backend: SandboxBackup, arn: str) -> None:
    """Raise InvalidParameterValueException for what is no vault's ARN, NotImplementedError where nothing acts."""
    parts = arn.split(":")
    if len(parts) != 7 or parts[2] != "backup" or parts[5] != "backup-vault":
        raise InvalidParameterValueException(f"Invalid backup vault ARN: {arn}")
    if parts[4] != backend.account_id or parts[3] not in backend.placed().regions:
        raise NotImplementedError(f"copies to {arn}")


def destination_of(backend: SandboxBackup, region: str) -> SandboxBackup:
    """AWS Backup in a Region."""
    return cast("SandboxBackup", backup_backends[backend.account_id][region])


def has_vault(backend: SandboxBackup, arn: str) -> bool:
    """Whether a vault is there."""
    return arn.rsplit(":", 1)[-1] in destination_of(backend, arn.split(":")[3]).vaults


def _ordered(
    backend: SandboxBackup, point: RecoveryPoint, destination: str, role: str, lifecycle: dict[str, Any] | None
) -> CopyJob:
    job = CopyJob(
        point=point.arn,
        resource=point.resource,
        resource_type=point.resource_type,
        source_vault=point.vault_arn,
        destination=destination,
        role=role,
        account=backend.account_id,
        created=backend.now(),
        lifecycle=lifecycle,
    )
    backend.state.copies[job.identifier] = job
    return job
