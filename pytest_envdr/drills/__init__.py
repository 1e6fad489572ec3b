"""What can be broken on purpose and brought back: one noun a file, context managers that need no pytest.

services    an ECS service stopped altogether, or all its tasks at once
subject     a service as it was before, and whether it is fit to be broken
outage      whether an outage was seen by all that ought to
alarms      whether an outage would be noticed, and whether it was
recovery    when a service counts as back

buckets         a tenant's bucket damaged, recovered into a staging bucket beside it, merged back
holdings        what a bucket holds before, and whether it is fit to be damaged
staging         a bucket configured like another, filled from versions or by AWS Backup
bucket_checks   a staging bucket held against the manifest: what failed, what cannot be kept, what was lost
merging         the merge plan: add, replace, conflict or skip, why, and by which command

deployments     a broken image deployed to a service, and the way back: by ECS, or by hand
releases        what a service runs, by revision and digest, and whether there is a way back to it
pipelines       the pipeline that ships to the service, kept out meanwhile
routes          whether that would ship a broken revision, and could be put right afterwards
shipping        a broken revision's way through the pipeline, and the pipeline started again
shipment_checks what the pipeline says of it, and whether it ships it again
rollbacks       what became of a bad deployment: seen by whom, rolled back by what
budgets         how long the circuit breaker may take
witnesses       who noticed it, when, and how the broken tasks ended: for the report
client          the client outside, whose answers say what an outage is

queues          a queue's workers killed or stopped with marked jobs in hand, and the way back
queue_fit       whether workers take jobs at all before, and whether their settings can go well
queue_faults    what is done to the workers, how it is noticed, and what is put back
queue_database  the database rebooted while jobs end
caches          the cache that the queue is in, restarted or failed over
cache_fit       whether it may be: what of others is in it
queue_listings  the plan's `queue:failed`, as CloudWatch Logs has what it wrote
queue_checks    what became of each job: done, lost, made again, executed twice
queue_logs      what the workers wrote meanwhile, where a job was lost or is stuck

control_plane   Terraform's state lost, on a copy or where it is, and recovered from its bucket's versions
state_places    the copy, its versions and its lock
state_fit       the state before, and whether it is fit to be lost
state_bucket    whether its bucket could give it back next year too
state_losses    what is done to it, and what Terraform says of that
state_recovery  which version is restored; digest and lock
state_checks    whether it is what it was: by lineage, serial, plan, and held against AWS both ways

provisioner         the tenant provisioner kept from its work while a tenant is founded, and the way back
provisioner_fit     the provisioner as it was before; all tenants against all buckets
provisioner_ways    how it is kept from its work, and where events go then
provisioner_seen    whether it works, whether the fault is active, who is told
provisioner_events  events of the drill's own: probes, dead letters given again, archives replayed
provisioner_late    what comes late, and that it changes nothing
manual_buckets      a tenant's bucket made by hand like another's, by the runbook's commands
configuring         how one bucket is configured like another

regions             the stack built again in its standby Region, and taken away again
standby_build       the Region built: the network, the database restored into it, all the rest
standby_plan        what a plan may do there: only create, and only there
standby_checks      whether it serves, on what it stands, and what was lost
standby_documents   where the tenants' documents are, as the restored database says
parity              whether the standby Region has what the stack needs
dependencies        whether what runs there names the primary Region
isolation           the primary Region taken away meanwhile
smoke_tests         the application tested from outside, by its load balancers

databases, restores, heartbeats     the database restored aside: from where, until when, what was lost
equivalence, integrity, smoke       whether the copy is configured, whole and of use
cutover, surroundings               services on it and back; what went on around it
tenants, tenant_steps, tenancy      one tenant's database damaged and brought back
damages, tenant_checks, neighbours  how it is damaged, whether it is whole, who must not notice
reconciling                         what database and bucket of a recovered tenant say of one another

A `Drill` is what one test tells: its time-line, its objectives, its findings. It neither holds nor changes AWS:
whatever does takes `aws` and `journal` beside it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pytest_envdr import waiting
from pytest_envdr.errors import UsageError
from pytest_envdr.timeline import Actuals, Phase, Timeline, actuals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from pytest_envdr.stack import Objective
    from pytest_envdr.timeline import Clock, Entry, Mark

__all__ = ["Attachment", "Drill", "Finding", "RecoveryPoint", "Severity", "Standing"]

T = TypeVar("T")

Severity = Literal["note", "warning", "failure"]

TABLE_ROWS = 50
"""How many rows of a table the report shows."""


@dataclass(frozen=True)
class Finding:
    """Something that the exercise found out: `id` in one word with dots, `title` in a sentence, `detail` as seen,
    `remedy` as advice. A `failure` fails the drill."""

    id: str
    severity: Severity
    title: str
    detail: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        return f"[{self.id}] {self.title}" + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True)
class RecoveryPoint:
    """How far the data of one store came back (aws-semantics 10.1.3).

    Attributes:
        store: what it is of: "database central", "bucket envelope-prod-tenant-acme".
        rpa_seconds: recovery point actual, from the newest write that survived to the fault; None where none did, and
            then nothing is known but that all may be lost.
        newest: the newest write that survived, in words: "heartbeat 4711 of 19:02:11.250 UTC".
        lost: how many writes before the fault did not survive; None where that cannot be counted.
        error_seconds: how far `rpa_seconds` may be off: what the writes are apart.
        source: what recovery started from ("automated", "versions", ...): the objective may differ by it.
    """

    store: str
    rpa_seconds: float | None
    newest: str
    lost: int | None
    error_seconds: float = 0.0
    source: str = ""


@dataclass(frozen=True)
class Attachment:
    """A file of the evidence; `path` is relative to the evidence directory."""

    name: str
    path: str
    media_type: str
    sha256: str


@dataclass(frozen=True)
class Standing:
    """How a wait stands, for a line on the terminal. Seconds; `elapsed` counts from the drill's fault, or beginning."""

    drill: str
    phase: str
    awaited: str
    elapsed: float
    waited: float
    deadline: float

    def __str__(self) -> str:
        left = f"{self.waited:.0f} of at most {self.deadline:.0f} s"
        return f"{self.drill}  {self.elapsed:.0f} s  {self.phase or 'set up'}: waiting for {self.awaited} ({left})"


