"""moto's ElastiCache backend, recording intent."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from moto.elasticache.exceptions import InvalidParameterCombinationException, InvalidParameterValueException
from moto.elasticache.models import CacheCluster, ElastiCacheBackend, ReplicationGroup

from pytest_envdr.sandbox.control_plane.extension import backend_lock, moto_urls
from pytest_envdr.sandbox.data_plane.redis import PORT, version

if TYPE_CHECKING:
    from types import ModuleType

    from pytest_envdr.sandbox.world import World

FIRST_HOST = 100
LAST_HOST = 199
SUBNET = 4
"""The world's subnet (data-a), and the host numbers in it, that nodes get their addresses from."""
NODE = "0001"
"""The id of a cluster's only node."""


class SandboxElastiCache(ElastiCacheBackend):
    """One account's clusters in one Region. `world` is None where no control loop acts.

    Attributes:
        addresses: each cluster's node's address, by cluster id.
    """

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.world: World | None = None
        self.addresses: dict[str, str] = {}

    @property
    def _url_module(self) -> ModuleType:
        return moto_urls("elasticache")

    def reset(self) -> None:
        """moto's reset makes the object anew; the world stays, and the control loop ends what is no longer there."""
        world = self.world
        super().reset()
        self.world = world

    def create_cache_cluster(self, cache_cluster_id: str, *args: Any, **kwargs: Any) -> CacheCluster:
        """Record a cluster of one Redis node. The control loop starts it."""
        _refuse_unsupported(kwargs)
        if self.world is None:
            raise NotImplementedError(f"cache clusters in {self.region_name}")
        with backend_lock:
            address = self._free_address(self.world)
            wanted = {**kwargs, "engine": "redis", "engine_version": _engine_version(kwargs.get("engine_version"))}
            cluster: CacheCluster = super().create_cache_cluster(cache_cluster_id, *args, **wanted)
            cluster.cache_cluster_status = "creating"
            self.addresses[cache_cluster_id] = address
            return cluster

    def delete_cache_cluster(self, cache_cluster_id: str) -> CacheCluster:
        with backend_lock:
            cluster = self.cache_clusters.get(cache_cluster_id)
            if cluster and cluster.replication_group_id:
                raise InvalidParameterCombinationException(
                    f"Cluster {cache_cluster_id} is serving as primary for replication group "
                    f"{cluster.replication_group_id} and cannot be deleted."
                )
            deleted: CacheCluster = super().delete_cache_cluster(cache_cluster_id)
            return deleted

    def create_replication_group(self, replication_group_id: str, *args: Any, **kwargs: Any) -> ReplicationGroup:
        """Record a group of one node, which is a cluster of its own."""
        _refuse_more_than_one(kwargs)
        with backend_lock:
            group: ReplicationGroup = super().create_replication_group(replication_group_id, *args, **kwargs)
            group.status = "creating"
            group.member_clusters = [f"{replication_group_id}-001"]
            try:
                self._create_member(group, kwargs)
            except Exception:
                del self.replication_groups[replication_group_id]
                raise
            return group

    def delete_replication_group(self, replication_group_id: str, *args: Any, **kwargs: Any) -> ReplicationGroup:
        with backend_lock:
            group: ReplicationGroup = super().delete_replication_group(replication_group_id, *args, **kwargs)
            for member in [cluster for cluster in self.cache_clusters.values() if _member_of(cluster, group)]:
                member.cache_cluster_status = "deleting"
            return group

    def show_node(self, cluster: CacheCluster, *, status: str) -> None:
        """Write down how a cluster's node is, and where."""
        node: dict[str, Any] = {
            "CacheNodeId": NODE,
            "CacheNodeStatus": status,
            "CacheNodeCreateTime": cluster.cache_cluster_create_time,
            "ParameterGroupStatus": "in-sync",
            "CustomerAvailabilityZone": cluster.preferred_availability_zone or f"{self.region_name}a",
        }
        if status != "creating":
            node["Endpoint"] = {"Address": self.addresses[cluster.cache_cluster_id], "Port": PORT}
        cluster.cache_nodes = [node]  # type: ignore[attr-defined]

    def _create_member(self, group: ReplicationGroup, wanted: dict[str, Any]) -> None:
        member: dict[str, Any] = dict.fromkeys(inspect.signature(ElastiCacheBackend.create_cache_cluster).parameters)
        member.update({name: wanted[name] for name in member.keys() & wanted.keys()})
        member.update(replication_group_id=group.replication_group_id, num_cache_nodes=1)
        for outer in ("self", "cache_cluster_id"):
            member.pop(outer)
        self.create_cache_cluster(group.member_clusters[0], **member)
        address = self.addresses[group.member_clusters[0]]
        for shard in group.node_groups:
            shard["primary_endpoint"] = shard["reader_endpoint"] = {"address": address, "port": PORT}
            shard["node_group_members"] = [
                {
                    "cache_cluster_id": group.member_clusters[0],
                    "cache_node_id": NODE,
                    "current_role": "primary",
                    "preferred_availability_zone": f"{self.region_name}a",
                    "read_endpoint": {"address": address, "port": PORT},
                }
            ]

    def _free_address(self, world: World) -> str:
        taken = set(self.addresses.values())
        addresses = (world.address(SUBNET, host) for host in range(FIRST_HOST, LAST_HOST + 1))
        free = next((address for address in addresses if address not in taken), None)
        if free is None:
            raise InvalidParameterValueException("The quota of cache nodes would be exceeded.")
        return free


def _member_of(cluster: CacheCluster, group: ReplicationGroup) -> bool:
    return bool(getattr(cluster, "replication_group_id", None) == group.replication_group_id)


def _refuse_unsupported(wanted: dict[str, Any]) -> None:
    if (wanted.get("engine") or "redis").lower() not in {"redis", "valkey"}:
        raise NotImplementedError(f"engine {wanted.get('engine')}")
    if (wanted.get("num_cache_nodes") or 1) != 1:
        raise InvalidParameterValueException(
            "Cannot create a Redis cluster with a NumCacheNodes parameter greater than 1."
        )
    if wanted.get("snapshot_name") or wanted.get("snapshot_arns"):
        raise NotImplementedError("snapshots")
    if (wanted.get("port") or PORT) != PORT:
        raise NotImplementedError(f"another port than {PORT}")


def _refuse_more_than_one(wanted: dict[str, Any]) -> None:
    counts = ("num_cache_clusters", "num_node_groups")
    if any((wanted.get(count) or 1) != 1 for count in counts) or wanted.get("replicas_per_node_group"):
        raise NotImplementedError("replication groups of more than one node")
    if wanted.get("cluster_mode") == "enabled" or wanted.get("primary_cluster_id"):
        raise NotImplementedError("cluster mode, and groups around a cluster that is there")


def _engine_version(asked: str | None) -> str:
    """The version that runs: ElastiCache takes `7.0` or `7.0.7`, and the newest where none is named."""
    runs = version()
    if asked and asked.split(".")[:1] != runs.split(".")[:1]:
        raise InvalidParameterCombinationException(f"Cannot find version {asked} for redis")
    return runs
