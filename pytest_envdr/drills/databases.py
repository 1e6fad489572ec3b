"""The database instance restored aside, validated whole, and taken away again.

The simulated corruption is an instant, not a deed: the application goes into maintenance mode, and from then on all
that the live instance holds counts as lost. So the live instance stays good, and is what the copy is compared with.

How integrity is judged. Structure, CHECK TABLE, every tenant's database, and the content of all tables that are not
`declared_writes` must be as in the source. A table of the business that changed between recovery point and drill
differs too, and is told as well: nobody can tell from here whether its rows are the loss window or damage. (For an
account where that is the rule, a manifest saved as the snapshot was made is what to compare with; the stack file
cannot name one yet.)
"""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from pytest_envdr import laravel, mariadb, undo
from pytest_envdr.aws import backup, ec2, rds
from pytest_envdr.drills import cutover, equivalence, heartbeats, integrity, restores, smoke, surroundings
from pytest_envdr.errors import NotFound, Refused, UndoFailed
from pytest_envdr.timeline import Mark, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.cutover import CutOver
    from pytest_envdr.drills.equivalence import Difference
    from pytest_envdr.drills.heartbeats import Beats, Loss
    from pytest_envdr.drills.restores import Aside, Origin
    from pytest_envdr.drills.smoke import Answer
    from pytest_envdr.journal import Journal
    from pytest_envdr.mariadb import Server
    from pytest_envdr.tables import Database

__all__ = ["Integrity", "RestoredDatabase", "restored"]

Integrity = integrity.Integrity


@dataclass
class Held:
    """What a drill knows so far.

    Attributes:
        row: the stack file's.
        instance, server: the source.
        origin: what is restored.
        tenants: the source's tenants: slug -> database.
        beats: the source's heartbeats at the fault.
        fault: that instant.
        aside: the copy, from its preparation on.
        verdict: whether AWS Backup was told one.
    """

    row: Database
    instance: rds.Instance
    server: Server
    origin: Origin
    tenants: dict[str, str]
    beats: dict[str, Beats] = field(default_factory=dict)
    fault: datetime | None = None
    aside: Aside | None = None
    verdict: bool = False

    @property
    def copy(self) -> Aside:
        """The copy.

        Raises:
            Refused: nothing was restored yet.
        """
        if self.aside is None:
            raise Refused("Nothing was restored yet: call `restore` first.")
        return self.aside


@dataclass(frozen=True)
class RestoredDatabase:
    """An instance that is restored aside, step by step; the order of the fields is the order of the steps.

    Attributes:
        source: what it is restored from.
        held: what is known so far: source, recovery point, the copy.
        restore: send the request.
        wait_until_available: RDS says so, lastingly; the instance.
        wait_until_answers: log in, and the application on it answers with what only the copy holds.
        check_configuration: what is configured otherwise and not declared.
        check_integrity: what is damaged, missing, extra or different, of the central and every tenant database.
        check_losses: the heartbeats that did not come back; the databases whose loss is not acceptable.
        cut_over_and_back: where it is approved, the services work on the copy, and go back to the source.
        conclude: what happened around it goes on the time-line; the RTA in seconds, whose clock ends here.
    """

    source: str
    held: Held
    restore: Callable[[], Aside]
    wait_until_available: Callable[[], rds.Instance]
    wait_until_answers: Callable[[], Answer]
    check_configuration: Callable[[], list[Difference]]
    check_integrity: Callable[[], Integrity]
    check_losses: Callable[[], list[Loss]]
    cut_over_and_back: Callable[[], CutOver]
    conclude: Callable[[], float]


