"""What the pipeline says of a broken revision that was taken back, and whether it ships it again: findings and tables.

A rollback by ECS need not fail the execution that deployed: it may stay in progress until its time is up, or end well.
Whoever looks at the pipeline alone then believes that the broken revision is live (aws-semantics 5.8).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_envdr.aws import codepipeline_executions
from pytest_envdr.drills import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_envdr.aws import Aws
    from pytest_envdr.aws.ecs_deployments import ServiceDeployment
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.routes import Route
    from pytest_envdr.drills.shipping import Again, Shipment

COLUMNS = ("execution", "is", "revision", "stage", "action", "status", "began after", "ended after", "error")


def tell_outcome(aws: Aws, drill: Drill, shipment: Shipment, state: ServiceDeployment | None) -> None:
    """What became of the execution, for the report; and what is wrong about that."""
    pipeline, execution = shipment.route.pipeline, shipment.execution
    now = codepipeline_executions.detail(aws, pipeline, execution)
    fault = drill.marked("fault")
    rows = []
    for one in codepipeline_executions.actions(aws, pipeline, execution):
        instants = (one.started_at, None if one.status == "InProgress" else one.updated_at)
        spans = [f"{(at - fault.at).total_seconds():.1f} s" if at and fault else "not yet" for at in instants]
        rows.append((execution, now.status, *now.revisions[:1], one.stage, one.name, one.status, *spans, one.error))
    caption = "by CodePipeline's own time stamps, from the fault: what was before has a minus"
    drill.table(f"What pipeline {pipeline} made of it", COLUMNS, rows, caption=caption)
    for finding in check_outcome(shipment.route, execution, now.status, state):
        drill.finding(finding)


def check_outcome(route: Route, execution: str, status: str, state: ServiceDeployment | None) -> Iterator[Finding]:
    """Whether the pipeline knows what became of what it deployed."""
    name = route.row.name
    by_ecs = state is not None and state.rollback is not None
    if status == "Succeeded":
        yield Finding(
            "pipeline.green",
            "failure" if by_ecs else "warning",
            f"pipeline {route.pipeline} is green over {name}, which was rolled back",
            f"execution {execution} of revision {route.source.id} is Succeeded; "
            f"{'ECS' if by_ecs else 'a hand'} took its deployment back",
            "Whoever releases must look at the service's deployment by its id, not at the pipeline.",
        )
    elif status in codepipeline_executions.UNDER_WAY:
        yield Finding(
            "pipeline.unaware",
            "note",
            f"pipeline {route.pipeline} had not noticed that {name} was rolled back",
            f"execution {execution} was {status} still; its DeploymentTimeout would have ended it",
        )


def check_again(route: Route, again: Again, wanted: Mapping[str, str]) -> Iterator[Finding]:
    """Whether the pipeline, started again, has shipped what ran before; `wanted` are its digests."""
    name = route.row.name
    who = f"execution {again.execution} of pipeline {route.pipeline}"
    if again.status != "Succeeded":
        yield Finding("pipeline.not-again", "failure", f"{who} did not ship what ran before", f"it is {again.status}")
    if set(again.revisions) != set(again.intended):
        took = ", ".join(again.revisions) or "none"
        bad = " the broken revision again" if route.source.id in again.revisions else " another revision than intended"
        yield Finding(
            "pipeline.revision",
            "failure",
            f"{who} took{bad}",
            f"it took {took}; the last good one, {route.good.id}, had {', '.join(again.intended)}",
            "Start it with the revision that is wanted (sourceRevisions), or roll the stage back.",
        )
    if other := [digests for digests in again.digests if digests != wanted]:
        runs = ", ".join(f"{container} {digest[:19]}" for container, digest in other[0].items()) or "no digest"
        yield Finding(
            "pipeline.digest",
            "failure",
            f"what {who} has deployed to {name} is not what ran before",
            f"{len(other)} of {len(again.digests)} tasks run {runs}; before, all ran "
            f"{', '.join(digest[:19] for digest in wanted.values())}",
        )
    if again.outage.failures:
        lost = ", ".join(f"{kind} \N{MULTIPLICATION SIGN} {count}" for kind, count in again.outage.failures.items())
        yield Finding("pipeline.outage", "failure", f"clients failed while {who} was deployed to {name}", lost)
    if not again.digests:
        yield Finding("pipeline.digest", "failure", f"no task of {name} runs after {who}")


def tell_again(drill: Drill, shipment: Shipment, again: Again) -> None:
    """What the pipeline shipped when it was started again; what of that is not as intended."""
    found = list(check_again(shipment.route, again, shipment.release.digests))
    for finding in found:
        drill.finding(finding)
    if not found:
        drill.note(
            f"execution {again.execution} shipped revision {', '.join(again.revisions)} with the very digests of "
            "before, as a task definition of its own: on leaving, the one of before runs again, and that one goes"
        )
