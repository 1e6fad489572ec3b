"""The control loop's part: gives queued builds to threads, and ends what a fault of ours left."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pytest_envdr.sandbox.control_plane.codebuild.build import FAULT, STOPPED
from pytest_envdr.sandbox.control_plane.codebuild.runner import Runner
from pytest_envdr.sandbox.control_plane.extension import backend_lock

if TYPE_CHECKING:
    from concurrent.futures import Future

    from pytest_envdr.sandbox.control_plane.calling import Caller
    from pytest_envdr.sandbox.control_plane.codebuild.backend import SandboxCodeBuild
    from pytest_envdr.sandbox.control_plane.codebuild.build import Build
    from pytest_envdr.sandbox.world import World

THREADS = 4
"""How many builds run at once; further ones stay QUEUED."""

log = logging.getLogger("envdr.sandbox")


class BuildController:
    """The builds of one account in one Region that run."""

    def __init__(self, world: World, backend: SandboxCodeBuild, caller: Caller) -> None:
        self._world, self._backend, self._caller = world, backend, caller
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="codebuild")
        self._running: dict[str, tuple[Build, Future[None]]] = {}

    def step(self) -> None:
        """Begin what is queued, forget what has ended."""
        for build in self._queued():
            if len(self._running) < THREADS:
                with backend_lock:
                    build.taken = True
                runner = Runner(self._world, build, self._caller)
                self._running[build.identifier] = (build, self._pool.submit(runner.run))
        for build, future in list(self._running.values()):
            if future.done():
                del self._running[build.identifier]
                self._check(build, future.exception())

    def close(self) -> None:
        """Stop all builds; their processes are gone when this returns."""
        for build, _ in self._running.values():
            build.stopping = True
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._caller.close()

    def _queued(self) -> list[Build]:
        with backend_lock:
            queued = [build for build in self._backend.builds.values() if not build.taken and build.ended is None]
            for build in queued:
                if build.stopping:
                    build.taken = True
                    build.end(STOPPED, self._world.now())
                    build.complete(STOPPED, self._world.now())
            return [build for build in queued if not build.taken]

    def _check(self, build: Build, error: BaseException | None) -> None:
        """A fault of ours ends the build, and no other one."""
        if error is None:
            return
        log.error("build %s", build.identifier, exc_info=error)
        with backend_lock:
            now = self._world.now()
            build.end(FAULT, now, code="INTERNAL_ERROR", message=f"{type(error).__name__}: {error}")
            build.complete(FAULT, now)
