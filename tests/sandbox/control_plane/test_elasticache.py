"""ElastiCache through plain clients: what the API says of a cluster is how its Redis is."""

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
from pytest_envdr.sandbox.control_plane.elasticache import parameters
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
    """Memcached and groups of more shards are a clean 501."""
    client = served.client("elasticache")
    with pytest.raises(ClientError, match="NotImplementedInSandbox"):
        client.create_cache_cluster(
            CacheClusterId="memcached", Engine="memcached", CacheNodeType="cache.t4g.small", NumCacheNodes=1
        )
    with pytest.raises(ClientError, match="NotImplementedInSandbox"):
        client.create_replication_group(ReplicationGroupId="wide", ReplicationGroupDescription="two", NumNodeGroups=2)


def parameter_group(served: Served, **values: str) -> str:
    name, client = f"parameters-{next(_numbers)}", served.client("elasticache")
    family = parameters.family()
    client.create_cache_parameter_group(
        CacheParameterGroupName=name, CacheParameterGroupFamily=family, Description="a test's"
    )
    set_parameters(served, name, **values)
    return name


def set_parameters(served: Served, name: str, **values: str) -> None:
    rows = [{"ParameterName": key.replace("_", "-"), "ParameterValue": value} for key, value in values.items()]
    served.client("elasticache").modify_cache_parameter_group(CacheParameterGroupName=name, ParameterNameValues=rows)


def reboot(served: Served, cluster: str) -> None:
    answer = served.client("elasticache").reboot_cache_cluster(CacheClusterId=cluster, CacheNodeIdsToReboot=["0001"])
    assert answer["CacheCluster"]["CacheClusterStatus"] == "rebooting cluster nodes"
    await_available(served, cluster)


def test_a_reboot_loses_everything(served: Served) -> None:
    """Another process answers, empty; the events say shutdown and restarted."""
    cluster = create(served)
    client = connected(served, cluster)
    client.set("key", "value")
    process = client.info("server")["process_id"]
    reboot(served, cluster)
    assert (client.info("server")["process_id"] != process, client.exists("key")) == (True, 0)
    rows = served.client("elasticache").describe_events(SourceIdentifier=cluster, SourceType="cache-cluster")["Events"]
    assert [row["Message"] for row in rows] == [
        "Cache node 0001 restarted",
        "Cache node 0001 shutdown",
        "Cache cluster created",
    ]


@pytest.mark.parametrize("killed", [False, True])
def test_an_append_only_file_survives_a_reboot(served: Served, *, killed: bool) -> None:
    """Where the parameter group says appendonly the data are there afterwards, also after the process's death."""
    cluster = create(served, CacheParameterGroupName=parameter_group(served, appendonly="yes", appendfsync="always"))
    client = connected(served, cluster)
    client.rpush("queues:default", "job")
    if killed:
        os.kill(client.info("server")["process_id"], signal.SIGKILL)
        await_status(served, cluster, "rebooting cluster nodes")
        await_available(served, cluster)
    else:
        reboot(served, cluster)
    assert client.lrange("queues:default", 0, -1) == ["job"]


def test_parameters_are_set_on_the_running_server(served: Served) -> None:
    """The engine's defaults, then the group's values, without a reboot; what needs one is pending until then."""
    cluster = create(served)
    client, policy = connected(served, cluster), "maxmemory-policy"
    assert client.config_get(policy)[policy] == "volatile-lru"
    group = parameter_group(served, maxmemory_policy="noeviction")
    served.client("elasticache").modify_cache_cluster(CacheClusterId=cluster, CacheParameterGroupName=group)
    await_config(client, policy, "noeviction")
    set_parameters(served, group, maxmemory_policy="allkeys-lru", databases="32")
    await_config(client, policy, "allkeys-lru")
    await_applied(served, cluster, "pending-reboot")
    reboot(served, cluster)
    assert client.config_get("databases")["databases"] == "32"
    await_applied(served, cluster, "in-sync")
    with pytest.raises(ClientError, match="InvalidCacheParameterGroupState"):
        served.client("elasticache").delete_cache_parameter_group(CacheParameterGroupName=group)
    served.client("elasticache").reset_cache_parameter_group(CacheParameterGroupName=group, ResetAllParameters=True)
    await_config(client, policy, "volatile-lru")


