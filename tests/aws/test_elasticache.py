"""ElastiCache: typed clusters and groups, a reboot and a failover that leave nothing owed, what was told of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import redis

from pytest_envdr.aws import Aws, elasticache
from pytest_envdr.errors import AwsError, NotFound
from pytest_envdr.journal import Header, Journal
from pytest_envdr.sandbox.control_plane import elasticache as sandboxed
from pytest_envdr.waiting import wait_until
from tests import account
from tests.sandbox.control_plane.served import ACCOUNT, Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REGION = "sa-east-1"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """ElastiCache in a sandbox."""
    directory, modules = tmp_path_factory.mktemp("elasticache"), {"elasticache": sandboxed}
    with serving(directory, modules, region=REGION, network="127.249.128.0/17", speed=20) as served:
        yield served


@pytest.fixture
def journal(served: Served, tmp_path: Path) -> Iterator[Journal]:
    """An open journal."""
    with Journal.open(tmp_path / "journal", Header("ex-7", ACCOUNT, REGION, served.world.endpoint)) as journal:
        yield journal


@pytest.fixture
def aws(served: Served, journal: Journal) -> Aws:
    """The account."""
    return Aws(account.stack(endpoint=served.world.endpoint, region=REGION), journal)


@pytest.fixture
def cluster(served: Served, aws: Aws) -> elasticache.Cluster:
    """A single node, available, whose parameter group has it evict nothing."""
    name, client = account.unique("cache"), served.client("elasticache")
    family = client.describe_cache_parameter_groups()["CacheParameterGroups"][0]["CacheParameterGroupFamily"]
    client.create_cache_parameter_group(
        CacheParameterGroupName=name, CacheParameterGroupFamily=family, Description="a queue's"
    )
    client.modify_cache_parameter_group(
        CacheParameterGroupName=name,
        ParameterNameValues=[{"ParameterName": "maxmemory-policy", "ParameterValue": "noeviction"}],
    )
    client.create_cache_cluster(
        CacheClusterId=name, Engine="redis", CacheNodeType="cache.t4g.small", CacheParameterGroupName=name
    )
    return await_cluster(aws, name)


@pytest.fixture
def group(served: Served, aws: Aws) -> elasticache.Group:
    """A primary and a replica, available, with automatic failover."""
    name = account.unique("group")
    served.client("elasticache").create_replication_group(
        ReplicationGroupId=name,
        ReplicationGroupDescription="two",
        NumCacheClusters=2,
        CacheNodeType="cache.t4g.small",
        AutomaticFailoverEnabled=True,
        MultiAZEnabled=True,
    )
    return await_group(aws, name)


def await_cluster(aws: Aws, name: str) -> elasticache.Cluster:
    return wait_until(
        lambda: elasticache.cluster(aws, name), lambda seen: seen.available, what=f"{name} available", deadline=90
    )


def await_group(aws: Aws, name: str) -> elasticache.Group:
    return wait_until(
        lambda: elasticache.group(aws, name), lambda seen: seen.available, what=f"{name} available", deadline=120
    )


def connected(endpoint: tuple[str, int] | None) -> redis.Redis:
    assert endpoint is not None
    return redis.Redis(*endpoint, decode_responses=True)


def lately(aws: Aws, source: str, kind: elasticache.SourceKind) -> list[str]:
    now = datetime.now(UTC)
    found = elasticache.events(aws, source, kind, since=now - timedelta(hours=1), until=now + timedelta(minutes=1))
    return [event.message for event in found]


def test_a_cluster_is_a_typed_value(aws: Aws, cluster: elasticache.Cluster) -> None:
    """Status, endpoint and parameter group; it is in no replication group; what is not there is NotFound, or None."""
    assert (cluster.engine, cluster.node_type, cluster.group) == ("redis", "cache.t4g.small", "")
    assert (cluster.parameter_group, cluster.parameter_status) == (cluster.identifier, "in-sync")
    assert cluster.node_ids == ("0001",)
    assert connected(cluster.endpoint).ping()
    with pytest.raises(NotFound, match="Cache cluster nobody cannot be read"):
        elasticache.cluster(aws, "nobody")
    assert elasticache.existing(aws, "nobody") is None


def test_parameters_tell_what_may_be_evicted_and_what_is_kept(
    served: Served, aws: Aws, cluster: elasticache.Cluster
) -> None:
    """noeviction and no append-only file at first; allkeys-lru may evict a queue."""
    before = elasticache.parameters(aws, cluster.parameter_group)
    assert (before.eviction, before.evicts_queues, before.append_only) == ("noeviction", False, False)
    served.client("elasticache").modify_cache_parameter_group(
        CacheParameterGroupName=cluster.parameter_group,
        ParameterNameValues=[
            {"ParameterName": "maxmemory-policy", "ParameterValue": "allkeys-lru"},
            {"ParameterName": "appendonly", "ParameterValue": "yes"},
        ],
    )
    after = elasticache.parameters(aws, cluster.parameter_group)
    assert (after.eviction, after.evicts_queues, after.append_only) == ("allkeys-lru", True, True)
    with pytest.raises(NotFound):
        elasticache.parameters(aws, "nobody")


def test_a_reboot_leaves_nothing_owed_and_nothing_kept(
    aws: Aws, journal: Journal, cluster: elasticache.Cluster
) -> None:
    """Intended before it is done, settled, and healed by AWS: the node is back, empty; the events tell."""
    client = connected(cluster.endpoint)
    client.set("key", "value")
    elasticache.reboot(aws, journal, cluster)
    assert elasticache.cluster(aws, cluster.identifier).status == "rebooting cluster nodes"
    entry = journal.entries[-1]
    assert (entry.act, entry.inverse.operation, entry.settled) == ("elasticache.RebootCacheCluster", None, True)
    assert journal.owed() == []
    await_cluster(aws, cluster.identifier)
    assert client.exists("key") == 0
    told = lately(aws, cluster.identifier, "cache-cluster")
    assert told[-2:] == ["Cache node 0001 shutdown", "Cache node 0001 restarted"]


def test_a_failover_swaps_the_roles(aws: Aws, journal: Journal, group: elasticache.Group) -> None:
    """The endpoint stays, the role moves, what was replicated is there, and nothing is owed."""
    [shard] = group.shards
    assert group.fails_over
    assert (shard.primary, shard.replicas) == (shard.members[0], shard.members[1:])
    client = connected(shard.primary_endpoint)
    client.set("key", "value")
    assert client.wait(1, 60_000) == 1
    elasticache.fail_over(aws, journal, group)
    assert not elasticache.group(aws, group.identifier).available
    with pytest.raises(AwsError, match="InvalidReplicationGroupState"):
        elasticache.fail_over(aws, journal, group)
    [after] = await_group(aws, group.identifier).shards
    assert [member.role for member in after.members] == ["replica", "primary"]
    assert after.primary_endpoint == shard.primary_endpoint
    assert client.get("key") == "value"
    assert connected(after.primary.endpoint if after.primary else None).role()[0] == "master"
    assert [entry.inverse.operation for entry in journal.entries] == [None, None]
    told = lately(aws, group.identifier, "replication-group")
    assert told[1:] == [
        "Test Failover API called for node group 0001",
        f"Failover from primary node {group.clusters[0]} to replica node {group.clusters[1]} completed",
    ]


def test_a_group_that_is_not_there(aws: Aws) -> None:
    """NotFound, or None."""
    with pytest.raises(NotFound, match="Replication group nobody cannot be read"):
        elasticache.group(aws, "nobody")
    assert elasticache.existing_group(aws, "nobody") is None


def test_a_group_is_as_available_as_its_nodes(aws: Aws, journal: Journal, group: elasticache.Group) -> None:
    """A replica that restarts is told by its name, whatever the group says of itself; "" of what there is not."""
    assert elasticache.condition(aws, group.identifier) == "available"
    (replica,) = group.shards[0].replicas
    elasticache.reboot(aws, journal, elasticache.cluster(aws, replica.cluster))
    assert f"{replica.cluster} is rebooting cluster nodes" in elasticache.condition(aws, group.identifier)
    wait_until(
        lambda: elasticache.condition(aws, group.identifier),
        lambda said: said == "available",
        what="the replica back",
        deadline=120,
    )
    assert elasticache.condition(aws, "nobody") == ""
