"""RDS: each MariaDB instance is a real server, and its status is how that server is.

Requests change `backend` (moto's objects, each an `Instance`); the `controller` steps the `Machine` behind each
instance, and writes down what RDS would say of it: status, endpoint, events.

Backups are real: a snapshot is a copy of the frozen server's files, the archive is its binary logs, and a restored
instance is a server of its own over them. So is what another Region gets of them: `replication` has the rules, the
`replicator` copies.

Not here, answered 501: replicas, clusters, other engines, managed master passwords.

In this process, AWS Backup works with the backend itself, under `backend_lock` (all arguments in snake case):

    snapshot = backend.create_db_snapshot(instance, "awsbackup:job-...", snapshot_type="awsbackup", tags=[...])
    snapshot.status                     # creating -> available | failed
    snapshot.percent_progress           # 0 to 100
    snapshot.snapshot_database_time     # the instant that it holds; None until it was taken
    backend.describe_db_snapshots(db_snapshot_identifier=..., snapshot_type="awsbackup")
    backend.delete_db_snapshot(identifier)
    instance = backend.restore_db_instance_from_db_snapshot(identifier, {"db_instance_identifier": ..., ...})
    instance.status                     # creating -> available | failed | incompatible-restore ...

What AWS refuses is raised as moto's `RDSClientError`. A snapshot of AWS Backup's waits while another is being taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from moto.rds.models import rds_backends

from pytest_envdr.sandbox.control_plane.extension import extend, on_each_path
from pytest_envdr.sandbox.control_plane.rds import events
from pytest_envdr.sandbox.control_plane.rds.backend import SandboxRDS
from pytest_envdr.sandbox.control_plane.rds.controller import Controller
from pytest_envdr.sandbox.control_plane.rds.responses import SandboxRDSResponse
from pytest_envdr.sandbox.data_plane.mariadb import version
from pytest_envdr.sandbox.fidelity import ACTED, SIMULATED, Fidelity

if TYPE_CHECKING:
    from pytest_envdr.sandbox.world import World

FIDELITY: dict[str, Fidelity] = {
    # A server that is frozen or gone is not `available`, and what happened to it is among the events.
    "DescribeDBInstances": ACTED,
    "DescribeEvents": ACTED,
    # A snapshot is not available, and no point in time restorable, before its files are there.
    "DescribeDBSnapshots": ACTED,
    "DescribeDBInstanceAutomatedBackups": ACTED,
    # Their answers only say that the intent was recorded.
    **dict.fromkeys(
        (
            "CreateDBInstance",
            "ModifyDBInstance",
            "RebootDBInstance",
            "StartDBInstance",
            "StopDBInstance",
            "DeleteDBInstance",
            "CreateDBSnapshot",
            "CopyDBSnapshot",
            "DeleteDBSnapshot",
            "RestoreDBInstanceFromDBSnapshot",
            "RestoreDBInstanceToPointInTime",
            "DeleteDBInstanceAutomatedBackup",
            "StartDBInstanceAutomatedBackupsReplication",
            "StopDBInstanceAutomatedBackupsReplication",
            "DescribeAccountAttributes",
            "DescribeDBEngineVersions",
            "DescribeOrderableDBInstanceOptions",
            "CreateDBParameterGroup",
            "CopyDBParameterGroup",
            "ModifyDBParameterGroup",
            "ResetDBParameterGroup",
            "DeleteDBParameterGroup",
            "DescribeDBParameters",
        ),
        SIMULATED,
    ),
}


def install(world: World) -> Controller:
    """Put our backend in moto's place, before the first request.

    What a new instance holds is in `world.contents`, by its identifier.

    Raises:
        MissingProgram: MariaDB is not installed.
    """
    version()
    events.extend_catalogue()
    extend("rds", SandboxRDS)
    on_each_path("rds", SandboxRDSResponse)
    backend = cast("SandboxRDS", rds_backends[world.account][world.region])
    backend.world = world
    return Controller(world, backend)