@contextmanager
def restored(aws: Aws, journal: Journal, drill: Drill, *, source: str) -> Iterator[RestoredDatabase]:
    """Put the application in maintenance mode, and hold what restores the database aside and validates it. On leaving,
    however it is left: maintenance mode ends first, then all that was created goes, and is seen to be gone.

    Args:
        aws: the account.
        journal: the undo journal.
        drill: whose objective says how long to wait.
        source: "automated", "manual", "point-in-time" or "backup".

    Raises:
        StackFileError: the stack file lacks `database` or `maintenance`.
        Refused: it is not possible, or would prove nothing; nothing was touched.
        UndoFailed: on leaving, something could not be brought back, or was left.
    """
    with ExitStack() as leaving:
        with drill.phase(Phase.KICK_OFF):
            held = _kick_off(aws, drill, source)
            leaving.enter_context(_put_back(aws, journal, drill, held))
        with drill.phase(Phase.TRIGGER):
            laravel.enter_maintenance(aws, journal)
            held.fault = drill.mark(Mark.FAULT).at
            held.beats = heartbeats.read(held.server, [held.row.central, *held.tenants.values()], held.row.heartbeat)
        yield RestoredDatabase(
            source,
            held,
            partial(_restore, aws, journal, drill, held),
            partial(_wait_until_available, aws, journal, drill, held),
            partial(_wait_until_answers, aws, journal, drill, held),
            partial(_check_configuration, aws, drill, held),
            partial(_check_integrity, drill, held),
            partial(_check_losses, drill, held),
            partial(_cut_over_and_back, aws, journal, drill, held),
            partial(_conclude, aws, journal, drill, held),
        )


def _kick_off(aws: Aws, drill: Drill, source: str) -> Held:
    """Source and recovery point, and whether a restore can go well at all."""
    drill.check_objective()
    aws.stack.needs("database", "maintenance")
    row = aws.stack.database
    if row is None:
        raise Refused("The stack file has no [database].")
    instance = rds.instance(aws, row.instance)
    server = restores.source_server(aws, instance)
    origin = restores.newest(aws, instance, source)
    restores.check_possible(aws, instance, server)
    drill.rpo_of(source)
    drill.note(f"restoring from {source}: {origin.name}, with data up to about {origin.at:%Y-%m-%d %H:%M:%S} UTC")
    drill.note("the KMS key's state is not looked at: RDS refuses a restore whose key it cannot use")
    drill.attach("source.json", json.dumps(asdict(instance), indent=2, default=str), media_type="application/json")
    return Held(row, instance, server, origin, tenants(server, row))


def tenants(server: Server, row: Database) -> dict[str, str]:
    """Slug -> database, as the central database of a server says."""
    with mariadb.session(server, database=row.central) as cursor:
        cursor.execute(row.tenants)
        return {str(found[0]): str(found[1]) for found in cursor.fetchall()}


def _restore(aws: Aws, journal: Journal, drill: Drill, held: Held) -> Aside:
    """Send the request, with everything in it that AWS would choose by itself."""
    held.aside = restores.prepare(
        aws, journal, drill, held.instance, held.origin, word="dbrestore", ports=smoke.ports(aws)
    )
    restores.request(aws, journal, drill, held.aside)
    return held.aside


def _wait_until_available(aws: Aws, journal: Journal, drill: Drill, held: Held) -> rds.Instance:
    return restores.wait_until_available(aws, journal, drill, held.copy)


def _wait_until_answers(aws: Aws, journal: Journal, drill: Drill, held: Held) -> Answer:
    restores.log_in(aws, journal, drill, held.copy)
    return smoke.check_application(aws, journal, drill, held.copy, held.server)


def _check_configuration(aws: Aws, drill: Drill, held: Held) -> list[Difference]:
    return equivalence.check_configuration(aws, drill, held.instance, held.copy)


def _check_integrity(drill: Drill, held: Held) -> Integrity:
    copy = _server(held)
    known = integrity.Known(held.row, held.tenants, tenants(copy, held.row))
    return integrity.check(drill, held.server, copy, known, reset=held.copy.reset)


def _check_losses(drill: Drill, held: Held) -> list[Loss]:
    """Of the databases that came back; one that did not is told by `check_integrity`."""
    copy, fault = _server(held), held.fault
    if fault is None:
        raise Refused("There was no fault yet.")
    there = integrity.databases(copy)
    before = {database: beats for database, beats in held.beats.items() if database in there}
    after = heartbeats.read(copy, before, held.row.heartbeat)
    found = heartbeats.losses(before, after, fault)
    return heartbeats.check_losses(drill, found, central=held.row.central, source=held.origin.source, fault=fault)


