"""What is still to be undone of services and of the pipelines that ship to them: rows of `remains`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_envdr import shipments
from pytest_envdr.aws import application_autoscaling, codepipeline, ecs, ecs_definitions
from pytest_envdr.errors import NotFound, UndoFailed
from pytest_envdr.remaining import NOTHING, Remaining

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_envdr.aws import Aws
    from pytest_envdr.journal import Entry

REASON_LIMIT = 200
"""How long the reason may be for which an execution of a pipeline is stopped."""


def service(aws: Aws, entry: Entry) -> Remaining:
    """The desired count, or the task definition, that a pipeline may have deployed."""
    before = entry.inverse.arguments
    if "pipelineName" in before:
        return _shipped_task_definition(aws, entry)
    return _task_definition(aws, before) if "taskDefinition" in before else _desired_count(aws, before)


def _task_definition(aws: Aws, before: Mapping[str, Any]) -> Remaining:
    """Still what this exercise deployed: what was deployed before. Anything else is somebody else's."""
    service = ecs.service(aws, before["service"], before["cluster"])
    if service.task_definition == before["taskDefinition"]:
        return Remaining(awaited=not service.steady)
    if service.task_definition != before["set"]:
        return Remaining(note=f"{service.task_definition} was deployed by somebody else: left as it is")
    return Remaining(({key: before[key] for key in ("cluster", "service", "taskDefinition")},))


def _shipped_task_definition(aws: Aws, entry: Entry) -> Remaining:
    """Still what the drill's execution deployed: what was deployed before. Anything else is somebody else's."""
    before, made = entry.inverse.arguments, shipments.made(aws, entry)
    service = ecs.service(aws, before["service"], before["cluster"])
    if service.task_definition == before["taskDefinition"]:
        return Remaining(awaited=made.undecided or not service.steady)
    if service.task_definition not in made.task_definitions:
        by_whom = f"{service.task_definition} was deployed by somebody else: left as it is"
        return Remaining(awaited=True) if made.undecided else Remaining(note=by_whom)
    return Remaining(({key: before[key] for key in ("cluster", "service", "taskDefinition")},))


def revisions(aws: Aws, entry: Entry) -> Remaining:
    """Those that the drill made, or the pipeline in its execution."""
    before = entry.inverse.arguments
    if "pipelineName" not in before:
        arns = ecs_definitions.revisions_of(aws, before["family"], exercise=before["exercise"])
        return Remaining(tuple({"taskDefinition": arn} for arn in arns))
    made = shipments.made(aws, entry)
    active = [arn for arn in made.task_definitions if ecs_definitions.task_definition(aws, arn).status == "ACTIVE"]
    return Remaining(tuple({"taskDefinition": arn} for arn in active), awaited=made.undecided)


def execution(aws: Aws, entry: Entry) -> Remaining:
    """The drill's own execution, as long as it may still deploy something. Its actions are not waited for."""
    found = shipments.found(aws, entry)
    one = found.execution
    if one is None or not one.under_way:
        return Remaining(awaited=found.undecided)
    if one.status == "Stopping":
        return Remaining(awaited=True)
    where = {"pipelineName": entry.inverse.arguments["pipelineName"], "pipelineExecutionId": one.id}
    return Remaining(({**where, "abandon": True, "reason": f"envdr drill {entry.header.exercise}"[:REASON_LIMIT]},))


def _desired_count(aws: Aws, before: Mapping[str, Any]) -> Remaining:
    """Below what it was, or still what this exercise set: back to what it was. Anything above is somebody else's."""
    service = ecs.service(aws, before["service"], before["cluster"])
    now, wanted = service.desired, before["desiredCount"]
    if service.status != "ACTIVE":
        raise UndoFailed(f"service {service.name} is {service.status}: somebody deletes it, or has")
    if now == wanted:
        return NOTHING
    if now > wanted and now != before["set"]:
        return Remaining(note=f"the desired count is {now}, set by somebody else: left as it is")
    return Remaining(({key: before[key] for key in ("cluster", "service", "desiredCount")},))


def suspended_state(aws: Aws, before: Mapping[str, Any]) -> Remaining:
    """Exactly what was suspended before. Refused while it would raise the desired count (aws-semantics 0.13)."""
    target = application_autoscaling.scalable_target(aws, before["ResourceId"])
    if target is None:
        return Remaining(note="the scalable target is gone")
    if target.suspended.state == before["SuspendedState"]:
        return NOTHING
    _, cluster, name = before["ResourceId"].split("/")
    desired = ecs.service(aws, name, cluster).desired
    if desired < target.minimum:
        raise UndoFailed(
            f"Auto scaling of service {name} is not resumed: it would raise the desired count from {desired} to the "
            f"minimum, {target.minimum}.\nTo go on: put the desired count back, then `envdr undo` again."
        )
    return Remaining((dict(before),))


def transition(aws: Aws, before: Mapping[str, Any]) -> Remaining:
    """The way into a stage, as long as it is this exercise's reason that keeps it closed."""
    where = {key: before[key] for key in ("pipelineName", "stageName", "transitionType")}
    try:
        stage = codepipeline.stages(aws, before["pipelineName"]).get(before["stageName"])
    except NotFound:
        stage = None
    if stage is None:
        return Remaining(note="the stage is gone")
    if stage.inbound.enabled:
        return NOTHING
    if stage.inbound.reason != before["reason"]:
        return Remaining(note=f"it was closed by somebody else ({stage.inbound.reason}): left as it is")
    return Remaining((where,))
