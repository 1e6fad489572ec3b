"""What is known, in the shapes of CodePipeline's answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_plane.codepipeline.declaration import Stage
    from pytest_envdr.sandbox.control_plane.codepipeline.execution import Execution, Run
    from pytest_envdr.sandbox.control_plane.codepipeline.line import Line


def execution(one: Execution) -> dict[str, Any]:
    """GetPipelineExecution's."""
    artifacts = [
        {
            "name": revision.artifact,
            "revisionId": revision.identifier,
            "revisionSummary": revision.summary,
            "created": revision.created,
            "revisionUrl": revision.url,
        }
        for revision in one.revisions.values()
    ]
    row = {
        "pipelineName": one.declaration.name,
        "pipelineVersion": one.declaration.version,
        "pipelineExecutionId": one.identifier,
        "artifactRevisions": artifacts,
        "variables": [{"name": name, "resolvedValue": value} for name, value in one.variables.items()],
    }
    return row | _both(one)


def summary(one: Execution) -> dict[str, Any]:
    """ListPipelineExecutions'."""
    sources = [
        {
            "actionName": revision.action,
            "revisionId": revision.identifier,
            "revisionSummary": revision.summary,
            "revisionUrl": revision.url,
        }
        for revision in one.revisions.values()
    ]
    row: dict[str, Any] = {
        "pipelineExecutionId": one.identifier,
        "startTime": one.started,
        "lastUpdateTime": one.updated or one.started,
        "sourceRevisions": sources,
    }
    if one.stop_reason:
        row["stopTrigger"] = {"reason": one.stop_reason}
    return row | _both(one)


def _both(one: Execution) -> dict[str, Any]:
    rollback = {"rollbackMetadata": {"rollbackTargetPipelineExecutionId": one.target}} if one.target else {}
    return {
        "status": one.status,
        "trigger": {"triggerType": one.trigger, "triggerDetail": one.detail},
        "executionMode": one.declaration.mode,
        "executionType": one.kind,
        **rollback,
    }


def state(line: Line) -> dict[str, Any]:
    """GetPipelineState's."""
    return {
        "pipelineName": line.declaration.name,
        "pipelineVersion": line.declaration.version,
        "stageStates": [_stage(line, stage) for stage in line.declaration.stages],
    }


def _stage(line: Line, stage: Stage) -> dict[str, Any]:
    transition = line.transition(stage.name)
    inbound = [{**one.mentioned(), "status": "InProgress"} for one in line.waiting.get(stage.name, [])]
    row: dict[str, Any] = {
        "stageName": stage.name,
        "inboundExecutions": inbound,
        "inboundTransitionState": _given(
            {
                "enabled": transition.enabled,
                "lastChangedBy": transition.changed_by,
                "lastChangedAt": transition.changed_at,
                "disabledReason": None if transition.enabled else transition.reason,
            }
        ),
        "actionStates": [_action(line, stage.name, action.name) for action in stage.actions],
    }
    if inbound:
        row["inboundExecution"] = inbound[-1]
    latest = line.latest.get(stage.name)
    if latest:
        here = latest.stages[stage.name]
        status = "Stopping" if latest.status == "Stopping" and here.status == "InProgress" else here.status
        row["latestExecution"] = {**latest.mentioned(), "status": status}
        if here.retries:
            row["retryStageMetadata"] = {
                "manualStageRetryAttempt": here.retries,
                "latestRetryTrigger": "ManualStageRetry",
            }
    return row


def _action(line: Line, stage: str, name: str) -> dict[str, Any]:
    """An action as it ran last, in whatever execution that was."""
    runs = [
        run for one in line.executions.values() for run in one.history if (run.stage, run.action.name) == (stage, name)
    ]
    if not runs:
        return {"actionName": name}
    run = max(runs, key=lambda one: one.started)
    row: dict[str, Any] = {"actionName": name, "latestExecution": _latest(run)}
    if run.outcome.revision:
        revision = run.outcome.revision
        row["currentRevision"] = {
            "revisionId": revision.identifier,
            "revisionChangeId": revision.identifier,
            "created": revision.created,
        }
        row["revisionUrl"] = revision.url
    return row


def _latest(run: Run) -> dict[str, Any]:
    return _given(
        {
            "actionExecutionId": run.identifier,
            "status": run.status,
            "summary": run.outcome.summary or None,
            "lastStatusChange": run.updated,
            "token": run.token,
            "lastUpdatedBy": run.updated_by,
            "externalExecutionId": run.external,
            "externalExecutionUrl": run.external_url,
            "errorDetails": run.failure.shown() if run.failure else None,
        }
    )


def action_execution(one: Execution, run: Run) -> dict[str, Any]:
    """ListActionExecutions'."""
    action = run.action
    result = _given(
        {
            "externalExecutionId": run.external,
            "externalExecutionSummary": run.outcome.summary or None,
            "externalExecutionUrl": run.external_url,
            "errorDetails": run.failure.shown() if run.failure else None,
        }
    )
    given = _given(
        {
            "actionTypeId": action.row["actionTypeId"],
            "configuration": dict(action.configuration),
            "resolvedConfiguration": dict(action.configuration),
            "roleArn": action.row.get("roleArn"),
            "region": action.row.get("region"),
            "namespace": action.row.get("namespace"),
            "inputArtifacts": [{"name": name, "s3location": at.shown()} for name, at in run.inputs.items()],
        }
    )
    outputs = [{"name": name, "s3location": at.shown()} for name, at in run.outcome.outputs.items()]
    row = {
        "pipelineExecutionId": one.identifier,
        "actionExecutionId": run.identifier,
        "pipelineVersion": run.version,
        "stageName": run.stage,
        "actionName": action.name,
        "startTime": run.started,
        "lastUpdateTime": run.updated,
        "updatedBy": run.updated_by,
        "status": run.status,
        "input": given,
        "output": {"outputArtifacts": outputs, "executionResult": result, "outputVariables": {}},
    }
    return _given(row)


def _given(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}
