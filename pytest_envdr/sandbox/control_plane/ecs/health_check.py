"""A container's health check: its command, run as a real process beside the container, without waiting for it.

Source: ECS API reference, HealthCheck: UNKNOWN until the first verdict; HEALTHY after one success; UNHEALTHY after
`retries` failures in a row; failures within `startPeriod` do not count, and a success ends that period.
"""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any, Self

from pytest_envdr.sandbox.control_plane.ecs.delays import CHECK_TIMEOUT_FLOOR_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

    from pytest_envdr.sandbox.data_plane.process import Process

UNKNOWN, HEALTHY, UNHEALTHY = "UNKNOWN", "HEALTHY", "UNHEALTHY"


class HealthCheck:
    """One container's check. `speed` divides interval, timeout and start period."""

    def __init__(self, definition: Mapping[str, Any], speed: float) -> None:
        self.command = _command(definition["command"])
        self._interval = definition.get("interval", 30) / speed
        # The command's own work is not AWS's delay: see CHECK_TIMEOUT_FLOOR_SECONDS.
        timeout = definition.get("timeout", 5)
        self._timeout = min(timeout, max(timeout / speed, CHECK_TIMEOUT_FLOOR_SECONDS))
        self._retries = definition.get("retries", 3)
        self._lenient_until = time.monotonic() + definition.get("startPeriod", 0) / speed
        self._due = time.monotonic() + self._interval
        self._launch: Future[Process] | None = None
        self._deadline = 0.0
        self._failures = 0
        self.status = UNKNOWN

    @classmethod
    def of(cls, container: Mapping[str, Any], speed: float) -> Self | None:
        """The check of a container definition, from now on; None where it has none."""
        definition = container.get("healthCheck")
        if not definition or definition.get("command", ["NONE"])[0] == "NONE":
            return None
        return cls(definition, speed)

    def advance(self, start: Callable[[list[str]], Future[Process]]) -> None:
        """Look at the command that runs, or start it when it is due."""
        now = time.monotonic()
        if self._launch is None:
            if now >= self._due:
                self._launch = start(self.command)
                self._deadline = now + self._timeout
        elif self._launch.done():
            self._look(self._launch, now)

    def close(self) -> None:
        """Kill the command that runs."""
        if self._launch is not None:
            self._launch.add_done_callback(_kill)

    def _look(self, launch: Future[Process], now: float) -> None:
        code = launch.result().exit_code() if launch.exception() is None else 127
        if code is None and now < self._deadline:
            return
        _kill(launch)
        self._launch = None
        self._due = now + self._interval
        self._record(passed=code == 0, now=now)

    def _record(self, *, passed: bool, now: float) -> None:
        if passed:
            self._failures, self._lenient_until = 0, 0.0
            self.status = HEALTHY
        elif now >= self._lenient_until:
            self._failures += 1
            if self._failures >= self._retries:
                self.status = UNHEALTHY


def _kill(launch: Future[Process]) -> None:
    if launch.exception() is None:
        launch.result().signal(signal.SIGKILL)


def _command(given: list[str]) -> list[str]:
    """`["CMD", program, ...]` runs the program, `["CMD-SHELL", line]` and a bare line run in the default shell."""
    if given[0] == "CMD":
        return given[1:]
    return ["/bin/sh", "-c", given[1] if given[0] == "CMD-SHELL" else " ".join(given)]
