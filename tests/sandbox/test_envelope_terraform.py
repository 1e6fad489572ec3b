"""The stack as Terraform describes it: the real provider finds what was seeded, and nothing to do."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from pytest_envdr.aws import Aws
from pytest_envdr.sandbox import Sandbox
from pytest_envdr.sandbox.envelope import secondary
from pytest_envdr.sandbox.envelope.account import Account
from pytest_envdr.sandbox.envelope.names import CLUSTER, TENANT_BUCKET_PREFIX
from pytest_envdr.stack import Stack, read
from pytest_envdr.terraform import State, Terraform, state_of
from pytest_envdr.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

COMPUTED = {"latest_restorable_time", "last_modified"}
"""Attributes that are another each time they are read."""
NOT_DESCRIBED = {
    "aws_cloudwatch_log_group": {"/aws/codebuild/envelope-prod-build"},  # CodeBuild makes it with the first build
    "aws_iam_role": {secondary.EXPERIMENT_ROLE},  # the drill's
    "aws_s3_bucket": {secondary.BUCKET},  # the standby Region's, with the states of what is built there
}
"""What is there and not this state's: what the pipeline makes at run time, what is another Region's or the drill's.

Not listed by any kind below, for the same reason: tenants' buckets and objects (the function's), snapshots and recovery
points, images, tasks and further revisions, builds, metrics. And what this release of the provider has no resource for:
the secret's replica; its key, and the replicated backups, are the standby Region's.
"""


@pytest.fixture(scope="module")
def fresh_stack() -> Iterator[Path]:
    """The stack file of a sandbox that nobody else has done anything in."""
    with Sandbox(speed=20, tenants=3) as sandbox:
        yield sandbox.stack


@pytest.fixture(scope="module")
def stack(fresh_stack: Path) -> Stack:
    """The running stack."""
    return read(fresh_stack)


@pytest.fixture(scope="module")
def account(stack: Stack) -> Account:
    """Plain boto3 clients of it."""
    return Account(type("Place", (), {"region": stack.region, "endpoint": stack.endpoint})())


@pytest.fixture(scope="module")
def terraform(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """Its Terraform, ready to be planned."""
    made = Terraform.of(Aws(stack), tmp_path_factory.mktemp("terraform"))
    made.init()
    return made


def rows(account: Account, operation: str, key: str, **arguments: Any) -> list[Any]:
    """What is under a key in all pages of an answer."""
    service, _, method = operation.partition(".")
    client = account.client(service)
    if not client.can_paginate(method):
        return list(getattr(client, method)(**arguments)[key])
    return [row for page in client.get_paginator(method).paginate(**arguments) for row in page.get(key, [])]


def own(names: Iterable[str]) -> set[str]:
    """Those that no service has from the start."""
    return {name for name in names if not name.startswith("default")}


def in_vpc(account: Account, operation: str, key: str) -> list[dict[str, Any]]:
    """What stands in the stack's VPC, or in any other that is not the account's default one."""
    default = {row["VpcId"] for row in rows(account, "ec2.describe_vpcs", "Vpcs") if row["IsDefault"]}
    return [row for row in rows(account, operation, key) if row["VpcId"] not in default]


def listeners(account: Account) -> list[dict[str, Any]]:
    balancers = rows(account, "elbv2.describe_load_balancers", "LoadBalancers")
    return [
        row
        for balancer in balancers
        for row in rows(account, "elbv2.describe_listeners", "Listeners", LoadBalancerArn=balancer["LoadBalancerArn"])
    ]


def rules(account: Account) -> set[str]:
    return {
        rule["RuleArn"]
        for listener in listeners(account)
        for rule in rows(account, "elbv2.describe_rules", "Rules", ListenerArn=listener["ListenerArn"])
        if not rule["IsDefault"]
    }


def buses(account: Account) -> set[str]:
    return own(row["Name"] for row in rows(account, "events.list_event_buses", "EventBuses"))


def bus_rules(account: Account) -> set[str]:
    """Rules by bus and name, but for those that EventBridge makes for an archive."""
    return {
        f"{bus}/{row['Name']}"
        for bus in buses(account)
        for row in rows(account, "events.list_rules", "Rules", EventBusName=bus)
        if not row.get("ManagedBy")
    }


def selections(account: Account) -> set[str]:
    plans = rows(account, "backup.list_backup_plans", "BackupPlansList")
    return {
        row["SelectionId"]
        for plan in plans
        for row in rows(
            account, "backup.list_backup_selections", "BackupSelectionsList", BackupPlanId=plan["BackupPlanId"]
        )
    }


def named(operation: str, key: str, name: str) -> Callable[[Account], set[str]]:
    """A kind of resource that one call lists whole."""
    return lambda account: own(str(row[name]) for row in rows(account, operation, key))


def listed(operation: str, key: str, **arguments: Any) -> Callable[[Account], set[str]]:
    """A kind of resource whose list has nothing but names."""
    return lambda account: {str(name) for name in rows(account, operation, key, **arguments)}


KINDS: dict[str, Callable[[Account], set[str]]] = {
    "aws_vpc": lambda account: {row["VpcId"] for row in in_vpc(account, "ec2.describe_vpcs", "Vpcs")},
    "aws_subnet": lambda account: {row["SubnetId"] for row in in_vpc(account, "ec2.describe_subnets", "Subnets")},
    "aws_security_group": lambda account: {
        row["GroupId"]
        for row in in_vpc(account, "ec2.describe_security_groups", "SecurityGroups")
        if row["GroupName"] != "default"
    },
    "aws_lb": named("elbv2.describe_load_balancers", "LoadBalancers", "LoadBalancerArn"),
    "aws_lb_target_group": named("elbv2.describe_target_groups", "TargetGroups", "TargetGroupArn"),
    "aws_lb_listener": lambda account: {row["ListenerArn"] for row in listeners(account)},
    "aws_lb_listener_rule": rules,
    "aws_ecs_cluster": listed("ecs.list_clusters", "clusterArns"),
    "aws_ecs_service": listed("ecs.list_services", "serviceArns", cluster=CLUSTER),
    "aws_ecs_task_definition": lambda account: {
        f"{family}:1" for family in rows(account, "ecs.list_task_definition_families", "families", status="ACTIVE")
    },
    "aws_appautoscaling_target": lambda account: {
        row["ResourceId"]
        for row in rows(
            account, "application-autoscaling.describe_scalable_targets", "ScalableTargets", ServiceNamespace="ecs"
        )
    },
    "aws_cloudwatch_log_group": named("logs.describe_log_groups", "logGroups", "logGroupName"),
    "aws_cloudwatch_metric_alarm": named("cloudwatch.describe_alarms", "MetricAlarms", "AlarmName"),
    "aws_sns_topic": named("sns.list_topics", "Topics", "TopicArn"),
    "aws_sns_topic_subscription": named("sns.list_subscriptions", "Subscriptions", "SubscriptionArn"),
    "aws_sqs_queue": listed("sqs.list_queues", "QueueUrls"),
    "aws_s3_bucket": lambda account: {
        name
        for name in named("s3.list_buckets", "Buckets", "Name")(account)
        if not name.startswith(TENANT_BUCKET_PREFIX)
    },
    "aws_dynamodb_table": listed("dynamodb.list_tables", "TableNames"),
    "aws_iam_role": named("iam.list_roles", "Roles", "RoleName"),
    "aws_db_instance": named("rds.describe_db_instances", "DBInstances", "DBInstanceIdentifier"),
    "aws_db_subnet_group": named("rds.describe_db_subnet_groups", "DBSubnetGroups", "DBSubnetGroupName"),
    "aws_db_parameter_group": named("rds.describe_db_parameter_groups", "DBParameterGroups", "DBParameterGroupName"),
    "aws_elasticache_replication_group": named(
        "elasticache.describe_replication_groups", "ReplicationGroups", "ReplicationGroupId"
    ),
    "aws_elasticache_parameter_group": named(
        "elasticache.describe_cache_parameter_groups", "CacheParameterGroups", "CacheParameterGroupName"
    ),
    "aws_elasticache_subnet_group": named(
        "elasticache.describe_cache_subnet_groups", "CacheSubnetGroups", "CacheSubnetGroupName"
    ),
    "aws_secretsmanager_secret": named("secretsmanager.list_secrets", "SecretList", "ARN"),
    "aws_backup_vault": named("backup.list_backup_vaults", "BackupVaultList", "BackupVaultName"),
    "aws_backup_plan": named("backup.list_backup_plans", "BackupPlansList", "BackupPlanId"),
    "aws_backup_selection": selections,
    "aws_ecr_repository": named("ecr.describe_repositories", "repositories", "repositoryName"),
    "aws_codebuild_project": listed("codebuild.list_projects", "projects"),
    "aws_codepipeline": named("codepipeline.list_pipelines", "pipelines", "name"),
    "aws_cloudwatch_event_bus": buses,
    "aws_cloudwatch_event_rule": bus_rules,
    "aws_cloudwatch_event_archive": named("events.list_archives", "Archives", "ArchiveName"),
    "aws_lambda_function": named("lambda.list_functions", "Functions", "FunctionName"),
}
"""Every kind of resource that the seed makes -> what there is of it, by what the state calls it."""
IDENTIFIERS = {
    "aws_codebuild_project": "name",
    "aws_ecs_task_definition": "family",
    "aws_appautoscaling_target": "resource_id",
}
"""The attribute that the state knows a kind by, where it is not its id."""


def held(stack: Stack, account: Account) -> dict[str, set[str]]:
    """What the state in S3 says there is, by kind."""
    assert stack.terraform
    place = {"Bucket": stack.terraform.bucket, "Key": stack.terraform.object_key}
    body = json.loads(account.client("s3").get_object(**place)["Body"].read())
    found: dict[str, set[str]] = {}
    for resource in body["resources"]:
        name = IDENTIFIERS.get(resource["type"], "id")
        ids = found.setdefault(resource["type"], set())
        ids |= {str(instance["attributes"][name]) for instance in resource["instances"]}
    found["aws_ecs_task_definition"] = {f"{family}:1" for family in found["aws_ecs_task_definition"]}
    return found


def noticed(terraform: Terraform) -> dict[str, tuple[str, ...]]:
    """What a plan finds changed outside of Terraform, and would change back: address -> attributes."""
    plan = terraform.plan()
    changed = {change.address: tuple(sorted(set(change.differing) - COMPUTED)) for change in plan.drift}
    assert {change.address for change in plan.changes} == {address for address, names in changed.items() if names}
    return {address: names for address, names in changed.items() if names}


def test_a_fresh_stack_needs_no_change(terraform: Terraform) -> None:
    """A plan reads every resource through the real provider, and has nothing to do: no change, no output, no drift."""
    plan = terraform.plan()
    assert (str(plan), plan.outputs) == ("no change", {})
    assert {change.actions for change in plan.resources} == {("no-op",)}
    assert {name for change in plan.drift for name in change.differing} <= COMPUTED
    assert terraform.ignored() == [], "nothing is hidden from the plan by `ignore_changes`"


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_seeded_resource_is_in_the_state(stack: Stack, account: Account, terraform: Terraform, kind: str) -> None:
    """What there is of a kind is what the state has of it: nothing was seeded that no module describes."""
    assert terraform.row == stack.terraform
    there = KINDS[kind](account) - NOT_DESCRIBED.get(kind, set())
    assert there == held(stack, account).get(kind, set())


def test_every_kind_of_the_modules_is_looked_at(stack: Stack, account: Account) -> None:
    """The kinds above are those of the state, but for parts of others: policies, permissions, controls, targets."""
    parts = {
        "aws_cloudwatch_event_target",
        "aws_ecr_lifecycle_policy",
        "aws_ecr_replication_configuration",
        "aws_iam_role_policy",
        "aws_lambda_permission",
        "aws_s3_bucket_ownership_controls",
        "aws_s3_bucket_public_access_block",
        "aws_sqs_queue_policy",
    }
    assert held(stack, account).keys() == (KINDS.keys() | parts) - {"aws_dynamodb_table"}


MAKES = {
    "application-autoscaling.RegisterScalableTarget": "aws_appautoscaling_target",
    "backup.CreateBackupPlan": "aws_backup_plan",
    "backup.CreateBackupSelection": "aws_backup_selection",
    "backup.CreateBackupVault": "aws_backup_vault",
    "cloudwatch.PutMetricAlarm": "aws_cloudwatch_metric_alarm",
    "codebuild.CreateProject": "aws_codebuild_project",
    "codepipeline.CreatePipeline": "aws_codepipeline",
    "ec2.CreateSecurityGroup": "aws_security_group",
    "ec2.CreateSubnet": "aws_subnet",
    "ec2.CreateVpc": "aws_vpc",
    "ecr.CreateRepository": "aws_ecr_repository",
    "ecr.PutLifecyclePolicy": "aws_ecr_lifecycle_policy",
    "ecr.PutReplicationConfiguration": "aws_ecr_replication_configuration",
    "ecs.CreateCluster": "aws_ecs_cluster",
    "ecs.CreateService": "aws_ecs_service",
    "ecs.RegisterTaskDefinition": "aws_ecs_task_definition",
    "elasticache.CreateCacheParameterGroup": "aws_elasticache_parameter_group",
    "elasticache.CreateCacheSubnetGroup": "aws_elasticache_subnet_group",
    "elasticache.CreateReplicationGroup": "aws_elasticache_replication_group",
    "elbv2.CreateListener": "aws_lb_listener",
    "elbv2.CreateLoadBalancer": "aws_lb",
    "elbv2.CreateRule": "aws_lb_listener_rule",
    "elbv2.CreateTargetGroup": "aws_lb_target_group",
    "events.CreateArchive": "aws_cloudwatch_event_archive",
    "events.CreateEventBus": "aws_cloudwatch_event_bus",
    "events.PutRule": "aws_cloudwatch_event_rule",
    "events.PutTargets": "aws_cloudwatch_event_target",
    "iam.CreateRole": "aws_iam_role",
    "iam.PutRolePolicy": "aws_iam_role_policy",
    "lambda.AddPermission": "aws_lambda_permission",
    "lambda.CreateFunction": "aws_lambda_function",
    "logs.CreateLogGroup": "aws_cloudwatch_log_group",
    "rds.CreateDBInstance": "aws_db_instance",
    "rds.CreateDBParameterGroup": "aws_db_parameter_group",
    "rds.CreateDBSubnetGroup": "aws_db_subnet_group",
    "s3.CreateBucket": "aws_s3_bucket",
    "s3.PutBucketOwnershipControls": "aws_s3_bucket_ownership_controls",
    "s3.PutPublicAccessBlock": "aws_s3_bucket_public_access_block",
    "secretsmanager.CreateSecret": "aws_secretsmanager_secret",
    "sns.CreateTopic": "aws_sns_topic",
    "sns.Subscribe": "aws_sns_topic_subscription",
    "sqs.CreateQueue": "aws_sqs_queue",
    "sqs.SetQueueAttributes": "aws_sqs_queue_policy",
}
"""What of the seed's calls makes a resource that a state has -> its kind there."""
MAKES_NONE = {
    "acm.ImportCertificate",  # brought by whoever has its key
    "kms.CreateAlias",
    "kms.CreateKey",  # the standby Region's, as is all that is replicated there
    "rds.StartDBInstanceAutomatedBackupsReplication",
    "secretsmanager.ReplicateSecretToRegions",
    "rds.CreateDBSnapshot",  # a backup
    "s3.PutObject",  # tenants' documents, sources, builds
}
SETTINGS = ("Authorize", "Modify", "Update", "PutBucket", "CreateTags", "TagResource")
"""How calls begin that make nothing, but say more of what is there: the plan compares it."""
WORK = (
    "codepipeline.",
    "ecs.DeregisterTaskDefinition",
    "ecs.UpdateService",
    "cloudwatch.PutMetricData",
    "sqs.DeleteMessage",
)
"""What the seed does with what it made: deployments of before, and what runs meanwhile."""
READS = ("Describe", "Get", "List", "Head", "BatchGet", "Receive")


