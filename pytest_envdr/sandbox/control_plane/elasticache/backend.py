"""moto's ElastiCache backend, recording intent."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

from moto.elasticache.exceptions import (
    CacheClusterNotFound,
    CacheSubnetGroupNotFound,
    InvalidParameterCombinationException,
    InvalidParameterValueException,
)
from moto.elasticache.models import CacheCluster, ElastiCacheBackend, ReplicationGroup

from pytest_envdr.sandbox.control_plane.elasticache import events, groups
from pytest_envdr.sandbox.control_plane.elasticache.parameters import ParameterGroups, fault
from pytest_envdr.sandbox.control_plane.elasticache.roles import Shard
from pytest_envdr.sandbox.control_plane.extension import backend_lock, moto_urls
from pytest_envdr.sandbox.data_plane.redis import PORT, version

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from types import ModuleType

    from pytest_envdr.sandbox.world import World

FIRST_HOST = 100
LAST_HOST = 199
SUBNET = 4
"""The world's subnet (data-a), and the host numbers in it, that nodes and endpoints get their addresses from."""
NODE = "0001"
"""The id of a cluster's only node."""
SHARD = "0001"
"""The id of a group's only shard."""
REBOOTING = "rebooting cluster nodes"
TAGGABLE = re.compile(
    r"^arn:aws:elasticache:.*:[0-9]*:(cluster|snapshot|subnetgroup|replicationgroup|parametergroup|user):.*$"
)


