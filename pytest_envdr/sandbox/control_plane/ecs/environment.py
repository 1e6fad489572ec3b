"""What a container is started with: its image's directory, its command and its environment."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from moto.core.exceptions import ServiceException
from moto.secretsmanager.models import secretsmanager_backends
from moto.ssm.models import ssm_backends

from pytest_envdr.sandbox.control_plane.ecs.errors import TaskFailedToStart
from pytest_envdr.settings import search_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_envdr.sandbox.images import Image
    from pytest_envdr.sandbox.world import World

ADDRESS_VARIABLE = "TASK_IP"
"""Tells the program which address is its own: tasks share one network namespace, so none may bind all addresses."""


def pull(world: World, image: str) -> Image:
    """The image that a reference stands for now: a tag may stand for another one at the next pull.

    Raises:
        TaskFailedToStart: the registry has no such image.
    """
    try:
        return world.images.pull(image)
    except LookupError as error:
        raise TaskFailedToStart.cannot_pull(image) from error


def command(definition: Mapping[str, Any], override: Mapping[str, Any], directory: Path) -> list[str]:
    """Entry point and command, as the override or else the definition has it.

    Raises:
        TaskFailedToStart: there is none, or the program is not there.
    """
    words = [*definition.get("entryPoint", []), *(override.get("command") or definition.get("command") or [])]
    if not words:
        raise TaskFailedToStart.no_command()
    program = words[0]
    found = (directory / program).exists() if "/" in program else shutil.which(program, path=search_path())
    if not found:
        raise TaskFailedToStart.cannot_start(program)
    return words


def environment(
    world: World, definition: Mapping[str, Any], override: Mapping[str, Any], address: str
) -> dict[str, str]:
    """The container's variables: its own, its secrets, the override's, and what Fargate adds.

    Raises:
        TaskFailedToStart: a secret is not there.
    """
    given = {
        "AWS_REGION": world.region,
        "AWS_DEFAULT_REGION": world.region,
        "AWS_EXECUTION_ENV": "AWS_ECS_FARGATE",
        ADDRESS_VARIABLE: address,
    }
    given |= {pair["name"]: pair["value"] for pair in definition.get("environment", [])}
    given |= {pair["name"]: _secret(world, pair["valueFrom"]) for pair in definition.get("secrets", [])}
    return given | {pair["name"]: pair["value"] for pair in override.get("environment", [])}


def _secret(world: World, reference: str) -> str:
    """A secret's value, or one key of it (`<secret's ARN>:<key>:<stage>:<version>`), or a parameter's value."""
    if ":secretsmanager:" not in reference:
        return _parameter(world, reference)
    parts = reference.split(":")
    arn, (key, stage, version) = ":".join(parts[:7]), (*parts[7:], "", "", "")[:3]
    secret = secretsmanager_backends[world.account][world.region].secrets.get(arn)
    if secret is None or secret.is_deleted():
        raise TaskFailedToStart.no_secret(arn)
    for identifier, candidate in secret.versions.items():
        if (version and identifier == version) or (
            not version and (stage or "AWSCURRENT") in candidate["version_stages"]
        ):
            return _json_key(candidate.get("secret_string", ""), arn, key)
    raise TaskFailedToStart.no_secret(arn)


def _json_key(text: str, arn: str, key: str) -> str:
    if not key:
        return text
    try:
        value = json.loads(text)[key]
    except (ValueError, LookupError, TypeError) as error:
        raise TaskFailedToStart.no_secret_key(arn, key) from error
    return value if isinstance(value, str) else json.dumps(value)


def _parameter(world: World, reference: str) -> str:
    try:
        parameter = ssm_backends[world.account][world.region].get_parameter(reference)
    except ServiceException:  # no such version
        parameter = None
    if parameter is None:
        raise TaskFailedToStart.no_parameter(reference)
    return str(parameter.value)
