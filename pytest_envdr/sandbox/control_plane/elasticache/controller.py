"""Steps the Redis behind each cluster, and says of clusters and groups what ElastiCache would say."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_envdr.sandbox.control_plane.elasticache import events, groups, parameters
from pytest_envdr.sandbox.control_plane.elasticache.backend import NODE, REBOOTING
from pytest_envdr.sandbox.control_plane.elasticache.node import Node, Settings
from pytest_envdr.sandbox.control_plane.elasticache.roles import Roles
from pytest_envdr.sandbox.control_plane.extension import backend_lock
from pytest_envdr.sandbox.data_plane.redis import PORT
from pytest_envdr.sandbox.data_plane.watch import Condition

if TYPE_CHECKING:
    from moto.elasticache.models import CacheCluster, ReplicationGroup

    from pytest_envdr.sandbox.control_plane.elasticache.backend import SandboxElastiCache
    from pytest_envdr.sandbox.control_plane.elasticache.roles import Shard
    from pytest_envdr.sandbox.world import World

THREADS = 8
HANG_SECONDS = 30.0
"""AWS seconds without an answer after which ElastiCache replaces a node."""
PATIENCE = 3.0
"""... but never fewer wall seconds than these, which a busy machine may well take."""


@dataclass(frozen=True)
class Seen:
    """What is wanted, read under the lock: clusters, addresses, groups with their shards, and reboots asked for."""

    clusters: dict[str, CacheCluster]
    addresses: dict[str, str]
    groups: dict[str, ReplicationGroup]
    shards: dict[str, Shard]
    reboots: set[str]


class Controller:
    """The nodes of one account's clusters in one Region, by cluster id."""

    def __init__(self, world: World, backend: SandboxElastiCache) -> None:
        self._world = world
        self._backend = backend
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="elasticache")
        self._nodes: dict[str, Node] = {}
        self._roles: dict[str, Roles] = {}
        self._lost: set[str] = set()

    def step(self) -> None:
        """Bring each server a step closer to what is wanted of it."""
        with backend_lock:
            seen = self._see()
        self._follow(seen)
        for cluster_id in seen.reboots & self._nodes.keys():
            self._nodes[cluster_id].reboot()
        for group_id, roles in self._roles.items():
            if seen.groups[group_id].status != "deleting":
                self._step_roles(roles, seen.groups[group_id])
        for cluster_id, cluster in seen.clusters.items():
            self._step(cluster_id, cluster)
        with backend_lock:
            self._tell_groups()

    def freeze(self) -> None:
        """Stop all servers in their tracks."""
        for node in self._nodes.values():
            node.server.freeze()

    def thaw(self) -> None:
        """Let them run on."""
        for node in self._nodes.values():
            node.server.thaw()
            node.watch.forgive()

    def close(self) -> None:
        """End all servers."""
        for node in self._nodes.values():
            node.close()
        self._nodes.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def node(self, cluster_id: str) -> Node:
        """The node of a cluster. Raises KeyError."""
        return self._nodes[cluster_id]

    def _see(self) -> Seen:
        backend = self._backend
        reboots, backend.reboots = backend.reboots, set()
        return Seen(
            dict(backend.cache_clusters),
            dict(backend.addresses),
            dict(backend.replication_groups),
            dict(backend.shards),
            reboots,
        )

    def _follow(self, seen: Seen) -> None:
        """End the nodes and forget the groups that are not there any more, and make those that are new."""
        for cluster_id in list(self._nodes):
            if self._nodes[cluster_id].address != seen.addresses.get(cluster_id):
                self._nodes.pop(cluster_id).close()
        for cluster_id in seen.clusters.keys() - self._nodes.keys():
            directory = self._world.directory / "elasticache" / cluster_id
            patience = max(self._world.scaled(HANG_SECONDS), PATIENCE)
            self._nodes[cluster_id] = Node(directory, seen.addresses[cluster_id], self._pool, patience=patience)
        for group_id in list(self._roles):
            if self._roles[group_id].shard is not seen.shards.get(group_id):
                del self._roles[group_id]
        for group_id in seen.shards.keys() - self._roles.keys():
            self._roles[group_id] = Roles(self._world, seen.shards[group_id])

    def _step_roles(self, roles: Roles, group: ReplicationGroup) -> None:
        members = {name: self._nodes[name] for name in group.member_clusters if name in self._nodes}
        told = roles.step(members, automatic=group.automatic_failover == groups.ENABLED)
        with backend_lock:
            self._backend.events += told

    def _step(self, cluster_id: str, cluster: CacheCluster) -> None:
        node, roles = self._nodes[cluster_id], self._roles.get(cluster.replication_group_id or "")
        held = cluster.cache_cluster_status == "deleting" or bool(roles and roles.held(cluster_id))
        with backend_lock:
            wanted = self._wanted(cluster, node, roles)
        node.step(wanted, held=held)
        with backend_lock:
            self._tell(cluster, node, held=held)
            self._backend.show_parameters(cluster, _in_effect(node, wanted))

    def _wanted(self, cluster: CacheCluster, node: Node, roles: Roles | None) -> Settings:
        group = self._backend.parameter_groups.find(cluster.cache_parameter_group_name)
        name = cluster.cache_cluster_id
        return Settings(
            addresses=(node.address, *(roles.endpoints(name) if roles else ())),
            master=roles.master(name) if roles else None,
            parameters=parameters.values(group, needs_reboot=False),
            at_start=parameters.values(group, needs_reboot=True),
        )

    def _tell(self, cluster: CacheCluster, node: Node, *, held: bool) -> None:
        """From how the server is to the status."""
        name, status = cluster.cache_cluster_id, cluster.cache_cluster_status
        if status == "deleting":
            if node.watch.condition is Condition.DOWN:
                self._backend.forget_node(name)
                self._lost.discard(name)
        elif node.up and name not in self._backend.reboots:
            if status != "available" and (node.synced or not cluster.replication_group_id):
                self._tell_available(cluster, node)
        elif status in {"available", REBOOTING}:
            self._tell_unavailable(cluster, node, held=held)

    def _tell_available(self, cluster: CacheCluster, node: Node) -> None:
        name, first = cluster.cache_cluster_id, cluster.cache_cluster_status == "creating"
        message = events.RESTARTED if node.rebooting else events.RECOVERED
        self._backend.tell(name, events.CLUSTER, events.CLUSTER_CREATED if first else message.format(node=NODE))
        cluster.cache_cluster_status, node.rebooting = "available", False
        self._lost.discard(name)
        self._backend.show_node(cluster, status="available")

    def _tell_unavailable(self, cluster: CacheCluster, node: Node, *, held: bool) -> None:
        """It reboots; or it died, or hung and was killed: then the node is replaced, a primary once another is one."""
        name, noticed = cluster.cache_cluster_id, cluster.cache_cluster_status == REBOOTING
        cluster.cache_cluster_status = REBOOTING
        self._backend.show_node(cluster, status="rebooting")
        if not noticed or held or name in self._lost:
            return
        self._lost.add(name)
        message = events.SHUT_DOWN if node.rebooting else events.RECOVERING
        self._backend.tell(name, events.CLUSTER, message.format(node=NODE))

    def _tell_groups(self) -> None:
        """A group is as its members and their roles are."""
        for group_id, group in list(self._backend.replication_groups.items()):
            members = [self._backend.cache_clusters.get(member) for member in group.member_clusters]
            if group.status == "deleting":
                if not any(members):
                    del self._backend.replication_groups[group_id]
                    del self._backend.shards[group_id]
                continue
            shard = self._backend.shards[group_id]
            # The reader endpoint follows a replica that synchronises again while the group stays available.
            settled = self._settled(group_id, reader=group.status == "creating")
            changing = shard.busy or shard.tested or shard.promoted or not settled
            up = all(member and member.cache_cluster_status == "available" for member in members) and not changing
            if up and group.status == "creating":
                self._backend.tell(group_id, events.GROUP, events.GROUP_CREATED.format(group=group_id))
            if up or group.status == "available":
                group.status = "available" if up else "modifying"
            groups.show(self._backend, group, PORT, NODE)

    def _settled(self, group_id: str, *, reader: bool) -> bool:
        roles = self._roles.get(group_id)
        return roles is not None and roles.settled(reader=reader)


def _in_effect(node: Node, wanted: Settings) -> str:
    settings = node.settings
    if settings is None or (settings.parameters, settings.at_start) == (wanted.parameters, wanted.at_start):
        return parameters.IN_SYNC
    return parameters.PENDING_REBOOT
