"""An exercise's marked jobs: dispatched, asked after, retried and made again by the application's own commands.

These run in a task of the workers' own; the page tells the same for less.
"""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any

from pytest_envdr import laravel
from pytest_envdr.errors import Refused, WaitFailed
from pytest_envdr.journal import Inverse
from pytest_envdr.ledger import Ledger, Page, QueueState
from pytest_envdr.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_envdr.aws import Aws
    from pytest_envdr.journal import Journal
    from pytest_envdr.laravel import Ran
    from pytest_envdr.stack import Service, Stack
    from pytest_envdr.tables import Queue
    from pytest_envdr.waiting import Progress

PAGE_SECONDS = 10.0
DISPATCH_SECONDS = 180.0
"""How long it may take until marked jobs are where they are wanted, with the start of a task."""
LOG_SECONDS = 30.0
"""How long a line may take to be found in the log."""


def row(stack: Stack) -> Queue:
    """The stack file's `[queue]`.

    Raises:
        StackFileError: there is none.
        Refused: it names a service that the stack file does not have.
    """
    stack.needs("queue")
    if stack.queue is None:
        raise Refused("The stack file has no [queue].")
    for word in (stack.queue.service, stack.queue.page_service):
        if word not in stack.services:
            raise Refused(
                f"[queue] names a service that the stack file does not have: {word}.\nLooked at: {stack.path}\n"
                f"To go on: name one of {', '.join(stack.services)}."
            )
    return stack.queue


def service(stack: Stack) -> Service:
    """The service that works on the queue."""
    return stack.services[row(stack).service]


def page(stack: Stack, exercise: str) -> Page:
    """What the application's page says of an exercise.

    Raises:
        OSError: nobody answers, or not with that page.
        ValueError: what answers is not that page.
    """
    wanted = row(stack)
    probe = stack.services[wanted.page_service].probe
    headers = {"Host": probe.host} if probe.host else {}
    url = f"{probe.url.rstrip('/')}{wanted.path.format(exercise=exercise)}"
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 (the stack file's)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=PAGE_SECONDS) as answer:
        told = json.load(answer)
    try:
        return Page(QueueState.of(told["queue"]), Ledger.of(told))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{url} is no page of marked jobs: {error!r}") from error


def dispatch(
    aws: Aws,
    journal: Journal,
    exercise: str,
    orders: Sequence[Mapping[str, Any]],
    *,
    ready: Callable[[Page], bool],
    progress: Progress | None = None,
) -> Page:
    """Dispatch marked jobs, and wait until they are as wanted. Undone, they are forgotten.

    Args:
        aws: the account.
        journal: where the forgetting is written first.
        exercise: what marks them; not used before.
        orders: `[{"kind": "works", "count": 2, "seconds": 5}, ...]`
        ready: whether they are where they are wanted, such as in the hands of workers.
        progress: told about once a second.

    Raises:
        WaitFailed: the command failed; says what it wrote.
        WaitTimedOut: they are not in time where they are wanted.
    """
    wanted, worker = row(aws.stack), service(aws.stack)
    before = {
        "cluster": worker.cluster,
        "service": worker.name,
        "command": [*wanted.artisan, "dr:forget", exercise],
        "exercise": journal.header.exercise,
        "forgets": exercise,
    }
    inverse = Inverse("ecs.RunTask", before, f"no marked job of {exercise} in any place of the queue")
    command = [*wanted.artisan, "dr:dispatch", exercise, json.dumps(list(orders))]
    with journal.intending("laravel.Dispatch", {"exercise": exercise}, inverse=inverse):
        begun = laravel.begin(aws, journal, worker, command)
        failed: list[str] = []

        def read() -> Page:
            if laravel.ended(aws, begun) and (ran := laravel.ran(aws, begun)).exit_code:
                failed.append(f"exit code {ran.exit_code}: {ran.output[-500:]}")
            return page(aws.stack, exercise)

        return wait_until(
            read,
            ready,
            what=f"the marked jobs of {exercise} where they are wanted",
            deadline=DISPATCH_SECONDS,
            longest_interval=0.25,
            failed=lambda _: failed[0] if failed else None,
            tolerated=(OSError, ValueError),
            progress=progress,
            shown=lambda seen: f"{len(seen.ledger.jobs)} dispatched, {len(seen.ledger.runs)} runs" if seen else "",
        )


def retry(aws: Aws, journal: Journal, uuids: Sequence[str], *, progress: Progress | None = None) -> Ran:
    """`queue:retry` with exactly these uuids. Its exit code tells nothing (aws-semantics 6.5): look at the queue.

    Raises:
        Refused: there is none; without one Laravel retries nothing, with "all" what is not ours.
    """
    if not uuids or "all" in uuids:
        raise Refused(f"Jobs are retried by their uuids only, not by {list(uuids)}.")
    command = [*row(aws.stack).artisan, "queue:retry", *uuids]
    return laravel.run(aws, journal, service(aws.stack), command, progress=progress)


def redrive(aws: Aws, journal: Journal, exercise: str, *, progress: Progress | None = None) -> list[str]:
    """Put an exercise's jobs back from the dead-letter queue into the queue; their ids. SQS's own redrive moves those
    of others too.

    Raises:
        WaitFailed: the command failed; says what it wrote.
    """
    return list(_told(aws, journal, ("dr:redrive", exercise), progress)["jobs"])


def redispatch(aws: Aws, journal: Journal, exercise: str, *, progress: Progress | None = None) -> list[str]:
    """Make an exercise's lost jobs again from its outbox; the ids of those that the queue took.

    Raises:
        WaitFailed: the command failed; says what it wrote.
    """
    told = _told(aws, journal, ("dr:redispatch", exercise), progress)
    return [job["id"] for job in told["jobs"] if job["uuid"]]


def _told(aws: Aws, journal: Journal, words: Sequence[str], progress: Progress | None) -> dict[str, Any]:
    """The line of JSON that a command prints, read from its log."""
    command = [*row(aws.stack).artisan, *words]
    begun = laravel.begin(aws, journal, service(aws.stack), command)
    wait_until(
        lambda: laravel.ended(aws, begun),
        what=f"the end of `{' '.join(command)}`",
        deadline=laravel.COMMAND_SECONDS,
        longest_interval=0.5,
        progress=progress,
    )
    ran = wait_until(
        lambda: laravel.ran(aws, begun),
        lambda ran: bool(ran.exit_code) or _line(ran, words[0]) is not None,
        what=f"the line that `{words[0]}` prints, in the log",
        deadline=LOG_SECONDS,
        progress=progress,
    )
    line = _line(ran, words[0])
    if ran.exit_code or line is None:
        raise WaitFailed(f"`{' '.join(command)}` ended with exit code {ran.exit_code}: {ran.output[-500:]}")
    return line


def _line(ran: Ran, command: str) -> dict[str, Any] | None:
    for line in ran.output.splitlines():
        if line.startswith('{"dr":'):
            told: dict[str, Any] = json.loads(line)
            if told["dr"] == command:
                return told
    return None