def calls(fresh_stack: Path) -> tuple[list[str], list[str]]:
    """What was asked of the API before the state was made, and from then on."""
    rows = [json.loads(line) for line in (fresh_stack.parent / "api.jsonl").read_text().splitlines()]
    begun = next(number for number, row in enumerate(rows) if row["operation"] == "GetLifecyclePolicy")
    said = [f"{row['service']}.{row['operation']}" for row in rows]
    return said[:begun], said[begun:]


def test_whatever_the_seed_makes_is_of_a_kind_that_is_looked_at(
    fresh_stack: Path, stack: Stack, account: Account, terraform: Terraform
) -> None:
    """Held against the calls that were really made: a kind that nobody lists above would be in no state unnoticed."""
    assert terraform.state()
    others = {
        call
        for call in calls(fresh_stack)[0]
        if not call.partition(".")[2].startswith((*READS, *SETTINGS)) and not call.startswith(WORK)
    }
    making = others | (MAKES.keys() & set(calls(fresh_stack)[0]))
    assert making - MAKES_NONE == MAKES.keys()
    assert set(MAKES.values()) <= held(stack, account).keys()


def test_what_is_managed_says_so(stack: Stack, account: Account) -> None:
    """Every resource that can have tags has the one of Terraform's, in AWS and in the state."""
    assert stack.terraform
    place = {"Bucket": stack.terraform.bucket, "Key": stack.terraform.object_key}
    body = json.loads(account.client("s3").get_object(**place)["Body"].read())
    tags = {
        f"{row['type']}.{row['name']}": instance["attributes"]["tags_all"]
        for row in body["resources"]
        for instance in row["instances"]
        if "tags_all" in instance["attributes"]
    }
    assert {name for name, given in tags.items() if (given or {}).get("managed-by") != "terraform"} == set()


