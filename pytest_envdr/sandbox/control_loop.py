"""The loop that makes the recorded intent true, as AWS's own schedulers do.

Requests only record what is wanted. One thread asks each controller in turn to bring its real parts a step closer. A
controller never waits inside a step: it looks, acts, and comes back at the next pass.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

PASS_SECONDS = 0.05
"""Pause between two passes; the resolution of everything the loop decides. Wall seconds, not divided by `speed`."""

log = logging.getLogger("envdr.sandbox")


class Controller(Protocol):
    """One AWS service's dynamics."""

    def step(self) -> None:
        """Compare what is wanted with what is, and act. Holds moto's lock only while reading or writing state."""

    def close(self) -> None:
        """Stop the real parts; idempotent."""


class ControlLoop:
    """Steps all controllers until stopped. One that raises is logged and stepped again."""

    def __init__(self, controllers: Sequence[Controller]) -> None:
        self._controllers = list(controllers)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="control-loop", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stop stepping, then the real parts, last controller first."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        for controller in reversed(self._controllers):
            controller.close()

    def _run(self) -> None:
        while not self._stopped.is_set():
            started = time.monotonic()
            for controller in self._controllers:
                self._step(controller)
            self._stopped.wait(max(0.005, PASS_SECONDS - (time.monotonic() - started)))

    def _step(self, controller: Controller) -> None:
        try:
            controller.step()
        except Exception:
            # The boundary of our own state machines: one that fails must not take the other services' down.
            log.exception("control loop: %s", type(controller).__name__)
