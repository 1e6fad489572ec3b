"""Events of the drill's own: what becomes of them while the provisioner is kept from its work, and what comes late.

A probe tells of a tenant that there is not: where it is processed, a bucket shows it. A dead-letter queue that a
Lambda function or a rule feeds has no redrive of its own (aws-semantics 8.8): what it holds is received, given to the
function, written down and deleted, the drill's own messages and no others.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pytest_envdr.aws import awslambda, cloudwatch, events, logs, s3, s3_acts, sqs
from pytest_envdr.drills import Finding
from pytest_envdr.errors import AwsError, WaitTimedOut
from pytest_envdr.journal import Inverse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.provisioner_fit import Settings
    from pytest_envdr.journal import Journal
    from pytest_envdr.tables import Provisioner

PROCESSED_SECONDS = 300.0
"""How long an event may take to be processed, with the metrics that tell of it."""
UNDER_WAY_SECONDS = 30.0
"""How long an event may be under way, to the function and through it, where nothing keeps it."""
REPLAY_SECONDS = 1800.0
VISIBLE_SECONDS = 60.0
MINUTE = timedelta(minutes=1)
SKEW = timedelta(seconds=5)
"""How far AWS's clock may be from this machine's."""
HANDLED = ("event of", "message", "said", "then")


@dataclass(frozen=True)
class Told:
    """An event of the drill's own: of which tenant, with which bucket, its id, and when it was put."""

    slug: str
    bucket: str
    id: str
    at: datetime


@dataclass(frozen=True)
class Way:
    """Where an event is to come that is not processed, and within which time it may still be.

    Attributes:
        queues: the dead-letter queues that may have it.
        late_seconds: for how long it may come into one, or run by itself.
    """

    queues: tuple[str, ...] = ()
    late_seconds: float = UNDER_WAY_SECONDS


def inverse(row: Provisioner, slug: str, bucket: str, way: Way) -> Inverse:
    """That nothing of an event is left: no message in a dead-letter queue, none on its way there or to the function."""
    arguments = {
        "tenant": slug,
        "Bucket": bucket,
        "queues": [*way.queues],
        "late_seconds": way.late_seconds,
        "log_group": row.log_group,
    }
    return Inverse("sqs.DeleteMessage", arguments, f"no event of {slug} in a dead-letter queue of {row.function}")


def put_probe(aws: Aws, journal: Journal, row: Provisioner, slug: str, way: Way) -> Told:
    """Tell of a tenant that there is not. Undone, its bucket is gone, where one was made, and its event.

    Raises:
        AwsError: the bus did not take it.
    """
    bucket = row.bucket.format(slug=slug)
    s3_acts.expect_bucket(journal, bucket, tenant=slug)
    at = datetime.now(UTC)
    told = events.put_event(
        aws,
        journal,
        row.bus,
        source=row.source,
        kind=row.detail_type,
        detail={"slug": slug, "tenant_id": 0, "bucket": bucket},
        inverse=inverse(row, slug, bucket, way),
    )
    return Told(slug, bucket, told, at)


def there(aws: Aws, bucket: str) -> bool:
    """Whether the account has such a bucket. Not by HeadBucket: a name may be another account's (aws-semantics 0.7)."""
    return bucket in s3.buckets(aws, prefix=bucket)


def letter(aws: Aws, queues: Sequence[str], slug: str) -> sqs.Letter | None:
    """The message of a tenant's event in a dead-letter queue, None where there is none."""
    found = [one for queue in queues for one in sqs.letters(aws, queue, hidden_seconds=1) if f'"{slug}"' in one.body]
    return found[-1] if found else None


def runs(aws: Aws, row: Provisioner, *, metric: str = "Invocations", since: datetime) -> float:
    """How often the function ran, or failed ("Errors"), since the minute of an instant."""
    start = since.replace(second=0, microsecond=0)
    return cloudwatch.total(aws, "AWS/Lambda", metric, {"FunctionName": row.function}, since=start)