def test_making_the_state_changes_nothing(fresh_stack: Path, terraform: Terraform) -> None:
    """The state is read from AWS, not applied: no service was updated, no bucket written to but the state's."""
    assert terraform.state()
    beyond = {call for call in calls(fresh_stack)[1] if not call.partition(".")[2].startswith(READS)}
    assert beyond <= {"s3.PutObject", "s3.DeleteObject", "sqs.DeleteMessage", "cloudwatch.PutMetricData"}


def test_an_older_state_is_behind_the_newest(stack: Stack, account: Account) -> None:
    """The bucket keeps a version from before the alarms were there: the same lineage, a lower serial, less in it."""
    newer, older = versions(stack, account)
    assert (newer.lineage, newer.serial, older.serial) == (older.lineage, 2, 1)
    assert {address.split(".")[1] for address in newer.addresses - older.addresses} == {"monitoring"}
    assert older.addresses < newer.addresses


def versions(stack: Stack, account: Account) -> list[State]:
    """The states that the bucket has, the newest first."""
    assert stack.terraform
    s3, place = account.client("s3"), {"Bucket": stack.terraform.bucket, "Key": stack.terraform.object_key}
    found = s3.list_object_versions(Bucket=place["Bucket"], Prefix=place["Key"])["Versions"]
    return [
        state_of(s3.get_object(**place, VersionId=row["VersionId"])["Body"].read())
        for row in found
        if row["Key"] == place["Key"]
    ]


