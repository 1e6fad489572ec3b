"""How many tasks to start and to stop: AWS's rules for percentages and unhealthy tasks, as arithmetic."""

from __future__ import annotations

import pytest

from pytest_envdr.sandbox.control_plane.ecs.rollout import Condition, Limits, plan

STANDARD = {"minimumHealthyPercent": 100, "maximumPercent": 200}
IN_PLACE = {"minimumHealthyPercent": 50, "maximumPercent": 100}
LETTERS = {"c": Condition.COMING, "r": Condition.UNPROVEN, "h": Condition.HEALTHY, "u": Condition.UNHEALTHY}


def decide(desired: int, configuration: dict[str, int], primary: str, older: str = "") -> tuple[int, str, str]:
    """Start how many; stop which as unhealthy, and which as surplus, by their place: `0`... primary, `a`... older."""
    made = plan(
        desired,
        Limits.of(desired, configuration),
        [(str(place), LETTERS[letter]) for place, letter in enumerate(primary)],
        [(chr(ord("a") + place), LETTERS[letter]) for place, letter in enumerate(older)],
    )
    return made.start, "".join(sorted(made.unhealthy)), "".join(sorted(made.surplus))


@pytest.mark.parametrize(
    ("desired", "primary", "expected"),
    [
        (2, "", (2, "", "")),
        (2, "cc", (0, "", "")),
        (2, "hh", (0, "", "")),
        (3, "hh", (1, "", "")),
        (1, "hhh", (0, "", "12")),
        (1, "hc", (0, "", "1")),
        (1, "ch", (0, "", "0")),
        (0, "hrcu", (0, "3", "012")),
        (0, "", (0, "", "")),
    ],
)
def test_the_desired_count_is_reached(desired: int, primary: str, expected: tuple[int, str, str]) -> None:
    """Missing tasks are started at once; of too many, those of least use go first, then the youngest."""
    assert decide(desired, STANDARD, primary) == expected


@pytest.mark.parametrize(
    ("primary", "expected"),
    [
        ("hu", (1, "", "")),
        ("huc", (0, "", "")),
        ("huh", (0, "1", "")),
        ("uu", (2, "", "")),
        ("uuch", (0, "0", "")),
    ],
)
def test_an_unhealthy_task_goes_when_its_replacement_is_healthy(primary: str, expected: tuple[int, str, str]) -> None:
    """With room above the desired count, replacements come first, and each lets one unhealthy task go."""
    assert decide(2, STANDARD, primary) == expected


@pytest.mark.parametrize(("primary", "expected"), [("uu", (0, "0", "")), ("hu", (0, "1", "")), ("cu", (0, "", ""))])
def test_without_room_unhealthy_tasks_go_one_by_one(primary: str, expected: tuple[int, str, str]) -> None:
    """maximumPercent 100 leaves no place for a replacement: one unhealthy task is stopped, then its place is filled."""
    assert decide(2, IN_PLACE, primary) == expected


@pytest.mark.parametrize(
    ("primary", "older", "expected"),
    [
        ("", "hh", (2, "", "")),
        ("cc", "hh", (0, "", "")),
        ("ch", "hh", (0, "", "a")),
        ("hh", "hh", (0, "", "ab")),
        ("hh", "uu", (0, "ab", "")),
        ("cc", "uu", (0, "", "")),
        ("", "cc", (2, "", "ab")),
        ("rr", "rr", (0, "", "")),
    ],
)
def test_old_tasks_serve_until_new_ones_are_healthy(primary: str, older: str, expected: tuple[int, str, str]) -> None:
    """At 100/200 each healthy new task lets one old task go; old tasks that never ran go at once, and make room."""
    assert decide(2, STANDARD, primary, older) == expected


@pytest.mark.parametrize(
    ("primary", "older", "expected"),
    [
        ("", "hhhh", (0, "", "ab")),
        ("", "hh", (2, "", "")),
        ("cc", "hh", (0, "", "")),
        ("hh", "hh", (0, "", "ab")),
        ("hhcc", "", (0, "", "")),
        ("", "uhhh", (0, "a", "b")),
    ],
)
def test_a_rollout_in_place_makes_room_first(primary: str, older: str, expected: tuple[int, str, str]) -> None:
    """At 50/100 half of the old tasks stop first, unhealthy ones before healthy ones, and never more than half."""
    assert decide(4, IN_PLACE, primary, older) == expected


def test_limits_are_rounded_as_aws_rounds() -> None:
    """The minimum is rounded up, the maximum down."""
    assert Limits.of(3, {"minimumHealthyPercent": 50, "maximumPercent": 150}) == Limits(2, 4)
    assert Limits.of(3, {}) == Limits(3, 6)
