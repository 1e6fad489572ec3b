"""What shows that a provisioner works, that it does not, and who is told of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING

from pytest_envdr import founding
from pytest_envdr.aws import cloudwatch
from pytest_envdr.drills import Finding, alarms, manual_buckets, provisioner_events, provisioner_fit
from pytest_envdr.errors import Refused, WaitFailed, WaitTimedOut
from pytest_envdr.timeline import Mark

if TYPE_CHECKING:
    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.alarms import Watch
    from pytest_envdr.drills.provisioner import Case
    from pytest_envdr.drills.provisioner_events import Told
    from pytest_envdr.founding import Founded
    from pytest_envdr.journal import Journal

WORKS_SECONDS = 120.0
"""How long a provisioner may take for a bucket."""
EFFECT_SECONDS = 120.0
"""How long a change of function, rule or policy may take to be in effect."""
APPLICATION_SECONDS = 60.0
SILENCE = 3.0
"""How many times as long as it took before nothing must happen, where nothing tells that an event was not processed."""
LEAST_SILENCE_SECONDS = 5.0
SKEW = timedelta(seconds=5)
OK, UNAVAILABLE = 200, 503
PROCESSED = "processed"


def prove_works(
    aws: Aws, journal: Journal, drill: Drill, case: Case, word: str, *, patience: float = WORKS_SECONDS
) -> float:
    """Tell of a tenant that there is not, and see its bucket made, like all others; how long that took, in seconds.

    Args:
        aws, journal, drill, case: as everywhere.
        word: what the tenant is called.
        patience: after so long another one is told of: a change may not have been in effect for the one before.

    Raises:
        Refused: none is made.
    """
    begun = drill.clock.monotonic()
    for number in count(1):
        slug = f"envdr-{word}{number}-{case.token}"
        told = provisioner_events.put_probe(aws, journal, case.row, slug, provisioner_events.Way())
        case.own.append(told)
        took = _made(aws, drill, case, told, patience)
        if took is not None:
            return took
        if drill.clock.monotonic() - begun >= WORKS_SECONDS:
            break
    raise Refused(
        f"{case.row.function} makes no bucket: event {told.id} on bus {case.row.bus} came to nothing within "
        f"{WORKS_SECONDS:g} s.\nLooked at: {aws.origin(case.row.function)}; {case.row.log_group}\n"
        "To go on: mend it, and make the buckets of new tenants by the runbook."
    )


def _made(aws: Aws, drill: Drill, case: Case, told: Told, patience: float) -> float | None:
    """How long a bucket took to be made, like all others; None where none was in time."""
    begun = drill.clock.monotonic()
    try:
        drill.wait_until(
            lambda: provisioner_events.there(aws, told.bucket),
            what=f"{case.row.function} making {told.bucket}",
            deadline=patience,
            longest_interval=0.5,
        )
    except WaitTimedOut:
        return None
    took = drill.clock.monotonic() - begun
    differ = manual_buckets.differences(aws, drill, case.like, slug=told.slug, name=told.bucket)
    if differ:
        kinds = ", ".join(dict.fromkeys(one.kind for one in differ))
        title = f"{case.row.function} makes buckets otherwise than that of tenant {case.like.slug} is: {kinds}"
        drill.finding(Finding("provisioner.drift", "warning", title, str(differ[0]), "Bring them together."))
    drill.note(f"{case.row.function} made {told.bucket} within {took:.1f} s")
    return took


def prove_kept_away(aws: Aws, journal: Journal, drill: Drill, case: Case, *, effect_seconds: float) -> None:
    """Tell of tenants that there are not, until no bucket is made for one: a change of function, rule or policy takes a
    moment to be in effect everywhere.

    Raises:
        WaitFailed: buckets are still made when that ought to be over: the fault is not active.
    """
    begun = drill.clock.monotonic()
    for number in count(1):
        seen = _probed(aws, journal, drill, case, f"probe{number}")
        if seen != PROCESSED:
            drill.mark("fault seen active", by=seen)
            return
        waited = drill.clock.monotonic() - begun
        drill.note(f"{waited:.1f} s after it was disabled, {case.row.function} still made a bucket")
        if waited >= effect_seconds:
            title = f"the fault is not active: {case.row.function} makes buckets, though it is disabled ({case.how})"
            drill.finding(Finding("fault.not-active", "failure", title, f"for {waited:.0f} s"))
            raise WaitFailed(f"No tenant was founded: {title}.")


def _probed(aws: Aws, journal: Journal, drill: Drill, case: Case, word: str) -> str:
    """What became of a probe: `PROCESSED`; or in which dead-letter queue it is, that the function failed, or, where
    nothing can tell, that nothing happened for much longer than it took before."""
    since = datetime.now(UTC)
    failed = provisioner_events.runs(aws, case.row, metric="Errors", since=since)
    told = provisioner_events.put_probe(aws, journal, case.row, f"envdr-{word}-{case.token}", case.letters)
    case.probe = told
    case.own.append(told)
    silent = silence(case)
    begun, expected = drill.clock.monotonic(), bool(case.letters.queues) or case.way.tried

    def read() -> str:
        if provisioner_events.there(aws, told.bucket):
            return PROCESSED
        if letter := provisioner_events.letter(aws, case.letters.queues, told.slug):
            return f"in {letter.queue}: {letter.told.get('ErrorMessage') or letter.told.get('ERROR_CODE', '')}"
        if case.way.tried and provisioner_events.runs(aws, case.row, metric="Errors", since=since) > failed:
            return f"{case.row.function} failed"
        waited = drill.clock.monotonic() - begun
        return f"nothing happened for {waited:.0f} s" if not expected and waited >= silent else ""

    try:
        return drill.wait_until(
            read, what=f"the fault being active: {case.how}", deadline=WORKS_SECONDS, longest_interval=0.5
        )
    except WaitTimedOut:
        title = f"an event that {case.row.function} was kept from came into no dead-letter queue"
        drill.finding(Finding("events.dropped", "failure", title, ", ".join(case.letters.queues)))
        return f"nothing happened for {WORKS_SECONDS:g} s"


def silence(case: Case) -> float:
    """How long nothing must happen to mean that nothing does, in seconds."""
    return max(SILENCE * case.worked_seconds, LEAST_SILENCE_SECONDS)


def check_degraded(aws: Aws, drill: Drill, case: Case, tenant: Founded) -> None:
    """A tenant without a bucket: its page works, a document is refused with a clear word, and there is no bucket."""
    page = _page(aws, drill, tenant.slug)
    if page != OK:
        title = f"tenant {tenant.slug} is not usable without a bucket: its page answers {page}"
        drill.finding(Finding("tenant.unusable", "failure", title, case.row.page))
    answer = founding.keep_document(aws.stack, tenant.slug, "envdr.txt", b"not to be kept")
    words = answer.body.get("error") if isinstance(answer.body, dict) else None
    if answer.status != UNAVAILABLE or not words:
        title = f"the application does not say that tenant {tenant.slug} has no storage yet"
        drill.finding(Finding("tenant.unclear", "failure", title, str(answer), "It ought to answer 503, and why."))
    if provisioner_events.there(aws, tenant.bucket):
        title = f"tenant {tenant.slug} has a bucket, though {case.row.function} is disabled ({case.how})"
        drill.finding(Finding("fault.not-active", "failure", title, tenant.bucket))
    drill.note(f"tenant {tenant.slug} without a bucket: {case.row.page} {page}, a document {answer.status} {words!r}")


def wait_until_seen(aws: Aws, drill: Drill, case: Case) -> None:
    """Until an alarm's message arrives; marks SEEN. Where no metric moves, the reconciliation is what sees it."""
    if case.watch is None:
        _see_by_reconciling(aws, drill, case)
        return
    watch, promised = case.watch, drill.objective.detect_seconds if drill.objective else None
    deadline = promised or watch.bound_seconds

    def told() -> bool:
        alarms.look(aws, drill, watch)
        return watch.first_told is not None

    try:
        drill.wait_until(told, what="an alarm's message", deadline=deadline, longest_interval=0.5)
    except WaitTimedOut:
        drill.finding(_unnoticed(aws, watch, deadline))
    if watch.first_told is not None:
        drill.mark(Mark.SEEN, clock=watch.first_told.clock, by="a subscriber")
    _tell(aws, drill, watch)


