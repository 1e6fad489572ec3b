"""Rollback: a bad deployment is found, and the service goes back to what it was while its clients notice nothing."""

from __future__ import annotations

import json
import shutil
import threading
import urllib.error
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from pytest_envdr.sandbox.control_plane import ecs, elbv2, events, logs, sqs
from tests.sandbox.control_plane.balanced import Balanced
from tests.sandbox.control_plane.fargate import CLUSTER, IDLE, Fargate, until
from tests.sandbox.control_plane.lambda_rig import allow_events
from tests.sandbox.control_plane.served import ACCOUNT, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(shutil.which("haproxy", path="/usr/sbin:/usr/bin") is None, reason="needs haproxy")

REGION = "ap-south-2"
CRASHING = "exit 3\n"
DEAF = "sleep 1000 & wait\n"
UNAVAILABLE = """exec python3 -u -c '
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(503)
http.server.ThreadingHTTPServer((os.environ["TASK_IP"], 8000), Handler).serve_forever()'
"""
ROLLS_BACK = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
FAILED = "ECS deployment circuit breaker: tasks failed to start."
REASON = "Service deployment rolled back because the circuit breaker threshold was exceeded."


@pytest.fixture(scope="module")
def fargate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fargate]:
    """A cluster and the load balancers, at speed 50."""
    directory = tmp_path_factory.mktemp("rollback")
    modules = {"logs": logs, "elbv2": elbv2, "ecs": ecs, "sqs": sqs, "events": events}
    with serving(directory, modules, region=REGION, network="127.242.0.0/16", speed=50) as served:
        yield Fargate(served, directory)


@dataclass
class Watch:
    """Looks again and again, from its beginning to its end, and keeps what it saw."""

    look: Callable[[], int]
    seen: set[int] = field(default_factory=set)

    def __enter__(self) -> Watch:
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(0.03):
            self.seen.add(self.look())


def served_status(balanced: Balanced) -> int:
    """What a client gets, errors among it; 0 is no answer."""
    try:
        return balanced.status()
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def of_revision(fargate: Fargate, name: str, definition: str) -> set[str]:
    """The service's tasks of one task definition that run and are meant to."""
    tasks = fargate.tasks(name)
    return {t["taskArn"] for t in tasks if t["taskDefinitionArn"] == definition and t["lastStatus"] == "RUNNING"}


def listening(fargate: Fargate, name: str) -> Callable[[], list[dict[str, Any]]]:
    """Have ECS's deployment events sent to a queue; what it holds of one service, oldest first."""
    bus, queues = fargate.served.client("events"), fargate.served.client("sqs")
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
    url = queues.create_queue(QueueName=name, Attributes={"Policy": json.dumps(allow_events(arn))})["QueueUrl"]
    pattern = {"source": ["aws.ecs"], "detail-type": ["ECS Deployment State Change"]}
    bus.put_rule(Name=name, EventPattern=json.dumps(pattern))
    bus.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
    received: list[dict[str, Any]] = []

    def receive() -> list[dict[str, Any]]:
        for message in queues.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            event = json.loads(message["Body"])
            if event["resources"] == [fargate.service(name)["serviceArn"]]:
                received.append(event["detail"])
        return received

    return receive


