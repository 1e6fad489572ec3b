"""AWS Backup: jobs that really copy, recovery points that hold data, restores that write them back.

Where to look: `responses` and `backend` take requests and record what is wanted. `controller` is the control loop's
step: `plan_runs` makes the jobs of a plan's schedule, `backup_runs` and `restore_runs` take each job through its life,
`copy_runs` the `copy_jobs` to another vault or Region, `testing_runs` the tests of `restore_testing`. `history` records
what was before the sandbox.
`resources` says what a kind of resource must be able to do: `s3` (with `s3_content` and `s3_restore`) and `rds` (with
`rds_metadata`).
`delays` holds every AWS-side time.

For the seed and for tests, in process: `history.record_daily`, `history.run_plan`. What makes a job of a running
sandbox go wrong is what does in an account: a bucket without versioning or with archived objects, a resource or a role
that is deleted before the job begins, an instance that RDS cannot copy through the start window.

Not here, answered 501: continuous backups (and with them RestoreTime), copies to other accounts, legal holds, access
points, frameworks. Nothing is sent to EventBridge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from moto.backup.models import backup_backends

from pytest_envdr.sandbox.control_plane.backup.backend import SandboxBackup
from pytest_envdr.sandbox.control_plane.backup.background import Background
from pytest_envdr.sandbox.control_plane.backup.controller import BackupController
from pytest_envdr.sandbox.control_plane.backup.rds import Databases
from pytest_envdr.sandbox.control_plane.backup.s3 import Buckets
from pytest_envdr.sandbox.control_plane.backup.testing_responses import AllBackupResponses
from pytest_envdr.sandbox.control_plane.extension import every_path, extend
from pytest_envdr.sandbox.fidelity import ACTED, SIMULATED, Fidelity

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_loop import Controller
    from pytest_envdr.sandbox.world import World

__all__ = ["FIDELITY", "install"]

FIDELITY: dict[str, Fidelity] = {
    # A job is COMPLETED only after its data were copied, or written back.
    "DescribeBackupJob": ACTED,
    "DescribeRestoreJob": ACTED,
    # Their answers only say that the intent was recorded, or what our state machine keeps: among the jobs are records
    # of what was before the sandbox.
    **dict.fromkeys(
        (
            "CreateBackupPlan",
            "CreateBackupSelection",
            "CreateRestoreTestingPlan",
            "CreateRestoreTestingSelection",
            "DeleteBackupPlan",
            "DeleteBackupSelection",
            "DeleteBackupVault",
            "DeleteBackupVaultNotifications",
            "DeleteRecoveryPoint",
            "DeleteRestoreTestingPlan",
            "DeleteRestoreTestingSelection",
            "DescribeBackupVault",
            "DescribeCopyJob",
            "DescribeRecoveryPoint",
            "GetBackupSelection",
            "GetBackupVaultNotifications",
            "GetRecoveryPointRestoreMetadata",
            "GetRestoreJobMetadata",
            "GetRestoreTestingInferredMetadata",
            "GetRestoreTestingPlan",
            "GetRestoreTestingSelection",
            "ListBackupJobs",
            "ListBackupSelections",
            "ListBackupVaults",
            "ListCopyJobs",
            "ListProtectedResources",
            "ListRecoveryPointsByBackupVault",
            "ListRecoveryPointsByResource",
            "ListRestoreJobs",
            "ListRestoreJobsByProtectedResource",
            "ListRestoreTestingPlans",
            "ListRestoreTestingSelections",
            "PutBackupVaultNotifications",
            "PutRestoreValidationResult",
            "StartBackupJob",
            "StartCopyJob",
            "StartRestoreJob",
            "StopBackupJob",
            "UpdateBackupPlan",
            "UpdateRestoreTestingPlan",
            "UpdateRestoreTestingSelection",
        ),
        SIMULATED,
    ),
}


def install(world: World) -> Controller:
    """Put our backend and responses in moto's place, before the first request."""
    extend("backup", SandboxBackup)
    every_path("backup", AllBackupResponses)
    background = Background()
    backend = cast("SandboxBackup", backup_backends[world.account][world.region])
    backend.world = world
    backend.kinds = {"S3": Buckets(world, background), "RDS": Databases(world)}
    return BackupController(world, backend, background)
