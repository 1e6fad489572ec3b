"""One tenant's database that is damaged and comes back, while nobody else's is touched.

RDS restores whole instances only, so the way leads aside (aws-semantics 2.1): the instance is restored to the second
before the damage, the tenant is dumped from there, loaded beside under another name, looked at, and only then put in
the place of the damaged one.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_envdr import dumps, guard, mariadb, swaps, undo
from pytest_envdr.aws import rds
from pytest_envdr.drills import damages, heartbeats, neighbours, pages, reconciling, restores, tenant_checks
from pytest_envdr.drills.tenancy import tenancy
from pytest_envdr.drills.tenant_checks import Copy, Recovery
from pytest_envdr.errors import Refused, WaitFailed
from pytest_envdr.timeline import Mark, Phase

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.damages import Damage
    from pytest_envdr.drills.heartbeats import Beats
    from pytest_envdr.drills.reconciling import Orphan
    from pytest_envdr.drills.restores import Aside
    from pytest_envdr.drills.tenancy import Tenancy
    from pytest_envdr.dumps import Dump
    from pytest_envdr.journal import Journal
    from pytest_envdr.mariadb import Server
    from pytest_envdr.swaps import Safety
    from pytest_envdr.verify.database import Difference

__all__ = ["Before", "Copy", "RecoveredTenant", "Recovery", "recovered"]

SCENARIO, WORD, SOURCE = "single_tenant_recovery", "tenant", "point-in-time"
SEEN_SECONDS = 30.0
PAGE_SECONDS = 0.25
"""How often the tenant's page is asked: how far the RTA may be off."""
PATIENCE = 2
"""How many times the RTO a step is waited for, so that one that comes late is measured all the same."""


@dataclass(frozen=True)
class Before:
    """How all was before anything was touched.

    Attributes:
        instance: the stack's.
        server, identity: where it is, and how it tells that it is itself.
        tenancy: everybody on it.
        safety: the tenant's database.
        digests: of the central database and all other tenants'.
        orphans: documents and rows that had no other half already.
    """

    instance: rds.Instance
    server: Server
    identity: str
    tenancy: Tenancy
    safety: Safety
    digests: Mapping[str, str]
    orphans: tuple[Orphan, ...]


