"""An ECS service that is taken away, and comes back.

Two faults that answer different questions (aws-semantics 4.2): `crashed` stops every task, and ECS must start others by
itself; `stopped` sets the desired count to 0, which nobody heals: alarms must see it, and people must act.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pytest_envdr import undo
from pytest_envdr.aws import application_autoscaling, ecs
from pytest_envdr.drills import alarms, client, outage, recovery
from pytest_envdr.drills.subject import SETTLE_SECONDS, Subject, check_fit, subject
from pytest_envdr.errors import UndoFailed
from pytest_envdr.timeline import Mark, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.outage import Seen
    from pytest_envdr.drills.recovery import Recovery
    from pytest_envdr.journal import Journal
    from pytest_envdr.probe import Probe
    from pytest_envdr.stack import Service

__all__ = ["CrashedService", "StoppedService", "crashed", "stopped"]

REPLACED_SECONDS = 60.0
"""How long ECS's scheduler may take to start the first task in the place of those that were stopped."""


@dataclass(frozen=True)
class CrashedService:
    """A service all of whose tasks were stopped at once.

    `wait_until_replaced` returns when ECS has noticed by itself, `wait_until_recovered` when the service is back and it
    held.
    """

    name: str
    before: Subject
    probe: Probe
    wait_until_replaced: Callable[[], float]
    wait_until_recovered: Callable[[], Recovery]


@dataclass(frozen=True)
class StoppedService:
    """A service whose desired count was set to 0, auto scaling suspended.

    `wait_until_seen` tells what was noticed of the outage, `restore` puts the desired count back, and
    `wait_until_recovered` returns when the service is back and it held.
    """

    name: str
    before: Subject
    probe: Probe
    wait_until_seen: Callable[[], Seen]
    restore: Callable[[], None]
    wait_until_recovered: Callable[[], Recovery]


@contextmanager
def crashed(
    aws: Aws, journal: Journal, drill: Drill, row: Service, *, settle_seconds: float = SETTLE_SECONDS
) -> Iterator[CrashedService]:
    """Stop every task of a service at once; ECS replaces them, so nothing has to be put back.

    Raises:
        Refused: the service is not fit to be broken, and nothing was touched.
    """
    with ExitStack() as held:
        with drill.phase(Phase.KICK_OFF):
            before = check_fit(aws, drill, row, settle_seconds=settle_seconds)
            probe = held.enter_context(client.asking(drill, row))
            client.await_baseline(drill, probe, row)
        with drill.phase(Phase.TRIGGER):
            fault = drill.mark(Mark.FAULT).clock
            for task in before.tasks:
                ecs.stop_task(aws, journal, task, cluster=row.cluster, reason=f"envdr exercise {drill.exercise_id}")
        yield CrashedService(
            row.name,
            before,
            probe,
            partial(_wait_until_replaced, aws, drill, before),
            partial(_wait_until_healed, aws, drill, before, probe, fault),
        )


@contextmanager
def stopped(
    aws: Aws, journal: Journal, drill: Drill, row: Service, *, settle_seconds: float = SETTLE_SECONDS
) -> Iterator[StoppedService]:
    """Take a service down altogether: scaling suspended first, then desired count 0. Put back in the reverse order on
    leaving, however it is left, and seen to be as before.

    Raises:
        Refused: the service is not fit to be broken, or an alarm fires already; nothing was touched.
        UndoFailed: on leaving, the state before could not be brought back.
    """
    with ExitStack() as held:
        with drill.phase(Phase.KICK_OFF):
            before = check_fit(aws, drill, row, settle_seconds=settle_seconds)
            _check_alarms(aws, drill, row, settle_seconds)
            probe = held.enter_context(client.asking(drill, row))
            client.await_baseline(drill, probe, row)
            held.enter_context(_put_back(aws, journal, drill, before))
            watch = alarms.listen(aws, journal, aws.stack.notifications.topic, row.alarms)
        with drill.phase(Phase.TRIGGER):
            fault = _take_down(aws, journal, drill, before)
        yield StoppedService(
            row.name,
            before,
            probe,
            partial(outage.wait_until_seen, aws, drill, before, probe, watch),
            partial(_restore, aws, journal, drill),
            partial(recovery.wait_until_recovered, aws, drill, before, probe, fault=fault),
        )