@pytest.mark.sweep
def test_what_was_changed_by_hand_is_noticed(account: Account, terraform: Terraform) -> None:
    """A count, a tag and a threshold that somebody changed are drift, each with its attribute, until they are back."""
    ecs, cloudwatch = account.client("ecs"), account.client("cloudwatch")
    service, alarm = "envelope-prod-hq", "envelope-prod-api-5xx"
    (before,) = cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
    wanted = {name: before[name] for name in before if name not in READ_ONLY}
    ecs.update_service(cluster=CLUSTER, service=service, desiredCount=2)
    cloudwatch.put_metric_alarm(**{**wanted, "Threshold": 50.0})
    try:
        assert noticed(terraform) == {
            'module.compute.aws_ecs_service.this["hq"]': ("desired_count",),
            'module.monitoring.aws_cloudwatch_metric_alarm.errors["api"]': ("threshold",),
        }
    finally:
        ecs.update_service(cluster=CLUSTER, service=service, desiredCount=1)
        cloudwatch.put_metric_alarm(**wanted)
        wait_until(
            lambda: ecs.describe_services(cluster=CLUSTER, services=[service])["services"][0]["runningCount"] == 1,
            what=f"{service} as before",
            deadline=60,
        )
    assert noticed(terraform) == {}


READ_ONLY = {
    "AlarmArn",
    "AlarmConfigurationUpdatedTimestamp",
    "StateReason",
    "StateReasonData",
    "StateUpdatedTimestamp",
    "StateTransitionedTimestamp",
    "StateValue",
}
"""Members of an alarm that PutMetricAlarm does not take."""


