"""The steps of recovering a tenant: restored aside, extracted, looked at, swapped in, back in service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from pytest_envdr import guard, mariadb, swaps, undo
from pytest_envdr.aws import rds
from pytest_envdr.drills import heartbeats, neighbours, pages, reconciling, restores, tenant_checks
from pytest_envdr.drills.tenant_checks import Copy, Recovery
from pytest_envdr.errors import Refused, WaitFailed, WaitTimedOut
from pytest_envdr.timeline import Mark

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.heartbeats import Beats
    from pytest_envdr.drills.reconciling import Orphan
    from pytest_envdr.drills.restores import Aside
    from pytest_envdr.drills.tenancy import Tenancy
    from pytest_envdr.dumps import Dump
    from pytest_envdr.journal import Journal
    from pytest_envdr.mariadb import Server
    from pytest_envdr.swaps import Safety
    from pytest_envdr.verify.database import Difference

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
        beats: its heartbeats.
        digests: of the central database and all other tenants'.
        orphans: documents and rows that had no other half already.
    """

    instance: rds.Instance
    server: Server
    identity: str
    tenancy: Tenancy
    safety: Safety
    beats: Beats
    digests: Mapping[str, str]
    orphans: tuple[Orphan, ...]

    @property
    def database(self) -> str:
        """The tenant's."""
        return self.tenancy.subject.database

    @property
    def spared(self) -> tuple[str, ...]:
        """Tables that others write to meanwhile."""
        return self.tenancy.database.declared_writes


@dataclass
class Case:
    """One recovery, as far as it has come.

    Attributes:
        before: how all was.
        fault: when the damage was done.
        copy: what the tenant's copy beside it is called.
        damaged: under which name the damaged database is kept until sign-off.
        aside: the instance restored aside.
        dump: what was extracted from it.
        survived: the heartbeats in what was swapped in.
    """

    before: Before
    fault: datetime
    copy: str
    damaged: str
    aside: Aside | None = None
    dump: Dump | None = None
    survived: Beats | None = None

    @property
    def restored(self) -> Server:
        """How to log in to the instance restored aside.

        Raises:
            Refused: it was not restored yet.
        """
        if self.aside is None or self.aside.server is None:
            raise Refused("The tenant was not restored yet: that step comes first.")
        return self.aside.server

    @property
    def extracted(self) -> Dump:
        """The tenant's database from there.

        Raises:
            Refused: it was not extracted yet.
        """
        if self.dump is None:
            raise Refused("The tenant was not extracted yet: that step comes first.")
        return self.dump


def wait_until_beating(drill: Drill, server: Server, tenancy: Tenancy) -> None:
    """Until the tenant gets another heartbeat: without, nothing would tell its recovery point. One that was out of
    service a moment ago does not yet.

    Raises:
        Refused: it does not.
    """
    row, name = tenancy.database, tenancy.subject.database

    def newest() -> int:
        return heartbeats.read(server, [name], row.heartbeat)[name].newest or 0

    first = newest()
    try:
        drill.wait_until(
            newest,
            lambda number: number > first,
            what=f"a heartbeat in {name}",
            deadline=SEEN_SECONDS,
            longest_interval=0.5,
        )
    except WaitTimedOut as error:
        raise Refused(
            f"Nothing was touched: {name} gets no heartbeat, without which nothing tells its recovery point.\n"
            f"Looked at: {row.heartbeat.query or row.heartbeat.table}\n"
            "To go on: start what writes it, or name another table in `database.heartbeat`."
        ) from error


def wait_until_seen(drill: Drill, case: Case) -> None:
    """Until the tenant's database is not what it was; marks SEEN."""
    before = case.before
    drill.wait_until(
        lambda: swaps.digest(before.server, before.database, spared=before.spared),
        lambda digest: digest != before.safety.digest,
        what=f"the damage of {before.database} being seen",
        deadline=SEEN_SECONDS,
    )
    drill.mark(Mark.SEEN)


