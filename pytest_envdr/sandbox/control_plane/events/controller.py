"""The control loop's part: gives events to targets, brings them into archives, and goes on with replays."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from pytest_envdr.sandbox.control_plane.events import metrics
from pytest_envdr.sandbox.control_plane.events.delivery import Undeliverable
from pytest_envdr.sandbox.control_plane.events.targets import Targets
from pytest_envdr.sandbox.control_plane.extension import backend_lock

if TYPE_CHECKING:
    from concurrent.futures import Future

    from pytest_envdr.sandbox.control_plane.calling import Caller
    from pytest_envdr.sandbox.control_plane.events.backend import SandboxEvents
    from pytest_envdr.sandbox.control_plane.events.delivery import Delivery
    from pytest_envdr.sandbox.world import World

THREADS = 4

log = logging.getLogger("envdr.sandbox")


class EventsController:
    """The event buses of one account in one Region."""

    def __init__(self, world: World, backend: SandboxEvents, caller: Caller) -> None:
        self._world, self._backend, self._caller = world, backend, caller
        self._targets = Targets(world, caller)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="events")

    def step(self) -> None:
        """Hand over what is due."""
        now = time.monotonic()
        with backend_lock:
            backend = self._backend
            for arriving in [each for each in backend.arriving if each.due <= now]:
                backend.arriving.remove(arriving)
                arriving.archive.events.append(arriving.event)  # type: ignore[arg-type] # moto's is a TypedDict
            for name, replay in list(backend.replaying.items()):
                if replay.step(backend):
                    del backend.replaying[name]
            due = [each for each in backend.deliveries if each.due <= now]
            for delivery in due:
                backend.deliveries.remove(delivery)
        for delivery in due:
            self._pool.submit(self._deliver, delivery).add_done_callback(_report)

    def close(self) -> None:
        """Stop delivering."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._caller.close()

    def _deliver(self, delivery: Delivery) -> None:
        self._count(delivery, "InvocationAttempts", *(["RetryInvocationAttempts"] if delivery.tries else []))
        try:
            self._targets.deliver(delivery)
        except Undeliverable as problem:
            self._failed(delivery, problem)
        else:
            self._count(delivery, "Invocations", "SuccessfulInvocationAttempts")

    def _failed(self, delivery: Delivery, problem: Undeliverable) -> None:
        exhausted = delivery.failed(problem, self._world.speed)
        if exhausted is None:
            with backend_lock:
                self._backend.deliveries.append(delivery)
            return
        self._count(delivery, "Invocations", "FailedInvocations")
        if not delivery.dead_letter:
            return
        try:
            self._targets.bury(delivery, delivery.letter(problem, exhausted))
        except (Undeliverable, ClientError, BotoCoreError) as error:
            log.warning("events %s: %s: %s", delivery.rule, delivery.dead_letter, error)
            self._count(delivery, "InvocationsFailedToBeSentToDlq")
        else:
            self._count(delivery, "InvocationsSentToDlq")

    def _count(self, delivery: Delivery, *names: str) -> None:
        metrics.count(self._world, delivery.bus, delivery.rule, *names)


def _report(done: Future[None]) -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        log.error("events", exc_info=error)
