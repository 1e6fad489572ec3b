"""When a scheduled action is due: at(), rate() and cron(), on the wall clock. Pure.

A schedule names times of day, so `speed` does not divide it. Source: Application Auto Scaling user guide, "Schedule
recurring scaling actions using cron expressions". Not here: `L`, `W` and `#` in cron fields.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

UNITS = {"minute": "minutes", "hour": "hours", "day": "days"}
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (1, 7), (1970, 2199))
ANY = ("*", "?")


class Schedule(Protocol):
    """Something that becomes due."""

    def due(self, since: datetime, now: datetime) -> bool:
        """Whether a time of the schedule lies in (since, now]; both aware."""


@dataclass(frozen=True)
class At:
    """Once."""

    moment: datetime

    def due(self, since: datetime, now: datetime) -> bool:
        return since < self.moment <= now


@dataclass(frozen=True)
class Rate:
    """Each `every`, counted from `origin`."""

    every: timedelta
    origin: datetime

    def due(self, since: datetime, now: datetime) -> bool:
        return (now - self.origin) // self.every > (since - self.origin) // self.every and now > self.origin


@dataclass(frozen=True)
class Cron:
    """At the start of each minute that matches."""

    fields: tuple[frozenset[int], ...]
    zone: ZoneInfo

    def due(self, since: datetime, now: datetime) -> bool:
        minute = now.astimezone(self.zone).replace(second=0, microsecond=0)
        return since < minute and self._matches(minute)

    def _matches(self, minute: datetime) -> bool:
        weekday = minute.isoweekday() % 7 + 1
        parts = (minute.minute, minute.hour, minute.day, minute.month, weekday, minute.year)
        return all(part in wanted for part, wanted in zip(parts, self.fields, strict=True))


def parse(expression: str, *, timezone: str | None, origin: datetime) -> Schedule:
    """The schedule that an expression describes.

    Args:
        expression: `at(yyyy-mm-ddThh:mm:ss)`, `rate(value unit)` or `cron(fields)`.
        timezone: an IANA name, for at() and cron(); None is UTC.
        origin: what rate() counts from.

    Raises:
        ValueError: it is none of these.
    """
    try:
        zone = ZoneInfo(timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"Unknown time zone: {timezone}") from error
    matched = re.fullmatch(r"(at|rate|cron)\((.+)\)", expression or "")
    if not matched:
        raise ValueError(f"Invalid schedule expression: {expression}")
    kind, body = matched.groups()
    if kind == "at":
        return At(datetime.fromisoformat(body).replace(tzinfo=zone).astimezone(UTC))
    if kind == "rate":
        return Rate(_interval(body), origin)
    return Cron(_fields(body), zone)


def _interval(body: str) -> timedelta:
    matched = re.fullmatch(r"([1-9]\d*) (minute|hour|day)s?", body)
    if not matched:
        raise ValueError(f"Invalid rate: {body}")
    return timedelta(**{UNITS[matched[2]]: int(matched[1])})


def _fields(body: str) -> tuple[frozenset[int], ...]:
    texts = body.upper().split()
    if len(texts) != len(BOUNDS):
        raise ValueError(f"A cron expression has six fields: {body}")
    if "?" not in (texts[2], texts[4]):
        raise ValueError(f"One of day of month and day of week must be ?: {body}")
    texts[3], texts[4] = _numbered(texts[3], MONTHS), _numbered(texts[4], DAYS)
    return tuple(_field(text, low, high) for text, (low, high) in zip(texts, BOUNDS, strict=True))


def _numbered(text: str, names: tuple[str, ...]) -> str:
    for number, name in enumerate(names, 1):
        text = text.replace(name, str(number))
    return text


def _field(text: str, low: int, high: int) -> frozenset[int]:
    values: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        start = low if span in ANY else int(first)
        end = int(last) if last else (high if span in ANY or step else start)
        if not low <= start <= end <= high:
            raise ValueError(f"Out of range: {part}")
        values.update(range(start, end + 1, int(step or 1)))
    return frozenset(values)
