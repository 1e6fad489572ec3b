"""moto's CodePipeline backend, recording intent."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from moto.codepipeline.models import CodePipelineBackend

from pytest_envdr.sandbox.control_plane.codepipeline import execution as status
from pytest_envdr.sandbox.control_plane.codepipeline.declaration import Declaration, check
from pytest_envdr.sandbox.control_plane.codepipeline.errors import (
    PipelineExecutionNotFoundException,
    PipelineNameInUseException,
    PipelineNotFoundException,
    ValidationException,
)
from pytest_envdr.sandbox.control_plane.codepipeline.execution import Execution, Override
from pytest_envdr.sandbox.control_plane.codepipeline.line import Line, Transition
from pytest_envdr.sandbox.control_plane.codepipeline.source_action import KEY, VERSION
from pytest_envdr.sandbox.control_plane.extension import moto_urls

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from types import ModuleType

    from pytest_envdr.sandbox.world import World


class SandboxCodePipeline(CodePipelineBackend):
    """One account's pipelines in one Region. `world` is None where no control loop acts.

    Attributes:
        lines: each pipeline at work, by name.
    """

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.world: World | None = None
        self.lines: dict[str, Line] = {}

    @property
    def _url_module(self) -> ModuleType:
        return moto_urls("codepipeline")

    def reset(self) -> None:
        """moto's reset makes the object anew; the world stays."""
        world = self.world
        super().reset()
        self.world = world

    @property
    def caller(self) -> str:
        """Who is said to have made a request."""
        return f"arn:aws:iam::{self.account_id}:root"

    def now(self) -> datetime:
        """The world's time; where there is none, nothing acts (501)."""
        if self.world is None:
            raise NotImplementedError(f"pipelines in {self.region_name}")
        return self.world.now()

    def metadata(self, name: str) -> dict[str, Any]:
        """ARN and times of a pipeline. Raises PipelineNotFoundException."""
        self.line(name)
        kept = self.pipelines[name]
        arn = f"arn:aws:codepipeline:{self.region_name}:{self.account_id}:{name}"
        return {"pipelineArn": arn, "created": kept._created, "updated": kept._updated}

    def line(self, name: str) -> Line:
        """A pipeline. Raises PipelineNotFoundException."""
        if name not in self.lines:
            raise PipelineNotFoundException(f"Account '{self.account_id}' does not have a pipeline with name '{name}'")
        return self.lines[name]

    def execution(self, pipeline: str, identifier: str) -> Execution:
        """An execution of a pipeline. Raises PipelineNotFoundException, PipelineExecutionNotFoundException."""
        found = self.line(pipeline).executions.get(identifier)
        if found is None:
            raise PipelineExecutionNotFoundException(
                f"Account '{self.account_id}' does not have an execution with id '{identifier}' for pipeline"
                f" '{pipeline}'"
            )
        return found

    def create(self, row: dict[str, Any], tags: list[dict[str, str]] | None) -> dict[str, Any]:
        """CreatePipeline: a first execution starts at once, unless the stack's past is being made up."""
        check(row)
        self.now()
        if row["name"] in self.pipelines:
            raise PipelineNameInUseException(f"A pipeline with the name '{row['name']}' already exists")
        made, _ = super().create_pipeline({"pipelineType": "V1", "executionMode": "SUPERSEDED", **row}, tags or [])
        line = Line(Declaration(made), looked=time.monotonic())
        self.lines = {**self.lines, row["name"]: line}
        if self.world and not self.world.founding:
            self.start(line, trigger="CreatePipeline", detail=self.caller)
        return made

    def update(self, row: dict[str, Any]) -> dict[str, Any]:
        """UpdatePipeline: another version of the structure; what is under way is cancelled."""
        check(row)
        line = self.line(row["name"])
        for execution in list(line.running()):
            line.end(execution, status.CANCELLED, self.now())
        made = super().update_pipeline({"pipelineType": "V1", "executionMode": "SUPERSEDED", **row})
        line.declaration = Declaration(made)
        return made

    def delete_pipeline(self, name: str) -> None:
        """DeletePipeline: of one that is not there too."""
        super().delete_pipeline(name)
        line = self.lines.pop(name, None)
        for execution in list(line.running()) if line else []:
            line.end(execution, status.CANCELLED, self.now())  # type: ignore[union-attr] # it is there

    def start(self, line: Line, *, trigger: str, detail: str, overrides: Sequence[Override] = ()) -> Execution:
        """A new execution."""
        execution = Execution(line.declaration, self.now(), trigger, detail, overrides=overrides)
        line.start(execution)
        return execution

    def start_asked(self, asked: Mapping[str, Any]) -> Execution:
        """StartPipelineExecution; the same token starts nothing new."""
        line = self.line(asked["name"])
        token = asked.get("clientRequestToken")
        if token in line.tokens:
            return line.executions[line.tokens[token]]
        overrides = [_override(line.declaration, row) for row in asked.get("sourceRevisions") or []]
        made = self.start(line, trigger="StartPipelineExecution", detail=self.caller, overrides=overrides)
        made.variables = {row["name"]: row["value"] for row in asked.get("variables") or []}
        if token:
            line.tokens[token] = made.identifier
        return made

    def switch(self, asked: Mapping[str, Any], *, enabled: bool) -> None:
        """EnableStageTransition, DisableStageTransition."""
        line = self.line(asked["pipelineName"])
        stage = line.declaration.stage(asked["stageName"]).name
        if asked["transitionType"] != "Inbound":
            raise NotImplementedError("outbound transitions")
        if line.transition(stage).enabled != enabled or not enabled:
            line.transitions[stage] = Transition(enabled, asked.get("reason"), self.caller, self.now())


def _override(declaration: Declaration, row: Mapping[str, str]) -> Override:
    source = next((action for action in declaration.sources if action.name == row["actionName"]), None)
    if source is None:
        raise ValidationException(f"The source action {row['actionName']} is not in pipeline {declaration.name}")
    if row["revisionType"] not in {VERSION, KEY}:
        raise ValidationException(f"The revision type {row['revisionType']} is not one of the provider S3")
    allowed = source.configuration.get("AllowOverrideForS3ObjectKey", "false").lower() == "true"
    if row["revisionType"] == KEY and not allowed:
        raise ValidationException(
            f"The source action {source.name} allows no other object key: AllowOverrideForS3ObjectKey is not true"
        )
    return Override(source.name, row["revisionType"], row["revisionValue"])
