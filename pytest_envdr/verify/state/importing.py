"""What adopts an orphan: ARN -> Terraform's `import` block (Terraform 1.5 and later).

Each resource type has an import id of its own form (the provider's documentation, section "Import" of each resource).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Arn:
    """An ARN taken apart: `kind` is "targetgroup" of "targetgroup/name/0123", "" where there is a name alone; `name`
    is what follows it."""

    text: str
    service: str
    region: str
    account: str
    kind: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Arn:
        """Every service divides kind and name by "/" or ":", or has no kind."""
        _, _, service, region, account, rest = (*text.split(":", 5), "", "", "", "", "", "")[:6]
        kind, _, name = re.sub(r"[:/]", "\0", rest, count=1).partition("\0")
        return cls(text, service, region, account, *((kind, name) if name and service != "s3" else ("", rest)))

    @property
    def last(self) -> str:
        """The last part of the name, but for the id that load balancers' ARNs end with."""
        parts = re.split(r"[:/]", self.name)
        return parts[-2] if len(parts) > 1 and re.fullmatch(r"[0-9a-f]{16}", parts[-1]) else parts[-1]


def _arn(arn: Arn) -> str:
    return arn.text


def _name(arn: Arn) -> str:
    return arn.name


def _queue(arn: Arn) -> str:
    return f"https://sqs.{arn.region}.amazonaws.com/{arn.account}/{arn.name}"


TYPES: dict[tuple[str, str], tuple[str, Callable[[Arn], str]]] = {
    ("backup", "backup-plan"): ("aws_backup_plan", _name),
    ("backup", "backup-vault"): ("aws_backup_vault", _name),
    ("cloudwatch", "alarm"): ("aws_cloudwatch_metric_alarm", _name),
    ("codebuild", "project"): ("aws_codebuild_project", _arn),
    ("codepipeline", ""): ("aws_codepipeline", _name),
    ("dynamodb", "table"): ("aws_dynamodb_table", _name),
    ("ec2", "elastic-ip"): ("aws_eip", _name),
    ("ec2", "internet-gateway"): ("aws_internet_gateway", _name),
    ("ec2", "natgateway"): ("aws_nat_gateway", _name),
    ("ec2", "route-table"): ("aws_route_table", _name),
    ("ec2", "security-group"): ("aws_security_group", _name),
    ("ec2", "subnet"): ("aws_subnet", _name),
    ("ec2", "vpc"): ("aws_vpc", _name),
    ("ecr", "repository"): ("aws_ecr_repository", _name),
    ("ecs", "cluster"): ("aws_ecs_cluster", _name),
    ("ecs", "service"): ("aws_ecs_service", _name),
    ("ecs", "task-definition"): ("aws_ecs_task_definition", _arn),
    ("elasticache", "cluster"): ("aws_elasticache_cluster", _name),
    ("elasticache", "parametergroup"): ("aws_elasticache_parameter_group", _name),
    ("elasticache", "replicationgroup"): ("aws_elasticache_replication_group", _name),
    ("elasticache", "subnetgroup"): ("aws_elasticache_subnet_group", _name),
    ("elasticloadbalancing", "listener"): ("aws_lb_listener", _arn),
    ("elasticloadbalancing", "listener-rule"): ("aws_lb_listener_rule", _arn),
    ("elasticloadbalancing", "loadbalancer"): ("aws_lb", _arn),
    ("elasticloadbalancing", "targetgroup"): ("aws_lb_target_group", _arn),
    ("events", "event-bus"): ("aws_cloudwatch_event_bus", _name),
    ("events", "rule"): ("aws_cloudwatch_event_rule", _name),
    ("iam", "policy"): ("aws_iam_policy", _arn),
    ("iam", "role"): ("aws_iam_role", lambda arn: arn.last),
    ("kms", "key"): ("aws_kms_key", _name),
    ("lambda", "function"): ("aws_lambda_function", _name),
    ("logs", "log-group"): ("aws_cloudwatch_log_group", _name),
    ("rds", "db"): ("aws_db_instance", _name),
    ("rds", "og"): ("aws_db_option_group", _name),
    ("rds", "pg"): ("aws_db_parameter_group", _name),
    ("rds", "subgrp"): ("aws_db_subnet_group", _name),
    ("s3", ""): ("aws_s3_bucket", _name),
    ("secretsmanager", "secret"): ("aws_secretsmanager_secret", _arn),
    ("sns", ""): ("aws_sns_topic", _arn),
    ("sqs", ""): ("aws_sqs_queue", _queue),
}
"""Service and kind of an ARN -> the resource type that manages it, and how its import id is formed."""


def import_block(arn: str) -> str:
    """What puts an orphan under Terraform: an `import` block; where its type is not known, a comment that says so.

    The resource's own block must be written besides, and its name may be another one.
    """
    parsed = Arn.parse(arn)
    if (parsed.service, parsed.kind) not in TYPES:
        return f"# {arn}: no resource type is known for it\n"
    resource, identity = TYPES[parsed.service, parsed.kind]
    name = re.sub(r"\W+", "_", parsed.last).strip("_")
    name = name if name[:1].isalpha() else f"_{name}"
    return f"# {arn}\nimport {{\n  to = {resource}.{name}\n  id = {json.dumps(identity(parsed))}\n}}\n"
