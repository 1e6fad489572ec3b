"""What the workers wrote while marked jobs were lost or got stuck: an excerpt of their log, for whoever asks why."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pytest_envdr.aws import ecs, ecs_definitions, logs
from pytest_envdr.drills.queue_faults import fault_clock
from pytest_envdr.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.queues import Case
    from pytest_envdr.verify.queue import Difference

__all__ = ["attach_workers_log"]

NAME = "workers' log.txt"
ASKED_WHY = frozenset({"lost", "not-queued", "unfinished", "stuck", "effect-missing", "dead"})
"""What the workers' own words may explain."""
METRICS = '{"_aws":'
"""How lines of CloudWatch's embedded metric format begin: numbers for CloudWatch, and no words."""
BEFORE = timedelta(seconds=5)
"""From how long before the fault lines are of interest."""
LINES, LINE_CHARACTERS = 200, 400
"""Of more lines the first and the last are kept: how it began, and how it ended."""


def attach_workers_log(aws: Aws, drill: Drill, case: Case, found: Iterable[Difference]) -> None:
    """What the workers wrote from just before the fault on, bounded; only where jobs were lost or are stuck. Others
    may have written into the same log group: their streams are left out."""
    if not case.made_again and not any(one.kind in ASKED_WHY for one in found):
        return
    row = case.before.row
    definition = ecs.service(aws, row.name, row.cluster).task_definition
    container = ecs_definitions.task_definition(aws, definition).containers[0]
    if not container.log_group:
        drill.note(f"{row.name} writes no log to CloudWatch Logs")
        return
    tasks = [*case.before.tasks, *ecs.tasks(aws, row.cluster, row.name)]
    names = {container.log_stream(task.id): task.address for task in tasks}
    try:
        lines = logs.events(aws, container.log_group, since=drill.clock.at(fault_clock(drill)) - BEFORE)
    except NotFound:
        drill.note(f"there is no log group {container.log_group}")
        return
    ours = [line for line in lines if line.stream in names and not line.message.startswith(METRICS)]
    told = [f"{line.at:%H:%M:%S.%f} {names[line.stream]} {_cut(line.message)}" for line in ours]
    drill.attach(NAME, "".join(f"{line}\n" for line in _excerpt(told)))


def _cut(message: str) -> str:
    text = message.rstrip()
    return text if len(text) <= LINE_CHARACTERS else f"{text[:LINE_CHARACTERS]} ..."


def _excerpt(lines: Sequence[str]) -> list[str]:
    half = LINES // 2
    if len(lines) <= LINES:
        return [*lines]
    return [*lines[:half], f"... {len(lines) - LINES} lines left out ...", *lines[-half:]]
