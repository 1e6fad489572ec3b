"""Deployment alarms: a real alarm over published values fails a deployment that the circuit breaker cannot catch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from pytest_envdr.sandbox.control_plane import cloudwatch, ecs, logs
from tests.sandbox.control_plane.fargate import IDLE, Fargate, until
from tests.sandbox.control_plane.served import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSING = {"command": ["CMD-SHELL", "true"], "interval": 5}
LONG = 100
"""Periods of a minute in the bake time: two minutes of the wall, more than any of these tests waits for."""


@pytest.fixture(scope="module")
def fargate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fargate]:
    """A cluster with metrics and alarms, at speed 50."""
    directory = tmp_path_factory.mktemp("alarmed")
    modules = {"logs": logs, "ecs": ecs, "cloudwatch": cloudwatch}
    with serving(directory, modules, region="ap-southeast-2", network="127.30.0.0/16", speed=50) as served:
        yield Fargate(served, directory)


@dataclass
class Errors:
    """An alarm on a metric that only the test writes; it keeps its state while nothing is written."""

    fargate: Fargate
    periods: int = 1
    name: str = field(default_factory=lambda: f"errors-{uuid4().hex[:8]}")

    def __post_init__(self) -> None:
        self.cloudwatch = self.fargate.served.client("cloudwatch")
        self.cloudwatch.put_metric_alarm(
            AlarmName=self.name,
            Namespace="Shop",
            MetricName=self.name,
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=self.periods,
            DatapointsToAlarm=1,
            Threshold=0,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="ignore",
        )
        self.report(0, "OK")

    def report(self, value: float, state: str) -> None:
        """Write a value, until the alarm is in the state that follows."""

        def written() -> bool:
            datum = {"MetricName": self.name, "Value": value}
            self.cloudwatch.put_metric_data(Namespace="Shop", MetricData=[datum])
            return self.state() == state

        until(written)

    def state(self) -> str:
        alarms = self.cloudwatch.describe_alarms(AlarmNames=[self.name])["MetricAlarms"]
        return str(alarms[0]["StateValue"])

    def watched(self, *, rollback: bool = True) -> dict[str, Any]:
        """A deployment configuration with this alarm."""
        return {"alarms": {"alarmNames": [self.name], "enable": True, "rollback": rollback}}


def replacing(fargate: Fargate, name: str, errors: Errors, *, rollback: bool = True) -> tuple[dict[str, Any], str]:
    """A service whose new revision has replaced all of the old one and bakes; the first deployment, the new id."""
    fargate.create(name, fargate.definition(name, fargate.image(IDLE), healthCheck=PASSING), 2)
    first = fargate.completed(name)
    fargate.definition(name, fargate.image(IDLE), healthCheck=PASSING)
    configuration = errors.watched(rollback=rollback)
    new = fargate.update(name, taskDefinition=name, deploymentConfiguration=configuration)["deployments"][0]["id"]
    until(lambda: {task["startedBy"] for task in fargate.tasks(name)} == {new})
    return first, str(new)


def test_an_alarm_in_the_bake_time_rolls_back(fargate: Fargate) -> None:
    """All tasks are new and well, the deployment is still in progress; the alarm brings the old revision back."""
    errors = Errors(fargate, periods=LONG)
    first, new = replacing(fargate, "baking", errors)
    until(lambda: fargate.service("baking")["runningCount"] == 2)
    current = fargate.history("baking")[0]
    assert (current["status"], current["alarms"]["status"]) == ("IN_PROGRESS", "MONITORING")
    assert current["alarms"]["alarmNames"] == [errors.name]
    rows = fargate.service("baking")["deployments"]
    assert [(row["id"], row["desiredCount"]) for row in rows] == [(new, 2), (first["id"], 0)]
    errors.report(1, "ALARM")
    ended = fargate.ended("baking", "ROLLBACK_SUCCESSFUL", "SUCCESSFUL")
    assert ended["status"] == "ROLLBACK_SUCCESSFUL"
    assert ended["alarms"] == {
        "status": "TRIGGERED",
        "alarmNames": [errors.name],
        "triggeredAlarmNames": [errors.name],
    }
    assert ended["deploymentCircuitBreaker"]["status"] == "DISABLED"
    service = fargate.service("baking")
    assert [(row["id"], row["rolloutState"]) for row in service["deployments"]] == [(first["id"], "COMPLETED")]
    assert {task["taskDefinitionArn"] for task in fargate.tasks("baking")} == {first["taskDefinition"]}
    texts = [text.partition(") ")[2] for text in fargate.messages("baking")]
    assert f"(deployment {new}) deployment failed: alarm detected." in texts
    assert f"rolling back to deployment {first['id']}." in texts


def test_an_alarm_without_rollback_leaves_the_deployment(fargate: Fargate) -> None:
    """It is FAILED and STOPPED, and its tasks run on."""
    errors = Errors(fargate, periods=LONG)
    _, new = replacing(fargate, "left", errors, rollback=False)
    errors.report(1, "ALARM")
    ended = fargate.ended("left", "STOPPED", "SUCCESSFUL")
    assert (ended["status"], ended["alarms"]["status"]) == ("STOPPED", "TRIGGERED")
    row = fargate.service("left")["deployments"][0]
    assert (row["id"], row["rolloutState"], row["runningCount"]) == (new, "FAILED", 2)


def test_a_quiet_alarm_lets_the_deployment_complete(fargate: Fargate) -> None:
    """After the bake time, and what happens later is no longer the deployment's."""
    errors = Errors(fargate)
    _, new = replacing(fargate, "quiet", errors)
    assert fargate.completed("quiet")["id"] == new
    done = fargate.history("quiet")[0]
    assert (done["status"], done["alarms"]["status"]) == ("SUCCESSFUL", "MONITORING_COMPLETE")
    errors.report(1, "ALARM")
    assert fargate.history("quiet")[0]["status"] == "SUCCESSFUL"
    assert fargate.service("quiet")["deployments"][0]["id"] == new


def test_an_alarm_that_is_there_already_is_ignored(fargate: Fargate) -> None:
    """In ALARM as the deployment begins: it is not watched, so that a repair can be deployed."""
    errors = Errors(fargate, periods=LONG)
    errors.report(1, "ALARM")
    _, new = replacing(fargate, "ignored", errors)
    assert fargate.completed("ignored")["id"] == new
    done = fargate.history("ignored")[0]
    assert errors.state() == "ALARM"
    assert (done["status"], done["alarms"]["status"]) == ("SUCCESSFUL", "DISABLED")


@pytest.mark.parametrize(
    ("names", "controller"), [([], "ECS"), (["errors"], "EXTERNAL")], ids=["no-alarm", "another-controller"]
)
def test_alarms_must_be_named_and_the_deployment_ecs_own(fargate: Fargate, names: list[str], controller: str) -> None:
    """No names, or a controller other than ECS's own, is refused."""
    alarms = {"alarmNames": names, "enable": True, "rollback": True}
    definition = fargate.definition("refused", fargate.image(IDLE))
    with pytest.raises(ClientError) as refused:
        fargate.create(
            "refused",
            definition,
            deploymentConfiguration={"alarms": alarms},
            deploymentController={"type": controller},
        )
    assert refused.value.response["Error"]["Code"] == "InvalidParameterException"
