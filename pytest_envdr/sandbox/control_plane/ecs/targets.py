"""The load balancers' view of tasks, through moto's elbv2 backend: register, deregister, ask for health.

Callers hold moto's lock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moto.core.exceptions import ServiceException
from moto.elbv2.exceptions import TargetGroupNotFoundError
from moto.elbv2.models import elbv2_backends

if TYPE_CHECKING:
    from collections.abc import Iterable

    from moto.elbv2.models import ELBv2Backend

    from pytest_envdr.sandbox.control_plane.ecs.task import Task
    from pytest_envdr.sandbox.world import World

GONE = "unused"
DRAINING = ("draining", "unhealthy.draining")


@dataclass(frozen=True)
class Verdict:
    """What a target group says about one target."""

    group: str
    port: int
    state: str
    description: str


class TargetGroups:
    """The target groups that services' tasks stand in."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._seen: dict[str, dict[tuple[str, int], tuple[str, str]]] = {}

    def observe(self, groups: Iterable[str]) -> None:
        """Ask each group once for the health of all its targets; what `verdicts` answers from until the next time."""
        self._seen = {group: self._health(group) for group in set(groups)}

    def verdicts(self, task: Task) -> list[Verdict]:
        """One a target group of the task; a target that the group does not know is `unused`."""
        verdicts = []
        for group, target in task.targets():
            state, description = self._seen.get(group, {}).get((target["Id"], target["Port"]), (GONE, ""))
            verdicts.append(Verdict(group, target["Port"], state, description))
        return verdicts

    def register(self, task: Task) -> list[str]:
        """Register the task everywhere it belongs; the groups that took it."""
        taken = []
        for group, target in task.targets():
            try:
                self._backend.register_targets(group, [dict(target)])
            except ServiceException:
                continue
            taken.append(group)
        return taken

    def deregister(self, task: Task) -> list[str]:
        """Take the task out of all groups; the groups that had it."""
        given_up = []
        for group, target in task.targets():
            try:
                self._backend.deregister_targets(group, [dict(target)])
            except ServiceException:
                continue
            given_up.append(group)
        return given_up

    @property
    def _backend(self) -> ELBv2Backend:
        return elbv2_backends[self._world.account][self._world.region]

    def _health(self, group: str) -> dict[tuple[str, int], tuple[str, str]]:
        try:
            found = self._backend.describe_target_health(group, [])
        except TargetGroupNotFoundError:
            return {}
        return {(one.instance_id, int(one.port)): (one.status, one.description or "") for one in found}
