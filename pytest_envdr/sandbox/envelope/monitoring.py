"""Alarms, the topic they speak to, and the on-call queue that listens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pytest_envdr.sandbox.envelope.names import (
    DATABASE,
    MANAGED,
    MESSAGE_BYTES,
    METRICS,
    ONCALL,
    PREFIX,
    SERVICES,
    TAGS,
    TOPIC,
)

if TYPE_CHECKING:
    from pytest_envdr.sandbox.envelope.account import Account
    from pytest_envdr.sandbox.envelope.services import LoadBalancer

WORK_METRICS = {"worker": "WorkerLoops", "scheduler": "HeartbeatsWritten"}


def create_topic(account: Account) -> tuple[str, str]:
    """The ARNs of the topic and of the queue subscribed to it."""
    sns, sqs = account.client("sns"), account.client("sqs")
    topic = sns.create_topic(Name=TOPIC, Tags=TAGS)["TopicArn"]
    url = sqs.create_queue(QueueName=ONCALL, Attributes={"MaximumMessageSize": MESSAGE_BYTES}, tags=MANAGED)["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": queue,
                "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
            }
        ],
    }
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    return topic, queue


def create_alarms(account: Account, topic: str, balancers: dict[str, LoadBalancer]) -> None:
    """The alarms of the stack, all of them speaking to `topic`.

    `no-healthy-host` and `stalled` treat missing data as breaching: with no task at all the metric may be missing, and
    an alarm that then says INSUFFICIENT_DATA tells nobody (aws-semantics 4, traps).
    """
    cloudwatch = account.client("cloudwatch")
    for service in SERVICES:
        if service.load_balancer is None:
            dimension = {"Name": "Service", "Value": service.word}
            metric = WORK_METRICS[service.word]
            name, what = f"{service.name}-stalled", f"{service.name} does no work"
            cloudwatch.put_metric_alarm(**_work(name, what, topic, metric=metric, dimension=dimension))
            continue
        balancer = balancers[service.load_balancer]
        dimensions = _dimensions(balancer.arn, balancer.target_groups[service.word])
        cloudwatch.put_metric_alarm(**_no_healthy_host(service.name, dimensions, topic))
        cloudwatch.put_metric_alarm(**_errors(service.name, dimensions, topic))
    name, what = f"{PREFIX}-db-heartbeat", "no heartbeat reaches the database"
    dimension = {"Name": "DBInstanceIdentifier", "Value": DATABASE}
    cloudwatch.put_metric_alarm(**_work(name, what, topic, metric="DatabaseHeartbeats", dimension=dimension))


def _dimensions(balancer: str, group: str) -> list[dict[str, str]]:
    return [
        {"Name": "LoadBalancer", "Value": balancer.split(":loadbalancer/")[1]},
        {"Name": "TargetGroup", "Value": group.rsplit(":", maxsplit=1)[-1]},
    ]


def _alarm(name: str, description: str, topic: str) -> dict[str, Any]:
    return {
        "AlarmName": name,
        "AlarmDescription": description,
        "AlarmActions": [topic],
        "OKActions": [topic],
        "Period": 60,
        "EvaluationPeriods": 1,
        "Tags": TAGS,
    }


def _work(name: str, description: str, topic: str, *, metric: str, dimension: dict[str, str]) -> dict[str, Any]:
    """An alarm on the application's own work: high-resolution metrics, so half a minute is period enough."""
    return _alarm(name, description, topic) | {
        "Namespace": METRICS,
        "MetricName": metric,
        "Dimensions": [dimension],
        "Period": 30,
        "Statistic": "Sum",
        "ComparisonOperator": "LessThanThreshold",
        "Threshold": 1,
        "TreatMissingData": "breaching",
    }


def _no_healthy_host(name: str, dimensions: list[dict[str, str]], topic: str) -> dict[str, Any]:
    return _alarm(f"{name}-no-healthy-host", f"{name} has no healthy target", topic) | {
        "Namespace": "AWS/ApplicationELB",
        "MetricName": "HealthyHostCount",
        "Dimensions": dimensions,
        "Statistic": "Minimum",
        "ComparisonOperator": "LessThanThreshold",
        "Threshold": 1,
        "TreatMissingData": "breaching",
    }


def _errors(name: str, dimensions: list[dict[str, str]], topic: str) -> dict[str, Any]:
    return _alarm(f"{name}-5xx", f"{name} answers errors", topic) | {
        "Namespace": "AWS/ApplicationELB",
        "MetricName": "HTTPCode_Target_5XX_Count",
        "Dimensions": dimensions,
        "Statistic": "Sum",
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "Threshold": 5,
        "TreatMissingData": "notBreaching",
    }
