"""Replays: what an archive has of a time comes to the bus again, with the replay's name in it.

Source: "Replaying archived events" (EventBridge user guide): minute by minute of the events' time, in no promised order
within it; to the rules named in FilterArns only, where there are any; and not into an archive again, as the archive's
own rule wants events without a replay's name.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moto.core.exceptions import ServiceException
from moto.events.exceptions import ResourceAlreadyExistsException, ValidationException
from moto.events.models import Replay, ReplayState

from pytest_envdr.sandbox.control_plane.events import delays
from pytest_envdr.sandbox.control_plane.events.backend import INGESTED

if TYPE_CHECKING:
    from moto.events.models import Archive

    from pytest_envdr.sandbox.control_plane.events.backend import SandboxEvents

MOST_AT_ONCE = 10
MINUTE = 60.0
BUS = re.compile(r"arn:aws:events:[a-z0-9-]+:\d{12}:event-bus/.+")


class LimitExceededException(ServiceException):
    """The request failed because it attempted to create more of a resource than is allowed."""

    code = "LimitExceededException"


@dataclass
class RunningReplay:
    """A replay that has not ended.

    Attributes:
        replay: moto's, which the API shows.
        archive: where its events are.
        begins: when it is RUNNING; monotonic.
        minute: the next minute of the events' time to be replayed, its start in seconds since the epoch.
    """

    replay: Replay
    archive: Archive
    begins: float
    minute: float = field(init=False)

    def __post_init__(self) -> None:
        self.minute = float(self.replay.event_start_time)

    def step(self, backend: SandboxEvents) -> bool:
        """Replay a minute; whether it has ended. Callers hold the lock."""
        if self.replay.state is ReplayState.CANCELLING:
            self._end(ReplayState.CANCELLED)
            return True
        if time.monotonic() < self.begins:
            return False
        self.replay.state = ReplayState.RUNNING
        self._skip_empty_minutes()
        end = float(self.replay.event_end_time)
        if self.minute >= end:
            self._end(ReplayState.COMPLETED)
            return True
        self._replay(backend, min(self.minute + MINUTE, end))
        return False

    def _replay(self, backend: SandboxEvents, until: float) -> None:
        bus = backend.describe_event_bus(self.replay.destination["Arn"])
        only = self.replay.destination.get("FilterArns") or ()
        for archived in list(self.archive.events):
            if self.minute <= _ingested(archived) < until:
                event = {name: value for name, value in archived.items() if name != INGESTED}
                backend.route(bus, event | {"replay-name": self.replay.name}, only)
        self.minute = until
        self.replay.event_last_replayed = until  # type: ignore[attr-defined]

    def _skip_empty_minutes(self) -> None:
        left = [at for at in map(_ingested, self.archive.events) if at >= self.minute]
        first = min(left, default=float(self.replay.event_end_time))
        if first - self.minute >= MINUTE:
            self.minute += (first - self.minute) // MINUTE * MINUTE

    def _end(self, state: ReplayState) -> None:
        self.replay.state = state
        self.replay.end_time = time.time()


def start(backend: SandboxEvents, given: dict[str, Any]) -> Replay:
    """StartReplay.

    Raises:
        ServiceException: as AWS; also where moto raises an exception of its own kind.
    """
    name, source, destination = given["ReplayName"], given["EventSourceArn"], given["Destination"]
    archive = _archive(backend, source, destination["Arn"])
    if float(given["EventStartTime"]) >= float(given["EventEndTime"]):
        raise ValidationException(
            "Parameter EventEndTime is not valid. Reason: EventStartTime must be before EventEndTime."
        )
    if name in backend.replays:
        raise ResourceAlreadyExistsException(f"Replay {name} already exists.")
    if len(backend.replaying) >= MOST_AT_ONCE:
        raise LimitExceededException("The requested resource exceeds the maximum number allowed.")
    replay = Replay(
        backend.account_id,
        backend.region_name,
        name,
        given.get("Description") or "",
        source,
        given["EventStartTime"],
        given["EventEndTime"],
        destination,
    )
    backend.replays[name] = replay
    begins = time.monotonic() + backend.here.scaled(delays.REPLAY_SECONDS)
    backend.replaying[name] = RunningReplay(replay, archive, begins)
    return replay


def _archive(backend: SandboxEvents, source: str, destination: str) -> Archive:
    if not BUS.fullmatch(destination):
        raise ValidationException("Parameter Destination.Arn is not valid. Reason: Must contain an event bus ARN.")
    backend.describe_event_bus(destination)
    name = source.rsplit("/", 1)[-1]
    archive = backend.archives.get(name)
    if archive is None:
        raise ValidationException(f"Parameter EventSourceArn is not valid. Reason: Archive {name} does not exist.")
    if archive.source_arn != destination:
        raise ValidationException(
            "Parameter Destination.Arn is not valid. Reason: Cross event bus replay is not permitted."
        )
    return archive


def _ingested(event: Any) -> float:
    return float(event[INGESTED])
