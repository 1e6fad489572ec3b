"""The stack built again in its standby Region, tested there without the primary, and taken away again.

Nothing is broken: the interruption is an instant. From then on the primary is read for one purpose only, to tell what
was lost; no step of the recovery asks it. No DNS record is changed: what would be changed is told.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from pytest_envdr import mariadb, undo
from pytest_envdr.aws import ec2, ecs, rds
from pytest_envdr.drills import (
    Finding,
    databases,
    dependencies,
    heartbeats,
    isolation,
    leftovers,
    parity,
    restores,
    smoke_tests,
    standby_build,
    standby_documents,
    subject,
)
from pytest_envdr.errors import Refused, UndoFailed, WaitTimedOut
from pytest_envdr.timeline import Mark, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.heartbeats import Beats, Loss
    from pytest_envdr.drills.restores import Aside
    from pytest_envdr.drills.smoke_tests import Known, Outcome, Suite
    from pytest_envdr.drills.standby_build import Standby
    from pytest_envdr.journal import Journal
    from pytest_envdr.mariadb import Server
    from pytest_envdr.stack import Stack
    from pytest_envdr.tables import Database, DnsRecord, Secondary

__all__ = ["Cutover", "SecondaryRegion", "built"]

PATIENCE = 2
"""How many times the RTO the stack is waited for, so that one that comes late is measured all the same."""
OWN_PREFIX = "envdr-"


@dataclass(frozen=True)
class Cutover:
    """A DNS record as it would be changed; it is not."""

    name: str
    record: DnsRecord
    before: str
    after: str


@dataclass
class Held:
    """What a drill knows so far.

    Attributes:
        row, database: the stack file's.
        server: the primary's database server.
        standby: what is built, from which backup.
        digests: image to the digest that runs in the primary Region.
        known: what a client read there before.
        balancers: service to what its DNS record leads to in the primary Region.
        globals: the account's buckets, roles and policies before.
        beats, fault: the primary's heartbeats at the fault, and that instant.
        suite: the smoke tests; None before the stack is built.
        gone: whether all was taken away, and seen to be gone.
    """

    row: Secondary
    database: Database
    server: Server
    standby: Standby
    digests: dict[str, str]
    known: Known
    balancers: dict[str, str]
    globals: frozenset[str]
    beats: dict[str, Beats] = field(default_factory=dict)
    fault: datetime | None = None
    suite: Suite | None = None
    gone: bool = False


@dataclass(frozen=True)
class SecondaryRegion:
    """A Region that the stack is built again in, step by step; the order of the fields is the order of the steps.

    Attributes:
        region: its name.
        held: what is known so far.
        restore: build what the database needs, and restore it there.
        build: build all the rest.
        wait_until_serves: until every smoke test passes; what became of each.
        check_dependencies: nothing of what runs there names the primary Region.
        check_losses: the heartbeats that did not come back; the databases whose loss is not acceptable.
        smoke_test_alone: every smoke test again, while the primary Region is not there.
        cutover_records: the DNS records that would be changed.
        conclude: the RTA in seconds, whose clock ends here.
        tear_down: take all of it away; what was left behind.
    """

    region: str
    held: Held
    restore: Callable[[], Aside]
    build: Callable[[], None]
    wait_until_serves: Callable[[], list[Outcome]]
    check_dependencies: Callable[[], None]
    check_losses: Callable[[], list[Loss]]
    smoke_test_alone: Callable[[], list[Outcome]]
    cutover_records: Callable[[], list[Cutover]]
    conclude: Callable[[], float]
    tear_down: Callable[[], list[str]]


@contextmanager
def built(aws: Aws, journal: Journal, drill: Drill) -> Iterator[SecondaryRegion]:
    """Hold what builds the stack again in its standby Region and tests it there. On leaving, however it is left, all
    that was built goes, and is seen to be gone.

    Args:
        aws: the primary Region.
        journal: the undo journal.
        drill: whose objective says how long to wait.

    Raises:
        StackFileError: the stack file lacks a table.
        Refused: it is not possible, or would prove nothing; nothing was touched.
        UndoFailed: on leaving, something could not be taken away, or was left.
    """
    with ExitStack() as leaving:
        with drill.phase(Phase.KICK_OFF):
            there = aws.elsewhere(standby_region(aws.stack))
            held = _kick_off(aws, there, drill)
            leaving.enter_context(_put_back(there, journal, drill, held))
        with drill.phase(Phase.TRIGGER):
            held.fault = drill.mark(Mark.FAULT).at
            names = [held.database.central, *databases.tenants(held.server, held.database).values()]
            held.beats = heartbeats.read(held.server, names, held.database.heartbeat)
        yield SecondaryRegion(
            there.stack.region,
            held,
            partial(standby_build.restore_database, there, journal, drill, held.standby),
            partial(standby_build.build_rest, there, journal, drill, held.standby),
            partial(_wait_until_serves, there, drill, held),
            partial(_check_dependencies, there, drill, held),
            partial(_check_losses, drill, held),
            partial(_smoke_test_alone, there, journal, drill, held),
            partial(_cutover_records, there, drill, held),
            partial(_conclude, drill, held),
            partial(_tear_down, there, journal, drill, held),
        )


def standby_region(stack: Stack) -> str:
    """Where the stack would be built again.

    Raises:
        Refused: the stack file does not say, or names the stack's own Region.
    """
    if not stack.standby_region or stack.standby_region == stack.region:
        raise Refused(
            f"Nothing was touched: the stack file names no other Region to fail over to.\n"
            f"Looked at: {stack.path}: region, standby_region"
        )
    return stack.standby_region


def _kick_off(here: Aws, there: Aws, drill: Drill) -> Held:
    """Whether the stack can be built there, and whether nothing of it is there already; then what is known of the
    primary is noted down."""
    drill.check_objective()
    here.stack.needs("database", "secondary", "drill_tenant")
    row, database = here.stack.secondary, here.stack.database
    if row is None or database is None:  # for the type checker: `needs` refused it
        raise Refused("There is no [secondary] in the stack file.")
    drill.rpo_of("replicated")
    _check_clean(there, row)
    instance = rds.instance(here, database.instance)
    server = restores.source_server(here, instance)
    parity.check(drill, parity.differences(here, there, row, instance), stack=here.stack)
    backup = standby_build.newest_backup(there, instance, region=here.stack.region)
    balancers = dependencies.balancers(here)
    account = leftovers.in_account(here)
    buckets = {one.partition(" ")[2]: "the account itself has it" for one in account if one.startswith("bucket ")}
    primary = standby_build.Primary(
        here.stack.region,
        instance,
        tuple(ec2.cidrs(here, instance.vpc)),
        dependencies.addresses(here, instance),
        buckets,
    )
    return Held(
        row,
        database,
        server,
        standby_build.planned(drill, row, primary, backup),
        {image: digest for image, (_, digest) in parity.running_images(here).items()},
        smoke_tests.remembered(here, row),
        {word: balancer.host for word, balancer in balancers.items()},
        account,
    )


def _check_clean(there: Aws, row: Secondary) -> None:
    """A Region that is warm from the last drill proves nothing (aws-semantics 9, traps).

    Raises:
        Refused: with what is there.
    """
    found = [*leftovers.in_region(there, prefixes=_prefixes(row)), *leftovers.tagged(there)]
    if found:
        shown = "\n".join(f"  {one}" for one in found[:20])
        raise Refused(
            f"Nothing was touched: {there.stack.region} is not empty, so what is built there would prove nothing "
            f"({len(found)} found):\n{shown}\nTo go on: delete it; `envdr undo` does, where a drill still owes it."
        )


def _wait_until_serves(there: Aws, drill: Drill, held: Held) -> list[Outcome]:
    """Until ECS and the load balancers say that all is well, and then every smoke test passes."""
    deadline = PATIENCE * drill.rto_seconds
    for row in there.stack.services.values():
        _await_steady(there, drill, row.name, row.cluster, deadline)
    drill.mark("services steady")
    server = held.standby.database.server
    if server is None:
        raise Refused("Nobody has logged in to the restored database yet: call `restore` first.")
    with mariadb.session(server) as cursor:
        identity = mariadb.identity(cursor)
    balancers = dependencies.balancers(there)
    places = smoke_tests.places(there.stack, balancers)
    held.suite = smoke_tests.Suite(there, held.row, places, identity, held.known)
    outcomes: list[Outcome] = []

    def failing(suite: Suite) -> list[str]:
        outcomes[:] = suite.run(drill)
        return [f"{one.test}: {one.wrong}" for one in outcomes if not one.passed]

    sent = drill.clock.monotonic()
    try:
        drill.wait_until(
            partial(failing, held.suite),
            lambda wrong: not wrong,
            what="every smoke test passed",
            deadline=deadline,
            longest_interval=1.0,
        )
        drill.mark(Mark.RECOVERED, error_seconds=round(drill.clock.monotonic() - sent, 3))
    except WaitTimedOut:
        _tell_failed(drill, outcomes, when="with both Regions there")
    smoke_tests.tell(drill, outcomes, when="with both Regions there")
    return outcomes


def _await_steady(there: Aws, drill: Drill, name: str, cluster: str, deadline: float) -> None:
    drill.wait_until(
        lambda: subject.unsteady(there, ecs.service(there, name, cluster)),
        lambda reason: not reason,
        what=f"{name} steady in {there.stack.region}",
        deadline=deadline,
        longest_interval=1.0,
    )


def _check_dependencies(there: Aws, drill: Drill, held: Held) -> None:
    primary = held.standby.primary
    dependencies.check(there, drill, primary=primary.region, foreign=primary.addresses, digests=held.digests)
    if held.standby.database.server is not None:
        standby_documents.check(there, drill, held.standby.database.server, held.database, primary=primary.region)


def _check_losses(drill: Drill, held: Held) -> list[Loss]:
    """By the numbered heartbeats: what the backup says of itself may be minutes off."""
    server, fault = held.standby.database.server, held.fault
    if server is None or fault is None:
        raise Refused("Nobody has logged in to the restored database yet: call `restore` first.")
    after = heartbeats.read(server, held.beats, held.database.heartbeat)
    # The standby's own scheduler beats on: only what was written up to the fault came back.
    came_back = {name: beats.until(fault) for name, beats in after.items()}
    found = heartbeats.losses(held.beats, came_back, fault)
    return heartbeats.check_losses(
        drill, found, central=held.database.central, source="replicated", fault=fault, word="region"
    )


def _smoke_test_alone(there: Aws, journal: Journal, drill: Drill, held: Held) -> list[Outcome]:
    """Again, while nothing there has a way to the primary Region: what still needs it fails now."""
    if held.suite is None:
        raise Refused("Nothing was tested yet: call `wait_until_serves` first.")
    primary = held.standby.primary.region
    with isolation.cut_off(there, journal, drill, region=primary, role=held.row.experiment_role):
        outcomes = held.suite.run(drill)
    _tell_failed(drill, outcomes, when=f"without {primary}")
    smoke_tests.tell(drill, outcomes, when=f"without {primary}")
    return outcomes


def _tell_failed(drill: Drill, outcomes: list[Outcome], *, when: str) -> None:
    for one in outcomes:
        if not one.passed:
            drill.finding(
                Finding(
                    "region.smoke-test",
                    "failure",
                    f"{one.test} fails in the standby Region, {when}",
                    f"{one.place.url} as {one.place.host}: {one.wrong}",
                    "Look at what its tasks are told, and at their logs.",
                )
            )


def _cutover_records(there: Aws, drill: Drill, held: Held) -> list[Cutover]:
    """What would be changed to send users there; nothing is."""
    balancers = dependencies.balancers(there)
    found = [
        Cutover(name, record, held.balancers.get(record.service, ""), balancers[record.service].host)
        for name, record in held.row.records.items()
        if record.service in balancers
    ]
    drill.table(
        "Ready for DNS cutover",
        ("record", "type", "TTL, s", "leads to now", "would lead to"),
        [(one.name, one.record.type, one.record.ttl_seconds, one.before, one.after) for one in found],
        caption="No record was changed. Users follow within the TTL, and as long as their resolvers keep answers.",
    )
    return found


def _conclude(drill: Drill, held: Held) -> float:
    """VERIFIED is marked only where nothing failed: an unverified run has no RTA."""
    ended = drill.clock.monotonic()
    _tell_parts(drill)
    if not drill.failures and drill.marked(Mark.RECOVERED) is not None:
        drill.mark(Mark.VERIFIED, clock=ended)
    drill.note(f"Terraform made {len(held.standby.made)} resources; the cache in the standby Region began empty")
    fault = drill.marked(Mark.FAULT)
    return ended - fault.clock if fault else 0.0


def _tell_parts(drill: Drill) -> None:
    names = (
        Mark.FAULT,
        Mark.SEEN,
        "network built",
        "available",
        "logged in",
        "stack built",
        "services steady",
        Mark.RECOVERED,
    )
    marks = [drill.marked(name) for name in names]
    rows = [
        (name, f"{later.clock - earlier.clock:.1f}")
        for name, earlier, later in zip(names[1:], marks, marks[1:], strict=False)
        if earlier and later
    ]
    caption = "Each part counts from the one before it. The primary Region cut off, and the tests again, come after."
    drill.table("Recovery time by part", ("until", "seconds"), rows, caption=caption)


def _tear_down(there: Aws, journal: Journal, drill: Drill, held: Held) -> list[str]:
    """Take all away, and look what is left there and of the account's own names."""
    undo.replay(there, journal, lambda undone: drill.note(f"{undone.entry.inverse.restores}: {undone.how}"))
    left = leftovers.in_region(there, prefixes=_prefixes(held.row))
    left += leftovers.tagged_by(there, drill.exercise_id)
    new = leftovers.in_account(there) - held.globals
    left += sorted(one for one in new if one.partition(" ")[2].startswith(_prefixes(held.row)))
    for one in left:
        title = f"the drill left behind in {there.stack.region}: {one}"
        drill.finding(Finding("region.leftover", "failure", title, "", "Delete it by hand."))
    held.gone = True
    return left


@contextmanager
def _put_back(there: Aws, journal: Journal, drill: Drill, held: Held) -> Iterator[None]:
    """All that is still there goes, however the block ends; then whether anything is left."""
    try:
        yield
    finally:
        if not held.gone or journal.owed():
            left = _tear_down(there, journal, drill, held)
            if left:
                raise UndoFailed(f"The drill left behind: {', '.join(left)}.\nTo go on: delete them by hand.")


def _prefixes(row: Secondary) -> tuple[str, ...]:
    return (row.prefix, OWN_PREFIX)
