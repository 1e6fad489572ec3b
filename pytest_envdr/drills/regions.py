"""The stack built again in its standby Region, tested there without the primary, and taken away again.

Nothing is broken: the interruption is an instant. From then on the primary is read for one purpose only, to tell what
was lost; no step of the recovery asks it. No DNS record is changed: what would be changed is told.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pytest_envdr import leftovers, undo
from pytest_envdr.aws import ec2, rds
from pytest_envdr.drills import (
    Finding,
    databases,
    dependencies,
    heartbeats,
    parity,
    restores,
    smoke_tests,
    standby_build,
    standby_checks,
)
from pytest_envdr.errors import Refused, UndoFailed
from pytest_envdr.timeline import Mark, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.heartbeats import Loss
    from pytest_envdr.drills.restores import Aside
    from pytest_envdr.drills.smoke_tests import Outcome
    from pytest_envdr.drills.standby_checks import Cutover, Held
    from pytest_envdr.journal import Journal
    from pytest_envdr.stack import Stack
    from pytest_envdr.tables import Secondary

OWN_PREFIX = "envdr-"


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
            partial(standby_checks.wait_until_serves, there, drill, held),
            partial(standby_checks.check_dependencies, there, drill, held),
            partial(standby_checks.check_losses, drill, held),
            partial(standby_checks.smoke_test_alone, there, journal, drill, held),
            partial(standby_checks.cutover_records, there, drill, held),
            partial(standby_checks.conclude, drill, held),
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
    return standby_checks.Held(
        row,
        database,
        server,
        standby_build.planned(drill, row, primary, backup),
        {image: digest for image, (_, digest) in parity.running_images(here).items()},
        smoke_tests.remembered(here, row),
        {word: balancer.host for word, balancer in balancers.items()},
        account,
        leftovers.records(here, row.records),
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


def _tear_down(there: Aws, journal: Journal, drill: Drill, held: Held) -> list[str]:
    """Take all away, and look what is left there and of the account's own names, also where not all could be taken."""
    try:
        undo.replay(there, journal, lambda undone: drill.note(f"{undone.entry.inverse.restores}: {undone.how}"))
        held.gone = True
    finally:
        left = _left(there, drill, held)
        for one in (one for one in left if one not in held.left):
            title = f"the drill left behind in {there.stack.region} or in the account: {one}"
            drill.finding(Finding("region.leftover", "failure", title, "", "Delete it by hand, or put it back."))
        held.left = left
    return left


def _left(there: Aws, drill: Drill, held: Held) -> list[str]:
    """What is in the Region, what the account has more than before, and the DNS records that are otherwise."""
    new = leftovers.in_account(there) - held.globals
    changed = leftovers.records(there, held.row.records) ^ held.records
    return [
        *leftovers.in_region(there, prefixes=_prefixes(held.row)),
        *leftovers.tagged_by(there, drill.exercise_id),
        *sorted(one for one in new if one.partition(" ")[2].startswith(_prefixes(held.row))),
        *sorted(changed),
    ]


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
