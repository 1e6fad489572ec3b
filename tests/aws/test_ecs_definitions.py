"""ECS: revisions of task definitions with other variables, deployed and taken back; tasks of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr import undo
from pytest_envdr.aws import Aws, ecs, ecs_definitions
from pytest_envdr.journal import Header, Journal
from tests import account

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXERCISE = "ex-10"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """An open journal."""
    header = Header(EXERCISE, account.ACCOUNT, account.REGION, account.endpoint())
    with Journal.open(tmp_path / "journal", header) as journal:
        yield journal


@pytest.fixture
def aws(journal: Journal) -> Aws:
    """The account."""
    return Aws(account.stack(), journal)


def service() -> str:
    """The name of a service whose container has variables, a port, a log and a secret."""
    name = account.ecs_service(desired=0)
    client = account.plain("ecs")
    made = client.register_task_definition(
        family=name,
        containerDefinitions=[
            {
                "name": "app",
                "image": "app:1",
                "memory": 64,
                "command": ["serve"],
                "environment": [{"name": "DB_HOST", "value": "old"}, {"name": "KEPT", "value": "as it is"}],
                "secrets": [{"name": "DB_PASSWORD", "valueFrom": "arn:aws:secretsmanager:eu-west-1:1:secret:db"}],
                "portMappings": [{"containerPort": 8000}],
                "logConfiguration": {
                    "logDriver": "awslogs",
                    "options": {"awslogs-group": "/ecs/app", "awslogs-stream-prefix": "ecs"},
                },
            },
            {"name": "side", "image": "side:1", "memory": 64, "environment": []},
        ],
    )["taskDefinition"]["taskDefinitionArn"]
    client.update_service(cluster=account.CLUSTER, service=name, taskDefinition=made)
    return name


def containers(arn: str) -> list[dict[str, Any]]:
    """A revision's containers, as ECS itself says them."""
    shown = account.plain("ecs").describe_task_definition(taskDefinition=arn)["taskDefinition"]
    return [dict(one) for one in shown["containerDefinitions"]]


def test_a_task_definition_is_a_typed_value(aws: Aws) -> None:
    """Containers with their variables, ports, and where a task's output goes."""
    definition = ecs_definitions.task_definition(aws, ecs.service(aws, service(), account.CLUSTER).task_definition)
    first, side = definition.containers
    assert (first.name, first.image, first.ports) == ("app", "app:1", (8000,))
    assert first.environment == {"DB_HOST": "old", "KEPT": "as it is"}
    assert first.log_stream("1234") == "ecs/app/1234"
    assert (side.log_group, side.ports) == ("", ())
    assert definition.container("side") == side
    assert definition.container("nobody") == first


def test_a_revision_says_otherwise_only_what_was_set(aws: Aws, journal: Journal) -> None:
    """DB_HOST is another, where it is set; all else is as before. Undone: no revision of the drill's own is ACTIVE,
    and somebody else's is."""
    name = service()
    before = ecs.service(aws, name, account.CLUSTER).task_definition
    made = ecs_definitions.register_revision(aws, journal, before, environment={"DB_HOST": "new", "DB_PORT": "1"})
    was, now = containers(before), containers(made)
    assert now[0].pop("environment") == [{"name": "DB_HOST", "value": "new"}, {"name": "KEPT", "value": "as it is"}]
    was[0].pop("environment")
    assert now == was
    theirs = account.plain("ecs").register_task_definition(family=name, containerDefinitions=was)
    assert ecs_definitions.revisions_of(aws, name, exercise=EXERCISE) == [made]
    undo.replay(aws, journal)
    active = account.plain("ecs").list_task_definitions(familyPrefix=name, status="ACTIVE")["taskDefinitionArns"]
    assert made not in active
    assert {before, theirs["taskDefinition"]["taskDefinitionArn"]} <= set(active)


def test_what_somebody_else_deployed_stays(aws: Aws, journal: Journal) -> None:
    """A service that was deployed anew meanwhile is not taken back to what it was before the drill."""
    name = service()
    before = ecs.service(aws, name, account.CLUSTER)
    made = ecs_definitions.register_revision(aws, journal, before.task_definition, environment={"DB_HOST": "new"})
    changed = ecs.set_task_definition(aws, journal, before, made)
    assert changed.task_definition == made
    client = account.plain("ecs")
    theirs = client.register_task_definition(family=name, containerDefinitions=containers(made))["taskDefinition"]
    client.update_service(cluster=account.CLUSTER, service=name, taskDefinition=theirs["taskDefinitionArn"])
    (entry,) = [entry for entry in journal.owed() if entry.act == "ecs.UpdateService"]
    assert entry.inverse.restores == f"service {name} task definition {before.task_definition.rpartition('/')[2]}"
    assert "deployed by somebody else" in undo.reverse(aws, journal, entry).how
    assert ecs.service(aws, name, account.CLUSTER).task_definition == theirs["taskDefinitionArn"]


def test_a_task_beside_the_service(aws: Aws, journal: Journal) -> None:
    """The task definition's own command, other variables, and a security group beside the service's own."""
    found = ecs.service(aws, account.ecs_service(desired=0), account.CLUSTER)
    vpc = account.plain("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    group = account.plain("ec2").create_security_group(GroupName=account.unique("sg"), Description="a", VpcId=vpc)
    ecs.run_task(
        aws, journal, found, container="app", environment={"DB_HOST": "new"}, security_groups=[group["GroupId"]]
    )
    said = journal.entries[-1].arguments
    (override,) = said["overrides"]["containerOverrides"]
    assert override == {"name": "app", "environment": [{"name": "DB_HOST", "value": "new"}]}
    network = said["networkConfiguration"]["awsvpcConfiguration"]
    assert network["securityGroups"] == [*found.network["awsvpcConfiguration"]["securityGroups"], group["GroupId"]]
    assert network["subnets"] == found.network["awsvpcConfiguration"]["subnets"]
