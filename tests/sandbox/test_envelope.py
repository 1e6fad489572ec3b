"""The embedded stack as a whole, asked through its load balancers and its API."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from pytest_envdr.aws import Aws, elbv2
from pytest_envdr.sandbox.envelope.account import Account
from pytest_envdr.sandbox.envelope.names import CACHE, CLUSTER, DATABASE, SERVICES
from pytest_envdr.stack import Stack, read
from pytest_envdr.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PAGES = {"api": "/api/tenants", "hq": "/hq/tenants", "tenant": "/t/acme/orders"}


@pytest.fixture(scope="module")
def stack(sandbox_stack: Path) -> Stack:
    """The running stack."""
    return read(sandbox_stack)


@pytest.fixture(scope="module")
def account(stack: Stack) -> Account:
    """Plain boto3 clients of it."""
    return Account(type("Place", (), {"region": stack.region, "endpoint": stack.endpoint})())


def get(stack: Stack, service: str, path: str) -> http.client.HTTPResponse:
    """The answer of a page through the service's load balancer."""
    probe = stack.services[service].probe
    connection = http.client.HTTPConnection(str(urlsplit(probe.url).hostname), urlsplit(probe.url).port, timeout=20)
    connection.request("GET", path, headers={"Host": str(probe.host), "Connection": "close"})
    answer = connection.getresponse()
    answer.read()
    return answer


def artisan(account: Account, *words: str) -> None:
    """Run an artisan command as a task of its own, with the api's definition; it must succeed."""
    ecs = account.client("ecs")
    network = ecs.describe_services(cluster=CLUSTER, services=["envelope-prod-api"])["services"][0]
    (task,) = ecs.run_task(
        cluster=CLUSTER,
        taskDefinition="envelope-prod-api",
        launchType="FARGATE",
        networkConfiguration=network["networkConfiguration"],
        overrides={"containerOverrides": [{"name": "api", "command": ["php", "artisan", *words]}]},
    )["tasks"]

    def ended() -> dict[str, Any]:
        return dict(ecs.describe_tasks(cluster=CLUSTER, tasks=[task["taskArn"]])["tasks"][0])

    row = wait_until(ended, lambda now: now["lastStatus"] == "STOPPED", what="the command's end", deadline=60)
    assert row["containers"][0]["exitCode"] == 0


@pytest.fixture
def maintenance(account: Account) -> Iterator[Callable[[], None]]:
    """Maintenance mode, on; call it to end it."""
    artisan(account, "down", "--retry=7")
    yield lambda: artisan(account, "up")
    artisan(account, "up")


def test_it_is_as_the_plan_names_it(account: Account) -> None:
    """All six services run what they should, none of them by more than one deployment."""
    rows = account.client("ecs").describe_services(cluster=CLUSTER, services=[row.name for row in SERVICES])["services"]
    assert {row["serviceName"]: row["desiredCount"] for row in rows} == {row.name: row.desired for row in SERVICES}
    assert all(row["runningCount"] == row["desiredCount"] and len(row["deployments"]) == 1 for row in rows)


def test_the_three_tiers_are_there(account: Account, stack: Stack) -> None:
    """Public, private and data subnets, and each part stands in its own."""
    rows = account.client("ec2").describe_subnets(Filters=[{"Name": "tag:Name", "Values": ["envelope-prod-*"]}])
    names = {tag["Value"] for row in rows["Subnets"] for tag in row["Tags"]}
    assert names == {f"envelope-prod-{tier}-{zone}" for tier in ("public", "private", "data") for zone in "ab"}
    database = account.client("rds").describe_db_instances(DBInstanceIdentifier=DATABASE)["DBInstances"][0]
    nodes = account.client("elasticache").describe_cache_clusters(CacheClusterId=CACHE, ShowCacheNodeInfo=True)
    public = str(urlsplit(stack.services["api"].probe.url).hostname).split(".")
    for address in (
        database["Endpoint"]["Address"],
        nodes["CacheClusters"][0]["CacheNodes"][0]["Endpoint"]["Address"],
    ):
        assert address.split(".")[:3] == [*public[:2], "64"]


def test_a_host_that_nobody_has_is_not_found(stack: Stack) -> None:
    """The load balancer routes by host, and says 404 itself for one that it does not know."""
    url = urlsplit(stack.services["api"].probe.url)
    connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=20)
    connection.request("GET", "/", headers={"Host": "nobody.envelope.test"})
    assert connection.getresponse().status == 404


def test_maintenance_holds_for_all_services_at_once(stack: Stack, maintenance: Callable[[], None]) -> None:
    """`php artisan down` as a task: every page of every service answers 503 with Retry-After, the targets stay healthy;
    `up` ends it."""
    for service, page in PAGES.items():
        answers = [get(stack, service, page) for _ in range(4)]
        assert {answer.status for answer in answers} == {503}
        assert {answer.getheader("Retry-After") for answer in answers} == {"7"}
        assert get(stack, service, "/up").status == 200
    assert all(target.state == "healthy" for target in targets(stack))
    maintenance()
    assert {get(stack, service, page).status for service, page in PAGES.items()} == {200}


def targets(stack: Stack) -> list[Any]:
    """The targets of all services."""
    aws = Aws(stack)
    groups = [row["TargetGroupArn"] for row in aws.call("elbv2.DescribeTargetGroups", what="groups")["TargetGroups"]]
    return [target for group in groups for target in elbv2.target_health(aws, group)]
