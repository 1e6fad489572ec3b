"""Requests about replication groups: what they are refused for, and the intent that they leave behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from moto.elasticache.exceptions import (
    InvalidParameterCombinationException,
    InvalidParameterValueException,
    ReplicationGroupNotFound,
)

from pytest_envdr.sandbox.control_plane.elasticache import events, parameters
from pytest_envdr.sandbox.control_plane.elasticache.parameters import AOF_OR_FAILOVER, fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from moto.elasticache.models import ReplicationGroup

    from pytest_envdr.sandbox.control_plane.elasticache.backend import SandboxElastiCache
    from pytest_envdr.sandbox.control_plane.elasticache.roles import Shard

MOST_NODES = 6
TESTS_A_DAY = 15
DAY = timedelta(hours=24)
ENABLED, DISABLED = "enabled", "disabled"
MODIFIABLE = frozenset(
    {
        "ReplicationGroupId",
        "ReplicationGroupDescription",
        "PrimaryClusterId",
        "AutomaticFailoverEnabled",
        "MultiAZEnabled",
        "CacheParameterGroupName",
        "ApplyImmediately",
    }
)
"""What ModifyReplicationGroup does here."""


def node_count(wanted: Mapping[str, Any]) -> int:
    """How many nodes a new group of one shard has.

    Raises:
        NotImplementedError: it would have several shards, or grow around a cluster that is there.
        ElastiCacheException: InvalidParameterCombination or NodeQuotaForClusterExceeded.
    """
    if (wanted.get("num_node_groups") or 1) != 1 or wanted.get("cluster_mode") in {"enabled", "compatible"}:
        raise NotImplementedError("replication groups of more than one shard")
    if wanted.get("primary_cluster_id") or wanted.get("global_replication_group_id"):
        raise NotImplementedError("groups around a cluster that is there, or across Regions")
    replicas = wanted.get("replicas_per_node_group")
    if replicas and wanted.get("num_cache_clusters"):
        raise InvalidParameterCombinationException("Use either NumCacheClusters or ReplicasPerNodeGroup, not both.")
    count = int(wanted.get("num_cache_clusters") or (replicas or 0) + 1)
    if count > MOST_NODES:
        raise fault("NodeQuotaForClusterExceeded", f"A node group has {MOST_NODES} nodes at most.")
    return count


def check_failover(*, automatic: bool, multi_az: bool, nodes: int, group: parameters.ParameterGroup) -> None:
    """Raise InvalidParameterCombination for what automatic failover and Multi-AZ exclude."""
    if automatic and nodes < 2:
        raise InvalidParameterCombinationException(
            "When using automatic failover, there must be at least 2 cache clusters in the replication group."
        )
    if multi_az and not automatic:
        raise InvalidParameterCombinationException("Multi-AZ requires automatic failover to be enabled.")
    if automatic and group.values.get("appendonly") == "yes":
        raise InvalidParameterCombinationException(AOF_OR_FAILOVER)


def test_failover(backend: SandboxElastiCache, group_id: str, shard_id: str) -> ReplicationGroup:
    """TestFailover: the primary shall fail.

    Raises:
        ElastiCacheException: NodeGroupNotFoundFault, InvalidParameterCombination, InvalidReplicationGroupState or
            APICallRateForCustomerExceeded.
    """
    group, shard = _available(backend, group_id)
    if shard_id != shard.identifier:
        raise fault("NodeGroupNotFoundFault", f"Node group {shard_id} not found.")
    if group.automatic_failover != ENABLED:
        raise InvalidParameterCombinationException(
            f"Automatic failover must be enabled to test the failover of replication group {group_id}."
        )
    now = datetime.now(UTC)
    backend.tests = [at for at in backend.tests if now - at < DAY]
    if len(backend.tests) >= TESTS_A_DAY:
        raise fault("APICallRateForCustomerExceeded", f"Failover was tested {TESTS_A_DAY} times in 24 hours.")
    backend.tests.append(now)
    shard.tested = shard.busy = True
    group.status = "modifying"
    backend.tell(group_id, events.GROUP, events.TESTED.format(shard=shard_id))
    return group


def modify(backend: SandboxElastiCache, wanted: Mapping[str, Any]) -> ReplicationGroup:
    """ModifyReplicationGroup, as far as `MODIFIABLE` goes; `wanted` by the API's names, with what was asked only.

    Raises:
        NotImplementedError: more is asked.
        ElastiCacheException: InvalidReplicationGroupState, InvalidParameterCombination, InvalidParameterValue.
    """
    if more := wanted.keys() - MODIFIABLE:
        raise NotImplementedError(f"ModifyReplicationGroup with {', '.join(sorted(more))}")
    group, shard = _available(backend, str(wanted["ReplicationGroupId"]))
    automatic = wanted.get("AutomaticFailoverEnabled", group.automatic_failover == ENABLED)
    multi_az = wanted.get("MultiAZEnabled", group.multi_az == ENABLED)
    parameter_group = backend.parameter_groups.find(
        wanted.get("CacheParameterGroupName") or group.cache_parameter_group_name
    )
    check_failover(automatic=automatic, multi_az=multi_az, nodes=len(group.member_clusters), group=parameter_group)
    if primary := wanted.get("PrimaryClusterId"):
        _promote(group, shard, primary, automatic=automatic)
    group.automatic_failover = ENABLED if automatic else DISABLED
    group.multi_az = ENABLED if multi_az else DISABLED
    group.description = wanted.get("ReplicationGroupDescription", group.description)
    if name := wanted.get("CacheParameterGroupName"):
        group.cache_parameter_group_name = name
        for member in group.member_clusters:
            backend.cache_clusters[member].cache_parameter_group_name = name
    return group


def _promote(group: ReplicationGroup, shard: Shard, primary: str, *, automatic: bool) -> None:
    if primary not in group.member_clusters:
        raise InvalidParameterValueException(f"{primary} is not a member of {group.replication_group_id}.")
    if primary == shard.primary:
        return
    if automatic:
        # User Guide, AutoFailover: promoting is possible only with Multi-AZ and automatic failover disabled.
        raise InvalidParameterCombinationException(
            "A replica cannot be promoted while Multi-AZ or automatic failover is enabled."
        )
    shard.promoted, shard.busy = primary, True
    group.status = "modifying"


def _available(backend: SandboxElastiCache, group_id: str) -> tuple[ReplicationGroup, Shard]:
    group = backend.replication_groups.get(group_id)
    if group is None:
        raise ReplicationGroupNotFound(group_id)
    if group.status != "available":
        raise fault("InvalidReplicationGroupState", f"Replication group {group_id} is not available: {group.status}.")
    return group, backend.shards[group_id]


def show(backend: SandboxElastiCache, group: ReplicationGroup, port: int, node_id: str) -> None:
    """Write down a group's shard as it is: roles, endpoints, status."""
    shard = backend.shards[group.replication_group_id]
    members = [backend.cache_clusters[member] for member in group.member_clusters if member in backend.cache_clusters]
    group.node_groups = [
        {
            "node_group_id": shard.identifier,
            "status": group.status,
            "primary_endpoint": {"address": shard.primary_address, "port": port},
            "reader_endpoint": {"address": shard.reader_address, "port": port},
            "node_group_members": [
                {
                    "cache_cluster_id": member.cache_cluster_id,
                    "cache_node_id": node_id,
                    "current_role": "primary" if member.cache_cluster_id == shard.primary else "replica",
                    "preferred_availability_zone": member.preferred_availability_zone,
                    "read_endpoint": {"address": backend.addresses[member.cache_cluster_id], "port": port},
                }
                for member in members
            ],
        }
    ]
