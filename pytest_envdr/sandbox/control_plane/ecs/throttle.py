"""Restarts of tasks that never ran are spaced out, as the ECS developer guide's "service throttle logic" says."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pytest_envdr.sandbox.control_plane.ecs.delays import RESTART_FIRST_SECONDS, RESTART_LONGEST_SECONDS

if TYPE_CHECKING:
    from pytest_envdr.sandbox.world import World


class Throttle:
    """One deployment's restarts: a new deployment begins with a new throttle.

    Tasks that are launched together are one attempt, however many of them fail.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.attempt = 0
        """How many attempts have failed in a row; a task remembers the one that it belongs to."""
        self._not_before = 0.0

    def open(self) -> bool:
        """May tasks be started now?"""
        return time.monotonic() >= self._not_before

    def failed(self, attempt: int) -> bool:
        """A task of `attempt` never reached RUNNING; whether this is the first of that attempt to say so."""
        if attempt != self.attempt:
            return False
        self.attempt += 1
        delay = min(RESTART_LONGEST_SECONDS, RESTART_FIRST_SECONDS * 2 ** min(self.attempt - 1, 10))
        self._not_before = time.monotonic() + self._world.scaled(delay)
        return True

    def ran(self, attempt: int) -> None:
        """A task of `attempt` reached RUNNING: if that is the latest attempt, the next one is not held back."""
        if attempt == self.attempt:
            self.attempt = 0
            self._not_before = 0.0
