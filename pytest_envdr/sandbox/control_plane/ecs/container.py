"""One container of a task: a real process in the image's directory."""

from __future__ import annotations

import os
import signal
import subprocess
import zlib
from typing import TYPE_CHECKING, Any

from moto.logs.models import logs_backends

from pytest_envdr.sandbox.control_plane.ecs import environment, health_check
from pytest_envdr.sandbox.control_plane.ecs.delays import STOP_TIMEOUT_SECONDS
from pytest_envdr.sandbox.control_plane.ecs.errors import TaskFailedToStart
from pytest_envdr.sandbox.control_plane.ecs.health_check import HealthCheck
from pytest_envdr.sandbox.control_plane.ecs.identifiers import event_id
from pytest_envdr.sandbox.control_plane.ecs.output import OutputReader, Stream
from pytest_envdr.sandbox.data_plane.process import Process

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Executor, Future
    from pathlib import Path

    from pytest_envdr.sandbox.world import World

KILLED = 128 + signal.SIGKILL
OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"


class Container:
    """What a container definition and its override become.

    Attributes:
        exit_code: the process's, once it has ended.
        reason: why it never started, or was killed, in AWS's words.
        stream: its output, once it has been prepared, if it has a log.
    """

    def __init__(self, definition: Mapping[str, Any], override: Mapping[str, Any], *, task_id: str) -> None:
        self.definition = definition
        self.override = override
        self.id = event_id()
        self.name: str = definition["name"]
        self.image: str = definition["image"]
        self.essential: bool = definition.get("essential", True)
        self.runtime_id = f"{task_id}-{zlib.crc32(self.name.encode()):010d}"
        self.image_digest: str | None = None
        self.exit_code: int | None = None
        self.reason: str | None = None
        self.stream: Stream | None = None
        self.health: HealthCheck | None = None
        self._task_id = task_id
        self._directory: Path | None = None
        self._command: list[str] = []
        self._environment: dict[str, str] = {}
        self._launch: Future[Process] | None = None
        self._out_of_memory = False

    @property
    def memory(self) -> int | None:
        """The hard limit in MiB, if it has one of its own."""
        limit = self.override.get("memory", self.definition.get("memory"))
        return None if limit is None else int(limit)

    @property
    def process_group(self) -> int | None:
        """The process group that the kernel knows it by, while it runs."""
        return self._process.pid if self._process is not None and self.exit_code is None else None

    @property
    def stop_timeout(self) -> float:
        """AWS's seconds between SIGTERM and SIGKILL."""
        return float(self.definition.get("stopTimeout", STOP_TIMEOUT_SECONDS))

    @property
    def health_status(self) -> str:
        """HEALTHY, UNHEALTHY or UNKNOWN."""
        return self.health.status if self.health else health_check.UNKNOWN

    def prepare(self, world: World, address: str) -> None:
        """Fetch secrets, pull the image, find the log group.

        Raises:
            TaskFailedToStart: one of these is not there.
        """
        self._environment = environment.environment(world, self.definition, self.override, address)
        self.stream = self._log_stream(world)
        image = environment.pull(world, self.image)
        self.image_digest, self._directory = image.digest, image.directory
        self._command = environment.command(self.definition, self.override, self._directory)

    def start(self, launcher: Executor, output: OutputReader) -> None:
        """Have the process started, on the launcher's thread."""
        self._launch = launcher.submit(self._start_main, output)

    def started(self) -> bool:
        """Whether the process has been started.

        Raises:
            TaskFailedToStart: it could not be.
        """
        if self._launch is None or not self._launch.done():
            return False
        if self._launch.exception() is not None:
            raise TaskFailedToStart.cannot_start(self._command[0]) from self._launch.exception()
        return True

    def begin_health_checks(self, speed: float) -> None:
        """From now on, the health check's periods run."""
        self.health = HealthCheck.of(self.definition, speed)

    def observe(self, launcher: Executor) -> None:
        """Notice an exit; carry the health check on."""
        process = self._process
        if process is None or self.exit_code is not None:
            return
        self.exit_code = process.exit_code()
        if self.exit_code is not None:
            # The first process of a container takes all others with it.
            self.signal(signal.SIGKILL)
            self.close()
            if self._out_of_memory and self.exit_code == KILLED:
                self.reason = OUT_OF_MEMORY
        elif self.health is not None:
            self.health.advance(lambda words: launcher.submit(self._start_beside, words))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all processes of the container, if there are any."""
        if self._process is not None:
            self._process.signal(number)

    def kill_for_memory(self) -> None:
        """Do what the kernel does to a container that holds more memory than it may."""
        self._out_of_memory = True
        self.signal(signal.SIGKILL)

    def running(self) -> bool:
        """Whether there is a process that has not been seen to end."""
        return (
            self._launch is not None
            and self.exit_code is None
            and (not self._launch.done() or self._process is not None)
        )

    def alive(self) -> bool:
        """Whether its first process runs at this moment; notes nothing."""
        return self._process is not None and self._process.exit_code() is None

    def flushed(self) -> bool:
        """Whether all output is in the log."""
        return self.stream is None or self._process is None or self.stream.ended.is_set()

    def close(self) -> None:
        """Stop the health check."""
        if self.health is not None:
            self.health.close()

    @property
    def _process(self) -> Process | None:
        if self._launch is None or not self._launch.done() or self._launch.exception() is not None:
            return None
        return self._launch.result()

    def _start_main(self, output: OutputReader) -> Process:
        if self.stream is None:
            return self._run(self._command, subprocess.DEVNULL)
        pipe = output.open(self.stream)
        try:
            return self._run(self._command, pipe)
        finally:
            os.close(pipe)

    def _start_beside(self, words: list[str]) -> Process:
        return self._run(words, subprocess.DEVNULL)

    def _run(self, words: list[str], output: int) -> Process:
        if self._directory is None:
            raise TaskFailedToStart.cannot_pull(self.image)
        name = f"{self.name}/{self._task_id}"
        return Process.start(words, name=name, cwd=self._directory, env=self._environment, output=output)

    def _log_stream(self, world: World) -> Stream | None:
        configuration = self.definition.get("logConfiguration", {})
        if configuration.get("logDriver") != "awslogs":
            return None
        options = configuration.get("options", {})
        group = options.get("awslogs-group", "")
        created = options.get("awslogs-create-group", "false").lower() == "true"
        region = options.get("awslogs-region", world.region)
        if not created and group not in logs_backends[world.account][region].groups:
            raise TaskFailedToStart.no_log_group()
        prefix = options.get("awslogs-stream-prefix")
        return Stream(group, f"{prefix}/{self.name}/{self._task_id}" if prefix else self.runtime_id)

    def describe(
        self, *, task_arn: str, arn: str, last_status: str, attachment: str | None, address: str | None
    ) -> dict[str, Any]:
        """The container as DescribeTasks has it."""
        interfaces = [{"attachmentId": attachment, "privateIpv4Address": address}] if address else []
        return {
            "containerArn": arn,
            "taskArn": task_arn,
            "name": self.name,
            "image": self.image,
            "imageDigest": self.image_digest,
            "runtimeId": self.runtime_id,
            "lastStatus": last_status,
            "exitCode": self.exit_code,
            "reason": self.reason,
            "networkBindings": [],
            "networkInterfaces": interfaces,
            "healthStatus": self.health_status,
            "managedAgents": [],
            "cpu": str(self.override.get("cpu", self.definition.get("cpu", 0))),
            "memory": _text(self.override.get("memory", self.definition.get("memory"))),
            "memoryReservation": _text(
                self.override.get("memoryReservation", self.definition.get("memoryReservation"))
            ),
        }


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)
