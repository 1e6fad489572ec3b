"""Whether the pipeline would ship a broken revision to a service, and could be put right afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_envdr.aws import codepipeline, codepipeline_executions
from pytest_envdr.drills import pipelines
from pytest_envdr.errors import Refused

if TYPE_CHECKING:
    from pytest_envdr.aws import Aws
    from pytest_envdr.aws.codepipeline import Deploy
    from pytest_envdr.aws.codepipeline_executions import Execution
    from pytest_envdr.stack import Service
    from pytest_envdr.tables import BadDeployment as Declared
    from pytest_envdr.tables import SourceRevision


@dataclass(frozen=True)
class Route:
    """How a broken revision comes to a service.

    Attributes:
        row: the service.
        pipeline: the pipeline's name.
        deploy: its action that deploys to the service.
        kind: how the revision is broken.
        source: the revision.
        good: the execution that the pipeline can be rolled back to.
    """

    row: Service
    pipeline: str
    deploy: Deploy
    kind: str
    source: SourceRevision
    good: Execution


def check_route(aws: Aws, row: Service, declared: Declared, kind: str) -> Route:
    """The way of a revision that is broken so, if the pipeline would ship it, and could be rolled back afterwards.

    Raises:
        NotFound: there is no such pipeline.
        Refused: there is no such revision, no way to the service, or none back; nothing was touched.
    """
    if not declared.pipeline:
        raise Refused(
            "Nothing was touched: no pipeline is named that could ship a broken revision.\n"
            f"Looked at: {aws.stack.path}: bad_deployment.pipeline\nTo go on: name the one that ships to {row.name}."
        )
    source = _source(declared, kind)
    deploy = pipelines.deploy_to(aws, declared.pipeline, row)
    way = codepipeline.stages(aws, declared.pipeline)[deploy.stage].inbound
    if not way.enabled:
        raise _refused(
            declared.pipeline, f"the way into {deploy.stage} is closed: {way.reason}", "open it, or wait until it is."
        )
    _check_source(aws, declared.pipeline, source)
    bad = {one.id for one in declared.revisions.values()}
    return Route(row, declared.pipeline, deploy, kind, source, _last_good(aws, declared.pipeline, deploy.stage, bad))


def _source(declared: Declared, kind: str) -> SourceRevision:
    if kind not in declared.revisions:
        raise Refused(
            f"Nothing was touched: the stack file names no revision of which one can say: {kind}.\n"
            f"Looked at: [bad_deployment.revisions], which has {', '.join(declared.revisions) or 'none'}\n"
            "To go on: commit one that is broken in that way to a test branch, and name it there."
        )
    return declared.revisions[kind]


def _check_source(aws: Aws, pipeline: str, source: SourceRevision) -> None:
    """The pipeline must have that source action, and keep executions apart."""
    found = codepipeline.structure(aws, pipeline)
    if source.action not in found.sources:
        there = ", ".join(found.sources)
        raise _refused(pipeline, f"it has no source action {source.action}, but {there}", "name one of these.")
    if found.mode == "PARALLEL":
        raise _refused(
            pipeline,
            "its executions run side by side (PARALLEL), so that none is kept out",
            "deploy straight to the service.",
        )


def _last_good(aws: Aws, pipeline: str, stage: str, bad: set[str]) -> Execution:
    """What is live as far as the pipeline knows: the newest execution that succeeded in a stage, or what that rolled
    back to; but none that a drill had shipped on purpose."""
    listed = list(codepipeline_executions.executions(aws, pipeline, succeeded_in=stage))
    known = {one.id: one for one in listed}
    for one in listed:
        target = known.get(one.target) if one.target else one
        if target is not None and not bad & set(target.revisions.values()):
            _check_version(aws, pipeline, target)
            return target
    raise _refused(
        pipeline,
        f"no execution of a good revision has succeeded in {stage}: it could not be rolled back",
        "let it ship once.",
    )


def _check_version(aws: Aws, pipeline: str, target: Execution) -> None:
    was = codepipeline_executions.detail(aws, pipeline, target.id).version
    now = codepipeline.structure(aws, pipeline).version
    if was != now:
        raise _refused(
            pipeline,
            f"execution {target.id}, the last good one, ran in version {was} of its structure, which is {now} now: "
            "CodePipeline would not roll back to it",
            "let it ship once in its structure of now.",
        )


def _refused(pipeline: str, why: str, remedy: str) -> Refused:
    return Refused(
        f"Nothing was touched: pipeline {pipeline} cannot ship a broken revision and be put right: {why}.\n"
        f"To go on: {remedy}"
    )
