"""Tasks: a life with AWS's time stamps, stop codes and reasons, and a real process in the middle of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from pytest_envdr.sandbox.control_plane import ecs, logs
from tests.sandbox.control_plane.fargate import CLUSTER, IDLE, STUBBORN, Fargate, address, until
from tests.sandbox.control_plane.served import serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def fargate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fargate]:
    """A cluster, at speed 50."""
    directory = tmp_path_factory.mktemp("tasks")
    modules = {"logs": logs, "ecs": ecs}
    with serving(directory, modules, region="eu-west-3", network="127.202.0.0/16", speed=50) as served:
        yield Fargate(served, directory)


@pytest.fixture(scope="module")
def idle(fargate: Fargate) -> str:
    """A task definition that runs until it is stopped."""
    return fargate.definition("idle", fargate.image(IDLE))


def reason_of(fargate: Fargate, **container: Any) -> str:
    """Why a task with such a container does not start."""
    image = container.pop("image", None) or fargate.image(IDLE)
    task = fargate.stopped(fargate.run(fargate.definition("broken", image, **container)))
    assert task["stopCode"] == "TaskFailedToStart"
    assert "startedAt" not in task
    assert "exitCode" not in task["containers"][0]
    return str(task["stoppedReason"])


def test_a_task_lives_through_aws_states(fargate: Fargate, idle: str) -> None:
    """Time stamps are there and in AWS's order, and describing a task does not move it."""
    arn = fargate.run(idle, startedBy="drill", tags=[{"key": "envdr:exercise", "value": "1"}])
    assert fargate.task(arn)["lastStatus"] in {"PROVISIONING", "PENDING"}
    running = fargate.running(arn)
    for _ in range(10):
        assert fargate.task(arn)["lastStatus"] == "RUNNING"
    assert (running["startedBy"], running["group"]) == ("drill", "family:idle")
    assert running["containers"][0]["imageDigest"].startswith("sha256:")
    tagged = fargate.ecs.describe_tasks(cluster=CLUSTER, tasks=[arn], include=["TAGS"])["tasks"][0]
    assert tagged["tags"] == [{"key": "envdr:exercise", "value": "1"}]
    fargate.ecs.stop_task(cluster=CLUSTER, task=arn)
    stopped = fargate.stopped(arn)
    pulled = ["pullStartedAt", "pullStoppedAt"]
    ended = ["stoppingAt", "executionStoppedAt", "stoppedAt"]
    order = ["createdAt", "connectivityAt", *pulled, "startedAt", *ended]
    times = [stopped[name] for name in order]
    assert times == sorted(times)
    assert stopped["version"] > running["version"]
    assert (stopped["connectivity"], stopped["containers"][0]["lastStatus"]) == ("DISCONNECTED", "STOPPED")


def test_overrides_reach_the_process(fargate: Fargate, idle: str) -> None:
    """A command and environment given to RunTask are what runs, and its exit code is the task's."""
    override = {
        "name": "main",
        "command": ["sh", "-c", 'exit "$CODE"'],
        "environment": [{"name": "CODE", "value": "7"}],
    }
    task = fargate.stopped(fargate.run(idle, overrides={"containerOverrides": [override], "cpu": "512"}))
    assert task["containers"][0]["exitCode"] == 7
    assert task["stopCode"] == "EssentialContainerExited"
    assert task["overrides"]["containerOverrides"] == [override]
    assert task["cpu"] == "512"
    with pytest.raises(ClientError, match="Override for container named other is not a container"):
        fargate.run(idle, overrides={"containerOverrides": [{"name": "other"}]})


@pytest.mark.parametrize(("given", "shown"), [({}, "Task stopped by user"), ({"reason": "drill 7"}, "drill 7")])
def test_stop_task_says_who_and_why(fargate: Fargate, idle: str, given: dict[str, str], shown: str) -> None:
    """A stopped task carries the given reason, and its process got a SIGTERM that it could answer."""
    arn = fargate.run(idle)
    fargate.running(arn)
    answer = fargate.ecs.stop_task(cluster=CLUSTER, task=arn, **given)["task"]
    assert (answer["desiredStatus"], answer["stoppedReason"]) == ("STOPPED", shown)
    stopped = fargate.stopped(arn)
    assert (stopped["stopCode"], stopped["stoppedReason"]) == ("UserInitiated", shown)
    assert stopped["containers"][0]["exitCode"] == 0


