"""moto's FIS, whose experiments are done."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moto.fis.models import Experiment, FISBackend
from typing_extensions import override

from pytest_envdr.sandbox.control_plane.extension import backend_lock, moto_urls
from pytest_envdr.sandbox.control_plane.fis import action

if TYPE_CHECKING:
    from types import ModuleType

    from pytest_envdr.sandbox.world import World

STOPPED_BY_USER = "Experiment stopped by user."


@dataclass
class Run:
    """An experiment that has not ended.

    Attributes:
        regions: those that it cuts off; none where its actions are skipped.
        seconds: how long, in wall seconds.
        since: when it came into its state (monotonic).
        released: what it had cut off no longer is.
        end: the state that it is to end in, and why, where that is not moto's own words.
    """

    experiment: Experiment
    regions: tuple[str, ...]
    seconds: float
    since: float = field(default_factory=time.monotonic)
    released: bool = False
    end: str = "completed"
    reason: str = ""

    def become(self, status: str) -> None:
        self.experiment.status, self.since = status, time.monotonic()


class SandboxFis(FISBackend):
    """One account's experiments in one Region. `world` is None where no control loop acts.

    Attributes:
        runs: the experiments that have not ended, by id.
        reasons: why an experiment is in its last state, where that is not moto's own words, by id.
    """

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.world: World | None = None
        self.runs: dict[str, Run] = {}
        self.reasons: dict[str, str] = {}

    @property
    @override
    def _url_module(self) -> ModuleType:
        return moto_urls("fis")

    @override
    def reset(self) -> None:
        """moto's reset makes the object anew; the world stays, and is let go of."""
        world = self.world
        for other in world.regions.values() if world else ():
            other.cut_off_by -= self.runs.keys()
        super().reset()
        self.world = world

    @override
    def create_experiment_template(self, *arguments: Any, **named: Any) -> dict[str, Any]:
        """CreateExperimentTemplate."""
        action.check(named.get("actions") or {}, named.get("targets") or {})
        return super().create_experiment_template(*arguments, **named)

    @override
    def update_experiment_template(self, *arguments: Any, **named: Any) -> dict[str, Any]:
        """UpdateExperimentTemplate."""
        action.check(named.get("actions") or {}, named.get("targets") or {})
        return super().update_experiment_template(*arguments, **named)

    @override
    def start_experiment(
        self,
        client_token: str | None,
        experiment_template_id: str,
        experiment_options: dict[str, Any] | None = None,
        tags: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """StartExperiment: recorded; the control loop does it.

        Raises:
            NotImplementedError: it would do what is not done here.
        """
        with backend_lock:
            template = self.experiment_templates.get(experiment_template_id)
            if template is not None:
                self._require_possible(template.actions)
            shown = super().start_experiment(client_token, experiment_template_id, experiment_options, tags)
            experiment = self.experiments[shown["id"]]
            if experiment.status == "pending" and experiment.id not in self.runs:
                self.runs[experiment.id] = _run(experiment)
            return shown

    @override
    def stop_experiment(self, id: str) -> dict[str, Any]:
        """StopExperiment: one that has ended stays as it is."""
        with backend_lock:
            run = self.runs.get(id)
            if run is not None and run.experiment.status != "stopping":
                run.end, run.reason = "stopped", STOPPED_BY_USER
            return self._explained(super().stop_experiment(id))

    @override
    def get_experiment(self, id: str) -> dict[str, Any]:
        """GetExperiment."""
        with backend_lock:
            return self._explained(super().get_experiment(id))

    def _explained(self, shown: dict[str, Any]) -> dict[str, Any]:
        reason = self.reasons.get(shown["id"])
        return shown | ({"state": {**shown["state"], "reason": reason}} if reason else {})

    def _require_possible(self, actions: dict[str, Any]) -> None:
        known = self.world.regions if self.world else {}
        for each in actions.values():
            if each["actionId"] != action.DISRUPT:
                raise NotImplementedError(each["actionId"])
            if each["parameters"]["region"] not in known:
                raise NotImplementedError(f"cutting off {each['parameters']['region']}")


def _run(experiment: Experiment) -> Run:
    skipped = experiment.experiment_options["actionsMode"] == "skip-all"
    parameters = [] if skipped else [each["parameters"] for each in experiment.actions.values()]
    return Run(
        experiment,
        regions=tuple(each["region"] for each in parameters),
        seconds=max((action.seconds(each["duration"]) for each in parameters), default=0),
    )
