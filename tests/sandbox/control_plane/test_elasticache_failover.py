"""Replication groups through plain clients: who is the primary, how that changes, and what is lost on the way."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
import redis
from botocore.exceptions import ClientError

from pytest_envdr.sandbox.control_plane import elasticache
from pytest_envdr.waiting import wait_until
from tests.sandbox.control_plane.served import Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION = "ca-west-1"
FAST: dict[str, Any] = {"Delay": 0.1, "MaxAttempts": 900}
MEGABYTE = "x" * 1_000_000
MORE_THAN_A_SOCKET_HOLDS = 24
RECOVERY = ["Recovering cache nodes 0001", "Finished recovery for cache nodes 0001"]

_numbers = count(1)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("failover")
    # Slow enough that a node which is frozen for a moment is not replaced at once.
    with serving(directory, {"elasticache": elasticache}, region=REGION, network="127.37.0.0/17", speed=5) as served:
        yield served


def create(served: Served, *, nodes: int = 2, automatic: bool = True, **more: Any) -> str:
    group = f"group-{next(_numbers)}"
    row = served.client("elasticache").create_replication_group(
        ReplicationGroupId=group,
        ReplicationGroupDescription="a test's",
        CacheNodeType="cache.t4g.small",
        NumCacheClusters=nodes,
        AutomaticFailoverEnabled=automatic,
        MultiAZEnabled=automatic,
        **more,
    )["ReplicationGroup"]
    assert row["Status"] == "creating"
    await_available(served, group)
    return group


def await_available(served: Served, group: str) -> None:
    waiter = served.client("elasticache").get_waiter("replication_group_available")
    waiter.wait(ReplicationGroupId=group, WaiterConfig=FAST)


def described(served: Served, group: str) -> dict[str, Any]:
    [row] = served.client("elasticache").describe_replication_groups(ReplicationGroupId=group)["ReplicationGroups"]
    return dict(row)


def shard(served: Served, group: str) -> dict[str, Any]:
    [row] = described(served, group)["NodeGroups"]
    return dict(row)


def connected(endpoint: dict[str, Any]) -> redis.Redis:
    return redis.Redis(endpoint["Address"], endpoint["Port"], decode_responses=True)


def at_primary(served: Served, group: str) -> redis.Redis:
    return connected(shard(served, group)["PrimaryEndpoint"])


def node(served: Served, cluster: str) -> redis.Redis:
    [row] = served.client("elasticache").describe_cache_clusters(CacheClusterId=cluster, ShowCacheNodeInfo=True)[
        "CacheClusters"
    ]
    return connected(row["CacheNodes"][0]["Endpoint"])


def roles(served: Served, group: str) -> dict[str, str]:
    return {row["CacheClusterId"]: row["CurrentRole"] for row in shard(served, group)["NodeGroupMembers"]}


def await_primary(served: Served, group: str, cluster: str) -> None:
    wait_until(
        lambda: roles(served, group)[cluster],
        lambda role: role == "primary",
        what=f"{cluster} primary",
        deadline=90,
        longest_interval=0.05,
    )


def await_status(served: Served, group: str, status: str) -> None:
    wait_until(
        lambda: described(served, group)["Status"],
        lambda seen: seen == status,
        what=f"{group} {status}",
        deadline=60,
        longest_interval=0.05,
    )


def await_replicated(client: redis.Redis, replicas: int = 1) -> None:
    assert client.wait(replicas, 60_000) == replicas


def pid(client: redis.Redis) -> int:
    return int(client.info("server")["process_id"])


def messages(served: Served, source: str, kind: str) -> list[str]:
    """Oldest first."""
    rows = served.client("elasticache").describe_events(SourceIdentifier=source, SourceType=kind)["Events"]
    return [row["Message"] for row in reversed(rows)]


def test_a_group_replicates_for_real(served: Served) -> None:
    """Three nodes in two zones: written at the primary endpoint, read at the reader endpoint, which takes no writes."""
    group = create(served, nodes=3)
    row = shard(served, group)
    assert list(roles(served, group).values()) == ["primary", "replica", "replica"]
    assert [member["PreferredAvailabilityZone"][-1] for member in row["NodeGroupMembers"]] == ["a", "b", "a"]
    writer, reader = connected(row["PrimaryEndpoint"]), connected(row["ReaderEndpoint"])
    writer.set("key", "value")
    await_replicated(writer, 2)
    assert (reader.get("key"), writer.role()[0], reader.role()[0]) == ("value", "master", "slave")
    with pytest.raises(redis.ReadOnlyError):
        reader.set("key", "other")
    assert described(served, group)["AutomaticFailover"] == described(served, group)["MultiAZ"] == "enabled"


def test_a_tested_failover_moves_the_primary_endpoint(served: Served) -> None:
    """The primary's clients lose their connection; the same endpoint then takes writes at the replica, which has what
    it was sent; the old primary comes back as its replica; AWS's events in AWS's order."""
    group = create(served)
    client, (old, new) = at_primary(served, group), roles(served, group)
    client.rpush("queues:default", "job")
    await_replicated(client)
    held = client.connection_pool.get_connection()
    answer = served.client("elasticache").test_failover(ReplicationGroupId=group, NodeGroupId="0001")
    assert answer["ReplicationGroup"]["Status"] == "modifying"
    await_primary(served, group, new)
    await_available(served, group)
    with pytest.raises(redis.ConnectionError):
        held.read_response()
    assert client.rpush("queues:default", "another") == 2
    assert roles(served, group) == {old: "replica", new: "primary"}
    await_replicated(at_primary(served, group))
    assert connected(shard(served, group)["ReaderEndpoint"]).lrange("queues:default", 0, -1) == ["job", "another"]
    done = f"Failover from primary node {old} to replica node {new} completed"
    assert messages(served, group, "replication-group")[-2:] == ["Test Failover API called for node group 0001", done]
    assert done in messages(served, new, "cache-cluster")
    assert messages(served, old, "cache-cluster")[-2:] == RECOVERY
    told = [row["Message"] for row in reversed(served.client("elasticache").describe_events()["Events"])]
    assert told.index(done) < len(told) - 1 - told[::-1].index(RECOVERY[0])


def test_what_was_not_replicated_is_lost(served: Served) -> None:
    """With the replica frozen the primary acknowledges writes; it dies; the replica takes over without them, and the
    primary that comes back forgets them too. What had been replicated is there."""
    group = create(served)
    client, (old, new) = at_primary(served, group), roles(served, group)
    client.set("before", "kept")
    await_replicated(client)
    frozen, primary = pid(node(served, new)), pid(client)
    os.kill(frozen, signal.SIGSTOP)
    pipe = client.pipeline(transaction=False)
    for number in range(MORE_THAN_A_SOCKET_HOLDS):
        pipe.set(f"large-{number}", MEGABYTE)
    pipe.set("last", "acknowledged")
    assert all(pipe.execute())
    os.kill(primary, signal.SIGKILL)
    os.kill(frozen, signal.SIGCONT)
    await_primary(served, group, new)
    await_available(served, group)
    assert messages(served, old, "cache-cluster")[-2:] == RECOVERY
    assert (client.get("before"), client.get("last")) == ("kept", None)
    assert all(node(served, name).get("last") is None for name in roles(served, group))


def test_the_replica_that_has_most_takes_over(served: Served) -> None:
    """Of two replicas the one whose link to the primary was cut has less, and stays a replica."""
    group = create(served, nodes=3)
    client, (_, behind, ahead) = at_primary(served, group), roles(served, group)
    node(served, behind).replicaof("127.0.0.1", "1")
    client.set("key", "value")
    await_replicated(client)
    os.kill(pid(client), signal.SIGKILL)
    await_primary(served, group, ahead)
    await_available(served, group)
    assert client.get("key") == "value"
    await_replicated(client, 2)
    assert node(served, behind).get("key") == "value"


def test_a_promoted_replica_leaves_its_clients_read_only(served: Served) -> None:
    """PrimaryClusterId: who is connected to the old primary stays so and may not write; who connects anew may."""
    group = create(served, automatic=False)
    client, (old, new) = at_primary(served, group), roles(served, group)
    client.set("key", "value")
    await_replicated(client)
    process = pid(client)
    served.client("elasticache").modify_replication_group(
        ReplicationGroupId=group, PrimaryClusterId=new, ApplyImmediately=True
    )
    await_primary(served, group, new)
    await_available(served, group)
    assert pid(client) == process == pid(node(served, old))
    with pytest.raises(redis.ReadOnlyError):
        client.set("key", "late")
    anew = at_primary(served, group)
    anew.set("key", "new")
    await_replicated(anew)
    assert client.get("key") == "new"


def test_without_automatic_failover_a_lost_primary_is_filled_from_its_replica(served: Served) -> None:
    """It keeps its role, and what the replica had is there again."""
    group = create(served, automatic=False)
    client, (old, _) = at_primary(served, group), roles(served, group)
    client.set("key", "value")
    await_replicated(client)
    process = pid(client)
    os.kill(process, signal.SIGKILL)
    await_status(served, group, "modifying")
    await_available(served, group)
    assert pid(client) != process
    assert (client.get("key"), roles(served, group)[old], client.role()[0]) == ("value", "primary", "master")
    client.set("key", "other")
    await_replicated(client)


def test_a_group_whose_nodes_all_died_is_empty(served: Served) -> None:
    """There is nobody to fail over to: the primary comes back with nothing."""
    group = create(served)
    client, names = at_primary(served, group), roles(served, group)
    client.set("key", "value")
    await_replicated(client)
    for process in [pid(node(served, name)) for name in reversed(names)]:
        os.kill(process, signal.SIGKILL)
    await_status(served, group, "modifying")
    await_available(served, group)
    assert client.exists("key") == 0
    client.set("key", "value")
    await_replicated(client)


def test_a_reboot_of_the_primary_empties_the_group(served: Served) -> None:
    """It is no failover: the primary comes back empty in its role, and its replica becomes as empty."""
    group = create(served)
    client, before = at_primary(served, group), roles(served, group)
    client.set("key", "value")
    await_replicated(client)
    served.client("elasticache").reboot_cache_cluster(CacheClusterId=next(iter(before)), CacheNodeIdsToReboot=["0001"])
    await_status(served, group, "modifying")
    await_available(served, group)
    assert roles(served, group) == before
    await_replicated(client)
    assert [node(served, name).exists("key") for name in before] == [0, 0]
    assert messages(served, next(iter(before)), "cache-cluster")[-2:] == [
        "Cache node 0001 shutdown",
        "Cache node 0001 restarted",
    ]


def test_a_replica_that_dies_is_filled_again(served: Served) -> None:
    """The primary's clients notice nothing; the reader endpoint leads to the primary meanwhile, then to the replica."""
    group = create(served)
    client, (_, replica) = at_primary(served, group), roles(served, group)
    client.set("key", "value")
    await_replicated(client)
    os.kill(pid(node(served, replica)), signal.SIGKILL)
    await_status(served, group, "modifying")
    assert client.get("key") == "value"
    await_available(served, group)
    assert node(served, replica).get("key") == "value"
    assert client.role()[0] == "master"


