"""Load balancers, task definitions, services and scalable targets."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_envdr.sandbox.envelope import queue
from pytest_envdr.sandbox.envelope.names import (
    BUS,
    CLUSTER,
    DATABASE,
    IMAGE,
    INTERNAL,
    LISTENER_PORT,
    LOWER_TAGS,
    MANAGED,
    PORT,
    PREFIX,
    PUBLIC,
    SERVICES,
    TAGS,
    TENANT_BUCKET_PREFIX,
    Service,
)

if TYPE_CHECKING:
    from pytest_envdr.sandbox.envelope.account import Account
    from pytest_envdr.sandbox.envelope.network import Network
    from pytest_envdr.sandbox.envelope.stores import Stores
    from pytest_envdr.sandbox.world import World

COMMANDS = {
    "scheduler": ["php", "artisan", "envelope:heartbeat"],
    "reverb": ["php", "artisan", "reverb:start"],
}
SERVE = ["sh", "bin/serve"]


@dataclass(frozen=True)
class LoadBalancer:
    """ARN and address of a load balancer, and the target group ARNs of the services behind it by word."""

    arn: str
    address: str
    target_groups: dict[str, str]


def create_load_balancers(account: Account, network: Network) -> dict[str, LoadBalancer]:
    """Both load balancers with their listeners, a host rule and a target group for each service behind them."""
    elbv2 = account.client("elbv2")
    made = {}
    for name, scheme, tier in ((PUBLIC, "internet-facing", "public"), (INTERNAL, "internal", "private")):
        balancer = elbv2.create_load_balancer(
            Name=name,
            Scheme=scheme,
            Subnets=network.tier(tier),
            SecurityGroups=[network.groups["public"]],
            Tags=TAGS,
        )["LoadBalancers"][0]
        groups = {
            service.word: _target_group(elbv2, network, service)
            for service in SERVICES
            if service.load_balancer == name
        }
        _listener(elbv2, balancer["LoadBalancerArn"], groups)
        made[name] = LoadBalancer(balancer["LoadBalancerArn"], balancer["DNSName"], groups)
    return made


def _target_group(elbv2: Any, network: Network, service: Service) -> str:
    group = elbv2.create_target_group(
        Name=service.name,
        Protocol="HTTP",
        Port=PORT,
        VpcId=network.vpc,
        TargetType="ip",
        HealthCheckPath="/up",
        HealthCheckIntervalSeconds=10,
        HealthCheckTimeoutSeconds=5,
        HealthyThresholdCount=2,
        UnhealthyThresholdCount=2,
        Matcher={"HttpCode": "200"},
        Tags=TAGS,
    )["TargetGroups"][0]["TargetGroupArn"]
    elbv2.modify_target_group_attributes(
        TargetGroupArn=group, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "30"}]
    )
    return str(group)


def _listener(elbv2: Any, balancer: str, groups: dict[str, str]) -> None:
    """Host rules for each service; who asks for none of them gets a 404, as the stack's own listener answers."""
    listener = elbv2.create_listener(
        LoadBalancerArn=balancer,
        Protocol="HTTP",
        Port=LISTENER_PORT,
        Tags=TAGS,
        DefaultActions=[
            {
                "Type": "fixed-response",
                "FixedResponseConfig": {
                    "StatusCode": "404",
                    "ContentType": "text/plain",
                    "MessageBody": "no such host",
                },
            }
        ],
    )["Listeners"][0]["ListenerArn"]
    by_word = {service.word: service for service in SERVICES}
    for priority, (word, group) in enumerate(groups.items(), start=10):
        elbv2.create_rule(
            ListenerArn=listener,
            Priority=priority,
            Conditions=[{"Field": "host-header", "HostHeaderConfig": {"Values": [by_word[word].host]}}],
            Actions=[{"Type": "forward", "TargetGroupArn": group}],
            Tags=TAGS,
        )


def new_app_key() -> str:
    """An APP_KEY of Laravel's."""
    return "base64:" + base64.b64encode(secrets.token_bytes(32)).decode()