def _check_alarms(aws: Aws, drill: Drill, row: Service, settle_seconds: float) -> None:
    """What is wrong with the alarms and whom they tell is found out; one that fires already is a refusal."""
    told = aws.stack.notifications
    findings = alarms.check_alarms(aws, row.alarms, told.topic)
    findings += alarms.check_subscribers(aws, told.topic, told.subscribers)
    for finding in findings:
        drill.finding(finding)
    alarms.check_quiet(aws, drill, row.alarms, settle_seconds=settle_seconds)


def _take_down(aws: Aws, journal: Journal, drill: Drill, before: Subject) -> float:
    """Scaling first: while the desired count lies below the minimum, a scale-out or a schedule would lift it."""
    if before.scaling is not None:
        application_autoscaling.suspend(aws, journal, before.scaling)
    fault = drill.mark(Mark.FAULT).clock
    ecs.set_desired_count(aws, journal, before.service, count=0)
    return fault


def _restore(aws: Aws, journal: Journal, drill: Drill) -> None:
    """Put the desired count back as it was found, not as a template says."""
    drill.mark("restore")
    for entry in reversed(journal.owed()):
        if entry.act == "ecs.UpdateService":
            undo.reverse(aws, journal, entry)


@contextmanager
def _put_back(aws: Aws, journal: Journal, drill: Drill, before: Subject) -> Iterator[None]:
    """All that is owed, in reverse order, however the block ends; then look whether all is as before."""
    try:
        yield
    finally:
        undo.replay(aws, journal, lambda undone: drill.note(f"{undone.entry.inverse.restores}: {undone.how}"))
        _check_as_before(aws, drill, before)


def _check_as_before(aws: Aws, drill: Drill, before: Subject) -> None:
    """More tasks than before are scaling's own business, which works again; fewer are a debt."""
    now = subject(aws, before.row)
    was, is_ = before.service.desired, now.service.desired
    if is_ > was:
        drill.note(f"the desired count of {before.row.name} was {was}, and something set it to {is_} meanwhile")
    if is_ < was or before.scaling != now.scaling:
        raise UndoFailed(
            f"{before.row.name} is not as before: desired count {was}, now {is_}; "
            f"auto scaling {before.scaling}, now {now.scaling}."
        )


def _wait_until_replaced(aws: Aws, drill: Drill, before: Subject) -> float:
    """Until ECS has started a task in the place of those stopped, by its own time stamp; marks SEEN.

    Returns the seconds from the fault.
    """
    started = drill.wait_until(
        lambda: [task for task in ecs.tasks(aws, before.row.cluster, before.row.name) if _new(task, before)],
        what=f"ECS starting tasks of {before.row.name} again",
        deadline=max(drill.rto_seconds, REPLACED_SECONDS),
        longest_interval=0.5,
    )
    stamps = [task.created_at for task in started if task.created_at]
    fault = drill.marked(Mark.FAULT)
    noticed = drill.clock.reading(min(stamps)) if stamps else drill.clock.monotonic()
    noticed = max(noticed, fault.clock) if fault else noticed
    drill.mark(Mark.SEEN, clock=noticed, by="ECS")
    return noticed - fault.clock if fault else 0.0


def _wait_until_healed(aws: Aws, drill: Drill, before: Subject, probe: Probe, fault: float) -> Recovery:
    """The recovery; that ECS noticed belongs to it."""
    if drill.marked(Mark.SEEN) is None:
        _wait_until_replaced(aws, drill, before)
    return recovery.wait_until_recovered(aws, drill, before, probe, fault=fault)


def _new(task: ecs.Task, before: Subject) -> bool:
    return task.id not in before.task_ids
