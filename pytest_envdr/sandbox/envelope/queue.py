"""How the workers deal with their queue, and how long the drills' jobs work.

`retry_after` and the time-out are the application's own times and not divided by the sandbox's speed; but they must
suit ECS's stopTimeout, which is: a job that is to be killed works longer than ECS waits between SIGTERM and SIGKILL.
An account at true speed would rather have Laravel's 60 and 90 seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_envdr.sandbox.world import World

STOP_TIMEOUT_SECONDS = 30.0
"""ECS's default, in AWS's seconds."""
MARGIN_SECONDS = 4.0
"""How much longer than that a job works that is to be killed."""


@dataclass(frozen=True)
class Times:
    """In wall seconds. `long` is killed in mid-job, `short` ends in time; retry_after > timeout > long."""

    long: float
    short: float
    timeout: int
    retry_after: int


def times(world: World) -> Times:
    """What suits the sandbox's speed."""
    stop = world.scaled(STOP_TIMEOUT_SECONDS)
    long = round(stop + MARGIN_SECONDS, 1)
    timeout = math.ceil(long) + 4
    return Times(long, round(min(1.0, stop / 3), 2), timeout, timeout + 3)


def work(world: World) -> list[str]:
    """The workers' command."""
    command = "php artisan queue:work redis --queue=default --sleep=0.5 --tries=3"
    return [*command.split(), f"--timeout={times(world).timeout}"]
