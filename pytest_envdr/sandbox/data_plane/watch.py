"""Keeps a server running as a managed service does: notices that it died or hangs, and starts it again.

For the control loop: `step` never waits. Questions that may take a while are asked by a thread of the pool.
"""

from __future__ import annotations

import time
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

PING_SECONDS = 0.5
"""Pause between two questions to a server that answers."""
ANSWER_SECONDS = 2.0
"""How long an answer may take. A server on this machine takes a millisecond."""
START_SECONDS = 60.0
"""A server that has not answered so long after its start is started anew."""
SHUTDOWN_SECONDS = 10.0
"""A server that has not shut down so long after it was asked to is killed."""
RESTART_SECONDS = 0.5
"""Pause before a server that died is started again."""


class Server(Protocol):
    """What can be watched."""

    def start(self) -> None: ...
    def answers(self, *, timeout: float) -> bool: ...
    def exit_code(self) -> int | None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


class Condition(StrEnum):
    """How the server is."""

    DOWN = "down"
    STARTING = "starting"
    UP = "up"
    ENDING = "ending"


class Watch:
    """One server, wanted up or down.

    Attributes:
        condition: how it is, as of the last `step`.
        wanted: whether it shall run.
    """

    def __init__(self, server: Server, pool: Executor, *, patience: float) -> None:
        """`patience`: wall seconds without an answer after which a running server counts as hanging."""
        self.condition = Condition.DOWN
        self.wanted = False
        self._server = server
        self._pool = pool
        self._patience = patience
        self._ping: Future[bool] | None = None
        self._ping_at = 0.0
        self._answered_at = 0.0
        self._since = 0.0
        self._not_before = 0.0

    def up(self) -> None:
        """Want it to run."""
        self.wanted = True

    def down(self) -> None:
        """Want it to be shut down, cleanly if it can."""
        self.wanted = False
        self.restart()

    def restart(self) -> None:
        """Shut it down; it starts again if it is wanted up."""
        if self.condition in {Condition.STARTING, Condition.UP}:
            self._server.terminate()
            self._become(Condition.ENDING)

    def forgive(self) -> None:
        """Begin its patience anew: it was kept from answering."""
        self._answered_at = time.monotonic()

    def step(self) -> None:
        """Look, and act."""
        now = time.monotonic()
        if self.condition is Condition.DOWN:
            if self.wanted and now >= self._not_before:
                self._start(now)
        elif self._server.exit_code() is not None:
            self._not_before = now + (0.0 if self.condition is Condition.ENDING else RESTART_SECONDS)
            self._become(Condition.DOWN)
        elif self.condition is Condition.ENDING:
            if now - self._since > SHUTDOWN_SECONDS:
                self._server.kill()
        else:
            self._look(now)

    def _start(self, now: float) -> None:
        self._server.start()
        self._ping, self._ping_at, self._answered_at = None, 0.0, now
        self._become(Condition.STARTING)

    def _look(self, now: float) -> None:
        if self._ping is None:
            if now >= self._ping_at:
                self._ping = self._pool.submit(self._server.answers, timeout=ANSWER_SECONDS)
        elif self._ping.done():
            answered = self._ping.exception() is None and self._ping.result()
            self._ping = None
            self._ping_at = now + (PING_SECONDS if answered else 0.0)
            if answered:
                self._answered_at = now
                self._become(Condition.UP)
        patience = START_SECONDS if self.condition is Condition.STARTING else self._patience
        if now - self._answered_at > patience:
            self._server.kill()
            self._become(Condition.ENDING)

    def _become(self, condition: Condition) -> None:
        if condition is not self.condition:
            self.condition, self._since = condition, time.monotonic()
