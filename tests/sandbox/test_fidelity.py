"""`acted` is itself proven: freeze the real part, and each call so marked turns unhealthy or fails."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.sandbox import Sandbox
from pytest_envdr.sandbox.envelope.account import Account
from pytest_envdr.sandbox.envelope.names import CACHE, CLUSTER, DATABASE, PUBLIC
from pytest_envdr.sandbox.fidelity import ACTED, HEADER
from pytest_envdr.sandbox.server import SERVICES
from pytest_envdr.stack import read
from pytest_envdr.waiting import pause
from tests.drills import lanes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WORKER, API = "envelope-prod-worker", "envelope-prod-api"
SECONDS = 40.0


class Stack:
    """A sandbox of this module's own, and its processes."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.directory = sandbox.stack.parent
        stack = read(sandbox.stack)
        self.account = Account(type("Place", (), {"region": stack.region, "endpoint": stack.endpoint})())

    def client(self, service: str) -> Any:
        """The boto3 client of a service."""
        return self.account.client(service)

    def processes(self, *words: str) -> list[int]:
        """The stack's processes with all these words in command line and environment."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                said = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
                said += bytes((process / "cwd").readlink())
            except OSError:
                continue
            text = said.replace(b"\0", b" ").decode(errors="replace")
            if str(self.directory) in text and all(word in text for word in words):
                found.append(int(process.name))
        return found

    @contextmanager
    def frozen(self, *words: str) -> Iterator[None]:
        """Those processes stopped; what is left of them goes on afterwards."""
        pids = self.processes(*words)
        assert pids, f"no process with {words}"
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGCONT)
                except ProcessLookupError:
                    continue


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A sandbox that only this module breaks."""
    with Sandbox(speed=30, tenants=1) as sandbox:
        yield Stack(sandbox)


def _service(stack: Stack, name: str) -> dict[str, Any]:
    return dict(stack.client("ecs").describe_services(cluster=CLUSTER, services=[name])["services"][0])


def _tasks(stack: Stack) -> list[str]:
    return list(stack.client("ecs").list_tasks(cluster=CLUSTER, serviceName=WORKER)["taskArns"])


def _updated(stack: Stack) -> bool:
    answer = stack.client("ecs").update_service(cluster=CLUSTER, service=WORKER)["service"]
    return bool(answer["runningCount"] == answer["desiredCount"])


def _unhealthy_tasks(stack: Stack, before: list[str]) -> bool:
    tasks = stack.client("ecs").describe_tasks(cluster=CLUSTER, tasks=before)["tasks"]
    return all(task["lastStatus"] == "RUNNING" and task["healthStatus"] == "HEALTHY" for task in tasks)


def _targets(stack: Stack) -> bool:
    elbv2 = stack.client("elbv2")
    group = elbv2.describe_target_groups(Names=[API])["TargetGroups"][0]["TargetGroupArn"]
    rows = elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    return bool(rows) and all(row["TargetHealth"]["State"] == "healthy" for row in rows)


def _running(stack: Stack) -> int:
    return int(stack.client("ecs").describe_clusters(clusters=[CLUSTER])["clusters"][0]["runningTasksCount"])


def _restarts(stack: Stack) -> int:
    rows = stack.client("rds").describe_events(SourceIdentifier=DATABASE, SourceType="db-instance", Duration=60)
    return sum("restarted" in row["Message"] for row in rows["Events"])


def _cache(stack: Stack) -> bool:
    rows = stack.client("elasticache").describe_cache_clusters()["CacheClusters"]
    return bool(rows) and all(row["CacheClusterStatus"] == "available" for row in rows)


def _cache_group(stack: Stack) -> bool:
    rows = stack.client("elasticache").describe_replication_groups(ReplicationGroupId=CACHE)["ReplicationGroups"]
    return bool(rows[0]["Status"] == "available")


def _database(stack: Stack) -> bool:
    rows = stack.client("rds").describe_db_instances(DBInstanceIdentifier=DATABASE)["DBInstances"]
    return bool(rows[0]["DBInstanceStatus"] == "available")


def _balancer(stack: Stack) -> bool:
    rows = stack.client("elbv2").describe_load_balancers(Names=[PUBLIC])["LoadBalancers"]
    return bool(rows[0]["State"]["Code"] == "active")


def _same_tasks(stack: Stack) -> Callable[[], bool]:
    before = sorted(_tasks(stack))
    return lambda: sorted(_tasks(stack)) == before


def _same_health(stack: Stack) -> Callable[[], bool]:
    before = _tasks(stack)
    return lambda: _unhealthy_tasks(stack, before)


def _same_count(stack: Stack) -> Callable[[], bool]:
    before = _running(stack)
    return lambda: _running(stack) == before


def _same_restarts(stack: Stack) -> Callable[[], bool]:
    before = _restarts(stack)
    return lambda: _restarts(stack) == before


def _steady(stack: Stack) -> bool:
    row = _service(stack, WORKER)
    return bool(row["runningCount"] == row["desiredCount"])


