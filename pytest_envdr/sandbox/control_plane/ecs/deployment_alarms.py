"""Deployment alarms: a deployment fails when one of its CloudWatch alarms goes into ALARM while it is watched.

Source: ECS developer guide, "How CloudWatch alarms detect Amazon ECS deployment failures": watched as soon as a new
task runs and until the bake time after the last replacement is over, which ECS computes from the alarms; an alarm that
is in ALARM when the deployment begins switches all of this off for that deployment. Callers hold moto's lock.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from moto.cloudwatch.models import cloudwatch_backends

if TYPE_CHECKING:
    from collections.abc import Mapping

    from moto.cloudwatch.models import Alarm

    from pytest_envdr.sandbox.world import World


class DeploymentAlarms:
    """One deployment's watch. `settings` is its `alarms`.

    Attributes:
        watching: whether they are looked at.
        triggered: the names of those that failed the deployment.
    """

    def __init__(self, world: World, settings: Mapping[str, Any]) -> None:
        self._world = world
        self.names: list[str] = list(settings.get("alarmNames", ()))
        self.rollback = bool(settings.get("rollback"))
        self.triggered: list[str] = []
        self.watching = bool(settings.get("enable")) and not self._alarming()
        self._steady_since: float | None = None

    def look(self) -> bool:
        """Whether one of the alarms is in ALARM now; notes which."""
        if self.watching:
            self.triggered = self._alarming()
        return bool(self.triggered)

    def baked(self) -> bool:
        """The rollout is steady: whether it has been for the bake time."""
        if not self.watching:
            return True
        if self._steady_since is None:
            self._steady_since = time.monotonic()
        return time.monotonic() - self._steady_since >= self._world.scaled(self._bake_seconds())

    def unsteady(self) -> None:
        """The rollout is not steady: the bake time begins anew once it is."""
        self._steady_since = None

    def describe(self, *, monitoring: bool) -> dict[str, Any]:
        """As DescribeServiceDeployments has it."""
        if not self.watching:
            return {"status": "DISABLED", "alarmNames": self.names, "triggeredAlarmNames": []}
        status = "MONITORING" if monitoring else "MONITORING_COMPLETE"
        return {
            "status": "TRIGGERED" if self.triggered else status,
            "alarmNames": self.names,
            "triggeredAlarmNames": self.triggered,
        }

    def _bake_seconds(self) -> float:
        """The longest time that one of them needs to see anything; AWS does not document how it computes its own."""
        return max((float(one.period or 0) * (one.evaluation_periods or 1) for one in self._alarms()), default=0.0)

    def _alarming(self) -> list[str]:
        return [alarm.name for alarm in self._alarms() if alarm.state_value == "ALARM"]

    def _alarms(self) -> list[Alarm]:
        known = cloudwatch_backends[self._world.account][self._world.region].alarms
        return [known[name] for name in self.names if name in known]
