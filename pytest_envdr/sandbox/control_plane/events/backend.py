"""moto's EventBridge backend, with rules that are honoured: what comes to a bus goes to the targets of those that
match, and into the archives."""

from __future__ import annotations

import json
import time
import uuid
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from moto.events.exceptions import ValidationException
from moto.events.models import Archive, EventBus, EventsBackend, Rule
from typing_extensions import override

from pytest_envdr.sandbox.control_plane.events import delays, metrics, targets
from pytest_envdr.sandbox.control_plane.events.delivery import Delivery
from pytest_envdr.sandbox.control_plane.extension import backend_lock, moto_urls

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from types import ModuleType

    from pytest_envdr.sandbox.control_plane.events.replays import RunningReplay
    from pytest_envdr.sandbox.world import World

MOST_ENTRIES = 10
ENABLED, DISABLED = "ENABLED", "DISABLED"
INGESTED = "ingestion-time"
"""When an archived event had come to the bus, in seconds since the epoch; not given to targets."""


@dataclass
class Arriving:
    """An event on its way into an archive."""

    due: float
    archive: Archive
    event: dict[str, Any]


class SandboxEvents(EventsBackend):
    """One account's event buses in one Region. `world` is None where no control loop acts.

    Attributes:
        deliveries: what is to be given to targets.
        arriving: what is not in its archive yet.
        replaying: replays that have not ended, by name.
    """

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.world: World | None = None
        self.deliveries: deque[Delivery] = deque()
        self.arriving: list[Arriving] = []
        self.replaying: dict[str, RunningReplay] = {}
        self._until: dict[str, tuple[str, float]] = {}

    @property
    def _url_module(self) -> ModuleType:
        return moto_urls("events")

    def reset(self) -> None:
        """moto's reset makes the object anew; the world stays."""
        world = self.world
        super().reset()
        self.world = world

    @property
    def here(self) -> World:
        """The world.

        Raises:
            NotImplementedError: nothing acts in this Region; answered 501.
        """
        if self.world is None:
            raise NotImplementedError(f"event buses in {self.region_name}")
        return self.world

    @override
    def put_rule(self, name: str, *args: Any, **settings: Any) -> Rule:
        """PutRule. A schedule would never be due: it is answered 501."""
        if settings.get("scheduled_expression"):
            raise NotImplementedError("rules with a schedule")
        with backend_lock:
            bus = self.event_buses.get(self._normalize_event_bus_arn(settings.get("event_bus_arn")))
            before = bus.rules.get(name) if bus is not None else None
            if before is not None and before.state != (settings.get("state") or ENABLED):
                self._changes(before)
            rule = super().put_rule(name, *args, **settings)
            if before is None:
                self._until.pop(rule.arn, None)
            # What moto's own services announce, such as S3, they give to each rule.
            rule.send_to_targets = partial(self._announced, rule)  # type: ignore[method-assign]
            return rule

    @override
    def enable_rule(self, name: str, event_bus_arn: str | None) -> bool:
        """EnableRule: soon."""
        return self._switch(name, event_bus_arn, ENABLED)

    @override
    def disable_rule(self, name: str, event_bus_arn: str | None) -> bool:
        """DisableRule: soon; until then it goes on."""
        return self._switch(name, event_bus_arn, DISABLED)

    def _switch(self, name: str, bus: str | None, state: str) -> bool:
        with backend_lock:
            rule = self._get_event_bus(self._normalize_event_bus_arn(bus)).rules.get(name)
            if rule is not None and rule.state != state:
                self._changes(rule)
                rule.state = state
            return rule is not None

    def _changes(self, rule: Rule) -> None:
        """Its state is about to change, in effect a little later."""
        end = time.monotonic() + self.here.scaled(delays.PROPAGATION_SECONDS)
        self._until[rule.arn] = (self._state(rule), end)

    def _state(self, rule: Rule) -> str:
        """The state that is in effect."""
        before, end = self._until.get(rule.arn, ("", 0.0))
        return before if time.monotonic() < end else rule.state

    @override
    def put_targets(self, name: str, event_bus_arn: str | None, targets_: list[dict[str, Any]]) -> None:
        """PutTargets."""
        for target in targets_:
            if not target["Arn"].endswith(":::"):  # an archive's own
                targets.require_supported(target, self.account_id, self.region_name)
        with backend_lock:
            super().put_targets(name, event_bus_arn, targets_)

    @override
    def put_events(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """PutEvents, and what the sandbox's own services announce: each entry is taken or refused by itself. One for
        a bus that does not exist is taken, and lost."""
        if len(events) > MOST_ENTRIES:
            raise ValidationException(
                "1 validation error detected: Value '[PutEventsRequestEntry]' at 'entries' failed to satisfy "
                f"constraint: Member must have length less than or equal to {MOST_ENTRIES}"
            )
        with backend_lock:
            return [self._entry(entry) for entry in events]

    def _entry(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        refusal = _refusal(entry)
        if refusal is not None:
            return refusal
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": entry["DetailType"],
            "source": entry["Source"],
            "account": self.account_id,
            "time": _stamp(entry.get("Time")),
            "region": self.region_name,
            "resources": entry.get("Resources") or [],
            "detail": json.loads(entry["Detail"]),
        }
        bus = self.event_buses.get(self._normalize_event_bus_arn(entry.get("EventBusName")))
        if bus is not None:
            self.route(bus, event)
        return {"EventId": event["id"]}

    def route(self, bus: EventBus, event: Mapping[str, Any], only: Collection[str] = ()) -> None:
        """Bring an event to all rules of a bus, or to those of the ARNs in `only`. Callers hold the lock."""
        for rule in list(bus.rules.values()):
            if not only or rule.arn in only:
                self._match(rule, event)

    def _match(self, rule: Rule, event: Mapping[str, Any]) -> None:
        if self._state(rule) == DISABLED or not rule.event_pattern.matches_event(dict(event)):  # type: ignore[arg-type]
            return
        if rule.managed_by:
            self._archive(rule, event)
            return
        metrics.count(self.here, rule.event_bus_name, rule.name, "MatchedEvents", "TriggeredRules")
        for target in rule.targets:
            self.deliveries.append(Delivery(rule.event_bus_name, rule.name, rule.arn, dict(target), event))

    def _archive(self, rule: Rule, event: Mapping[str, Any]) -> None:
        archive = next((each for each in self.archives.values() if each.rule is rule), None)
        if archive is not None:
            due = time.monotonic() + self.here.scaled(delays.ARCHIVE_SECONDS)
            self.arriving.append(Arriving(due, archive, {**event, INGESTED: time.time()}))

    def _announced(self, rule: Rule, event: Mapping[str, Any], transform_input: bool = True) -> None:  # noqa: ARG002, FBT001, FBT002
        """An event of moto's own making; AWS's services announce on the default bus only."""
        if rule.event_bus_name == metrics.DEFAULT:
            made = {**event, "id": str(uuid.uuid4()), "time": _stamp(event["time"])}
            with backend_lock:
                self._match(rule, {name: value for name, value in made.items() if name != INGESTED})


def _refusal(entry: Mapping[str, Any]) -> dict[str, str] | None:
    """Why an entry is not taken, in EventBridge's words; None where it is."""
    for name in ("Source", "DetailType", "Detail"):
        if not entry.get(name):
            message = f"Parameter {name} is not valid. Reason: {name} is a required argument."
            return {"ErrorCode": "InvalidArgument", "ErrorMessage": message}
    try:
        detail = json.loads(entry["Detail"])
    except ValueError:
        detail = None
    if not isinstance(detail, dict):
        return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
    return None


def _stamp(given: Any) -> str:
    """A time as events have it, to the second; now, where none is given."""
    at = datetime.now(UTC) if given is None else datetime.fromtimestamp(float(given), UTC)
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