def restore(aws: Aws, journal: Journal, drill: Drill, case: Case) -> None:
    """Take the tenant out of service, and restore the instance aside, to the second before the damage.

    Raises:
        WaitTimedOut: the binary logs were not archived that far, or the copy did not come up.
        WaitFailed: the copy is in a state that it does not leave, or cannot be reached.
    """
    swaps.quiesce(aws, journal)
    instant = case.fault.replace(microsecond=0)
    instance = drill.wait_until(
        lambda: rds.instance(aws, case.before.instance.identifier),
        lambda now: now.restorable_until is not None and now.restorable_until > instant,
        what=f"binary logs archived up to {instant:%H:%M:%S} UTC",
        deadline=PATIENCE * drill.rto_seconds,
        longest_interval=1.0,
    )
    origin = restores.at_instant(instance, instant)
    case.aside = restores.prepare(aws, journal, drill, instance, origin, word=WORD, ports=())
    restores.request(aws, journal, drill, case.aside)
    restores.wait_until_available(aws, journal, drill, case.aside)
    restores.log_in(aws, journal, drill, case.aside)


def extract(aws: Aws, journal: Journal, drill: Drill, case: Case) -> None:
    """Dump the tenant from the restored instance, and load it beside, under a name of the drill's own.

    Raises:
        EnvdrError: it could not be dumped or loaded.
    """
    case.dump = swaps.dumped(journal, case.restored, case.before.database)
    swaps.bring_in(aws, journal, case.dump, case.copy)
    drill.mark("extracted")
    drill.note(f"{case.before.database} was extracted with {case.dump.client}, and loaded as {case.copy}")


def check_copy(drill: Drill, case: Case) -> Copy:
    """How the copy differs from what was restored, and what in it is another's; each a finding."""
    before, tenancy = case.before, case.before.tenancy
    differences = tenant_checks.compared(case.restored, before.database, before.server, case.copy)
    foreign = neighbours.foreign(
        before.server,
        case.copy,
        slug=tenancy.subject.slug,
        identity=tenancy.row.identity,
        others=tenancy.neighbours,
    )
    title = f"{case.copy} is not what was restored"
    tenant_checks.tell_differences(drill, differences, id_="tenant.copy", title=title, remedy="Extract it again.")
    tenant_checks.tell_foreign(drill, foreign, case.copy)
    return Copy(differences, foreign)


def swap(aws: Aws, journal: Journal, drill: Drill, case: Case) -> None:
    """Keep the damaged database under a name of the drill's own, and put what was extracted in its place.

    Raises:
        NotCleared: nobody allows it for this stack.
        Refused: another server answers than before, or the copy was found wanting.
    """
    before = case.before
    guard.check_allowed(aws.stack, SCENARIO, "swap", datetime.now(UTC).astimezone().date())
    _check_server(aws, before)
    if drill.failures:
        raise Refused(f"{case.copy} is not swapped in: {drill.failures[0]}")
    if swaps.digest(before.server, before.database, spared=before.spared):
        kept = swaps.dumped(journal, before.server, before.database)
        swaps.bring_in(aws, journal, kept, case.damaged)
        drill.note(f"the damaged database is kept as {case.damaged} until sign-off")
    swaps.replace(aws, journal, case.extracted, before.database, safety=before.safety)
    row = before.tenancy.database.heartbeat
    case.survived = heartbeats.read(before.server, [before.database], row)[before.database]
    drill.mark("swapped in")


def recover(aws: Aws, journal: Journal, drill: Drill, case: Case) -> Recovery:
    """Put the tenant back in service; until its page answers, and all that must be true of it was looked at.

    Raises:
        WaitTimedOut: its page does not answer.
    """
    before, tenancy = case.before, case.before.tenancy
    differences = _check_equal(drill, case)
    _resume(aws, journal, tenancy.subject.slug)
    _wait_for_page(aws, drill, tenancy)
    disturbed = _check_neighbours(drill, before)
    orphans = tenant_checks.tell_orphans(drill, before.orphans, orphaned(aws, before.server, tenancy))
    words = (tenancy.subject.slug, before.database)
    tenant_checks.tell_jobs(drill, reconciling.failed_jobs(before.server, tenancy.database.central, words))
    lost = _loss(aws, journal, drill, case)
    survived = case.survived or heartbeats.Beats({})
    rpa = tenant_checks.tell_loss(drill, before.database, _beats(case), survived, fault=case.fault, source=SOURCE)
    drill.mark(Mark.VERIFIED)
    return Recovery(drill.since(Mark.FAULT), rpa, differences, disturbed, orphans, lost)


