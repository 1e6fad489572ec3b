"""A process that deploys badly and brings back what was before, and kills itself at a step of it.

`python -m tests.drills.deployment_deaths '<JSON of Order>'`. Its steps are those of `tests.drills.failover`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_envdr.drills import Drill, deployments
from pytest_envdr.timeline import Clock
from tests.drills import failover
from tests.drills.failover import Steps

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_envdr.aws import Aws
    from pytest_envdr.journal import Journal
    from pytest_envdr.timeline import Entry as Happened


@dataclass(frozen=True)
class Order(failover.Order):
    """What to do, and when to die.

    Attributes:
        kind: how the image is broken.
        way: "" puts back at once; else the whole drill: "circuit_breaker", "stopped_by_hand" or "manual".
        via: "pipeline" where that ships the broken image; it is started again before the drill ends.
    """

    kind: str = "exits"
    way: str = ""
    via: deployments.Way = ""


def deploy(aws: Aws, journal: Journal, order: failover.Order, happened: Callable[[Happened], None]) -> None:
    """The drill, or as far as it comes."""
    assert isinstance(order, Order)
    drill = Drill(
        "the drill that dies",
        exercise_id=order.exercise,
        objective=aws.stack.objectives["bad_deployment_rollback"],
        directory=Path(order.state) / order.exercise,
        sink=happened,
        clock=Clock(),
    )
    settle = failover.SETTLE_SECONDS
    with deployments.deployed_badly(aws, journal, drill, kind=order.kind, way=order.via, settle_seconds=settle) as bad:
        if order.way == "circuit_breaker":
            bad.wait_until_rolled_back()
        elif order.way == "stopped_by_hand":
            bad.wait_until_failing()
            bad.stop()
        elif order.way:
            bad.wait_until_seen()
            bad.roll_back()
        if order.way and not order.via:
            bad.wait_until_recovered()
        elif order.way:
            bad.ship_again()


if __name__ == "__main__":
    ordered = Order(**json.loads(sys.argv[1]))
    failover.obey(ordered, Steps(ordered), deploy)
