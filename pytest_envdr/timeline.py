"""What happened when: phases, marks, deviations and findings of one drill, and the actuals they give.

Pure: entries go to the `sink` that the owner gives (the evidence), and are kept in order. Objectives reach it as plain
seconds.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Phase(StrEnum):
    """The plan's step breakdown."""

    KICK_OFF = "kick-off"
    TRIGGER = "trigger"
    OBSERVE = "observe"
    RECOVER = "recover"
    VALIDATE = "validate"
    DOCUMENT = "document"


class Mark(StrEnum):
    """The instants that the actuals are computed from (aws-semantics 10.1.2)."""

    FAULT = "fault"
    """The fault was injected: the request that does it was sent."""
    SEEN = "seen"
    """It was noticed: by the alarm's message where people must act, by ECS itself where it heals."""
    RECOVERED = "recovered"
    """The first of the good answers that held."""
    VERIFIED = "verified"
    """All that defines recovery is true, and it held."""


class Clock:
    """One clock for a run: monotonic for durations, aware UTC at the edges, tied together once."""

    def __init__(self) -> None:
        self._epoch = datetime.now(UTC)
        self._start = time.monotonic()

    def monotonic(self) -> float:
        """Seconds on the monotonic clock."""
        return time.monotonic()

    def at(self, monotonic: float) -> datetime:
        """The UTC instant of a monotonic reading."""
        return self._epoch + timedelta(seconds=monotonic - self._start)

    def reading(self, at: datetime) -> float:
        """The monotonic reading of a UTC instant: how AWS's own time stamps are put on the time-line."""
        return self._start + (at - self._epoch).total_seconds()


@dataclass(frozen=True)
class Entry:
    """One thing that happened. `clock` is the monotonic reading in seconds, `data` is JSON-able."""

    kind: str
    at: datetime
    clock: float
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Actuals:
    """RTA and its parts in seconds; all None unless the recovery was verified: an unverified run has no RTA.

    `error_seconds` is how far a part may be off, from the probe's period and its slowest good answer.
    """

    rta_seconds: float | None = None
    detect_seconds: float | None = None
    recover_seconds: float | None = None
    validate_seconds: float | None = None
    error_seconds: float | None = None


class Timeline:
    """The time-line of one drill. Entries are kept in the order in which they were told, each with its own instant."""

    def __init__(self, sink: Callable[[Entry], None], clock: Clock) -> None:
        self._sink = sink
        self.clock = clock
        self.entries: list[Entry] = []

    def add(self, kind: str, *, clock: float | None = None, **data: Any) -> Entry:
        """Record an entry; `clock` places it at another instant than now."""
        reading = self.clock.monotonic() if clock is None else clock
        entry = Entry(kind, self.clock.at(reading), reading, data)
        self.entries.append(entry)
        self._sink(entry)
        return entry

    @contextmanager
    def phase(self, phase: Phase | str) -> Iterator[None]:
        """A phase of the plan's step breakdown, from entering to leaving."""
        name = Phase(phase)
        self.add("phase.begin", phase=str(name))
        try:
            yield
        finally:
            self.add("phase.end", phase=str(name))

    def mark(self, name: Mark | str, *, clock: float | None = None, **data: Any) -> Entry:
        """An instant worth a name."""
        return self.add("mark", clock=clock, name=str(name), **data)

    def marked(self, name: Mark | str) -> Entry | None:
        """The last mark of that name."""
        found = [entry for entry in self.entries if entry.kind == "mark" and entry.data["name"] == str(name)]
        return found[-1] if found else None


def actuals(timeline: list[Entry]) -> Actuals:
    """RTA = detect (fault to seen) + recover (to the first good answer that held) + validate (to verified).

    The Well-Architected definition: from the interruption to the service being restored, verified
    (aws-semantics 10.1.2). Seen may come after recovered where the service heals before anybody notices: then
    detection ends at recovery and recover is 0.
    """
    marks = {entry.data["name"]: entry for entry in timeline if entry.kind == "mark"}
    if not {Mark.FAULT, Mark.SEEN, Mark.RECOVERED, Mark.VERIFIED} <= marks.keys():
        return Actuals()
    fault, recovered, verified = (marks[name].clock for name in (Mark.FAULT, Mark.RECOVERED, Mark.VERIFIED))
    seen = min(marks[Mark.SEEN].clock, recovered)
    return Actuals(
        rta_seconds=verified - fault,
        detect_seconds=seen - fault,
        recover_seconds=recovered - seen,
        validate_seconds=verified - recovered,
        error_seconds=marks[Mark.RECOVERED].data.get("error_seconds"),
    )