def await_config(client: redis.Redis, name: str, value: str) -> None:
    wait_until(
        lambda: client.config_get(name)[name],
        lambda seen: seen == value,
        what=f"{name} {value}",
        deadline=60,
        longest_interval=0.05,
    )


def await_applied(served: Served, cluster: str, status: str) -> None:
    wait_until(
        lambda: described(served, cluster)["CacheParameterGroup"]["ParameterApplyStatus"],
        lambda seen: seen == status,
        what=f"parameters {status}",
        deadline=60,
        longest_interval=0.05,
    )


def test_a_parameter_group_is_described_with_its_own_values(served: Served) -> None:
    """By Source user only its own; wrong names and values are refused, all or none; deleted it is gone."""
    client, name = served.client("elasticache"), parameter_group(served, maxmemory_policy="noeviction")
    rows = client.describe_cache_parameters(CacheParameterGroupName=name, Source="user")["Parameters"]
    assert [(row["ParameterName"], row["ParameterValue"]) for row in rows] == [("maxmemory-policy", "noeviction")]
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        set_parameters(served, name, appendonly="yes", maxmemory_policy="never")
    assert client.describe_cache_parameters(CacheParameterGroupName=name, Source="user")["Parameters"] == rows
    with pytest.raises(ClientError, match="Could not find parameter"):
        set_parameters(served, name, port="1")
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        set_parameters(served, "default." + parameters.family(), timeout="1")
    client.delete_cache_parameter_group(CacheParameterGroupName=name)
    with pytest.raises(ClientError, match="CacheParameterGroupNotFound"):
        client.describe_cache_parameter_groups(CacheParameterGroupName=name)


def test_a_node_that_is_not_available_cannot_reboot(served: Served) -> None:
    """InvalidCacheClusterState; CacheClusterNotFound; and a node that there is not."""
    client, cluster = served.client("elasticache"), create(served)
    with pytest.raises(ClientError, match="CacheClusterNotFound"):
        client.reboot_cache_cluster(CacheClusterId="nobody", CacheNodeIdsToReboot=["0001"])
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        client.reboot_cache_cluster(CacheClusterId=cluster, CacheNodeIdsToReboot=["0002"])
    client.delete_cache_cluster(CacheClusterId=cluster)
    with pytest.raises(ClientError, match=r"InvalidCacheClusterState|CacheClusterNotFound"):
        client.reboot_cache_cluster(CacheClusterId=cluster, CacheNodeIdsToReboot=["0001"])


def test_events_are_of_a_source_and_a_span(served: Served) -> None:
    """A source needs its type; none are of the future; the AWS CLI reads them in pages."""
    client, cluster = served.client("elasticache"), create(served)
    with pytest.raises(ClientError, match="InvalidParameterCombination"):
        client.describe_events(SourceIdentifier=cluster)
    later = datetime.now(UTC) + timedelta(hours=1)
    assert client.describe_events(StartTime=later, EndTime=later + timedelta(hours=1))["Events"] == []
    rows = served.cli_json("elasticache", "describe-events", "--duration", "60", "--page-size", "20")["Events"]
    assert cluster in {row["SourceIdentifier"] for row in rows}


def test_a_subnet_group_goes_once_nothing_is_in_it(served: Served) -> None:
    """DeleteCacheSubnetGroup is refused while a cluster is in it, and for one that there is not."""
    client, ec2 = served.client("elasticache"), served.client("ec2")
    subnets = [row["SubnetId"] for row in ec2.describe_subnets()["Subnets"]][:2]
    client.create_cache_subnet_group(
        CacheSubnetGroupName="cached", CacheSubnetGroupDescription="cached", SubnetIds=subnets
    )
    said = {"Engine": "redis", "CacheNodeType": "cache.t4g.small", "NumCacheNodes": 1}
    client.create_cache_cluster(CacheClusterId="inside", CacheSubnetGroupName="cached", **said)
    with pytest.raises(ClientError, match="CacheSubnetGroupInUse"):
        client.delete_cache_subnet_group(CacheSubnetGroupName="cached")
    client.delete_cache_cluster(CacheClusterId="inside")
    client.get_waiter("cache_cluster_deleted").wait(CacheClusterId="inside", WaiterConfig={"Delay": 1})
    client.delete_cache_subnet_group(CacheSubnetGroupName="cached")
    with pytest.raises(ClientError, match="CacheSubnetGroupNotFoundFault"):
        client.delete_cache_subnet_group(CacheSubnetGroupName="cached")
