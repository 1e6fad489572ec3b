"""The API's face where moto's lacks an operation or the truth; each request is answered under the lock."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from moto.events.exceptions import IllegalStatusException
from moto.events.models import EventPattern, ReplayState, events_backends
from moto.events.responses import EventsHandler

from pytest_envdr.sandbox.control_plane.events import replays
from pytest_envdr.sandbox.control_plane.extension import backend_lock

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_plane.events.backend import SandboxEvents

Answer = tuple[str, dict[str, Any]]


class SandboxEventsResponse(EventsHandler):
    """moto's responses, and those that our state answers."""

    @property
    def sandbox(self) -> SandboxEvents:
        """The backend of the caller's account and Region."""
        return cast("SandboxEvents", events_backends[self.current_account][self.region])

    def call_action(self) -> Any:
        """Answer, alone."""
        with backend_lock:
            return super().call_action()

    def start_replay(self) -> Answer:
        """StartReplay."""
        names = ("ReplayName", "Description", "EventSourceArn", "EventStartTime", "EventEndTime", "Destination")
        replay = replays.start(self.sandbox, {name: self._get_param(name) for name in names})
        shown = {"ReplayArn": replay.arn, "State": replay.state.value, "ReplayStartTime": replay.start_time}
        return self._create_response(shown)

    def describe_replay(self) -> Answer:
        """DescribeReplay."""
        replay = self.sandbox._get_replay(self._get_param("ReplayName"))
        shown = {**replay.describe(), "EventLastReplayedTime": getattr(replay, "event_last_replayed", None)}
        return self._create_response({name: value for name, value in shown.items() if value is not None})

    def cancel_replay(self) -> Answer:
        """CancelReplay."""
        name = self._get_param("ReplayName")
        replay = self.sandbox._get_replay(name)
        if replay.state not in {ReplayState.STARTING, ReplayState.RUNNING}:
            raise IllegalStatusException(f"Replay {name} is not in a valid state for this operation.")
        replay.state = ReplayState.CANCELLING
        return self._create_response({"ReplayArn": replay.arn, "State": replay.state.value})

    def test_event_pattern(self) -> Answer:  # type: ignore[override]
        """TestEventPattern."""
        pattern = EventPattern.load(self._get_param("EventPattern"))
        return self._create_response({"Result": pattern.matches_event(json.loads(self._get_param("Event")))})
