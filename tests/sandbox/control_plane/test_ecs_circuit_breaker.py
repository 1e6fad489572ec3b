"""The deployment circuit breaker: what it counts, how much is too much, and what is left without a rollback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from pytest_envdr.sandbox.control_plane import ecs, logs
from pytest_envdr.sandbox.control_plane.ecs.circuit_breaker import threshold
from tests.sandbox.control_plane.fargate import CLUSTER, IDLE, Fargate, until
from tests.sandbox.control_plane.served import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CRASHING = "exit 3\n"
PASSING = {"command": ["CMD-SHELL", "true"], "interval": 5}
FAILING = {"command": ["CMD-SHELL", "false"], "interval": 5, "retries": 2}
STAYS = {"enable": True, "rollback": False}
FAILED = "ECS deployment circuit breaker: tasks failed to start."

FLAPPING = """
n=1; while ! mkdir "$SHARED/start-$n" 2>/dev/null; do n=$((n+1)); done
if [ $((n % 2)) = 1 ]; then
  if [ $n = 3 ]; then until [ -f "$SHARED/seen" ]; do sleep 0.1; done; sleep 1; fi
  touch "$SHARED/failed"; exit 1
fi
until [ -f "$SHARED/failed" ]; do sleep 0.1; done; sleep 1
touch "$SHARED/ok-$TASK_IP"
trap 'exit 0' TERM
sleep 1000 & wait
"""
"""The first start fails; then the second is healthy; then the third fails; then the fourth is healthy."""
SEEN = {"command": ["CMD-SHELL", 'test -f "$SHARED/ok-$TASK_IP" && touch "$SHARED/seen"'], "interval": 5, "retries": 10}


@pytest.fixture(scope="module")
def fargate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fargate]:
    """A cluster, at speed 50."""
    directory = tmp_path_factory.mktemp("breaker")
    modules = {"logs": logs, "ecs": ecs}
    with serving(directory, modules, region="ap-south-1", network="127.241.0.0/16", speed=50) as served:
        yield Fargate(served, directory)


def broken(**breaker: Any) -> dict[str, Any]:
    """CreateService's parameter for a circuit breaker that leaves what has failed."""
    return {"deploymentConfiguration": {"deploymentCircuitBreaker": {**STAYS, **breaker}}}


@pytest.mark.parametrize(
    ("desired", "given", "expected"),
    [
        (1, (), 3),
        (7, (), 4),
        (25, (), 13),
        (400, (), 200),
        (800, (), 200),
        (10, ("BOUNDED_PERCENT", 100), 10),
        (2, ("BOUNDED_PERCENT", 50), 3),
        (2, ("UNBOUNDED_PERCENT", 50), 1),
        (0, ("UNBOUNDED_PERCENT", 50), 1),
        (1000, ("UNBOUNDED_PERCENT", 150), 1500),
        (1000, ("COUNT", 2), 2),
    ],
)
def test_the_threshold_follows_the_desired_count(desired: int, given: tuple[Any, ...], expected: int) -> None:
    """Half of the tasks, rounded up, 3 to 200, unless configured: a bounded or unbounded share, or a number."""
    assert threshold(desired, *given) == expected


def test_a_failed_deployment_launches_nothing_more_and_a_good_one_follows(fargate: Fargate) -> None:
    """A program that ends at once: FAILED after three, the old tasks serve on, and the next deployment works."""
    name = "crashing"
    first = fargate.create(name, fargate.definition(name, fargate.image(IDLE)), 2, **broken())["deployments"][0]
    fargate.completed(name)
    before = {task["taskArn"] for task in fargate.tasks(name)}
    bad = fargate.definition(name, fargate.image(CRASHING))
    fargate.update(name, taskDefinition=name)
    ended = fargate.ended(name, "STOPPED")
    assert ended["deploymentCircuitBreaker"]["status"] == "TRIGGERED"
    assert ended["deploymentCircuitBreaker"]["failureCount"] >= ended["deploymentCircuitBreaker"]["threshold"] == 3
    assert ended["stoppedAt"] == ended["finishedAt"] > ended["startedAt"]
    assert "circuit breaker threshold was exceeded" in ended["statusReason"]
    assert "rollback" not in ended
    rows = fargate.service(name)["deployments"]
    assert [(row["status"], row["rolloutState"]) for row in rows] == [("PRIMARY", "FAILED"), ("ACTIVE", "COMPLETED")]
    assert (rows[0]["rolloutStateReason"], rows[0]["taskDefinition"], rows[1]["id"]) == (FAILED, bad, first["id"])
    until(lambda: {task["taskArn"] for task in fargate.tasks(name)} == before)
    launched = len(fargate.tasks(name, "STOPPED"))
    assert any(
        text.endswith(f"(deployment {rows[0]['id']}) deployment failed: tasks failed to start.")
        for text in fargate.messages(name)
    )
    good = fargate.definition(name, fargate.image(IDLE))
    fargate.update(name, taskDefinition=name)
    assert fargate.completed(name)["taskDefinition"] == good
    assert len([task for task in fargate.tasks(name, "STOPPED") if task["taskDefinitionArn"] == bad]) == launched
    assert [one["status"] for one in fargate.history(name)] == ["SUCCESSFUL", "STOPPED", "SUCCESSFUL"]