@pytest.mark.parametrize(
    "script", [CRASHING, DEAF, UNAVAILABLE, None], ids=["ends-at-once", "never-listens", "answers-503", "no-image"]
)
def test_clients_notice_nothing_of_a_bad_deployment(
    fargate: Fargate, script: str | None, request: pytest.FixtureRequest
) -> None:
    """However it is bad: rolled back under the old id, with the old tasks, which served each request meanwhile."""
    name = f"bad-{request.node.callspec.id}"
    balanced = Balanced(fargate, name, deploymentConfiguration=ROLLS_BACK)
    good = fargate.completed(name)
    source = fargate.history(name)[0]["targetServiceRevision"]["arn"]
    before = of_revision(fargate, name, good["taskDefinition"])
    image = fargate.image(script) if script else "registry/missing:1"
    fargate.definition(name, image)
    with Watch(lambda: served_status(balanced)) as client:
        bad = fargate.update(name, taskDefinition=name, healthCheckGracePeriodSeconds=50)["deployments"][0]["id"]
        ended = fargate.ended(name, "ROLLBACK_SUCCESSFUL", "SUCCESSFUL", "ROLLBACK_FAILED")
    assert (ended["status"], ended["statusReason"]) == ("ROLLBACK_SUCCESSFUL", REASON)
    assert (ended["rollback"]["reason"], ended["rollback"]["serviceRevisionArn"]) == (REASON, source)
    assert ended["startedAt"] < ended["rollback"]["startedAt"] <= ended["finishedAt"]
    assert ended["deploymentCircuitBreaker"]["status"] == "TRIGGERED"
    assert ended["deploymentCircuitBreaker"]["failureCount"] >= ended["deploymentCircuitBreaker"]["threshold"] == 3
    rows = fargate.service(name)["deployments"]
    assert [(row["id"], row["rolloutState"]) for row in rows] == [(good["id"], "COMPLETED")]
    assert bad != good["id"]
    assert of_revision(fargate, name, good["taskDefinition"]) == before
    assert client.seen == {200}
    assert fargate.service(name)["taskDefinition"] == good["taskDefinition"]
    texts = [text.partition(") ")[2] for text in fargate.messages(name)]
    told = [texts.index(f"(deployment {bad}) deployment failed: tasks failed to start.")]
    told.append(texts.index(f"rolling back to deployment {good['id']}."))
    assert told[1] == told[0] + 1
    assert f"(deployment {good['id']}) deployment completed." in texts[told[1] :]


def test_eventbridge_is_told_of_each_state(fargate: Fargate) -> None:
    """In progress, failed, in progress back to the old deployment, completed: with AWS's names and reasons."""
    name = "told"
    receive = listening(fargate, name)
    good = fargate.create(name, fargate.definition(name, fargate.image(IDLE)), deploymentConfiguration=ROLLS_BACK)[
        "deployments"
    ][0]["id"]
    fargate.completed(name)
    fargate.definition(name, fargate.image(CRASHING))
    bad = fargate.update(name, taskDefinition=name)["deployments"][0]["id"]
    fargate.ended(name, "ROLLBACK_SUCCESSFUL")
    details = until(lambda: len(receive()) >= 6 and receive())
    told = [(one["eventType"], one["eventName"], one["deploymentId"], one["reason"]) for one in details]
    # EventBridge keeps no order: two that were told within the same moment may arrive the other way round.
    assert sorted(told) == sorted(
        [
            ("INFO", "SERVICE_DEPLOYMENT_IN_PROGRESS", good, f"ECS deployment {good} in progress."),
            ("INFO", "SERVICE_DEPLOYMENT_COMPLETED", good, f"ECS deployment {good} completed."),
            ("INFO", "SERVICE_DEPLOYMENT_IN_PROGRESS", bad, f"ECS deployment {bad} in progress."),
            ("ERROR", "SERVICE_DEPLOYMENT_FAILED", bad, FAILED),
            (
                "INFO",
                "SERVICE_DEPLOYMENT_IN_PROGRESS",
                good,
                f"ECS deployment circuit breaker: rolling back to deploymentId {good}.",
            ),
            ("INFO", "SERVICE_DEPLOYMENT_COMPLETED", good, f"ECS deployment {good} completed."),
        ]
    )


def test_never_fewer_old_tasks_than_the_minimum(fargate: Fargate) -> None:
    """Where old tasks make room first, half of them stay, and the rollback starts the others again."""
    name = "halved"
    limits = {**ROLLS_BACK, "minimumHealthyPercent": 50, "maximumPercent": 100}
    check = {"command": ["CMD-SHELL", "true"], "interval": 5}
    good = fargate.definition(name, fargate.image(IDLE), healthCheck=check)
    fargate.create(name, good, 4, deploymentConfiguration=limits)
    fargate.completed(name)
    fargate.definition(name, fargate.image(CRASHING))
    with Watch(lambda: len(of_revision(fargate, name, good))) as old:
        fargate.update(name, taskDefinition=name)
        fargate.ended(name, "ROLLBACK_SUCCESSFUL")
        assert len(of_revision(fargate, name, good)) == 4
    assert min(old.seen) >= 2
    assert fargate.service(name)["runningCount"] == 4
    fixed = fargate.definition(name, fargate.image(IDLE), healthCheck=check)
    fargate.update(name, taskDefinition=name)
    assert fargate.completed(name)["taskDefinition"] == fixed
    assert [one["status"] for one in fargate.history(name)] == ["SUCCESSFUL", "ROLLBACK_SUCCESSFUL", "SUCCESSFUL"]


