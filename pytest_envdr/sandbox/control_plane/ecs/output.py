"""What containers print, read from their pipes by one thread and shipped to CloudWatch Logs in batches."""

from __future__ import annotations

import logging
import os
import selectors
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Ship = Callable[[str, str, list[tuple[datetime, str]]], None]

BATCH_SECONDS = 0.1
"""Wall seconds between two batches, so that a talkative container costs one call for many lines."""

LONGEST_LINE = 256 * 1024
"""Bytes; CloudWatch Logs takes no longer event, so a longer line is cut."""

log = logging.getLogger("envdr.sandbox")


class Stream:
    """One container's standard output and error, on its way to a log stream."""

    def __init__(self, group: str, name: str) -> None:
        self.group = group
        self.name = name
        self.ended = threading.Event()
        """Set when the last line is in the log."""
        self._rest = b""

    def take(self, data: bytes) -> list[str]:
        """The lines that `data` completes; no data means the end, and the rest is a line."""
        if not data:
            lines, self._rest = [self._rest] if self._rest else [], b""
        else:
            *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            lines.append(self._rest)
            self._rest = b""
        return [line[:LONGEST_LINE].decode(errors="replace").rstrip("\r") for line in lines]


class OutputReader:
    """Reads all pipes; `ship(group, stream, lines)` puts lines into the log."""

    def __init__(self, ship: Ship) -> None:
        self._ship = ship
        self._selector = selectors.DefaultSelector()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ecs-output", daemon=True)
        self._thread.start()

    def open(self, stream: Stream) -> int:
        """A pipe's writing end for a container; the caller closes it when the container has it."""
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        self._selector.register(reading, selectors.EVENT_READ, stream)
        return writing

    def close(self) -> None:
        """Ship what is there, then stop reading."""
        self._stopped.set()
        self._thread.join(timeout=5)
        self._pass(timeout=0)
        for key in list(self._selector.get_map().values()):
            os.close(key.fd)
        self._selector.close()

    def _run(self) -> None:
        while not self._stopped.wait(BATCH_SECONDS):
            self._pass(timeout=0.25)

    def _pass(self, *, timeout: float) -> None:
        for key, _ in self._selector.select(timeout):
            stream: Stream = key.data
            try:
                self._read(key.fd, stream)
            except Exception:
                # The boundary of this loop: a log that cannot be written must not stop the other containers' logs.
                log.exception("output of %s/%s", stream.group, stream.name)

    def _read(self, fd: int, stream: Stream) -> None:
        data = os.read(fd, 1024 * 1024)
        now = datetime.now(UTC)
        if not data:
            self._selector.unregister(fd)
            os.close(fd)
        try:
            lines = [(now, line) for line in stream.take(data)]
            if lines:
                self._ship(stream.group, stream.name, lines)
        finally:
            if not data:
                stream.ended.set()
