"""ElastiCache: each cluster is a real Redis, and its status is how that Redis is.

Requests change `backend` (moto's objects); the `controller` steps the server behind each cluster. A node that dies is
replaced by an empty one, as without a backup it is on AWS, unless its parameter group has it keep an append-only file.

A replication group is one primary and up to five replicas that really replicate it; `roles` decides which is which.
Its endpoints are addresses of their own, at which the node in that role listens too. A failover loses what no replica
had, as asynchronous replication does.

Not here yet, answered 501: Memcached, sharding, adding replicas to a group that is there, snapshots.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from moto.elasticache.models import elasticache_backends

from pytest_envdr.sandbox.control_plane.elasticache.backend import SandboxElastiCache
from pytest_envdr.sandbox.control_plane.elasticache.controller import Controller
from pytest_envdr.sandbox.control_plane.elasticache.responses import SandboxElastiCacheResponse
from pytest_envdr.sandbox.control_plane.extension import extend, on_each_path
from pytest_envdr.sandbox.data_plane.redis import version
from pytest_envdr.sandbox.fidelity import ACTED, SIMULATED, Fidelity

if TYPE_CHECKING:
    from pytest_envdr.sandbox.world import World

FIDELITY: dict[str, Fidelity] = {
    # A Redis that is frozen or gone is not `available`.
    "DescribeCacheClusters": ACTED,
    "DescribeReplicationGroups": ACTED,
    # Their answers only say that the intent was recorded.
    **dict.fromkeys(
        (
            "CreateCacheCluster",
            "ModifyCacheCluster",
            "RebootCacheCluster",
            "DeleteCacheCluster",
            "CreateReplicationGroup",
            "ModifyReplicationGroup",
            "TestFailover",
            "DeleteReplicationGroup",
            "CreateCacheParameterGroup",
            "ModifyCacheParameterGroup",
            "ResetCacheParameterGroup",
            "DeleteCacheParameterGroup",
            "DescribeCacheParameterGroups",
            "DescribeCacheParameters",
            "DeleteCacheSubnetGroup",
            "DescribeEvents",
        ),
        SIMULATED,
    ),
}


def install(world: World) -> Controller:
    """Put our backend in moto's place, before the first request.

    Raises:
        MissingProgram: Redis is not installed.
    """
    version()
    extend("elasticache", SandboxElastiCache)
    on_each_path("elasticache", SandboxElastiCacheResponse)
    backend = backend_of(world)
    backend.world = world
    return Controller(world, backend)


def backend_of(world: World) -> SandboxElastiCache:
    """What is recorded of the world's account in its Region."""
    return cast("SandboxElastiCache", elasticache_backends[world.account][world.region])
