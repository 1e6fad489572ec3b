"""Which resource of the Terraform modules each seeded one is: its address, and the id that it is imported by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_envdr.sandbox.envelope import pipeline, provisioner, stores
from pytest_envdr.sandbox.envelope.names import (
    BACKUP_ROLE,
    BUS,
    CACHE,
    CLUSTER,
    DATABASE,
    DEAD_JOBS,
    INTERNAL,
    JOBS,
    ONCALL,
    PLAN,
    PREFIX,
    PROVISIONER,
    PUBLIC,
    REPOSITORY,
    SECRET,
    SERVICES,
    STATE_BUCKET,
    STATE_LOCKS,
    TENANT_ARCHIVE,
    TENANT_RULE,
    TOPIC,
    UNDELIVERED_TENANTS,
    UNMADE_BUCKETS,
    VAULT,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_envdr.sandbox.envelope.account import Account

SCALING = "ecs:service:DesiredCount"


def ids(account: Account) -> dict[str, str]:
    """The id of every seeded resource, by its address in the modules."""
    return dict(
        row
        for part in (
            _network,
            _balancers,
            _services,
            _data,
            _jobs,
            _storage,
            _monitoring,
            _backup,
            _provisioner,
            _delivery,
        )
        for row in part(account)
    )


def _network(account: Account) -> Iterator[tuple[str, str]]:
    ec2 = account.client("ec2")
    named = [{"Name": "tag:Name", "Values": [PREFIX, f"{PREFIX}-*"]}]
    (vpc,) = (row["VpcId"] for row in ec2.describe_vpcs(Filters=named)["Vpcs"])
    yield "module.network.aws_vpc.this", vpc
    inside = [{"Name": "vpc-id", "Values": [vpc]}]
    for subnet in ec2.describe_subnets(Filters=inside)["Subnets"]:
        name = next(tag["Value"] for tag in subnet["Tags"] if tag["Key"] == "Name")
        yield f'module.network.aws_subnet.this["{_short(name)}"]', subnet["SubnetId"]
    for group in ec2.describe_security_groups(Filters=inside)["SecurityGroups"]:
        if group["GroupName"] != "default":
            yield f"module.network.aws_security_group.{_short(group['GroupName'])}", group["GroupId"]


def _balancers(account: Account) -> Iterator[tuple[str, str]]:
    elbv2 = account.client("elbv2")
    balancers = elbv2.describe_load_balancers(Names=[PUBLIC, INTERNAL])["LoadBalancers"]
    groups = elbv2.describe_target_groups(Names=[row.name for row in SERVICES if row.load_balancer])["TargetGroups"]
    words = {group["TargetGroupArn"]: _short(group["TargetGroupName"]) for group in groups}
    for arn, word in words.items():
        yield f'module.compute.aws_lb_target_group.this["{word}"]', arn
    for balancer in balancers:
        word, arn = _short(balancer["LoadBalancerName"]), balancer["LoadBalancerArn"]
        yield f'module.compute.aws_lb.this["{word}"]', arn
        (listener,) = elbv2.describe_listeners(LoadBalancerArn=arn)["Listeners"]
        yield f'module.compute.aws_lb_listener.this["{word}"]', listener["ListenerArn"]
        for rule in elbv2.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]:
            if not rule["IsDefault"]:
                group = words[rule["Actions"][0]["TargetGroupArn"]]
                yield f'module.compute.aws_lb_listener_rule.this["{group}"]', rule["RuleArn"]


def _services(account: Account) -> Iterator[tuple[str, str]]:
    yield "module.compute.aws_ecs_cluster.this", CLUSTER
    for purpose in ("execution", "task"):
        yield f'module.compute.aws_iam_role.this["{purpose}"]', f"{PREFIX}-{purpose}"
    definitions = f"arn:aws:ecs:{account.world.region}:{account.world.account}:task-definition"
    for service in SERVICES:
        key = f'this["{service.word}"]'
        yield f"module.compute.aws_cloudwatch_log_group.{key}", f"/ecs/{service.name}"
        yield f"module.compute.aws_ecs_task_definition.{key}", f"{definitions}/{service.name}:1"
        yield f"module.compute.aws_ecs_service.{key}", f"{CLUSTER}/{service.name}"
        if service.scales:
            target = f"ecs/service/{CLUSTER}/{service.name}/{SCALING}"
            yield f"module.compute.aws_appautoscaling_target.{key}", target


def _data(account: Account) -> Iterator[tuple[str, str]]:
    secret = account.client("secretsmanager").describe_secret(SecretId=SECRET)["ARN"]
    yield "module.data.aws_db_subnet_group.this", PREFIX
    yield "module.data.aws_db_parameter_group.this", stores.PARAMETERS
    yield "module.data.aws_db_instance.this[0]", DATABASE
    yield "module.data.aws_secretsmanager_secret.database[0]", secret
    yield "module.data.aws_elasticache_subnet_group.this", PREFIX
    yield "module.data.aws_elasticache_parameter_group.this", CACHE
    yield "module.data.aws_elasticache_replication_group.this", CACHE


def _jobs(account: Account) -> Iterator[tuple[str, str]]:
    if account.world.queue == "sqs":
        yield "module.data.aws_sqs_queue.jobs[0]", _queue(account, JOBS)
        yield "module.data.aws_sqs_queue.dead_jobs[0]", _queue(account, DEAD_JOBS)


def _storage(account: Account) -> Iterator[tuple[str, str]]:
    buckets = {"sources": pipeline.SOURCES, "artifacts": pipeline.ARTIFACTS, "state": STATE_BUCKET}
    for word, bucket in buckets.items():
        yield f"module.storage.aws_s3_bucket.{word}[0]", bucket
        yield f'module.storage.aws_s3_bucket_ownership_controls.this["{word}"]', bucket
    yield "module.storage.aws_s3_bucket_public_access_block.state[0]", STATE_BUCKET
    if account.world.terraform_lock == "table":
        yield "module.storage.aws_dynamodb_table.locks[0]", STATE_LOCKS


def _monitoring(account: Account) -> Iterator[tuple[str, str]]:
    topic = f"arn:aws:sns:{account.world.region}:{account.world.account}:{TOPIC}"
    queue = _queue(account, ONCALL)
    subscriptions = account.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    yield "module.monitoring.aws_sns_topic.alarms", topic
    yield "module.monitoring.aws_sqs_queue.oncall", queue
    yield "module.monitoring.aws_sqs_queue_policy.oncall", queue
    for subscription in subscriptions:
        if subscription["Endpoint"].endswith(f":{ONCALL}"):
            yield "module.monitoring.aws_sns_topic_subscription.oncall", subscription["SubscriptionArn"]
    for service in SERVICES:
        ends = {"no-healthy-host": "no_healthy_host", "5xx": "errors"} if service.load_balancer else {"stalled": ""}
        for end, name in ends.items():
            key = f'{name}["{service.word}"]' if name else f'work["{service.word}-{end}"]'
            yield f"module.monitoring.aws_cloudwatch_metric_alarm.{key}", f"{service.name}-{end}"
    yield 'module.monitoring.aws_cloudwatch_metric_alarm.work["db-heartbeat"]', f"{PREFIX}-db-heartbeat"


def _backup(account: Account) -> Iterator[tuple[str, str]]:
    backup = account.client("backup")
    plans: list[dict[str, Any]] = backup.list_backup_plans()["BackupPlansList"]
    (plan,) = (row["BackupPlanId"] for row in plans if row["BackupPlanName"] == PLAN)
    yield "module.backup.aws_backup_vault.this", VAULT
    yield "module.backup.aws_backup_plan.daily", plan
    yield "module.backup.aws_iam_role.this[0]", BACKUP_ROLE
    for row in backup.list_backup_selections(BackupPlanId=plan)["BackupSelectionsList"]:
        key = f'this["{row["SelectionName"]}"]'
        yield f"module.backup.aws_backup_selection.{key}", f"{plan}|{row['SelectionId']}"


def _provisioner(account: Account) -> Iterator[tuple[str, str]]:
    unmade, undelivered = _queue(account, UNMADE_BUCKETS), _queue(account, UNDELIVERED_TENANTS)
    rule, target = f"{BUS}/{TENANT_RULE}", provisioner.TARGET
    yield "module.provisioner.aws_cloudwatch_event_bus.this", BUS
    yield "module.provisioner.aws_cloudwatch_event_archive.tenants", TENANT_ARCHIVE
    yield "module.provisioner.aws_cloudwatch_event_rule.created", rule
    yield "module.provisioner.aws_cloudwatch_event_target.provisioner", f"{rule}/{target}"
    yield "module.provisioner.aws_lambda_function.this", PROVISIONER
    yield "module.provisioner.aws_lambda_permission.created", f"{PROVISIONER}/{provisioner.STATEMENT}"
    yield "module.provisioner.aws_cloudwatch_log_group.this", provisioner.LOG_GROUP
    yield "module.provisioner.aws_sqs_queue.unmade", unmade
    yield "module.provisioner.aws_sqs_queue.undelivered", undelivered
    yield "module.provisioner.aws_sqs_queue_policy.undelivered", undelivered
    yield "module.provisioner.aws_iam_role.this[0]", PROVISIONER
    yield "module.provisioner.aws_iam_role_policy.this[0]", f"{PROVISIONER}:{PROVISIONER}"
    for alarm in provisioner.ALARMS:
        yield f'module.provisioner.aws_cloudwatch_metric_alarm.failures["{alarm}"]', alarm


def _delivery(account: Account) -> Iterator[tuple[str, str]]:
    place = f"{account.world.region}:{account.world.account}"
    module = "module.delivery[0]"
    yield f"{module}.aws_ecr_repository.envelope", REPOSITORY
    yield f"{module}.aws_ecr_lifecycle_policy.envelope", REPOSITORY
    yield f"{module}.aws_ecr_replication_configuration.standby[0]", account.world.account
    yield f"{module}.aws_codebuild_project.build", f"arn:aws:codebuild:{place}:project/{pipeline.PROJECT}"
    yield f"{module}.aws_codepipeline.this", pipeline.PIPELINE
    for purpose in ("build", "pipeline"):
        yield f'{module}.aws_iam_role.this["{purpose}"]', f"{PREFIX}-{purpose}"


def _queue(account: Account, name: str) -> str:
    return str(account.client("sqs").get_queue_url(QueueName=name)["QueueUrl"])


def _short(name: str) -> str:
    return name.removeprefix(f"{PREFIX}-")
