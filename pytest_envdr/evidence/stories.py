"""The events of one drill, in order: what the record and the drawings are made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_envdr.timeline import Entry, Mark

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_envdr.evidence.events import Event, Events


@dataclass(frozen=True)
class Story:
    """A drill from its `drill.begin` on; what comes after its end (the undoing, the reports) belongs to it too."""

    begin: Event
    events: list[Event] = field(default_factory=list)

    @property
    def node_id(self) -> str:
        return self.begin.drill or ""

    @property
    def end(self) -> Event | None:
        """Its `drill.end`; None where the run was killed before."""
        return next(self.of("drill.end"), None)

    @property
    def fault(self) -> Event | None:
        """The mark of the fault."""
        faults = [event for event in self.of("mark") if event.data.get("name") == Mark.FAULT]
        return faults[-1] if faults else None

    @property
    def zero(self) -> Event:
        """Where its offsets count from: the fault, or its beginning."""
        return self.fault or self.begin

    def of(self, *kinds: str) -> Iterator[Event]:
        """Its events of these kinds, in the order of writing."""
        return (event for event in self.events if event.kind in kinds)

    def placed(self, *kinds: str) -> list[Event]:
        """Its events of these kinds, in the order of happening."""
        return sorted(self.of(*kinds), key=lambda event: event.clock)

    def offset(self, event: Event) -> float:
        """Seconds after its zero."""
        return round(event.clock - self.zero.clock, 3)

    def when(self, event: Event) -> dict[str, Any]:
        """The two fields that place a row."""
        return {"at": event.at, "offset_seconds": self.offset(event)}

    def entries(self) -> list[Entry]:
        """Its marks as the time-line has them."""
        return [Entry(event.kind, event.at, event.clock, event.data) for event in self.of("mark")]


def tell(events: Events) -> list[Story]:
    """The drills of an exercise, in the order of their beginning. A drill that ran twice is two stories."""
    stories: list[Story] = []
    latest: dict[str, Story] = {}
    for event in events.events:
        if event.drill is None:
            continue
        if event.kind == "drill.begin":
            latest[event.drill] = Story(event)
            stories.append(latest[event.drill])
        elif event.drill in latest:
            latest[event.drill].events.append(event)
    return stories