def _see_by_reconciling(aws: Aws, drill: Drill, case: Case) -> None:
    found = provisioner_fit.reconcile(aws, case.row, but=case.token)
    provisioner_fit.tell(drill, found, when="meanwhile")
    title = f"no alarm can tell that rule {case.row.rule} is disabled: no metric moves"
    detail = "only who holds the tenants against the buckets finds out; the drill did, nothing else does"
    remedy = "Reconcile tenants and buckets on a schedule, with an alarm on what it finds."
    drill.finding(Finding("detection.none", "warning", title, detail, remedy))
    if found.missing(case.slug):
        drill.mark(Mark.SEEN, by="the reconciliation of tenants and buckets")
    else:
        title = f"the reconciliation does not have tenant {case.slug}, which has no bucket"
        drill.finding(Finding("detection.blind", "failure", title, "", "Look at database.tenants in the stack file."))


def _page(aws: Aws, drill: Drill, slug: str) -> int:
    """The status of its page; a new tenant may take a moment to be known to every task."""
    try:
        return drill.wait_until(
            lambda: founding.page(aws.stack, slug).status,
            lambda status: status == OK,
            what=f"the page of tenant {slug}",
            deadline=LEAST_SILENCE_SECONDS,
            tolerated=(OSError,),
        )
    except WaitTimedOut:
        return founding.page(aws.stack, slug).status


def _unnoticed(aws: Aws, watch: Watch, waited: float) -> Finding:
    states = ", ".join(f"{alarm.name} {alarm.state}" for alarm in cloudwatch.alarms(aws, watch.names))
    fired = f"fired: {', '.join(sorted(watch.fired))}" if watch.fired else "none fired"
    return Finding(
        "detection.none",
        "failure",
        f"nobody was told within {waited:.0f} s that a tenant has no bucket",
        f"{fired}; {states or 'there are no alarms'}",
        "Let an alarm on the dead-letter queues, or on the function's errors and throttles, tell the topic.",
    )


def _tell(aws: Aws, drill: Drill, watch: Watch) -> None:
    """Which alarms fired and told, with their history as facts: AWS keeps it for two weeks."""
    fault = drill.marked(Mark.FAULT)
    if fault is None:
        return
    rows = []
    for name in watch.names:
        history = [item for item in cloudwatch.history(aws, name, since=fault.at - SKEW) if item.at >= fault.at]
        for item in history:
            drill.fact(f"alarm {name}: {item.type}", item.summary, item.at)
        fired = next((item.at for item in history if item.type == "StateUpdate" and alarms.became_alarm(item)), None)
        heard = next((one.clock for one in watch.received if one.alarm == name and one.state == "ALARM"), None)
        after = "not" if fired is None else f"{(fired - fault.at).total_seconds():.1f} s"
        rows.append((name, after, "not" if heard is None else f"{heard - fault.clock:.1f} s"))
    caption = "from the fault: the alarm by CloudWatch's time stamp, its message when the drill's own subscriber got it"
    drill.table("Who noticed", ("alarm", "fired after", "message after"), rows, caption=caption)
