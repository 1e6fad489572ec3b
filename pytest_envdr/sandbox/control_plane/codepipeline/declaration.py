"""What a pipeline is told to be: its stages and their actions, typed and checked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pytest_envdr.sandbox.control_plane.codepipeline.errors import (
    InvalidActionDeclarationException,
    InvalidStageDeclarationException,
    InvalidStructureException,
    StageNotFoundException,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

SUPERSEDED, QUEUED = "SUPERSEDED", "QUEUED"
REQUIRED = {
    ("Source", "S3"): ("S3Bucket", "S3ObjectKey"),
    ("Approval", "Manual"): (),
    ("Build", "CodeBuild"): ("ProjectName",),
    ("Test", "CodeBuild"): ("ProjectName",),
    ("Deploy", "ECS"): ("ClusterName", "ServiceName"),
}
"""The actions that there are, and what their configuration must have."""


@dataclass(frozen=True)
class Action:
    """One action of a stage."""

    row: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.row["name"])

    @property
    def category(self) -> str:
        return str(self.row["actionTypeId"]["category"])

    @property
    def provider(self) -> str:
        return str(self.row["actionTypeId"]["provider"])

    @property
    def order(self) -> int:
        return int(self.row.get("runOrder", 1))

    @property
    def configuration(self) -> Mapping[str, str]:
        return self.row.get("configuration") or {}

    @property
    def inputs(self) -> list[str]:
        """The names of the artifacts that it works on."""
        return [artifact["name"] for artifact in self.row.get("inputArtifacts") or []]

    @property
    def outputs(self) -> list[str]:
        """The names of the artifacts that it makes."""
        return [artifact["name"] for artifact in self.row.get("outputArtifacts") or []]


@dataclass(frozen=True)
class Stage:
    """One stage."""

    name: str
    actions: tuple[Action, ...]

    def action(self, name: str) -> Action | None:
        """The action of that name."""
        return next((action for action in self.actions if action.name == name), None)


@dataclass(frozen=True)
class Declaration:
    """A pipeline's structure in one version."""

    row: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.row["name"])

    @property
    def version(self) -> int:
        return int(self.row["version"])

    @property
    def mode(self) -> str:
        """SUPERSEDED or QUEUED."""
        return str(self.row.get("executionMode") or SUPERSEDED)

    @property
    def bucket(self) -> str:
        """Where its artifacts are kept."""
        return str(self.row["artifactStore"]["location"])

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        return tuple(Stage(row["name"], tuple(map(Action, row["actions"]))) for row in self.row["stages"])

    @property
    def sources(self) -> tuple[Action, ...]:
        """The first stage's actions."""
        return self.stages[0].actions

    def stage(self, name: str) -> Stage:
        """A stage. Raises StageNotFoundException."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise StageNotFoundException(f"Pipeline '{self.name}' does not contain a stage with name '{name}'")

    def after(self, name: str) -> Stage | None:
        """The stage after this one, unless it is the last."""
        names = [stage.name for stage in self.stages]
        at = names.index(name) + 1
        return self.stages[at] if at < len(names) else None


def check(row: Mapping[str, Any]) -> None:
    """Refuse what is no pipeline, or one of a kind that the sandbox does not have (501)."""
    if not row.get("artifactStore"):
        raise NotImplementedError("artifactStores, one a Region")
    if row.get("executionMode") == "PARALLEL" or row.get("triggers"):
        raise NotImplementedError("PARALLEL executions and triggers")
    stages = row["stages"]
    if len(stages) < 2:
        raise InvalidStructureException(
            f"Pipeline has only {len(stages)} stage(s). There should be a minimum of 2 stages in a pipeline"
        )
    names = [stage["name"] for stage in stages]
    if len(set(names)) < len(names):
        raise InvalidStructureException("Stage names must be unique within a pipeline")
    made: set[str] = set()
    for number, stage in enumerate(stages):
        _check_stage(stage, first=not number)
        _check_artifacts(stage, made)


def _check_stage(stage: Mapping[str, Any], *, first: bool) -> None:
    if {"beforeEntry", "onSuccess", "onFailure"} & {key for key, value in stage.items() if value}:
        raise NotImplementedError("conditions of stages")
    names = [action["name"] for action in stage["actions"]]
    if not names or len(set(names)) < len(names):
        raise InvalidStageDeclarationException(f"Stage {stage['name']} has no actions, or two of one name")
    for row in stage["actions"]:
        kind = (row["actionTypeId"]["category"], row["actionTypeId"]["provider"])
        if (kind[0] == "Source") != first:
            raise InvalidStructureException(
                "Pipeline stage 1 should only contain source actions, and no other stage should contain any"
            )
        if kind not in REQUIRED:
            raise NotImplementedError(f"actions of category {kind[0]} and provider {kind[1]}")
        missing = [key for key in REQUIRED[kind] if not (row.get("configuration") or {}).get(key)]
        if missing:
            raise InvalidActionDeclarationException(
                f"Action configuration for action '{row['name']}' is missing required configuration '{missing[0]}'"
            )


def _check_artifacts(stage: Mapping[str, Any], made: set[str]) -> None:
    """What an action works on must have been made by an earlier one."""
    for row in sorted(stage["actions"], key=lambda row: row.get("runOrder") or 1):
        action = Action(row)
        unknown = [name for name in action.inputs if name not in made]
        if unknown:
            raise InvalidActionDeclarationException(
                f"Input Artifact Bundle {unknown[0]} in action {action.name} is not declared as Output Artifact Bundle"
                " in any of the preceding actions"
            )
        if len(action.inputs) != 1 and action.category in {"Build", "Test", "Deploy"}:
            raise InvalidActionDeclarationException(f"Action {action.name} must have one input artifact")
        if len(action.outputs) != 1 and action.category == "Source":
            raise InvalidActionDeclarationException(f"Action {action.name} must have one output artifact")
        made |= set(action.outputs)
