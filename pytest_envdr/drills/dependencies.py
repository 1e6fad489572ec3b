"""What a stack stands on, and whether what was built in the standby Region stands on that Region alone.

A smoke test passes as well where the standby's tasks write to the primary's database. So their settings are read, as
ECS has them: every address, ARN, image and log group of theirs must be in their own Region (aws-semantics 9.9).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_envdr.aws import ecs, ecs_definitions, elasticache, elbv2
from pytest_envdr.drills import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_envdr.aws import Aws
    from pytest_envdr.aws.ecs_definitions import Container
    from pytest_envdr.aws.elbv2 import LoadBalancer
    from pytest_envdr.aws.rds import Instance
    from pytest_envdr.drills import Drill

DEPENDS = "region.depends-on-primary"


def balancers(aws: Aws) -> dict[str, LoadBalancer]:
    """The load balancer of each service (key of `services`) that has one."""
    found: dict[str, LoadBalancer] = {}
    for word, row in aws.stack.services.items():
        for one in ecs.service(aws, row.name, row.cluster).load_balancers:
            for arn in elbv2.target_group(aws, one.target_group).load_balancers if one.target_group else ():
                found[word] = elbv2.load_balancer(aws, arn)
    return found


def addresses(aws: Aws, instance: Instance) -> dict[str, str]:
    """Where a Region's database, cache and load balancers answer -> what answers there."""
    found = {instance.host: f"database {instance.identifier}"}
    found |= {one.host: f"load balancer {one.name}" for one in balancers(aws).values()}
    name = aws.stack.queue.cache if aws.stack.queue else ""
    group = elasticache.existing_group(aws, name) if name else None
    for shard in group.shards if group else ():
        ends = [shard.primary_endpoint, shard.reader_endpoint, *(member.endpoint for member in shard.members)]
        found |= {end[0]: f"cache {name}" for end in ends if end}
    return {host: what for host, what in found.items() if host}


def check(aws: Aws, drill: Drill, *, primary: str, foreign: Mapping[str, str], digests: Mapping[str, str]) -> None:
    """Tell where the tasks of the standby Region are told to go, and find what is elsewhere.

    Args:
        aws: the standby Region.
        drill: whose report it is.
        primary: the other Region.
        foreign: where that one's parts answer.
        digests: image to the digest that runs there; the same must run here.
    """
    rows, own = [], frozenset(digests.values())
    for row in aws.stack.services.values():
        service = ecs.service(aws, row.name, row.cluster)
        for container in ecs_definitions.task_definition(aws, service.task_definition).containers:
            for finding in findings(row.name, container, primary=primary, foreign=foreign):
                drill.finding(finding)
            told = [f"{key}={value}" for key, value in container.environment.items() if key.endswith(("HOST", "URL"))]
            rows.append((row.name, container.image, ", ".join(told)))
        for finding in _other_images(aws, row.name, row.cluster, own):
            drill.finding(finding)
    drill.table("What the standby Region's tasks are told", ("service", "image", "where to"), rows)


def findings(service: str, container: Container, *, primary: str, foreign: Mapping[str, str]) -> Iterator[Finding]:
    """What a container is told that is in the primary Region. Values may be secret, so only the variable is named."""
    said = {f"variable {name}": value for name, value in container.environment.items()}
    said |= {f"secret {name}": value for name, value in container.secrets.items()}
    said |= {"image": container.image, "log group": container.log_region}
    for place, value in said.items():
        if what := _named(value, primary, foreign):
            yield Finding(
                DEPENDS,
                "failure",
                f"{service} in the standby Region depends on the primary",
                f"{place} of container {container.name} names {what}",
                "What the standby Region runs on must be in the standby Region.",
            )


def _named(value: str, primary: str, foreign: Mapping[str, str]) -> str:
    """What of the primary a value names; "" for nothing. Whole words: 10.0.0.1 is not in 10.0.0.12."""
    for word, what in {**foreign, primary: primary}.items():
        if re.search(rf"(?<![\w-])(?<!\d\.){re.escape(word)}(?![\w-]|\.\d)", value):
            return what
    return ""


def _other_images(aws: Aws, name: str, cluster: str, digests: frozenset[str]) -> Iterator[Finding]:
    """Tasks that run another image than the primary's, whatever its tag says."""
    for task in ecs.tasks(aws, cluster, name):
        for container, digest in task.digests.items():
            if digest not in digests:
                yield Finding(
                    "region.other-image",
                    "failure",
                    f"{name} in the standby Region runs another image than the primary did",
                    f"container {container}: {digest[:19]}",
                    "Let the modules name the image by its digest.",
                )