class SandboxElastiCache(ElastiCacheBackend):
    """One account's clusters in one Region. `world` is None where no control loop acts.

    Attributes:
        addresses: each cluster's node's address, by cluster id.
        shards: each replication group's only shard, by group id.
        parameter_groups: the cache parameter groups.
        events: all that there is to tell.
        reboots: the clusters that shall reboot.
        tests: when failovers were tested.
    """

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.arn_regex = TAGGABLE
        self.world: World | None = None
        self.addresses: dict[str, str] = {}
        self.shards: dict[str, Shard] = {}
        self.parameter_groups = ParameterGroups(f"arn:aws:elasticache:{region_name}:{account_id}")
        self.events: list[events.Event] = []
        self.reboots: set[str] = set()
        self.tests: list[datetime] = []

    @property
    def _url_module(self) -> ModuleType:
        return moto_urls("elasticache")

    def reset(self) -> None:
        """moto's reset makes the object anew; the world stays, and the control loop ends what is no longer there."""
        world = self.world
        super().reset()
        self.world = world

    def tell(self, source: str, kind: str, message: str) -> None:
        """Add an event."""
        self.events.append(events.told(source, kind, message))

    def create_cache_cluster(self, cache_cluster_id: str, *args: Any, **kwargs: Any) -> CacheCluster:
        """Record a cluster of one Redis node. The control loop starts it."""
        _refuse_unsupported(kwargs)
        if kwargs.get("replication_group_id"):
            raise NotImplementedError("a replica for a replication group that is there")
        return self._create_node(cache_cluster_id, *args, **kwargs)

    def modify_cache_cluster(self, cache_cluster_id: str, parameter_group: str) -> CacheCluster:
        """Give a cluster another parameter group."""
        cluster = self._cluster(cache_cluster_id)
        if cluster.replication_group_id:
            raise InvalidParameterCombinationException(f"Cluster {cache_cluster_id} is a member of a group: modify it.")
        self.parameter_groups.find(parameter_group)
        cluster.cache_parameter_group_name = parameter_group
        return cluster

    def reboot_cache_cluster(self, cache_cluster_id: str, nodes: Collection[str]) -> CacheCluster:
        """Have a cluster's node reboot."""
        cluster = self._cluster(cache_cluster_id)
        if set(nodes) != {NODE}:
            raise InvalidParameterValueException(f"Cluster {cache_cluster_id} has node {NODE} only.")
        if cluster.cache_cluster_status != "available":
            raise fault("InvalidCacheClusterState", f"Cluster {cache_cluster_id} is {cluster.cache_cluster_status}.")
        cluster.cache_cluster_status = REBOOTING
        self.reboots.add(cache_cluster_id)
        return cluster

    def delete_cache_cluster(self, cache_cluster_id: str) -> CacheCluster:
        with backend_lock:
            cluster = self.cache_clusters.get(cache_cluster_id)
            if cluster and cluster.replication_group_id:
                self._check_can_leave(cluster)
            deleted: CacheCluster = super().delete_cache_cluster(cache_cluster_id)
            return deleted

    def delete_cache_subnet_group(self, name: str) -> None:
        """Forget a subnet group that no cluster is in."""
        group = self.cache_subnet_groups.get(name)
        if group is None:
            raise CacheSubnetGroupNotFound(name)
        if any(cluster.cache_subnet_group_name == name for cluster in self.cache_clusters.values()):
            raise fault("CacheSubnetGroupInUse", f"Cache subnet group {name} is currently in use by a cache cluster.")
        self.tagging_service.delete_all_tags_for_resource(group.arn)
        del self.cache_subnet_groups[name]

    def create_replication_group(self, replication_group_id: str, *args: Any, **kwargs: Any) -> ReplicationGroup:
        """Record a group of one shard, each of whose nodes is a cluster of its own; the first is the primary."""
        _refuse_unsupported(kwargs)
        count = groups.node_count(kwargs)
        with backend_lock:
            parameter_group = self.parameter_groups.find(kwargs.get("cache_parameter_group_name"))
            automatic = bool(kwargs.get("automatic_failover_enabled"))
            groups.check_failover(
                automatic=automatic, multi_az=bool(kwargs.get("multi_az_enabled")), nodes=count, group=parameter_group
            )
            group: ReplicationGroup = super().create_replication_group(replication_group_id, *args, **kwargs)
            group.status = "creating"
            group.member_clusters = [f"{replication_group_id}-{number:03}" for number in range(1, count + 1)]
            try:
                self._create_members(group, kwargs)
            except Exception:
                self._forget_group(group)
                raise
            groups.show(self, group, PORT, NODE)
            return group

    def delete_replication_group(self, replication_group_id: str, *args: Any, **kwargs: Any) -> ReplicationGroup:
        if kwargs.get("retain_primary_cluster"):
            raise NotImplementedError("keeping the primary of a group that is deleted")
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

    def show_parameters(self, cluster: CacheCluster, status: str) -> None:
        """Write down which parameter group a cluster has, and whether it is in effect."""
        group = self.parameter_groups.find(cluster.cache_parameter_group_name)
        cluster.cache_parameter_group = {  # type: ignore[attr-defined]
            "CacheParameterGroupName": group.cache_parameter_group_name,
            "ParameterApplyStatus": status,
        }

    def forget_node(self, cluster_id: str) -> None:
        """Drop a deleted cluster."""
        cluster = self.cache_clusters.pop(cluster_id)
        del self.addresses[cluster_id]
        group = self.replication_groups.get(cluster.replication_group_id or "")
        if group and cluster_id in group.member_clusters:
            group.member_clusters.remove(cluster_id)

    def _create_node(self, cache_cluster_id: str, *args: Any, **kwargs: Any) -> CacheCluster:
        if self.world is None:
            raise NotImplementedError(f"cache clusters in {self.region_name}")
        with backend_lock:
            self.parameter_groups.find(kwargs.get("cache_parameter_group_name"))
            address = self._free_address(self.world)
            wanted = {**kwargs, "engine": "redis", "engine_version": _engine_version(kwargs.get("engine_version"))}
            if wanted.get("auto_minor_version_upgrade") is None:
                wanted["auto_minor_version_upgrade"] = True
            cluster: CacheCluster = super().create_cache_cluster(cache_cluster_id, *args, **wanted)
            cluster.cache_cluster_status = "creating"
            cluster.security_groups = [  # type: ignore[attr-defined]
                {"SecurityGroupId": group, "Status": "active"} for group in cluster.security_group_ids
            ]
            self.addresses[cache_cluster_id] = address
            return cluster

    def _create_members(self, group: ReplicationGroup, wanted: dict[str, Any]) -> None:
        member: dict[str, Any] = dict.fromkeys(inspect.signature(ElastiCacheBackend.create_cache_cluster).parameters)
        member.update({name: wanted[name] for name in member.keys() & wanted.keys()})
        member.update(replication_group_id=group.replication_group_id, num_cache_nodes=1)
        for outer in ("self", "cache_cluster_id"):
            member.pop(outer)
        zones = wanted.get("preferred_cache_cluster_azs") or [f"{self.region_name}a", f"{self.region_name}b"]
        for number, cluster_id in enumerate(group.member_clusters):
            member["preferred_availability_zone"] = zones[number % len(zones)]
            self._create_node(cluster_id, **member)
        if self.world is not None:
            shard = Shard(SHARD, group.replication_group_id, group.member_clusters[0], "", "")
            self.shards[group.replication_group_id] = shard
            shard.primary_address = self._free_address(self.world)
            shard.reader_address = self._free_address(self.world)

    def _forget_group(self, group: ReplicationGroup) -> None:
        for member in [cluster for cluster in self.cache_clusters.values() if _member_of(cluster, group)]:
            self.forget_node(member.cache_cluster_id)
        self.shards.pop(group.replication_group_id, None)
        del self.replication_groups[group.replication_group_id]

    def _check_can_leave(self, member: CacheCluster) -> None:
        group = self.replication_groups[str(member.replication_group_id)]
        if self.shards[group.replication_group_id].primary == member.cache_cluster_id:
            raise InvalidParameterCombinationException(
                f"Cluster {member.cache_cluster_id} is serving as primary for replication group "
                f"{group.replication_group_id} and cannot be deleted."
            )
        if group.automatic_failover == groups.ENABLED and len(group.member_clusters) <= 2:
            raise InvalidParameterCombinationException(
                "The last replica of a replication group with automatic failover cannot be deleted."
            )

    def _cluster(self, cluster_id: str) -> CacheCluster:
        cluster: CacheCluster | None = self.cache_clusters.get(cluster_id)
        if cluster is None:
            raise CacheClusterNotFound(cluster_id)
        return cluster

    def _free_address(self, world: World) -> str:
        taken = set(self.addresses.values())
        for shard in self.shards.values():
            taken |= {shard.primary_address, shard.reader_address}
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


def _engine_version(asked: str | None) -> str:
    """The version that runs: ElastiCache takes `7.0` or `7.0.7`, and the newest where none is named."""
    runs = version()
    if asked and asked.split(".")[:1] != runs.split(".")[:1]:
        raise InvalidParameterCombinationException(f"Cannot find version {asked} for redis")
    return runs
