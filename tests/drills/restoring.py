"""A process that restores a database aside, and kills itself at a step of it.

`python -m tests.drills.restoring '<JSON of Order>'`. Its steps are named as in failover.py. One that comes again has
a 2 behind it: two tasks are run, the one that begins maintenance mode, and the application on the copy.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import override

from pytest_envdr.drills import Drill, databases
from pytest_envdr.timeline import Clock
from tests.drills.failover import Order, Steps, die, obey

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_envdr.aws import Aws
    from pytest_envdr.journal import Journal
    from pytest_envdr.timeline import Entry as Happened

CUTOVER = "cutover"


class CountedSteps(Steps):
    """Steps that are told apart where they come again."""

    def __init__(self, order: Order) -> None:
        super().__init__(order)
        self._order_of_this = order
        self._seen: Counter[str] = Counter()

    @override
    def reach(self, moment: str, act: str = "") -> None:
        step = f"{moment} {act or self.act}"
        self._seen[step] += 1
        named = step if self._seen[step] == 1 else f"{step} {self._seen[step]}"
        sys.stdout.write(f"{named}\n")
        sys.stdout.flush()
        if named == self._order_of_this.step:
            die()

    @override
    def happened(self, entry: Happened) -> None:
        """From the end of the kick-off on something is changed."""
        kicked_off = entry.kind == "phase.end" and entry.data["phase"] == "kick-off"
        if kicked_off and self._order_of_this.seconds >= 0:
            threading.Timer(self._order_of_this.seconds, die).start()


def restore(aws: Aws, journal: Journal, order: Order, happened: Callable[[Happened], None]) -> None:
    """A restore from the source that stands in the place of a service, as far as the application answers, and away with
    it; for "cutover" the services go over to it, and back."""
    drill = Drill(
        "the drill that dies",
        exercise_id=order.exercise,
        objective=aws.stack.objectives["database_restore"],
        directory=Path(order.state) / order.exercise,
        sink=happened,
        clock=Clock(),
    )
    source = "manual" if order.service == CUTOVER else order.service
    with databases.restored(aws, journal, drill, source=source) as database:
        database.restore()
        database.wait_until_available()
        database.wait_until_answers()
        if order.service == CUTOVER:
            database.cut_over_and_back()


if __name__ == "__main__":
    ordered = Order(**json.loads(sys.argv[1]))
    obey(ordered, CountedSteps(ordered), restore)