def redrive(
    aws: Aws, journal: Journal, drill: Drill, row: Provisioner, found: Sequence[tuple[Told, sqs.Letter]]
) -> int:
    """Give the function what the dead-letter queue has of the drill's own; how many it took. Each message is written
    down with what was done about it, then deleted; those of others are left."""
    rows, taken = [], 0
    for told, one in found:
        text = json.dumps({"body": one.body, **one.told}, indent=2, ensure_ascii=False)
        drill.attach(f"letter-{told.slug}.json", text, media_type="application/json")
        try:
            answered = awslambda.invoke(aws, journal, row.function, _event_of(one.body))
        except AwsError as error:
            rows.append((told.slug, one.id, str(error), "left in the queue"))
            continue
        if answered.error:
            rows.append((told.slug, one.id, f"{answered.error}: {answered.payload[:200]}", "left in the queue"))
            continue
        taken += 1
        _delete(aws, journal, drill, told, one)
        rows.append((told.slug, one.id, answered.payload[:200], "deleted"))
    caption = "Only the drill's own messages; what the function failed of stays. Others are untouched."
    drill.table("Dead letters given to the function again", HANDLED, rows, caption=caption)
    return taken


def replayed(
    aws: Aws,
    journal: Journal,
    drill: Drill,
    row: Provisioner,
    before: Settings,
    told: Sequence[Told],
    *,
    own: Sequence[Told],
) -> bool:
    """Let the archive's events of the drill's own time come again to the one rule; whether all were processed, with
    those of `own` that the archive has of that time as well.

    An event is in the archive some time after it was put, and not before that is over a replay is begun: what it would
    leave out, nobody would miss (aws-semantics 8.7). It brings back whatever else came in that time, so it begins with
    the first of `told`: before that, an earlier drill's tenants might get buckets again.
    """
    if before.archive is None:
        return False
    archive, last = before.archive, max(one.at for one in (*told, *own))
    ready = last + timedelta(seconds=row.archive_seconds)
    drill.wait_until(
        lambda: datetime.now(UTC) >= ready,
        what=f"the events being in archive {archive.name} ({row.archive_seconds:g} s)",
        deadline=row.archive_seconds + 60,
        longest_interval=1.0,
    )
    begun = datetime.now(UTC)
    ran = runs(aws, row, since=begun)
    name = f"envdr-{told[0].slug[-6:]}"
    since = min(one.at for one in told).replace(microsecond=0) - SKEW
    until = min(last + MINUTE, begun)
    events.start_replay(aws, journal, name, archive, rules=[before.rule], since=since, until=until)
    drill.wait_until(
        lambda: events.replay(aws, name),
        lambda now: now.ended,
        what=f"replay {name}",
        deadline=REPLAY_SECONDS,
        longest_interval=2.0,
        shown=lambda now: now.state,
    )
    drill.note(
        f"archive {archive.name} was replayed from {since:%H:%M:%S} to {until:%H:%M:%S} UTC, to {row.rule} alone"
    )
    return _ran(aws, drill, row, [one for one in own if since <= one.at < until], begun, ran)


def _ran(aws: Aws, drill: Drill, row: Provisioner, told: Sequence[Told], begun: datetime, before: float) -> bool:
    """Whether the function ran for as many events as were told of, or its log has all of their tenants."""

    def done() -> bool:
        return runs(aws, row, since=begun) - before >= len(told) or logged(aws, row, told, since=begun)

    try:
        drill.wait_until(done, what=f"{row.function} having run for each", deadline=PROCESSED_SECONDS)
    except WaitTimedOut as error:
        title = f"what was replayed did not reach {row.function}"
        drill.finding(Finding("events.not-replayed", "failure", title, error.last, "Look at the rule and its targets."))
        return False
    return True


def logged(aws: Aws, row: Provisioner, told: Sequence[Told], *, since: datetime) -> bool:
    """Whether the function's log names the tenant of each of these events since an instant."""
    return all(logs.names(aws, row.log_group, one.slug, since=since) for one in told)


def _delete(aws: Aws, journal: Journal, drill: Drill, told: Told, one: sqs.Letter) -> None:
    """With a fresh receipt: the one at hand may be of an earlier look, after which the message shows again."""
    now = drill.wait_until(
        lambda: letter(aws, [one.queue], told.slug),
        what=f"message {one.id} of {one.queue} being visible",
        deadline=VISIBLE_SECONDS,
        interval=0.5,
    )
    if now is not None:
        sqs.delete(aws, journal, now, why=f"of event {told.id}, which was handled")


def _event_of(body: str) -> str:
    """The event in a message: a destination's record has it inside, a dead-letter queue is it."""
    told = json.loads(body)
    return json.dumps(told["requestPayload"]) if "requestPayload" in told else body
