"""Two Regions of one account: each is acted out on its own network, and only what is global is shared."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import redis
from botocore.exceptions import ClientError

from pytest_envdr.sandbox.control_plane import ecs, elasticache, elbv2, logs, rds, s3
from tests.sandbox.control_plane.balanced import SPEED, Balanced
from tests.sandbox.control_plane.fargate import Fargate, address, until
from tests.sandbox.control_plane.rds_rig import Rig
from tests.sandbox.control_plane.served import Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HERE, THERE = "eu-west-1", "eu-central-1"
NETWORK, OTHER_NETWORK = "127.7.0.0/16", "127.9.0.0/16"
TRUST = {"Version": "2012-10-17", "Statement": []}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The first Region, with the other one beside it."""
    directory = tmp_path_factory.mktemp("regions")
    modules = {"rds": rds, "elasticache": elasticache, "elbv2": elbv2, "ecs": ecs, "logs": logs, "s3": s3}
    with serving(
        directory, modules, region=HERE, network=NETWORK, speed=SPEED, beside=(THERE, OTHER_NETWORK)
    ) as served:
        assert served.beside is not None
        served.world.cache = served.beside.world.cache = directory / "cache"
        yield served


@pytest.fixture(scope="module")
def there(served: Served) -> Served:
    """The other Region."""
    assert served.beside is not None
    return served.beside


def test_a_service_runs_in_its_region(served: Served, there: Served, tmp_path: Path) -> None:
    """Tasks are processes on their Region's network behind a load balancer there; the other Region knows none."""
    balanced = Balanced(Fargate(there, tmp_path), "elsewhere")
    until(balanced.complete)
    assert balanced.status() == 200
    hosts = [address(task) for task in balanced.fargate.tasks("elsewhere")]
    assert len(hosts) == 2
    assert {host.rsplit(".", 2)[0] for host in [*hosts, balanced.url.split("/")[2]]} == {"127.9"}
    assert served.client("ecs").list_clusters()["clusterArns"] == []
    assert served.client("elbv2").describe_load_balancers()["LoadBalancers"] == []
    assert served.client("logs").describe_log_groups()["logGroups"] == []


def test_one_name_in_two_regions_is_two_databases(served: Served, there: Served) -> None:
    """An instance of the same name in the other Region is another server with other rows, at another address."""
    here, elsewhere = Rig(served), Rig(there)
    for rig, row in ((here, 1), (elsewhere, 2)):
        rig.create("twin")
        rig.query("twin", "CREATE TABLE orders (id INT PRIMARY KEY)", f"INSERT INTO orders VALUES ({row})")  # noqa: S608
    assert [rig.query("twin", "SELECT id FROM orders") for rig in (here, elsewhere)] == [((1,),), ((2,),)]
    assert elsewhere.row("twin")["Endpoint"]["Address"].startswith("127.9.")
    assert elsewhere.row("twin")["DBInstanceArn"].split(":")[3] == THERE
    here.delete("twin")
    assert elsewhere.query("twin", "SELECT id FROM orders") == ((2,),)


def test_a_cache_runs_in_its_region(served: Served, there: Served) -> None:
    """A cache is a real Redis on its Region's network, of which the other Region knows nothing."""
    client = there.client("elasticache")
    client.create_cache_cluster(CacheClusterId="c", Engine="redis", CacheNodeType="cache.t4g.small", NumCacheNodes=1)
    client.get_waiter("cache_cluster_available").wait(CacheClusterId="c", WaiterConfig={"Delay": 0.1})
    [row] = client.describe_cache_clusters(ShowCacheNodeInfo=True)["CacheClusters"]
    host = row["CacheNodes"][0]["Endpoint"]["Address"]
    assert host.startswith("127.9.")
    assert redis.Redis(host).ping()
    assert served.client("elasticache").describe_cache_clusters()["CacheClusters"] == []


def test_a_third_region_acts_nothing_out(served: Served) -> None:
    """Where no control loop acts, what would have to be acted out is not implemented, and nothing is recorded."""
    third = Served(served.world.elsewhere("us-east-2", served.world.network))
    client = third.client("ecs")
    client.create_cluster(clusterName="c")
    container = {"name": "main", "image": "registry/program", "memory": 64}
    client.register_task_definition(family="f", containerDefinitions=[container])
    with pytest.raises(ClientError, match="NotImplementedInSandbox"):
        client.create_service(cluster="c", serviceName="s", taskDefinition="f", desiredCount=1)
    assert client.list_services(cluster="c")["serviceArns"] == []


def test_global_names_collide(served: Served, there: Served) -> None:
    """A bucket's name is taken in all Regions and accounts, a role's in all Regions of the account."""
    served.client("s3").create_bucket(Bucket="taken", CreateBucketConfiguration={"LocationConstraint": HERE})
    with pytest.raises(ClientError, match="BucketAlreadyOwnedByYou"):
        there.client("s3").create_bucket(Bucket="taken", CreateBucketConfiguration={"LocationConstraint": THERE})
    served.client("iam").create_role(RoleName="taken", AssumeRolePolicyDocument=json.dumps(TRUST))
    with pytest.raises(ClientError, match="EntityAlreadyExists"):
        there.client("iam").create_role(RoleName="taken", AssumeRolePolicyDocument=json.dumps(TRUST))
    assert there.client("s3").get_bucket_location(Bucket="taken")["LocationConstraint"] == HERE
