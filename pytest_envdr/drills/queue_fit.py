"""A queue before anything is touched: whether workers take its jobs at all, and whether their settings can go well."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from pytest_envdr import jobs, laravel
from pytest_envdr.drills import queue_checks
from pytest_envdr.errors import Refused, WaitTimedOut
from pytest_envdr.verify.queue import check_settings

if TYPE_CHECKING:
    from collections.abc import Collection

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.ledger import QueueState
    from pytest_envdr.tables import Queue

PAGE_SECONDS = 20.0
"""How long the application's page may take to answer at all."""


def check_queue(
    aws: Aws,
    drill: Drill,
    row: Queue,
    exercise: str,
    *,
    running: Collection[str] | None = None,
    patience: float = PAGE_SECONDS,
) -> QueueState:
    """The queue as it is, whether workers take jobs, and whether their settings can go well.

    Args:
        aws: read only.
        drill: who is told.
        row: the stack file's `[queue]`.
        exercise: what will mark its jobs.
        running: the addresses of the workers that ECS runs: one that has just ended may still be said to be alive.
        patience: how long the page may take to answer.

    Raises:
        Refused: the page does not answer, or the workers are not there, or rightly take no job.
    """
    queue = _page(aws, drill, row, exercise, min(patience, PAGE_SECONDS))
    if running is not None:
        queue = replace(queue, workers=tuple(worker for worker in queue.workers if worker.task in running))
    drill.attach("queue before.json", json.dumps(asdict(queue), indent=2), media_type="application/json")
    if queue.paused or queue.maintenance:
        why = "the queue is paused" if queue.paused else "the application is in maintenance mode"
        raise Refused(f"Nothing was touched: {why}, so workers rightly take no job.")
    if not queue.workers:
        raise Refused("Nothing was touched: no worker says that it is alive, so nobody would take the jobs.")
    _check_connection(aws, row, queue)
    counts = ", ".join(f"{count} {place}" for place, count in queue.counts.items())
    name = queue.keys.get("pending", "")
    drill.note(f"queue {name} before: {counts}; {queue.foreign.count} failed jobs are of others")
    settings = sorted(
        {f"retry_after {one.retry_after}, timeout {one.timeout}, tries {one.tries}" for one in queue.workers}
    )
    drill.note(f"{len(queue.workers)} workers run with {'; '.join(settings)}")
    if queue.message_queue is not None:
        seconds = queue.message_queue.visibility_timeout
        drill.note(
            f"SQS keeps what a worker received from others for {seconds} s; its counts are approximate, and where "
            "single jobs are is concluded from the ledger"
        )
    for difference in check_settings(
        queue, longest_seconds=row.long_seconds, longest_delay_seconds=round(row.long_seconds)
    ):
        drill.finding(queue_checks.finding(difference))
    return queue


def _page(aws: Aws, drill: Drill, row: Queue, exercise: str, patience: float) -> QueueState:
    if _in_maintenance(aws):
        raise Refused("Nothing was touched: the application is in maintenance mode, so workers rightly take no job.")
    try:
        return drill.wait_until(
            lambda: jobs.page(aws.stack, exercise),
            what=f"the page {row.path} of {row.page_service}",
            deadline=patience,
            longest_interval=1.0,
            tolerated=(OSError, ValueError),
        ).queue
    except WaitTimedOut as error:
        raise Refused(
            f"Nothing was touched: the page that tells of marked jobs does not answer: {error.last}.\n"
            f"Looked at: {aws.stack.services[row.page_service].probe.url.rstrip('/')}{row.path}\n"
            "To go on: name in [queue] a page_service and a path where the application tells an exercise's ledger."
        ) from error


def _in_maintenance(aws: Aws) -> bool:
    """Whether the pages say so. One that does not answer at all says nothing."""
    try:
        return aws.stack.maintenance is not None and laravel.in_maintenance(aws.stack)
    except OSError:
        return False


def _check_connection(aws: Aws, row: Queue, queue: QueueState) -> None:
    """What the stack file calls the queue, where it does, must be what the workers take jobs from."""
    taken = {(worker.connection, worker.queue) for worker in queue.workers}
    wanted = [
        (word, value, sorted({pair[place] for pair in taken}))
        for place, (word, value) in enumerate((("connection", row.connection), ("name", row.name)))
        if value
    ]
    for word, value, known in wanted:
        if value not in known:
            raise Refused(
                f"Nothing was touched: no worker takes jobs from the queue's {word} {value!r}; they take them from "
                f"{', '.join(known)}.\nLooked at: {aws.stack.path}: queue.{word}"
            )
