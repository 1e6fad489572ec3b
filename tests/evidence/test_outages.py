"""The probe's answers -> outages and figures."""

from __future__ import annotations

import pytest

from pytest_envdr.evidence.outages import Outage, Sample, measure, outages

BAD = "HTTP 503"


def answers(pattern: str, *, every: float = 0.25, target: str = "") -> list[Sample]:
    """`+` is a good answer, `-` a failing one."""
    return [
        Sample(number * every, None if sign == "+" else BAD, 10.0 + number, target=target)
        for number, sign in enumerate(pattern)
    ]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("++++", []),
        ("++--+++", [Outage(0.5, 1.0, ongoing=False)]),
        ("+-+-+++", [Outage(0.25, 1.0, ongoing=False)]),
        ("+-++-+++", [Outage(0.25, 1.25, ongoing=False)]),
        ("+-+++-+++", [Outage(0.25, 0.5, ongoing=False), Outage(1.25, 1.5, ongoing=False)]),
        ("+--", [Outage(0.25, 0.5, ongoing=True)]),
        ("+-++", [Outage(0.25, 0.75, ongoing=True)]),
        ("-", [Outage(0.0, 0.0, ongoing=True)]),
    ],
    ids=["none", "one", "flapping", "flapping twice", "two", "never back", "not held to the end", "only a failure"],
)
def test_an_outage_ends_with_the_first_good_answer_that_held(pattern: str, expected: list[Outage]) -> None:
    """It begins with the first failure; a good answer between failures does not end it."""
    assert outages(answers(pattern)) == expected


def test_the_figures() -> None:
    """Samples, failures by class, the longest outage, the rate as achieved and the good answers' times."""
    measured = measure(answers("+-+++--+++"))
    assert measured
    assert (measured.samples, measured.failures, measured.classes) == (10, 3, {BAD: 3})
    assert (measured.outages, measured.outage_seconds, measured.outage_ongoing) == (2, 0.5, False)
    assert (measured.rate_hertz, measured.longest_gap_seconds) == (4.0, 0.25)
    assert (measured.median_milliseconds, measured.slowest_milliseconds) == (14.0, 19.0)


def test_a_gap_is_shown() -> None:
    """A client that did not look for a while cannot hide it behind its mean rate."""
    one, two = answers("++"), [Sample(9.0, None, 1.0)]
    measured = measure(one + two)
    assert measured
    assert measured.longest_gap_seconds == 8.75


def test_targets_are_told_apart() -> None:
    """The good answers of one target do not end another's outage; the worst-hit and worst-watched counts."""
    measured = measure(answers("++++++++", target="a") + answers("+--+++", every=0.5, target="b"))
    assert measured
    assert (measured.outage_seconds, measured.rate_hertz) == (1.0, 2.0)


def test_nothing_probed_is_no_figures() -> None:
    """Without answers there are no figures, and one answer has no rate."""
    assert measure([]) is None
    single = measure(answers("+"))
    assert single
    assert single.rate_hertz is None
    assert single.longest_gap_seconds is None
