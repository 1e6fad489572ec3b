"""RDS: each MariaDB instance is a real server, and its status is how that server is.

Requests change `backend` (moto's objects, each an `Instance`); the `controller` steps the `Machine` behind each
instance, and writes down what RDS would say of it: status, endpoint, events.

Not here yet, answered 501: snapshots, restores, replicas, clusters, other engines, managed master passwords.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from moto.rds.models import rds_backends

from pytest_envdr.sandbox.control_plane.extension import extend
from pytest_envdr.sandbox.control_plane.rds import events
from pytest_envdr.sandbox.control_plane.rds.backend import SandboxRDS
from pytest_envdr.sandbox.control_plane.rds.controller import Controller
from pytest_envdr.sandbox.data_plane.mariadb import version
from pytest_envdr.sandbox.fidelity import ACTED, SIMULATED, Fidelity

if TYPE_CHECKING:
    from pytest_envdr.sandbox.world import World

FIDELITY: dict[str, Fidelity] = {
    # A server that is frozen or gone is not `available`, and what happened to it is among the events.
    "DescribeDBInstances": ACTED,
    "DescribeEvents": ACTED,
    # Their answers only say that the intent was recorded.
    **dict.fromkeys(
        (
            "CreateDBInstance",
            "ModifyDBInstance",
            "RebootDBInstance",
            "StartDBInstance",
            "StopDBInstance",
            "DeleteDBInstance",
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
    backend = cast("SandboxRDS", rds_backends[world.account][world.region])
    backend.world = world
    return Controller(world, backend)
