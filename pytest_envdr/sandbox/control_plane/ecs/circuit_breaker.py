"""The deployment circuit breaker: counts a deployment's failed tasks against its threshold.

Source: ECS API reference, DeploymentCircuitBreaker and ThresholdConfiguration, and the developer guide, "How the Amazon
ECS deployment circuit breaker detects failures". What counts as a failure is the scheduler's to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

LEAST, MOST = 3, 200
"""Bounds of the default and of BOUNDED_PERCENT."""

DEFAULT = {"type": "BOUNDED_PERCENT", "value": 50}
TYPES = ("COUNT", "BOUNDED_PERCENT", "UNBOUNDED_PERCENT")


class CircuitBreaker:
    """One deployment's. `settings` is its `deploymentCircuitBreaker`.

    Attributes:
        failures: failed tasks; in a row, unless `resetOnHealthyTask` is false.
        triggered: whether the deployment failed because of them.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.enabled = bool(settings.get("enable"))
        self.rollback = bool(settings.get("rollback"))
        self._resets = bool(settings.get("resetOnHealthyTask", True))
        self._threshold = {**DEFAULT, **settings.get("thresholdConfiguration", {})}
        self.failures = 0
        self.triggered = False

    def failed(self) -> None:
        """A task failed."""
        self.failures += 1

    def healthy(self) -> None:
        """A task became healthy."""
        if self._resets:
            self.failures = 0

    def trips(self, desired: int) -> bool:
        """Whether the threshold is reached, of a service that wants that many tasks; notes that it was."""
        self.triggered = self.enabled and self.failures >= self.threshold(desired)
        return self.triggered

    def threshold(self, desired: int) -> int:
        """How many failures are too many."""
        return threshold(desired, self._threshold["type"], self._threshold["value"])

    def describe(self, desired: int, *, monitoring: bool) -> dict[str, Any]:
        """As DescribeServiceDeployments has it."""
        if not self.enabled:
            return {"status": "DISABLED", "failureCount": 0, "threshold": 0}
        watching = "MONITORING" if monitoring else "MONITORING_COMPLETE"
        return {
            "status": "TRIGGERED" if self.triggered else watching,
            "failureCount": self.failures,
            "threshold": self.threshold(desired),
        }


def threshold(desired: int, kind: str = "BOUNDED_PERCENT", value: int = 50) -> int:
    """Failures that trigger the circuit breaker; a share of the desired count is rounded up."""
    if kind == "COUNT":
        return value
    share = -(-desired * value // 100)
    return min(MOST, max(LEAST, share)) if kind == "BOUNDED_PERCENT" else max(1, share)
