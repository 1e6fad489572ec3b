"""The API's face: parameters in, descriptions out. Each request is answered under the lock, so it sees one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from moto.codebuild.models import codebuild_backends
from moto.codebuild.responses import CodeBuildResponse
from moto.core.responses import ActionResult, EmptyResult

from pytest_envdr.sandbox.control_plane.codebuild.errors import InvalidInputException
from pytest_envdr.sandbox.control_plane.extension import backend_lock

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_plane.codebuild.backend import SandboxCodeBuild

MOST_IDS = 100


class SandboxCodeBuildResponse(CodeBuildResponse):
    """moto's responses, and those that our state answers."""

    def __init__(self) -> None:
        super().__init__()
        self.automated_parameter_parsing = True

    @property
    def sandbox(self) -> SandboxCodeBuild:
        """The backend of the caller's account and Region."""
        return cast("SandboxCodeBuild", codebuild_backends[self.current_account][self.region])

    def call_action(self) -> Any:
        """Answer, alone."""
        with backend_lock:
            return super().call_action()

    def create_project(self) -> ActionResult:
        return ActionResult({"project": self.sandbox.create(self._given())})

    def delete_project(self) -> EmptyResult:
        self.sandbox.delete_project(self._given()["name"])
        return EmptyResult()

    def batch_get_projects(self) -> ActionResult:
        names = self._given()["names"]
        found = self.sandbox.batch_get_projects(names)
        known = {value for project in found for value in (project["name"], project["arn"])}
        return ActionResult({"projects": found, "projectsNotFound": [name for name in names if name not in known]})

    def start_build(self) -> ActionResult:
        return ActionResult({"build": self.sandbox.start(self._given()).shown()})

    def stop_build(self) -> ActionResult:
        return ActionResult({"build": self.sandbox.stop_build(self._given()["id"]).shown()})

    def batch_get_builds(self) -> ActionResult:
        """BatchGetBuilds, by id or ARN."""
        asked: list[str] = self._given()["ids"]
        if not 1 <= len(asked) <= MOST_IDS or any(":" not in one for one in asked):
            raise InvalidInputException("Invalid build ID provided")
        names = [one.partition(":build/")[2] or one for one in asked]
        found = [self.sandbox.builds[name].shown() for name in names if name in self.sandbox.builds]
        missing = [one for one, name in zip(asked, names, strict=True) if name not in self.sandbox.builds]
        return ActionResult({"builds": found, "buildsNotFound": missing})

    def list_builds(self) -> ActionResult:
        return ActionResult({"ids": self._ids(list(self.sandbox.builds))})

    def list_builds_for_project(self) -> ActionResult:
        name = self.sandbox.project(self._given()["projectName"])["name"]
        return ActionResult(
            {"ids": self._ids([one.identifier for one in self.sandbox.builds.values() if one.name == name])}
        )

    def _ids(self, oldest_first: list[str]) -> list[str]:
        """In the order that was asked for: the newest first, if none was."""
        return oldest_first if self._given().get("sortOrder") == "ASCENDING" else oldest_first[::-1]

    def _given(self) -> dict[str, Any]:
        return {name: value for name, value in self._get_params().items() if value is not None}
