"""One tenant's database that is damaged and comes back, while nobody else's is touched.

RDS restores whole instances only, so the way leads aside (aws-semantics 2.1): the instance is restored to the second
before the damage, the tenant is dumped from there, loaded beside under another name, looked at, and only then put in
the place of the damaged one.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from pytest_envdr import guard, mariadb, swaps
from pytest_envdr.aws import rds
from pytest_envdr.drills import damages, heartbeats, neighbours, restores, tenant_steps
from pytest_envdr.drills.tenancy import tenancy
from pytest_envdr.drills.tenant_steps import Before, Case
from pytest_envdr.errors import Refused
from pytest_envdr.timeline import Mark, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.damages import Damage
    from pytest_envdr.drills.tenant_checks import Copy, Recovery
    from pytest_envdr.journal import Journal

__all__ = ["RecoveredTenant", "recovered"]


@dataclass(frozen=True)
class RecoveredTenant:
    """A tenant whose database was damaged, and the steps that bring it back, in their order.

    Attributes:
        case: how all was, and how far it has come.
        wait_until_seen: until the damage is noticed.
        restore: takes the tenant out of service and restores the instance aside, to the second before the damage.
        extract: loads the tenant from there beside the damaged database, under a name of the drill's own.
        check_copy: how that differs from what was restored, and what in it is another tenant's.
        swap: keeps the damaged database, and puts the copy in its place.
        wait_until_recovered: puts the tenant back in service, and looks at all that must be true.
    """

    case: Case
    wait_until_seen: Callable[[], None]
    restore: Callable[[], None]
    extract: Callable[[], None]
    check_copy: Callable[[], Copy]
    swap: Callable[[], None]
    wait_until_recovered: Callable[[], Recovery]


@contextmanager
def recovered(aws: Aws, journal: Journal, drill: Drill, damage: Damage) -> Iterator[RecoveredTenant]:
    """Damage the database of the stack's drill tenant. All that the drill makes goes with it; the tenant is what it was
    before the damage, or what was recovered where the two are equal.

    Raises:
        NotCleared: swapping in is not allowed for this stack.
        Refused: the tenant cannot be recovered, and nothing was touched.
    """
    with drill.phase(Phase.KICK_OFF):
        before = _before(aws, journal, drill)
        with mariadb.session(before.server) as cursor:
            planned = damages.plan(cursor, before.database, damage, spared=before.spared)
    with drill.phase(Phase.TRIGGER):
        fault = drill.mark(Mark.FAULT)
        swaps.change(aws, journal, before.database, planned.statements, safety=before.safety)
        drill.note(f"{before.database}: {planned.words}")
    copy, damaged = (swaps.own_name(drill.exercise_id, before.database, end=end) for end in ("", "_damaged"))
    case = Case(before, fault.at, copy, damaged)
    yield RecoveredTenant(
        case,
        partial(tenant_steps.wait_until_seen, drill, case),
        partial(tenant_steps.restore, aws, journal, drill, case),
        partial(tenant_steps.extract, aws, journal, drill, case),
        partial(tenant_steps.check_copy, drill, case),
        partial(tenant_steps.swap, aws, journal, drill, case),
        partial(tenant_steps.recover, aws, journal, drill, case),
    )


def _before(aws: Aws, journal: Journal, drill: Drill) -> Before:
    """All that is compared with later, or a refusal."""
    guard.check_allowed(aws.stack, tenant_steps.SCENARIO, "swap", datetime.now(UTC).astimezone().date())
    aws.stack.needs("database", "drill_tenant")
    row = aws.stack.database
    instance = rds.instance(aws, row.instance if row else "")
    server = restores.source_server(aws, instance)
    everyone = tenancy(aws, server)
    subject, spared = everyone.subject, everyone.database.declared_writes
    restores.check_possible(aws, instance, server)
    restores.newest(aws, instance, tenant_steps.SOURCE)
    if not swaps.in_service(aws, subject.slug):
        raise Refused(f"Nothing was touched: tenant {subject.slug} is out of service already.")
    tenant_steps.wait_until_beating(drill, server, everyone)
    with mariadb.session(server) as cursor:
        identity = mariadb.identity(cursor)
    others = f"{len(everyone.others)} others must not notice"
    drill.note(f"{subject.database} of tenant {subject.slug} is to be damaged; {others}")
    return Before(
        instance,
        server,
        identity,
        everyone,
        swaps.kept(aws, journal, subject.database, spared=spared),
        heartbeats.read(server, [subject.database], everyone.database.heartbeat)[subject.database],
        neighbours.digests(server, everyone.neighbours, spared=spared),
        tuple(tenant_steps.orphaned(aws, server, everyone)),
    )
