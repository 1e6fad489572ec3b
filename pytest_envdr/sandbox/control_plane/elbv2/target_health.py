"""A target's life in a target group, as a pure state machine.

RULES holds every transition. What AWS documents (Elastic Load Balancing, "Health checks for Application Load Balancer
target groups" and "Deregistration delay"):

- a new target is healthy after *one* passed check, unhealthy after UnhealthyThresholdCount failed ones in a row;
- an unhealthy one needs HealthyThresholdCount passed checks in a row;
- a deregistered one drains until the deregistration delay is over, whether it still has connections or not;
- no target is checked, or drains, in a group that no listener of a load balancer uses.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class State(StrEnum):
    """The states that DescribeTargetHealth knows for an Application Load Balancer."""

    INITIAL = "initial"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    UNUSED = "unused"
    DRAINING = "draining"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class Health:
    """What DescribeTargetHealth says of a target."""

    state: State
    reason: str | None = None
    description: str | None = None


REGISTERING = Health(State.INITIAL, "Elb.RegistrationInProgress", "Target registration is in progress")
CHECKING = Health(State.INITIAL, "Elb.InitialHealthChecking", "Initial health checks in progress")
HEALTHY = Health(State.HEALTHY)
TIMED_OUT = Health(State.UNHEALTHY, "Target.Timeout", "Request timed out")
CHECK_FAILED = Health(State.UNHEALTHY, "Target.FailedHealthChecks", "Health checks failed")
NOT_REGISTERED = Health(State.UNUSED, "Target.NotRegistered", "Target is not registered to the target group")
NOT_IN_USE = Health(
    State.UNUSED, "Target.NotInUse", "Target group is not configured to receive traffic from the load balancer"
)
INVALID_STATE = Health(State.UNUSED, "Target.InvalidState", "Target is in the stopped state")
IP_UNUSABLE = Health(State.UNUSED, "Target.IpUnusable", "The target IP address is reserved for use by a load balancer")
DRAINING = Health(State.DRAINING, "Target.DeregistrationInProgress", "Target deregistration is in progress")
CHECKS_DISABLED = Health(
    State.UNAVAILABLE, "Target.HealthCheckDisabled", "Health checks are not enabled for this target group"
)


def mismatch(code: int) -> Health:
    """The target answered a check with a code that the matcher does not list."""
    return Health(State.UNHEALTHY, "Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{code}]")


class Event(StrEnum):
    """What can happen to a target."""

    ATTACHED = "attached"
    """Its group is used by a listener, and nothing else speaks against it."""
    EXCLUDED = "excluded"
    """It cannot take part; the cause says why."""
    ADMITTED = "admitted"
    """The load balancer knows it."""
    PASSED = "passed"
    FAILED = "failed"
    """A check failed; the cause says how."""
    DEREGISTERED = "deregistered"
    DRAINED = "drained"
    """The deregistration delay is over."""


@dataclass(frozen=True)
class Thresholds:
    """Checks in a row that turn a target."""

    healthy: int
    unhealthy: int


@dataclass(frozen=True)
class Target:
    """One target: the same address on another port is another one.

    Attributes:
        since: when it was registered; tells a target from its successor at the same address. Monotonic seconds.
        passes, failures: checks in a row, as far as they count.
        until: when it has drained; monotonic seconds.
    """

    id: str
    port: int
    since: float
    health: Health = NOT_IN_USE
    passes: int = 0
    failures: int = 0
    until: float = 0.0

    @property
    def state(self) -> State:
        return self.health.state

    @property
    def registered(self) -> bool:
        """Whether the group counts it among its targets."""
        return self.state is not State.DRAINING and self.health != NOT_REGISTERED

    def draining_until(self, moment: float) -> Target:
        """The same, with the end of its deregistration delay."""
        return replace(self, until=moment)


def _becomes(health: Health) -> Callable[[Target, Health, Thresholds], Target]:
    return lambda target, _cause, _thresholds: replace(target, health=health, passes=0, failures=0)


def _takes_the_cause(target: Target, cause: Health, _thresholds: Thresholds) -> Target:
    return replace(target, health=cause, passes=0, failures=0)


def _is_admitted(target: Target, _cause: Health, _thresholds: Thresholds) -> Target:
    return replace(target, health=CHECKING) if target.health == REGISTERING else target


def _counts_a_failure(target: Target, cause: Health, thresholds: Thresholds) -> Target:
    if target.failures + 1 >= thresholds.unhealthy:
        return replace(target, health=cause, passes=0, failures=0)
    return replace(target, failures=target.failures + 1)


def _forgets_failures(target: Target, _cause: Health, _thresholds: Thresholds) -> Target:
    return replace(target, failures=0)


def _counts_a_pass(target: Target, _cause: Health, thresholds: Thresholds) -> Target:
    if target.passes + 1 >= thresholds.healthy:
        return replace(target, health=HEALTHY, passes=0, failures=0)
    return replace(target, passes=target.passes + 1)


RULES: dict[tuple[State, Event], Callable[[Target, Health, Thresholds], Target]] = {
    (State.UNUSED, Event.ATTACHED): _becomes(REGISTERING),
    (State.UNAVAILABLE, Event.ATTACHED): _becomes(REGISTERING),
    (State.INITIAL, Event.ADMITTED): _is_admitted,
    (State.INITIAL, Event.PASSED): _becomes(HEALTHY),
    (State.INITIAL, Event.FAILED): _counts_a_failure,
    (State.HEALTHY, Event.PASSED): _forgets_failures,
    (State.HEALTHY, Event.FAILED): _counts_a_failure,
    (State.UNHEALTHY, Event.PASSED): _counts_a_pass,
    (State.UNHEALTHY, Event.FAILED): _takes_the_cause,
    (State.INITIAL, Event.EXCLUDED): _takes_the_cause,
    (State.HEALTHY, Event.EXCLUDED): _takes_the_cause,
    (State.UNHEALTHY, Event.EXCLUDED): _takes_the_cause,
    (State.UNUSED, Event.EXCLUDED): _takes_the_cause,
    (State.UNAVAILABLE, Event.EXCLUDED): _takes_the_cause,
    (State.INITIAL, Event.DEREGISTERED): _becomes(DRAINING),
    (State.HEALTHY, Event.DEREGISTERED): _becomes(DRAINING),
    (State.UNHEALTHY, Event.DEREGISTERED): _becomes(DRAINING),
    (State.UNAVAILABLE, Event.DEREGISTERED): _becomes(DRAINING),
    (State.UNUSED, Event.DEREGISTERED): _becomes(NOT_REGISTERED),
    (State.DRAINING, Event.DRAINED): _becomes(NOT_REGISTERED),
}
"""What each event makes of a target in each state; where there is no row, nothing."""


def after(target: Target, event: Event, thresholds: Thresholds, *, cause: Health = NOT_IN_USE) -> Target:
    """The target after `event`; `cause` is the health that EXCLUDED and FAILED bring."""
    rule = RULES.get((target.state, event))
    return rule(target, cause, thresholds) if rule else target


def routable(targets: Iterable[Target]) -> set[Target]:
    """The targets that get new requests.

    The healthy ones; where there is none the unhealthy ones: the load balancer fails open, because a wrong health check
    shall not take a service down. A target in its first checks gets nothing. Unchecked (unavailable) ones are trusted.
    """
    candidates = list(targets)
    good = {target for target in candidates if target.state in (State.HEALTHY, State.UNAVAILABLE)}
    return good or {target for target in candidates if target.state is State.UNHEALTHY}
