"""What a service runs: its revision and the digests of its images; and whether there is a way back to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_envdr.aws import ecr, ecs_definitions
from pytest_envdr.drills import Finding
from pytest_envdr.drills.recovery import not_steady
from pytest_envdr.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_envdr.aws import Aws, ecs
    from pytest_envdr.aws.ecs_definitions import Container, TaskDefinition
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.subject import Subject


NOT_THERE = "cannot-be-pulled"
"""The kind of badness whose image must not be in the registry."""


@dataclass(frozen=True)
class Release:
    """What a service ran before: container to the digest that all of its tasks run."""

    before: Subject
    digests: Mapping[str, str]


def check_way_back(aws: Aws, drill: Drill, before: Subject) -> Release:
    """Prove that ECS could roll back to what runs now, before anything is touched (aws-semantics 5.1).

    Raises:
        Refused: it could not; says why.
    """
    definition = ecs_definitions.task_definition(aws, before.service.task_definition)
    if reasons := [*service_lacks(before.service), *_definition_lacks(definition)]:
        raise _refused(before, reasons)
    digests = _running_digests(before)
    if reasons := [reason for one in definition.containers for reason in _image_lacks(aws, one, digests)]:
        raise _refused(before, reasons)
    for finding in _weaknesses(before, definition):
        drill.finding(finding)
    return Release(before, digests)


def check_broken(aws: Aws, release: Release, kind: str, image: str) -> None:
    """The image must be broken in the way that is said, as far as the registry tells: not there, or not what runs.

    Raises:
        Refused: it is not.
    """
    reference = ecr.reference(image)
    if reference is None:
        return
    held = ecr.digest(aws, reference)
    if kind == NOT_THERE and held:
        reason = f"image {image} is in the registry ({held[:19]}), and can be pulled"
    elif kind != NOT_THERE and not held:
        reason = f"image {image} is not in the registry: it cannot be pulled, which is another kind than {kind}"
    elif held in release.digests.values():
        reason = f"image {image} is the very one that runs ({held[:19]})"
    else:
        return
    raise Refused(f"Nothing was touched: {reason}.\nTo go on: mend [bad_deployment.images], or push the image.")


def missing(aws: Aws, release: Release, tasks: list[ecs.Task]) -> str:
    """What a service still lacks to run what it ran before, with the same content, or ""."""
    wanted = release.before.service.task_definition
    for task in tasks:
        if task.task_definition != wanted:
            return f"task {task.id} runs {task.task_definition.rpartition('/')[2]}"
        if task.last_status == "RUNNING" and task.digests != release.digests:
            return f"task {task.id} runs another image than before ({_short(task.digests)})"
    return not_steady(aws, release.before, tasks)


def tell(drill: Drill, release: Release, tasks: Sequence[ecs.Task]) -> None:
    """What ran before and what runs now, for the report."""
    before = release.before.service.task_definition
    ran = [("before", "all", before, release.digests)]
    runs = [("now", task.id, task.task_definition, task.digests) for task in tasks]
    rows = [
        (when, task, revision.rpartition("/")[2], container, digest)
        for when, task, revision, digests in [*ran, *runs]
        for container, digest in digests.items()
    ]
    drill.table("What ran before, and runs now", ("when", "task", "revision", "container", "image digest"), rows)


def _refused(before: Subject, reasons: list[str]) -> Refused:
    return Refused(
        f"Nothing was touched: {before.row.name} has no way back from a bad deployment: {'; '.join(reasons)}.\n"
        "To go on: mend that. A deployment that fails today would stay."
    )


def service_lacks(service: ecs.Service) -> Iterator[str]:
    """What of a service's deployments would not let ECS roll one back, or would have it end in another way than what a
    drill looks at (aws-semantics 5, traps)."""
    if service.strategy != "ROLLING":
        yield f"its deployment strategy is {service.strategy}, whose course the drill does not know"
    if service.early_success:
        yield "its deployments may succeed early (earlySuccessCriteria), before all of their tasks are healthy"
    if not (service.circuit_breaker and service.circuit_breaker_rollback):
        yield "its deployment circuit breaker is off, or does not roll back"
    if service.primary is None or service.primary.rollout_state != "COMPLETED":
        yield "it has no completed deployment to go back to"


def _definition_lacks(definition: TaskDefinition) -> Iterator[str]:
    if definition.status != "ACTIVE":
        yield (
            f"its revision {definition.arn.rpartition('/')[2]} is {definition.status}, and cannot be deployed again "
            "(a tool that deregisters the old revision?)"
        )


def _running_digests(before: Subject) -> Mapping[str, str]:
    """What all tasks run; of tasks that differ, the oldest one's, and then the drill finds them not to be as before."""
    return before.tasks[0].digests if before.tasks else {}


def _image_lacks(aws: Aws, container: Container, digests: Mapping[str, str]) -> Iterator[str]:
    """What runs must still be what its name in the registry stands for."""
    reference = ecr.reference(container.image)
    if reference is None:
        return
    held, runs = ecr.digest(aws, reference), digests.get(container.name, "")
    if not held:
        yield f"image {container.image} is not in the registry any more"
    elif held != runs:
        yield f"image {container.image} is {held[:19]} in the registry, and what runs is {runs[:19]}: the tag was moved"


def _weaknesses(before: Subject, definition: TaskDefinition) -> Iterator[Finding]:
    service = before.service
    if service.minimum_percent < 100:
        yield Finding(
            "deployment.minimum",
            "warning",
            f"while {service.name} is deployed, fewer tasks than wanted may serve",
            f"minimumHealthyPercent is {service.minimum_percent}",
            "Set it to 100.",
        )
    for container in definition.containers:
        if ecr.reference(container.image) is None:
            yield Finding(
                "image.elsewhere",
                "note",
                f"whether image {container.image} is still in its registry was not looked at",
                "it is not in ECR",
            )


def _short(digests: Mapping[str, str]) -> str:
    return ", ".join(digest[:19] for digest in digests.values()) or "no digest"