def test_a_process_that_ignores_sigterm_is_killed(fargate: Fargate) -> None:
    """After the stop timeout comes SIGKILL: exit code 137."""
    arn = fargate.run(fargate.definition("stubborn", fargate.image(STUBBORN), stopTimeout=10))
    fargate.running(arn)
    fargate.ecs.stop_task(cluster=CLUSTER, task=arn)
    stopped = fargate.stopped(arn)
    assert stopped["containers"][0]["exitCode"] == 137
    assert (stopped["executionStoppedAt"] - stopped["stoppingAt"]).total_seconds() >= 10 / 50


def test_a_task_that_is_stopped_early_never_starts(fargate: Fargate, idle: str) -> None:
    """Stopped while PROVISIONING, it ends without a process."""
    arn = fargate.run(idle)
    fargate.ecs.stop_task(cluster=CLUSTER, task=arn)
    stopped = fargate.stopped(arn)
    assert "startedAt" not in stopped
    assert stopped["stopCode"] == "UserInitiated"


def test_an_image_that_is_not_there(fargate: Fargate) -> None:
    """Nothing under that reference: CannotPullContainerError, in the task and its container."""
    assert reason_of(fargate, image="registry/nothing:1").startswith("CannotPullContainerError: ")


def test_a_program_that_is_not_there(fargate: Fargate) -> None:
    """The command's program does not exist: CannotStartContainerError that names it."""
    reason = reason_of(fargate, command=["no-such-program"])
    assert reason.startswith("CannotStartContainerError: ")
    assert 'exec: "no-such-program": executable file not found in $PATH' in reason


def test_a_secret_that_is_not_there(fargate: Fargate) -> None:
    """A missing secret or parameter: ResourceInitializationError that names it."""
    arn = f"arn:aws:secretsmanager:{fargate.served.world.region}:123456789012:secret:shop/none-AbCdEf"
    reason = reason_of(fargate, secrets=[{"name": "PASSWORD", "valueFrom": f"{arn}:password::"}])
    assert reason.startswith("ResourceInitializationError: unable to pull secrets or registry auth")
    assert arn in reason
    assert "invalid ssm parameters: /none" in reason_of(fargate, secrets=[{"name": "A", "valueFrom": "/none"}])


def test_a_log_group_that_is_not_there(fargate: Fargate) -> None:
    """The awslogs driver does not make a group unless told to."""
    assert "The specified log group does not exist" in reason_of(fargate, logConfiguration=_logs("/none"))


def test_output_and_secrets(fargate: Fargate) -> None:
    """What the process prints, secrets and all, is in the log group by the time the task is STOPPED."""
    secrets = fargate.served.client("secretsmanager")
    value = json.dumps({"username": "shop", "password": "s3cret"})
    arn = secrets.create_secret(Name="shop/db", SecretString=value)["ARN"]
    logs_client = fargate.served.client("logs")
    logs_client.create_log_group(logGroupName="/ecs/talking")
    script = 'echo "as $DB_USER in $AWS_REGION at $TASK_IP"\nprintf "no newline" >&2\n'
    definition = fargate.definition(
        "talking",
        fargate.image(script),
        secrets=[{"name": "DB_USER", "valueFrom": f"{arn}:username::"}],
        logConfiguration=_logs("/ecs/talking"),
    )
    task = fargate.stopped(fargate.run(definition))
    assert task["containers"][0]["exitCode"] == 0
    stream = f"ecs/main/{task['taskArn'].split('/')[-1]}"
    events = logs_client.get_log_events(logGroupName="/ecs/talking", logStreamName=stream, startFromHead=True)["events"]
    region = fargate.served.world.region
    assert [event["message"] for event in events] == [f"as shop in {region} at {address(task)}", "no newline"]


