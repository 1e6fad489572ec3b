"""The control loop's part: steps every pipeline, gives actions to threads, looks for new source versions."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from pytest_envdr.sandbox.control_plane.codepipeline import build_action, deploy_action, source_action
from pytest_envdr.sandbox.control_plane.codepipeline.errors import Abandoned, ActionFailed
from pytest_envdr.sandbox.control_plane.codepipeline.execution import Failure, Outcome
from pytest_envdr.sandbox.control_plane.codepipeline.job import Job
from pytest_envdr.sandbox.control_plane.extension import backend_lock

if TYPE_CHECKING:
    from concurrent.futures import Future

    from pytest_envdr.sandbox.control_plane.calling import Caller
    from pytest_envdr.sandbox.control_plane.codepipeline.backend import SandboxCodePipeline
    from pytest_envdr.sandbox.control_plane.codepipeline.declaration import Action
    from pytest_envdr.sandbox.control_plane.codepipeline.execution import Execution, Run
    from pytest_envdr.sandbox.control_plane.codepipeline.line import Line
    from pytest_envdr.sandbox.world import World

THREADS = 16
POLL_SECONDS = 60.0
"""AWS's seconds between two looks at a source (`PollForSourceChanges`)."""
ACTIONS = {"S3": source_action.run, "CodeBuild": build_action.run, "ECS": deploy_action.run}
"""Provider -> what does it; an approval is done by who approves."""

log = logging.getLogger("envdr.sandbox")


class PipelineController:
    """The pipelines of one account in one Region at work."""

    def __init__(self, world: World, backend: SandboxCodePipeline, caller: Caller) -> None:
        self._world, self._backend, self._caller = world, backend, caller
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="codepipeline")
        self._jobs: list[tuple[Line, Job, Future[Outcome]]] = []
        self._polls: list[Future[None]] = []

    def step(self) -> None:
        """Take in what has come of actions, start those whose turn it is, look for new versions when it is time."""
        ended = [row for row in self._jobs if row[2].done()]
        self._jobs = [row for row in self._jobs if not row[2].done()]
        with backend_lock:
            now = self._world.now()
            for line, job, future in ended:
                _take(line, job, future, self._world)
            started = [(line, pair) for line in self._backend.lines.values() for pair in line.step(now)]
        for line, (execution, run) in started:
            self._start(line, execution, run)
        self._poll()

    def close(self) -> None:
        """Abandon all actions."""
        for _, job, _ in self._jobs:
            job.closing = True
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._caller.close()

    def _start(self, line: Line, execution: Execution, run: Run) -> None:
        if run.action.category == "Approval":
            return
        job = Job(self._world, self._caller, execution, run)
        self._jobs.append((line, job, self._pool.submit(ACTIONS[run.action.provider], job)))

    def _poll(self) -> None:
        """One look at each source whose time has come."""
        self._polls = [poll for poll in self._polls if not poll.done()]
        if self._polls:
            return
        for line in list(self._backend.lines.values()):
            if time.monotonic() - line.looked < self._world.scaled(POLL_SECONDS):
                continue
            line.looked = time.monotonic()
            for action in line.declaration.sources:
                if action.configuration.get("PollForSourceChanges", "true").lower() == "true":
                    self._polls.append(self._pool.submit(self._look, line, action))

    def _look(self, line: Line, action: Action) -> None:
        """Start an execution where the source has another version than the last one that was seen."""
        configuration = action.configuration
        try:
            head = self._caller.client("s3").head_object(
                Bucket=configuration["S3Bucket"], Key=configuration["S3ObjectKey"]
            )
        except (ClientError, BotoCoreError):
            return  # what is not there is no new version
        version = head.get("VersionId", "null")
        with backend_lock:
            first = line.declaration.stages[0].name
            busy = first in line.occupants or line.waiting.get(first)
            if (
                self._backend.lines.get(line.declaration.name) is not line
                or busy
                or line.seen.get(action.name) == version
            ):
                return
            line.seen[action.name] = version
            detail = f"{configuration['S3Bucket']}/{configuration['S3ObjectKey']}"
            self._backend.start(line, trigger="PollForSourceChanges", detail=detail)


def _take(line: Line, job: Job, future: Future[Outcome], world: World) -> None:
    """What came of an action, in the pipeline's state. A fault of ours fails the action, and no other one."""
    error = future.exception()
    if isinstance(error, Abandoned):
        return
    if isinstance(error, ActionFailed):
        line.finish(job.execution, job.run, Failure(error.code, str(error)), world.now())
    elif error is not None:
        log.error("action %s", job.action.name, exc_info=error)
        failure = Failure("InternalError", f"{type(error).__name__}: {error}")
        line.finish(job.execution, job.run, failure, world.now())
    else:
        outcome = future.result()
        overridden = any(one.action == job.action.name for one in job.execution.overrides)
        if outcome.revision and not overridden:
            line.seen[job.action.name] = outcome.revision.identifier
        line.finish(job.execution, job.run, outcome, world.now())
