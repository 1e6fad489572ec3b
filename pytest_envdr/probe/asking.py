"""An open loop: one request every period, whatever became of those before."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

from pytest_envdr.probe.samples import Answer, Sample

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from pytest_envdr.probe.checks import Check

HERTZ = 5.0
IN_FLIGHT = 64
"""Requests under way at once, at most; beyond it the slots are skipped, and the gap counts as the probe's error."""


class Probe:
    """Asks `check` at `hertz` from entering to leaving; each sample also goes to `sink`, from the thread that asked."""

    def __init__(self, check: Check, *, sink: Callable[[Sample], None] | None = None, hertz: float = HERTZ) -> None:
        self._check = check
        self._sink = sink
        self.period_seconds = 1 / hertz
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._slots: list[Sample | None] = []
        self._free = threading.Semaphore(IN_FLIGHT)
        self._pool = ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="envdr-probe")
        self._thread = threading.Thread(target=self._run, name="envdr-probe", daemon=True)

    def __enter__(self) -> Self:
        self._check.prime()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._check.stop()
        self._thread.join()
        self._pool.shutdown(cancel_futures=True)

    @property
    def samples(self) -> list[Sample]:
        """The samples in the order of their sending, up to the first that is still under way."""
        with self._lock:
            end = next((index for index, sample in enumerate(self._slots) if sample is None), len(self._slots))
            return [sample for sample in self._slots[:end] if sample is not None]

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            if self._free.acquire(blocking=False):
                with self._lock:
                    self._slots.append(None)
                    number = len(self._slots) - 1
                self._pool.submit(self._ask, number)
            due += self.period_seconds
            if (late := time.monotonic() - due) > self.period_seconds:
                due += late  # a stalled machine: the gap is the probe's stated error, a burst would be a lie

    def _ask(self, number: int) -> None:
        sent = time.monotonic()
        answer = self._answer()
        sample = Sample(sent, time.monotonic(), answer)
        with self._lock:
            self._slots[number] = sample
        self._free.release()
        if self._sink is not None and not self._stopping.is_set():
            self._sink(sample)

    def _answer(self) -> Answer:
        try:
            return self._check()
        except (OSError, ValueError) as error:
            return Answer(ok=False, error=self._check.error_class(error))