def test_what_aws_refuses(served: Served) -> None:
    """Failover of one node, Multi-AZ without failover, promotion under it, tests that cannot be, AOF beside it."""
    client = served.client("elasticache")
    wanted = {"ReplicationGroupDescription": "refused", "CacheNodeType": "cache.t4g.small"}
    with pytest.raises(ClientError, match="must be at least 2 cache clusters"):
        client.create_replication_group(ReplicationGroupId="one", AutomaticFailoverEnabled=True, **wanted)
    with pytest.raises(ClientError, match="InvalidParameterCombination"):
        client.create_replication_group(ReplicationGroupId="two", NumCacheClusters=2, MultiAZEnabled=True, **wanted)
    with pytest.raises(ClientError, match="NodeQuotaForClusterExceeded"):
        client.create_replication_group(ReplicationGroupId="seven", NumCacheClusters=7, **wanted)
    with pytest.raises(ClientError, match="ReplicationGroupNotFoundFault"):
        client.test_failover(ReplicationGroupId="nobody", NodeGroupId="0001")
    group, manual = create(served), create(served, automatic=False)
    with pytest.raises(ClientError, match="NodeGroupNotFoundFault"):
        client.test_failover(ReplicationGroupId=group, NodeGroupId="0002")
    with pytest.raises(ClientError, match="InvalidParameterCombination"):
        client.test_failover(ReplicationGroupId=manual, NodeGroupId="0001")
    with pytest.raises(ClientError, match="cannot be promoted"):
        client.modify_replication_group(ReplicationGroupId=group, PrimaryClusterId=f"{group}-002")
    with pytest.raises(ClientError, match="serving as primary"):
        client.delete_cache_cluster(CacheClusterId=f"{group}-001")
    client.create_cache_parameter_group(
        CacheParameterGroupName="durable", CacheParameterGroupFamily="redis7", Description="keeps"
    )
    rows = [{"ParameterName": "appendonly", "ParameterValue": "yes"}]
    client.modify_cache_parameter_group(CacheParameterGroupName="durable", ParameterNameValues=rows)
    with pytest.raises(ClientError, match="AOF"):
        client.modify_replication_group(ReplicationGroupId=group, CacheParameterGroupName="durable")
    with pytest.raises(ClientError, match="NotImplementedInSandbox"):
        client.modify_replication_group(ReplicationGroupId=group, SnapshotRetentionLimit=1)


