"""What of an inverse is still to be done: each row compares what an entry says was there before with what is there now.

That makes an undo idempotent, and its own proof: it is done when the comparison finds nothing more.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_envdr import builds, jobs, laravel, provisioner_remains, service_remains, swaps
from pytest_envdr.aws import (
    backup,
    dynamodb,
    ec2,
    ecs,
    elasticache,
    fis,
    rds,
    s3,
    s3_acts,
    s3_states,
    sns,
    sqs,
)
from pytest_envdr.errors import NotFound, UndoFailed, WaitTimedOut
from pytest_envdr.remaining import NOTHING, OWN_PREFIX, Remaining
from pytest_envdr.terraform import DESTROY
from pytest_envdr.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pytest_envdr.aws import Aws
    from pytest_envdr.journal import Entry

PAGE_SECONDS = 60.0
"""How long the application's page may be away."""
CACHE_SECONDS = 900.0
"""How long a cache may take to come back: a failover takes some minutes, a node that is replaced more."""
ENDING = timedelta(seconds=20)
"""How long a Terraform may take to end whose drill was killed: it gives its lock back, unless it is killed as well."""
SKEW = timedelta(seconds=60)
"""How far AWS's clock may be from this machine's."""


def _maintenance(aws: Aws, before: Mapping[str, Any]) -> Remaining:
    """The command that ends it, as long as the application's pages say that it is in maintenance."""
    try:
        if not laravel.in_maintenance(aws.stack):
            return NOTHING
    except OSError as error:
        raise UndoFailed(f"whether the application is in maintenance mode cannot be seen: {error}") from error
    return Remaining((laravel.calling(aws, before),))


def _command(aws: Aws, before: Mapping[str, Any]) -> Remaining:
    """A command of the application: that forgets marked jobs, deletes a tenant, or ends maintenance mode."""
    if "deletes" in before:
        return provisioner_remains.tenant(aws, before)
    return _marked_jobs(aws, before) if "forgets" in before else _maintenance(aws, before)


def _marked_jobs(aws: Aws, before: Mapping[str, Any]) -> Remaining:
    """The command that takes them away, as long as the application's page shows any, or a lock or a row of theirs. Its
    database may be rebooting. What is taken out of a cache that is about to fail over may come back with the replica,
    so that is waited for first."""
    try:
        _await_cache(aws)
        page = wait_until(
            lambda: jobs.page(aws.stack, before["forgets"]),
            what="the page of marked jobs",
            deadline=PAGE_SECONDS,
            tolerated=(OSError, ValueError),
        )
    except WaitTimedOut as error:
        raise UndoFailed(f"whether marked jobs of {before['forgets']} are left cannot be seen: {error}") from error
    return NOTHING if page.empty else Remaining((laravel.calling(aws, before),))


def _await_cache(aws: Aws) -> None:
    """Until the cache that the queue is in is available, where the stack file names one that there is."""
    if aws.stack.queue is None or not (name := aws.stack.queue.cache):
        return
    wait_until(
        lambda: elasticache.condition(aws, name),
        lambda status: status in {"", "available"},
        what=f"{name} available",
        deadline=CACHE_SECONDS,
        longest_interval=1.0,
    )


def _db_instance(aws: Aws, entry: Entry) -> Remaining:
    """The drill's own instance: by its name, its tag, and the id that RDS answered with (aws-semantics 1.13)."""
    name = entry.inverse.arguments["DBInstanceIdentifier"]
    found = rds.existing(aws, name)
    if found is None:
        return Remaining(awaited=_may_come(aws, entry))
    if found.status == "deleting":
        return Remaining(awaited=True)
    _check_own(found, entry)
    return Remaining(({"DBInstanceIdentifier": name, "SkipFinalSnapshot": True, "DeleteAutomatedBackups": True},))


def _may_come(aws: Aws, entry: Entry) -> bool:
    """Whether a restore job of AWS Backup may still bring the instance forth."""
    if entry.act != "backup.StartRestoreJob":
        return False
    if job := entry.result.get("RestoreJobId"):
        return backup.restore_job(aws, job).under_way
    jobs = backup.restore_jobs(aws, since=entry.at - SKEW, recovery_point=entry.arguments["RecoveryPointArn"])
    return any(job.under_way for job in jobs)


