"""`events.jsonl`: everything that happened in an exercise, appended as it happens. The truth; all else is computed.

One JSON object a line: `seq`, `at` (UTC, milliseconds), `clock` (seconds since the exercise began, on the monotonic
clock), `kind`, `drill` (the test's node id, or null), `data`. A line that was written is in the kernel's hands at
once, so a killed run loses none; those that matter after a power cut too are synced to the disk.
"""

from __future__ import annotations

import json
import math
import os
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pytest_envdr.errors import EnvdrError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytest_envdr.timeline import Clock, Entry

FILE = "events.jsonl"
_FREQUENT = frozenset({"probe", "aws.call", "aws.fact", "wait"})
"""Kinds that come many times a second and are not synced one by one; the next other event brings them along."""


@dataclass(frozen=True)
class Event:
    """One line. `clock` is seconds since the exercise began; what AWS stamped may lie before it."""

    seq: int
    at: datetime
    clock: float
    kind: str
    drill: str | None = None
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Events:
    """What a file held: the events, in the order of writing, and how many lines could not be read."""

    events: tuple[Event, ...]
    unreadable: int = 0

    def of(self, *kinds: str) -> Iterator[Event]:
        """The events of these kinds."""
        return (event for event in self.events if event.kind in kinds)


class EventLog:
    """Writes an exercise's events. Any thread may write."""

    def __init__(self, directory: Path, exercise_id: str, clock: Clock) -> None:
        """Start `events.jsonl` in `directory`, which is made where it is missing.

        Raises:
            UsageError: the directory cannot be written to, or holds the evidence of another exercise.
        """
        self.directory = directory
        self.exercise_id = exercise_id
        self._clock = clock
        self._start = clock.monotonic()
        self._seq = 0
        self._lock = threading.Lock()
        self._descriptor = _created(directory)

    def write(
        self,
        kind: str,
        /,
        *,
        drill: str | None = None,
        at: datetime | None = None,
        clock: float | None = None,
        **data: Any,
    ) -> None:
        """Append an event. `clock` is a reading of the exercise's clock; where both it and `at` are missing, now."""
        reading = clock if clock is not None else self._clock.reading(at) if at else self._clock.monotonic()
        instant = at or self._clock.at(reading)
        body = {
            "at": stamp(instant),
            "clock": round(reading - self._start, 3),
            "kind": kind,
            "drill": drill,
            "data": data,
        }
        with self._lock:
            line = _encoded({"seq": self._seq, **body})
            self._seq += 1
            _append(self._descriptor, line)
            if kind not in _FREQUENT:
                os.fsync(self._descriptor)

    def sink(self, drill: str | None) -> Callable[[Entry], None]:
        """What a drill's `Timeline` is given to tell its entries to."""

        def write(entry: Entry) -> None:
            data = {key: value for key, value in entry.data.items() if key not in {"drill", "at", "clock"}}
            self.write(entry.kind, drill=drill, at=entry.at, clock=entry.clock, **data)

        return write

    def close(self) -> None:
        """Sync and close; a second call does nothing."""
        with self._lock:
            if self._descriptor >= 0:
                os.fsync(self._descriptor)
                os.close(self._descriptor)
                self._descriptor = -1


def read(directory: Path) -> Events:
    """What `events.jsonl` in a directory holds. A line cut short by a kill is left out and counted.

    Raises:
        EnvdrError: there is no such file, or it cannot be read.
    """
    try:
        lines = (directory / FILE).read_bytes().split(b"\n")
    except OSError as error:
        raise EnvdrError(
            f"There are no events to make evidence from: {error.strerror}.\nLooked at: {directory / FILE}"
        ) from error
    decoded = [_decoded(line) for line in lines if line.strip()]
    events = tuple(event for event in decoded if event is not None)
    return Events(events, unreadable=len(decoded) - len(events))


def stamp(at: datetime) -> str:
    """An instant as all of the evidence writes it: UTC, milliseconds, `Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _created(directory: Path) -> int:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return os.open(directory / FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError as error:
        raise UsageError(
            f"The evidence cannot be written: {directory} holds another exercise's evidence, or is not a directory.\n"
            "To go on: name an empty directory with --envdr-evidence, or leave the option out."
        ) from error
    except OSError as error:
        raise UsageError(
            f"The evidence cannot be written: {error.strerror}.\nLooked at: {directory}\n"
            "To go on: name a directory that this user may write to with --envdr-evidence."
        ) from error


def _append(descriptor: int, line: bytes) -> None:
    while line:
        line = line[os.write(descriptor, line) :]


def _encoded(body: dict[str, Any]) -> bytes:
    """The line. What UTF-8 lacks, halves of surrogate pairs, becomes a question mark."""
    try:
        text = json.dumps(body, default=_plain, allow_nan=False, ensure_ascii=False)
    except ValueError:
        text = json.dumps(_finite(body), default=_plain, ensure_ascii=False)
    return text.encode("utf-8", "replace") + b"\n"


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, set | frozenset):
        return list(value)
    return str(value)


def _finite(value: Any) -> Any:
    """JSON knows no NaN and no infinity: they become null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _decoded(line: bytes) -> Event | None:
    try:
        body = json.loads(line)
        return Event(
            seq=int(body["seq"]),
            at=datetime.fromisoformat(body["at"]),
            clock=float(body["clock"]),
            kind=str(body["kind"]),
            drill=body.get("drill"),
            data=dict(body.get("data") or {}),
        )
    except (ValueError, TypeError, KeyError):
        return None
