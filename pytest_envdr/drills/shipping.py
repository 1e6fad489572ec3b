"""A broken revision's way through the pipeline: source, build, deploy; and the pipeline started again afterwards.

The way into the stage that deploys is closed to all (`pipelines.kept_out`). The drill's own execution comes as far as
that, is let in, and the way is closed behind it: whatever comes after it waits. In mode SUPERSEDED it may be overtaken
while it waits; then it is Superseded, which is no success, and nothing was deployed (aws-semantics 5.10).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_envdr import deliveries, shipments, undo
from pytest_envdr.aws import codepipeline, codepipeline_executions, ecs
from pytest_envdr.drills import pipelines
from pytest_envdr.drills.rollbacks import Watched
from pytest_envdr.errors import Refused
from pytest_envdr.probe import samples
from pytest_envdr.timeline import Mark

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_envdr.aws import Aws
    from pytest_envdr.aws.codepipeline_executions import Action
    from pytest_envdr.deliveries import Deployed
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.releases import Release
    from pytest_envdr.drills.routes import Route
    from pytest_envdr.journal import Journal
    from pytest_envdr.probe import Outage, Probe

BUILD_SECONDS = 3600.0
"""How long source and build may take: CodeBuild's own time-out is an hour where nobody set another."""
ENTER_SECONDS = 300.0
"""How long an execution may take from an open way to a deployment."""


@dataclass(frozen=True)
class Shipment:
    """An execution of the drill's own (its id), on its route, and what ran before."""

    route: Route
    release: Release
    execution: str


def begin(aws: Aws, journal: Journal, drill: Drill, route: Route, release: Release) -> Shipment:
    """Start the pipeline with the broken revision, and wait until it is built and wants to be let in.

    Raises:
        Refused: it does not come as far as that: it failed, or was overtaken.
        WaitTimedOut: it is not there in time.
    """
    service = release.before.service
    with shipments.owed(journal, service, route.pipeline, route.deploy, revision=route.source.id) as begun:
        execution = codepipeline_executions.start(aws, journal, route.pipeline, route.source)
        begun(execution)
    drill.note(
        f"execution {execution} of pipeline {route.pipeline} was started with revision {route.source.id} ({route.kind})"
    )
    shipment = Shipment(route, release, execution)
    drill.wait_until(
        lambda: _before_the_stage(aws, shipment),
        lambda where: where == route.deploy.stage,
        what=f"execution {execution} in front of {route.deploy.stage}",
        deadline=BUILD_SECONDS,
        longest_interval=1.0,
    )
    return shipment


def let_in(aws: Aws, journal: Journal, drill: Drill, shipment: Shipment) -> Watched:
    """Open the way to the drill's execution and to no other; wait until its deployment has begun.

    Raises:
        Refused: another one came first, or it deployed nothing.
        WaitTimedOut: it has not deployed in time.
    """
    route = shipment.route
    drill.note(f"{route.source.id} ({route.kind}) is let into {route.deploy.stage} of {route.pipeline}")
    fault = drill.mark(Mark.FAULT)
    pipelines.open_way(aws, journal, drill)
    drill.wait_until(
        lambda: _in_the_stage(aws, shipment),
        what=f"execution {shipment.execution} in {route.deploy.stage}",
        deadline=ENTER_SECONDS,
        longest_interval=0.5,
    )
    codepipeline.disable_inbound(aws, journal, route.pipeline, route.deploy.stage)
    what = f"what execution {shipment.execution} deploys"
    found = drill.wait_until(lambda: _deployed(aws, shipment), what=what, deadline=ENTER_SECONDS, longest_interval=0.5)
    if found is None:  # for the type checker: the wait is over when it is not
        raise Refused(f"{route.pipeline} has deployed nothing.")
    registered, by = found.task_definition.rpartition("/")[2], found.deployment or "one that ECS shows no more"
    drill.note(f"pipeline {route.pipeline} registered {registered}; its deployment is {by}")
    return Watched(shipment.release, found.task_definition, found.deployment, fault)


def _before_the_stage(aws: Aws, shipment: Shipment) -> str:
    """The stage that the execution waits in front of, or "" while it does in front of none."""
    _check_under_way(aws, shipment)
    stages = codepipeline.stages(aws, shipment.route.pipeline).values()
    return next((one.name for one in stages if one.waiting == shipment.execution), "")


