"""moto's AWS Backup, recording intent: what is asked for is here, and the control loop does it."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from moto.backup.models import BackupBackend, Plan, Vault
from moto.iam.models import iam_backends

from pytest_envdr.sandbox.control_plane.backup import copy_jobs, delays
from pytest_envdr.sandbox.control_plane.backup.errors import (
    AlreadyExistsException,
    InvalidParameterValueException,
    InvalidRequestException,
    InvalidResourceStateException,
    ResourceNotFoundException,
)
from pytest_envdr.sandbox.control_plane.backup.jobs import UNDER_WAY, BackupJob, RestoreJob
from pytest_envdr.sandbox.control_plane.backup.resources import type_of
from pytest_envdr.sandbox.control_plane.backup.schedule import Clock, schedule_of
from pytest_envdr.sandbox.control_plane.backup.selection import Selection, check_role
from pytest_envdr.sandbox.control_plane.backup.state import State
from pytest_envdr.sandbox.control_plane.extension import backend_lock, moto_urls

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from types import ModuleType

    from pytest_envdr.sandbox.control_plane.backup.recovery_points import RecoveryPoint
    from pytest_envdr.sandbox.control_plane.backup.resources import Kind
    from pytest_envdr.sandbox.world import World

PRINCIPAL = "backup.amazonaws.com"
SHORTEST_WINDOW = 60
"""The least StartWindowMinutes."""


class SandboxBackup(BackupBackend):
    """One account's AWS Backup in one Region. `world` is None where no control loop acts."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.world: World | None = None
        self.kinds: dict[str, Kind] = {}
        self.state = State()

    @property
    def _url_module(self) -> ModuleType:
        return moto_urls("backup")

    def reset(self) -> None:
        """moto's reset makes the object anew; the world stays."""
        world, kinds = self.world, self.kinds
        super().reset()
        self.world, self.kinds = world, kinds

    # Vaults

    def vault(self, name: str) -> Vault:
        """A vault, with its number of recovery points.

        Raises:
            ResourceNotFoundException: there is none of that name.
        """
        if name not in self.vaults:
            raise ResourceNotFoundException(f"Backup vault {name} does not exist.")
        vault = self.vaults[name]
        vault.num_of_recovery_points = sum(point.vault == name for point in self.state.points.values())
        return vault

    def describe_backup_vault(self, backup_vault_name: str) -> Vault:
        return self.vault(backup_vault_name)

    def list_backup_vaults(self) -> list[Vault]:
        return [self.vault(name) for name in list(self.vaults)]

    def delete_backup_vault(self, backup_vault_name: str) -> None:
        if self.vault(backup_vault_name).num_of_recovery_points:
            raise InvalidRequestException("Backup vault cannot be deleted because it contains recovery points.")
        self.state.notifications.pop(backup_vault_name, None)
        super().delete_backup_vault(backup_vault_name)

    # Plans

    def create_backup_plan(
        self, backup_plan: dict[str, Any], backup_plan_tags: dict[str, str], creator_request_id: str
    ) -> Plan:
        with backend_lock:
            self._check_rules(backup_plan)
            plan = super().create_backup_plan(backup_plan, backup_plan_tags, creator_request_id)
            self._start_clock(plan.backup_plan_id)
            return plan

    def update_backup_plan(self, backup_plan_id: str, backup_plan: dict[str, Any]) -> Plan:
        """A new version of a plan."""
        with backend_lock:
            self.plan(backup_plan_id)
            self._check_rules(backup_plan)
            made = Plan(copy.deepcopy(backup_plan), self.plans[backup_plan_id].creator_request_id, self)
            old = self.plans[backup_plan_id]
            made.backup_plan_id, made.backup_plan_arn = old.backup_plan_id, old.backup_plan_arn
            made.last_execution_date = old.last_execution_date
            self.plans[backup_plan_id] = made
            self._start_clock(backup_plan_id)
            return made

    def delete_backup_plan(self, backup_plan_id: str) -> tuple[str, str, float, str]:
        if self.state.selections.get(backup_plan_id):
            raise InvalidRequestException(
                "Related backup plan selections must be deleted prior to backup plan deletion"
            )
        return super().delete_backup_plan(backup_plan_id)

    def plan(self, identifier: str) -> Plan:
        """A plan that is not deleted.

        Raises:
            ResourceNotFoundException: there is none.
        """
        plan = self.plans.get(identifier)
        if plan is None or plan.deletion_date is not None:
            raise ResourceNotFoundException("Failed reading Backup plan with provided version")
        return plan

    def _check_rules(self, document: dict[str, Any]) -> None:
        for rule in document["Rules"]:
            if rule["TargetBackupVaultName"] not in self.vaults:
                raise InvalidParameterValueException(f"Backup vault {rule['TargetBackupVaultName']} does not exist.")
            for action in rule.get("CopyActions") or []:
                copy_jobs.check_destination(self, action["DestinationBackupVaultArn"])
            if rule.get("EnableContinuousBackup"):
                raise NotImplementedError("continuous backups")
            if expression := rule.get("ScheduleExpression"):
                schedule_of(expression, rule.get("ScheduleExpressionTimezone"), self.placed().now())

    def _start_clock(self, identifier: str) -> None:
        world = self.placed()
        self.state.clocks[identifier] = Clock.started(world.now(), world.speed)

    def select(self, plan: str, document: dict[str, Any], request: str | None) -> Selection:
        """CreateBackupSelection."""
        with backend_lock:
            self.plan(plan)
            check_role(document["IamRoleArn"], exists=self.role_exists)
            known = self.state.selections.setdefault(plan, {})
            if any(one.document["SelectionName"] == document["SelectionName"] for one in known.values()):
                raise AlreadyExistsException("Backup selection with the same name already exists.")
            made = Selection(plan, document, self.now(), request)
            known[made.identifier] = made
            return made

    def selection(self, plan: str, identifier: str) -> Selection:
        """Raises `ResourceNotFoundException`."""
        self.plan(plan)
        try:
            return self.state.selections.get(plan, {})[identifier]
        except KeyError:
            raise ResourceNotFoundException(f"Backup selection {identifier} does not exist.") from None

    # Backup jobs

    def start_backup_job(self, wanted: dict[str, Any]) -> BackupJob:
        """Record a job that was asked for; the members are those of StartBackupJob."""
        with backend_lock:
            known = self.state.tokens.get(("backup", wanted.get("IdempotencyToken") or ""))
            if known:
                return self.state.jobs[known]
            self.vault(wanted["BackupVaultName"])
            kind = self.kind_of(wanted["ResourceArn"])
            if wanted["ResourceArn"] not in kind.arns():
                raise ResourceNotFoundException(f"The resource {wanted['ResourceArn']} does not exist.")
            check_role(wanted["IamRoleArn"], exists=self.role_exists)
            return self.order(wanted)

    def order(self, wanted: dict[str, Any], creator: dict[str, Any] | None = None) -> BackupJob:
        """A new job, whatever becomes of it."""
        world, now = self.placed(), self.now()
        window = int(wanted.get("StartWindowMinutes") or delays.START_WINDOW / delays.MINUTE)
        if window < SHORTEST_WINDOW:
            raise InvalidParameterValueException(f"StartWindowMinutes must be at least {SHORTEST_WINDOW} minutes.")
        most = float(wanted.get("CompleteWindowMinutes") or delays.COMPLETION_WINDOW / delays.MINUTE)
        job = BackupJob(
            resource=wanted["ResourceArn"],
            resource_type=type_of(wanted["ResourceArn"]),
            vault=wanted["BackupVaultName"],
            vault_arn=self.vaults[wanted["BackupVaultName"]].backup_vault_arn,
            role=wanted["IamRoleArn"],
            account=self.account_id,
            created=now,
            start_by=now + timedelta(seconds=world.scaled(delays.MINUTE * window)),
            complete_by=now + timedelta(seconds=world.scaled(delays.MINUTE * most)),
            lifecycle=wanted.get("Lifecycle"),
            tags=dict(wanted.get("RecoveryPointTags") or {}),
            options=wanted.get("BackupOptions"),
            creator=creator,
        )
        self.state.jobs[job.identifier] = self.state.active[job.identifier] = job
        if token := wanted.get("IdempotencyToken"):
            self.state.tokens["backup", token] = job.identifier
        return job

    def job(self, identifier: str) -> BackupJob:
        """Raises `ResourceNotFoundException`."""
        try:
            return self.state.jobs[identifier]
        except KeyError:
            raise ResourceNotFoundException(f"Backup job {identifier} does not exist.") from None

    def stop_backup_job(self, identifier: str) -> None:
        """Ask for a job's end. Source: StopBackupJob is not supported for RDS."""
        with backend_lock:
            job = self.job(identifier)
            if job.resource_type == "RDS" or job.state not in UNDER_WAY:
                raise InvalidRequestException(f"Backup job {identifier} cannot be stopped.")
            job.state = "ABORTING"

    # Recovery points and restores

    def point(self, arn: str, vault: str | None = None) -> RecoveryPoint:
        """A recovery point, in that vault where one is named.

        Raises:
            ResourceNotFoundException: there is none.
        """
        if vault is not None:
            self.vault(vault)
        point = self.state.points.get(arn)
        if point is None or vault not in (None, point.vault):
            raise ResourceNotFoundException(f"Recovery point {arn} does not exist.")
        return point

    def check_idle(self, arn: str) -> None:
        """Raise InvalidResourceStateException while a recovery point is being restored."""
        if any(job.recovery_point == arn and job.status == "RUNNING" for job in self.state.restores.values()):
            raise InvalidResourceStateException(f"Recovery point {arn} is being restored.")

    def delete_point(self, arn: str) -> None:
        """A recovery point's end, with its data."""
        point = self.state.points.pop(arn)
        self.tagger.delete_all_tags_for_resource(arn)
        point.content.delete()

    def start_restore_job(self, wanted: dict[str, Any]) -> RestoreJob:
        """Record a restore; the members are those of StartRestoreJob."""
        with backend_lock:
            known = self.state.tokens.get(("restore", wanted.get("IdempotencyToken") or ""))
            if known:
                return self.state.restores[known]
            point = self.point(wanted["RecoveryPointArn"])
            if wanted.get("ResourceType") not in (None, point.resource_type):
                raise InvalidParameterValueException(f"The recovery point is one of {point.resource_type}.")
            check_role(wanted.get("IamRoleArn"), exists=self.role_exists)
            point.content.check(wanted["Metadata"])
            job = self.restore_of(point, dict(wanted["Metadata"]), wanted.get("IamRoleArn"))
            if wanted.get("CopySourceTagsToRestoredResource"):
                job.tags = self.list_tags(point.arn)
            if token := wanted.get("IdempotencyToken"):
                self.state.tokens["restore", token] = job.identifier
            return job

    def restore_of(self, point: RecoveryPoint, metadata: dict[str, str], role: str | None) -> RestoreJob:
        """A new restore of a recovery point."""
        job = RestoreJob(
            recovery_point=point.arn,
            recovery_point_created=point.created,
            source=point.resource,
            resource_type=point.resource_type,
            vault_arn=point.vault_arn,
            account=self.account_id,
            created=self.now(),
            metadata=metadata,
            role=role,
            size=point.content.size,
        )
        self.state.restores[job.identifier] = job
        return job

    def restore(self, identifier: str) -> RestoreJob:
        """Raises `ResourceNotFoundException`."""
        try:
            return self.state.restores[identifier]
        except KeyError:
            raise ResourceNotFoundException(f"Restore job {identifier} does not exist.") from None

    # What all need

    def placed(self) -> World:
        """The world that acts here.

        Raises:
            NotImplementedError: the control loop acts in another Region.
        """
        if self.world is None:
            raise NotImplementedError(f"AWS Backup in {self.region_name}")
        return self.world

    def now(self) -> datetime:
        """The time to the millisecond, which is what AWS Backup keeps."""
        now = self.placed().now()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def kind_of(self, arn: str) -> Kind:
        """Raises `InvalidParameterValueException` for what cannot be backed up."""
        self.placed()
        return self.kinds[type_of(arn)]

    def role_exists(self, arn: str) -> bool:
        """Whether there is such a role, and it trusts AWS Backup."""
        roles: Iterable[Any] = list(iam_backends[self.account_id]["aws"].roles.values())
        return any(role.arn == arn and PRINCIPAL in str(role.assume_role_policy_document) for role in roles)