PHP_WORKER, PHP_API = ("queue:work",), ("APP_SERVICE=api", "public")
CASES: dict[tuple[str, str], tuple[tuple[str, ...], Callable[[Stack], Callable[[], bool]]]] = {
    ("ecs", "DescribeServices"): (PHP_WORKER, lambda stack: lambda: _steady(stack)),
    ("ecs", "DescribeTasks"): (PHP_WORKER, _same_health),
    ("ecs", "ListTasks"): (PHP_WORKER, _same_tasks),
    ("ecs", "DescribeClusters"): (PHP_WORKER, _same_count),
    ("ecs", "UpdateService"): (PHP_WORKER, lambda stack: lambda: _updated(stack)),
    ("elbv2", "DescribeTargetHealth"): (PHP_API, lambda stack: lambda: _targets(stack)),
    ("elbv2", "DescribeLoadBalancers"): (("haproxy",), lambda stack: lambda: _balancer(stack)),
    ("rds", "DescribeDBInstances"): (("mariadbd",), lambda stack: lambda: _database(stack)),
    ("rds", "DescribeEvents"): (("mariadbd",), _same_restarts),
    ("elasticache", "DescribeCacheClusters"): (("redis-server",), lambda stack: lambda: _cache(stack)),
    ("elasticache", "DescribeReplicationGroups"): (("redis-server",), lambda stack: lambda: _cache_group(stack)),
}
"""Operation -> the part to freeze, and what to look at while it is frozen."""
ELSEWHERE = {
    ("rds", "DescribeDBSnapshots"),
    ("rds", "DescribeDBInstanceAutomatedBackups"),
    ("backup", "DescribeBackupJob"),
    ("backup", "DescribeRestoreJob"),
    ("s3", "GetObject"),
    ("s3", "CopyObject"),
    ("codebuild", "BatchGetBuilds"),
    ("codepipeline", "GetPipelineExecution"),
    ("codepipeline", "GetPipelineState"),
    ("codepipeline", "ListActionExecutions"),
    ("lambda", "Invoke"),
}
"""Proven in tests/sandbox/control_plane: in test_rds_automated_backups.py, for what is not made, or made no more, shows
only in the course of time; in test_backup_rds.py, where each job is watched with its server frozen; in
test_s3_content.py, where the stored bytes are damaged; in test_codepipeline.py, where a build's command is frozen; in
test_awslambda.py, where a function is."""


def _calm(stack: Stack) -> bool:
    """All is well, and nothing is being replaced any more."""
    rows = stack.client("ecs").describe_services(cluster=CLUSTER, services=[WORKER, API])["services"]
    tasks = [task for row in rows for task in _every_task(stack, row["serviceName"])]
    wanted = sum(row["desiredCount"] for row in rows)
    steady = len(tasks) == wanted and all(task["lastStatus"] == "RUNNING" for task in tasks)
    served = _steady(stack) and _targets(stack) and _balancer(stack)
    return steady and served and _database(stack) and _cache(stack) and _cache_group(stack)


def _every_task(stack: Stack, service: str) -> list[dict[str, Any]]:
    ecs = stack.client("ecs")
    arns = [
        arn
        for wanted in ("RUNNING", "STOPPED")
        for arn in ecs.list_tasks(cluster=CLUSTER, serviceName=service, desiredStatus=wanted)["taskArns"]
    ]
    rows = ecs.describe_tasks(cluster=CLUSTER, tasks=arns)["tasks"] if arns else []
    return [row for row in rows if row["lastStatus"] != "STOPPED"]


def _eventually(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + SECONDS
    while not true():
        if time.monotonic() > end:
            return False
        pause(0.05)
    return True


def test_each_acted_operation_has_its_proof() -> None:
    """No operation is marked `acted` without a case here that freezes its part."""
    acted = {
        (service, operation)
        for service, module in SERVICES.items()
        for operation, fidelity in module.FIDELITY.items()
        if fidelity == ACTED
    }
    assert acted - ELSEWHERE == set(CASES)


@pytest.mark.parametrize("case", lanes.thinned(list(CASES), every=2), ids=".".join)
def test_freezing_the_part_shows(stack: Stack, case: tuple[str, str]) -> None:
    """Well before; with the real part frozen no longer; and well again after it went on or was replaced."""
    part, watch = CASES[case]
    assert _eventually(lambda: _calm(stack))
    well = watch(stack)
    assert well()
    with stack.frozen(*part):
        assert _eventually(lambda: not well()), f"{case[1]} looks well with {part} frozen"
    assert _eventually(lambda: _calm(stack))


def test_the_header_says_so(stack: Stack) -> None:
    """The answer itself carries its fidelity."""
    answer = stack.client("ecs").describe_services(cluster=CLUSTER, services=[API])
    assert answer["ResponseMetadata"]["HTTPHeaders"][HEADER] == ACTED


def test_a_missing_operation_is_a_clean_501(stack: Stack) -> None:
    """What the sandbox does not have is named, in the service's own protocol, and not retried."""
    client = stack.client("ecs")
    with pytest.raises(client.exceptions.ClientError, match="ecs ExecuteCommand") as caught:
        client.execute_command(cluster=CLUSTER, task="t", command="ls", interactive=True)
    answer = caught.value.response
    assert answer["Error"]["Code"] == "NotImplementedInSandbox"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert answer["ResponseMetadata"]["RetryAttempts"] == 0
