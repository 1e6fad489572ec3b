"""Bringing the state before back: journal entry -> the calls that still have to be made.

Each row of `UNDOS` compares what an entry says was there before with what is there now, and gives the calls that are
still to be made; none when all is as before. That makes an undo idempotent, and its own proof: it is done when the
comparison finds nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_envdr.aws import application_autoscaling, ecs, s3_acts, sns, sqs
from pytest_envdr.errors import NotFound, UndoFailed
from pytest_envdr.waiting import pause, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_envdr.aws import Aws
    from pytest_envdr.journal import Entry, Journal
    from pytest_envdr.waiting import Progress

DEADLINE = 120.0
"""How long the state before may take to be seen again, in seconds (a deleted queue may be found for 60)."""


ARRIVAL = 2.0
"""How long a call may be on its way, in seconds."""


@dataclass(frozen=True)
class Remaining:
    """What is still to be done: the arguments of each call; `note` says why there is less than one might expect."""

    calls: tuple[dict[str, Any], ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Undone:
    """What became of an entry: `how` is "brought back", or why there was nothing to do."""

    entry: Entry
    how: str


NOTHING = Remaining()


def _desired_count(aws: Aws, before: Mapping[str, Any]) -> Remaining:
    """Below what it was, or still what this exercise set: back to what it was. Anything above is somebody else's."""
    service = ecs.service(aws, before["service"], before["cluster"])
    now, wanted = service.desired, before["desiredCount"]
    if service.status != "ACTIVE":
        raise UndoFailed(f"service {service.name} is {service.status}: somebody deletes it, or has")
    if now == wanted:
        return NOTHING
    if now > wanted and now != before["set"]:
        return Remaining(note=f"the desired count is {now}, set by somebody else: left as it is")
    return Remaining(({key: before[key] for key in ("cluster", "service", "desiredCount")},))


def _suspended_state(aws: Aws, before: Mapping[str, Any]) -> Remaining:
    """Exactly what was suspended before. Refused while it would raise the desired count (aws-semantics 0.13)."""
    target = application_autoscaling.scalable_target(aws, before["ResourceId"])
    if target is None:
        return Remaining(note="the scalable target is gone")
    if target.suspended.state == before["SuspendedState"]:
        return NOTHING
    _, cluster, name = before["ResourceId"].split("/")
    desired = ecs.service(aws, name, cluster).desired
    if desired < target.minimum:
        raise UndoFailed(
            f"Auto scaling of service {name} is not resumed: it would raise the desired count from {desired} to the "
            f"minimum, {target.minimum}.\nTo go on: put the desired count back, then `envdr undo` again."
        )
    return Remaining((dict(before),))


def _queue(aws: Aws, before: Mapping[str, Any]) -> Remaining:
    try:
        return Remaining(({"QueueUrl": sqs.queue_url(aws, before["QueueName"])},))
    except NotFound:
        return NOTHING


def _subscription(aws: Aws, before: Mapping[str, Any]) -> Remaining:
    """Found by its endpoint: the process may have ended before it knew the ARN."""
    try:
        found = sns.subscriptions(aws, before["TopicArn"])
    except NotFound:
        return Remaining(note="the topic is gone")
    ours = [row for row in found if (row.protocol, row.endpoint) == (before["Protocol"], before["Endpoint"])]
    return Remaining(tuple({"SubscriptionArn": row.arn} for row in ours if not row.pending))


def _running_task(aws: Aws, before: Mapping[str, Any]) -> Remaining:
    found = ecs.tasks_started_by(aws, before["cluster"], before["startedBy"])
    wanted = [task for task in found if task.desired_status != "STOPPED"]
    return Remaining(tuple({"cluster": before["cluster"], "task": task.arn, "reason": "envdr undo"} for task in wanted))


def _bucket(aws: Aws, before: Mapping[str, Any]) -> Remaining:
    """A bucket of the drill's own: tagged as such, or not tagged yet. One that is not empty S3 refuses to delete."""
    name = before["Bucket"]
    try:
        what = f"Bucket {name} cannot be looked at"
        tags = aws.call("s3.GetBucketTagging", what=what, Bucket=name)["TagSet"]
    except NotFound as error:
        if error.code == "NoSuchBucket":
            return NOTHING
        tags = []
    whose = {tag["Key"]: tag["Value"] for tag in tags}
    if tags and whose.get("envdr:exercise") != before["exercise"]:
        raise UndoFailed(f"bucket {name} is not deleted: it is tagged {whose}, not as exercise {before['exercise']}'s")
    return Remaining(({"Bucket": name, "ExpectedBucketOwner": aws.stack.account},))


