"""What of a provisioner that was kept from its work is still to be put back, and what of a drill's tenants is left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pytest_envdr import founding, laravel
from pytest_envdr.aws import awslambda, events, logs, s3, sqs
from pytest_envdr.errors import NotFound, UndoFailed, WaitTimedOut
from pytest_envdr.remaining import NOTHING, OWN_PREFIX, Remaining
from pytest_envdr.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_envdr.aws import Aws
    from pytest_envdr.journal import Entry

LOOK_SECONDS = 3.0
"""How long it takes until a message that was looked at shows again."""
SKEW = timedelta(seconds=5)
"""How far AWS's clock may be from this machine's."""
PAGE_SECONDS = 60.0
"""How long the application's page may be away."""


def tenant(aws: Aws, before: Mapping[str, Any]) -> Remaining:
    """The command that deletes an exercise's tenant, as long as the application's page shows it."""
    try:
        there = wait_until(
            lambda: [founding.tenant(aws.stack, before["deletes"])],
            what=f"the page of tenant {before['deletes']}",
            deadline=PAGE_SECONDS,
            tolerated=(OSError, ValueError),
        )
    except WaitTimedOut as error:
        raise UndoFailed(f"whether tenant {before['deletes']} is left cannot be seen: {error}") from error
    return NOTHING if there == [None] else Remaining((laravel.calling(aws, before),))


def tenant_bucket(aws: Aws, before: Mapping[str, Any]) -> Remaining:
    """The bucket of a tenant of the drill's own, whoever made it. One of that name may be another account's."""
    whose = {"ExpectedBucketOwner": aws.stack.account}
    return Remaining(tuple({"Bucket": name, **whose} for name in own_buckets(aws, before)))


def own_buckets(aws: Aws, before: Mapping[str, Any]) -> list[str]:
    """The bucket that was expected, and every other whose name begins with its: a provisioner may have made a second.

    Raises:
        UndoFailed: by its name it is no drill's own.
    """
    name, tenant = before["Bucket"], before["tenant"]
    if not tenant.startswith(OWN_PREFIX) or tenant not in name:
        raise UndoFailed(f"bucket {name} is not deleted: by its name it is no drill's own")
    return s3.buckets(aws, prefix=name)


def concurrency(aws: Aws, before: Mapping[str, Any]) -> Remaining:
    """What was reserved before, or nothing; as long as it is what this exercise set."""
    name, wanted = before["FunctionName"], before.get("ReservedConcurrentExecutions")
    try:
        now = awslambda.concurrency(aws, name)
    except NotFound:
        return Remaining(note="the function is gone")
    if now == wanted:
        return NOTHING
    if now != before["set"]:
        return Remaining(note=f"{now} was reserved by somebody else: left as it is")
    return Remaining(({key: value for key, value in before.items() if key != "set"},))


def handler(aws: Aws, before: Mapping[str, Any]) -> Remaining:
    """The handler of before, in effect; as long as it is what this exercise set."""
    try:
        now = awslambda.function(aws, before["FunctionName"])
    except NotFound:
        return Remaining(note="the function is gone")
    if now.handler == before["Handler"]:
        return Remaining(awaited=not now.ready)
    if now.handler != before["set"]:
        return Remaining(note=f"its handler was set to {now.handler} by somebody else: left as it is")
    return Remaining(({"FunctionName": before["FunctionName"], "Handler": before["Handler"]},))


def permission(aws: Aws, before: Mapping[str, Any]) -> Remaining:
    try:
        awslambda.function(aws, before["FunctionName"])
    except NotFound:
        return Remaining(note="the function is gone")
    known = {permission.sid for permission in awslambda.permissions(aws, before["FunctionName"])}
    return NOTHING if before["StatementId"] in known else Remaining((dict(before),))


def rule(aws: Aws, before: Mapping[str, Any]) -> Remaining:
    try:
        now = events.rule(aws, before["Name"], before["EventBusName"])
    except NotFound:
        return Remaining(note="the rule is gone")
    return NOTHING if now.enabled else Remaining((dict(before),))


def replay(aws: Aws, before: Mapping[str, Any]) -> Remaining:
    try:
        now = events.replay(aws, before["ReplayName"])
    except NotFound:
        return NOTHING
    if now.ended:
        return Remaining(note=f"it is {now.state}")
    return Remaining(awaited=True) if now.state == "CANCELLING" else Remaining((dict(before),))


def event(aws: Aws, entry: Entry) -> Remaining:
    """An event of the drill's own, told of a tenant of its own: no dead-letter queue has it. As long as it may be on
    its way it is awaited, or the provisioner would meet it late, and make a bucket that is nobody's; unless its log
    says that it was through with that tenant. That there is a bucket says nothing: one may be made by hand."""
    before = entry.inverse.arguments
    found = [
        {"QueueUrl": sqs.queue_url(aws, letter.queue), "ReceiptHandle": letter.receipt}
        for queue in before["queues"]
        for letter in sqs.letters(aws, queue, hidden_seconds=1)
        if f'"{before["tenant"]}"' in letter.body
    ]
    if found:
        entry.result = {**entry.result, "came": True}  # only for this process: no more of it is awaited
        return Remaining(tuple(found))
    if _looked_at(aws, entry):
        return Remaining(awaited=True)
    late = datetime.now(UTC) < entry.at + timedelta(seconds=before["late_seconds"])
    if not late or entry.result.get("came") or entry.result.get("told") is False:
        return NOTHING
    return Remaining(awaited=not logs.names(aws, before["log_group"], before["tenant"], since=entry.at - SKEW))


def _looked_at(aws: Aws, entry: Entry) -> bool:
    """Whether messages may be out of sight because somebody has just received them, as like as not a look of the
    drill's own; after some seconds they show again, or are not the drill's."""
    begun = datetime.fromisoformat(entry.result.get("looked", datetime.now(UTC).isoformat()))
    entry.result = {**entry.result, "looked": begun.isoformat()}
    waited = (datetime.now(UTC) - begun).total_seconds()
    return waited < LOOK_SECONDS and any(sqs.in_hand(aws, queue) for queue in entry.inverse.arguments["queues"])