@pytest.mark.parametrize("kind", ["cannot-be-pulled", "fails-its-check"])
def test_each_stage_is_counted(fargate: Fargate, kind: str) -> None:
    """Tasks that never start and tasks that fail their container's health check count alike; a first one stalls."""
    image = "registry/missing:1" if kind == "cannot-be-pulled" else fargate.image(IDLE)
    check = {} if kind == "cannot-be-pulled" else {"healthCheck": FAILING}
    fargate.create(kind, fargate.definition(kind, image, **check), **broken(rollback=True))
    ended = fargate.ended(kind, "ROLLBACK_FAILED")
    assert ended["statusReason"] == "No rollback candidate was found to run the rollback."
    assert ended["deploymentCircuitBreaker"] == {"status": "TRIGGERED", "failureCount": 3, "threshold": 3}
    row = fargate.service(kind)["deployments"][0]
    assert (row["rolloutState"], row["rolloutStateReason"], row["failedTasks"]) == ("FAILED", FAILED, 3)
    assert row["desiredCount"] == 1
    good = fargate.definition(kind, fargate.image(IDLE))
    fargate.update(kind, taskDefinition=good)
    assert fargate.completed(kind)["taskDefinition"] == good


@pytest.mark.parametrize("model", ["in-a-row", "altogether"])
def test_a_healthy_task_resets_the_count_unless_told_otherwise(fargate: Fargate, model: str, tmp_path: Path) -> None:
    """Two failures with a healthy task between them are two only where the count is never reset."""
    name, resets = f"flapping-{model}", model == "in-a-row"
    shared = [{"name": "SHARED", "value": str(tmp_path)}]
    definition = fargate.definition(name, fargate.image(FLAPPING), healthCheck=SEEN, environment=shared)
    breaker = broken(resetOnHealthyTask=resets, thresholdConfiguration={"type": "COUNT", "value": 2})
    fargate.create(name, definition, 2, **breaker)
    ended = fargate.ended(name, "SUCCESSFUL", "STOPPED")
    wanted = ("SUCCESSFUL", "MONITORING_COMPLETE") if resets else ("STOPPED", "TRIGGERED")
    assert (ended["status"], ended["deploymentCircuitBreaker"]["status"]) == wanted
    assert ended["deploymentCircuitBreaker"]["threshold"] == 2
    assert ended["deploymentConfiguration"]["deploymentCircuitBreaker"]["resetOnHealthyTask"] is resets
    fargate.ecs.delete_service(cluster=CLUSTER, service=name, force=True)


def test_what_ends_after_its_checks_is_not_caught(fargate: Fargate, tmp_path: Path) -> None:
    """A program that passes its checks completes the deployment; that it ends again and again fails nothing."""
    name = "late"
    script = f"until [ -f {tmp_path}/end ]; do sleep 0.2; done\nexit 1\n"
    definition = fargate.definition(name, fargate.image(script), healthCheck=PASSING)
    fargate.create(name, definition, **broken(rollback=True))
    monitored = fargate.history(name)[0]["deploymentCircuitBreaker"]
    assert monitored["threshold"] == 3
    fargate.completed(name)
    (tmp_path / "end").touch()
    until(lambda: len(fargate.tasks(name, "STOPPED")) >= 5)
    assert fargate.service(name)["deployments"][0]["rolloutState"] == "COMPLETED"
    done = fargate.history(name)[0]
    assert (done["status"], done["deploymentCircuitBreaker"]["status"]) == ("SUCCESSFUL", "MONITORING_COMPLETE")
    fargate.ecs.delete_service(cluster=CLUSTER, service=name, force=True)


def test_without_a_breaker_the_deployment_goes_on(fargate: Fargate) -> None:
    """Disabled, it says so, and tasks are started for as long as they fail."""
    name = "endless"
    fargate.create(name, fargate.definition(name, fargate.image(CRASHING)))
    until(lambda: len(fargate.tasks(name, "STOPPED")) >= 5)
    current = fargate.history(name)[0]
    assert current["status"] == "IN_PROGRESS"
    assert current["deploymentCircuitBreaker"] == {"status": "DISABLED", "failureCount": 0, "threshold": 0}
    assert current["alarms"]["status"] == "DISABLED"
    fargate.ecs.delete_service(cluster=CLUSTER, service=name, force=True)


@pytest.mark.parametrize(
    ("settings", "more", "code"),
    [
        (
            {"deploymentCircuitBreaker": STAYS},
            {"deploymentController": {"type": "EXTERNAL"}},
            "InvalidParameterException",
        ),
        (
            {"deploymentCircuitBreaker": {**STAYS, "thresholdConfiguration": {"type": "COUNT", "value": 0}}},
            {},
            "InvalidParameterException",
        ),
        ({"strategy": "BLUE_GREEN"}, {}, "NotImplementedInSandbox"),
        ({"earlySuccessCriteria": {"enable": True, "healthyPercent": 50}}, {}, "NotImplementedInSandbox"),
    ],
    ids=["another-controller", "no-threshold", "blue-green", "early-success"],
)
def test_what_cannot_be_is_refused(fargate: Fargate, settings: dict[str, Any], more: dict[str, Any], code: str) -> None:
    """A breaker for another controller's deployments, a threshold of none; and what the sandbox does not act out."""
    definition = fargate.definition("refused", fargate.image(IDLE))
    with pytest.raises(ClientError) as refused:
        fargate.create("refused", definition, deploymentConfiguration=settings, **more)
    assert refused.value.response["Error"]["Code"] == code
