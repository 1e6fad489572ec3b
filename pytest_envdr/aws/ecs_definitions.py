"""ECS: task definitions, read and registered anew with other variables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_envdr.aws import Act
from pytest_envdr.journal import Inverse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pytest_envdr.aws import Aws
    from pytest_envdr.journal import Journal

TAKEN = (
    "family",
    "taskRoleArn",
    "executionRoleArn",
    "networkMode",
    "containerDefinitions",
    "volumes",
    "placementConstraints",
    "requiresCompatibilities",
    "cpu",
    "memory",
    "pidMode",
    "ipcMode",
    "proxyConfiguration",
    "inferenceAccelerators",
    "ephemeralStorage",
    "runtimePlatform",
    "enableFaultInjection",
)
"""What of a task definition RegisterTaskDefinition takes again."""
NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True)
class Container:
    """A container of a task definition. Without the driver awslogs there is no log group; `secrets` has the ARN or name
    that each variable's value comes from."""

    name: str
    image: str
    environment: Mapping[str, str]
    ports: tuple[int, ...]
    log_group: str
    log_prefix: str
    log_region: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict)

    def log_stream(self, task: str) -> str:
        """Where a task's (its id) output of this container goes."""
        return f"{self.log_prefix}/{self.name}/{task}"


@dataclass(frozen=True)
class TaskDefinition:
    """A revision of a task definition. `registered_at` is None where ECS does not say."""

    arn: str
    family: str
    status: str
    containers: tuple[Container, ...]
    registered_at: datetime | None = None

    def container(self, name: str) -> Container:
        """The container of that name, else the first."""
        return next((one for one in self.containers if one.name == name), self.containers[0])


def task_definition(aws: Aws, arn: str) -> TaskDefinition:
    """A revision.

    Raises:
        AwsError: there is none (ECS: ClientException).
    """
    row = _described(aws, arn)
    return TaskDefinition(
        row["taskDefinitionArn"],
        row["family"],
        row["status"],
        tuple(map(_container, row["containerDefinitions"])),
        row.get("registeredAt"),
    )


def register_revision(
    aws: Aws,
    journal: Journal,
    like: str,
    *,
    environment: Mapping[str, str] = NOTHING,
    images: Mapping[str, str] = NOTHING,
) -> str:
    """Register a revision like another one (its ARN); its ARN. It is deployed nowhere yet.

    Args:
        aws: the account.
        journal: where its deregistration is written first.
        like: the revision that all else is taken from.
        environment: variables that say otherwise wherever they are set.
        images: container to the image that it runs instead.
    """
    row = _described(aws, like)
    definition = {key: row[key] for key in TAKEN if row.get(key)}
    definition["containerDefinitions"] = [
        {
            **container,
            "environment": _replaced(container.get("environment", []), environment),
            "image": images.get(container["name"], container["image"]),
        }
        for container in row["containerDefinitions"]
    ]
    exercise, family = journal.header.exercise, row["family"]
    inverse = Inverse(
        "ecs.DeregisterTaskDefinition",
        {"family": family, "exercise": exercise},
        f"no revision of {family} that the drill made",
    )
    tags = [{"key": "envdr:exercise", "value": exercise}, {"key": "envdr:source", "value": like}]
    act = Act(
        "ecs.RegisterTaskDefinition",
        {**definition, "tags": tags},
        inverse,
        f"A revision of {family} cannot be registered",
    )

    def kept(answer: dict[str, Any]) -> dict[str, Any]:
        return {"taskDefinition": answer["taskDefinition"]["taskDefinitionArn"]}

    return str(aws.act(journal, act, kept=kept)["taskDefinition"]["taskDefinitionArn"])


def revisions_of(aws: Aws, family: str, *, exercise: str) -> list[str]:
    """The ACTIVE revisions of a family that an exercise made; they are among the newest ones."""
    what = f"The revisions of {family} cannot be read"
    arns = aws.call(
        "ecs.ListTaskDefinitions", what=what, familyPrefix=family, status="ACTIVE", sort="DESC", maxResults=20
    )["taskDefinitionArns"]
    found = []
    for arn in arns:
        answer = aws.call("ecs.DescribeTaskDefinition", what=what, taskDefinition=arn, include=["TAGS"])
        if {"key": "envdr:exercise", "value": exercise} in answer.get("tags", []):
            found.append(str(arn))
    return found


def _described(aws: Aws, arn: str) -> dict[str, Any]:
    what = f"Task definition {arn.rpartition('/')[2]} cannot be read"
    return dict(aws.call("ecs.DescribeTaskDefinition", what=what, taskDefinition=arn)["taskDefinition"])


def _replaced(pairs: list[dict[str, str]], values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": one["name"], "value": values.get(one["name"], one["value"])} for one in pairs]


def _container(row: Mapping[str, Any]) -> Container:
    log = row.get("logConfiguration") or {}
    options = log.get("options", {}) if log.get("logDriver") == "awslogs" else {}
    return Container(
        name=row["name"],
        image=row.get("image", ""),
        environment={one["name"]: one["value"] for one in row.get("environment", [])},
        ports=tuple(one["containerPort"] for one in row.get("portMappings", []) if "containerPort" in one),
        log_group=options.get("awslogs-group", ""),
        log_prefix=options.get("awslogs-stream-prefix", ""),
        log_region=options.get("awslogs-region", ""),
        secrets={one["name"]: one["valueFrom"] for one in row.get("secrets", [])},
    )
