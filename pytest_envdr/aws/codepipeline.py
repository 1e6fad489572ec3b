"""CodePipeline: a pipeline's stages as typed values, and the way into a stage, closed for a while."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_envdr.aws import Act
from pytest_envdr.journal import Inverse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pytest_envdr.aws import Aws
    from pytest_envdr.journal import Journal

REASON_LIMIT = 300
NOT_IN_A_REASON = re.compile(r"[^a-zA-Z0-9!@ ().*?-]")
"""What CodePipeline refuses in the reason for a disabled transition."""


@dataclass(frozen=True)
class Structure:
    """What a pipeline is made of: its version, how it treats executions that meet, its source actions."""

    version: int
    mode: str
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Deploy:
    """An action that deploys to an ECS service: in which stage, and to what."""

    stage: str
    action: str
    cluster: str
    service: str


@dataclass(frozen=True)
class Transition:
    """The way into a stage. `reason`, `changed_by` and `changed_at` are said of a disabled one."""

    enabled: bool
    reason: str
    changed_by: str
    changed_at: datetime | None


@dataclass(frozen=True)
class Stage:
    """A stage as it is: the execution that was in it last and what became of that there, and the one that waits in
    front of it; "" where there is none."""

    name: str
    inbound: Transition
    execution: str
    status: str
    waiting: str


def structure(aws: Aws, pipeline: str) -> Structure:
    """What a pipeline is made of.

    Raises:
        NotFound: there is no such pipeline.
    """
    row = _described(aws, pipeline)
    actions = [action for stage in row["stages"] for action in stage["actions"]]
    sources = tuple(one["name"] for one in actions if one["actionTypeId"]["category"] == "Source")
    return Structure(row["version"], row.get("executionMode", "SUPERSEDED"), sources)


def deploys(aws: Aws, pipeline: str) -> list[Deploy]:
    """The actions of a pipeline that deploy to an ECS service (not those that deploy through CodeDeploy).

    Raises:
        NotFound: there is no such pipeline.
    """
    return [
        Deploy(stage["name"], action["name"], told.get("ClusterName", ""), told.get("ServiceName", ""))
        for stage in _described(aws, pipeline)["stages"]
        for action in stage["actions"]
        if (action["actionTypeId"]["category"], action["actionTypeId"]["provider"]) == ("Deploy", "ECS")
        for told in [action.get("configuration", {})]
    ]


def stages(aws: Aws, pipeline: str) -> dict[str, Stage]:
    """A pipeline's stages as they are, by name.

    Raises:
        NotFound: there is no such pipeline.
    """
    what = f"The state of pipeline {pipeline} cannot be read ({aws.origin(pipeline)})"
    rows = aws.call("codepipeline.GetPipelineState", what=what, name=pipeline)["stageStates"]
    return {row["stageName"]: _stage(row) for row in rows}


def disable_inbound(aws: Aws, journal: Journal, pipeline: str, stage: str) -> None:
    """Close the way into a stage: what comes waits in front of it, and a newer execution takes an older one's place.

    Only for a way that is open: closing a closed one would change its reason.

    Raises:
        AwsError, UsageError: as `Aws.call`.
    """
    where = {"pipelineName": pipeline, "stageName": stage, "transitionType": "Inbound"}
    reason = NOT_IN_A_REASON.sub("-", f"envdr drill {journal.header.exercise}")[:REASON_LIMIT]
    act = Act(
        "codepipeline.DisableStageTransition",
        {**where, "reason": reason},
        Inverse(
            "codepipeline.EnableStageTransition",
            {**where, "reason": reason},
            f"the way into stage {stage} of pipeline {pipeline} open",
        ),
        f"The way into stage {stage} of pipeline {pipeline} cannot be closed",
    )
    aws.act(journal, act)


def _described(aws: Aws, pipeline: str) -> dict[str, Any]:
    what = f"Pipeline {pipeline} cannot be read ({aws.origin(pipeline)})"
    return dict(aws.call("codepipeline.GetPipeline", what=what, name=pipeline)["pipeline"])


def _stage(row: Mapping[str, Any]) -> Stage:
    inbound, latest = row.get("inboundTransitionState", {}), row.get("latestExecution", {})
    transition = Transition(
        inbound.get("enabled", True),
        inbound.get("disabledReason", ""),
        inbound.get("lastChangedBy", ""),
        inbound.get("lastChangedAt"),
    )
    return Stage(
        row["stageName"],
        transition,
        latest.get("pipelineExecutionId", ""),
        latest.get("status", ""),
        row.get("inboundExecution", {}).get("pipelineExecutionId", ""),
    )