@pytest.mark.sweep
def test_what_somebody_deleted_would_be_made_again(account: Account, terraform: Terraform) -> None:
    """A rule that is gone is planned to be created, and nothing else."""
    elbv2 = account.client("elbv2")
    (group,) = elbv2.describe_target_groups(Names=["envelope-prod-reverb"])["TargetGroups"]
    rule = next(
        row
        for listener in listeners(account)
        for row in elbv2.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
        if row["Actions"][0].get("TargetGroupArn") == group["TargetGroupArn"]
    )
    listener = rule["RuleArn"].replace(":listener-rule/", ":listener/").rpartition("/")[0]
    tags = elbv2.describe_tags(ResourceArns=[rule["RuleArn"]])["TagDescriptions"][0]["Tags"]
    elbv2.delete_rule(RuleArn=rule["RuleArn"])
    try:
        plan = terraform.plan()
        assert str(plan) == 'module.compute.aws_lb_listener_rule.this["reverb"]: create'
    finally:
        elbv2.create_rule(
            ListenerArn=listener,
            Priority=int(rule["Priority"]),
            Conditions=[{"Field": "host-header", "HostHeaderConfig": rule["Conditions"][0]["HostHeaderConfig"]}],
            Actions=[{"Type": "forward", "TargetGroupArn": group["TargetGroupArn"]}],
            Tags=tags,
        )


