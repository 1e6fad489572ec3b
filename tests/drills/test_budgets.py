"""How long a circuit breaker may take: values in, seconds out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pytest_envdr.aws import elbv2
from pytest_envdr.aws.ecs import Service, Task
from pytest_envdr.drills.budgets import budget
from pytest_envdr.drills.subject import Subject
from pytest_envdr.stack import HttpProbe
from pytest_envdr.stack import Service as Row
from tests.drills.test_releases import FIT, NOW

ROW = Row(name="shop", cluster="cluster", probe=HttpProbe(url="http://127.0.0.1"))
GROUP = elbv2.TargetGroup("arn", "shop", 80, 30, 5, 5, 2, "/up", (), 30)


def started_after(seconds: float) -> Task:
    """A task that took so long to start."""
    return Task(
        arn="task/1",
        group="service:shop",
        task_definition="shop:7",
        last_status="RUNNING",
        desired_status="RUNNING",
        health="HEALTHY",
        address=None,
        started_by="",
        stop_code="",
        stopped_reason="",
        exit_codes={},
        reasons={},
        digests={},
        created_at=NOW,
        connectivity_at=None,
        pull_started_at=None,
        pull_stopped_at=None,
        started_at=NOW + timedelta(seconds=seconds),
        stopping_at=None,
        execution_stopped_at=None,
        stopped_at=None,
    )


def subject(service: Service, *, starts: tuple[float, ...] = (20.0,), group: bool = True) -> Subject:
    """A service whose tasks took so long to start, behind a load balancer or not."""
    return Subject(ROW, service, tuple(map(started_after, starts)), (GROUP,) if group else (), None, (), ())


@pytest.mark.parametrize(
    ("desired", "minimum", "maximum", "at_once"),
    [(1, 100, 200, 1), (5, 100, 200, 5), (5, 100, 110, 1), (5, 100, 150, 2), (4, 50, 100, 2), (2, 0, 100, 2)],
)
def test_new_tasks_at_a_time(desired: int, minimum: int, maximum: int, at_once: int) -> None:
    """What the percentages leave room for, at least one and no more than are wanted."""
    service = replace(FIT, desired=desired, minimum_percent=minimum, maximum_percent=maximum)
    assert budget(subject(service), threshold=3, speed=1).at_once == at_once


def test_one_task_after_another() -> None:
    """At desired count 1, three failures are three rounds: start, grace, and two failed checks of 30 s each."""
    found = budget(subject(replace(FIT, desired=1, grace_seconds=60)), threshold=3, speed=1)
    assert (found.failing_seconds, found.seconds) == (20 + 60 + 60, 420)
    assert str(found).endswith("at most about 420 s")


def test_several_at_a_time() -> None:
    """At desired count 5, a threshold of 3 needs one round; of 7, two."""
    before = subject(replace(FIT, desired=5), starts=(10, 20, 90))
    assert [budget(before, threshold=number, speed=1).seconds for number in (3, 7)] == [80, 160]


def test_only_what_aws_waits_for_is_divided() -> None:
    """A task's start was measured at the speed that it had; without a load balancer there is no check to wait for."""
    service = replace(FIT, desired=1, grace_seconds=60)
    assert budget(subject(service, starts=(2,)), threshold=3, speed=10).seconds == 3 * (2 + 12)
    assert budget(subject(service, starts=(), group=False), threshold=3, speed=10).seconds == 3 * 6
