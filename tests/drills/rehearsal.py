"""Drills as a library, without pytest's fixtures, and the hands of somebody else who breaks things meanwhile."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3

from pytest_envdr import stack
from pytest_envdr.aws import ecs
from pytest_envdr.drills.subject import unsteady
from pytest_envdr.exercise import Charge, Exercise
from pytest_envdr.settings import Settings
from pytest_envdr.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.recovery import Recovery
    from pytest_envdr.drills.services import StoppedService


@contextmanager
def exercise(stack_file: Path, directory: Path) -> Iterator[Exercise]:
    """An exercise on a running stack, with evidence and state of its own."""
    chosen = Settings(stack=stack_file, evidence=directory / uuid4().hex[:8], state_directory=directory / "state")
    begun = Exercise.begin(chosen, root=directory)
    try:
        yield begun
    finally:
        begun.release()


def drill(exercise: Exercise, **overrides: float) -> Drill:
    """A drill of the ECS failover; `overrides` are objectives in seconds."""
    return exercise.drill(Charge(f"rehearsal::{uuid4().hex[:6]}", "ecs_failover", overrides=overrides))


def recovered(service: StoppedService) -> Recovery:
    """The way back of a stopped service."""
    service.restore()
    return service.wait_until_recovered()


def found(drill: Drill) -> dict[str, str]:
    """What failed a drill: id to title and detail."""
    return {finding.id: str(finding) for finding in drill.failures}


def other(stack_file: Path, service: str) -> Any:
    """A client of somebody else: no guard, no journal."""
    read = stack.read(stack_file)
    key = read.credentials
    return boto3.client(
        service,  # type: ignore[call-overload] # the stubs want a literal
        endpoint_url=read.endpoint,
        region_name=read.region,
        aws_access_key_id=key.access_key_id if key else None,
        aws_secret_access_key=key.secret_access_key if key else None,
    )


def wait_until_steady(exercise: Exercise, *words: str) -> None:
    """Until services are as they should be again."""
    for word in words or exercise.stack.services:
        row = exercise.stack.services[word]
        wait_until(
            lambda row=row: unsteady(exercise.aws, ecs.service(exercise.aws, row.name, row.cluster)),  # type: ignore[misc]
            lambda reason: not reason,
            what=f"{row.name} steady",
            deadline=60,
        )


def wait_until_firing(stack_file: Path, alarm: str) -> None:
    """Until an alarm is in ALARM."""
    cloudwatch = other(stack_file, "cloudwatch")
    wait_until(
        lambda: cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"][0]["StateValue"],
        lambda state: state == "ALARM",
        what=f"{alarm} in ALARM",
        deadline=60,
    )
