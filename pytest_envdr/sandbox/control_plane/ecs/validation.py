"""What ECS refuses, with its error codes and words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from moto.ec2.exceptions import InvalidSubnetIdError

from pytest_envdr.sandbox.control_plane.ecs.circuit_breaker import TYPES
from pytest_envdr.sandbox.control_plane.ecs.errors import EcsClientException, InvalidParameterException

if TYPE_CHECKING:
    from collections.abc import Mapping

    from moto.ec2.models import EC2Backend
    from moto.ecs.models import Cluster, TaskDefinition

UNSUPPORTED = ("lifecycleHooks", "linearConfiguration", "canaryConfiguration")
SERVERLESS = ("FARGATE", "FARGATE_SPOT")
LAUNCH_TYPES = ("EC2", "FARGATE", "EXTERNAL")


def active(definition: TaskDefinition) -> TaskDefinition:
    """The definition, if tasks may be made from it."""
    if definition.status != "ACTIVE":
        raise EcsClientException("TaskDefinition is inactive")
    return definition


def launch_type(
    cluster: Cluster,
    definition: TaskDefinition,
    given: str | None,
    strategy: list[dict[str, Any]] | None,
) -> tuple[str | None, list[dict[str, Any]]]:
    """Launch type and capacity provider strategy as ECS resolves them: the cluster's default strategy, else EC2.

    Exactly one of the two is set.
    """
    if given and strategy:
        raise InvalidParameterException("Specify either Launch Type or Capacity Provider Strategy, but not both.")
    if given and given not in LAUNCH_TYPES:
        raise InvalidParameterException("launch type should be one of [EC2,FARGATE,EXTERNAL]")
    chosen = list(strategy or (() if given else cluster.default_capacity_provider_strategy or ()))
    if chosen:
        _known_provider(chosen)
        return None, chosen
    launch = given or "EC2"
    supported = definition.requires_compatibilities or ["EC2"]
    if launch not in supported:
        raise InvalidParameterException(f"Task definition does not support launch_type {launch}.")
    return launch, []


def _known_provider(strategy: list[dict[str, Any]]) -> None:
    for entry in strategy:
        if entry["capacityProvider"] not in SERVERLESS:
            raise InvalidParameterException("The specified capacity provider was not found.")


def network(ec2: EC2Backend, definition: TaskDefinition, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """The network configuration with what ECS fills in; empty for a task without an interface of its own."""
    if definition.network_mode != "awsvpc":
        return {}
    configuration = (given or {}).get("awsvpcConfiguration")
    if not configuration:
        raise InvalidParameterException(
            "Network Configuration must be provided when networkMode 'awsvpc' is specified."
        )
    if not configuration.get("subnets"):
        raise InvalidParameterException("subnets can not be empty.")
    filled = {"securityGroups": [], "assignPublicIp": "DISABLED", **configuration}
    _in_ec2(ec2, filled["subnets"], filled["securityGroups"])
    return {"awsvpcConfiguration": filled}


def _in_ec2(ec2: EC2Backend, subnets: list[str], groups: list[str]) -> None:
    for subnet in subnets:
        try:
            ec2.get_subnet(subnet)
        except InvalidSubnetIdError as error:
            raise InvalidParameterException(
                f"Error retrieving subnet information for [{subnet}]: {error.message} (ErrorCode: {error.code})"
            ) from error
    for group in groups:
        if ec2.get_security_group_from_id(group) is None:
            raise InvalidParameterException(
                f"Error retrieving security group information for [{group}]: The security group '{group}' does not "
                "exist (ErrorCode: InvalidGroup.NotFound)"
            )


def overrides(definition: TaskDefinition, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """RunTask's overrides, each for a container that there is."""
    names = {container["name"] for container in definition.container_definitions}
    for override in (given or {}).get("containerOverrides", []):
        if override.get("name") not in names:
            raise InvalidParameterException(
                f"Override for container named {override.get('name')} is not a container in the TaskDefinition."
            )
    return dict(given or {})


def load_balancers(definition: TaskDefinition, entries: list[dict[str, Any]], known: Mapping[str, Any]) -> None:
    """Each names a target group that there is, and a container and port of the task definition."""
    containers = cast("list[dict[str, Any]]", definition.container_definitions)
    ports = {
        (container["name"], mapping.get("containerPort"))
        for container in containers
        for mapping in container.get("portMappings", [])
    }
    names = {container["name"] for container in containers}
    for entry in entries:
        arn, container, port = entry.get("targetGroupArn"), entry.get("containerName"), entry.get("containerPort")
        if arn and arn not in known:
            raise InvalidParameterException(f"The specified target group {arn} does not exist.")
        if container not in names:
            raise InvalidParameterException(f"The container {container} does not exist in the task definition.")
        if (container, port) not in ports:
            raise InvalidParameterException(f"The container {container} did not have a container port {port} defined.")


def deployment_configuration(request: Mapping[str, Any], controller: str) -> None:
    """A request's deployment configuration: what watches a rolling update, which only ECS's own controller has.

    Raises:
        NotImplementedError: it asks for another kind of deployment, which the sandbox does not act out.
    """
    given = request.get("deploymentConfiguration", {})
    if given.get("strategy", "ROLLING") != "ROLLING" or any(given.get(name) for name in UNSUPPORTED):
        raise NotImplementedError(f"deployment strategy {given.get('strategy')}")
    if given.get("earlySuccessCriteria", {}).get("enable"):
        raise NotImplementedError("earlySuccessCriteria")
    breaker, alarms = given.get("deploymentCircuitBreaker", {}), given.get("alarms", {})
    for feature, settings in (("Deployment circuit breaker", breaker), ("Alarm based rollback", alarms)):
        if settings.get("enable") and controller != "ECS":
            raise InvalidParameterException(
                f"{feature} feature is only supported with ECS deployment controller. "
                "Update to ECS deployment controller and try again."
            )
    _breaker_threshold(breaker.get("thresholdConfiguration"))
    if alarms.get("enable") and not alarms.get("alarmNames"):
        raise InvalidParameterException("alarmNames can not be empty when deployment alarms are enabled.")


def _breaker_threshold(given: Mapping[str, Any] | None) -> None:
    if given is None:
        return
    if given["type"] not in TYPES:
        raise InvalidParameterException(f"threshold type should be one of [{','.join(TYPES)}]")
    if given["value"] < 1:
        raise InvalidParameterException("threshold value should be greater than or equal to 1.")


def count(desired: int) -> int:
    """A desired count."""
    if desired < 0:
        raise InvalidParameterException("desiredCount must be greater than or equal to 0.")
    return desired


def between(name: str, values: list[Any], most: int) -> list[Any]:
    """A list parameter that must not be empty and holds at most `most`."""
    if not values:
        raise InvalidParameterException(f"{name} cannot be empty.")
    if len(values) > most:
        raise InvalidParameterException(f"{name} can have at most {most} items.")
    return values
