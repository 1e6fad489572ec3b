"""What a pipeline's deploy action has brought to a service, told by ECS.

Which deployment was its, CodePipeline need not tell: its reference says that an action has an external id, and not what
the id is of (the sandbox gives the deployment's, as CodeBuild's action gives the build's). So an id that is no
deployment of the service says nothing, and then time tells: the change of the service that was made while the action
ran, to a revision that was registered meanwhile. Of two such changes nobody can tell which was its.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from pytest_envdr.aws import ecs, ecs_definitions, ecs_deployments

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from pytest_envdr.aws import Aws
    from pytest_envdr.aws.codepipeline_executions import Action

APART = timedelta(seconds=1)
"""How far the clocks of CodePipeline and ECS may be from each other."""
BEGINS = timedelta(seconds=10)
"""How long a deploy action may take to tell its deployment; one that was abandoned may still begin it."""


@dataclass(frozen=True)
class Deployed:
    """What a deploy action brought to a service: a task definition (its ARN), by a deployment (its id; "" where ECS
    shows none of it)."""

    deployment: str
    task_definition: str


def deployed(aws: Aws, cluster: str, service: str, run: Action) -> list[Deployed]:
    """What a deploy action has brought to a service: one, or none (yet). More than one are changes of which nobody can
    tell which was its."""
    if run.external and (definition := _brought_by(aws, cluster, service, run.external)):
        return [Deployed(run.external, definition)]
    if run.status == "Failed" and not run.external:
        return []  # before it came as far as that
    ended = None if run.status == "InProgress" else run.updated_at + BEGINS
    changes = ecs_deployments.changes(aws, cluster, service, since=run.started_at - APART, until=ended)
    definitions = dict.fromkeys(ecs_deployments.task_definition_of(aws, one.revision) for one in reversed(changes))
    return [
        Deployed(_bringing(aws, cluster, service, arn), arn)
        for arn in definitions
        if arn and _registered_since(aws, arn, run.started_at - APART)
    ]


def _brought_by(aws: Aws, cluster: str, service: str, deployment: str) -> str:
    """The task definition (its ARN) that a deployment (its id) brings: by the service, else by the tasks that it
    started; "" where ECS tells of neither."""
    for one in ecs.service(aws, service, cluster).deployments:
        if one.id == deployment:
            return one.task_definition
    return next((task.task_definition for task in _tasks(aws, cluster, service) if task.started_by == deployment), "")


def _bringing(aws: Aws, cluster: str, service: str, definition: str) -> str:
    """The deployment (its id) that brings a task definition (its ARN), in the same way."""
    for one in ecs.service(aws, service, cluster).deployments:
        if one.task_definition == definition:
            return one.id
    return next((task.started_by for task in _tasks(aws, cluster, service) if task.task_definition == definition), "")


def _tasks(aws: Aws, cluster: str, service: str) -> Iterator[ecs.Task]:
    for status in ("RUNNING", "STOPPED"):
        yield from ecs.tasks(aws, cluster, service, status=status)


def _registered_since(aws: Aws, definition: str, since: datetime) -> bool:
    at = ecs_definitions.task_definition(aws, definition).registered_at
    return at is not None and at >= since