def _check_own(found: rds.Instance, entry: Entry) -> None:
    """Refuse to delete what may be somebody else's: names can be used again, and tags be copied."""
    wanted, recorded = entry.inverse.arguments["exercise"], entry.result.get("DbiResourceId")
    whose = found.tags.get("envdr:exercise")
    # AWS Backup tags nothing that it restores: the drill does, afterwards.
    untagged = whose is None and entry.act == "backup.StartRestoreJob"
    created = found.created_at is None or found.created_at >= entry.at - SKEW
    if not found.identifier.startswith(OWN_PREFIX) or not (whose == wanted or (untagged and created)):
        raise UndoFailed(f"instance {found.identifier} is not deleted: its tags do not say that it is {wanted}'s")
    if recorded and recorded != found.resource_id:
        raise UndoFailed(f"instance {found.identifier} is not deleted: it is {found.resource_id}, not {recorded}")


def _parameter_group(aws: Aws, before: Mapping[str, Any]) -> Remaining:
    name = before["DBParameterGroupName"]
    try:
        whose = rds.parameter_group(aws, name).tags.get("envdr:exercise")
    except NotFound:
        return NOTHING
    if whose != before["exercise"] or not name.startswith(OWN_PREFIX):
        raise UndoFailed(
            f"parameter group {name} is not deleted: its tags do not say that it is {before['exercise']}'s"
        )
    return Remaining(({"DBParameterGroupName": name},))


def _security_group(aws: Aws, before: Mapping[str, Any]) -> Remaining:
    found = ec2.existing_group(aws, before["GroupName"], exercise=before["exercise"])
    return Remaining(({"GroupId": found.id},)) if found else NOTHING


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
    """A bucket of the drill's own: tagged as such, or not tagged yet; or of a tenant of the drill's own, by its name.
    One that is not empty S3 refuses to delete."""
    name = before["Bucket"]
    if "tenant" in before:
        return provisioner_remains.tenant_bucket(aws, before)
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
    """The versions and markers that an act added, and no other; of a bucket of the drill's own, all, once no restore
    job writes there any more; of a prefix of its own, all."""
    bucket = entry.inverse.arguments["Bucket"]
    if "tenant" in entry.inverse.arguments:
        own = provisioner_remains.own_buckets(aws, entry.inverse.arguments)
        return Remaining(tuple(call for name in own for call in _deletions(aws, name, s3_acts.left_in(aws, name))))
    if (point := entry.inverse.arguments.get("recovery_point")) and _restoring(aws, entry, point):
        return Remaining(awaited=True)
    prefix = entry.inverse.arguments.get("prefix", "")
    if not entry.inverse.arguments.get("everything"):
        left = s3_acts.left_of(aws, entry)
    elif prefix.startswith(s3_states.OWN_PREFIX):
        # A replica keeps a lock whose release was not replicated: nobody holds it.
        replica = entry.inverse.arguments.get("replica", False)
        if not replica and s3_states.locked_under(aws, bucket, prefix, since=datetime.now(UTC) - ENDING):
            return Remaining(awaited=True)
        left = s3_acts.left_in(aws, bucket, prefix=prefix)
    elif bucket.startswith(s3_acts.STAGING_PREFIX):
        left = s3_acts.left_in(aws, bucket)
    else:
        raise UndoFailed(f"bucket {bucket} is not emptied: by its name it is no drill's own")
    return Remaining(tuple(_deletions(aws, bucket, left)))


