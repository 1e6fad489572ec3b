"""Copy jobs in the API."""

from __future__ import annotations

from moto.core.responses import ActionResult

from pytest_envdr.sandbox.control_plane.backup import copy_jobs
from pytest_envdr.sandbox.control_plane.backup.errors import ResourceNotFoundException
from pytest_envdr.sandbox.control_plane.backup.jobs import KEPT
from pytest_envdr.sandbox.control_plane.backup.responses import BY_ACCOUNT, BY_RESOURCE, BY_TYPE, ENDED, BackupResponses


class CopyResponses(BackupResponses):
    """The operations are methods under moto's names for them."""

    def start_copy_job(self) -> ActionResult:
        job = copy_jobs.start(self.sandbox, self._given())
        return ActionResult({"CopyJobId": job.identifier, "CreationDate": job.created, "IsParent": False})

    def describe_copy_job(self) -> ActionResult:
        identifier = self._given()["CopyJobId"]
        job = self.sandbox.state.copies.get(identifier)
        if job is None:
            raise ResourceNotFoundException(f"Copy job {identifier} does not exist.")
        return ActionResult({"CopyJob": job.shown()})

    def list_copy_jobs(self) -> ActionResult:
        """Newest first, of the last 30 days."""
        given = self._given()
        oldest = self.sandbox.placed().now() - KEPT
        rows = [job.shown() for job in self.sandbox.state.copies.values() if job.created >= oldest]
        equal = {
            BY_ACCOUNT: "AccountId",
            BY_RESOURCE: "ResourceArn",
            BY_TYPE: "ResourceType",
            "ByState": "State",
            "ByDestinationVaultArn": "DestinationBackupVaultArn",
            "BySourceRecoveryPointArn": "SourceRecoveryPointArn",
        }
        if given.get("ByMessageCategory") not in {"*", "ANY", "AGGREGATE_ALL"}:
            equal["ByMessageCategory"] = "MessageCategory"
        return self._list(rows, "CopyJobs", given, equal=equal, **ENDED)
