"""Whether a service has a way back from a bad deployment: values in, reasons out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pytest_envdr.aws import ecs
from pytest_envdr.drills import releases

NOW = datetime(2026, 11, 30, tzinfo=UTC)
DONE = ecs.Deployment("ecs-svc/1", "PRIMARY", "COMPLETED", "", "shop:7", 2, 2, 0, 0, NOW, NOW)
FIT = ecs.Service(
    arn="service/shop",
    name="shop",
    cluster="cluster",
    status="ACTIVE",
    desired=2,
    running=2,
    pending=0,
    task_definition="shop:7",
    deployments=(DONE,),
    events=(),
    load_balancers=(),
    controller="ECS",
    minimum_percent=100,
    maximum_percent=200,
    circuit_breaker=True,
    circuit_breaker_rollback=True,
    grace_seconds=0,
    az_rebalancing="",
    network={},
    launch_type="FARGATE",
)


def test_a_service_that_lacks_nothing() -> None:
    """Circuit breaker and rollback on, the deployment complete, a rolling one: no reason."""
    assert list(releases.service_lacks(FIT)) == []


@pytest.mark.parametrize(
    ("service", "words"),
    [
        (replace(FIT, circuit_breaker=False), "circuit breaker is off"),
        (replace(FIT, circuit_breaker_rollback=False), "does not roll back"),
        (replace(FIT, deployments=()), "no completed deployment"),
        (replace(FIT, deployments=(replace(DONE, rollout_state="FAILED"),)), "no completed deployment"),
        (replace(FIT, early_success=True), "earlySuccessCriteria"),
        *((replace(FIT, strategy=one), f"strategy is {one}") for one in ("BLUE_GREEN", "LINEAR", "CANARY")),
    ],
)
def test_what_a_service_lacks(service: ecs.Service, words: str) -> None:
    """Each by itself is a reason, and the only one."""
    (reason,) = releases.service_lacks(service)
    assert words in reason
