"""The stack's provisioner: an event makes a tenant's bucket, once and for good."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.aws import Aws
from pytest_envdr.sandbox.envelope import provisioner
from pytest_envdr.stack import Stack, read
from pytest_envdr.verify.bucket.configuration import compare_configuration, configuration
from pytest_envdr.waiting import wait_until
from tests.drills.stranger import Stranger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_envdr.tables import Provisioner

SECONDS = 60.0
SLUG, BUCKET = "newcomer", "envelope-prod-tenant-newcomer"


@pytest.fixture(scope="module")
def stack(sandbox_stack: Path) -> Stack:
    """The running stack."""
    return read(sandbox_stack)


@pytest.fixture(scope="module")
def table(stack: Stack) -> Provisioner:
    """What the stack file says of the provisioner."""
    stack.needs("provisioner")
    assert stack.provisioner
    return stack.provisioner


@pytest.fixture(scope="module")
def stranger(sandbox_stack: Path) -> Stranger:
    return Stranger(sandbox_stack)


@pytest.fixture
def bucket(stranger: Stranger, table: Provisioner) -> Iterator[str]:
    """The bucket that an event has made; it is gone again behind the test."""
    tell(stranger, table)
    wait_until(lambda: runs(stranger, table), what="the provisioner", deadline=SECONDS)
    yield BUCKET
    stranger.client("s3").delete_bucket(Bucket=BUCKET)
    logs = stranger.client("logs")
    for stream in logs.describe_log_streams(logGroupName=table.log_group)["logStreams"]:
        logs.delete_log_stream(logGroupName=table.log_group, logStreamName=stream["logStreamName"])


def tell(stranger: Stranger, table: Provisioner, **detail: Any) -> None:
    """What the application tells of a new tenant."""
    entry = {
        "Source": table.source,
        "DetailType": table.detail_type,
        "EventBusName": table.bus,
        "Detail": json.dumps({"slug": SLUG, "tenant_id": 99, "bucket": BUCKET} | detail),
    }
    assert stranger.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


def runs(stranger: Stranger, table: Provisioner) -> list[str]:
    """What the provisioner logged of each tenant that it is through with."""
    groups = stranger.client("logs").describe_log_groups(logGroupNamePrefix=table.log_group)["logGroups"]
    if not groups:
        return []
    found = stranger.client("logs").filter_log_events(logGroupName=table.log_group)["events"]
    texts = [event["message"] for event in found]
    ended = sum(text.startswith("REPORT") for text in texts)
    return [text.rpartition("\t")[2] for text in texts if " of tenant " in text][:ended]


def test_the_stack_file_names_what_is_there(stranger: Stranger, table: Provisioner) -> None:
    """Function, rule, target, permission, archive, queues, log group and alarms are those that AWS knows."""
    function = stranger.client("lambda").get_function_configuration(FunctionName=table.function)
    assert function["State"] == "Active"
    assert function["DeadLetterConfig"]["TargetArn"].endswith(f":{table.dead_letters}")
    policy = json.loads(stranger.client("lambda").get_policy(FunctionName=table.function)["Policy"])
    assert [statement["Sid"] for statement in policy["Statement"]] == [table.statement]
    events = stranger.client("events")
    assert events.describe_rule(Name=table.rule, EventBusName=table.bus)["State"] == "ENABLED"
    (target,) = events.list_targets_by_rule(Rule=table.rule, EventBusName=table.bus)["Targets"]
    assert (target["Id"], target["Arn"]) == (table.target, function["FunctionArn"])
    assert target["DeadLetterConfig"]["Arn"].endswith(f":{table.undelivered}")
    assert events.describe_archive(ArchiveName=table.archive)["State"] == "ENABLED"
    alarms = stranger.client("cloudwatch").describe_alarms(AlarmNames=list(table.alarms))["MetricAlarms"]
    assert {alarm["AlarmName"] for alarm in alarms} == set(table.alarms)
    assert {action for alarm in alarms for action in alarm["AlarmActions"]} == {
        stranger.stack["notifications"]["topic"]
    }


def test_an_event_makes_a_bucket_like_all_others(stack: Stack, bucket: str) -> None:
    """Its whole configuration is that of a tenant's bucket that the stack had from the start, but for the name."""
    aws = Aws(stack)
    expected, actual = (configuration(aws, name) for name in ("envelope-prod-tenant-acme", bucket))
    assert [difference.kind for difference in compare_configuration(expected, actual)] == ["tags"]
    named = json.loads(json.dumps(expected).replace("acme", SLUG))
    assert compare_configuration(named, actual) == []


def test_the_same_event_again_changes_nothing(
    stack: Stack, stranger: Stranger, table: Provisioner, bucket: str
) -> None:
    """Late, twice or replayed: the bucket stays as it is, also where somebody has changed it meanwhile."""
    s3, aws = stranger.client("s3"), Aws(stack)
    changed = {"TagSet": [{"Key": "tenant", "Value": "by hand"}]}
    s3.put_bucket_tagging(Bucket=bucket, Tagging=changed)
    before = configuration(aws, bucket)
    tell(stranger, table)
    wait_until(lambda: len(runs(stranger, table)) == 2, what="the second run", deadline=SECONDS)
    assert configuration(aws, bucket) == before
    assert [run.split(": ")[1] for run in runs(stranger, table)] == ["made, 9 settings made", "there, 0 settings made"]


def test_what_a_killed_run_did_not_come_to_is_made_up_for(
    stack: Stack, stranger: Stranger, table: Provisioner, bucket: str
) -> None:
    """Settings that are not there at all are made; no other is touched."""
    s3, aws = stranger.client("s3"), Aws(stack)
    before = configuration(aws, bucket)
    s3.delete_bucket_policy(Bucket=bucket)
    s3.delete_bucket_cors(Bucket=bucket)
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    tell(stranger, table)
    wait_until(lambda: len(runs(stranger, table)) == 2, what="the second run", deadline=SECONDS)
    assert configuration(aws, bucket) == before
    assert runs(stranger, table)[1].endswith("there, 3 settings made")


def test_the_package_is_the_same_each_time(stranger: Stranger, table: Provisioner) -> None:
    """Whoever describes the function in another way comes to the same digest."""
    function = stranger.client("lambda").get_function_configuration(FunctionName=table.function)
    assert function["CodeSize"] == len(provisioner.package())
    assert provisioner.package() == provisioner.package()
