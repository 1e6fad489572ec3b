"""Services: what is wanted becomes real processes, and stays."""

from __future__ import annotations

import signal
import urllib.request
from functools import partial
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from pytest_envdr.sandbox.control_plane import ecs, logs
from tests.sandbox.control_plane.fargate import CLUSTER, IDLE, WEB, Fargate, address, kill, until
from tests.sandbox.control_plane.served import serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def fargate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fargate]:
    """A cluster, at speed 50."""
    directory = tmp_path_factory.mktemp("services")
    modules = {"logs": logs, "ecs": ecs}
    with serving(directory, modules, region="eu-north-1", network="127.210.0.0/16", speed=50) as served:
        yield Fargate(served, directory)


@pytest.fixture(scope="module")
def refusing(fargate: Fargate) -> str:
    """A complete service whose first revision is INACTIVE."""
    old = fargate.definition("refusing", fargate.image(IDLE))
    fargate.create("refusing", fargate.definition("refusing", fargate.image(IDLE)), 0)
    fargate.ecs.deregister_task_definition(taskDefinition=old)
    until(lambda: fargate.service("refusing")["deployments"][0]["rolloutState"] == "COMPLETED")
    return "refusing"


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    """The error code that AWS would have answered."""
    return str(error.value.response["Error"]["Code"])


def test_a_service_reaches_a_steady_state_with_real_processes(fargate: Fargate) -> None:
    """Two tasks run, each answers on its own address, and the events tell how it came to that."""
    created = fargate.create("steady", fargate.definition("steady", fargate.image(WEB)), 2)
    assert (created["runningCount"], created["deployments"][0]["rolloutState"]) == (0, "IN_PROGRESS")
    fargate.stable("steady")
    until(lambda: fargate.service("steady")["deployments"][0]["rolloutState"] == "COMPLETED")
    service = fargate.service("steady")
    assert (service["runningCount"], service["pendingCount"], len(service["deployments"])) == (2, 0, 1)
    addresses = {address(task) for task in fargate.tasks("steady")}
    assert len(addresses) == 2
    for one in addresses:
        assert b"main.sh" in until(partial(_page, one))
    deployment = service["deployments"][0]["id"]
    assert {task["startedBy"] for task in fargate.tasks("steady")} == {deployment}
    assert {task["group"] for task in fargate.tasks("steady")} == {"service:steady"}
    messages = fargate.messages("steady")
    assert messages[0].startswith("(service steady) has started 2 tasks: (task ")
    assert f"(service steady) (deployment {deployment}) deployment completed." in messages
    assert messages[-1] == "(service steady) has reached a steady state."


def test_a_killed_process_is_replaced(fargate: Fargate) -> None:
    """After `kill -9` the task is STOPPED with exit code 137, and another one runs at another address."""
    fargate.create("killed", fargate.definition("killed", fargate.image(IDLE)))
    fargate.stable("killed")
    first = fargate.tasks("killed")[0]
    kill(first)
    stopped = fargate.stopped(first["taskArn"])
    assert (stopped["stopCode"], stopped["stoppedReason"]) == (
        "EssentialContainerExited",
        "Essential container in task exited",
    )
    assert (stopped["containers"][0]["exitCode"], stopped["desiredStatus"]) == (137, "STOPPED")
    fargate.stable("killed")
    second = fargate.tasks("killed")[0]
    assert address(second) != address(first)
    until(lambda: fargate.service("killed")["deployments"][0]["rolloutState"] == "COMPLETED")


def test_desired_count_zero_and_back(fargate: Fargate) -> None:
    """At 0 the processes end gracefully, for the scaling's reason; back up, there is no new deployment."""
    fargate.create("scaled", fargate.definition("scaled", fargate.image(IDLE)), 2)
    fargate.stable("scaled")
    deployment = fargate.service("scaled")["deployments"][0]["id"]
    before = fargate.tasks("scaled")
    assert fargate.update("scaled", desiredCount=0)["desiredCount"] == 0
    fargate.stable("scaled")
    assert fargate.tasks("scaled") == []
    for task in before:
        stopped = fargate.stopped(task["taskArn"])
        assert stopped["stopCode"] == "ServiceSchedulerInitiated"
        assert stopped["stoppedReason"] == f"Scaling activity initiated by (deployment {deployment})"
        assert stopped["containers"][0]["exitCode"] == 0
    assert fargate.service("scaled")["events"][0]["message"] == "(service scaled) has reached a steady state."
    fargate.update("scaled", desiredCount=1)
    fargate.stable("scaled")
    assert [one["id"] for one in fargate.service("scaled")["deployments"]] == [deployment]
    assert len(fargate.ecs.list_service_deployments(cluster=CLUSTER, service="scaled")["serviceDeployments"]) == 1


