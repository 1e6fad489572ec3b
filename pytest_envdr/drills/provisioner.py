"""A tenant that is founded while the provisioner is kept from its work: it has no bucket, and one is made by hand.

Then the provisioner is put back, and what comes late must change nothing.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, get_args

from pytest_envdr import founding, undo
from pytest_envdr.aws import s3, s3_acts
from pytest_envdr.drills import (
    Finding,
    RecoveryPoint,
    alarms,
    manual_buckets,
    provisioner_events,
    provisioner_fit,
    provisioner_late,
    provisioner_seen,
)
from pytest_envdr.drills.provisioner_ways import WAYS, Disabling
from pytest_envdr.drills.subject import SETTLE_SECONDS
from pytest_envdr.errors import Refused, UndoFailed
from pytest_envdr.timeline import Mark, Phase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.alarms import Watch
    from pytest_envdr.drills.manual_buckets import Manual
    from pytest_envdr.drills.provisioner_events import Told
    from pytest_envdr.drills.provisioner_fit import Reconciled, Settings
    from pytest_envdr.drills.provisioner_ways import Way
    from pytest_envdr.drills.tenancy import Tenant
    from pytest_envdr.founding import Founded
    from pytest_envdr.journal import Entry, Journal
    from pytest_envdr.tables import Provisioner
    from pytest_envdr.verify.bucket import Difference

__all__ = ["Case", "DisabledProvisioner", "Disabling", "disabled"]

NAME = "A tenant of a disaster-recovery exercise"


@dataclass
class Case:
    """What one drill knows.

    Attributes:
        how: how the provisioner is kept from its work.
        row: the stack file's `[provisioner]`.
        token: six digits that the names of all bear that the drill tells of: its tenant, its probes.
        before: the provisioner as it was.
        like: the tenant whose bucket the new one is to be like.
        reconciled: tenants and buckets before.
        worked_seconds: how long the provisioner took for a probe before.
        watch: what shall notice the fault, where anything can.
        fault: the journal's entry of what was done to the provisioner.
        probe, event: what was told meanwhile: of a tenant that there is not, and of the drill's own.
        tenant: the drill's own.
        manual: the bucket made by hand.
        own: every event of the drill's own, in order.
        back_at: when the provisioner was put back.
        lost: events that nothing has: neither a dead-letter queue nor, where it alone can, an archive.
    """

    how: Disabling
    row: Provisioner
    token: str
    before: Settings
    like: Tenant
    reconciled: Reconciled
    worked_seconds: float = 0.0
    watch: Watch | None = None
    fault: Entry | None = None
    probe: Told | None = None
    event: Told | None = None
    tenant: Founded | None = None
    manual: Manual | None = None
    own: list[Told] = field(default_factory=list)
    back_at: datetime | None = None
    lost: list[Told] = field(default_factory=list)

    @property
    def way(self) -> Way:
        """What that is: how it is done, and where events go."""
        return WAYS[self.how]

    @property
    def slug(self) -> str:
        """The drill's own tenant."""
        return f"envdr-{self.token}"

    @property
    def told(self) -> list[Told]:
        """The events that the provisioner was kept from."""
        return [one for one in (self.probe, self.event) if one is not None]

    @property
    def letters(self) -> provisioner_events.Way:
        """Where they come instead."""
        return self.way.letters(self.row, self.before)