def test_failover_can_be_tested_fifteen_times_a_day(served: Served) -> None:
    """And not while the group is being changed."""
    client, group = served.client("elasticache"), create(served)
    tests = elasticache.backend_of(served.world).tests
    used = list(tests)
    try:
        tests[:] = [datetime.now(UTC) - timedelta(hours=25)] * 3 + [datetime.now(UTC) - timedelta(hours=23)] * 14
        client.test_failover(ReplicationGroupId=group, NodeGroupId="0001")
        with pytest.raises(ClientError, match="InvalidReplicationGroupState"):
            client.test_failover(ReplicationGroupId=group, NodeGroupId="0001")
        await_primary(served, group, f"{group}-002")
        await_available(served, group)
        with pytest.raises(ClientError, match="APICallRateForCustomerExceeded"):
            client.test_failover(ReplicationGroupId=group, NodeGroupId="0001")
    finally:
        elasticache.backend_of(served.world).tests[:] = used


def test_failover_can_be_switched_off_and_on(served: Served) -> None:
    """Not without Multi-AZ being off too; then a replica can be promoted; a single node cannot have it."""
    client, group = served.client("elasticache"), create(served)
    with pytest.raises(ClientError, match="Multi-AZ requires automatic failover"):
        client.modify_replication_group(ReplicationGroupId=group, AutomaticFailoverEnabled=False)
    off = {"AutomaticFailoverEnabled": False, "MultiAZEnabled": False}
    client.modify_replication_group(ReplicationGroupId=group, ReplicationGroupDescription="manual", **off)
    client.modify_replication_group(ReplicationGroupId=group, PrimaryClusterId=f"{group}-002")
    await_primary(served, group, f"{group}-002")
    await_available(served, group)
    client.modify_replication_group(ReplicationGroupId=group, AutomaticFailoverEnabled=True)
    row = described(served, group)
    assert (row["Description"], row["AutomaticFailover"], row["MultiAZ"]) == ("manual", "enabled", "disabled")
    with pytest.raises(ClientError, match="last replica"):
        client.delete_cache_cluster(CacheClusterId=f"{group}-001")
    client.modify_replication_group(ReplicationGroupId=group, **off)
    client.delete_cache_cluster(CacheClusterId=f"{group}-001")
    client.get_waiter("cache_cluster_deleted").wait(CacheClusterId=f"{group}-001", WaiterConfig=FAST)
    await_available(served, group)
    assert described(served, group)["MemberClusters"] == [f"{group}-002"]
    with pytest.raises(ClientError, match="at least 2"):
        client.modify_replication_group(ReplicationGroupId=group, AutomaticFailoverEnabled=True)
    assert at_primary(served, group).set("key", "value")


def test_a_group_that_cannot_be_made_leaves_others_alone(served: Served) -> None:
    """A cluster has the name that its second node would have: the group is not there, and the cluster still is."""
    client, other = served.client("elasticache"), create(served, nodes=1, automatic=False)
    client.create_cache_cluster(CacheClusterId="taken-002", Engine="redis", CacheNodeType="cache.t4g.small")
    with pytest.raises(ClientError, match="CacheClusterAlreadyExists"):
        client.create_replication_group(
            ReplicationGroupId="taken",
            ReplicationGroupDescription="refused",
            CacheNodeType="cache.t4g.small",
            NumCacheClusters=2,
        )
    groups = {row["ReplicationGroupId"] for row in client.describe_replication_groups()["ReplicationGroups"]}
    assert (other in groups, "taken" in groups) == (True, False)
    assert client.describe_cache_clusters(CacheClusterId="taken-002")["CacheClusters"]
    with pytest.raises(ClientError, match="CacheClusterNotFound"):
        client.describe_cache_clusters(CacheClusterId="taken-001")
