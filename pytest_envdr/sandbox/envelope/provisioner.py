"""The provisioner: an event of the application's, a rule, and the Lambda function that makes a new tenant's bucket.

What goes wrong is kept: the function's dead-letter queue has the events that it failed of, the rule's the ones that it
could not give to the function, and the archive has all of them. There is an alarm on each.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_envdr.sandbox.envelope.buckets import tenant_bucket_configuration
from pytest_envdr.sandbox.envelope.functions import tenant_provisioner
from pytest_envdr.sandbox.envelope.names import (
    BUS,
    MANAGED,
    MESSAGE_BYTES,
    PROVISIONER,
    TAGS,
    TENANT_ARCHIVE,
    TENANT_BUCKET_PREFIX,
    TENANT_RULE,
    UNDELIVERED_TENANTS,
    UNMADE_BUCKETS,
)

if TYPE_CHECKING:
    from pytest_envdr.sandbox.envelope.account import Account

SOURCE, DETAIL_TYPE = "envelope", "tenant.created"
MODULE = "tenant_provisioner"
RUNTIME = "python3.8"
"""The newest that the Terraform provider of the stack's modules knows. What runs it is this machine's Python."""
LOG_GROUP = f"/aws/lambda/{PROVISIONER}"
TARGET, STATEMENT = "provisioner", "tenant-created"
"""The rule's target, and the statement in the function's policy that lets the rule in."""
ALARMS = {
    f"{PROVISIONER}-errors": ("AWS/Lambda", "Errors", {"FunctionName": PROVISIONER}),
    f"{PROVISIONER}-throttles": ("AWS/Lambda", "Throttles", {"FunctionName": PROVISIONER}),
    f"{PROVISIONER}-dropped": ("AWS/Lambda", "AsyncEventsDropped", {"FunctionName": PROVISIONER}),
    UNMADE_BUCKETS: ("AWS/SQS", "ApproximateNumberOfMessagesVisible", {"QueueName": UNMADE_BUCKETS}),
    UNDELIVERED_TENANTS: ("AWS/SQS", "ApproximateNumberOfMessagesVisible", {"QueueName": UNDELIVERED_TENANTS}),
}
"""Name -> namespace, metric and dimensions; each fires at the first one. A queue's alarm is named as the queue."""
RETENTION_SECONDS = 14 * 86_400
SECONDS, MEBIBYTES = 30, 256
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The oldest time that a zip file knows: the package is the same bytes each time, and so its digest is."""


def package() -> bytes:
    """The function's deployment package."""
    configuration = tenant_bucket_configuration("@slug@", bucket="@bucket@")
    source = Path(tenant_provisioner.__file__).read_text()
    files = {f"{MODULE}.py": source, "configuration.json": json.dumps(configuration, indent=1)}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, text)
    return packed.getvalue()


def create(account: Account) -> None:
    """All of it but the alarms."""
    rule = f"arn:aws:events:{account.world.region}:{account.world.account}:rule/{BUS}/{TENANT_RULE}"
    unmade = _queue(account, UNMADE_BUCKETS, {})
    undelivered = _queue(account, UNDELIVERED_TENANTS, _only_from(account, UNDELIVERED_TENANTS, rule))
    account.client("logs").create_log_group(logGroupName=LOG_GROUP, tags=MANAGED)
    function = _function(account, unmade, rule)
    _rule(account, function, undelivered)


def create_alarms(account: Account, topic: str) -> None:
    """An alarm on each way in which a bucket may not be made; they speak to `topic`."""
    cloudwatch = account.client("cloudwatch")
    for name, (namespace, metric, dimensions) in ALARMS.items():
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            AlarmDescription=f"{PROVISIONER}: {metric}",
            AlarmActions=[topic],
            OKActions=[topic],
            Namespace=namespace,
            MetricName=metric,
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
            Statistic="Maximum" if namespace == "AWS/SQS" else "Sum",
            Period=60,
            EvaluationPeriods=1,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
            Threshold=1,
            TreatMissingData="notBreaching",
            Tags=TAGS,
        )


def _function(account: Account, unmade: str, rule: str) -> str:
    """The function's ARN. Its reserved concurrency and event invoke configuration are AWS's: there are none."""
    role = account.role("tenant-provisioner", "lambda")
    may = _document(*_may(account))
    account.client("iam").put_role_policy(RoleName=PROVISIONER, PolicyName=PROVISIONER, PolicyDocument=may)
    client = account.client("lambda")
    function = client.create_function(
        FunctionName=PROVISIONER,
        Description="Makes a new tenant's bucket",
        Runtime=RUNTIME,
        Role=role,
        Handler=f"{MODULE}.handler",
        Code={"ZipFile": package()},
        Timeout=SECONDS,
        MemorySize=MEBIBYTES,
        DeadLetterConfig={"TargetArn": unmade},
        Tags=MANAGED,
    )["FunctionArn"]
    client.add_permission(
        FunctionName=PROVISIONER,
        StatementId=STATEMENT,
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule,
    )
    return str(function)


def _rule(account: Account, function: str, undelivered: str) -> None:
    events = account.client("events")
    bus = events.create_event_bus(Name=BUS, Tags=TAGS)["EventBusArn"]
    # As Terraform writes it: an archive's pattern is compared as a text.
    pattern = json.dumps({"detail-type": [DETAIL_TYPE], "source": [SOURCE]}, separators=(",", ":"))
    events.create_archive(ArchiveName=TENANT_ARCHIVE, EventSourceArn=bus, EventPattern=pattern, RetentionDays=90)
    events.put_rule(Name=TENANT_RULE, EventBusName=BUS, EventPattern=pattern, State="ENABLED", Tags=TAGS)
    target = {"Id": TARGET, "Arn": function, "DeadLetterConfig": {"Arn": undelivered}}
    events.put_targets(Rule=TENANT_RULE, EventBusName=BUS, Targets=[target])


def _queue(account: Account, name: str, policy: dict[str, str]) -> str:
    """The queue's ARN."""
    attributes = {
        "MessageRetentionPeriod": str(RETENTION_SECONDS),
        "MaximumMessageSize": MESSAGE_BYTES,
        **policy,
    }
    account.client("sqs").create_queue(QueueName=name, Attributes=attributes, tags=MANAGED)
    return _queue_arn(account, name)


def _queue_arn(account: Account, name: str) -> str:
    return f"arn:aws:sqs:{account.world.region}:{account.world.account}:{name}"


def _only_from(account: Account, name: str, rule: str) -> dict[str, str]:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": _queue_arn(account, name),
        "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
    }
    return {"Policy": _document(statement)}


def _may(account: Account) -> list[dict[str, Any]]:
    """What the function's role is allowed."""
    buckets = ["s3:CreateBucket", "s3:ListBucket", "s3:Get*Configuration", "s3:GetBucket*", "s3:PutBucket*"]
    settings = ["s3:PutEncryptionConfiguration", "s3:PutLifecycleConfiguration"]
    logs = ["logs:CreateLogStream", "logs:PutLogEvents"]
    unmade = f"arn:aws:sqs:*:{account.world.account}:{UNMADE_BUCKETS}"
    return [
        {"Effect": "Allow", "Action": buckets + settings, "Resource": f"arn:aws:s3:::{TENANT_BUCKET_PREFIX}*"},
        {"Effect": "Allow", "Action": logs, "Resource": f"arn:aws:logs:*:*:log-group:{LOG_GROUP}:*"},
        {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": unmade},
    ]


def _document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
