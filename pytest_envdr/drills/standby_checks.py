"""What is seen of the standby Region once it is built: whether it serves, on what it stands, and what was lost.

Nothing here builds anything or takes it away. The primary is known by what was noted down before, and is not asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from pytest_envdr import mariadb
from pytest_envdr.aws import ecs
from pytest_envdr.drills import Finding, dependencies, heartbeats, isolation, smoke_tests, standby_documents, subject
from pytest_envdr.errors import Refused, WaitTimedOut
from pytest_envdr.timeline import Mark

if TYPE_CHECKING:
    from datetime import datetime

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.heartbeats import Beats, Loss
    from pytest_envdr.drills.smoke_tests import Known, Outcome, Suite
    from pytest_envdr.drills.standby_build import Standby
    from pytest_envdr.journal import Journal
    from pytest_envdr.mariadb import Server
    from pytest_envdr.tables import Database, DnsRecord, Secondary

PATIENCE = 2
"""How many times the RTO the stack is waited for, so that one that comes late is measured all the same."""


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
        records: the DNS records of the stack before.
        beats, fault: the primary's heartbeats at the fault, and that instant.
        suite: the smoke tests; None before the stack is built.
        gone: whether all was taken away.
        left: what was left then.
    """

    row: Secondary
    database: Database
    server: Server
    standby: Standby
    digests: dict[str, str]
    known: Known
    balancers: dict[str, str]
    globals: frozenset[str]
    records: frozenset[str]
    beats: dict[str, Beats] = field(default_factory=dict)
    fault: datetime | None = None
    suite: Suite | None = None
    gone: bool = False
    left: list[str] = field(default_factory=list)


def wait_until_serves(there: Aws, drill: Drill, held: Held) -> list[Outcome]:
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


def check_dependencies(there: Aws, drill: Drill, held: Held) -> None:
    primary = held.standby.primary
    dependencies.check(there, drill, primary=primary.region, foreign=primary.addresses, digests=held.digests)
    if held.standby.database.server is not None:
        standby_documents.check(there, drill, held.standby.database.server, held.database, primary=primary.region)


def check_losses(drill: Drill, held: Held) -> list[Loss]:
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


def smoke_test_alone(there: Aws, journal: Journal, drill: Drill, held: Held) -> list[Outcome]:
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


def cutover_records(there: Aws, drill: Drill, held: Held) -> list[Cutover]:
    """What would be changed to send users there; nothing is. A record that could not be changed is a finding."""
    hosts = {word: balancer.host for word, balancer in dependencies.balancers(there).items()}
    found = [
        Cutover(name, record, held.balancers.get(record.service, ""), hosts.get(record.service, ""))
        for name, record in held.row.records.items()
    ]
    for one in found:
        if not one.after:
            title = f"record {one.name} would lead nowhere: {one.record.service} has no load balancer there"
            drill.finding(Finding("region.record", "failure", title, "", "Let the modules make one."))
    if not found:
        title = "no DNS record is named that would be changed: whether users could be sent there is not known"
        remedy = "Name them in the stack file: [secondary.records]."
        drill.finding(Finding("region.record", "failure", title, "", remedy))
    drill.table(
        "Ready for DNS cutover",
        ("record", "type", "TTL, s", "leads to now", "would lead to"),
        [(one.name, one.record.type, one.record.ttl_seconds, one.before, one.after) for one in found],
        caption="No record was changed. Users follow within the TTL, and as long as their resolvers keep answers.",
    )
    return found


def conclude(drill: Drill, held: Held) -> float:
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
