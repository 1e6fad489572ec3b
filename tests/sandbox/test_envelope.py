"""The embedded stack as a whole, asked through its load balancers and its API."""

from __future__ import annotations

import hashlib
import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pymysql
import pytest
import redis

from pytest_envdr.aws import Aws, elbv2
from pytest_envdr.sandbox.envelope import buckets
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
    names = {tag["Value"] for row in rows["Subnets"] for tag in row["Tags"] if tag["Key"] == "Name"}
    assert names == {f"envelope-prod-{tier}-{zone}" for tier in ("public", "private", "data") for zone in "ab"}
    database = account.client("rds").describe_db_instances(DBInstanceIdentifier=DATABASE)["DBInstances"][0]
    group = account.client("elasticache").describe_replication_groups(ReplicationGroupId=CACHE)["ReplicationGroups"][0]
    public = str(urlsplit(stack.services["api"].probe.url).hostname).split(".")
    for address in (
        database["Endpoint"]["Address"],
        group["NodeGroups"][0]["PrimaryEndpoint"]["Address"],
    ):
        assert address.split(".")[:3] == [*public[:2], "64"]


def test_the_cache_fails_over_and_evicts_nothing(account: Account) -> None:
    """The queue is in it: two nodes in two zones, automatic failover, and a parameter group of its own in effect."""
    client = account.client("elasticache")
    group = client.describe_replication_groups(ReplicationGroupId=CACHE)["ReplicationGroups"][0]
    assert (group["AutomaticFailover"], group["MultiAZ"]) == ("enabled", "enabled")
    members = group["NodeGroups"][0]["NodeGroupMembers"]
    assert sorted(member["PreferredAvailabilityZone"][-1] for member in members) == ["a", "b"]
    for member in members:
        found = client.describe_cache_clusters(CacheClusterId=member["CacheClusterId"], ShowCacheNodeInfo=True)
        row = found["CacheClusters"][0]
        own = {"CacheParameterGroupName": CACHE, "ParameterApplyStatus": "in-sync"}
        assert own.items() <= row["CacheParameterGroup"].items()
        endpoint = row["CacheNodes"][0]["Endpoint"]
        with redis.Redis(endpoint["Address"], endpoint["Port"], decode_responses=True) as node:
            assert node.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


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


def rows(account: Account, stack: Stack, statement: str, *, schema: str) -> list[tuple[Any, ...]]:
    """What the stack's database answers to its owner."""
    assert stack.database
    secret = account.client("secretsmanager").get_secret_value(SecretId=stack.database.secret)["SecretString"]
    where = json.loads(secret)
    with (
        pymysql.connect(
            host=where["host"],
            port=where["port"],
            user=where["username"],
            password=where["password"],
            database=schema,
            ssl_disabled=True,
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
        return list(cursor.fetchall())


def test_the_stack_file_has_what_the_data_scenarios_read(account: Account, stack: Stack) -> None:
    """Database, backup, maintenance and drill tenant are there; a day may be lost from a daily backup, and no more."""
    stack.needs("database", "backup", "maintenance", "drill_tenant")
    assert stack.drill_tenant
    slug = stack.drill_tenant.slug
    assert rows(account, stack, stack.drill_tenant.identity, schema=f"tenant_{slug}") == [(slug,)]
    assert rows(account, stack, "SELECT slug FROM tenants ORDER BY id DESC LIMIT 1", schema="central") == [(slug,)]
    day = 86_400 / stack.speed
    promised = stack.objectives["database_restore"]
    assert [promised.rpo_of(source) for source in ("point-in-time", "automated", "backup")] == [40, day, day]
    assert stack.objectives["tenant_bucket_recovery"].rpo_of("versions") == 5
    allowed = {word: approval.allows for word, approval in stack.approvals.items() if approval.allows}
    assert allowed == {
        "database_restore": ("cutover",),
        "single_tenant_recovery": ("swap",),
        "tenant_bucket_recovery": ("merge",),
        "worker_queue_recovery": ("reboot",),
        "control_plane_loss": ("state",),
    }


@pytest.mark.parametrize("slug", ["acme", "initech"])
def test_every_document_is_an_object_of_the_tenants_bucket(account: Account, stack: Stack, slug: str) -> None:
    """Each row's key leads to an object with the same bytes, which its metadata's digest is of, and the tag; no other
    document is there."""
    s3, bucket = account.client("s3"), f"envelope-prod-tenant-{slug}"
    found = rows(account, stack, "SELECT object_key, mime, content, sha256 FROM documents", schema=f"tenant_{slug}")
    assert len(found) == buckets.DOCUMENTS
    for key, mime, content, digest in found:
        answer = s3.get_object(Bucket=bucket, Key=key)
        assert (answer["Body"].read(), answer["ContentType"]) == (content, mime)
        assert answer["Metadata"]["sha256"] == digest.hex() == hashlib.sha256(content).hexdigest()
        tags = s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
        assert tags == [{"Key": "class", "Value": "document"}]
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="documents/")["Contents"]
    assert {row["Key"] for row in listed} == {row[0] for row in found}


def test_a_tenants_bucket_holds_what_a_recovery_gets_wrong(account: Account) -> None:
    """Old versions, a delete marker, an empty object, a key with spaces, percent, plus and Unicode, another storage
    class, compressed content."""
    s3, bucket = account.client("s3"), "envelope-prod-tenant-initech"
    answer = s3.list_object_versions(Bucket=bucket)
    assert [row["Key"] for row in answer["DeleteMarkers"]] == ["avatars/left-the-company.png"]
    old = [row["Key"] for row in answer["Versions"] if not row["IsLatest"]]
    assert old == ["avatars/2.png", "avatars/2.png", "avatars/left-the-company.png", "exports/orders.csv.gz"]
    newest = {row["Key"]: row for row in answer["Versions"] if row["IsLatest"]}
    assert newest["exports/.done"]["Size"] == 0
    assert newest["exports/2023/orders.csv"]["StorageClass"] == "STANDARD_IA"
    head = s3.head_object(Bucket=bucket, Key="exports/orders.csv.gz")
    assert (head["ContentEncoding"], head["Metadata"]) == ("gzip", {"edition": "2"})
    odd = s3.get_object(Bucket=bucket, Key="exports/année 2024/100% + tax (Steuer) 封筒.csv")
    assert odd["Body"].read().startswith(b"id;initech;total")


@pytest.mark.parametrize("slug", ["acme", "initech"])
def test_a_tenants_bucket_is_configured_as_the_table_says(account: Account, slug: str) -> None:
    """What the API tells of a bucket is what `tenant_bucket_configuration` gives, for the first and the last tenant."""
    s3, bucket = account.client("s3"), buckets.tenant_bucket(slug)
    for method, arguments in buckets.tenant_bucket_configuration(slug).items():
        [(member, wanted)] = arguments.items()
        answer = getattr(s3, method.replace("put_", "get_", 1))(Bucket=bucket)
        if member == "Policy":
            assert json.loads(answer[member]) == json.loads(wanted)
        else:
            told = answer.get(member, answer)
            assert {key: told.get(key) for key in wanted} == wanted, method
