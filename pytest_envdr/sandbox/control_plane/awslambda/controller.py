"""The control loop's part: takes asynchronous events through their attempts."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from moto.core.exceptions import ServiceException
from werkzeug.exceptions import HTTPException

from pytest_envdr.sandbox.control_plane.awslambda import concurrency, metrics
from pytest_envdr.sandbox.control_plane.awslambda.asynchronous import TOO_OLD, ZERO
from pytest_envdr.sandbox.control_plane.awslambda.destinations import Courier
from pytest_envdr.sandbox.control_plane.awslambda.execution import Execution
from pytest_envdr.sandbox.control_plane.extension import backend_lock
from pytest_envdr.waiting import pause

if TYPE_CHECKING:
    from concurrent.futures import Future

    from pytest_envdr.sandbox.control_plane.awslambda.asynchronous import Event
    from pytest_envdr.sandbox.control_plane.awslambda.backend import SandboxLambda
    from pytest_envdr.sandbox.control_plane.awslambda.function import InvokeConfig, SandboxFunction
    from pytest_envdr.sandbox.control_plane.calling import Caller
    from pytest_envdr.sandbox.world import World

THREADS = 8
"""How many asynchronous events are worked on at once; on AWS it is the concurrency."""
COURIERS = 2
"""Threads of their own for what has ended, so that it does not wait behind functions that take their time."""

END_SECONDS, LOOK_SECONDS = 5.0, 0.01
"""How long executions may take to end with the sandbox, in wall seconds; each looks for it all the time."""

log = logging.getLogger("envdr.sandbox")


class LambdaController:
    """The asynchronous events of one account in one Region."""

    def __init__(self, world: World, backend: SandboxLambda, caller: Caller) -> None:
        self._world, self._backend, self._caller = world, backend, caller
        self._courier = Courier(world, caller)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="lambda")
        self._couriers = ThreadPoolExecutor(COURIERS, thread_name_prefix="lambda-courier")

    def step(self) -> None:
        """Look at the events that are due."""
        now = time.monotonic()
        with backend_lock:
            due = [event for event in self._backend.waiting if event.due <= now]
            for event in due:
                self._look(event)

    def close(self) -> None:
        """Kill what runs; its processes are gone when this returns."""
        self._backend.stopping.set()
        for pool in (self._pool, self._couriers):
            pool.shutdown(wait=True, cancel_futures=True)
        end = time.monotonic() + END_SECONDS
        while self._backend.executions and time.monotonic() < end:  # those that somebody waits for
            pause(LOOK_SECONDS)
        self._caller.close()

    def _look(self, event: Event) -> None:
        name = event.function.function_name
        try:
            latest = self._backend.function(name)
            event.function = function = self._backend.function(name, event.qualifier)
        except (ServiceException, HTTPException):  # it was deleted meanwhile
            self._backend.waiting.remove(event)
            metrics.publish(self._world, name, AsyncEventsDropped=1)
            return
        config = function.life.configs.get(event.qualifier)
        limit = concurrency.limit_hit(self._backend.functions, function)
        if latest.reserved_concurrency == 0:
            self._end(event, config, ZERO)
        elif event.is_too_old(config, self._world.speed):
            self._end(event, config, TOO_OLD)
        elif limit is not None:
            metrics.publish(self._world, name, Throttles=1)
            event.throttled(self._world.speed)
        else:
            self._backend.waiting.remove(event)
            self._backend.begin(function)
            self._pool.submit(self._try, event).add_done_callback(partial(self._tried, function))

    def _try(self, event: Event) -> None:
        function = event.function
        with backend_lock:
            deployment = function.deployment()
        execution = Execution(self._world, deployment, event.payload, event.request_id, self._backend.stopping)
        outcome = execution.run()
        config = function.life.configs.get(event.qualifier)
        condition = event.tried(outcome, config, self._world.speed)
        if condition is None:
            with backend_lock:
                self._backend.waiting.append(event)
        else:
            self._hand_on(event, config, condition)

    def _tried(self, function: SandboxFunction, done: Future[None]) -> None:
        """However it ended, cancelled before it began or by a fault of ours: it runs no more."""
        self._backend.release(function)
        _report(done)

    def _end(self, event: Event, config: InvokeConfig | None, condition: str) -> None:
        self._backend.waiting.remove(event)
        self._hand_on(event, config, condition)

    def _hand_on(self, event: Event, config: InvokeConfig | None, condition: str) -> None:
        self._couriers.submit(self._courier.hand_on, event, config, condition).add_done_callback(_report)


def _report(done: Future[None]) -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        log.error("lambda", exc_info=error)
