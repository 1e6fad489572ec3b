"""Processes that build the standby Region and kill themselves: `python -m tests.drills.region_deaths '<JSON>'`.

A step is "intended", "settled" or "reversed", as in `tests.drills.state_deaths`, or an instant after it was intended:
the drill dies while a Terraform of its own is at work, which then ends by itself.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_envdr.aws import Aws
from pytest_envdr.drills import Drill, regions
from pytest_envdr.journal import Header, Journal
from pytest_envdr.stack import read
from pytest_envdr.timeline import Clock
from tests.drills.failover import die

if TYPE_CHECKING:
    from pytest_envdr.journal import Entry


@dataclass(frozen=True)
class Order:
    """When to die.

    Attributes:
        stack: the stack file's path.
        journal: the journal's path; its name is the exercise's.
        state, act, turn: when the act's entry reaches that state, for the so-manieth time.
        seconds: so long after that; the drill goes on meanwhile.
        terraform: whether the Terraform that is at work dies first, and its provider, as on a machine without power.
    """

    stack: str
    journal: str
    act: str
    state: str = "intended"
    turn: int = 1
    seconds: float = 0.0
    terraform: bool = False


class Watch:
    """Counts how often the act came, and dies when told to."""

    def __init__(self, order: Order) -> None:
        self._order, self._turns = order, 0

    def told(self, entry: Entry, state: str) -> None:
        """The journal's listener."""
        if entry.act != self._order.act or state != self._order.state:
            return
        self._turns += 1
        if self._turns != self._order.turn:
            return
        if not self._order.seconds:
            self._die()
        timer = threading.Timer(self._order.seconds, self._die)
        timer.daemon = True
        timer.start()

    def _die(self) -> None:
        if self._order.terraform:
            kill_terraform(str(Path(self._order.journal).with_suffix("")))
        die()


def kill_terraform(work: str) -> None:
    """SIGKILL to whatever runs in a working directory below this one."""
    mark = f"TF_DATA_DIR={work}/".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile, or is not ours to look at
            if mark in (process / "environ").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)


def obey(order: Order) -> None:
    """The whole build, or as far as it comes."""
    stack, watch = read(Path(order.stack)), Watch(order)
    header = Header(Path(order.journal).stem, stack.account, stack.region, stack.endpoint)
    with Journal.open(Path(order.journal), header, listener=watch.told) as journal:
        drill = Drill(
            "the drill that dies",
            exercise_id=header.exercise,
            objective=stack.objectives["regional_failover"],
            directory=Path(tempfile.mkdtemp(prefix="dies-")),
            sink=lambda _: None,
            clock=Clock(),
        )
        with regions.built(Aws(stack, journal), journal, drill) as region:
            region.restore()
            region.build()


def to_json(order: Order) -> str:
    """For the command line."""
    return json.dumps(asdict(order))


if __name__ == "__main__":
    obey(Order(**json.loads(sys.argv[1])))
