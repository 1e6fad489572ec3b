"""Each way in which the standby Region may stand on the primary is found, and nothing is where it stands alone.

A task definition like the api's is registered in the standby Region, as the modules would, but for one setting. What
runs is looked at where the stack runs: that Region takes the standby's part.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.aws import ecs_definitions, rds
from pytest_envdr.drills import dependencies, parity
from pytest_envdr.exercise import Charge
from pytest_envdr.sandbox.envelope.account import Account
from pytest_envdr.sandbox.envelope.names import DATABASE, REGION, STANDBY_REGION
from tests.drills import restored
from tests.drills.stranger import Stranger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from pytest_envdr.drills import Finding
    from pytest_envdr.exercise import Exercise

pytestmark = pytest.mark.sweep

STANDBY = {"DB_HOST": "10.1.0.1", "REDIS_HOST": "10.1.0.2"}
"""What the modules would say there."""


@dataclass(frozen=True)
class Rig:
    """Both Regions of the sandbox.

    Attributes:
        exercise: the run; its Region is the primary.
        foreign: where the primary's parts answer -> what answers there.
        like: the api's task definition, as it would be registered in the standby Region.
        ecs: plain boto3 there.
    """

    exercise: Exercise
    foreign: Mapping[str, str]
    like: Mapping[str, Any]
    ecs: Any

    def host(self, what: str) -> str:
        """Where a part of the primary answers."""
        return next(host for host, named in self.foreign.items() if named.startswith(what))

    def found(self, environment: Mapping[str, str], **otherwise: Any) -> list[Finding]:
        """What is found in a container that is registered there with these settings."""
        (container,) = self.like["containerDefinitions"]
        told = {row["name"]: row["value"] for row in container["environment"]} | STANDBY | dict(environment)
        rows = [{"name": key, "value": value} for key, value in told.items()]
        definition = {**self.like, "containerDefinitions": [{**container, **otherwise, "environment": rows}]}
        arn = self.ecs.register_task_definition(**definition)["taskDefinition"]["taskDefinitionArn"]
        try:
            there = self.exercise.aws.elsewhere(STANDBY_REGION)
            read = ecs_definitions.task_definition(there, arn).containers[0]
        finally:
            self.ecs.deregister_task_definition(taskDefinition=arn)
        return list(dependencies.findings("api", read, primary=REGION, foreign=self.foreign))


@pytest.fixture(scope="module")
def rig(sandbox_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """The sandbox, of whose primary Region all addresses are known."""
    stranger = Stranger(sandbox_stack)
    arn = stranger.service("api")["taskDefinition"]
    row = stranger.client("ecs").describe_task_definition(taskDefinition=arn)["taskDefinition"]
    like = {key: row[key] for key in ecs_definitions.TAKEN if row.get(key)}
    like = json.loads(json.dumps(like).replace(REGION, STANDBY_REGION)) | {"family": "stands-alone"}
    with restored.exercising(sandbox_stack, tmp_path_factory.mktemp("dependencies")) as exercise:
        place = type("Place", (), {"region": STANDBY_REGION, "endpoint": exercise.stack.endpoint})()
        foreign = dependencies.addresses(exercise.aws, rds.instance(exercise.aws, DATABASE))
        yield Rig(exercise, foreign, like, Account(place).client("ecs"))


def test_what_stands_alone_is_taken(rig: Rig) -> None:
    """Its own addresses, its own image, secret and log group."""
    assert rig.found({}) == []


@dataclass(frozen=True)
class Dependency:
    """A setting that names the primary: which variable, by which text, and what the finding must say of it."""

    name: str
    variable: str
    value: Callable[[Rig], str]
    says: str


DEPENDENCIES = [
    Dependency("its database", "DB_HOST", lambda rig: rig.host("database"), f"names database {DATABASE}"),
    Dependency("its cache", "REDIS_HOST", lambda rig: rig.host("cache"), "names cache envelope-prod-redis"),
    Dependency(
        "its balancer", "API_URL", lambda rig: f"http://{rig.host('load balancer')}:8080/x", "names load balancer "
    ),
    Dependency("its Region", "MAIL_URL", lambda _: f"https://email.{REGION}.amazonaws.com", f"names {REGION}"),
]


@pytest.mark.parametrize("dependency", DEPENDENCIES, ids=lambda dependency: dependency.name)
def test_a_setting_that_names_the_primary_is_found(rig: Rig, dependency: Dependency) -> None:
    """That variable and no other, and its value, which may be a secret, is not told."""
    (finding,) = rig.found({dependency.variable: dependency.value(rig)})
    assert (finding.id, finding.severity) == ("region.depends-on-primary", "failure")
    assert finding.detail.startswith(f"variable {dependency.variable} of container api {dependency.says}")


def test_the_image_of_the_primarys_registry_is_found(rig: Rig) -> None:
    """A task that is started anew would have to pull it from there."""
    (container,) = rig.like["containerDefinitions"]
    (finding,) = rig.found({}, image=container["image"].replace(STANDBY_REGION, REGION))
    assert finding.detail == f"image of container api names {REGION}"


def test_the_secret_of_the_primary_is_found(rig: Rig) -> None:
    """By its ARN, which the standby Region's tasks would have to read when they start."""
    (container,) = rig.like["containerDefinitions"]
    first, *others = container["secrets"]
    moved = first | {"valueFrom": first["valueFrom"].replace(STANDBY_REGION, REGION)}
    (finding,) = rig.found({}, secrets=[moved, *others])
    assert finding.detail == f"secret {first['name']} of container api names {REGION}"


def test_a_log_group_in_the_primary_is_found(rig: Rig) -> None:
    """A task whose log driver cannot reach its group does not start."""
    (container,) = rig.like["containerDefinitions"]
    options = container["logConfiguration"]["options"] | {"awslogs-region": REGION}
    (finding,) = rig.found({}, logConfiguration={"logDriver": "awslogs", "options": options})
    assert finding.detail == f"log group of container api names {REGION}"


@pytest.mark.parametrize("known", [True, False], ids=["the same image", "another image"])
def test_what_runs_is_the_image_that_ran(rig: Rig, *, known: bool) -> None:
    """By the digests of running tasks: the tag says nothing."""
    aws = rig.exercise.aws
    drill = rig.exercise.drill(Charge(f"images, {known}", "regional_failover"))
    digests = {image: digest for image, (_, digest) in parity.running_images(aws).items()} if known else {}
    dependencies.check(aws, drill, primary=STANDBY_REGION, foreign={}, digests=digests)
    assert {finding.id for finding in drill.failures} == (set() if known else {"region.other-image"})
