"""Processes that keep the provisioner from its work and kill themselves: `python -m tests.drills.provisioner_deaths`.

Each line of standard input is an order (JSON), obeyed in a process forked from this one, so that imports are paid for
once; how it ended is a line of standard output. Steps are those of `tests.drills.failover`, and are written into the
state directory; "answered" of what the application is asked for: it is done, and the journal does not know it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from pytest_envdr import stack
from pytest_envdr.aws import Aws
from pytest_envdr.drills import Drill, provisioner
from pytest_envdr.journal import Header, journal_path
from pytest_envdr.timeline import Clock
from tests.drills import failover
from tests.drills.failover import Steps, StepwiseJournal, die
from tests.drills.provisioner_rig import EFFECT_SECONDS, Hand
from tests.drills.stranger import PATIENCE

if TYPE_CHECKING:
    from pytest_envdr.drills.provisioner import DisabledProvisioner
    from pytest_envdr.journal import Entry
    from pytest_envdr.timeline import Entry as Happened

STEPS_FILE = "steps"


@dataclass(frozen=True)
class Order:
    """What to do, and when to die.

    Attributes:
        stack: the stack file's path.
        state: the state directory.
        exercise: what the run is called.
        how: how the provisioner is kept from its work.
        step: the step to die at, "... #2" where it is the second such; "" for none.
        seconds: how long after the first act to die; negative for never.
        taken: whether the tenant's name is another account's.
    """

    stack: str
    state: str
    exercise: str
    how: Any = "concurrency 0"
    step: str = ""
    seconds: float = -1.0
    taken: bool = False


class ActingSteps(Steps):
    """Steps; the clock runs from the first act."""

    def __init__(self, order: Order) -> None:
        super().__init__(failover.Order(order.stack, order.state, "", order.exercise, order.step))
        self._seconds = order.seconds

    @override
    def reach(self, moment: str, act: str = "") -> None:
        if self._seconds >= 0:
            threading.Timer(self._seconds, die).start()
            self._seconds = -1.0
        super().reach(moment, act)

    @override
    def happened(self, entry: Happened) -> None:
        """Nothing counts from the time-line."""


class ActingJournal(StepwiseJournal):
    """A journal that tells as well when the application has done what it was asked for."""

    @override
    def _settled(self, entry: Entry, result: dict[str, Any], error: str | None) -> None:
        if entry.act.startswith("application."):
            self.steps.reach("answered", entry.act)
        super()._settled(entry, result, error)


def obey(order: Order) -> None:
    """The whole drill, or as far as it comes."""
    read, steps = stack.read(Path(order.stack)), ActingSteps(order)
    target = (read.account, read.region, read.endpoint)
    header = Header(order.exercise, *target, stack=order.stack)
    with ActingJournal.begin(journal_path(Path(order.state), *target), header, steps) as journal:
        aws = Aws(read, journal, steps.called)
        drill = Drill(
            "the drill that dies",
            exercise_id=order.exercise,
            objective=read.objectives["lambda_provisioner_failure"],
            directory=Path(order.state) / "evidence",
            sink=steps.happened,
            clock=Clock(),
        )
        with provisioner.disabled(
            aws, journal, drill, how=order.how, settle_seconds=PATIENCE, effect_seconds=EFFECT_SECONDS
        ) as disabled:
            whole(disabled, Hand(aws), taken=order.taken)


def whole(disabled: DisabledProvisioner, hand: Hand, *, taken: bool) -> None:
    """All steps of the runbook."""
    with hand.taken(disabled.tenant.bucket) if taken else nullcontext():
        disabled.wait_until_seen()
        disabled.recover()
        disabled.check()
        disabled.put_back()
        disabled.check_late()
        disabled.reconcile()


def main() -> None:
    """Obey each in a process of its own."""
    for line in sys.stdin:
        order = Order(**json.loads(line))
        child = os.fork()
        if not child:
            Path(order.state).mkdir(parents=True, exist_ok=True)
            sys.stdout = (Path(order.state) / STEPS_FILE).open("w")
            obey(order)
            os._exit(0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