def _in_the_stage(aws: Aws, shipment: Shipment) -> bool:
    stage = codepipeline.stages(aws, shipment.route.pipeline)[shipment.route.deploy.stage]
    if stage.execution == shipment.execution:
        return True
    _check_under_way(aws, shipment)
    return False


def _deployed(aws: Aws, shipment: Shipment) -> Deployed | None:
    """What the execution brought to the service, None while there is nothing."""
    row = shipment.route.row
    for action in actions(aws, shipment):
        found = deliveries.deployed(aws, row.cluster, row.name, action)
        if len(found) > 1:
            told = ", ".join(one.task_definition.rpartition("/")[2] for one in found)
            raise Refused(
                f"{told} were deployed to {row.name} while pipeline {shipment.route.pipeline} did: nobody can tell "
                "which is its.\nTo go on: keep others out of the service, then drill again."
            )
        if found:
            return found[0]
    _check_under_way(aws, shipment)
    return None


def actions(aws: Aws, shipment: Shipment) -> Iterator[Action]:
    """What the execution's deploy action did, the newest first."""
    deploy = shipment.route.deploy
    found = codepipeline_executions.actions(aws, shipment.route.pipeline, shipment.execution)
    return (one for one in reversed(found) if (one.stage, one.name) == (deploy.stage, deploy.action))


def _check_under_way(aws: Aws, shipment: Shipment) -> None:
    """Refuse to go on with an execution that has ended, and say what became of it."""
    route = shipment.route
    status = codepipeline_executions.detail(aws, route.pipeline, shipment.execution).status
    if status in codepipeline_executions.UNDER_WAY:
        return
    failed = [
        f"{one.name}: {one.error}"
        for one in codepipeline_executions.actions(aws, route.pipeline, shipment.execution)
        if one.error
    ]
    other = codepipeline.stages(aws, route.pipeline)[route.deploy.stage].waiting
    overtaken = [f"execution {other} waits in its place"] if other else []
    why = "; ".join([*failed, *overtaken])
    raise Refused(
        f"Nothing was broken: execution {shipment.execution} of pipeline {route.pipeline} is {status}, and has not "
        f"come to the service{f': {why}' if why else ''}.\nTo go on: let the pipeline come to rest, then drill again."
    )


@dataclass(frozen=True)
class Again:
    """The pipeline started again.

    Attributes:
        execution: its id, with its status.
        revisions, intended: those that it took, and those that it should take.
        digests: what each task runs now, by container.
        outage: what clients lost meanwhile.
    """

    execution: str
    status: str
    revisions: tuple[str, ...]
    intended: tuple[str, ...]
    digests: tuple[Mapping[str, str], ...]
    outage: Outage


def again(aws: Aws, journal: Journal, drill: Drill, shipment: Shipment, probe: Probe, *, deadline: float) -> Again:
    """Roll the stage back to the last good execution, and wait until that has ended, well or not.

    Its task definition is a new one, like that of before; on leaving the drill it goes too.

    Raises:
        WaitTimedOut: it has not ended in time.
    """
    route, service = shipment.route, shipment.release.before.service
    began = drill.clock.monotonic()
    with shipments.owed(journal, service, route.pipeline, route.deploy, target=route.good.id) as begun:
        execution = codepipeline_executions.roll_back_stage(
            aws, journal, route.pipeline, route.deploy.stage, to=route.good.id
        )
        begun(execution)
    drill.note(f"execution {execution} of pipeline {route.pipeline} rolls {route.deploy.stage} back to {route.good.id}")
    ended = drill.wait_until(
        lambda: codepipeline_executions.detail(aws, route.pipeline, execution),
        lambda now: not now.under_way,
        what=f"execution {execution} ended",
        deadline=deadline,
        longest_interval=1.0,
    )
    tasks = ecs.tasks(aws, service.cluster, service.name)
    return Again(
        execution,
        ended.status,
        ended.revisions,
        tuple(route.good.revisions.values()),
        tuple(task.digests for task in tasks),
        samples.outage(probe.samples, since=began),
    )


def give_back(aws: Aws, journal: Journal, drill: Drill) -> None:
    """The execution that shipped the broken revision ends, and the revision that it registered goes; the way stays
    closed."""
    undo.replay(
        aws,
        journal,
        lambda undone: drill.note(f"{undone.entry.inverse.restores}: {undone.how}"),
        but={pipelines.CLOSES},
    )
