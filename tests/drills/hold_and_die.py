"""A process that holds a drill as a library and kills itself at one moment of its journal.

`python -m tests.drills.hold_and_die '{"stack": ..., "state": ..., "service": ..., "moment": n}'`. The moments are, for
each act: before its inverse is written, after that (the call was not made), after the call (it is not settled), after
it is settled; and on the way back: before and after each entry is reversed. 0 survives and prints how many there are.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_envdr import stack
from pytest_envdr.aws import Aws
from pytest_envdr.drills import Drill, services
from pytest_envdr.journal import Header, Journal, journal_path
from pytest_envdr.stack import Objective
from pytest_envdr.timeline import Clock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import override

    from pytest_envdr.journal import Entry, Inverse
else:

    def override(method: Any) -> Any:
        return method


class Mortal(Journal):
    """A journal that dies with its process."""

    moment = 0
    passed = 0

    def _pass(self) -> None:
        self.passed += 1
        if self.passed == self.moment:
            os.kill(os.getpid(), signal.SIGKILL)

    @override
    def intend(self, act: str, arguments: Mapping[str, Any], *, inverse: Inverse) -> Entry:
        self._pass()
        entry = super().intend(act, arguments, inverse=inverse)
        self._pass()
        return entry

    @override
    def _settled(self, entry: Entry, result: dict[str, Any], error: str | None) -> None:
        self._pass()
        super()._settled(entry, result, error)
        self._pass()

    @override
    def reversed(self, entry: Entry, how: str = "") -> None:
        self._pass()
        super().reversed(entry, how)
        self._pass()


def main(order: dict[str, Any]) -> int:
    """Hold the drill; the number of moments passed."""
    read = stack.read(Path(order["stack"]))
    target = (read.account, read.region, read.endpoint)
    path = journal_path(Path(order["state"]), *target)
    with Mortal.open(path, Header("to-die", *target, stack=order["stack"])) as journal:
        journal.moment = order["moment"]
        journal.check_nothing_owed()
        clock = Clock()
        aws = Aws(read, journal, clock=clock)
        drill = Drill(
            "a drill that dies",
            exercise_id="to-die",
            objective=Objective(rto_seconds=30, detect_seconds=1),
            directory=Path(order["state"]) / "evidence",
            sink=lambda _: None,
            clock=clock,
        )
        say("begun")
        with services.stopped(aws, journal, drill, read.services[order["service"]]) as service:
            service.restore()
        return journal.passed


def say(text: str) -> None:
    """One line to whoever waits for it."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    say(str(main(json.loads(sys.argv[1]))))
