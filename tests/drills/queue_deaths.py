"""A process that stops a queue's workers and brings all back, and kills itself at a step of it.

`python -m tests.drills.queue_deaths '<JSON of Order>'`. Its steps are those of `tests.drills.failover`, each with how
often it was reached: "answered ecs.RunTask 2".
"""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from pytest_envdr.drills import Drill, queues
from pytest_envdr.timeline import Clock, Phase
from tests.drills import failover
from tests.drills.failover import Steps, die

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_envdr.aws import Aws
    from pytest_envdr.journal import Journal
    from pytest_envdr.timeline import Entry as Happened


@dataclass(frozen=True)
class Order(failover.Order):
    """What to do, and when to die; `seconds` count from when the jobs begin to be dispatched."""

    how: Any = "all stopped"


class Turns(Steps):
    """Steps that are reached more than once."""

    def __init__(self, order: Order) -> None:
        super().__init__(order)
        self._turns: Counter[str] = Counter()

    @override
    def reach(self, moment: str, act: str = "") -> None:
        step = f"{moment} {act or self.act}"
        self._turns[step] += 1
        sys.stdout.write(f"{step} {self._turns[step]}\n")
        sys.stdout.flush()
        if f"{step} {self._turns[step]}" == self._order.step:
            die()

    @override
    def happened(self, entry: Happened) -> None:
        if entry.kind == "phase.begin" and entry.data["phase"] == Phase.TRIGGER and self._order.seconds >= 0:
            threading.Timer(self._order.seconds, die).start()


def stop(aws: Aws, journal: Journal, order: failover.Order, happened: Callable[[Happened], None]) -> None:
    """The drill, or as far as it comes; where the service is down, nobody waits for its alarms."""
    assert isinstance(order, Order)
    drill = Drill(
        "the drill that dies",
        exercise_id=order.exercise,
        objective=aws.stack.objectives["worker_queue_recovery"],
        directory=Path(order.state) / order.exercise,
        sink=happened,
        clock=Clock(),
    )
    with queues.stopped(aws, journal, drill, how=order.how, settle_seconds=failover.SETTLE_SECONDS) as worker:
        if order.how != "all stopped":
            worker.wait_until_seen()
        worker.restore()
        if order.how.startswith("cache"):
            worker.recreate()
        worker.retry()
        if order.how == "database away":
            worker.recreate()


if __name__ == "__main__":
    ordered = Order(**json.loads(sys.argv[1]))
    failover.obey(ordered, Turns(ordered), stop)
