"""A broken image, deployed on purpose, and the way back: by ECS's circuit breaker, or by hand where that sees nothing.

It is deployed straight to the service, or through the pipeline that ships to it: from a broken revision of its source.
What became of a deployment is told by its id and its service deployment, never by counts (aws-semantics 5.2, 5.3).
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple

from pytest_envdr import undo
from pytest_envdr.aws import ecs, ecs_definitions
from pytest_envdr.drills import (
    client,
    pipelines,
    recovery,
    releases,
    rollbacks,
    routes,
    shipment_checks,
    shipping,
    witnesses,
)
from pytest_envdr.drills.subject import SETTLE_SECONDS, check_fit
from pytest_envdr.errors import Refused, UndoFailed, UsageError
from pytest_envdr.timeline import Mark, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_envdr.aws import Aws
    from pytest_envdr.aws.ecs_deployments import ServiceDeployment
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.recovery import Recovery
    from pytest_envdr.drills.releases import Release
    from pytest_envdr.drills.routes import Route
    from pytest_envdr.drills.shipping import Again, Shipment
    from pytest_envdr.journal import Journal
    from pytest_envdr.probe import Probe
    from pytest_envdr.stack import Service, Stack
    from pytest_envdr.tables import BadDeployment as Declared

__all__ = ["BadDeployment", "Way", "deployed_badly", "image_of", "variant"]

Way = Literal["", "pipeline"]
"""How the broken image comes to the service: straight, or through the pipeline."""


@dataclass(frozen=True)
class BadDeployment:
    """A service that a broken image was deployed to.

    `wait_until_rolled_back` returns what ECS made of the deployment by itself, `wait_until_seen` when clients suffer
    from it, `roll_back` deploys the revision of before, and `wait_until_recovered` returns when the service is back
    with exactly what it ran before, and it held. Whoever watches a deployment need not wait for ECS:
    `wait_until_failing` returns when it gives a broken task up, `stop` tells it to roll back. What came through the
    pipeline can be followed by `ship_again`: the pipeline is started again, and must ship what ran before.

    Attributes:
        name: the service.
        kind: how the image is broken.
        release: what ran before.
        revision: the broken task definition (its ARN).
        probe: the client outside.
    """

    name: str
    kind: str
    release: Release
    revision: str
    probe: Probe
    wait_until_rolled_back: Callable[[], ServiceDeployment | None]
    wait_until_seen: Callable[[], float]
    wait_until_failing: Callable[[], float]
    stop: Callable[[], ServiceDeployment | None]
    roll_back: Callable[[], None]
    wait_until_recovered: Callable[[], Recovery]
    ship_again: Callable[[], Again]


class _Deployed(NamedTuple):
    """A broken image on its way to the service, and by which execution of the pipeline, if by any."""

    watched: rollbacks.Watched
    shipment: Shipment | None = None


def variant(text: str) -> tuple[str, Way]:
    """A kind of badness and the way that it takes: "exits", or "exits via pipeline".

    Raises:
        UsageError: there is no such way.
    """
    kind, via, way = text.partition(" via ")
    if not via:
        return kind, ""
    if way != "pipeline":
        raise UsageError(f"A bad deployment goes straight to the service, or via pipeline: none goes via {way!r}.")
    return kind, "pipeline"


def image_of(declared: Declared, kind: str) -> str:
    """The image that is broken in a way.

    Raises:
        Refused: the stack file names none.
    """
    if kind not in declared.images:
        raise Refused(
            f"Nothing was touched: the stack file names no image of which one can say: {kind}.\n"
            f"Looked at: [bad_deployment.images], which has {', '.join(declared.images)}\n"
            "To go on: push one that is broken in that way, and name it there."
        )
    return declared.images[kind]


def row_of(stack: Stack, declared: Declared) -> Service:
    """The service that is deployed to.

    Raises:
        Refused: the stack file has no such one.
    """
    if declared.service not in stack.services:
        raise Refused(
            f"Nothing was touched: [bad_deployment] names service {declared.service!r}, which the stack file has not.\n"
            f"Looked at: {stack.path}, whose [services] are {', '.join(stack.services)}\n"
            "To go on: name one of these."
        )
    return stack.services[declared.service]


@contextmanager
def deployed_badly(
    aws: Aws, journal: Journal, drill: Drill, *, kind: str, way: Way = "", settle_seconds: float = SETTLE_SECONDS
) -> Iterator[BadDeployment]:
    """Deploy the stack's image that is broken in a way, straight to the service or through its pipeline. On leaving,
    however it is left, the service runs the revision of before, and all that was registered since is deregistered.

    Raises:
        Refused: the service is not fit, there is no way back, or the pipeline did not ship; nothing was broken.
        UndoFailed: on leaving, the state before could not be brought back.
    """
    aws.stack.needs("bad_deployment")
    declared = aws.stack.bad_deployment
    if declared is None:  # for the type checker: `needs` refused it
        raise Refused("There is no [bad_deployment] in the stack file.")
    row = row_of(aws.stack, declared)
    route = routes.check_route(aws, row, declared, kind) if way == "pipeline" else None
    image = "" if route else image_of(declared, kind)
    with ExitStack() as held:
        with drill.phase(Phase.KICK_OFF):
            release = releases.check_way_back(aws, drill, check_fit(aws, drill, row, settle_seconds=settle_seconds))
            if not route:
                releases.check_broken(aws, release, kind, image)
            probe = held.enter_context(client.asking(drill, row))
            client.await_baseline(drill, probe, row)
            held.enter_context(pipelines.kept_out(aws, journal, drill, row, declared.pipeline))
            held.enter_context(_put_back(aws, journal, drill, release))
            deploy = (
                _shipped(aws, journal, drill, route, release)
                if route
                else _straight(aws, journal, drill, release, kind, image)
            )
        with drill.phase(Phase.TRIGGER):
            watched, shipment = deploy()
        yield BadDeployment(
            row.name,
            kind,
            release,
            watched.revision,
            probe,
            partial(_wait_until_rolled_back, aws, journal, drill, watched),
            partial(rollbacks.wait_until_seen, aws, drill, watched, probe),
            partial(rollbacks.wait_until_failing, aws, drill, watched),
            partial(_stop, aws, journal, drill, watched),
            partial(_roll_back, aws, journal, drill),
            partial(_wait_until_recovered, aws, drill, watched, probe, shipment),
            partial(_ship_again, aws, journal, drill, probe, shipment),
        )


def _straight(
    aws: Aws, journal: Journal, drill: Drill, release: Release, kind: str, image: str
) -> Callable[[], _Deployed]:
    """A revision with the broken image, registered; to be deployed."""
    revision = _broken(aws, journal, release, image)
    return partial(_deploy, aws, journal, drill, release, revision, f"{image} ({kind})")


def _deploy(aws: Aws, journal: Journal, drill: Drill, release: Release, revision: str, what: str) -> _Deployed:
    service = release.before.service
    drill.note(f"{what} is deployed to {service.name} as {revision.rpartition('/')[2]}")
    fault = drill.mark(Mark.FAULT)
    deployed = ecs.set_task_definition(aws, journal, service, revision)
    deployment = deployed.primary.id if deployed.primary else ""
    return _Deployed(rollbacks.Watched(release, revision, deployment, fault))


def _shipped(aws: Aws, journal: Journal, drill: Drill, route: Route, release: Release) -> Callable[[], _Deployed]:
    """The broken revision, built by the pipeline; to be let into the stage that deploys."""
    shipment = shipping.begin(aws, journal, drill, route, release)
    return partial(_let_in, aws, journal, drill, shipment)


def _let_in(aws: Aws, journal: Journal, drill: Drill, shipment: Shipment) -> _Deployed:
    return _Deployed(shipping.let_in(aws, journal, drill, shipment), shipment)


def _broken(aws: Aws, journal: Journal, release: Release, image: str) -> str:
    """A revision like the one that runs, with the broken image in its essential container."""
    like = release.before.service.task_definition
    container = ecs_definitions.task_definition(aws, like).containers[0].name
    return ecs_definitions.register_revision(aws, journal, like, images={container: image})


def _wait_until_rolled_back(
    aws: Aws, journal: Journal, drill: Drill, watched: rollbacks.Watched
) -> ServiceDeployment | None:
    """What ECS made of the deployment. Where it did not take it back, a hand does, so that the recovery is measured."""
    state = rollbacks.wait_until_rolled_back(aws, drill, watched)
    if state is None or state.status != "ROLLBACK_SUCCESSFUL":
        drill.deviation("ECS did not roll back by itself: the revision of before is deployed by hand")
        _roll_back(aws, journal, drill)
    return state


def _stop(aws: Aws, journal: Journal, drill: Drill, watched: rollbacks.Watched) -> ServiceDeployment | None:
    """What came of the request to roll back."""
    rollbacks.stop(aws, journal, drill, watched)
    return _wait_until_rolled_back(aws, journal, drill, watched)


def _roll_back(aws: Aws, journal: Journal, drill: Drill) -> None:
    """By hand: the revision of before, named in full. Its family alone would mean the newest one: the broken one."""
    drill.mark(witnesses.BY_HAND)
    for entry in reversed(journal.owed()):
        if entry.act == "ecs.UpdateService":
            undo.reverse(aws, journal, entry)


def _wait_until_recovered(
    aws: Aws, drill: Drill, watched: rollbacks.Watched, probe: Probe, shipment: Shipment | None
) -> Recovery:
    """The service as before; then whether it ever had too few tasks, and whether the pipeline knows of it."""
    judged = recovery.Criteria(
        partial(releases.missing, aws, watched.release), partial(rollbacks.floor, aws, drill, watched)
    )
    before = watched.release.before
    try:
        recovered = recovery.wait_until_recovered(aws, drill, before, probe, fault=watched.fault.clock, criteria=judged)
    finally:
        rollbacks.tell_witnesses(aws, drill, watched, probe)
        if shipment:
            shipment_checks.tell_outcome(aws, drill, shipment, rollbacks.state_of(aws, watched))
    releases.tell(drill, watched.release, recovered.tasks)
    for finding in rollbacks.check_minimum(aws, drill, watched):
        drill.finding(finding)
    return recovered


def _ship_again(aws: Aws, journal: Journal, drill: Drill, probe: Probe, shipment: Shipment | None) -> Again:
    """The pipeline, started again with the last good execution's revision: what it ships is what ran before.

    Raises:
        UsageError: the broken image did not come through a pipeline.
        UndoFailed: what the pipeline registered for the broken image could not be taken away.
        WaitTimedOut: the pipeline does not come to an end.
    """
    if shipment is None:
        raise UsageError("The broken image was deployed straight to the service: no pipeline has shipped it.")
    shipping.give_back(aws, journal, drill)
    again = shipping.again(aws, journal, drill, shipment, probe, deadline=recovery.PATIENCE * drill.rto_seconds)
    shipment_checks.tell_again(drill, shipment, again)
    return again


@contextmanager
def _put_back(aws: Aws, journal: Journal, drill: Drill, release: Release) -> Iterator[None]:
    """All that is owed, in reverse order, however the block ends; then look whether all is as before."""
    try:
        yield
    finally:
        shipping.give_back(aws, journal, drill)
        _check_as_before(aws, drill, release)


def _check_as_before(aws: Aws, drill: Drill, release: Release) -> None:
    """The revision of before is what is deployed, and no broken one can be deployed by its family's name."""
    before = release.before
    service = ecs.service(aws, before.row.name, before.row.cluster)
    if service.task_definition != before.service.task_definition:
        raise UndoFailed(
            f"{service.name} is not as before: it runs {service.task_definition}, "
            f"and ran {before.service.task_definition}."
        )
    family = ecs_definitions.task_definition(aws, service.task_definition).family
    if newer := ecs_definitions.revisions_of(aws, family, exercise=drill.exercise_id):
        raise UndoFailed(f"The broken revision {newer[0]} is still ACTIVE: the next deployment by name would take it.")
