"""ECR: the account's registries. Each image in them is a directory that tasks run from (`sandbox/images.py`).

moto keeps repositories, tags and manifests, and the policies. `backend` moves tags and deletes as AWS does; `registry`
is where images are pushed to and pulled from, which on AWS is Docker's own protocol. `replication` copies what is
pushed to other Regions.

Not here, answered 501: the upload of layers. An image comes from a build.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from moto.ecr.models import ecr_backends

from pytest_envdr.sandbox.control_plane.ecr.backend import SandboxEcr
from pytest_envdr.sandbox.control_plane.ecr.registry import EcrRegistry
from pytest_envdr.sandbox.control_plane.ecr.replication import EcrController
from pytest_envdr.sandbox.control_plane.ecr.responses import EcrResponses
from pytest_envdr.sandbox.control_plane.extension import extend, on_each_path
from pytest_envdr.sandbox.fidelity import SIMULATED, Fidelity

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_loop import Controller
    from pytest_envdr.sandbox.world import World

FIDELITY: dict[str, Fidelity] = {
    # What can be pulled is what stands here, but the lists are ours: nothing that could be frozen stands behind them.
    "BatchDeleteImage": SIMULATED,
    "BatchGetImage": SIMULATED,
    "DescribeImageReplicationStatus": SIMULATED,
    "DescribeImages": SIMULATED,
    "ListImages": SIMULATED,
    "PutImage": SIMULATED,
    "PutReplicationConfiguration": SIMULATED,
}


def install(world: World) -> Controller:
    """Put our backend in moto's place, and have the world's images pushed to it and pulled from it."""
    extend("ecr", SandboxEcr)
    on_each_path("ecr", EcrResponses)
    world.images.attach(EcrRegistry(world.account))
    backend = cast("SandboxEcr", ecr_backends[world.account][world.region])
    backend.world = world
    return EcrController(world, backend)
