"""The API's face: parameters in, descriptions out. Each request is answered under the lock, so it sees one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from moto.backup.models import backup_backends
from moto.backup.responses import BackupResponse
from moto.core.responses import ActionResult, EmptyResult

from pytest_envdr.sandbox.control_plane.backup.errors import InvalidParameterValueException, InvalidRequestException
from pytest_envdr.sandbox.control_plane.backup.jobs import KEPT
from pytest_envdr.sandbox.control_plane.backup.notifications import Configuration
from pytest_envdr.sandbox.control_plane.backup.paging import chosen, page
from pytest_envdr.sandbox.control_plane.extension import backend_lock

if TYPE_CHECKING:
    from moto.backup.models import Vault

    from pytest_envdr.sandbox.control_plane.backup.backend import SandboxBackup
    from pytest_envdr.sandbox.control_plane.backup.recovery_points import RecoveryPoint

BY_ACCOUNT, BY_RESOURCE, BY_TYPE = "ByAccountId", "ByResourceArn", "ByResourceType"
CREATED = {"after": {"ByCreatedAfter": "CreationDate"}, "before": {"ByCreatedBefore": "CreationDate"}}
ENDED = {
    "after": CREATED["after"] | {"ByCompleteAfter": "CompletionDate"},
    "before": CREATED["before"] | {"ByCompleteBefore": "CompletionDate"},
}
STATUSES = frozenset({"SUCCESSFUL", "FAILED", "TIMED_OUT", "VALIDATING"})


class BackupResponses(BackupResponse):
    """moto's responses, and those that our state answers."""

    def __init__(self) -> None:
        super().__init__()
        self.automated_parameter_parsing = True

    @property
    def sandbox(self) -> SandboxBackup:
        """The backend of the caller's account and Region."""
        return cast("SandboxBackup", backup_backends[self.current_account][self.region])

    def call_action(self) -> Any:
        """Answer, alone."""
        with backend_lock:
            return super().call_action()

    # moto's own, which look for parameters by their names in the request

    def get_backup_plan(self) -> ActionResult:  # type: ignore[override]
        given = self._given()
        plan = self.sandbox.get_backup_plan(given["BackupPlanId"], given.get("VersionId"))
        return ActionResult(plan.to_get_dict())

    def list_backup_plans(self) -> ActionResult:  # type: ignore[override]
        given = self._given()
        plans = self.sandbox.list_backup_plans(given.get("IncludeDeleted"))
        return ActionResult(page([plan.to_list_dict() for plan in plans], "BackupPlansList", given))

    def describe_report_plan(self) -> ActionResult:
        return ActionResult({"ReportPlan": self.sandbox.describe_report_plan(self._given()["ReportPlanName"])})

    # Plans and selections

    def update_backup_plan(self) -> ActionResult:
        given = self._given()
        return ActionResult(self.sandbox.update_backup_plan(given["BackupPlanId"], given["BackupPlan"]).to_dict())

    def create_backup_selection(self) -> ActionResult:
        given = self._given()
        made = self.sandbox.select(given["BackupPlanId"], given["BackupSelection"], given.get("CreatorRequestId"))
        return ActionResult(made.listed())

    def get_backup_selection(self) -> ActionResult:
        given = self._given()
        selection = self.sandbox.selection(given["BackupPlanId"], given["SelectionId"])
        return ActionResult({**selection.listed(), "BackupSelection": selection.document})

    def list_backup_selections(self) -> ActionResult:
        given = self._given()
        self.sandbox.plan(given["BackupPlanId"])
        rows = [one.listed() for one in self.sandbox.state.selections.get(given["BackupPlanId"], {}).values()]
        return ActionResult(page(rows, "BackupSelectionsList", given))

    def delete_backup_selection(self) -> EmptyResult:
        given = self._given()
        self.sandbox.selection(given["BackupPlanId"], given["SelectionId"])
        del self.sandbox.state.selections[given["BackupPlanId"]][given["SelectionId"]]
        return EmptyResult()

    # Vaults

    def describe_backup_vault(self) -> ActionResult:
        return ActionResult({"VaultType": "BACKUP_VAULT", **self._vault().to_list_dict()})

    def put_backup_vault_notifications(self) -> EmptyResult:
        given = self._given()
        self.sandbox.vault(given["BackupVaultName"])
        made = Configuration(given["SNSTopicArn"], tuple(given["BackupVaultEvents"]))
        self.sandbox.state.notifications[given["BackupVaultName"]] = made
        return EmptyResult()

    def get_backup_vault_notifications(self) -> ActionResult:
        vault = self._vault()
        known = self.sandbox.state.notifications.get(vault.backup_vault_name)
        answer = {"BackupVaultName": vault.backup_vault_name, "BackupVaultArn": vault.backup_vault_arn}
        told = {"SNSTopicArn": known.topic, "BackupVaultEvents": list(known.events)} if known else {}
        return ActionResult(answer | told)

    def delete_backup_vault_notifications(self) -> EmptyResult:
        vault = self._vault()
        self.sandbox.state.notifications.pop(vault.backup_vault_name, None)
        return EmptyResult()

    # Backup jobs

    def start_backup_job(self) -> ActionResult:
        job = self.sandbox.start_backup_job(self._given())
        return ActionResult({"BackupJobId": job.identifier, "CreationDate": job.created, "IsParent": False})

    def describe_backup_job(self) -> ActionResult:
        return ActionResult(self.sandbox.job(self._given()["BackupJobId"]).shown())

    def stop_backup_job(self) -> EmptyResult:
        self.sandbox.stop_backup_job(self._given()["BackupJobId"])
        return EmptyResult()

    def list_backup_jobs(self) -> ActionResult:
        """Newest first, of the last 30 days."""
        given = self._given()
        oldest = self.sandbox.placed().now() - KEPT
        arn, state = given.get(BY_RESOURCE), given.get("ByState")
        rows = [
            job.shown()
            for job in self.sandbox.state.jobs.values()
            if job.created >= oldest and arn in (None, job.resource) and state in (None, job.state)
        ]
        equal = {
            BY_TYPE: "ResourceType",
            BY_ACCOUNT: "AccountId",
            "ByBackupVaultName": "BackupVaultName",
            "ByParentJobId": "ParentJobId",
        }
        if given.get("ByMessageCategory") not in {"*", "ANY", "AGGREGATE_ALL"}:
            equal["ByMessageCategory"] = "MessageCategory"
        return self._list(rows, "BackupJobs", given, equal=equal, **ENDED)

    # Recovery points

    def describe_recovery_point(self) -> ActionResult:
        return ActionResult(self._point().shown())

    def get_recovery_point_restore_metadata(self) -> ActionResult:
        point = self._point()
        return ActionResult(
            {
                "BackupVaultArn": point.vault_arn,
                "RecoveryPointArn": point.arn,
                "RestoreMetadata": point.content.metadata(),
                "ResourceType": point.resource_type,
            }
        )

    def delete_recovery_point(self) -> EmptyResult:
        arn = self._point().arn
        self.sandbox.check_idle(arn)
        self.sandbox.delete_point(arn)
        return EmptyResult()

    def list_recovery_points_by_backup_vault(self) -> ActionResult:
        given = self._given()
        self.sandbox.vault(given["BackupVaultName"])
        points = [p for p in self.sandbox.state.points.values() if p.vault == given["BackupVaultName"]]
        plan = given.get("ByBackupPlanId")
        rows = [p.shown() for p in points if plan in (None, (p.creator or {}).get("BackupPlanId"))]
        equal = {BY_RESOURCE: "ResourceArn", BY_TYPE: "ResourceType"}
        return self._list(rows, "RecoveryPoints", given, equal=equal, **CREATED)

    def list_recovery_points_by_resource(self) -> ActionResult:
        given = self._given()
        rows = [p.shown() for p in self.sandbox.state.points.values() if p.resource == given["ResourceArn"]]
        return self._list(rows, "RecoveryPoints", given, equal={}, after={}, before={})

    def list_protected_resources(self) -> ActionResult:
        newest = {p.resource: p for p in sorted(self.sandbox.state.points.values(), key=lambda p: p.created)}
        return ActionResult(page([_protected(point) for point in newest.values()], "Results", self._given()))

    # Restore jobs

    def start_restore_job(self) -> ActionResult:
        return ActionResult({"RestoreJobId": self.sandbox.start_restore_job(self._given()).identifier})

    def describe_restore_job(self) -> ActionResult:
        return ActionResult(self.sandbox.restore(self._given()["RestoreJobId"]).shown())

    def get_restore_job_metadata(self) -> ActionResult:
        job = self.sandbox.restore(self._given()["RestoreJobId"])
        return ActionResult({"RestoreJobId": job.identifier, "Metadata": job.metadata})

    def list_restore_jobs(self) -> ActionResult:
        """Newest first, of the last 30 days."""
        given = self._given()
        oldest = self.sandbox.placed().now() - KEPT
        plan = given.get("ByRestoreTestingPlanArn")
        jobs = [job for job in self.sandbox.state.restores.values() if job.created >= oldest]
        rows = [job.shown() for job in jobs if plan in (None, job.testing_plan)]
        equal = {BY_ACCOUNT: "AccountId", BY_TYPE: "ResourceType", "ByStatus": "Status"}
        return self._list(rows, "RestoreJobs", given, equal=equal, **ENDED)

    def list_restore_jobs_by_protected_resource(self) -> ActionResult:
        given = self._given()
        rows = [job.shown() for job in self.sandbox.state.restores.values() if job.source == given["ResourceArn"]]
        created = "RecoveryPointCreationDate"
        return self._list(
            rows,
            "RestoreJobs",
            given,
            equal={"ByStatus": "Status"},
            after={"ByRecoveryPointCreationDateAfter": created},
            before={"ByRecoveryPointCreationDateBefore": created},
        )

    def put_restore_validation_result(self) -> EmptyResult:
        given = self._given()
        job, status = self.sandbox.restore(given["RestoreJobId"]), given["ValidationStatus"]
        if status not in STATUSES:
            raise InvalidParameterValueException(f"Invalid ValidationStatus: {status}")
        if job.status != "COMPLETED" or job.deletion is not None:
            raise InvalidRequestException(f"Restore job {job.identifier} is not COMPLETED, or what it made is deleted.")
        job.validation, job.validation_message = status, given.get("ValidationStatusMessage")
        return EmptyResult()

    # What all need

    def _given(self) -> dict[str, Any]:
        return {name: value for name, value in self._get_params().items() if value is not None}

    def _vault(self) -> Vault:
        return self.sandbox.vault(self._given()["BackupVaultName"])

    def _point(self) -> RecoveryPoint:
        given = self._given()
        return self.sandbox.point(given["RecoveryPointArn"], given["BackupVaultName"])

    @staticmethod
    def _list(rows: list[dict[str, Any]], key: str, given: dict[str, Any], **filters: dict[str, str]) -> ActionResult:
        newest_first = sorted(chosen(rows, given, **filters), key=lambda row: row["CreationDate"], reverse=True)
        return ActionResult(page(newest_first, key, given))


def _protected(point: RecoveryPoint) -> dict[str, Any]:
    return {
        "ResourceArn": point.resource,
        "ResourceType": point.resource_type,
        "ResourceName": point.resource.rsplit(":", 1)[-1],
        "LastBackupTime": point.created,
        "LastBackupVaultArn": point.vault_arn,
        "LastRecoveryPointArn": point.arn,
    }
