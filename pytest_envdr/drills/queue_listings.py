"""The plan's "View failed jobs queue": `queue:failed` in a task, and what it wrote, as CloudWatch Logs has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_envdr import laravel
from pytest_envdr.drills import Finding
from pytest_envdr.errors import Refused, WaitTimedOut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.queues import Case
    from pytest_envdr.journal import Journal
    from pytest_envdr.laravel import Begun


def list_failed(aws: Aws, journal: Journal, drill: Drill, case: Case, *, when: str, wanted: Sequence[str] = ()) -> None:
    """The plan's "View failed jobs queue": `queue:failed` in a task, what it wrote as CloudWatch Logs has it.

    Before anything is broken it shows that commands can be run at all, and what had failed by then.

    Raises:
        Refused: it could not be run.
    """
    begun = begin_listing(aws, journal, case)
    try:
        drill.wait_until(
            lambda: laravel.ended(aws, begun),
            what=f"the end of `{' '.join(begun.command)}`",
            deadline=laravel.COMMAND_SECONDS,
            longest_interval=0.5,
        )
    except WaitTimedOut as error:
        raise Refused(f"The application's commands cannot be run: {error}") from error
    attach_listing(aws, drill, begun, when=when, wanted=wanted)


def begin_listing(aws: Aws, journal: Journal, case: Case) -> Begun:
    """`queue:failed`, begun."""
    return laravel.begin(aws, journal, case.before.row, [*case.row.artisan, "queue:failed"])


def attach_listing(
    aws: Aws, drill: Drill, begun: Begun, *, when: str, wanted: Sequence[str] = (), unwanted: Sequence[str] = ()
) -> None:
    """A listing as evidence. Which uuids it ought to show, and which not, is looked at."""
    ran = laravel.ran(aws, begun)
    drill.attach(f"queue-failed {when}.txt", f"$ {' '.join(ran.command)}\n{ran.output}\n")
    if ran.exit_code:
        detail = f"exit code {ran.exit_code}: {ran.output[-300:]}"
        drill.finding(Finding("queue.listing", "failure", f"`{' '.join(ran.command)}` failed", detail))
        return
    missing = [uuid for uuid in wanted if uuid not in ran.output]
    left = [uuid for uuid in unwanted if uuid in ran.output]
    if missing:
        drill.finding(Finding("queue.listing", "warning", "queue:failed does not show jobs that failed", str(missing)))
    if left:
        drill.finding(Finding("queue.listing", "warning", "queue:failed still shows jobs that were retried", str(left)))
