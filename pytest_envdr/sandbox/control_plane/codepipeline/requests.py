"""What is asked of executions that are there: stop, approve, retry, roll back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_envdr.sandbox.control_plane.codepipeline import execution as status
from pytest_envdr.sandbox.control_plane.codepipeline.errors import (
    ActionNotFoundException,
    ApprovalAlreadyCompletedException,
    ConflictException,
    DuplicatedStopRequestException,
    InvalidApprovalTokenException,
    NotLatestPipelineExecutionException,
    PipelineExecutionNotStoppableException,
    PipelineExecutionOutdatedException,
    StageNotRetryableException,
    UnableToRollbackStageException,
)
from pytest_envdr.sandbox.control_plane.codepipeline.execution import Execution, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pytest_envdr.sandbox.control_plane.codepipeline.backend import SandboxCodePipeline
    from pytest_envdr.sandbox.control_plane.codepipeline.execution import StageRun
    from pytest_envdr.sandbox.control_plane.codepipeline.line import Line

ALL = "ALL_ACTIONS"


def stop(backend: SandboxCodePipeline, asked: Mapping[str, Any]) -> Execution:
    """StopPipelineExecution: actions in progress are awaited, or abandoned."""
    execution = backend.execution(asked["pipelineName"], asked["pipelineExecutionId"])
    abandon = bool(asked.get("abandon"))
    if execution.status == status.STOPPING and abandon <= execution.abandon:
        raise DuplicatedStopRequestException(f"The execution {execution.identifier} is already in a Stopping state")
    if not execution.active:
        raise PipelineExecutionNotStoppableException(
            f"The execution {execution.identifier} is not in progress: {execution.status}"
        )
    execution.abandon, execution.stop_reason = abandon, asked.get("reason")
    backend.line(asked["pipelineName"]).stop(execution, backend.now())
    return execution


def approve(backend: SandboxCodePipeline, asked: Mapping[str, Any]) -> datetime:
    """PutApprovalResult; when that was."""
    line = backend.line(asked["pipelineName"])
    action = line.declaration.stage(asked["stageName"]).action(asked["actionName"])
    if action is None or action.category != "Approval":
        raise ActionNotFoundException(f"There is no approval action {asked['actionName']}")
    latest = line.latest.get(asked["stageName"])
    run = latest.stages[asked["stageName"]].runs.get(action.name) if latest else None
    if latest is None or run is None:
        raise InvalidApprovalTokenException("There is no approval request")
    if run.token is None:
        raise ApprovalAlreadyCompletedException(f"The approval action {action.name} is already {run.status}")
    if run.token != asked["token"]:
        raise InvalidApprovalTokenException("The approval request has expired, or the token is another one's")
    now, result = backend.now(), asked["result"]
    run.outcome, run.updated_by = Outcome(summary=result["summary"]), backend.caller
    run.end(status.SUCCEEDED if result["status"] == "Approved" else status.FAILED, now)
    return now


def retry(backend: SandboxCodePipeline, asked: Mapping[str, Any]) -> Execution:
    """RetryStageExecution: the same execution, in the same stage, with the same revisions."""
    line = backend.line(asked["pipelineName"])
    stage = line.declaration.stage(asked["stageName"]).name
    latest = line.latest.get(stage)
    if latest is None or latest.identifier != asked["pipelineExecutionId"]:
        raise NotLatestPipelineExecutionException(
            f"The execution {asked['pipelineExecutionId']} is not the latest one in stage {stage}"
        )
    here = latest.stages[stage]
    if stage in line.occupants:
        raise ConflictException(f"Stage {stage} has actions in progress")
    again = here.with_status(status.FAILED, status.ABANDONED)
    if latest.declaration.version != line.declaration.version or not again:
        raise StageNotRetryableException(
            f"Stage {stage} has no failed actions, or the pipeline's structure has changed since"
        )
    for run in list(here.runs.values()) if asked["retryMode"] == ALL else again:
        del here.runs[run.action.name]
    here.status, here.retries, latest.abandon = status.IN_PROGRESS, here.retries + 1, False
    line.enter(latest, stage, backend.now())
    return latest


def roll_back(backend: SandboxCodePipeline, asked: Mapping[str, Any]) -> Execution:
    """RollbackStage: a new execution of that stage alone, with the revisions and artifacts of an old one."""
    line = backend.line(asked["pipelineName"])
    stage = line.declaration.stage(asked["stageName"]).name
    target = backend.execution(asked["pipelineName"], asked["targetPipelineExecutionId"])
    _check_target(line, stage, target)
    now = backend.now()
    execution = Execution(
        line.declaration,
        now,
        "ManualRollback",
        backend.caller,
        kind=status.ROLLBACK,
        target=target.identifier,
        variables=target.variables,
        artifacts=dict(target.artifacts),
        revisions=dict(target.revisions),
    )
    line.executions[execution.identifier] = execution
    line.enter(execution, stage, now)
    return execution


def _check_target(line: Line, stage: str, target: Execution) -> None:
    if stage == line.declaration.stages[0].name:
        raise UnableToRollbackStageException(f"Stage {stage} is a source stage")
    if target.declaration.version != line.declaration.version:
        raise PipelineExecutionOutdatedException(
            f"The execution {target.identifier} was started in structure version {target.declaration.version}"
        )
    if target.kind == status.ROLLBACK:
        raise UnableToRollbackStageException(f"The execution {target.identifier} is itself a rollback")
    was: StageRun | None = target.stages.get(stage)
    if was is None or was.status != status.SUCCEEDED:
        raise UnableToRollbackStageException(f"The execution {target.identifier} did not succeed in stage {stage}")
    if stage in line.occupants:
        raise UnableToRollbackStageException(f"Stage {stage} is currently running")
