"""Takes one build through its phases, in a thread that may wait."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

from pytest_envdr.sandbox.control_plane.codebuild import buildspec, sources
from pytest_envdr.sandbox.control_plane.codebuild.build import FAILED, STOPPED, SUCCEEDED, Build
from pytest_envdr.sandbox.control_plane.codebuild.errors import Interrupted, PhaseFailed
from pytest_envdr.sandbox.control_plane.codebuild.images import Docker
from pytest_envdr.sandbox.control_plane.codebuild.shell import Log, Shell
from pytest_envdr.sandbox.control_plane.extension import backend_lock
from pytest_envdr.settings import search_path
from pytest_envdr.waiting import pause

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_envdr.sandbox.control_plane.calling import Caller
    from pytest_envdr.sandbox.world import World

PROVISIONING_SECONDS = 10.0
"""AWS's seconds until a build's container is there; ten to thirty for the small ones."""


class Runner:
    """One build's way from QUEUED to COMPLETED."""

    def __init__(self, world: World, build: Build, caller: Caller) -> None:
        self._world, self._build, self._caller = world, build, caller
        self._directory = world.directory / "codebuild" / build.stream
        self._source = self._directory / "src"
        self._log = Log(world, build.group, build.stream)
        self._end = time.monotonic() + world.scaled(60 * build.minutes)
        self._buildspec = buildspec.Buildspec()
        self._docker: Docker | None = None

    def run(self) -> None:
        """All of it; the build has ended when this returns."""
        try:
            status = self._phases()
        except PhaseFailed:
            status = FAILED
        except Interrupted as interrupted:
            status = interrupted.status
        finally:
            shutil.rmtree(self._directory, ignore_errors=True)
        with backend_lock:
            self._build.complete(status, self._world.now())

    def _phases(self) -> str:
        """The phases between QUEUED and FINALIZING; the build's status. After a build that failed, post_build still
        runs, and its artifacts are handed on; after what comes before it nothing does.

        Raises:
            PhaseFailed: before the phase BUILD.
            Interrupted: it was stopped, or its time is up.
        """
        self._phase("PROVISIONING", self._provision)
        self._phase("DOWNLOAD_SOURCE", self._download)
        shell = self._shell()
        self._phase("INSTALL", lambda: self._commands(shell, "install"))
        self._phase("PRE_BUILD", lambda: self._commands(shell, "pre_build"))
        last: dict[str, Callable[[], None]] = {
            "BUILD": lambda: self._commands(shell, "build"),
            "POST_BUILD": lambda: self._commands(shell, "post_build"),
            "UPLOAD_ARTIFACTS": self._upload,
        }
        outcomes = [self._tried(name, work) for name, work in last.items()]
        return SUCCEEDED if all(outcomes) else FAILED

    def _tried(self, name: str, work: Callable[[], None]) -> bool:
        try:
            self._phase(name, work)
        except PhaseFailed:
            return False
        return True

    def _phase(self, name: str, work: Callable[[], None]) -> None:
        with backend_lock:
            self._build.begin(name, self._world.now())
        self._log.container(f"Entering phase {name}")
        try:
            work()
        except PhaseFailed as error:
            self._ended(FAILED, error.code, str(error))
            raise
        except Interrupted as error:
            self._ended(error.status, "", "")
            raise
        self._ended(SUCCEEDED, "", "")

    def _ended(self, status: str, code: str, message: str) -> None:
        with backend_lock:
            name = self._build.phases[-1].name
            self._build.end(status, self._world.now(), code=code, message=message)
        self._log.container(f"Phase complete: {name} State: {status}")
        self._log.container(f"Phase context status code: {code} Message: {message}")

    def _attend(self) -> None:
        """What goes on beside a command.

        Raises:
            Interrupted: it shall end.
        """
        if self._build.stopping:
            raise Interrupted(STOPPED)
        if time.monotonic() > self._end:
            raise Interrupted("TIMED_OUT")
        if self._docker:
            self._docker.answer()

    def _provision(self) -> None:
        end = time.monotonic() + self._world.taken(PROVISIONING_SECONDS)
        while time.monotonic() < end:
            self._attend()
            pause(0.02)

    def _download(self) -> None:
        self._source.mkdir(parents=True)
        if self._build.origin:
            sources.download(self._caller.client("s3"), self._build.origin, self._source)
        self._buildspec = buildspec.parse(self._buildspec_text())

    def _buildspec_text(self) -> str:
        """What the project or StartBuild has in so many words, or else the file that they name."""
        given = self._build.buildspec or buildspec.FILE_NAME
        if "\n" in given:
            return given
        try:
            return (self._source / given).read_text()
        except (OSError, UnicodeDecodeError) as error:
            words = f"stat {self._source / given}: no such file or directory"
            raise PhaseFailed("YAML_FILE_ERROR", words) from error

    def _shell(self) -> Shell:
        self._docker = Docker(self._world, self._directory / "bin")
        state = self._directory / "state"
        state.mkdir()
        return Shell(state, self._source, self._environment(), self._log, self._attend)

    def _environment(self) -> dict[str, str]:
        """What CodeBuild gives, over it the buildspec's variables, over these the project's and StartBuild's."""
        build, world = self._build, self._world
        own = {
            "AWS_ACCESS_KEY_ID": "sandbox",
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_DEFAULT_REGION": world.region,
            "AWS_REGION": world.region,
            "AWS_ENDPOINT_URL": world.endpoint,
            "CODEBUILD_BUILD_ARN": build.arn,
            "CODEBUILD_BUILD_ID": build.identifier,
            "CODEBUILD_BUILD_NUMBER": str(build.number),
            "CODEBUILD_CI": "true",
            "CODEBUILD_INITIATOR": build.initiator,
            "CODEBUILD_LOG_PATH": build.stream,
            "CODEBUILD_SOURCE_VERSION": build.source_version,
            "CODEBUILD_SRC_DIR": str(self._source),
            "CODEBUILD_START_TIME": str(int(1000 * build.started.timestamp())),
            "HOME": str(self._directory),
            "PATH": f"{self._directory / 'bin'}:{search_path()}",
        }
        if build.resolved:
            own["CODEBUILD_RESOLVED_SOURCE_VERSION"] = build.resolved
        return own | self._buildspec.variables | build.variables

    def _commands(self, shell: Shell, name: str) -> None:
        phase = self._buildspec.phases.get(name, buildspec.Phase())
        try:
            if phase.commands:
                shell.run(name, [f"export CODEBUILD_BUILD_SUCCEEDING={self._succeeding()}", *phase.commands])
        finally:
            if phase.last:
                shell.run(f"{name}-finally", phase.last)

    def _succeeding(self) -> int:
        return int(all(phase.status in (None, SUCCEEDED) for phase in self._build.phases))

    def _upload(self) -> None:
        if self._build.destination is None:
            return
        digest = sources.upload(
            self._caller.client("s3"), self._buildspec.artifacts, self._source, self._build.destination
        )
        with backend_lock:
            self._build.artifact_digest = digest
