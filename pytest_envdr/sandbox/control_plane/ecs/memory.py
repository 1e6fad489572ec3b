"""Memory limits: a container that holds more than it may is killed, as the kernel does it on AWS.

What a container holds is the resident memory of its process group, from a look at all processes once a second. On AWS
the limit is a wall that is hit at once; here a container may hold more for up to that second.
"""

from __future__ import annotations

import os
import re
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_plane.ecs.task import Task

LOOK_SECONDS = 1.0
"""Wall seconds between two looks."""

MEBIBYTE = 1024 * 1024
PAGE = os.sysconf("SC_PAGE_SIZE")
GROUP, RESIDENT_PAGES = 2, 21
"""Places in /proc/<pid>/stat behind the command's name (proc(5): fields 5 and 24)."""


class Processes:
    """What the machine's process groups hold. One look serves all who ask within a second."""

    def __init__(self) -> None:
        self._looked = float("-inf")
        self._held: dict[int, int] = {}

    def held(self, group: int) -> int:
        """Bytes; 0 for a group that was not there at the last look."""
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._held = _look()
            self._looked = time.monotonic()
        return self._held.get(group, 0)


_processes = Processes()


def enforce(task: Task) -> None:
    """Kill what of a task holds more than its container's limit; if all together exceed the task's, the largest."""
    groups = {container: container.process_group for container in task.containers}
    held = {container: _processes.held(group) for container, group in groups.items() if group is not None}
    for container, size in held.items():
        if container.memory is not None and size > container.memory * MEBIBYTE:
            container.kill_for_memory()
    limit = task_limit(task.order.overrides.get("memory", task.order.definition.memory))
    if held and limit is not None and sum(held.values()) > limit * MEBIBYTE:
        max(held, key=held.__getitem__).kill_for_memory()


def task_limit(text: str | None) -> int | None:
    """A task definition's `memory` in MiB: `512`, or with a unit, as `0.5 GB`. None where there is no limit."""
    match = re.fullmatch(r"\s*([0-9.]+)\s*(GB)?\s*", text or "", re.IGNORECASE)
    return None if match is None else int(float(match[1]) * (1024 if match[2] else 1))


def _look() -> dict[int, int]:
    held: dict[int, int] = defaultdict(int)
    for process in os.scandir("/proc"):
        if process.name.isdigit():
            try:
                line = Path(process, "stat").read_bytes()
            except OSError:  # it ended meanwhile
                continue
            fields = line.rpartition(b")")[2].split()
            held[int(fields[GROUP])] += int(fields[RESIDENT_PAGES]) * PAGE
    return held
