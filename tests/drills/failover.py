"""A process that takes a service down and brings it back, and kills itself at a step of it.

`python -m tests.drills.failover '<JSON of Order>'`. It drills as a library, without pytest and without waiting for
alarms. Its steps are "<moment> <call of the act>"; the moments of an act are

    before      its inverse is not written yet
    intended    it is; the call was not made
    answered    it was made; the journal does not know it
    settled     it does

and of the way back

    reversing   the inverse was not called yet
    reversed    it was called; the journal does not know it
    closed      it does
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from typing_extensions import override

from pytest_envdr import stack, undo
from pytest_envdr.aws import Aws
from pytest_envdr.drills import Drill, services
from pytest_envdr.guard import mutating
from pytest_envdr.journal import Header, Journal, journal_path
from pytest_envdr.timeline import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pytest_envdr.aws import Call
    from pytest_envdr.journal import Entry, Inverse
    from pytest_envdr.timeline import Entry as Happened

SETTLE_SECONDS = 90.0
"""How long the traces of the case before may take to go on a slow machine."""


@dataclass(frozen=True)
class Order:
    """What to do, and when to die.

    Attributes:
        stack: the stack file's path.
        state: the state directory.
        service: the service's word.
        exercise: what the run is called.
        step: the step to die at, "... #2" where it is the second such; "" for none.
        seconds: how long after the act begins to die; negative for never.
        undo: only bring back what is owed.
    """

    stack: str
    state: str
    service: str
    exercise: str
    step: str = ""
    seconds: float = -1.0
    undo: bool = False

    def to_json(self) -> str:
        """For the command line."""
        return json.dumps(asdict(self))


def die() -> None:
    """SIGKILL: nothing after this line happens."""
    os.kill(os.getpid(), signal.SIGKILL)


class Steps:
    """The steps so far, each of them told on standard output."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._reached: Counter[str] = Counter()
        self.act = ""
        self.returning = False

    def reach(self, moment: str, act: str = "") -> None:
        """A step is reached; it may be the last."""
        step = f"{moment} {act or self.act}"
        sys.stdout.write(f"{step}\n")
        sys.stdout.flush()
        self._reached[step] += 1
        if self._order.step in (step, f"{step} #{self._reached[step]}"):
            die()

    def called(self, call: Call) -> None:
        """A call was answered."""
        if mutating(f"{call.service}.{call.operation}"):
            self.reach("reversed" if self.returning else "answered")

    def happened(self, entry: Happened) -> None:
        """Something is on the drill's time-line: after the wait for good answers, the act begins."""
        if entry.kind == "wait" and "good answers" in entry.data["what"] and self._order.seconds >= 0:
            threading.Timer(self._order.seconds, die).start()


class StepwiseJournal(Journal):
    """A journal that tells each of its steps."""

    steps: Steps

    @classmethod
    def begin(cls, path: Path, header: Header, steps: Steps) -> Self:
        """Open it."""
        states: dict[str, str] = {"intended": "intended", "settled": "settled", "reversed": "closed"}
        journal = cls.open(path, header, listener=lambda entry, state: steps.reach(states[state], entry.act))
        journal.steps = steps
        return journal

    @override
    def intend(self, act: str, arguments: Mapping[str, Any], *, inverse: Inverse) -> Entry:
        self.steps.act = act
        self.steps.reach("before")
        return super().intend(act, arguments, inverse=inverse)

    @override
    @contextmanager
    def reversing(self, entry: Entry) -> Iterator[None]:
        self.steps.act, self.steps.returning = entry.act, True
        self.steps.reach("reversing")
        with super().reversing(entry):
            yield
        self.steps.returning = False


def take_down(aws: Aws, journal: Journal, order: Order, happened: Callable[[Happened], None]) -> None:
    """The full outage, and back at once."""
    drill = Drill(
        "the drill that dies",
        exercise_id=order.exercise,
        objective=aws.stack.objectives["ecs_failover"],
        directory=Path(order.state) / order.exercise,
        sink=happened,
        clock=Clock(),
    )
    row = aws.stack.services[order.service]
    with services.stopped(aws, journal, drill, row, settle_seconds=SETTLE_SECONDS) as service:
        service.restore()


def obey(order: Order, steps: Steps, drill: Callable[[Aws, Journal, Order, Callable[[Happened], None]], None]) -> None:
    """Do as ordered: `drill`, or the undo of what another process left."""
    read = stack.read(Path(order.stack))
    target = (read.account, read.region, read.endpoint)
    header = Header(order.exercise, *target, stack=order.stack)
    with StepwiseJournal.begin(journal_path(Path(order.state), *target), header, steps) as journal:
        aws = Aws(read, journal, steps.called)
        if order.undo:
            undo.replay(aws, journal)
        else:
            journal.check_nothing_owed()
            drill(aws, journal, order, steps.happened)


if __name__ == "__main__":
    ordered = Order(**json.loads(sys.argv[1]))
    obey(ordered, Steps(ordered), take_down)
