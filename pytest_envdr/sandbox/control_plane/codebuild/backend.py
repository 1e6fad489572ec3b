"""moto's CodeBuild backend, recording intent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from moto.codebuild.models import CodeBuildBackend

from pytest_envdr.sandbox.control_plane.codebuild.build import Build, Destination, Origin
from pytest_envdr.sandbox.control_plane.codebuild.errors import (
    InvalidInputException,
    ResourceAlreadyExistsException,
    ResourceNotFoundException,
)
from pytest_envdr.sandbox.control_plane.extension import backend_lock, moto_urls

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import ModuleType

    from pytest_envdr.sandbox.world import World

SOURCES = frozenset({"S3", "CODEPIPELINE", "NO_SOURCE"})
ARTIFACTS = frozenset({"S3", "CODEPIPELINE", "NO_ARTIFACTS"})
DEFAULT_MINUTES, LEAST_MINUTES, MOST_MINUTES = 60, 5, 2160
OVERRIDES = frozenset(
    {
        "artifactsOverride",
        "buildspecOverride",
        "environmentVariablesOverride",
        "idempotencyToken",
        "projectName",
        "sourceLocationOverride",
        "sourceTypeOverride",
        "sourceVersion",
        "timeoutInMinutesOverride",
    }
)
"""What of StartBuild is heeded; the rest is answered 501."""


class SandboxCodeBuild(CodeBuildBackend):
    """One account's projects and builds in one Region. `world` is None where no control loop acts.

    Attributes:
        builds: by id, the oldest first.
    """

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.world: World | None = None
        self.builds: dict[str, Build] = {}
        self._numbers: dict[str, int] = {}
        self._tokens: dict[str, str] = {}

    @property
    def _url_module(self) -> ModuleType:
        return moto_urls("codebuild")

    def reset(self) -> None:
        """moto's reset makes the object anew; the world stays."""
        world = self.world
        super().reset()
        self.world = world

    def project(self, name: str) -> dict[str, Any]:
        """A project, by name or ARN.

        Raises:
            ResourceNotFoundException: there is none.
        """
        found = self.batch_get_projects([name])
        if not found:
            arn = f"arn:aws:codebuild:{self.region_name}:{self.account_id}:project/{name}"
            raise ResourceNotFoundException(f"Project cannot be found: {arn}")
        project: dict[str, Any] = found[0]
        return project

    def create(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """CreateProject; the project."""
        _check_project(wanted, self.account_id)
        if wanted["name"] in self.codebuild_projects:
            arn = f"arn:aws:codebuild:{self.region_name}:{self.account_id}:project/{wanted['name']}"
            raise ResourceAlreadyExistsException(f"Project already exists: {arn}")
        project: dict[str, Any] = self.create_project(
            project_name=wanted["name"],
            description=wanted.get("description"),
            project_source=wanted["source"],
            artifacts=wanted["artifacts"],
            environment={"imagePullCredentialsType": "CODEBUILD"} | wanted["environment"],
            service_role=wanted["serviceRole"],
            tags=wanted.get("tags"),
            cache=wanted.get("cache"),
            timeout=wanted.get("timeoutInMinutes") or DEFAULT_MINUTES,
            queued_timeout=wanted.get("queuedTimeoutInMinutes") or 480,
            source_version=wanted.get("sourceVersion"),
            logs_config=wanted.get("logsConfig"),
            vpc_config=wanted.get("vpcConfig"),
        )
        return project

    def start(self, asked: Mapping[str, Any]) -> Build:
        """StartBuild."""
        if unknown := asked.keys() - OVERRIDES:
            raise NotImplementedError(f"StartBuild with {', '.join(sorted(unknown))}")
        token = asked.get("idempotencyToken")
        if token and token in self._tokens:
            return self.builds[self._tokens[token]]
        project = self.project(asked["projectName"])
        source = dict(project["source"])
        source["type"] = asked.get("sourceTypeOverride", source["type"])
        source["location"] = asked.get("sourceLocationOverride", source.get("location", ""))
        artifacts = asked.get("artifactsOverride", project["artifacts"])
        if "CODEPIPELINE" in (source["type"], artifacts["type"]):
            raise InvalidInputException("Build cannot be started: CODEPIPELINE is the pipeline's own to start")
        version = str(asked.get("sourceVersion") or project.get("sourceVersion") or "")
        build = self._build(
            project,
            source=source,
            source_version=version,
            resolved=version,
            initiator="root",
            minutes=_minutes(asked.get("timeoutInMinutesOverride") or project["timeoutInMinutes"]),
            origin=_origin(source, version),
            destination=_destination(artifacts),
        )
        build.buildspec = asked.get("buildspecOverride") or source.get("buildspec")
        build.variables |= _variables(asked.get("environmentVariablesOverride", []))
        if token:
            self._tokens[token] = build.identifier
        return build

    def start_for_pipeline(
        self,
        name: str,
        pipeline: str,
        origin: Origin,
        destination: Destination | None,
        *,
        revision: str,
        variables: Iterable[Mapping[str, str]] = (),
    ) -> Build:
        """What CodePipeline's build action does: a build of an artifact of it; its initiator is the pipeline.

        Raises:
            ResourceNotFoundException: there is no such project.
        """
        with backend_lock:
            project = self.project(name)
            build = self._build(
                project,
                source={"type": "CODEPIPELINE", "buildspec": project["source"].get("buildspec", "")},
                source_version=origin.arn,
                resolved=revision,
                initiator=f"codepipeline/{pipeline}",
                minutes=project["timeoutInMinutes"],
                origin=origin,
                destination=destination,
            )
            build.buildspec = project["source"].get("buildspec")
            build.variables |= _variables(variables)
            return build

    def stop_build(self, build_id: str) -> Build:  # type: ignore[override]
        """StopBuild: recorded; whoever runs it stops it."""
        build = self.builds.get(build_id)
        if build is None:
            raise ResourceNotFoundException(f"Build {build_id} does not exist")
        build.stopping = True
        return build

    def delete_project(self, project_name: str) -> None:
        """DeleteProject: its builds go with it."""
        super().delete_project(project_name)
        for build in list(self.builds.values()):
            if build.name == project_name:
                build.stopping = True
                del self.builds[build.identifier]

    def _build(self, project: Mapping[str, Any], **known: Any) -> Build:
        if self.world is None:
            raise NotImplementedError(f"builds in {self.region_name}")
        name = project["name"]
        self._numbers[name] = self._numbers.get(name, 0) + 1
        identifier = f"{name}:{uuid4()}"
        now = self.world.now()
        build = Build(
            identifier=identifier,
            arn=f"arn:aws:codebuild:{self.region_name}:{self.account_id}:build/{identifier}",
            number=self._numbers[name],
            project=dict(project),
            started=now,
            region=self.region_name,
            variables=_variables(project["environment"].get("environmentVariables", [])),
            **known,
        )
        build.begin("SUBMITTED", now)
        build.begin("QUEUED", now)
        # A new dictionary, not a new key: another thread may be listing the old one.
        self.builds = {**self.builds, identifier: build}
        return build


def _check_project(wanted: Mapping[str, Any], account: str) -> None:
    if wanted["source"]["type"] not in SOURCES:
        raise NotImplementedError(f"sources of type {wanted['source']['type']}")
    if wanted["artifacts"]["type"] not in ARTIFACTS:
        raise NotImplementedError(f"artifacts of type {wanted['artifacts']['type']}")
    if (wanted["source"]["type"] == "CODEPIPELINE") != (wanted["artifacts"]["type"] == "CODEPIPELINE"):
        raise InvalidInputException("Invalid artifacts: both source and artifacts must be of type CODEPIPELINE")
    if wanted["source"]["type"] == "S3" and "/" not in wanted["source"].get("location", ""):
        raise InvalidInputException("Project source location is required")
    if f":{account}:role/" not in wanted["serviceRole"]:
        raise InvalidInputException("Invalid service role: Service role account ID does not match caller's account")
    _variables(wanted["environment"].get("environmentVariables", []))
    _minutes(wanted.get("timeoutInMinutes") or DEFAULT_MINUTES)


def _minutes(asked: float) -> float:
    if not LEAST_MINUTES <= asked <= MOST_MINUTES:
        raise InvalidInputException(f"Invalid timeout: it must be between {LEAST_MINUTES} and {MOST_MINUTES} minutes")
    return asked


def _variables(rows: Iterable[Mapping[str, str]]) -> dict[str, str]:
    found = {}
    for row in rows:
        if row.get("type", "PLAINTEXT") != "PLAINTEXT":
            raise NotImplementedError(f"environment variables of type {row['type']}")
        found[row["name"]] = row["value"]
    return found


def _origin(source: Mapping[str, Any], version: str) -> Origin | None:
    if source["type"] == "NO_SOURCE":
        return None
    if source["type"] != "S3":
        raise NotImplementedError(f"sources of type {source['type']}")
    bucket, _, key = str(source["location"]).removeprefix("arn:aws:s3:::").partition("/")
    return Origin(bucket, key, version or None)


def _destination(artifacts: Mapping[str, Any]) -> Destination | None:
    if artifacts["type"] == "NO_ARTIFACTS":
        return None
    if artifacts.get("packaging") != "ZIP":
        raise NotImplementedError("artifacts that are not zipped")
    key = "/".join(part for part in (artifacts.get("path", "").strip("/"), artifacts["name"]) if part)
    return Destination(artifacts["location"], key)
