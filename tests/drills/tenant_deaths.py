"""Processes that recover a tenant and kill themselves: `python -m tests.drills.tenant_deaths`.

Each line of standard input is an order (JSON), obeyed in a process forked from this one, so that imports are paid for
once; how it ended is a line of standard output. Steps are those of `tests.drills.failover`, with the number of times
that they came; "answered": an act on a database is done, and the journal does not know it. The instance aside is there
already: one for all of them. What a death while it is restored leaves, `tests.drills.restoring` shows.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from pytest_envdr import stack, swaps
from pytest_envdr.aws import Aws, rds
from pytest_envdr.drills import Drill, restores, tenants
from pytest_envdr.journal import Header, Journal, journal_path
from pytest_envdr.mariadb import Server
from pytest_envdr.timeline import Clock
from tests.drills.failover import Order as Stepwise
from tests.drills.failover import Steps, StepwiseJournal, die

if TYPE_CHECKING:
    from pytest_envdr.journal import Entry
    from pytest_envdr.timeline import Entry as Happened


EXERCISE = "20260101T000000Z-d1ed00"


@dataclass(frozen=True)
class Order:
    """What to do, and when to die.

    Attributes:
        stack: the stack file's path.
        state: the state directory.
        aside: host, port, user and password of the instance aside.
        damage: which.
        step: the step to die at, "<moment> <act> <number>"; "" for none.
        seconds: how long after the fault to die; negative for never.
    """

    stack: str
    state: str
    aside: tuple[str, int, str, str]
    damage: Any = "rows deleted"
    step: str = ""
    seconds: float = -1.0


class CountedSteps(Steps):
    """Steps with the number of times that they came."""

    def __init__(self, order: Order) -> None:
        super().__init__(Stepwise(order.stack, order.state, "", EXERCISE, order.step, order.seconds))
        self._ordered, self._came = order, Counter[str]()

    @override
    def reach(self, moment: str, act: str = "") -> None:
        step = f"{moment} {act or self.act}"
        self._came[step] += 1
        if f"{step} {self._came[step]}" == self._ordered.step:
            die()

    @override
    def happened(self, entry: Happened) -> None:
        """From the fault the clock runs."""
        if entry.kind == "mark" and entry.data["name"] == "fault" and self._ordered.seconds >= 0:
            threading.Timer(self._ordered.seconds, die).start()


class TenantJournal(StepwiseJournal):
    """A journal that tells when an act is done too."""

    @override
    def _settled(self, entry: Entry, result: dict[str, Any], error: str | None) -> None:
        self.steps.reach("answered", entry.act)
        super()._settled(entry, result, error)


def recover(aws: Aws, journal: Journal, order: Order, steps: CountedSteps) -> None:
    """All steps but the restore itself."""
    drill = Drill(
        "the drill that dies",
        exercise_id=EXERCISE,
        objective=aws.stack.objectives["single_tenant_recovery"],
        directory=Path(order.state) / "evidence",
        sink=steps.happened,
        clock=Clock(),
    )
    with tenants.recovered(aws, journal, drill, order.damage) as tenant:
        tenant.wait_until_seen()
        swaps.quiesce(aws, journal)
        tenant.case.aside = shared(tenant.case.before.instance, order)
        tenant.extract()
        tenant.check_copy()
        tenant.swap()
        tenant.wait_until_recovered()


def shared(instance: rds.Instance, order: Order) -> restores.Aside:
    """The instance that was restored for all."""
    placement = rds.Placement("shared", instance, "", (), {})
    origin = restores.Origin("point-in-time", "shared", datetime.now(UTC))
    return restores.Aside(placement, origin, "", server=Server(*order.aside))


def obey(order: Order) -> None:
    """The whole drill, or as far as it comes."""
    read, steps = stack.read(Path(order.stack)), CountedSteps(order)
    target = (read.account, read.region, read.endpoint)
    header = Header(EXERCISE, *target, stack=order.stack)
    with TenantJournal.begin(journal_path(Path(order.state), *target), header, steps) as journal:
        recover(Aws(read, journal, steps.called), journal, order, steps)


def main() -> None:
    """Obey each in a process of its own."""
    for line in sys.stdin:
        child = os.fork()
        if not child:
            obey(Order(**json.loads(line)))
            os._exit(0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