def test_a_sidecar_may_end_but_an_essential_container_may_not(fargate: Fargate) -> None:
    """A task lives on when a container ends that is not essential, and ends as a whole with an essential one."""
    image = fargate.image(IDLE)
    common = {"image": image, "command": ["sh", "main.sh"]}
    made = fargate.ecs.register_task_definition(
        family="pair",
        requiresCompatibilities=["FARGATE"],
        networkMode="awsvpc",
        cpu="256",
        memory="512",
        containerDefinitions=[
            {**common, "name": "main", "stopTimeout": 2},
            {**common, "name": "side", "essential": False, "command": ["sh", "-c", "exit 3"]},
        ],
    )["taskDefinition"]["taskDefinitionArn"]
    arn = fargate.run(made)
    task = until(lambda: (row := fargate.task(arn))["containers"][1].get("exitCode") == 3 and row)
    assert (task["lastStatus"], task["containers"][1]["lastStatus"]) == ("RUNNING", "STOPPED")
    fargate.ecs.stop_task(cluster=CLUSTER, task=arn)
    assert [one["exitCode"] for one in fargate.stopped(arn)["containers"]] == [0, 3]


def test_tasks_are_listed_by_what_is_asked(fargate: Fargate) -> None:
    """ListTasks shows wanted tasks unless STOPPED is asked for, and filters by family and starter."""
    definition = fargate.definition("listed", fargate.image(IDLE))
    kept, stopped = fargate.run(definition, startedBy="one"), fargate.run(definition, startedBy="two")
    fargate.ecs.stop_task(cluster=CLUSTER, task=stopped)
    listed = fargate.ecs.list_tasks
    assert listed(cluster=CLUSTER, family="listed")["taskArns"] == [kept]
    assert listed(cluster=CLUSTER, family="listed", desiredStatus="STOPPED")["taskArns"] == [stopped]
    assert listed(cluster=CLUSTER, startedBy="one")["taskArns"] == [kept]
    assert listed(cluster=CLUSTER, serviceName="nobody")["taskArns"] == []


def test_the_interface_is_ec2s_too(fargate: Fargate, idle: str) -> None:
    """The task's network interface is in EC2 while the task lives, also in a VPC without DNS host names."""
    arn = fargate.run(idle)
    task = fargate.running(arn)
    details = {row["name"]: row["value"] for row in task["attachments"][0]["details"]}
    assert details["privateIPv4Address"] == address(task)
    assert details["subnetId"] in fargate.subnets
    ec2 = fargate.served.client("ec2")
    shown = ec2.describe_network_interfaces(NetworkInterfaceIds=[details["networkInterfaceId"]])["NetworkInterfaces"][0]
    assert (shown["PrivateIpAddress"], shown["Status"]) == (address(task), "in-use")
    fargate.ecs.stop_task(cluster=CLUSTER, task=arn)
    assert fargate.stopped(arn)["attachments"][0]["status"] == "DELETED"
    every = ec2.describe_network_interfaces()["NetworkInterfaces"]
    assert details["networkInterfaceId"] not in {row["NetworkInterfaceId"] for row in every}


def test_an_inactive_definition_cannot_be_run(fargate: Fargate) -> None:
    """A deregistered revision is refused, and a family means its latest ACTIVE one."""
    first = fargate.definition("retired", fargate.image(IDLE))
    second = fargate.definition("retired", fargate.image(IDLE))
    fargate.ecs.deregister_task_definition(taskDefinition=second)
    with pytest.raises(ClientError, match="TaskDefinition is inactive"):
        fargate.run(second)
    assert fargate.task(fargate.run("retired"))["taskDefinitionArn"] == first
    with pytest.raises(ClientError, match="TaskDefinition not found"):
        fargate.run("nothing")


def test_the_cli_runs_a_task_and_shows_it(fargate: Fargate, idle: str) -> None:
    """Debian's AWS CLI understands the answers."""
    network = f"awsvpcConfiguration={{subnets=[{','.join(fargate.subnets)}]}}"
    base = ["ecs", "run-task", "--cluster", CLUSTER, "--launch-type", "FARGATE", "--network-configuration", network]
    overrides = '{"containerOverrides":[{"name":"main","command":["true"]}]}'
    arn = fargate.served.cli_json(*base, "--task-definition", idle, "--overrides", overrides)["tasks"][0]["taskArn"]
    assert fargate.stopped(arn)["containers"][0]["exitCode"] == 0
    shown = fargate.served.cli_json("ecs", "describe-tasks", "--cluster", CLUSTER, "--tasks", arn)
    assert shown["tasks"][0]["stopCode"] == "EssentialContainerExited"


def _logs(group: str) -> dict[str, Any]:
    return {"logDriver": "awslogs", "options": {"awslogs-group": group, "awslogs-stream-prefix": "ecs"}}
