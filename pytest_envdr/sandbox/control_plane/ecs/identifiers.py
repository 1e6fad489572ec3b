"""The identifiers that ECS makes up, in AWS's shapes."""

from __future__ import annotations

import secrets
import uuid

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"


def nineteen_digits() -> str:
    """The number in `ecs-svc/<number>` and at the end of a service revision's ARN."""
    return str(10**18 + secrets.randbelow(8 * 10**18))


def service_deployment_id() -> str:
    """The end of a service deployment's ARN: 21 characters."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(21))


def task_id() -> str:
    """A task's id: 32 hexadecimal digits."""
    return uuid.uuid4().hex


def event_id() -> str:
    """The id of an event, a container or an attachment."""
    return str(uuid.uuid4())