def _deletions(aws: Aws, bucket: str, left: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """As many calls as it takes."""
    whose = {"Bucket": bucket, "ExpectedBucketOwner": aws.stack.account}
    for batch in s3_acts.batches(left):
        yield {**whose, "Delete": {"Objects": batch, "Quiet": True}}


def _items(aws: Aws, before: Mapping[str, Any]) -> Remaining:
    """What the lock table should have no more: a lock, a digest, all of a state of the drill's own."""
    where, since = (before["TableName"], before["LockID"]), datetime.now(UTC) - ENDING
    if before.get("everything") and dynamodb.locked_since(aws, *where, since):
        return Remaining(awaited=True)
    return Remaining(tuple(dynamodb.left_of_items(aws, before)))


def _digest(aws: Aws, before: Mapping[str, Any]) -> Remaining:
    left = dynamodb.left_of_digest(aws, before)
    return Remaining(note="a state was written since: its digest is left") if left is None else Remaining(tuple(left))


def _restoring(aws: Aws, entry: Entry, point: str) -> bool:
    """Whether AWS Backup still works on what the entry asked for; there is no call that stops it."""
    jobs = backup.restore_jobs(aws, since=entry.at - SKEW, recovery_point=point)
    return any(job.under_way for job in jobs)


def _notifications(aws: Aws, before: Mapping[str, Any]) -> Remaining:
    """A bucket of the drill's own that still announces what happens in it."""
    name = before["Bucket"]
    try:
        raw = s3.configuration(aws, name, "notification")
    except NotFound:
        return NOTHING
    return Remaining(({"Bucket": name, "NotificationConfiguration": {}},) if raw else ())


def _upload(aws: Aws, entry: Entry) -> Remaining:
    where = entry.inverse.arguments
    upload = entry.result.get("UploadId")
    return Remaining(tuple(s3_acts.uploads_of(aws, where["Bucket"], key=where["Key"], upload=upload)))


def _experiment(aws: Aws, before: Mapping[str, Any]) -> Remaining:
    """What an exercise started in FIS and has not ended: that, too, is waited for, since routes are put back then."""
    under_way = [one for one in fis.experiments_of(aws, before["exercise"]) if not one.ended]
    calls = tuple({"id": one.id} for one in under_way if one.status != "stopping")
    return Remaining(calls, awaited=bool(under_way))


def _template(aws: Aws, before: Mapping[str, Any]) -> Remaining:
    return Remaining(tuple({"id": one} for one in fis.templates_of(aws, before["exercise"])))


def _build(aws: Aws, before: Mapping[str, Any]) -> Remaining:
    return Remaining(builds.left(aws, before))


def _database(operation: str, aws: Aws, before: Mapping[str, Any]) -> Remaining:
    return Remaining(swaps.left(aws, operation, before))


UNDOS: dict[str, Callable[[Aws, Mapping[str, Any]], Remaining]] = {
    "application-autoscaling.RegisterScalableTarget": service_remains.suspended_state,
    "codepipeline.EnableStageTransition": service_remains.transition,
    "dynamodb.DeleteItem": _items,
    "dynamodb.PutItem": _digest,
    "ec2.DeleteSecurityGroup": _security_group,
    "ecs.RunTask": _command,
    "ecs.StopTask": _running_task,
    "events.CancelReplay": provisioner_remains.replay,
    "events.EnableRule": provisioner_remains.rule,
    "fis.DeleteExperimentTemplate": _template,
    "fis.StopExperiment": _experiment,
    "lambda.AddPermission": provisioner_remains.permission,
    "lambda.DeleteFunctionConcurrency": provisioner_remains.concurrency,
    "lambda.PutFunctionConcurrency": provisioner_remains.concurrency,
    "lambda.UpdateFunctionConfiguration": provisioner_remains.handler,
    **{operation: partial(_database, operation) for operation in sorted(swaps.OPERATIONS)},
    "rds.DeleteDBParameterGroup": _parameter_group,
    "s3.DeleteBucket": _bucket,
    "s3.PutBucketNotificationConfiguration": _notifications,
    "sns.Unsubscribe": _subscription,
    "sqs.DeleteQueue": _queue,
    DESTROY: _build,
}
"""Inverse operation -> what of it is still to be done."""

UNDOS_BY_ANSWER: dict[str, Callable[[Aws, Entry], Remaining]] = {
    "codepipeline.StopPipelineExecution": service_remains.execution,
    "ecs.DeregisterTaskDefinition": service_remains.revisions,
    "ecs.UpdateService": service_remains.service,
    "rds.DeleteDBInstance": _db_instance,
    "s3.AbortMultipartUpload": _upload,
    "s3.DeleteObjects": _objects,
    "sqs.DeleteMessage": provisioner_remains.event,
}
"""Those that look at what the act was answered too: which ids S3 gave to what it made, which execution began."""
