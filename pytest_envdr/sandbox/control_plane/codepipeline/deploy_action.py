"""The deploy action for ECS: another image in the service's task definition, and a look at whether it gets there.

As CodePipeline does, it takes the service's own task definition, puts the images of `imagedefinitions.json` in it,
registers that as a new revision, updates the service and waits until it is steady on that revision. It looks at nothing
else: where the circuit breaker rolls the deployment back, the action stays in progress until its time is up
(`DeploymentTimeout`, minutes, 60 at most and by default, AWS's minutes).
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from pytest_envdr.sandbox.control_plane.codepipeline.errors import ActionFailed
from pytest_envdr.sandbox.control_plane.codepipeline.execution import Outcome

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_plane.codepipeline.job import Job

FILE_NAME = "imagedefinitions.json"
TIMEOUT_MINUTES = 60.0
KEPT = (
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
    "ephemeralStorage",
    "runtimePlatform",
)
"""What RegisterTaskDefinition takes of what DescribeTaskDefinition shows."""


def run(job: Job) -> Outcome:
    """Deploy, and wait until the service is steady.

    Raises:
        ActionFailed: the file says no images, ECS refuses, or the time is up.
        Abandoned: nobody waits any more; the deployment goes on.
    """
    images = _images(job)
    configuration = job.action.configuration
    cluster, service = configuration["ClusterName"], configuration["ServiceName"]
    try:
        deployment = _deploy(job.client("ecs"), cluster, service, images)
        job.note(deployment["id"], _url(job, cluster, service))
        _wait(job, cluster, service, deployment)
    except (ClientError, BotoCoreError) as error:
        words = f"The ECS service cannot be updated due to an unexpected error: {error}. Check your ECS service logs."
        raise ActionFailed("JobFailed", words) from error
    return Outcome(summary=f"Deployment {deployment['id']} succeeded")


def _images(job: Job) -> dict[str, str]:
    """Container name -> image."""
    name = job.action.configuration.get("FileName", FILE_NAME)
    text = job.file(next(iter(job.run.inputs.values())), name)
    try:
        images = {str(row["name"]): str(row["imageUri"]) for row in json.loads(text)}
    except (ValueError, TypeError, LookupError) as error:
        raise ActionFailed(
            "ConfigurationError", f"The image definition file {name} contains invalid JSON format"
        ) from error
    if not images:
        raise ActionFailed("ConfigurationError", f"The image definition file {name} names no container")
    return images


def _deploy(ecs: Any, cluster: str, service: str, images: dict[str, str]) -> dict[str, Any]:
    """Register and update; the new deployment."""
    found = ecs.describe_services(cluster=cluster, services=[service])["services"]
    if not found or found[0]["status"] != "ACTIVE":
        raise ActionFailed("ConfigurationError", f"The service {service} in the cluster {cluster} is not ACTIVE")
    definition = ecs.describe_task_definition(taskDefinition=found[0]["taskDefinition"], include=["TAGS"])
    wanted = {key: value for key, value in definition["taskDefinition"].items() if key in KEPT}
    names = [container["name"] for container in wanted["containerDefinitions"]]
    unknown = sorted(images.keys() - set(names))
    if unknown:
        raise ActionFailed("ConfigurationError", f"The task definition does not have a container {unknown[0]}")
    wanted["containerDefinitions"] = [
        {**container, "image": images.get(container["name"], container["image"])}
        for container in wanted["containerDefinitions"]
    ]
    tags = {"tags": definition["tags"]} if definition.get("tags") else {}
    made = ecs.register_task_definition(**wanted, **tags)["taskDefinition"]["taskDefinitionArn"]
    updated = ecs.update_service(cluster=cluster, service=service, taskDefinition=made)["service"]
    deployment: dict[str, Any] = next(row for row in updated["deployments"] if row["status"] == "PRIMARY")
    return deployment


def _wait(job: Job, cluster: str, service: str, deployment: dict[str, Any]) -> None:
    minutes = float(job.action.configuration.get("DeploymentTimeout", TIMEOUT_MINUTES))
    end = time.monotonic() + job.world.scaled(60 * minutes)
    while not _steady(job.client("ecs"), cluster, service, deployment):
        if time.monotonic() > end:
            raise ActionFailed(
                "JobFailed", f"The service {service} was not steady on the new revision within {minutes:g} minutes"
            )
        job.pause()


def _steady(ecs: Any, cluster: str, service: str, deployment: dict[str, Any]) -> bool:
    row = ecs.describe_services(cluster=cluster, services=[service])["services"][0]
    alone = [one["id"] for one in row["deployments"]] == [deployment["id"]]
    return bool(alone and row["runningCount"] == row["desiredCount"] and not row["pendingCount"])


def _url(job: Job, cluster: str, service: str) -> str:
    region = job.world.region
    return f"https://console.aws.amazon.com/ecs/home?region={region}#/clusters/{cluster}/services/{service}"