class RecoveredTenant:
    """A tenant whose database was damaged, and the steps that bring it back, in this order: `wait_until_seen`,
    `restore`, `extract`, `check_copy`, `swap`, `wait_until_recovered`.

    Attributes:
        before: how all was.
        fault: when the damage was done.
        copy: the name of its copy beside it.
        damaged: the name under which the damaged database is kept until sign-off.
    """

    def __init__(
        self, aws: Aws, journal: Journal, drill: Drill, before: Before, *, fault: datetime, directory: Path
    ) -> None:
        database = before.tenancy.subject.database
        self.before = before
        self.fault = fault
        self.copy = swaps.own_name(drill.exercise_id, database)
        self.damaged = swaps.own_name(drill.exercise_id, database, end="_damaged")
        self._aws, self._journal, self._drill = aws, journal, drill
        self._directory = directory
        self._aside: Aside | None = None
        self._dump: Dump | None = None
        self._survived: Beats | None = None

    @property
    def database(self) -> str:
        """The tenant's own."""
        return self.before.tenancy.subject.database

    @property
    def _spared(self) -> tuple[str, ...]:
        return self.before.tenancy.database.declared_writes

    @property
    def _restored(self) -> Server:
        if self._aside is None or self._aside.server is None:
            raise Refused("The tenant was not restored yet: call `restore` first.")
        return self._aside.server

    @property
    def _dumped(self) -> Dump:
        if self._dump is None:
            raise Refused("The tenant was not extracted yet: call `extract` first.")
        return self._dump

    def wait_until_seen(self) -> None:
        """Until the tenant's database is not what it was; marks SEEN."""
        self._drill.wait_until(
            lambda: swaps.digest(self.before.server, self.database, spared=self._spared),
            lambda digest: digest != self.before.safety.digest,
            what=f"the damage of {self.database} being seen",
            deadline=SEEN_SECONDS,
        )
        self._drill.mark(Mark.SEEN)

    def restore(self) -> None:
        """Take the tenant out of service, and restore the instance aside, to the second before the damage.

        Raises:
            WaitTimedOut: the binary logs were not archived that far, or the copy did not come up.
            WaitFailed: the copy is in a state that it does not leave, or cannot be reached.
        """
        drill, aws, journal = self._drill, self._aws, self._journal
        swaps.quiesce(aws, journal)
        instant = self.fault.replace(microsecond=0)
        instance = drill.wait_until(
            lambda: rds.instance(aws, self.before.instance.identifier),
            lambda now: now.restorable_until is not None and now.restorable_until > instant,
            what=f"binary logs archived up to {instant:%H:%M:%S} UTC",
            deadline=PATIENCE * drill.rto_seconds,
            longest_interval=1.0,
        )
        origin = restores.at_instant(instance, instant)
        self._aside = restores.prepare(aws, journal, drill, instance, origin, word=WORD, ports=())
        restores.request(aws, journal, drill, self._aside)
        restores.wait_until_available(aws, journal, drill, self._aside)
        restores.log_in(aws, journal, drill, self._aside)

    def extract(self) -> None:
        """Dump the tenant from the restored instance, and load it beside, under a name of the drill's own.

        Raises:
            EnvdrError: it could not be dumped or loaded.
        """
        self._dump = dumps.dump(self._restored, self.database, self._directory / "extracted.sql")
        swaps.bring_in(self._aws, self._journal, self._dump, self.copy)
        self._drill.mark("extracted")
        self._drill.note(f"{self.database} was extracted with {self._dump.client}, and loaded as {self.copy}")

    def check_copy(self) -> Copy:
        """How the copy differs from what was restored, and what in it is another's; each a finding."""
        drill, tenancy = self._drill, self.before.tenancy
        differences = tenant_checks.compared(self._restored, self.database, self.before.server, self.copy)
        foreign = neighbours.foreign(
            self.before.server,
            self.copy,
            slug=tenancy.subject.slug,
            identity=tenancy.row.identity,
            others=tenancy.neighbours,
        )
        title = f"{self.copy} is not what was restored"
        tenant_checks.tell_differences(drill, differences, id_="tenant.copy", title=title, remedy="Extract it again.")
        tenant_checks.tell_foreign(drill, foreign, self.copy)
        return Copy(differences, foreign)

    def swap(self) -> None:
        """Keep the damaged database under a name of the drill's own, and put what was extracted in its place.

        Raises:
            NotCleared: nobody allows it for this stack.
            Refused: another server answers than before, or the copy was found wanting.
        """
        guard.check_allowed(self._aws.stack, SCENARIO, "swap", datetime.now(UTC).astimezone().date())
        self._check_server()
        if self._drill.failures:
            raise Refused(f"{self.copy} is not swapped in: {self._drill.failures[0]}")
        if swaps.digest(self.before.server, self.database, spared=self._spared):
            kept = dumps.dump(self.before.server, self.database, self._directory / "damaged.sql")
            swaps.bring_in(self._aws, self._journal, kept, self.damaged)
            self._drill.note(f"the damaged database is kept as {self.damaged} until sign-off")
        swaps.replace(self._aws, self._journal, self._dumped, self.database, safety=self.before.safety)
        self._survived = heartbeats.read(self.before.server, [self.database], self.before.tenancy.database.heartbeat)[
            self.database
        ]
        self._drill.mark("swapped in")

    def wait_until_recovered(self) -> Recovery:
        """Put the tenant back in service; until its page answers, and all that must be true of it was looked at.

        Raises:
            WaitTimedOut: its page does not answer.
        """
        drill, tenancy = self._drill, self.before.tenancy
        differences = self._check_equal()
        self._resume()
        row = self._aws.stack.services[tenancy.row.service]
        page = tenancy.row.page.format(slug=tenancy.subject.slug)
        drill.wait_until(
            lambda: pages.answers(row, page),
            what=f"{page} of {row.name} answering 200",
            deadline=PATIENCE * drill.rto_seconds,
            longest_interval=PAGE_SECONDS,
        )
        recovered = drill.mark(Mark.RECOVERED, error_seconds=PAGE_SECONDS)
        disturbed = self._check_neighbours()
        orphans = tenant_checks.tell_orphans(drill, self.before.orphans, _orphans(self._aws, self.before))
        words = (tenancy.subject.slug, self.database)
        tenant_checks.tell_jobs(drill, reconciling.failed_jobs(self.before.server, tenancy.database.central, words))
        lost = self._loss()
        rpa = self._recovery_point()
        drill.mark(Mark.VERIFIED, clock=max(recovered.clock, drill.clock.monotonic()))
        return Recovery(drill.since(Mark.FAULT), rpa, differences, disturbed, orphans, lost)

    def _check_server(self) -> None:
        """Names and passwords are the same on both servers: only its identity tells the stack's own from the copy."""
        with mariadb.session(swaps.server(self._aws)) as cursor:
            now = mariadb.identity(cursor)
        if now != self.before.identity:
            raise Refused(f"Nothing is swapped in: {now} answers in the place of {self.before.identity}.")

    def _check_equal(self) -> list[Difference]:
        found = tenant_checks.compared(
            self._restored, self.database, self.before.server, self.database, spared=self._spared
        )
        tenant_checks.tell_differences(
            self._drill,
            found,
            id_="tenant.content",
            title=f"{self.database} is not what was restored",
            remedy="Somebody wrote to it meanwhile, or the load was not complete: look at the differences.",
        )
        return found

    def _resume(self) -> None:
        """The undoing of what took it out of service."""
        owed = [entry for entry in self._journal.owed() if entry.inverse.operation == swaps.RESUME]
        for entry in reversed(owed):
            undo.reverse(self._aws, self._journal, entry)
        if not swaps.in_service(self._aws, self.before.tenancy.subject.slug):
            raise WaitFailed(f"Tenant {self.before.tenancy.subject.slug} is not back in service.")

    def _check_neighbours(self) -> list[str]:
        names = self.before.tenancy.neighbours
        after = neighbours.digests(self.before.server, names, spared=self._spared)
        tenant_checks.neighbours_table(self._drill, self.before.digests, after)
        found = neighbours.disturbed(self.before.digests, after)
        tenant_checks.tell_disturbed(self._drill, found)
        return found

    def _loss(self) -> list[Difference]:
        """What was there just before the damage and is not any longer; the dump of then is loaded only where needed."""
        lost: list[Difference] = []
        if swaps.digest(self.before.server, self.database, spared=self._spared) != self.before.safety.digest:
            name = swaps.own_name(self._drill.exercise_id, self.database, end="_before")
            swaps.bring_in(self._aws, self._journal, self.before.safety.dump, name)
            lost = tenant_checks.compared(
                self.before.server, name, self.before.server, self.database, spared=self._spared
            )
        tenant_checks.tell_lost(self._drill, lost)
        return lost

    def _recovery_point(self) -> float:
        row = self.before.tenancy.database
        central = heartbeats.read(self.before.server, [row.central], row.heartbeat)[row.central]
        return tenant_checks.tell_loss(
            self._drill,
            self.database,
            central=central,
            survived=self._survived or heartbeats.Beats({}),
            fault=self.fault,
            source=SOURCE,
        )