@pytest.mark.sweep
def test_a_queue_in_sqs_and_a_lock_in_a_table_are_described_too(tmp_path: Path) -> None:
    """A stack of the other kind needs no change either; its state is made once, however many ask at the same time."""
    with Sandbox(speed=20, tenants=1, queue="sqs", terraform_lock="table") as sandbox:
        stack = read(sandbox.stack)
        account = Account(type("Place", (), {"region": stack.region, "endpoint": stack.endpoint})())
        row = stack.terraform
        assert row
        assert not (sandbox.stack.parent / "founding").exists(), "nothing is spent on a state that nobody asks for"
        table = account.client("dynamodb")
        assert table.scan(TableName=row.lock_table)["Items"] == []
        with ThreadPoolExecutor(3) as pool:
            bodies = list(pool.map(lambda _: versions(stack, account), range(3)))
        assert bodies[0] == bodies[1] == bodies[2]
        assert len(bodies[0]) == 2
        (item,) = table.scan(TableName=row.lock_table)["Items"]
        assert item["Digest"]["S"] == bodies[0][0].md5
        terraform = Terraform.of(Aws(stack), tmp_path / "work")
        terraform.init()
        assert str(terraform.plan()) == "no change"
        assert {"module.data.aws_sqs_queue.jobs[0]", "module.storage.aws_dynamodb_table.locks[0]"} <= bodies[0][
            0
        ].addresses


@pytest.mark.sweep
def test_a_state_that_cannot_be_made_says_why() -> None:
    """A seeded resource that is gone by then: every request for the bucket's objects is refused with its address, at
    once, and the bucket itself still answers."""
    with Sandbox(speed=20, tenants=1) as sandbox:
        stack = read(sandbox.stack)
        account = Account(type("Place", (), {"region": stack.region, "endpoint": stack.endpoint})())
        assert stack.terraform
        account.client("cloudwatch").delete_alarms(AlarmNames=["envelope-prod-db-heartbeat"])
        s3 = account.client("s3")
        for _ in range(2):
            with pytest.raises(ClientError, match="ContentNotMade") as refused:
                s3.get_object(Bucket=stack.terraform.bucket, Key=stack.terraform.object_key)
            assert "db-heartbeat" in str(refused.value)
            assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
        assert s3.get_bucket_versioning(Bucket=stack.terraform.bucket)["Status"] == "Enabled"
        assert "db-heartbeat" in (sandbox.stack.parent / "sandbox.log").read_text()