class DisabledProvisioner:
    """A provisioner that is kept from its work, a tenant that was founded meanwhile, and the steps of the runbook, in
    this order: `wait_until_seen`, `recover`, `check`, `put_back`, `check_late`, `reconcile`.

    Attributes:
        case: what the drill knows.
    """

    def __init__(self, aws: Aws, journal: Journal, drill: Drill, case: Case) -> None:
        self.case = case
        self._aws, self._journal, self._drill = aws, journal, drill

    @property
    def tenant(self) -> Founded:
        """The drill's own."""
        if self.case.tenant is None:  # `disabled` founded it
            raise Refused("No tenant was founded.")
        return self.case.tenant

    def wait_until_seen(self) -> None:
        """The tenant is usable as is documented for one without a bucket; and somebody is told. Marks SEEN."""
        provisioner_seen.check_degraded(self._aws, self._drill, self.case, self.tenant)
        provisioner_seen.wait_until_seen(self._aws, self._drill, self.case)

    def recover(self) -> Manual:
        """Make the bucket by hand; marks RECOVERED when the application keeps a document there and reads it back.

        Raises:
            AwsError: S3 refuses a step of the procedure.
            WaitTimedOut: the application does not keep documents there.
        """
        made = manual_buckets.create(self._aws, self._journal, self._drill, self.tenant, self.case.like)
        self.case.manual = made
        content = f"{self._drill.exercise_id} {secrets.token_hex(16)}".encode()
        self._drill.wait_until(
            lambda: _kept(self._aws, self.tenant.slug, content),
            lambda wrong: not wrong,
            what=f"the application keeping a document in {made.bucket}",
            deadline=provisioner_seen.APPLICATION_SECONDS,
            tolerated=(OSError, ValueError),
            shown=str,
        )
        self._drill.mark(Mark.RECOVERED, error_seconds=0.0)
        return made

    def check(self) -> list[Difference]:
        """Hold the bucket against another tenant's: each aspect that differs is a finding; marks VERIFIED where none
        does, and the application's record points to it."""
        made = self.case.manual or self.recover()
        names = {"slug": self.tenant.slug, "name": made.bucket}
        found = manual_buckets.differences(self._aws, self._drill, self.case.like, **names)
        manual_buckets.tell(self._drill, found, self.case.like, made.bucket)
        wrong = [one for one in found if one.kind != "unreadable"]
        recorded = founding.tenant(self._aws.stack, self.tenant.slug)
        if recorded is None or recorded.bucket != made.bucket:
            title = f"the record of tenant {self.tenant.slug} does not point to {made.bucket}"
            remedy = "Note it: `php artisan tenant:bucket`."
            self._drill.finding(Finding("tenant.record", "failure", title, str(recorded), remedy))
        elif not wrong:
            self._drill.mark(Mark.VERIFIED)
        return wrong

    def put_back(self) -> None:
        """Let the provisioner work as before, and see that it does."""
        provisioner_late.put_back(self._aws, self._journal, self._drill, self.case)

    def check_late(self) -> list[str]:
        """What comes late changes nothing; what it changed otherwise. Marks down what was lost."""
        changed = provisioner_late.check(self._aws, self._journal, self._drill, self.case, self.tenant)
        self._tell_lost()
        return changed

    def reconcile(self) -> Reconciled:
        """All tenants against all buckets, once more."""
        found = provisioner_fit.reconcile(self._aws, self.case.row, but=self.case.token)
        provisioner_fit.tell(self._drill, found, when="after")
        if found.missing(self.tenant.slug):
            title = f"tenant {self.tenant.slug} has no bucket after all"
            self._drill.finding(Finding("tenant.no-bucket", "failure", title))
        return found

    def _tell_lost(self) -> None:
        """Events that are lost without a trace: the recovery point actual is how long they were."""
        case, fault = self.case, self._drill.marked(Mark.FAULT)
        lasted = (case.back_at - fault.at).total_seconds() if case.lost and case.back_at and fault else 0.0
        newest = next((f"event {one.id} of {one.slug}" for one in case.told if one not in case.lost), "none")
        point = RecoveryPoint("events", lasted, newest, len(case.lost), source="")
        self._drill.recovery_point(point)


@contextmanager
def disabled(
    aws: Aws,
    journal: Journal,
    drill: Drill,
    *,
    how: Disabling,
    settle_seconds: float = SETTLE_SECONDS,
    effect_seconds: float = provisioner_seen.EFFECT_SECONDS,
) -> Iterator[DisabledProvisioner]:
    """Keep the provisioner from its work, see that it is, and found a tenant. On leaving, however it is left, the
    provisioner is exactly as before, and nothing of the drill's tenants is left.

    Args:
        aws, journal, drill: as everywhere.
        how: see `provisioner_ways`.
        settle_seconds: how long the traces of an earlier drill may take to go.
        effect_seconds: how long a change may take to be in effect.

    Raises:
        StackFileError: the stack file lacks `[provisioner]` or `[database]`.
        Refused: the provisioner is not there, or not at work; it was not touched.
        WaitFailed: the fault is not active, or the application founds no tenant.
        UndoFailed: on leaving, something could not be brought back.
    """
    with drill.phase(Phase.KICK_OFF):
        case = _case(aws, drill, how)
    with _put_back(aws, journal, drill, case):
        with drill.phase(Phase.KICK_OFF):
            _prepare(aws, journal, drill, case, settle_seconds)
        with drill.phase(Phase.TRIGGER):
            _inflict(aws, journal, drill, case, effect_seconds)
            _found(aws, journal, drill, case)
        yield DisabledProvisioner(aws, journal, drill, case)


