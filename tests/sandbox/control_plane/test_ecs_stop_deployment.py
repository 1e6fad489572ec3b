"""StopServiceDeployment: an ongoing deployment is rolled back, or left, whatever the service is configured to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from pytest_envdr.sandbox.control_plane import ecs, logs
from tests.sandbox.control_plane.fargate import CLUSTER, IDLE, Fargate, until
from tests.sandbox.control_plane.served import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

UNDECIDED = {"command": ["CMD-SHELL", "false"], "interval": 300, "retries": 10}
"""A task that runs and is never healthy nor unhealthy: its deployment goes on until somebody ends it."""


@pytest.fixture(scope="module")
def fargate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fargate]:
    """A cluster, at speed 50."""
    directory = tmp_path_factory.mktemp("stopping")
    modules = {"logs": logs, "ecs": ecs}
    with serving(directory, modules, region="ap-southeast-1", network="127.29.0.0/16", speed=50) as served:
        yield Fargate(served, directory)


def stuck(fargate: Fargate, name: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """A service whose second deployment does not come to an end; its ARN, and the second and first deployment."""
    fargate.create(name, fargate.definition(name, fargate.image(IDLE)), 2)
    fargate.completed(name)
    fargate.definition(name, fargate.image(IDLE), healthCheck=UNDECIDED)
    fargate.update(name, taskDefinition=name)
    until(lambda: fargate.service(name)["runningCount"] == 4)
    second, first = fargate.service(name)["deployments"]
    return str(fargate.history(name)[0]["serviceDeploymentArn"]), second, first


def stop(fargate: Fargate, arn: str, **kind: str) -> str:
    """Call it; the ARN that it answers with."""
    return str(fargate.ecs.stop_service_deployment(serviceDeploymentArn=arn, **kind)["serviceDeploymentArn"])


@pytest.mark.parametrize("kind", [{"stopType": "ROLLBACK"}, {}], ids=["told", "by-default"])
def test_a_deployment_is_rolled_back_on_request(fargate: Fargate, kind: dict[str, str]) -> None:
    """Without any circuit breaker: the old tasks stay, the new ones go, and a second request changes nothing."""
    name = f"back-{len(kind)}"
    arn, second, first = stuck(fargate, name)
    before = {t["taskArn"] for t in fargate.tasks(name) if t["startedBy"] == first["id"]}
    assert stop(fargate, arn, **kind) == arn
    assert fargate.history(name)[0]["status"].startswith("ROLLBACK_")
    ended = fargate.ended(name, "ROLLBACK_SUCCESSFUL")
    assert ended["rollback"]["serviceRevisionArn"] == ended["sourceServiceRevisions"][0]["arn"]
    assert "StopServiceDeployment" in ended["rollback"]["reason"]
    assert ended["deploymentCircuitBreaker"]["status"] == "DISABLED"
    rows = fargate.service(name)["deployments"]
    assert [(row["id"], row["rolloutState"]) for row in rows] == [(first["id"], "COMPLETED")]
    assert {t["taskArn"] for t in fargate.tasks(name)} == before
    assert any(text.endswith(f"rolling back to deployment {first['id']}.") for text in fargate.messages(name))
    assert "currentServiceDeployment" not in fargate.service(name)
    assert second["id"] != first["id"]


def test_a_deployment_is_left_as_it_is_on_request(fargate: Fargate) -> None:
    """ABORT: FAILED and STOPPED, with the tasks of both revisions, none of them replaced; a new deployment follows."""
    name = "left"
    arn, second, first = stuck(fargate, name)
    stop(fargate, arn, stopType="ABORT")
    ended = fargate.ended(name, "STOPPED")
    assert ended["stoppedAt"] == ended["finishedAt"]
    assert "rollback" not in ended
    rows = fargate.service(name)["deployments"]
    assert [(row["id"], row["rolloutState"], row["runningCount"]) for row in rows] == [
        (second["id"], "FAILED", 2),
        (first["id"], "COMPLETED", 2),
    ]
    fargate.update(name, taskDefinition=f"{name}:1")
    assert fargate.completed(name)["taskDefinition"] == first["taskDefinition"]


def test_an_aborted_deployment_scales_in_and_not_out(fargate: Fargate) -> None:
    """A FAILED deployment launches nothing, but what is not wanted any more is stopped."""
    name = "scaled"
    arn, second, _ = stuck(fargate, name)
    stop(fargate, arn, stopType="ABORT")
    fargate.ended(name, "STOPPED")
    fargate.update(name, desiredCount=0)
    until(lambda: fargate.service(name)["runningCount"] == 0)
    fargate.update(name, desiredCount=3)
    forced = fargate.update(name, taskDefinition=f"{name}:1")["deployments"][0]["id"]
    assert fargate.completed(name)["id"] == forced
    assert {task["startedBy"] for task in fargate.tasks(name)} == {forced}
    launched = [task for task in fargate.tasks(name, "STOPPED") if task["startedBy"] == second["id"]]
    assert len(launched) == 2


def test_there_must_be_something_to_stop(fargate: Fargate) -> None:
    """A deployment that nobody knows, one that has ended, and a way of stopping that there is not are refused."""
    name = "refused"
    fargate.create(name, fargate.definition(name, fargate.image(IDLE)))
    fargate.completed(name)
    arn = str(fargate.history(name)[0]["serviceDeploymentArn"])
    assert refusal(fargate, arn) == "ConflictException"
    assert refusal(fargate, f"{arn}x") == "ServiceDeploymentNotFoundException"
    assert refusal(fargate, arn, stopType="PAUSE") == "InvalidParameterException"
    fargate.ecs.delete_service(cluster=CLUSTER, service=name, force=True)


def test_the_first_deployment_has_nothing_to_go_back_to(fargate: Fargate) -> None:
    """Its rollback fails, and it stays as it is."""
    name = "first"
    fargate.create(name, fargate.definition(name, fargate.image(IDLE), healthCheck=UNDECIDED))
    until(lambda: fargate.service(name)["runningCount"] == 1)
    stop(fargate, str(fargate.history(name)[0]["serviceDeploymentArn"]))
    ended = fargate.ended(name, "ROLLBACK_FAILED")
    assert ended["statusReason"] == "No rollback candidate was found to run the rollback."
    row = fargate.service(name)["deployments"][0]
    assert (row["rolloutState"], row["runningCount"]) == ("FAILED", 1)


def test_what_a_rollback_goes_back_to_survives_the_next_failure(fargate: Fargate) -> None:
    """After a rollback has completed, the same deployment is the candidate again."""
    name = "twice"
    arn, _, first = stuck(fargate, name)
    stop(fargate, arn)
    fargate.ended(name, "ROLLBACK_SUCCESSFUL")
    fargate.update(name, taskDefinition=f"{name}:2")
    until(lambda: fargate.service(name)["runningCount"] == 4)
    stop(fargate, str(fargate.history(name)[0]["serviceDeploymentArn"]))
    fargate.ended(name, "ROLLBACK_SUCCESSFUL")
    assert fargate.service(name)["deployments"][0]["id"] == first["id"]
    assert [one["status"] for one in fargate.history(name)] == [
        "ROLLBACK_SUCCESSFUL",
        "ROLLBACK_SUCCESSFUL",
        "SUCCESSFUL",
    ]


def refusal(fargate: Fargate, arn: str, **kind: str) -> str:
    """The code of the error that a request is answered with."""
    with pytest.raises(ClientError) as refused:
        stop(fargate, arn, **kind)
    return str(refused.value.response["Error"]["Code"])
