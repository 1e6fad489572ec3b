"""Statistics over what was published."""

from __future__ import annotations

import pytest

from pytest_envdr.sandbox.control_plane.cloudwatch.datapoints import (
    Metric,
    MetricStore,
    Point,
    aggregate,
    buckets,
    supported,
)

METRIC = Metric.of("Shop", "Seconds", [{"Name": "Service", "Value": "api"}])


def plain(at: float, value: float) -> Point:
    return Point(at, 1, value, value, value)


@pytest.mark.parametrize(
    ("statistic", "value"),
    [("SampleCount", 5), ("Sum", 22), ("Average", 4.4), ("Minimum", 1), ("Maximum", 9)],
)
def test_plain_values_and_statistic_sets_add_up(statistic: str, value: float) -> None:
    """A statistic covers plain values and statistic sets alike, weighted by their samples."""
    assert aggregate([plain(0, 2), Point(1, 4, 20, 1, 9)], statistic) == value


def test_no_points_are_no_value() -> None:
    """Without data there is no value, not a zero."""
    assert aggregate([], "SampleCount") is None


def test_percentiles_are_those_of_the_samples() -> None:
    """p90 of ten values is the ninth of them; a set of differing values has none."""
    points = [plain(number, number) for number in range(1, 11)]
    assert aggregate(points, "p90") == 9
    assert aggregate([Point(0, 2, 3, 1, 2)], "p90") is None
    assert not supported("tm99")


def test_a_period_has_its_start_but_not_its_end() -> None:
    """Points are found from the start of a window, included, to its end, excluded, however late they came in."""
    store = MetricStore()
    for at in (12.0, 10.0, 20.0):
        store.add(METRIC, plain(at, at))
    assert [point.at for point in store.between(METRIC, 10, 20)] == [10, 12]
    assert [start for start, _ in buckets(store.between(METRIC, 0, 99), 10)] == [10, 20]


def test_dimensions_make_the_metric() -> None:
    """A metric with other dimensions, or none, is another metric."""
    store = MetricStore()
    store.add(METRIC, plain(1, 1))
    assert store.between(Metric("Shop", "Seconds"), 0, 9) == []


def test_old_points_are_forgotten() -> None:
    """What is older goes, and a metric that has nothing left is no longer there."""
    store = MetricStore()
    store.add(METRIC, plain(1, 1))
    store.forget(2)
    assert store.points == {}
