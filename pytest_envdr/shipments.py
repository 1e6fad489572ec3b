"""What an execution of a pipeline has brought about, told by its own deployment: for what must be undone of it.

A pipeline does by itself what a drill would write down before it does it: it registers a task definition, and deploys
it. So three things are owed before such an execution is started: that it ends, that the service runs what it ran, and
that what was registered can be deployed no more. Which execution that is, its id tells; where nobody was answered with
one, what it was started with. What it registered is found by what its deploy action brought (`deliveries`).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from pytest_envdr import deliveries
from pytest_envdr.aws import codepipeline_executions
from pytest_envdr.errors import NotFound, UndoFailed
from pytest_envdr.journal import Inverse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pytest_envdr.aws import Aws
    from pytest_envdr.aws.codepipeline import Deploy
    from pytest_envdr.aws.codepipeline_executions import Action, Execution
    from pytest_envdr.aws.ecs import Service
    from pytest_envdr.deliveries import Deployed
    from pytest_envdr.journal import Entry, Journal

SKEW = timedelta(seconds=60)
"""How far AWS's clock may be from this machine's."""


@dataclass(frozen=True)
class Found:
    """An execution, as far as it can be told now: `undecided`, where it may still turn out to be one."""

    execution: Execution | None
    undecided: bool = False


@dataclass(frozen=True)
class Made:
    """The task definitions (ARNs) that an execution deployed; `undecided`: there may be one more in a moment."""

    task_definitions: tuple[str, ...] = ()
    undecided: bool = False


@contextmanager
def owed(
    journal: Journal, service: Service, pipeline: str, deploy: Deploy, **told: str
) -> Iterator[Callable[[str], None]]:
    """Write down what an execution will do to a service, while it is started (in the block). Gives what is to be told
    its id.

    Args:
        journal: where it is written.
        service: as it is before.
        pipeline: its name.
        deploy: its action that deploys to the service.
        told: what the execution is known by, as in the inverse of its start.
    """
    where = {"pipelineName": pipeline, "stageName": deploy.stage, "actionName": deploy.action, **told}
    of = {**where, "cluster": service.cluster, "service": service.name}
    revision = service.task_definition.rpartition("/")[2]
    gone = Inverse("ecs.DeregisterTaskDefinition", of, f"no revision that pipeline {pipeline} made for the drill")
    back = Inverse(
        "ecs.UpdateService",
        {**of, "taskDefinition": service.task_definition},
        f"service {service.name} task definition {revision}, after pipeline {pipeline}",
    )
    by = {"by": f"pipeline {pipeline}"}
    with (
        journal.intending("ecs.RegisterTaskDefinition", by, inverse=gone) as registers,
        journal.intending("ecs.UpdateService", by, inverse=back) as deploys,
    ):

        def begun(execution: str) -> None:
            for entry in (deploys, registers):
                entry.settle({"pipelineExecutionId": execution})

        yield begun


def found(aws: Aws, entry: Entry) -> Found:
    """The execution that an entry is about."""
    try:
        return among(codepipeline_executions.executions(aws, entry.inverse.arguments["pipelineName"]), entry)
    except NotFound:
        return Found(None)  # the pipeline is gone, and with it all that could be under way


def among(listed: Iterable[Execution], entry: Entry) -> Found:
    """The execution that an entry is about: by its id, else by what it was started with, the newest since then.
    `listed` are a pipeline's, the newest first."""
    identifier, undecided = entry.result.get("pipelineExecutionId"), False
    for one in takewhile(lambda one: one.started_at >= entry.at - SKEW, listed):
        if one.id == identifier or (identifier is None and _fits(one, entry.inverse.arguments)):
            return Found(one, undecided)
        # A source that is still fetched has no revision yet: it may be a newer one than an earlier drill's.
        undecided = undecided or (identifier is None and one.under_way and not one.revisions)
    return Found(None, undecided)


def made(aws: Aws, entry: Entry) -> Made:
    """What the execution that an entry is about has deployed.

    Raises:
        UndoFailed: which of its deployments that is, ECS does not tell (any more).
    """
    before, it = entry.inverse.arguments, found(aws, entry)
    if it.execution is None:
        return Made(undecided=it.undecided)
    runs = [
        run
        for run in codepipeline_executions.actions(aws, before["pipelineName"], it.execution.id)
        if (run.stage, run.name) == (before["stageName"], before["actionName"])
    ]
    told = dict.fromkeys(
        arn
        for run in runs
        for arn in certain(before, run, deliveries.deployed(aws, before["cluster"], before["service"], run))
    )
    return Made(tuple(told), undecided=it.undecided or any(map(_may_begin, runs)))


def certain(before: Mapping[str, Any], run: Action, found: list[Deployed]) -> Iterator[str]:
    """The task definition (its ARN) that an action deployed, if it did; `found` is what ECS tells of it.

    Raises:
        UndoFailed: that is more than one, or none of the deployment that the action has named.
    """
    if len(found) == 1:
        yield found[0].task_definition
    elif found or run.external:
        told = ", ".join(one.task_definition.rpartition("/")[2] for one in found)
        raise UndoFailed(
            f"which revision {before['pipelineName']} brought to {before['service']} cannot be told"
            f"{f': {told} were deployed while its action ran' if told else ' any more: ECS shows no deployment of it'}."
            f"\nTo go on: look at the newest revisions of its family, and deregister what the pipeline registered at "
            f"{run.started_at:%Y-%m-%d %H:%M:%S} UTC."
        )


def _fits(one: Execution, told: Mapping[str, Any]) -> bool:
    if "target" in told:
        return one.type == codepipeline_executions.ROLLBACK and one.target == told["target"]
    return one.trigger == "StartPipelineExecution" and told["revision"] in one.revisions.values()


def _may_begin(run: Action) -> bool:
    return not run.external and run.started_at + deliveries.BEGINS > datetime.now(UTC)
