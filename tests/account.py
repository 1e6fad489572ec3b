"""An AWS account for tests: a stock moto server in a process of its own, spoken to over HTTP."""

from __future__ import annotations

import atexit
import functools
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3

from pytest_envdr.stack import Stack
from pytest_envdr.waiting import wait_until

ACCOUNT = "123456789012"
REGION = "eu-west-1"
CLUSTER = "prod-cluster"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"


@functools.cache
def endpoint() -> str:
    """The URL of a moto server that ends with this process."""
    log = Path(tempfile.mkstemp(prefix="moto-", suffix=".log")[1])
    command = [
        "setpriv",
        "--pdeathsig",
        "KILL",
        "--",
        sys.executable,
        "-m",
        "moto.server",
        "-H",
        "127.0.0.1",
        "-p",
        "0",
    ]
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output)
    atexit.register(log.unlink)
    atexit.register(server.kill)
    found = wait_until(
        lambda: re.search(r"http://127\.0\.0\.1:\d+", log.read_text()), what="moto's server", deadline=30, interval=0.05
    )
    assert found is not None
    return found.group()


def stack(**changes: Any) -> Stack:
    """A stack in that account."""
    content = {
        "name": "test",
        "kind": "sandbox",
        "endpoint": endpoint() if "endpoint" not in changes else None,
        "account": ACCOUNT,
        "region": REGION,
        "credentials": {"access_key_id": "test", "secret_access_key": "test"},
        "services": {
            "api": {
                "name": "prod-api",
                "cluster": CLUSTER,
                "probe": {"kind": "http", "url": "http://127.0.0.1:1"},
                "alarms": ["prod-api-5xx"],
            }
        },
        "notifications": {"topic": TOPIC},
        "path": Path("stack.toml"),
    }
    return Stack(**{**content, **changes})


def plain(service: str, region: str = REGION) -> Any:
    """A boto3 client of that account, without the guard."""
    return boto3.client(
        service,  # type: ignore[call-overload] # the stubs want a literal
        endpoint_url=endpoint(),
        region_name=region,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106
    )


def unique(word: str) -> str:
    """A name that no other test uses."""
    return f"{word}-{uuid4().hex[:6]}"


def ecs_service(*, desired: int = 2, minimum: int | None = None) -> str:
    """The name of a new service in CLUSTER, with a scalable target where `minimum` is given."""
    name = unique("svc")
    ecs = plain("ecs")
    ecs.create_cluster(clusterName=CLUSTER)
    ecs.register_task_definition(family=name, containerDefinitions=[{"name": "app", "image": "app", "memory": 64}])
    ec2 = plain("ec2")
    network = {
        "subnets": [ec2.describe_subnets()["Subnets"][0]["SubnetId"]],
        "securityGroups": [ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]],
    }
    ecs.create_service(
        cluster=CLUSTER,
        serviceName=name,
        taskDefinition=name,
        desiredCount=desired,
        launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": network},
    )
    if minimum is not None:
        plain("application-autoscaling").register_scalable_target(
            ServiceNamespace="ecs",
            ResourceId=f"service/{CLUSTER}/{name}",
            ScalableDimension="ecs:service:DesiredCount",
            MinCapacity=minimum,
            MaxCapacity=4,
        )
    return name


def desired_count(name: str) -> int:
    """What ECS itself says."""
    return int(plain("ecs").describe_services(cluster=CLUSTER, services=[name])["services"][0]["desiredCount"])
