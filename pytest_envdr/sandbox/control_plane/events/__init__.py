"""EventBridge: what comes to a bus goes to the targets of the enabled rules that match, and into the archives.

Where to look: `backend` takes events and finds the rules; the `controller` hands them over: a `delivery` is one event
for one target, `targets` gives it to that, and to a dead-letter queue what was not taken; `replays` brings archived
events back. `metrics` tells CloudWatch, `delays` holds every AWS-side delay.

All that the sandbox's services announce comes through `SandboxEvents.put_events`, or, where moto's own code announces
it (S3), to the same rules. Permissions are checked as on AWS: a function's policy, a queue's, a topic's; those of a
rule's or target's role are not. Every event is delivered once, where AWS promises "at least once".

Not here, answered 501: schedules, targets but Lambda, SQS, SNS, CloudWatch Logs and buses of the same Region. API
destinations, connections, partner sources and schemas are as moto has them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from moto.events.models import events_backends

from pytest_envdr.sandbox.control_plane.calling import Caller
from pytest_envdr.sandbox.control_plane.events.backend import SandboxEvents
from pytest_envdr.sandbox.control_plane.events.controller import EventsController
from pytest_envdr.sandbox.control_plane.events.responses import SandboxEventsResponse
from pytest_envdr.sandbox.control_plane.extension import extend, on_each_path
from pytest_envdr.sandbox.fidelity import SIMULATED, Fidelity

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_loop import Controller
    from pytest_envdr.sandbox.world import World

__all__ = ["FIDELITY", "install"]

FIDELITY: dict[str, Fidelity] = {
    # Events really go from one place to another, but there is nothing of AWS's that could be frozen.
    **dict.fromkeys(
        (
            "CancelReplay",
            "CreateArchive",
            "DeleteArchive",
            "DeleteRule",
            "DescribeArchive",
            "DescribeReplay",
            "DescribeRule",
            "DisableRule",
            "EnableRule",
            "ListReplays",
            "ListTargetsByRule",
            "PutEvents",
            "PutRule",
            "PutTargets",
            "RemoveTargets",
            "StartReplay",
            "TestEventPattern",
        ),
        SIMULATED,
    ),
}


def install(world: World) -> Controller:
    """Put our backend and responses in moto's place, before the first request."""
    extend("events", SandboxEvents)
    on_each_path("events", SandboxEventsResponse)
    backend = cast("SandboxEvents", events_backends[world.account][world.region])
    backend.world = world
    return EventsController(world, backend, Caller(world))