@contextmanager
def recovered(aws: Aws, journal: Journal, drill: Drill, damage: Damage) -> Iterator[RecoveredTenant]:
    """Damage the database of the stack's drill tenant. All that the drill makes goes with it; the tenant is what it was
    before the damage, or what was recovered where the two are equal.

    Raises:
        NotCleared: swapping in is not allowed for this stack.
        Refused: the tenant cannot be recovered, and nothing was touched.
    """
    with tempfile.TemporaryDirectory(prefix="envdr-") as directory:
        with drill.phase(Phase.KICK_OFF):
            before = _before(aws, journal, drill)
            with mariadb.session(before.server, database=before.tenancy.database.central) as cursor:
                planned = damages.plan(
                    cursor,
                    before.tenancy.subject.database,
                    damage,
                    spared=before.tenancy.database.declared_writes,
                )
        with drill.phase(Phase.TRIGGER):
            name = before.tenancy.subject.database
            fault = drill.mark(Mark.FAULT)
            swaps.change(aws, journal, name, planned.statements, safety=before.safety)
            drill.note(f"{name}: {planned.words}")
        yield RecoveredTenant(aws, journal, drill, before, fault=fault.at, directory=Path(directory))


def _before(aws: Aws, journal: Journal, drill: Drill) -> Before:
    guard.check_allowed(aws.stack, SCENARIO, "swap", datetime.now(UTC).astimezone().date())
    aws.stack.needs("database", "drill_tenant")
    database = aws.stack.database
    instance = rds.instance(aws, database.instance if database else "")
    server = restores.source_server(aws, instance)
    everyone = tenancy(aws, server)
    subject = everyone.subject
    restores.check_possible(aws, instance, server)
    restores.newest(aws, instance, SOURCE)
    if not swaps.in_service(aws, subject.slug):
        raise Refused(f"Nothing was touched: tenant {subject.slug} is out of service already.")
    spared = everyone.database.declared_writes
    with mariadb.session(server) as cursor:
        identity = mariadb.identity(cursor)
    safety = swaps.kept(aws, journal, subject.database, spared=spared)
    before = Before(
        instance,
        server,
        identity,
        everyone,
        safety,
        neighbours.digests(server, everyone.neighbours, spared=spared),
        (),
    )
    drill.note(f"{subject.database} of tenant {subject.slug} is damaged; {len(everyone.others)} others must not notice")
    return Before(**{**vars(before), "orphans": tuple(_orphans(aws, before))})


def _orphans(aws: Aws, before: Before) -> list[Orphan]:
    subject, row = before.tenancy.subject, before.tenancy.database
    if not subject.bucket:
        return []
    return reconciling.documents(aws, before.server, subject.database, bucket=subject.bucket, query=row.documents)