def test_a_frozen_process_with_a_health_check_is_replaced(fargate: Fargate) -> None:
    """SIGSTOP makes the container's health check fail: the task turns UNHEALTHY and is replaced, so the answers are
    acted and not told."""
    beating = "while :; do touch beat-$TASK_IP; sleep 0.05; done\n"
    fresh = "test -n \"$(find beat-$TASK_IP -newermt '-1 second')\""
    check = {"command": ["CMD-SHELL", fresh], "interval": 5, "retries": 2}
    fargate.create("frozen", fargate.definition("frozen", fargate.image(beating), healthCheck=check))
    first = until(lambda: next((one for one in fargate.tasks("frozen") if one["healthStatus"] == "HEALTHY"), None))
    assert first["containers"][0]["healthStatus"] == "HEALTHY"
    kill(first, signal.SIGSTOP)
    until(lambda: fargate.task(first["taskArn"])["healthStatus"] == "UNHEALTHY")
    stopped = fargate.stopped(first["taskArn"])
    assert stopped["stoppedReason"] == "Task failed container health checks"
    assert stopped["containers"][0]["exitCode"] == 137
    fargate.stable("frozen")
    assert [one["taskArn"] for one in fargate.tasks("frozen")] != [first["taskArn"]]
    assert any("failed container health checks." in message for message in fargate.messages("frozen"))


def test_tasks_are_counted_where_they_run(fargate: Fargate) -> None:
    """DescribeClusters counts tasks and services that are there, and never below zero."""
    fargate.create("counted", fargate.definition("counted", fargate.image(IDLE)))
    fargate.stable("counted")
    with_it = fargate.ecs.describe_clusters(clusters=[CLUSTER], include=["STATISTICS"])["clusters"][0]
    fargate.ecs.delete_service(cluster=CLUSTER, service="counted", force=True)
    fargate.inactive("counted")
    without = fargate.ecs.describe_clusters(clusters=[CLUSTER])["clusters"][0]
    assert with_it["runningTasksCount"] == without["runningTasksCount"] + 1
    assert with_it["activeServicesCount"] == without["activeServicesCount"] + 1
    assert {row["name"] for row in with_it["statistics"]} >= {"runningFargateTasksCount"}


def test_a_service_is_deleted_only_when_scaled_down_or_by_force(fargate: Fargate) -> None:
    """Deleting drains, then the service is INACTIVE and can be described but not updated."""
    fargate.create("deleted", fargate.definition("deleted", fargate.image(IDLE)))
    fargate.stable("deleted")
    with pytest.raises(ClientError, match="cannot be stopped while it is scaled above 0") as refused:
        fargate.ecs.delete_service(cluster=CLUSTER, service="deleted")
    assert code_of(refused) == "InvalidParameterException"
    fargate.update("deleted", desiredCount=0)
    assert fargate.ecs.delete_service(cluster=CLUSTER, service="deleted")["service"]["status"] in {
        "DRAINING",
        "INACTIVE",
    }
    fargate.inactive("deleted")
    assert all("/deleted" not in arn for arn in fargate.ecs.list_services(cluster=CLUSTER)["serviceArns"])
    with pytest.raises(ClientError) as inactive:
        fargate.update("deleted", desiredCount=1)
    assert code_of(inactive) == "ServiceNotActiveException"


def test_settings_of_a_service_are_kept(fargate: Fargate) -> None:
    """What CreateService was told and what it assumes is in the description; tags only when asked for."""
    definition = fargate.definition("settings", fargate.image(IDLE))
    fargate.create(
        "settings",
        definition,
        0,
        healthCheckGracePeriodSeconds=60,
        enableExecuteCommand=True,
        deploymentConfiguration={"minimumHealthyPercent": 50, "maximumPercent": 100},
        tags=[{"key": "team", "value": "shop"}],
    )
    service = fargate.service("settings")
    assert (service["healthCheckGracePeriodSeconds"], service["enableExecuteCommand"]) == (60, True)
    assert service["deploymentConfiguration"]["minimumHealthyPercent"] == 50
    assert service["deploymentConfiguration"]["deploymentCircuitBreaker"] == {"enable": False, "rollback": False}
    assert (service["schedulingStrategy"], service["platformVersion"]) == ("REPLICA", "LATEST")
    assert service["availabilityZoneRebalancing"] == "ENABLED"
    assert "tags" not in service
    tagged = fargate.ecs.describe_services(cluster=CLUSTER, services=["settings"], include=["TAGS"])["services"][0]
    assert tagged["tags"] == [{"key": "team", "value": "shop"}]
    fargate.update("settings", deploymentConfiguration={"maximumPercent": 200})
    changed = fargate.service("settings")["deploymentConfiguration"]
    assert (changed["minimumHealthyPercent"], changed["maximumPercent"]) == (50, 200)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"service": "nobody"}, "ServiceNotFoundException"),
        ({"cluster": "nowhere"}, "ClusterNotFoundException"),
        ({"desiredCount": -1}, "InvalidParameterException"),
        ({"taskDefinition": "nothing"}, "ClientException"),
        ({"taskDefinition": "nothing:7"}, "ClientException"),
        ({"taskDefinition": "refusing:1"}, "ClientException"),
        ({"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-0"]}}}, "InvalidParameterException"),
    ],
)
def test_update_service_refuses_as_aws_does(
    fargate: Fargate, refusing: str, change: dict[str, object], code: str
) -> None:
    """An update that AWS refuses is refused with AWS's code, and changes nothing."""
    before = fargate.service(refusing)
    with pytest.raises(ClientError) as refused:
        fargate.ecs.update_service(**{"cluster": CLUSTER, "service": refusing, **change})
    assert code_of(refused) == code
    assert fargate.service(refusing)["deployments"] == before["deployments"]


