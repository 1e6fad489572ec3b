"""A plan for the standby Region is judged before it is applied: it only creates, only there, under names that fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_envdr.drills import standby_plan
from pytest_envdr.terraform import Change, Plan
from pytest_envdr.terraform.plans import PlanFile
from tests import account

VPC = {"cidr_block": "10.1.0.0/16"}


def planned(*changes: Change) -> Plan:
    return Plan(PlanFile(Path()), changes, (), {}, "1.11.4")


def judged(*changes: Change) -> list[tuple[str, str]]:
    found = standby_plan.findings(
        planned(*changes),
        account.stack(standby_region="eu-central-1"),
        cidrs=["10.0.0.0/16"],
        taken={"prod-sources": "the account itself"},
        foreign=["10.0.0.1", "prod-db.abc.eu-west-1.rds.amazonaws.com"],
    )
    return [(one.id, one.detail) for one in found]


def create(kind: str, **after: Any) -> Change:
    return Change(f"{kind}.this", kind, ("create",), (), {}, after)


def test_what_builds_the_region_is_taken() -> None:
    """Creations there, lookups, and what is left alone: nothing is found."""
    assert (
        judged(
            create("aws_vpc", **VPC),
            create("aws_lb", name="prod-public"),
            create("aws_ecs_task_definition", container_definitions='[{"value":"10.0.0.12"},{"value":"10.1.0.1"}]'),
            create("aws_s3_bucket", bucket="prod-sources-eu-central-1"),
            Change("data.aws_iam_role.there", "aws_iam_role", ("read",)),
            Change("aws_iam_role.there", "aws_iam_role", ("no-op",)),
        )
        == []
    )


@pytest.mark.parametrize("actions", [("update",), ("delete",), ("delete", "create"), ("create", "delete")])
def test_anything_but_a_creation_is_found(actions: tuple[str, ...]) -> None:
    """What is there already is another Region's, or left behind: it is not changed."""
    assert judged(Change("aws_lb.this", "aws_lb", actions, ("name",))) == [("plan.not-a-create", "differing: name")]


@pytest.mark.parametrize(
    "kind", ["aws_iam_role", "aws_iam_role_policy", "aws_route53_record", "aws_cloudfront_distribution"]
)
def test_what_the_account_has_once_is_found(kind: str) -> None:
    """Roles, records and distributions are of no Region: making them there changes production."""
    assert [one for one, _ in judged(create(kind, name="prod"))] == ["plan.global"]


def test_a_bucket_whose_name_is_taken_is_found() -> None:
    """S3's names are global."""
    assert judged(create("aws_s3_bucket", bucket="prod-sources")) == [("plan.global", "the account itself")]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("aws_lb", "x" * 33),
        ("aws_lb_target_group", "x" * 33),
        ("aws_lb", "internal-prod"),
        ("aws_s3_bucket", "x" * 64),
        ("aws_elasticache_replication_group", "x" * 41),
    ],
)
def test_a_name_that_does_not_fit_is_found(kind: str, name: str) -> None:
    """Too long, or one that AWS keeps to itself."""
    key = {"aws_s3_bucket": "bucket", "aws_elasticache_replication_group": "replication_group_id"}.get(kind, "name")
    assert [one for one, _ in judged(create(kind, **{key: name}))] == ["plan.name"]


@pytest.mark.parametrize(
    "value",
    ["10.0.0.1", "http://10.0.0.1:8080", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/envelope:1", "eu-west-1"],
)
def test_a_setting_that_names_the_primary_is_found_and_not_shown(value: str) -> None:
    """Its address or its Region, wherever in a setting; the place is told, the value may be a secret."""
    change = create("aws_ecs_task_definition", environment=[{"variable": {"name": "HOST", "value": value}}])
    assert judged(change) == [
        ("plan.primary", f"environment.variable.value names {'10.0.0.1' if '10.' in value else 'eu-west-1'}")
    ]


def test_overlapping_addresses_are_found() -> None:
    """Between two such networks there is no way back."""
    assert judged(create("aws_vpc", cidr_block="10.0.128.0/20")) == [("plan.overlap", "10.0.0.0/16")]