class Drill(Timeline):
    """One test's time-line.

    Attributes:
        name: what the test is called in messages.
        exercise_id: the run that it belongs to; what it creates is named and tagged with it.
        objective: what is promised, None where nothing is.
        findings: what was found out, in order.
        recovery_points: how far each store's data came back.
    """

    def __init__(
        self,
        name: str,
        *,
        exercise_id: str,
        objective: Objective | None,
        directory: Path,
        sink: Callable[[Entry], None],
        clock: Clock,
        told: Callable[[Standing | None], None] = lambda _: None,
    ) -> None:
        super().__init__(sink, clock)
        self.name = name
        self.exercise_id = exercise_id
        self.objective = objective
        self.findings: list[Finding] = []
        self.recovery_points: list[RecoveryPoint] = []
        self._directory = directory
        self._told = told
        self._began = clock.monotonic()
        self._phase = ""

    @property
    def rto_seconds(self) -> float:
        """The recovery time objective.

        Raises:
            UsageError: there is none.
        """
        return self.check_objective().rto_seconds

    @property
    def rpo_seconds(self) -> float:
        """The recovery point objective.

        Raises:
            UsageError: there is none.
        """
        if (rpo := self.check_objective().rpo_seconds) is None:
            raise UsageError(f"{self.name} has no recovery point objective.\nTo go on: give the marker `rpo_seconds`.")
        return rpo

    def rpo_of(self, source: str) -> float:
        """The recovery point objective of a recovery that starts from `source` ("automated", "versions", ...).

        Raises:
            UsageError: there is none.
        """
        rpo = self.check_objective().rpo_of(source)
        return self.rpo_seconds if rpo is None else rpo

    @property
    def rpa_seconds(self) -> float | None:
        """The recovery point actual: the worst of the stores; None where none is known, or one of them is not."""
        known = [point.rpa_seconds for point in self.recovery_points]
        return None if not known or None in known else max(point for point in known if point is not None)

    @property
    def failures(self) -> list[Finding]:
        """The findings that fail the drill."""
        return [finding for finding in self.findings if finding.severity == "failure"]

    @property
    def actuals(self) -> Actuals:
        """RTA and its parts so far; all None until the recovery is verified."""
        return actuals(self.entries)

    @contextmanager
    def phase(self, phase: Phase | str) -> Iterator[None]:
        """A phase of the plan's step breakdown, from entering to leaving."""
        before, self._phase = self._phase, str(Phase(phase))
        try:
            with super().phase(phase):
                yield
        finally:
            self._phase = before

    def note(self, text: str) -> None:
        """Something worth writing down."""
        self.add("note", text=text)

    def deviation(self, text: str) -> None:
        """Something that was done otherwise than the runbook says."""
        self.add("deviation", text=text)

    def finding(self, finding: Finding) -> Finding:
        """Something found out; the same one twice is told once."""
        if finding not in self.findings:
            self.findings.append(finding)
            self.add("finding", **vars(finding))
        return finding

    def fact(self, what: str, text: str, at: datetime) -> None:
        """Something that AWS stamped with a time of its own, placed at that instant."""
        self.add("aws.fact", clock=self.clock.reading(at), what=what, text=text)

    def recovery_point(self, point: RecoveryPoint) -> RecoveryPoint:
        """How far the data of a store came back; the RPA is the worst of a drill's stores."""
        self.recovery_points.append(point)
        promised = self.objective.rpo_of(point.source) if self.objective else None
        self.add("recovery_point", **vars(point), rpo_seconds=promised)
        return point

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, caption: str = "") -> None:
        """Rows for the report, such as differences; of many the first `TABLE_ROWS` are shown, and all are attached."""
        texts = [[str(cell) for cell in row] for row in rows]
        self.add("table", title=title, columns=[*columns], rows=texts[:TABLE_ROWS], total=len(texts), caption=caption)
        if len(texts) > TABLE_ROWS:
            self.attach(f"{title}.csv", _csv(columns, texts), media_type="text/csv")

    def attach(self, name: str, content: str | bytes, *, media_type: str = "text/plain") -> Attachment:
        """A file for the evidence: a log excerpt, an answer of the API, a dump."""
        raw = content.encode() if isinstance(content, str) else content
        path = self._directory / "attachments" / _file_name(self.name) / _file_name(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
        relative = str(path.relative_to(self._directory))
        attachment = Attachment(name, relative, media_type, hashlib.sha256(raw).hexdigest())
        self.add("attachment", **vars(attachment))
        return attachment

    def wait_until(
        self,
        read: Callable[[], T],
        satisfied: Callable[[T], bool] = bool,
        *,
        what: str,
        deadline: float,
        **how: Any,
    ) -> T:
        """`waiting.wait_until`, told on the time-line and on the terminal."""
        begun, done = self.clock.monotonic(), False
        try:
            value: T = waiting.wait_until(read, satisfied, what=what, deadline=deadline, progress=self._tell, **how)
            done = True
            return value
        finally:
            self._told(None)
            took = self.clock.monotonic() - begun
            self.add("wait", what=what, deadline_seconds=deadline, took_seconds=round(took, 3), satisfied=done)

    def since(self, mark: Mark | str) -> float:
        """Seconds since a mark; 0 where it was not set."""
        entry = self.marked(mark)
        return self.clock.monotonic() - entry.clock if entry else 0.0

    def check_objective(self) -> Objective:
        """What is promised.

        Raises:
            UsageError: nothing is.
        """
        if self.objective is None:
            raise UsageError(
                f"{self.name} has no objective.\n"
                "To go on: mark the test with its scenario, or give the marker `rto_seconds`."
            )
        return self.objective

    def _tell(self, elapsed: float, what: str, deadline: float) -> None:
        fault = self.marked("fault")
        since = self.clock.monotonic() - (fault.clock if fault else self._began)
        self._told(Standing(self.name, self._phase, what, since, elapsed, deadline))


def _csv(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([columns, *rows])
    return text.getvalue()


def _file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:120] or "unnamed"
