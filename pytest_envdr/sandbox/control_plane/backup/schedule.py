"""When a plan's rule is due.

A schedule is read on a clock of the plan's own, which began with the plan at the time of day that it was, and runs
`speed` times as fast: a daily backup comes every 2.4 hours at speed 10, one that is due in two minutes in 12 seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from pytest_envdr.sandbox.control_plane.application_autoscaling.schedules import parse
from pytest_envdr.sandbox.control_plane.backup.errors import InvalidParameterValueException

if TYPE_CHECKING:
    from datetime import datetime

    from pytest_envdr.sandbox.control_plane.application_autoscaling.schedules import Schedule

MINUTE = timedelta(minutes=1)


@dataclass
class Clock:
    """A plan's clock, and how far its schedule has been looked through."""

    origin: datetime
    speed: float
    seen: datetime

    @classmethod
    def started(cls, now: datetime, speed: float) -> Clock:
        return cls(now, speed, now)

    def read(self, now: datetime) -> datetime:
        """What it shows."""
        return self.origin + (now - self.origin) * self.speed

    def due(self, schedules: list[Schedule], now: datetime) -> list[int]:
        """The positions of the schedules that came due since the last look."""
        since, until = self.seen, self.read(now)
        self.seen = until
        return [number for number, schedule in enumerate(schedules) if _comes(schedule, since, until)]


def _comes(schedule: Schedule, since: datetime, until: datetime) -> bool:
    """Each minute is looked at: a cron schedule knows only of the one that it is asked about."""
    moment = since
    while moment < until:
        later = min(until, moment.replace(second=0, microsecond=0) + MINUTE)
        if schedule.due(moment, later):
            return True
        moment = later
    return False


def schedule_of(expression: str, timezone: str | None, origin: datetime) -> Schedule:
    """The schedule of an expression.

    Raises:
        InvalidParameterValueException: it is none.
    """
    try:
        return parse(expression, timezone=timezone, origin=origin)
    except ValueError as error:
        raise InvalidParameterValueException(f"Invalid schedule expression {expression}: {error}") from error