def _case(aws: Aws, drill: Drill, how: Disabling) -> Case:
    if how not in get_args(Disabling):
        raise Refused(f"The provisioner cannot be disabled by {how!r}: there are {', '.join(get_args(Disabling))}.")
    before = provisioner_fit.check_fit(aws, drill)
    row = founding.row(aws.stack)
    reconciled = provisioner_fit.reconcile(aws, row)
    provisioner_fit.tell(drill, reconciled, when="before")
    if reconciled.without_bucket:
        slugs = ", ".join(tenant.slug for tenant in reconciled.without_bucket[:10])
        title = f"{len(reconciled.without_bucket)} tenants have no bucket, and had none before the drill"
        drill.finding(Finding("tenant.without-bucket", "warning", title, slugs, "Make them by the runbook."))
    like = provisioner_fit.reference(aws, row)
    return Case(how, row, secrets.token_hex(3), before, like, reconciled)


def _prepare(aws: Aws, journal: Journal, drill: Drill, case: Case, settle_seconds: float) -> None:
    """The alarms are quiet and somebody listens; and the provisioner is seen to work."""
    topic = aws.stack.notifications.topic
    if case.way.told:
        for finding in alarms.check_alarms(aws, case.row.alarms, topic):
            if finding.id != "alarm.blind-spot":  # these alarms are on what happens, not on what does not
                drill.finding(finding)
        for finding in alarms.check_subscribers(aws, topic, aws.stack.notifications.subscribers):
            drill.finding(finding)
        alarms.check_quiet(aws, drill, case.row.alarms, settle_seconds=settle_seconds)
        case.watch = alarms.listen(aws, journal, topic, case.row.alarms)
    case.worked_seconds = provisioner_seen.prove_works(aws, journal, drill, case, "works")


def _inflict(aws: Aws, journal: Journal, drill: Drill, case: Case, effect_seconds: float) -> None:
    """Keep the provisioner from its work; the fault counts from the request that does it."""
    drill.mark(Mark.FAULT)
    case.way.inflict(aws, journal, case.row, case.before)
    case.fault = journal.entries[-1]
    drill.wait_until(
        lambda: case.way.in_effect(aws, case.row),
        what=f"{case.row.function} disabled: {case.how}",
        deadline=effect_seconds,
    )
    provisioner_seen.prove_kept_away(aws, journal, drill, case, effect_seconds=effect_seconds)


def _found(aws: Aws, journal: Journal, drill: Drill, case: Case) -> None:
    """A tenant, through the application, whose bucket nobody makes."""
    bucket = case.row.bucket.format(slug=case.slug)
    s3_acts.expect_bucket(journal, bucket, tenant=case.slug)
    inverse = provisioner_events.inverse(case.row, case.slug, bucket, case.letters)
    at = datetime.now(UTC)
    with journal.intending("application.TellOfTenant", {"slug": case.slug}, inverse=inverse) as entry:
        case.tenant, event = founding.found(aws, journal, case.slug, NAME)
        entry.settle({"told": bool(event)})
    drill.mark("tenant founded", event=event)
    if not event:
        title = f"the application founded tenant {case.slug} and told nobody: its event was not put on {case.row.bus}"
        drill.finding(Finding("events.not-told", "failure", title, "", "Look at the application's log."))
        return
    case.event = provisioner_events.Told(case.slug, case.tenant.bucket, event, at)
    case.own.append(case.event)


def _kept(aws: Aws, slug: str, content: bytes) -> str:
    """Why a document is not kept, or ""."""
    answer = founding.keep_document(aws.stack, slug, "envdr.txt", content)
    if answer.status != founding.CREATED:
        return str(answer)
    read = founding.document(aws.stack, slug, int(answer.body["document"]["id"]))
    return "" if read == content else f"it reads {read[:60]!r}"


@contextmanager
def _put_back(aws: Aws, journal: Journal, drill: Drill, case: Case) -> Iterator[None]:
    """All that is owed, the newest first; then look whether all is as before."""
    try:
        yield
    finally:
        undo.replay(aws, journal, lambda undone: drill.note(f"{undone.entry.inverse.restores}: {undone.how}"))
        _check_as_before(aws, drill, case)


def _check_as_before(aws: Aws, drill: Drill, case: Case) -> None:
    now = provisioner_fit.settings(aws, case.row)
    drill.attach("settings-after.json", now.as_json, media_type="application/json")
    left = [*case.before.differences(now), *(f"bucket {name}" for name in s3.buckets(aws) if case.token in name)]
    if founding.tenant(aws.stack, case.slug) is not None:
        left.append(f"tenant {case.slug}")
    if left:
        raise UndoFailed(f"{case.row.function} is not as before, or something of the drill is left: {'; '.join(left)}")
