"""An exercise's marked jobs, as tests dispatch and follow them."""

from __future__ import annotations

import http.client
import itertools
import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pytest_envdr.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.sandbox.application import Application, Task

ALWAYS = -1
"""`fails` of this many: never works."""
SECONDS = 90.0
_hosts = itertools.count(100)


@dataclass
class Marked:
    """An exercise, told by the application's own commands."""

    application: Application
    exercise: str
    workers: list[Task] = field(default_factory=list)

    @classmethod
    @contextmanager
    def of(cls, application: Application) -> Iterator[Marked]:
        """A new one; in the end its workers are gone, and it is forgotten."""
        marked = cls(application, f"test-{uuid4().hex[:12]}")
        try:
            yield marked
        finally:
            for worker in marked.workers:
                worker.process.stop(grace=0.0)
            marked.tell("dr:forget")
            application.rows("DELETE FROM failed_jobs WHERE exception = 'of its own'")

    def tell(self, command: str, *arguments: str) -> dict[str, Any]:
        """What a command prints."""
        (line,) = self.application.artisan(command, self.exercise, *arguments).splitlines()
        told: dict[str, Any] = json.loads(line)
        assert (told.pop("dr"), told.pop("exercise")) == (command, self.exercise)
        return told

    def dispatch(self, *orders: dict[str, Any]) -> list[dict[str, Any]]:
        jobs: list[dict[str, Any]] = self.tell("dr:dispatch", json.dumps(orders))["jobs"]
        return jobs

    def queue(self) -> dict[str, Any]:
        return self.tell("dr:queue")

    def ledger(self) -> dict[str, Any]:
        return self.tell("dr:ledger")

    def work(self, **more: str) -> Task:
        """Another worker."""
        self.workers.append(self.application.start("worker", next(_hosts), **more))
        return self.workers[-1]

    def apply(self, business_id: str) -> None:
        """An effect without a run: as if it had been done."""
        self.application.rows(
            "INSERT INTO dr_effects (exercise, business_id, run_id, applied_at) VALUES (%s, %s, 0, NOW(6))",
            self.exercise,
            business_id,
        )

    def strange_failure(self) -> str:
        """The uuid of a failed job that is no exercise's."""
        uuid = str(uuid4())
        self.application.rows(
            "INSERT INTO failed_jobs (uuid, connection, queue, payload, exception) "
            "VALUES (%s, 'redis', 'default', %s, 'of its own')",
            uuid,
            json.dumps({"uuid": uuid, "displayName": "App\\Jobs\\SendInvoice", "attempts": 1, "data": {}}),
        )
        return uuid

    def await_ledger(self, check: Callable[[dict[str, Any]], Any], what: str) -> dict[str, Any]:
        return wait_until(self.ledger, lambda told: bool(check(told)), what=what, deadline=SECONDS)

    def await_queue(self, check: Callable[[dict[str, Any]], Any], what: str) -> dict[str, Any]:
        return wait_until(self.queue, lambda told: bool(check(told)), what=what, deadline=SECONDS)

    def await_effects(self, count: int) -> None:
        self.await_ledger(lambda ledger: len(ledger["effects"]) == count, f"{count} effects")

    def await_page(self, api: Task) -> dict[str, Any]:
        """What the page answers, as soon as there is somebody to answer."""

        def ask() -> dict[str, Any]:
            answer = api.ask(f"/dr/ledger/{self.exercise}")
            assert answer.status == 200, answer.body
            body: dict[str, Any] = answer.body
            return body

        return wait_until(ask, what="the page", deadline=SECONDS, tolerated=(OSError, http.client.HTTPException))
