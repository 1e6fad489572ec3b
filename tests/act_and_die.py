"""A process that does one act on AWS and kills itself at a point of it: `python -m tests.act_and_die '<json>'`.

The points are the journal's own states ("intended", "settled", "reversed"), and "answered": the call was made, the
journal does not know it yet. "undo" replays instead of acting.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_envdr import undo
from pytest_envdr.aws import Aws, application_autoscaling, ecs, sns, sqs
from pytest_envdr.errors import NotFound
from pytest_envdr.guard import mutating
from pytest_envdr.journal import Header, Journal
from tests import account

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_envdr.aws import Call
    from pytest_envdr.journal import Entry


def die() -> None:
    """SIGKILL: nothing after this line happens."""
    os.kill(os.getpid(), signal.SIGKILL)


def act(aws: Aws, journal: Journal, name: str, subject: str) -> None:
    """Do the act of that name to a service, or to the topic `subject`."""

    def service() -> ecs.Service:
        return ecs.service(aws, subject, account.CLUSTER)

    def suspend() -> None:
        target = application_autoscaling.scalable_target(aws, service().resource_id)
        if target is None:
            raise NotFound(subject)
        application_autoscaling.suspend(aws, journal, target)

    acts: dict[str, Callable[[], Any]] = {
        "count": lambda: ecs.set_desired_count(aws, journal, service(), count=0),
        "run": lambda: ecs.run_task(aws, journal, service(), container="app", command=["sleep", "9"]),
        "suspend": suspend,
        "subscribe": lambda: sns.subscribe_queue(aws, journal, subject, queue=f"{subject}-queue".replace("sns", "sqs")),
        "queue": lambda: sqs.create_queue(aws, journal, purpose="test", topic=subject),
        "undo": lambda: undo.replay(aws, journal),
    }
    acts[name]()


def main(order: dict[str, str]) -> None:
    """Act, and die at the point that was ordered."""

    def told(_: Entry, state: str) -> None:
        if state == order["point"]:
            die()

    def called(call: Call) -> None:
        if order["point"] == "answered" and mutating(f"{call.service}.{call.operation}"):
            die()

    stack = account.stack(endpoint=order["endpoint"])
    header = Header("killed", account.ACCOUNT, account.REGION, order["endpoint"])
    with Journal.open(Path(order["path"]), header, listener=told) as journal:
        act(Aws(stack, journal, called), journal, order["act"], order["subject"])


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
