"""Takes each experiment through its states: pending, initiating, running, and then completed, stopped or failed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends

from pytest_envdr.sandbox.control_plane.extension import backend_lock

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_plane.fis.backend import Run, SandboxFis
    from pytest_envdr.sandbox.world import World

INITIATING_SECONDS = 5.0
"""AWS seconds before an experiment's actions begin."""
HALTED = "Experiment halted by stop condition."


class FisController:
    """The experiments of one account in one Region. Stepped even while that Region is cut off itself."""

    def __init__(self, world: World, backend: SandboxFis) -> None:
        self._world, self._backend = world, backend

    def step(self) -> None:
        """One state at a time: what one asks of the Regions is done when the next pass comes here again."""
        if not self._backend.runs:
            return
        with backend_lock:
            for run in list(self._backend.runs.values()):
                self._advance(run)

    def close(self) -> None:
        """Nothing to stop: all that is frozen ends with the sandbox."""

    def _advance(self, run: Run) -> None:
        status, lasted = run.experiment.status, time.monotonic() - run.since
        if run.released:
            self._finish(run, run.end)
        elif status == "pending":
            self._begin(run)
        elif status == "initiating":
            if lasted >= self._world.scaled(INITIATING_SECONDS):
                run.become("running")
        elif status == "stopping" or self._is_over(run, lasted):
            self._release(run)

    def _begin(self, run: Run) -> None:
        """What is cut off from now on is so in all its parts before the experiment runs."""
        run.reason = self._problem(run)
        if run.reason:
            self._finish(run, "failed")
            return
        for region in run.regions:
            self._world.regions[region].cut_off_by.add(run.experiment.id)
        run.become("initiating")

    def _is_over(self, run: Run, lasted: float) -> bool:
        if self._halted(run):
            run.end, run.reason = "stopped", HALTED
        return run.end == "stopped" or lasted >= run.seconds

    def _release(self, run: Run) -> None:
        for region in run.regions:
            self._world.regions[region].cut_off_by.discard(run.experiment.id)
        run.released = True

    def _finish(self, run: Run, status: str) -> None:
        run.become(status)
        if run.reason:
            self._backend.reasons[run.experiment.id] = run.reason
        del self._backend.runs[run.experiment.id]

    def _halted(self, run: Run) -> bool:
        """Whether an alarm that is a stop condition is in ALARM."""
        alarms = cloudwatch_backends[self._world.account][self._world.region].alarms
        named = [condition.get("value", "").rpartition(":alarm:")[2] for condition in run.experiment.stop_conditions]
        return any(name in alarms and alarms[name].state_value == "ALARM" for name in named)

    def _problem(self, run: Run) -> str:
        """What keeps an experiment from being done; empty for nothing."""
        role = run.experiment.role_arn
        if not any(role == each.arn for each in iam_backends[self._world.account]["aws"].roles.values()):
            return f"Unable to assume role {role}."
        if run.regions and not all(self._subnets(target) for target in run.experiment.targets.values()):
            return "Target resolution returned empty set."
        return ""

    def _subnets(self, target: dict[str, Any]) -> list[str]:
        """The ids of the subnets of this Region that a target means."""
        known = ec2_backends[self._world.account][self._world.region].describe_subnets()
        named = {arn.rpartition("/")[2] for arn in target.get("resourceArns") or []}
        tags = (target.get("resourceTags") or {}).items()
        if named:
            return [subnet.id for subnet in known if subnet.id in named]
        return [
            subnet.id for subnet in known if tags and tags <= {(tag["key"], tag["value"]) for tag in subnet.get_tags()}
        ]
