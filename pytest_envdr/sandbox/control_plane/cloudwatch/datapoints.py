"""What was published, and the statistics over it: plain values, no moto.

Times are seconds since the epoch (UTC). A point is a statistic set, as CloudWatch keeps them: a plain value is a set of
one sample.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

STATISTICS = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")


@dataclass(frozen=True)
class Metric:
    """A metric's identity: CloudWatch takes each combination of dimensions for a metric of its own."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def of(cls, namespace: str, name: str, dimensions: Iterable[Mapping[str, str]]) -> Metric:
        """From the API's `Dimensions`, a list of Name and Value."""
        return cls(namespace, name, frozenset((each["Name"], each["Value"]) for each in dimensions))


@dataclass(frozen=True)
class Point:
    """What one PutMetricData call said about a metric at one time."""

    at: float
    count: float
    total: float
    low: float
    high: float
    unit: str | None = None


@dataclass
class MetricStore:
    """Everything published, by metric and in order of time. Callers hold the lock."""

    points: dict[Metric, list[Point]] = field(default_factory=dict)

    def add(self, metric: Metric, point: Point) -> None:
        insort(self.points.setdefault(metric, []), point, key=attrgetter("at"))

    def between(self, metric: Metric, start: float, end: float, unit: str | None = None) -> list[Point]:
        """The points with start <= at < end, of that unit where one is asked for."""
        points = self.points.get(metric, [])
        first, last = (bisect_left(points, at, key=attrgetter("at")) for at in (start, end))
        return [point for point in points[first:last] if unit in (None, point.unit)]

    def forget(self, before: float) -> None:
        """Drop what is older; a metric without points is no longer listed (on AWS after two weeks)."""
        for metric, points in list(self.points.items()):
            del points[: bisect_left(points, before, key=attrgetter("at"))]
            if not points:
                del self.points[metric]


def supported(statistic: str) -> bool:
    """Whether `statistic` can be computed: the five simple ones and percentiles (`p99`, `p99.9`)."""
    return statistic in STATISTICS or _percentile(statistic) is not None


def aggregate(points: Sequence[Point], statistic: str) -> float | None:
    """One statistic over the points of one period; None without points: no data is not zero."""
    if not points:
        return None
    count = sum(point.count for point in points)
    if statistic == "SampleCount":
        return count
    if statistic == "Minimum":
        return min(point.low for point in points)
    if statistic == "Maximum":
        return max(point.high for point in points)
    total = sum(point.total for point in points)
    if statistic == "Sum":
        return total
    if statistic == "Average":
        return total / count if count else None
    return _nth(points, _percentile(statistic) or 0.0, count)


def buckets(points: Iterable[Point], period: float) -> Iterator[tuple[float, list[Point]]]:
    """The points by period, oldest first, each with the period's start; periods without points are left out."""
    grouped: dict[float, list[Point]] = {}
    for point in points:
        grouped.setdefault(math.floor(point.at / period) * period, []).append(point)
    yield from sorted(grouped.items())


def _percentile(statistic: str) -> float | None:
    try:
        share = float(statistic.removeprefix("p")) if statistic.startswith("p") else -1.0
    except ValueError:
        return None
    return share if 0 <= share <= 100 else None


def _nth(points: Sequence[Point], percentile: float, count: float) -> float | None:
    """The nearest-rank percentile. CloudWatch has none for a statistic set of several values that differ."""
    if any(point.low != point.high for point in points):
        return None
    rank, seen = max(percentile / 100 * count, 1), 0.0
    for point in sorted(points, key=attrgetter("high")):
        seen += point.count
        if seen >= rank:
            return point.high
    return None