def create_services(
    account: Account, network: Network, stores: Stores, balancers: dict[str, LoadBalancer], key: str
) -> None:
    """The cluster, and each service with its log group, task definition and, where it scales, its scalable target."""
    ecs, logs = account.client("ecs"), account.client("logs")
    ecs.create_cluster(clusterName=CLUSTER, tags=LOWER_TAGS)
    for purpose in ("execution", "task"):
        account.role(purpose, "ecs-tasks")
    for service in SERVICES:
        logs.create_log_group(logGroupName=f"/ecs/{service.name}", tags=MANAGED)
        ecs.register_task_definition(**_task_definition(account, service, stores, key))
        ecs.create_service(**_service(network, service, balancers))
        if service.scales:
            account.client("application-autoscaling").register_scalable_target(
                ServiceNamespace="ecs",
                ResourceId=f"service/{CLUSTER}/{service.name}",
                ScalableDimension="ecs:service:DesiredCount",
                MinCapacity=1,
                MaxCapacity=4,
            )


def _task_definition(account: Account, service: Service, stores: Stores, key: str) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": service.word,
        "image": IMAGE,
        "essential": True,
        "command": queue.work(account.world) if service.word == "worker" else COMMANDS.get(service.word, SERVE),
        "environment": _environment(account, service, stores, key),
        "secrets": [
            {"name": "DB_USERNAME", "valueFrom": f"{stores.secret}:username::"},
            {"name": "DB_PASSWORD", "valueFrom": f"{stores.secret}:password::"},
        ],
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": f"/ecs/{service.name}",
                "awslogs-region": account.world.region,
                "awslogs-stream-prefix": "ecs",
            },
        },
    }
    if service.load_balancer:
        container["portMappings"] = [{"containerPort": PORT, "protocol": "tcp"}]
    else:
        container["healthCheck"] = {
            "command": ["CMD-SHELL", "sh bin/alive"],
            "interval": 10,
            "timeout": 5,
            "retries": 3,
            "startPeriod": 60,
        }
    return {
        "family": service.name,
        "requiresCompatibilities": ["FARGATE"],
        "networkMode": "awsvpc",
        "cpu": "256",
        "memory": "512",
        "executionRoleArn": f"arn:aws:iam::{account.world.account}:role/{PREFIX}-execution",
        "taskRoleArn": f"arn:aws:iam::{account.world.account}:role/{PREFIX}-task",
        "containerDefinitions": [container],
        "tags": LOWER_TAGS,
    }


def _environment(account: Account, service: Service, stores: Stores, key: str) -> list[dict[str, str]]:
    values = settings(account.world) | {
        "APP_KEY": key,
        "APP_SERVICE": service.word,
        "DB_HOST": stores.database_host,
        "DB_PORT": str(stores.database_port),
        "DB_INSTANCE": DATABASE,
        "REDIS_HOST": stores.cache_host,
        "REDIS_PORT": str(stores.cache_port),
    }
    return [{"name": name, "value": value} for name, value in values.items()]


def settings(world: World) -> dict[str, str]:
    """The application's settings that are the same for all services and follow from no other part of the stack."""
    return {
        "APP_NAME": "Envelope",
        "APP_ENV": "production",
        "DB_DATABASE": "central",
        "LARAVEL_STORAGE_PATH": str(world.storage),
        "EVENT_BUS": BUS,
        "TENANT_BUCKET_PREFIX": TENANT_BUCKET_PREFIX,
        "AWS_ACCOUNT_ID": world.account,
        "AWS_ENDPOINT_URL": world.endpoint,
        # No task role's credentials are served here: on Fargate the SDK gets them from the container's own endpoint.
        "AWS_ACCESS_KEY_ID": "sandbox",
        "AWS_SECRET_ACCESS_KEY": "sandbox",
    } | queue.environment(world)


def _service(network: Network, service: Service, balancers: dict[str, LoadBalancer]) -> dict[str, Any]:
    request: dict[str, Any] = {
        "cluster": CLUSTER,
        "serviceName": service.name,
        "taskDefinition": service.name,
        "desiredCount": service.desired,
        "launchType": "FARGATE",
        "tags": LOWER_TAGS,
        "availabilityZoneRebalancing": "DISABLED",
        "deploymentConfiguration": {
            "minimumHealthyPercent": 100,
            "maximumPercent": 200,
            "deploymentCircuitBreaker": {"enable": True, "rollback": True},
        },
        "networkConfiguration": {
            "awsvpcConfiguration": {
                "subnets": network.tier("private"),
                "securityGroups": [network.groups["private"]],
                "assignPublicIp": "DISABLED",
            }
        },
    }
    if service.load_balancer:
        request["healthCheckGracePeriodSeconds"] = 30
        request["loadBalancers"] = [
            {
                "targetGroupArn": balancers[service.load_balancer].target_groups[service.word],
                "containerName": service.word,
                "containerPort": PORT,
            }
        ]
    return request