def _objects(aws: Aws, entry: Entry) -> Remaining:
    """The versions and markers that an act added, and no other; of a bucket of the drill's own, all."""
    bucket = entry.inverse.arguments["Bucket"]
    if not entry.inverse.arguments.get("everything"):
        left = s3_acts.left_of(aws, entry)
    elif bucket.startswith(s3_acts.STAGING_PREFIX):
        left = s3_acts.left_in(aws, bucket)
    else:
        raise UndoFailed(f"bucket {bucket} is not emptied: by its name it is no drill's own")
    batches = (left[start : start + s3_acts.BATCH] for start in range(0, len(left), s3_acts.BATCH))
    whose = {"Bucket": bucket, "ExpectedBucketOwner": aws.stack.account}
    return Remaining(tuple({**whose, "Delete": {"Objects": batch, "Quiet": True}} for batch in batches))


def _upload(aws: Aws, entry: Entry) -> Remaining:
    where = entry.inverse.arguments
    upload = entry.result.get("UploadId")
    return Remaining(tuple(s3_acts.uploads_of(aws, where["Bucket"], key=where["Key"], upload=upload)))


UNDOS: dict[str, Callable[[Aws, Mapping[str, Any]], Remaining]] = {
    "application-autoscaling.RegisterScalableTarget": _suspended_state,
    "ecs.StopTask": _running_task,
    "ecs.UpdateService": _desired_count,
    "s3.DeleteBucket": _bucket,
    "sns.Unsubscribe": _subscription,
    "sqs.DeleteQueue": _queue,
}
"""Inverse operation -> what of it is still to be done."""

UNDOS_BY_ANSWER: dict[str, Callable[[Aws, Entry], Remaining]] = {
    "s3.AbortMultipartUpload": _upload,
    "s3.DeleteObjects": _objects,
}
"""Those that look at what the act was answered too: which ids S3 gave to what it made."""


def reverse(
    aws: Aws, journal: Journal, entry: Entry, *, deadline: float = DEADLINE, progress: Progress | None = None
) -> Undone:
    """Bring back what was before an entry's act, see that it is, and write that down.

    Raises:
        UndoFailed: it is not back; the entry stays owed.
    """
    _let_arrive(entry)
    operation = entry.inverse.operation or ""
    look = _looking(aws, entry, operation)
    if look is None:
        raise UndoFailed(f"{entry.inverse.restores}: this version knows no undo by {operation}.")
    remaining = look()
    how = remaining.note or ("brought back" if remaining.calls else "was as before")
    with journal.reversing(entry):
        for call in remaining.calls:
            _call(aws, operation, entry, call)
    if remaining.calls:
        wait_until(
            look,
            lambda now: not now.calls,
            what=entry.inverse.restores,
            deadline=deadline,
            progress=progress,
        )
    journal.reversed(entry, how)
    return Undone(entry, how)


def _looking(aws: Aws, entry: Entry, operation: str) -> Callable[[], Remaining] | None:
    """What tells how much of an entry's inverse is still to be done; None where no row of the tables does."""
    if row := UNDOS.get(operation):
        return partial(row, aws, entry.inverse.arguments)
    answered = UNDOS_BY_ANSWER.get(operation)
    return partial(answered, aws, entry) if answered else None


def _let_arrive(entry: Entry) -> None:
    """A call that was sent but not answered may still be on its way: it must not arrive after we looked."""
    age = (datetime.now(UTC) - entry.at).total_seconds()
    if not entry.settled and 0 <= age < ARRIVAL:
        pause(ARRIVAL - age)


def _call(aws: Aws, operation: str, entry: Entry, arguments: Mapping[str, Any]) -> None:
    """One call of an inverse; that it is gone already is as good."""
    try:
        aws.call(operation, what=f"{entry.inverse.restores}: it cannot be brought back", **arguments)
    except NotFound:
        return


def replay(
    aws: Aws,
    journal: Journal,
    report: Callable[[Undone], None] = lambda _: None,
    *,
    deadline: float = DEADLINE,
    progress: Progress | None = None,
) -> list[Undone]:
    """Bring back all that is owed, the newest first: what was suspended before a count was lowered is resumed after it
    was raised. One that fails does not keep the others from being tried.

    Args:
        aws: the target.
        journal: what is owed.
        report: told of each entry as it is undone.
        deadline: seconds for each entry to be seen back.
        progress: told how each wait stands.

    Raises:
        UndoFailed: with what remains, and why; all of that stays owed.
    """
    done: list[Undone] = []
    failures: list[str] = []
    causes: list[Exception] = []
    for entry in reversed(journal.owed()):
        try:
            undone = reverse(aws, journal, entry, deadline=deadline, progress=progress)
        except Exception as error:  # the undo boundary: whatever it is, the rest must still be tried
            failures.append(f"  {entry.inverse.restores}: {error}")
            causes.append(error)
            continue
        done.append(undone)
        report(undone)
    if failures:
        raise UndoFailed(
            "Not all of the state before could be brought back:\n"
            + "\n".join(failures)
            + f"\nLooked at: {journal.path}\n"
            "To go on: mend what keeps it, then `envdr undo` again; what is back already is left alone."
        ) from causes[0]
    return done
