"""ElastiCache through plain clients: what the API says of a cluster is how its Redis is."""

from __future__ import annotations

import os
import signal
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

REGION = "eu-south-1"
FAST: dict[str, Any] = {"Delay": 0.1, "MaxAttempts": 300}

_numbers = count(1)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("elasticache")
    modules = {"elasticache": elasticache}
    with serving(directory, modules, region=REGION, network="127.212.0.0/16", speed=50) as served:
        yield served


def create(served: Served, **more: Any) -> str:
    cluster = f"cache-{next(_numbers)}"
    wanted = {"Engine": "redis", "CacheNodeType": "cache.t4g.small", "NumCacheNodes": 1}
    row = served.client("elasticache").create_cache_cluster(CacheClusterId=cluster, **wanted, **more)["CacheCluster"]
    assert row["CacheClusterStatus"] == "creating"
    await_available(served, cluster)
    return cluster


def await_available(served: Served, cluster: str) -> None:
    waiter = served.client("elasticache").get_waiter("cache_cluster_available")
    waiter.wait(CacheClusterId=cluster, WaiterConfig=FAST)


def described(served: Served, cluster: str, *, nodes: bool = True) -> dict[str, Any]:
    client = served.client("elasticache")
    [row] = client.describe_cache_clusters(CacheClusterId=cluster, ShowCacheNodeInfo=nodes)["CacheClusters"]
    return dict(row)


def connected(served: Served, cluster: str) -> redis.Redis:
    endpoint = described(served, cluster)["CacheNodes"][0]["Endpoint"]
    return redis.Redis(endpoint["Address"], endpoint["Port"], decode_responses=True)


def await_status(served: Served, cluster: str, status: str) -> None:
    wait_until(
        lambda: described(served, cluster)["CacheClusterStatus"],
        lambda seen: seen == status,
        what=f"{cluster} {status}",
        deadline=30,
        longest_interval=0.05,
    )


def test_an_available_cluster_is_a_redis_at_its_endpoint(served: Served) -> None:
    """The node's endpoint answers, with the version that the API tells; the ARN names this Region."""
    cluster = create(served)
    row = described(served, cluster)
    assert row["ARN"].split(":")[3] == REGION
    assert row["CacheNodes"][0]["Endpoint"]["Address"].startswith("127.212.64.1")
    assert connected(served, cluster).info("server")["redis_version"] == row["EngineVersion"]


def test_nodes_are_shown_to_who_asks_for_them(served: Served) -> None:
    """Without ShowCacheNodeInfo there are none in the answer."""
    assert not described(served, create(served), nodes=False).get("CacheNodes")


def test_a_node_that_died_is_replaced_by_an_empty_one(served: Served) -> None:
    """After SIGKILL the cluster is not available, then is again, and what it held is gone."""
    cluster = create(served)
    client = connected(served, cluster)
    client.rpush("queues:default", "job")
    os.kill(client.info("server")["process_id"], signal.SIGKILL)
    await_status(served, cluster, "rebooting cluster nodes")
    await_available(served, cluster)
    assert connected(served, cluster).exists("queues:default") == 0


def test_a_frozen_node_is_not_available(served: Served) -> None:
    """DescribeCacheClusters is acted out: freezing the Redis takes `available` away, and it is replaced."""
    cluster = create(served)
    process = connected(served, cluster).info("server")["process_id"]
    os.kill(process, signal.SIGSTOP)
    await_status(served, cluster, "rebooting cluster nodes")
    await_available(served, cluster)
    assert connected(served, cluster).info("server")["process_id"] != process


def test_two_clusters_share_nothing(served: Served) -> None:
    """What one holds the other does not."""
    one, other = connected(served, create(served)), connected(served, create(served))
    one.set("key", "here")
    assert other.get("key") is None


def test_a_deleted_cluster_is_gone(served: Served) -> None:
    """`deleting`, then CacheClusterNotFound; nobody listens there any more."""
    cluster = create(served)
    client = connected(served, cluster)
    row = served.client("elasticache").delete_cache_cluster(CacheClusterId=cluster)["CacheCluster"]
    assert row["CacheClusterStatus"] == "deleting"
    waiter = served.client("elasticache").get_waiter("cache_cluster_deleted")
    waiter.wait(CacheClusterId=cluster, WaiterConfig=FAST)
    with pytest.raises(redis.ConnectionError):
        client.ping()


def test_a_replication_group_is_as_its_node_is(served: Served) -> None:
    """A group of one: its primary endpoint is a real Redis; frozen, the group is not available; deleted, both go."""
    client, group = served.client("elasticache"), f"group-{next(_numbers)}"
    client.create_replication_group(
        ReplicationGroupId=group, ReplicationGroupDescription="one node", CacheNodeType="cache.t4g.small"
    )
    waiter = client.get_waiter("replication_group_available")
    waiter.wait(ReplicationGroupId=group, WaiterConfig=FAST)
    row = client.describe_replication_groups(ReplicationGroupId=group)["ReplicationGroups"][0]
    endpoint = row["NodeGroups"][0]["PrimaryEndpoint"]
    process = redis.Redis(endpoint["Address"], endpoint["Port"]).info("server")["process_id"]
    os.kill(process, signal.SIGSTOP)
    wait_until(
        lambda: client.describe_replication_groups(ReplicationGroupId=group)["ReplicationGroups"][0]["Status"],
        lambda status: status != "available",
        what="the group not available",
        deadline=30,
        longest_interval=0.05,
    )
    waiter.wait(ReplicationGroupId=group, WaiterConfig=FAST)
    client.delete_replication_group(ReplicationGroupId=group)
    client.get_waiter("replication_group_deleted").wait(ReplicationGroupId=group, WaiterConfig=FAST)
    with pytest.raises(ClientError, match="CacheClusterNotFound"):
        described(served, row["MemberClusters"][0])


def test_what_there_is_not_is_said_to_be_missing(served: Served) -> None:
    """Memcached and groups of more nodes are a clean 501."""
    client = served.client("elasticache")
    with pytest.raises(ClientError, match="NotImplementedInSandbox"):
        client.create_cache_cluster(
            CacheClusterId="memcached", Engine="memcached", CacheNodeType="cache.t4g.small", NumCacheNodes=1
        )
    with pytest.raises(ClientError, match="NotImplementedInSandbox"):
        client.create_replication_group(
            ReplicationGroupId="wide", ReplicationGroupDescription="two", NumCacheClusters=2
        )
