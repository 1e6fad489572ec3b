"""A recovered state against what AWS really has, through the real provider: what was changed, deleted or made outside
of Terraform is red, and says what it is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.drills.state_rig import Ran, Rig, rigged, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_envdr.stack import Stack

pytestmark = pytest.mark.sweep

MODULE = """
terraform {
  backend "s3" {}
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "3.39.0"
    }
  }
}

variable "size" {
  type = number
}

variable "endpoint" {
  type = string
}

variable "region" {
  type = string
}

provider "aws" {
  region                      = var.region
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  s3_force_path_style         = true
  endpoints {
    ec2 = var.endpoint
    sqs = var.endpoint
    sns = var.endpoint
    sts = var.endpoint
    iam = var.endpoint
  }
  default_tags {
    tags = { "managed-by" = "terraform" }
  }
}

resource "aws_sqs_queue" "jobs" {
  count                      = var.size
  name                       = "drift-jobs-${count.index}"
  visibility_timeout_seconds = 60
}

resource "aws_sns_topic" "alarms" {
  name = "drift-alarms"
}
"""


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """S3, DynamoDB, SQS and SNS, for this module."""
    with rigged(tmp_path_factory.mktemp("drift"), region="eu-central-2", network="127.238.0.0/16") as rig:
        yield rig


@pytest.fixture(scope="module")
def stack(rig: Rig) -> Stack:
    """Two queues and a topic, made by Terraform."""
    return rig.founded_on_aws(MODULE)


@pytest.fixture(scope="module")
def recovered(rig: Rig, stack: Stack) -> Iterator[Ran]:
    """The state, lost and recovered. What a test then does to AWS, the check must see, and the test mends."""
    with rig.lost(stack) as ran:
        ran.seen["detection"] = ran.lost.wait_until_seen()
        ran.lost.recover()
        yield ran


def checked(rig: Rig, ran: Ran) -> Ran:
    """The check of the recovered state, told to a drill of its own."""
    drill = rig.drill()
    told = Ran(drill, replace(ran.lost, _drill=drill))
    told.seen["checked"] = told.lost.check()
    return told


def test_nothing_was_touched(rig: Rig, recovered: Ran) -> None:
    """The plan is empty, all that the state knows is there, and all that is tagged is in the state."""
    ran = checked(rig, recovered)
    assert ran.failures == []
    assert "3 resources in the state, 3 tagged managed-by=terraform; 0 gone, 0 in no state" in "".join(ran.told("note"))
    assert recovered.seen["detection"].changes == 3, "all of it once more, without a word"


def test_a_resource_changed_by_hand(rig: Rig, recovered: Ran) -> None:
    """The plan would change it back: red; the drift is listed beside it."""
    sqs = rig.served.client("sqs")
    url = sqs.get_queue_url(QueueName="drift-jobs-0")["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "90"})
    ran = checked(rig, recovered)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "60"})
    assert ran.failures == ["state.changes"]
    assert "aws_sqs_queue.jobs[0]: update (visibility_timeout_seconds)" in ran.findings["state.changes"]
    assert ran.table("Drift")[0][0] == "aws_sqs_queue.jobs[0]"


def test_a_resource_made_outside_of_terraform(rig: Rig, recovered: Ran) -> None:
    """Tagged as managed and in no state: no plan sees it. It is what was lost, and its import block is written."""
    sqs = rig.served.client("sqs")
    url = sqs.create_queue(QueueName="drift-stray", tags={"managed-by": "terraform"})["QueueUrl"]
    ran = checked(rig, recovered)
    sqs.delete_queue(QueueUrl=url)
    assert ran.failures == ["state.orphan", "state.rpo"]
    assert ran.seen["checked"].changes == ()
    assert ran.drill.recovery_points[0].lost == 1
    assert "to = aws_sqs_queue.drift_stray\n" in ran.attached("import.tf")


def test_a_resource_deleted_by_hand(rig: Rig, recovered: Ran) -> None:
    """Gone, by AWS's own word, and Terraform would make it once more."""
    sns = rig.served.client("sns")
    arn = next(row["TopicArn"] for row in sns.list_topics()["Topics"] if row["TopicArn"].endswith("drift-alarms"))
    sns.delete_topic(TopicArn=arn)
    ran = checked(rig, recovered)
    sns.create_topic(Name="drift-alarms", Tags=[{"Key": "managed-by", "Value": "terraform"}])
    assert ran.failures == ["state.changes", "state.gone"]
    assert "aws_sns_topic.alarms" in ran.findings["state.gone"]
    assert "aws_sns_topic.alarms: create" in ran.findings["state.changes"]


@pytest.mark.sweep
def test_drift_that_was_there_before(rig: Rig, stack: Stack) -> None:
    """Told before anything is lost, so that nobody takes it for the recovery's."""
    sqs = rig.served.client("sqs")
    url = sqs.get_queue_url(QueueName="drift-jobs-1")["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "90"})
    try:
        with rig.lost(stack) as ran:
            assert "state.changes-before" in ran.findings
            whole(ran)
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "60"})
    assert ran.failures == ["state.changes"]