def test_there_is_no_going_back_to_an_inactive_definition(fargate: Fargate) -> None:
    """A deregistered previous revision: the rollback fails, and the old tasks serve on; a service may run it still."""
    name = "deregistered"
    good = fargate.definition(name, fargate.image(IDLE))
    fargate.create(name, good, 2, deploymentConfiguration=ROLLS_BACK)
    fargate.completed(name)
    before = of_revision(fargate, name, good)
    assert fargate.ecs.deregister_task_definition(taskDefinition=good)["taskDefinition"]["status"] == "INACTIVE"
    fargate.definition(name, fargate.image(CRASHING))
    fargate.update(name, taskDefinition=name)
    ended = fargate.ended(name, "ROLLBACK_FAILED")
    assert f"TaskDefinition is inactive: {good}" in ended["statusReason"]
    assert "rollback" not in ended
    assert of_revision(fargate, name, good) == before
    assert fargate.service(name)["deployments"][0]["rolloutState"] == "FAILED"


def test_a_rollback_that_fails_itself_stalls(fargate: Fargate) -> None:
    """The old revision cannot start any more either: ROLLBACK_FAILED, and what serves goes on serving."""
    name = "stalled"
    group = f"/ecs/{name}"
    fargate.served.client("logs").create_log_group(logGroupName=group)
    options = {"awslogs-group": group, "awslogs-region": REGION, "awslogs-stream-prefix": "ecs"}
    configuration = {"logDriver": "awslogs", "options": options}
    good = fargate.definition(name, fargate.image(IDLE), logConfiguration=configuration)
    limits = {**ROLLS_BACK, "minimumHealthyPercent": 50, "maximumPercent": 100}
    fargate.create(name, good, 2, deploymentConfiguration=limits)
    fargate.completed(name)
    fargate.served.client("logs").delete_log_group(logGroupName=group)
    fargate.definition(name, fargate.image(CRASHING))
    fargate.update(name, taskDefinition=name)
    ended = fargate.ended(name, "ROLLBACK_FAILED")
    assert "startedAt" in ended["rollback"]
    row = fargate.service(name)["deployments"][0]
    assert (row["taskDefinition"], row["rolloutState"], row["rolloutStateReason"]) == (good, "FAILED", FAILED)
    assert len(of_revision(fargate, name, good)) == 1


def test_inactive_definitions_are_refused(fargate: Fargate) -> None:
    """None of the calls takes one; a family means its latest ACTIVE revision; a service that runs one still scales."""
    name = "inactive"
    first = fargate.definition(name, fargate.image(IDLE))
    second = fargate.definition(name, fargate.image(IDLE))
    fargate.create(name, first)
    fargate.completed(name)
    fargate.ecs.deregister_task_definition(taskDefinition=second)
    attempts: list[Callable[[], Any]] = [
        lambda: fargate.update(name, taskDefinition=second),
        lambda: fargate.create("other", second),
        lambda: fargate.run(second),
    ]
    assert [refusal(attempt) for attempt in attempts] == [("ClientException", "TaskDefinition is inactive")] * 3
    assert fargate.task(fargate.run(name))["taskDefinitionArn"] == first
    fargate.ecs.deregister_task_definition(taskDefinition=first)
    fargate.update(name, desiredCount=2)
    until(lambda: len(of_revision(fargate, name, first)) == 2)
    assert refusal(lambda: fargate.update(name, forceNewDeployment=True))[1] == "TaskDefinition is inactive"
    assert refusal(lambda: fargate.update(name, taskDefinition=name))[0] == "ClientException"
    fargate.ecs.delete_service(cluster=CLUSTER, service=name, force=True)


def refusal(attempt: Callable[[], Any]) -> tuple[str, str]:
    """Code and text of the error that a call is answered with."""
    with pytest.raises(ClientError) as refused:
        attempt()
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]
