"""The pipeline that ships to a service, kept out while a drill deploys to it: no commit may race with the drill."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from itertools import takewhile
from typing import TYPE_CHECKING

from pytest_envdr import undo
from pytest_envdr.aws import codepipeline, codepipeline_executions
from pytest_envdr.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from pytest_envdr.aws import Aws
    from pytest_envdr.aws.codepipeline import Deploy, Stage
    from pytest_envdr.drills import Drill
    from pytest_envdr.journal import Journal
    from pytest_envdr.stack import Service

CLOSES = "codepipeline.DisableStageTransition"
"""The act that is undone last: once the way is open, a commit that waited changes the service at once."""
SKEW = timedelta(seconds=60)
"""How far AWS's clock may be from this machine's."""
COLUMNS = ("execution", "status", "started by", "source revision")


@contextmanager
def kept_out(aws: Aws, journal: Journal, drill: Drill, row: Service, pipeline: str) -> Iterator[None]:
    """Close the way into the stage that deploys to a service; on leaving, however it is left, it is open again. One
    that somebody else has closed is left exactly as it is. Without a pipeline ("") nothing is done.

    Raises:
        NotFound: there is no such pipeline.
        Refused: it does not deploy to the service, or is at work; nothing is left changed.
        UndoFailed: on leaving, the way could not be opened.
    """
    if not pipeline:
        drill.note("no pipeline is named in [bad_deployment]: should one ship meanwhile, it races with the drill")
        yield
        return
    stage = deploy_to(aws, pipeline, row).stage
    now = codepipeline.stages(aws, pipeline)
    closed, began = not now[stage].inbound.enabled, drill.clock.at(drill.clock.monotonic())
    _check_at_rest(pipeline, [now[stage]] if closed else list(now.values()))
    try:
        if closed:
            drill.note(
                f"the way into {stage} of {pipeline} is closed already, and stays so: {now[stage].inbound.reason}"
            )
        else:
            codepipeline.disable_inbound(aws, journal, pipeline, stage)
            # What slipped in between is at work by now.
            _check_at_rest(pipeline, [codepipeline.stages(aws, pipeline)[stage]])
        yield
    finally:
        try:
            _tell(aws, drill, pipeline, began)
        finally:
            open_way(aws, journal, drill)


def open_way(aws: Aws, journal: Journal, drill: Drill) -> None:
    """Open the way that the drill has closed, if it has.

    Raises:
        UndoFailed: it stays closed.
    """
    for entry in reversed(journal.owed()):
        if entry.act == CLOSES:
            undone = undo.reverse(aws, journal, entry)
            drill.note(f"{entry.inverse.restores}: {undone.how}")


def deploy_to(aws: Aws, pipeline: str, row: Service) -> Deploy:
    """The action that deploys to a service.

    Raises:
        NotFound: there is no such pipeline.
        Refused: it deploys to others only.
    """
    found = codepipeline.deploys(aws, pipeline)
    for one in found:
        if (one.cluster, one.service) == (row.cluster, row.name):
            return one
    told = ", ".join(f"{one.service} in {one.cluster}" for one in found) or "no ECS service"
    raise Refused(
        f"Nothing was touched: pipeline {pipeline} does not deploy to {row.name} in {row.cluster}, but to {told}.\n"
        f"Looked at: {aws.stack.path}: bad_deployment.pipeline\n"
        "To go on: name the pipeline that ships to the service, or none."
    )


def _check_at_rest(pipeline: str, stages: list[Stage]) -> None:
    for stage in stages:
        if stage.status in codepipeline_executions.UNDER_WAY:
            raise _at_work(pipeline, stage.execution, f"is in stage {stage.name} ({stage.status})")
        if stage.waiting and stage.inbound.enabled:
            raise _at_work(pipeline, stage.waiting, f"waits for stage {stage.name}")


def _at_work(pipeline: str, execution: str, where: str) -> Refused:
    return Refused(
        f"Nothing was broken: execution {execution} of pipeline {pipeline} {where}; what it ships would race with the "
        "drill.\nTo go on: let it end."
    )


def _tell(aws: Aws, drill: Drill, pipeline: str, began: datetime) -> None:
    """Which executions began meanwhile: a commit of somebody's, that waits now, for example."""
    recent = takewhile(lambda one: one.started_at >= began - SKEW, codepipeline_executions.executions(aws, pipeline))
    rows = [
        (one.id, one.status, one.trigger, ", ".join(one.revisions.values()))
        for one in recent
        if one.started_at >= began
    ]
    if rows:
        drill.table(f"What pipeline {pipeline} began meanwhile", COLUMNS, rows, caption="what waits, ships afterwards")
