"""A pipeline at work: who is in which stage, who waits in front of it, and who may enter.

All of it under moto's lock, and nothing here waits: actions run elsewhere, and `finish` says what came of them.

The rules (CodePipeline user guide, "How pipeline executions work", "stage rollback"; RollbackStage's and
RetryStageExecution's references):
- A stage is one execution's at a time. Who cannot enter yet, because the stage is taken or its inbound transition is
  disabled, waits in front of it. Mode SUPERSEDED: one waits, the newest; QUEUED: all wait, in their order.
- A stage that failed is free again. Its execution may be retried as long as no other one was there since.
- A rollback is an execution of one stage alone, with what its target had. It does not come through the transition: one
  may roll back while that is disabled.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from pytest_envdr.sandbox.control_plane.codepipeline import execution as status
from pytest_envdr.sandbox.control_plane.codepipeline.declaration import QUEUED, Action, Declaration, Stage
from pytest_envdr.sandbox.control_plane.codepipeline.execution import Execution, Failure, Outcome, Run, StageRun

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime


@dataclass(frozen=True)
class Transition:
    """The way into a stage."""

    enabled: bool = True
    reason: str | None = None
    changed_by: str | None = None
    changed_at: datetime | None = None


@dataclass
class Line:
    """One pipeline at work.

    Attributes:
        executions: by id, the oldest first.
        transitions: the ways into stages that were ever disabled.
        occupants: who is in a stage.
        waiting: who waits in front of it, the oldest first.
        latest: who was the last to enter it.
        seen: the source revisions that change detection knows, by action.
        looked: when it looked last, on the monotonic clock.
    """

    declaration: Declaration
    executions: dict[str, Execution] = field(default_factory=dict)
    transitions: dict[str, Transition] = field(default_factory=dict)
    occupants: dict[str, Execution] = field(default_factory=dict)
    waiting: dict[str, list[Execution]] = field(default_factory=dict)
    latest: dict[str, Execution] = field(default_factory=dict)
    seen: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    looked: float = 0.0

    def transition(self, stage: str) -> Transition:
        """The way into a stage."""
        return self.transitions.get(stage, Transition())

    def start(self, execution: Execution) -> None:
        """A new execution, in front of the first stage."""
        self.executions[execution.identifier] = execution
        self._arrive(execution, self.declaration.stages[0], execution.started)

    def enter(self, execution: Execution, stage: str, at: datetime) -> StageRun:
        """Let an execution into a stage that is free."""
        self.occupants[stage] = self.latest[stage] = execution
        execution.set(status.IN_PROGRESS, at)
        return execution.stages.setdefault(stage, StageRun())

    def step(self, at: datetime) -> list[tuple[Execution, Run]]:
        """Bring everybody a step further; the actions that are to be started."""
        for stage in reversed(self.declaration.stages):
            self._admit(stage, at)
        started = []
        for name, execution in list(self.occupants.items()):
            started += [(execution, run) for run in self._advance(execution, execution.declaration.stage(name), at)]
        return started

    def finish(self, execution: Execution, run: Run, outcome: Outcome | Failure, at: datetime) -> None:
        """An action's end; nothing where it was abandoned."""
        if run.status != status.IN_PROGRESS:
            return
        if isinstance(outcome, Failure):
            run.failure = outcome
            run.end(status.FAILED, at)
            return
        run.outcome = outcome
        run.end(status.SUCCEEDED, at)
        execution.artifacts |= outcome.outputs
        if outcome.revision:
            execution.revisions[run.action.name] = outcome.revision

    def stop(self, execution: Execution, at: datetime) -> None:
        """Somebody asked it to stop: at once where it only waits."""
        execution.set(status.STOPPING, at)
        for waiting in self.waiting.values():
            if execution in waiting:
                waiting.remove(execution)
                execution.set(status.STOPPED, at)

    def end(self, execution: Execution, how: str, at: datetime) -> None:
        """Leave the pipeline, wherever it is: its actions are abandoned."""
        for name in [name for name, occupant in self.occupants.items() if occupant is execution]:
            stage_run = execution.stages[name]
            for run in stage_run.with_status(status.IN_PROGRESS):
                run.end(status.ABANDONED, at)
            stage_run.status = how
            del self.occupants[name]
        for waiting in self.waiting.values():
            if execution in waiting:
                waiting.remove(execution)
        execution.set(how, at)

    def running(self) -> Iterator[Execution]:
        """Those that may still get on."""
        return (execution for execution in self.executions.values() if execution.active)

    def _arrive(self, execution: Execution, stage: Stage, at: datetime) -> None:
        """In front of a stage; in mode SUPERSEDED, the older one of two has to go."""
        waiting = self.waiting.setdefault(stage.name, [])
        waiting.append(execution)
        if self.declaration.mode == QUEUED:
            return
        waiting.sort(key=lambda one: one.started)
        for overtaken in waiting[:-1]:
            overtaken.set(status.SUPERSEDED, at)
        del waiting[:-1]

    def _admit(self, stage: Stage, at: datetime) -> None:
        waiting = self.waiting.get(stage.name)
        if waiting and stage.name not in self.occupants and self.transition(stage.name).enabled:
            self.enter(waiting.pop(0), stage.name, at)

    def _advance(self, execution: Execution, stage: Stage, at: datetime) -> list[Run]:
        """What of a stage's actions is to be started now; at its end, the execution leaves the stage."""
        here = execution.stages[stage.name]
        if execution.status == status.STOPPING and execution.abandon:
            self.end(execution, status.STOPPED, at)
        if stage.name not in self.occupants or here.with_status(status.IN_PROGRESS):
            return []
        following = [] if here.with_status(status.FAILED) else _next_actions(stage, here)
        if following and execution.status == status.IN_PROGRESS:
            runs = [self._begin(execution, stage, action, at) for action in following]
            here.runs |= {run.action.name: run for run in runs}
            return runs
        self._leave(execution, stage, at, complete=not following)
        return []

    def _begin(self, execution: Execution, stage: Stage, action: Action, at: datetime) -> Run:
        inputs = {name: execution.artifacts[name] for name in action.inputs}
        run = Run(action, stage.name, execution.declaration.version, at, at, inputs)
        run.token = str(uuid4()) if action.category == "Approval" else None
        execution.history.append(run)
        execution.updated = at
        return run

    def _leave(self, execution: Execution, stage: Stage, at: datetime, *, complete: bool) -> None:
        here = execution.stages[stage.name]
        del self.occupants[stage.name]
        if here.with_status(status.FAILED):
            here.status = status.FAILED
            execution.set(status.STOPPED if execution.status == status.STOPPING else status.FAILED, at)
            return
        here.status = status.SUCCEEDED if complete else status.STOPPED
        following = self.declaration.after(stage.name)
        if execution.status == status.STOPPING:
            execution.set(status.STOPPED, at)
        elif following is None or execution.kind == status.ROLLBACK:
            execution.set(status.SUCCEEDED, at)
        else:
            self._arrive(execution, following, at)


def _next_actions(stage: Stage, here: StageRun) -> list[Action]:
    """Those that have not run, of the lowest run order; the others' turn comes when these have succeeded."""
    left = [action for action in stage.actions if action.name not in here.runs]
    order = min((action.order for action in left), default=0)
    return [action for action in left if action.order == order]
