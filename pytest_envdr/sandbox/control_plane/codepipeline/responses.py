"""The API's face: parameters in, descriptions out. Each request is answered under the lock, so it sees one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from moto.codepipeline.models import codepipeline_backends
from moto.codepipeline.responses import CodePipelineResponse
from moto.core.responses import ActionResult, EmptyResult

from pytest_envdr.sandbox.control_plane.codepipeline import requests, views
from pytest_envdr.sandbox.control_plane.codepipeline.errors import ValidationException
from pytest_envdr.sandbox.control_plane.extension import backend_lock

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_plane.codepipeline.backend import SandboxCodePipeline

PAGE = 100


class SandboxCodePipelineResponse(CodePipelineResponse):
    """moto's responses, and those that our state answers."""

    def __init__(self) -> None:
        super().__init__()
        self.automated_parameter_parsing = True

    @property
    def sandbox(self) -> SandboxCodePipeline:
        """The backend of the caller's account and Region."""
        return cast("SandboxCodePipeline", codepipeline_backends[self.current_account][self.region])

    def call_action(self) -> Any:
        """Answer, alone."""
        with backend_lock:
            return super().call_action()

    # Pipelines

    def create_pipeline(self) -> ActionResult:  # type: ignore[override]
        given = self._given()
        made = self.sandbox.create(dict(given["pipeline"]), given.get("tags"))
        return ActionResult({"pipeline": made, "tags": given.get("tags") or []})

    def get_pipeline(self) -> ActionResult:  # type: ignore[override]
        given = self._given()
        line = self.sandbox.line(given["name"])
        if given.get("version") not in (None, line.declaration.version):
            raise NotImplementedError("older versions of a pipeline")
        return ActionResult({"pipeline": line.declaration.row, "metadata": self.sandbox.metadata(given["name"])})

    def update_pipeline(self) -> ActionResult:  # type: ignore[override]
        return ActionResult({"pipeline": self.sandbox.update(dict(self._given()["pipeline"]))})

    def get_pipeline_state(self) -> ActionResult:
        name = self._given()["name"]
        metadata = self.sandbox.metadata(name)
        times = {"created": metadata["created"], "updated": metadata["updated"]}
        return ActionResult(views.state(self.sandbox.line(name)) | times)

    # Transitions and approvals

    def disable_stage_transition(self) -> EmptyResult:
        self.sandbox.switch(self._given(), enabled=False)
        return EmptyResult()

    def enable_stage_transition(self) -> EmptyResult:
        self.sandbox.switch(self._given(), enabled=True)
        return EmptyResult()

    def put_approval_result(self) -> ActionResult:
        return ActionResult({"approvedAt": requests.approve(self.sandbox, self._given())})

    # Executions

    def start_pipeline_execution(self) -> ActionResult:  # type: ignore[override]
        return ActionResult({"pipelineExecutionId": self.sandbox.start_asked(self._given()).identifier})

    def stop_pipeline_execution(self) -> ActionResult:
        return ActionResult({"pipelineExecutionId": requests.stop(self.sandbox, self._given()).identifier})

    def retry_stage_execution(self) -> ActionResult:
        return ActionResult({"pipelineExecutionId": requests.retry(self.sandbox, self._given()).identifier})

    def rollback_stage(self) -> ActionResult:
        return ActionResult({"pipelineExecutionId": requests.roll_back(self.sandbox, self._given()).identifier})

    def get_pipeline_execution(self) -> ActionResult:  # type: ignore[override]
        given = self._given()
        found = self.sandbox.execution(given["pipelineName"], given["pipelineExecutionId"])
        return ActionResult({"pipelineExecution": views.execution(found)})

    def list_pipeline_executions(self) -> ActionResult:  # type: ignore[override]
        given = self._given()
        found = list(self.sandbox.line(given["pipelineName"]).executions.values())
        stage = ((given.get("filter") or {}).get("succeededInStage") or {}).get("stageName")
        if stage:
            found = [one for one in found if stage in one.stages and one.stages[stage].status == "Succeeded"]
        rows = [views.summary(one) for one in reversed(found)]
        return ActionResult(_page(rows, "pipelineExecutionSummaries", given))

    def list_action_executions(self) -> ActionResult:
        """ListActionExecutions: the newest first, of one execution or of all."""
        given = self._given()
        name, wanted = given["pipelineName"], given.get("filter") or {}
        latest = wanted.get("latestInPipelineExecution") or {}
        identifier = wanted.get("pipelineExecutionId") or latest.get("pipelineExecutionId")
        line = self.sandbox.line(name)
        found = [self.sandbox.execution(name, identifier)] if identifier else list(line.executions.values())
        runs = [(one, run) for one in found for run in one.history]
        if latest.get("startTimeRange") == "Latest":
            shown = {id(run) for one in found for stage in one.stages.values() for run in stage.runs.values()}
            runs = [(one, run) for one, run in runs if id(run) in shown]
        runs.sort(key=lambda pair: pair[1].started, reverse=True)
        rows = [views.action_execution(one, run) for one, run in runs]
        return ActionResult(_page(rows, "actionExecutionDetails", given))

    def _given(self) -> dict[str, Any]:
        return {name: value for name, value in self._get_params().items() if value is not None}


def _page(rows: list[dict[str, Any]], key: str, given: dict[str, Any]) -> dict[str, Any]:
    size = int(given.get("maxResults") or PAGE)
    token = str(given.get("nextToken") or "0")
    if not token.isdecimal() or not 1 <= size <= PAGE:
        raise ValidationException("Invalid nextToken or maxResults")
    end = int(token) + size
    return {key: rows[int(token) : end], **({"nextToken": str(end)} if end < len(rows) else {})}