def test_what_is_not_there_is_a_failure_entry(fargate: Fargate) -> None:
    """Services and tasks that are not there are reported MISSING beside those that are."""
    missing = fargate.ecs.describe_services(cluster=CLUSTER, services=["nobody"])["failures"]
    assert missing[0]["reason"] == "MISSING"
    assert missing[0]["arn"].endswith(f":service/{CLUSTER}/nobody")
    lost = fargate.ecs.describe_tasks(cluster=CLUSTER, tasks=["0" * 32])
    assert (lost["tasks"], lost["failures"][0]["reason"]) == ([], "MISSING")
    with pytest.raises(ClientError, match="The referenced task was not found") as unknown:
        fargate.ecs.stop_task(cluster=CLUSTER, task="0" * 32)
    assert code_of(unknown) == "InvalidParameterException"


def test_an_occupied_name_is_refused(fargate: Fargate) -> None:
    """A second service of the same name is not created."""
    definition = fargate.definition("twice", fargate.image(IDLE))
    fargate.create("twice", definition, 0)
    with pytest.raises(ClientError, match="not idempotent") as refused:
        fargate.create("twice", definition, 0)
    assert code_of(refused) == "InvalidParameterException"


def test_a_subnet_that_goes_stops_new_tasks_only(fargate: Fargate) -> None:
    """Tasks of a service whose subnet was deleted fail to start, with the reason, and other services do not suffer."""
    ec2, world = fargate.served.client("ec2"), fargate.served.world
    vpc = ec2.describe_subnets(SubnetIds=fargate.subnets)["Subnets"][0]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=str(world.subnet(9)))["Subnet"]["SubnetId"]
    definition = fargate.definition("homeless", fargate.image(IDLE))
    fargate.create("homeless", definition, 0)
    fargate.update("homeless", networkConfiguration={"awsvpcConfiguration": {"subnets": [subnet]}})
    ec2.delete_subnet(SubnetId=subnet)
    fargate.update("homeless", desiredCount=1)
    failed = until(lambda: fargate.tasks("homeless", "STOPPED"))[0]
    assert "InvalidSubnetID.NotFound" in failed["stoppedReason"]
    fargate.create("housed", definition)
    fargate.stable("housed")


def test_lists_come_in_pages(fargate: Fargate) -> None:
    """`maxResults` and `nextToken` page through what there is, without loss."""
    definition = fargate.definition("paged", fargate.image(IDLE))
    for number in range(3):
        fargate.create(f"paged-{number}", definition, 0)
    pages = fargate.ecs.get_paginator("list_services").paginate(cluster=CLUSTER, PaginationConfig={"PageSize": 2})
    arns = [arn for page in pages for arn in page["serviceArns"]]
    assert {f"paged-{number}" for number in range(3)} <= {arn.split("/")[-1] for arn in arns}
    assert len(arns) == len(set(arns))


def test_without_container_instances_nothing_is_placed(fargate: Fargate) -> None:
    """The launch type is EC2 unless told otherwise: a service says it cannot place tasks, and RunTask refuses."""
    made = fargate.ecs.register_task_definition(
        family="classic", containerDefinitions=[{"name": "main", "image": fargate.image(IDLE), "memory": 64}]
    )["taskDefinition"]["taskDefinitionArn"]
    fargate.ecs.create_service(cluster=CLUSTER, serviceName="classic", taskDefinition=made, desiredCount=1)
    until(lambda: any("unable to place a task" in message for message in fargate.messages("classic")))
    with pytest.raises(ClientError, match="No Container Instances were found in your cluster") as unplaced:
        fargate.ecs.run_task(cluster=CLUSTER, taskDefinition=made)
    assert code_of(unplaced) == "InvalidParameterException"
    serverless = fargate.definition("serverless", fargate.image(IDLE))
    with pytest.raises(ClientError, match="does not support launch_type EC2"):
        fargate.ecs.run_task(cluster=CLUSTER, taskDefinition=serverless, networkConfiguration=fargate.network)


def _page(host: str) -> bytes | None:
    try:
        with urllib.request.urlopen(f"http://{host}:8000/", timeout=2) as answer:
            return bytes(answer.read())
    except OSError:
        return None
