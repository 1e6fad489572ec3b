"""The primary Region taken away while the standby one is tested: by FIS, which gives it back by itself in the end.

What the standby Region still needs of the other one is then not there, and a test that needed it fails.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pytest_envdr import undo
from pytest_envdr.aws import ecs, fis
from pytest_envdr.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.journal import Journal

MINUTES = 10
"""After how long FIS ends it, whatever becomes of this run."""
START_SECONDS = 120.0


def subnets(there: Aws) -> list[str]:
    """The ARNs of the subnets that the standby Region's services run in."""
    stack = there.stack
    found: set[str] = set()
    for row in stack.services.values():
        found |= set(
            ecs.service(there, row.name, row.cluster).network.get("awsvpcConfiguration", {}).get("subnets", [])
        )
    return [f"arn:aws:ec2:{stack.region}:{stack.account}:subnet/{one}" for one in sorted(found)]


@contextmanager
def cut_off(there: Aws, journal: Journal, drill: Drill, *, region: str, role: str) -> Iterator[fis.Experiment]:
    """The standby Region's subnets without a way to another Region while the block lasts, and ten minutes at most.

    Raises:
        Refused: the stack file names no role for FIS.
        WaitFailed: the experiment did not begin.
        UndoFailed: it could not be ended.
    """
    if not role:
        raise Refused(
            f"{region} cannot be cut off: the stack file names no role for FIS.\n"
            f"Looked at: {there.stack.path}: secondary.experiment_role"
        )
    tags = {"envdr:exercise": drill.exercise_id, "envdr:scenario": "regional_failover"}
    template = fis.create_cut_off(
        there, journal, subnets=subnets(there), region=region, role=role, minutes=MINUTES, tags=tags
    )
    begun = fis.start(there, journal, template, tags=tags, what=f"cuts {there.stack.region} off from {region}")
    try:
        yield drill.wait_until(
            lambda: fis.experiment(there, begun.id),
            lambda now: now.status == "running",
            what=f"{there.stack.region} cut off from {region}",
            deadline=START_SECONDS,
            failed=lambda now: f"{now.status}: {now.reason}" if now.ended else None,
        )
    finally:
        for entry in reversed(journal.owed()):
            if entry.act in {"fis.StartExperiment", "fis.CreateExperimentTemplate"}:
                undo.reverse(there, journal, entry)