def orphaned(aws: Aws, server: Server, tenancy: Tenancy) -> list[Orphan]:
    """The tenant's documents and rows without their other half."""
    subject = tenancy.subject
    if not subject.bucket:
        return []
    query = tenancy.database.documents
    return reconciling.documents(aws, server, subject.database, bucket=subject.bucket, query=query)


def _check_server(aws: Aws, before: Before) -> None:
    """Names and passwords are the same on both servers: only its identity tells the stack's own from the copy."""
    with mariadb.session(swaps.server(aws)) as cursor:
        now = mariadb.identity(cursor)
    if now != before.identity:
        raise Refused(f"Nothing is swapped in: {now} answers in the place of {before.identity}.")


def _check_equal(drill: Drill, case: Case) -> list[Difference]:
    name, before = case.before.database, case.before
    found = tenant_checks.compared(case.restored, name, before.server, name, spared=before.spared)
    tenant_checks.tell_differences(
        drill,
        found,
        id_="tenant.content",
        title=f"{name} is not what was restored",
        remedy="Somebody wrote to it meanwhile, or the load was not complete: look at the differences.",
    )
    return found


def _resume(aws: Aws, journal: Journal, slug: str) -> None:
    """The undoing of what took it out of service."""
    for entry in reversed([entry for entry in journal.owed() if entry.inverse.operation == swaps.RESUME]):
        undo.reverse(aws, journal, entry)
    if not swaps.in_service(aws, slug):
        raise WaitFailed(f"Tenant {slug} is not back in service.")


def _wait_for_page(aws: Aws, drill: Drill, tenancy: Tenancy) -> None:
    row = aws.stack.services[tenancy.row.service]
    page = tenancy.row.page.format(slug=quote(tenancy.subject.slug, safe=""))
    drill.wait_until(
        lambda: pages.answers(row, page),
        what=f"{page} of {row.name} answering 200",
        deadline=PATIENCE * drill.rto_seconds,
        longest_interval=PAGE_SECONDS,
    )
    drill.mark(Mark.RECOVERED, error_seconds=PAGE_SECONDS)


def _check_neighbours(drill: Drill, before: Before) -> list[str]:
    after = neighbours.digests(before.server, before.tenancy.neighbours, spared=before.spared)
    tenant_checks.neighbours_table(drill, before.digests, after)
    found = neighbours.disturbed(before.digests, after)
    tenant_checks.tell_disturbed(drill, found)
    return found


def _beats(case: Case) -> Beats:
    """The tenant's heartbeats up to the damage: those that were read before, and what the central database, which was
    not damaged, has of the moments between."""
    row = case.before.tenancy.database
    central = heartbeats.read(case.before.server, [row.central], row.heartbeat)[row.central]
    newest = case.before.beats.newest or 0
    between = {number: at for number, at in central.rows.items() if number > newest and at <= case.fault}
    return heartbeats.Beats({**case.before.beats.rows, **between})


def _loss(aws: Aws, journal: Journal, drill: Drill, case: Case) -> list[Difference]:
    """What was there just before the damage and is not any longer; the dump of then is loaded only where needed."""
    before, lost = case.before, []
    if swaps.digest(before.server, before.database, spared=before.spared) != before.safety.digest:
        name = swaps.own_name(drill.exercise_id, before.database, end="_before")
        swaps.bring_in(aws, journal, before.safety.dump, name)
        lost = tenant_checks.compared(before.server, name, before.server, before.database, spared=before.spared)
    tenant_checks.tell_lost(drill, lost)
    return lost
