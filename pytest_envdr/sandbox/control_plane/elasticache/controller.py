"""Steps the Redis behind each cluster, and says of the cluster what ElastiCache would say."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pytest_envdr.sandbox.control_plane.extension import backend_lock
from pytest_envdr.sandbox.data_plane.redis import Redis
from pytest_envdr.sandbox.data_plane.watch import Condition, Watch

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from moto.elasticache.models import CacheCluster

    from pytest_envdr.sandbox.control_plane.elasticache.backend import SandboxElastiCache
    from pytest_envdr.sandbox.world import World

THREADS = 8
HANG_SECONDS = 30.0
"""AWS seconds without an answer after which ElastiCache replaces a node."""
PATIENCE = 3.0
"""... but never fewer wall seconds than these, which a busy machine may well take."""


class Node:
    """A cluster's only node."""

    def __init__(self, world: World, cluster_id: str, address: str, pool: Executor) -> None:
        self.address = address
        self.server = Redis(world.directory / "elasticache" / cluster_id, address=address)
        self.watch = Watch(self.server, pool, patience=max(world.scaled(HANG_SECONDS), PATIENCE))

    def close(self) -> None:
        """End the server. Idempotent."""
        self.server.stop()
        shutil.rmtree(self.server.directory, ignore_errors=True)


class Controller:
    """The nodes of one account's clusters in one Region, by cluster id."""

    def __init__(self, world: World, backend: SandboxElastiCache) -> None:
        self._world = world
        self._backend = backend
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="elasticache")
        self._nodes: dict[str, Node] = {}

    def step(self) -> None:
        """Bring each server a step closer to what is wanted of it."""
        with backend_lock:
            clusters = dict(self._backend.cache_clusters)
            addresses = dict(self._backend.addresses)
        for cluster_id in list(self._nodes):
            if self._nodes[cluster_id].address != addresses.get(cluster_id):
                self._nodes.pop(cluster_id).close()
        for cluster_id, cluster in clusters.items():
            if cluster_id not in self._nodes:
                self._nodes[cluster_id] = Node(self._world, cluster_id, addresses[cluster_id], self._pool)
            self._step(cluster, self._nodes[cluster_id].watch)
        with backend_lock:
            self._tell_groups()

    def close(self) -> None:
        """End all servers."""
        for node in self._nodes.values():
            node.close()
        self._nodes.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def node(self, cluster_id: str) -> Node:
        """The node of a cluster. Raises KeyError."""
        return self._nodes[cluster_id]

    def _step(self, cluster: CacheCluster, watch: Watch) -> None:
        if cluster.cache_cluster_status == "deleting":
            watch.down()
        else:
            watch.up()
        watch.step()
        with backend_lock:
            self._tell(cluster, watch.condition)

    def _tell(self, cluster: CacheCluster, condition: Condition) -> None:
        """From how the server is to the status."""
        if cluster.cache_cluster_status == "deleting":
            if condition is Condition.DOWN:
                self._forget(cluster.cache_cluster_id)
        elif condition is Condition.UP:
            cluster.cache_cluster_status = "available"
            self._backend.show_node(cluster, status="available")
        elif cluster.cache_cluster_status == "available":
            # It died, or hung and was killed: the node is replaced.
            cluster.cache_cluster_status = "rebooting cluster nodes"
            self._backend.show_node(cluster, status="rebooting")

    def _forget(self, cluster_id: str) -> None:
        del self._backend.cache_clusters[cluster_id]
        del self._backend.addresses[cluster_id]

    def _tell_groups(self) -> None:
        """A group is as its only member is."""
        for group_id, group in list(self._backend.replication_groups.items()):
            members = [self._backend.cache_clusters.get(member) for member in group.member_clusters]
            if group.status == "deleting":
                if not any(members):
                    del self._backend.replication_groups[group_id]
                continue
            up = all(member and member.cache_cluster_status == "available" for member in members)
            if up or group.status == "available":
                group.status = "available" if up else "modifying"
                for shard in group.node_groups:
                    shard["status"] = group.status
