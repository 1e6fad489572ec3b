"""The life of a target, as a table."""

from __future__ import annotations

import pytest
from botocore.loaders import Loader

from pytest_envdr.sandbox.control_plane.elbv2 import target_health
from pytest_envdr.sandbox.control_plane.elbv2.target_health import (
    CHECK_FAILED,
    CHECKING,
    CHECKS_DISABLED,
    DRAINING,
    HEALTHY,
    INVALID_STATE,
    IP_UNUSABLE,
    NOT_IN_USE,
    NOT_REGISTERED,
    REGISTERING,
    RULES,
    TIMED_OUT,
    Event,
    Health,
    State,
    Target,
    Thresholds,
    after,
    mismatch,
    routable,
)

LIMITS = Thresholds(healthy=3, unhealthy=2)
PASS, FAIL = (Event.PASSED, NOT_IN_USE), (Event.FAILED, CHECK_FAILED)
ATTACH, ADMIT = (Event.ATTACHED, NOT_IN_USE), (Event.ADMITTED, NOT_IN_USE)
DEREGISTER, DRAIN = (Event.DEREGISTERED, NOT_IN_USE), (Event.DRAINED, NOT_IN_USE)
NEW: list[tuple[Event, Health]] = []
CHECKED = [ATTACH, ADMIT]
UNHEALTHY = [*CHECKED, FAIL, FAIL]


def target(*events: tuple[Event, Health]) -> Target:
    """A new target after `events`."""
    result = Target("127.203.32.9", 8000, since=1.0)
    for event, cause in events:
        result = after(result, event, LIMITS, cause=cause)
    return result


@pytest.mark.parametrize(
    ("events", "health"),
    [
        pytest.param(NEW, NOT_IN_USE, id="nobody uses the group"),
        pytest.param([ATTACH], REGISTERING, id="the group is used"),
        pytest.param([ATTACH, ADMIT], CHECKING, id="the load balancer knows it"),
        pytest.param([*CHECKED, PASS], HEALTHY, id="one pass makes a new target healthy"),
        pytest.param([*CHECKED, FAIL], CHECKING, id="one failure leaves it initial"),
        pytest.param([*CHECKED, FAIL, PASS], HEALTHY, id="one pass after a failure is enough"),
        pytest.param([*CHECKED, FAIL, FAIL], CHECK_FAILED, id="a new target that never passes"),
        pytest.param([*CHECKED, PASS, FAIL], HEALTHY, id="one failure is not enough"),
        pytest.param([*CHECKED, PASS, FAIL, PASS, FAIL], HEALTHY, id="failures count in a row"),
        pytest.param([*CHECKED, PASS, FAIL, FAIL], CHECK_FAILED, id="two failures are"),
        pytest.param([*UNHEALTHY, PASS, PASS], CHECK_FAILED, id="two passes do not bring it back"),
        pytest.param([*UNHEALTHY, PASS, PASS, PASS], HEALTHY, id="three do"),
        pytest.param([*UNHEALTHY, PASS, PASS, FAIL, PASS], CHECK_FAILED, id="passes count in a row"),
        pytest.param([*UNHEALTHY, (Event.FAILED, TIMED_OUT)], TIMED_OUT, id="the latest failure is the reason"),
        pytest.param([*CHECKED, PASS, FAIL, (Event.FAILED, mismatch(503))], mismatch(503), id="code mismatch"),
        pytest.param([*CHECKED, PASS, (Event.EXCLUDED, NOT_IN_USE)], NOT_IN_USE, id="the rule is deleted"),
        pytest.param([*UNHEALTHY, (Event.EXCLUDED, NOT_IN_USE), *CHECKED, PASS], HEALTHY, id="used again: new again"),
        pytest.param([ATTACH, (Event.EXCLUDED, INVALID_STATE)], INVALID_STATE, id="the instance is stopped"),
        pytest.param([(Event.EXCLUDED, IP_UNUSABLE)], IP_UNUSABLE, id="a load balancer's own address"),
        pytest.param([ATTACH, (Event.EXCLUDED, CHECKS_DISABLED)], CHECKS_DISABLED, id="checks disabled"),
        pytest.param([(Event.EXCLUDED, CHECKS_DISABLED), ATTACH], REGISTERING, id="checks enabled again"),
        pytest.param([(Event.EXCLUDED, CHECKS_DISABLED), DEREGISTER], DRAINING, id="unavailable drains"),
        pytest.param([*CHECKED, DEREGISTER], DRAINING, id="initial drains"),
        pytest.param([*CHECKED, PASS, DEREGISTER], DRAINING, id="healthy drains"),
        pytest.param([*UNHEALTHY, DEREGISTER], DRAINING, id="unhealthy drains"),
        pytest.param([*CHECKED, PASS, DEREGISTER, FAIL, FAIL, PASS], DRAINING, id="late checks do not count"),
        pytest.param([*CHECKED, PASS, DEREGISTER, DRAIN], NOT_REGISTERED, id="drained"),
        pytest.param([DEREGISTER], NOT_REGISTERED, id="nothing to drain in an unused group"),
    ],
)
def test_events_lead_to_the_health_that_aws_shows(events: list[tuple[Event, Health]], health: Health) -> None:
    """A series of events leaves a target in the state, with the reason, that AWS documents."""
    assert target(*events).health == health


def test_every_rule_is_exercised_by_the_table() -> None:
    """No transition is in the rules that the table above does not go through."""
    table = test_events_lead_to_the_health_that_aws_shows.pytestmark[0].args[1]  # type: ignore[attr-defined]
    used = set()
    for row in table:
        events = row.values[0]
        for index, (event, _) in enumerate(events):
            used.add((target(*events[:index]).state, event))
    missing = set(RULES) - used
    assert missing <= {(State.UNHEALTHY, Event.EXCLUDED), (State.UNAVAILABLE, Event.EXCLUDED)}


def test_reasons_are_those_of_the_api() -> None:
    """Every reason is one of the API's, every state one of its states, each with a description."""
    shapes = Loader().load_service_model("elbv2", "service-2")["shapes"]
    known = [value for value in vars(target_health).values() if isinstance(value, Health)]
    assert {health.reason for health in known} - {None} <= set(shapes["TargetHealthReasonEnum"]["enum"])
    assert {health.state.value for health in known} <= set(shapes["TargetHealthStateEnum"]["enum"])
    assert all(health.description for health in known if health != HEALTHY)


@pytest.mark.parametrize(
    ("healths", "chosen"),
    [
        pytest.param([HEALTHY, CHECK_FAILED, CHECKING], [0], id="only the healthy one"),
        pytest.param([TIMED_OUT, CHECK_FAILED], [0, 1], id="all unhealthy: all of them"),
        pytest.param([CHECKING, REGISTERING], [], id="first checks: none"),
        pytest.param([CHECKING, CHECK_FAILED], [1], id="an initial one gets nothing when it fails open"),
        pytest.param([DRAINING, CHECK_FAILED], [1], id="a draining one does not count"),
        pytest.param([DRAINING], [], id="only draining: none"),
        pytest.param([CHECKS_DISABLED, CHECK_FAILED], [0], id="unchecked ones are trusted"),
        pytest.param([], [], id="none"),
    ],
)
def test_requests_go_to_the_healthy_and_fail_open(healths: list[Health], chosen: list[int]) -> None:
    """New requests go to healthy targets; where there is none, to all unhealthy ones, never to initial ones."""
    targets = [Target("a", port, 1.0, health) for port, health in enumerate(healths)]
    assert sorted(each.port for each in routable(targets)) == chosen