def _cut_over_and_back(aws: Aws, journal: Journal, drill: Drill, held: Held) -> CutOver:
    return cutover.cut_over_and_back(aws, journal, drill, held.copy, held.server)


def _conclude(aws: Aws, journal: Journal, drill: Drill, held: Held) -> float:
    """VERIFIED is marked only where nothing failed: an unverified run has no RTA. AWS Backup is told the verdict."""
    ended = drill.clock.monotonic()
    began = held.fault or drill.clock.at(ended)
    _tell_parts(aws, drill, held)
    surroundings.tell(
        aws,
        drill,
        instances=(held.instance.identifier, held.copy.identifier),
        since=began,
        until=drill.clock.at(ended),
    )
    if not drill.failures:
        drill.mark(Mark.VERIFIED, clock=ended)
    _give_verdict(aws, journal, drill, held)
    fault = drill.marked(Mark.FAULT)
    return ended - fault.clock if fault else 0.0


def _tell_parts(aws: Aws, drill: Drill, held: Held) -> None:
    """The RTA by its parts, and whether data were still being loaded meanwhile."""
    names = (Mark.FAULT, Mark.SEEN, "available", "logged in", Mark.RECOVERED)
    words = ("request sent", "available", "logged in", "first answer that proves it")
    marks = [drill.marked(name) for name in names]
    rows = [
        (word, f"{later.clock - earlier.clock:.1f}", f"{later.at:%H:%M:%S.%f}")
        for word, earlier, later in zip(words, marks, marks[1:], strict=False)
        if earlier and later
    ]
    copy = rds.instance(aws, held.copy.identifier)
    loading = f"{copy.storage_operation} {copy.storage_percent or 0} %" if copy.storage_operation else "all loaded"
    drill.table(
        "Recovery time by part",
        ("until", "seconds", "at"),
        [*rows, ("storage", "-", loading)],
        caption="Each part counts from the one before it, the first from the fault. A copy that still loads data is "
        "slow at first touches.",
    )


def _give_verdict(aws: Aws, journal: Journal, drill: Drill, held: Held) -> None:
    """Once, and where AWS Backup made the restore."""
    if held.aside is None or not held.aside.job or held.verdict:
        return
    held.verdict = True
    failures = "; ".join(finding.title for finding in drill.failures)
    well = not failures and drill.marked(Mark.VERIFIED) is not None
    backup.put_validation(
        aws,
        journal,
        held.aside.job,
        verdict="SUCCESSFUL" if well else "FAILED",
        message=f"exercise {drill.exercise_id}: {failures or ('verified' if well else 'not verified')}",
    )


def _server(held: Held) -> Server:
    if held.copy.server is None:
        raise Refused(f"Nobody has logged in to {held.copy.identifier} yet: call `wait_until_answers` first.")
    return held.copy.server


@contextmanager
def _put_back(aws: Aws, journal: Journal, drill: Drill, held: Held) -> Iterator[None]:
    """Maintenance mode off, then all that was created; then look whether anything is left."""
    try:
        yield
    finally:
        with ExitStack() as undoing:
            undoing.callback(_check_nothing_left, aws, held)
            undoing.callback(
                undo.replay, aws, journal, lambda undone: drill.note(f"{undone.entry.inverse.restores}: {undone.how}")
            )
            _give_verdict(aws, journal, drill, held)


def _check_nothing_left(aws: Aws, held: Held) -> None:
    """What a deleted instance may leave behind (aws-semantics 1.13)."""
    if held.aside is None:
        return
    name = held.aside.identifier
    left = [f"snapshot {one}" for one in rds.snapshots_of(aws, name)]
    left += [f"automated backup {one}" for one in rds.automated_backups(aws, name)]
    if rds.existing(aws, name) is not None:
        left.append(f"instance {name}")
    left += [f"security group {group.id}" for group in ec2.security_groups(aws, name)]
    if _parameter_group_left(aws, name):
        left.append(f"parameter group {name}")
    if left:
        raise UndoFailed(f"The drill left behind: {', '.join(left)}.\nTo go on: delete them by hand.")


def _parameter_group_left(aws: Aws, name: str) -> bool:
    try:
        rds.parameter_group(aws, name)
    except NotFound:
        return False
    return True
