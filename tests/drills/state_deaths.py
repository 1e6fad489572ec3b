"""Processes that lose and recover a state and kill themselves: `python -m tests.drills.state_deaths '<JSON>'`.

Each order is obeyed in a process forked from this one, so that imports are paid for once. The steps are those of
`tests.drills.bucket_deaths`; "terraform" is the instant at which a Terraform of the drill's runs.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_envdr.aws import Aws
from pytest_envdr.drills import Drill, control_plane
from pytest_envdr.guard import mutating
from pytest_envdr.journal import Header, Journal
from pytest_envdr.stack import Stack
from pytest_envdr.timeline import Clock
from tests.drills.failover import die

if TYPE_CHECKING:
    from pytest_envdr.aws import Call
    from pytest_envdr.journal import Entry


@dataclass(frozen=True)
class Order:
    """What to do, and when to die.

    Attributes:
        stack: the stack's content as JSON.
        journal: the journal's path.
        loss, where: which way.
        state, act, turn: die when the act's entry reaches that state ("intended", "settled", "reversed") or when its
            call was "answered", for the so-manieth time; "" for none.
        seconds: how long after the drill has begun to die; negative for never.
    """

    stack: str
    journal: str
    loss: Any = "deleted"
    where: Any = "copy"
    state: str = ""
    act: str = ""
    turn: int = 1
    seconds: float = -1.0


class Watch:
    """Counts how often the act came, and dies when told to."""

    def __init__(self, order: Order) -> None:
        self._order, self._turns = order, 0

    def told(self, entry: Entry, state: str) -> None:
        """The journal's listener."""
        if entry.act == self._order.act:
            self._turns += state == "intended"
            if state == self._order.state and (state == "reversed" or self._turns == self._order.turn):
                die()

    def called(self, call: Call) -> None:
        """A call was answered, and the journal does not know it."""
        operation = f"{call.service}.{call.operation}"
        due = self._order.state == "answered" and self._turns == self._order.turn
        if due and mutating(operation) and operation == self._order.act:
            die()


def obey(order: Order) -> None:
    """The whole drill, or as far as it comes."""
    stack, watch = Stack.model_validate_json(order.stack), Watch(order)
    header = Header("dies", stack.account, stack.region, stack.endpoint)
    if order.seconds >= 0:
        timer = threading.Timer(order.seconds, die)
        timer.daemon = True
        timer.start()
    with Journal.open(Path(order.journal), header, listener=watch.told) as journal:
        aws = Aws(stack, journal, watch.called)
        drill = Drill(
            "the drill that dies",
            exercise_id="dies",
            objective=stack.objectives["control_plane_loss"],
            directory=Path(tempfile.mkdtemp(prefix="dies-")),
            sink=lambda _: None,
            clock=Clock(),
        )
        with control_plane.lost(aws, journal, drill, loss=order.loss, where=order.where) as state:
            state.wait_until_seen()
            state.recover()
            state.check()


def main(orders: list[Order]) -> None:
    """Obey each in a process of its own; print how each ended, as JSON."""
    codes = []
    for order in orders:
        child = os.fork()
        if not child:
            obey(order)
            os._exit(0)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    sys.stdout.write(json.dumps(codes))


def to_json(orders: list[Order]) -> str:
    """For the command line."""
    return json.dumps([asdict(order) for order in orders])


if __name__ == "__main__":
    main([Order(**row) for row in json.loads(sys.argv[1])])
