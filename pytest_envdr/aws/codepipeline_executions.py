"""CodePipeline: a pipeline's executions as typed values, what each of their actions did, and a drill's own ones.

Which revision an execution took is told by itself alone: StartPipelineExecution takes the newest one unless it is told
another, and a retried stage the same one again (aws-semantics 5.9).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pytest_envdr.aws import Act
from pytest_envdr.journal import Inverse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from pytest_envdr.aws import Aws
    from pytest_envdr.journal import Journal
    from pytest_envdr.tables import SourceRevision

UNDER_WAY = frozenset({"InProgress", "Stopping"})
"""An execution's status while it may still change something; all others are ends."""
ROLLBACK = "ROLLBACK"
"""The type of an execution that rolls a stage back."""


@dataclass(frozen=True)
class Execution:
    """An execution.

    Attributes:
        revisions: those of its source actions, by action; none before these have run.
        type: STANDARD or ROLLBACK.
        target: of a rollback, the execution (its id) that it goes back to.
    """

    id: str
    status: str
    started_at: datetime
    trigger: str
    revisions: Mapping[str, str]
    type: str = "STANDARD"
    target: str = ""

    @property
    def under_way(self) -> bool:
        """Whether it may still change something; one that waits in front of a stage is in progress too."""
        return self.status in UNDER_WAY


@dataclass(frozen=True)
class Detail:
    """An execution by itself: `version` is that of the pipeline's structure, `revisions` the ids of its artifacts'."""

    status: str
    version: int
    revisions: tuple[str, ...]

    @property
    def under_way(self) -> bool:
        return self.status in UNDER_WAY


@dataclass(frozen=True)
class Action:
    """An action as it ran in an execution.

    Attributes:
        external: what it is called where it really happens: a build's id, the id of an ECS deployment.
        error: code and words of why it failed, or "".
    """

    stage: str
    name: str
    status: str
    external: str
    error: str
    started_at: datetime
    updated_at: datetime


def executions(aws: Aws, pipeline: str, *, succeeded_in: str = "") -> Iterator[Execution]:
    """A pipeline's executions, the newest first, page by page; CodePipeline keeps those of twelve months.

    Args:
        aws: the account.
        pipeline: its name.
        succeeded_in: only those that succeeded in this stage.

    Raises:
        NotFound: there is no such pipeline.
    """
    what = f"The executions of pipeline {pipeline} cannot be read"
    wanted = {"filter": {"succeededInStage": {"stageName": succeeded_in}}} if succeeded_in else {}
    rows = aws.pages(
        "codepipeline.ListPipelineExecutions", "pipelineExecutionSummaries", what=what, pipelineName=pipeline, **wanted
    )
    for row in rows:
        yield Execution(
            row["pipelineExecutionId"],
            row["status"],
            row["startTime"],
            row.get("trigger", {}).get("triggerType", ""),
            {one["actionName"]: one.get("revisionId", "") for one in row.get("sourceRevisions", [])},
            row.get("executionType", "STANDARD"),
            row.get("rollbackMetadata", {}).get("rollbackTargetPipelineExecutionId", ""),
        )


def detail(aws: Aws, pipeline: str, execution: str) -> Detail:
    """An execution (its id) as it is.

    Raises:
        NotFound: there is no such pipeline or execution.
    """
    what = f"Execution {execution} of pipeline {pipeline} cannot be read"
    row = aws.call(
        "codepipeline.GetPipelineExecution", what=what, pipelineName=pipeline, pipelineExecutionId=execution
    )["pipelineExecution"]
    revisions = tuple(one.get("revisionId", "") for one in row.get("artifactRevisions", []))
    return Detail(row["status"], row["pipelineVersion"], revisions)


def actions(aws: Aws, pipeline: str, execution: str) -> list[Action]:
    """What an execution (its id) did so far, the oldest first; a retried action is there twice.

    Raises:
        NotFound: there is no such pipeline or execution.
    """
    what = f"The actions of execution {execution} of pipeline {pipeline} cannot be read"
    rows = aws.pages(
        "codepipeline.ListActionExecutions",
        "actionExecutionDetails",
        what=what,
        pipelineName=pipeline,
        filter={"pipelineExecutionId": execution},
    )
    return sorted(map(_action, rows), key=lambda one: one.started_at)


def start(aws: Aws, journal: Journal, pipeline: str, revision: SourceRevision) -> str:
    """Start an execution with another revision of its source than the newest one; its id.

    Undone, it is stopped if it is still under way; what it has done by then is not undone by that.

    Raises:
        AwsError, UsageError: as `Aws.call`.
    """
    token = f"envdr-{uuid4()}"  # a retry of the same call starts no second one
    overrides = [
        {"actionName": revision.action, "revisionType": kind, "revisionValue": value}
        for kind, value in revision.overrides.items()
    ]
    inverse = _ended(pipeline, f"with revision {revision.id}", revision=revision.id)
    act = Act(
        "codepipeline.StartPipelineExecution",
        {"name": pipeline, "sourceRevisions": overrides, "clientRequestToken": token},
        inverse,
        f"Pipeline {pipeline} cannot be started with revision {revision.id}",
    )
    return str(aws.act(journal, act, kept=_kept)["pipelineExecutionId"])


def roll_back_stage(aws: Aws, journal: Journal, pipeline: str, stage: str, *, to: str) -> str:
    """Run a stage again with what an earlier execution (its id) had: revisions, variables, artifacts; the new
    execution's id. Undone, it is stopped if it is still under way.

    Raises:
        AwsError, UsageError: as `Aws.call`.
    """
    act = Act(
        "codepipeline.RollbackStage",
        {"pipelineName": pipeline, "stageName": stage, "targetPipelineExecutionId": to},
        _ended(pipeline, f"back to {to}", target=to),
        f"Stage {stage} of pipeline {pipeline} cannot be rolled back to execution {to}",
    )
    return str(aws.act(journal, act, kept=_kept)["pipelineExecutionId"])


def _ended(pipeline: str, words: str, **told: str) -> Inverse:
    """`told` is what an execution is known by whose id nobody was answered."""
    return Inverse(
        "codepipeline.StopPipelineExecution",
        {"pipelineName": pipeline, **told},
        f"no execution of pipeline {pipeline} {words} under way",
    )


def _kept(answer: dict[str, Any]) -> dict[str, Any]:
    return {"pipelineExecutionId": answer["pipelineExecutionId"]}


def _action(row: Mapping[str, Any]) -> Action:
    result = row.get("output", {}).get("executionResult", {})
    error = result.get("errorDetails", {})
    return Action(
        row["stageName"],
        row["actionName"],
        row["status"],
        result.get("externalExecutionId", ""),
        ": ".join(part for part in (error.get("code", ""), error.get("message", "")) if part),
        row["startTime"],
        row["lastUpdateTime"],
    )
