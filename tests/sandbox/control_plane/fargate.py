"""A cluster on a served ECS, small programs as images, and waits through botocore's own waiters."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_envdr.waiting import pause

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.sandbox.control_plane.served import Served

CLUSTER = "shop"
WEB = "exec python3 -u -m http.server --bind $TASK_IP 8000\n"
IDLE = "trap 'exit 0' TERM\nsleep 1000 & wait\n"
"""Ends on SIGTERM with exit code 0."""
STUBBORN = "trap '' TERM\nsleep 1000\n"


@dataclass
class Fargate:
    """A cluster in a VPC that is the world's network."""

    served: Served
    directory: Path
    subnets: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ecs = self.served.client("ecs")
        self._numbers = itertools.count()
        ec2 = self.served.client("ec2")
        vpc = ec2.create_vpc(CidrBlock=str(self.served.world.network))["Vpc"]["VpcId"]
        for number in (2, 3):
            made = ec2.create_subnet(VpcId=vpc, CidrBlock=str(self.served.world.subnet(number)))
            self.subnets.append(made["Subnet"]["SubnetId"])
        self.ecs.create_cluster(clusterName=CLUSTER)

    def image(self, script: str) -> str:
        """Publish an image whose `main.sh` is `script`; its reference."""
        reference = f"registry/program:{next(self._numbers)}"
        root = self.directory / reference.replace("/", "_")
        root.mkdir()
        (root / "main.sh").write_text(script)
        self.served.world.images.publish(reference, root)
        return reference

    def definition(self, family: str, image: str, **container: Any) -> str:
        """Register a task definition with one container; its ARN."""
        main: dict[str, Any] = {
            "name": "main",
            "image": image,
            "command": ["sh", "main.sh"],
            "portMappings": [{"containerPort": 8000}],
            "stopTimeout": 2,
            **container,
        }
        made = self.ecs.register_task_definition(
            family=family,
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu="256",
            memory="512",
            containerDefinitions=[main],
        )
        return str(made["taskDefinition"]["taskDefinitionArn"])

    @property
    def network(self) -> dict[str, Any]:
        return {"awsvpcConfiguration": {"subnets": self.subnets}}

    def create(self, name: str, definition: str, desired: int = 1, **more: Any) -> dict[str, Any]:
        """Create a service."""
        made: dict[str, Any] = self.ecs.create_service(
            cluster=CLUSTER,
            serviceName=name,
            taskDefinition=definition,
            desiredCount=desired,
            launchType="FARGATE",
            networkConfiguration=self.network,
            **more,
        )["service"]
        return made

    def update(self, name: str, **change: Any) -> dict[str, Any]:
        """Update a service."""
        changed: dict[str, Any] = self.ecs.update_service(cluster=CLUSTER, service=name, **change)["service"]
        return changed

    def run(self, definition: str, **more: Any) -> str:
        """Run one task; its ARN."""
        answer = self.ecs.run_task(
            cluster=CLUSTER,
            taskDefinition=definition,
            launchType="FARGATE",
            networkConfiguration=self.network,
            **more,
        )
        return str(answer["tasks"][0]["taskArn"])

    def service(self, name: str) -> dict[str, Any]:
        """A service as DescribeServices has it."""
        found: dict[str, Any] = self.ecs.describe_services(cluster=CLUSTER, services=[name])["services"][0]
        return found

    def tasks(self, name: str, status: str = "RUNNING") -> list[dict[str, Any]]:
        """A service's tasks with that desired status."""
        arns = self.ecs.list_tasks(cluster=CLUSTER, serviceName=name, desiredStatus=status)["taskArns"]
        if not arns:
            return []
        found: list[dict[str, Any]] = self.ecs.describe_tasks(cluster=CLUSTER, tasks=arns)["tasks"]
        return found

    def task(self, arn: str) -> dict[str, Any]:
        """One task."""
        found: dict[str, Any] = self.ecs.describe_tasks(cluster=CLUSTER, tasks=[arn])["tasks"][0]
        return found

    def stable(self, *names: str) -> None:
        """Wait as botocore does."""
        self._wait("services_stable", services=list(names))

    def stopped(self, arn: str) -> dict[str, Any]:
        """A task, once it is STOPPED."""
        self._wait("tasks_stopped", tasks=[arn])
        return self.task(arn)

    def running(self, arn: str) -> dict[str, Any]:
        """A task, once it is RUNNING."""
        self._wait("tasks_running", tasks=[arn])
        return self.task(arn)

    def inactive(self, name: str) -> None:
        """Wait until a deleted service is gone."""
        self._wait("services_inactive", services=[name])

    def messages(self, name: str) -> list[str]:
        """A service's events, oldest first."""
        return [event["message"] for event in reversed(self.service(name)["events"])]

    def history(self, name: str) -> list[dict[str, Any]]:
        """A service's deployments in full, newest first."""
        rows = self.ecs.list_service_deployments(cluster=CLUSTER, service=name)["serviceDeployments"]
        arns = [row["serviceDeploymentArn"] for row in rows]
        found = self.ecs.describe_service_deployments(serviceDeploymentArns=arns)["serviceDeployments"]
        return [next(row for row in found if row["serviceDeploymentArn"] == arn) for arn in arns]

    def ended(self, name: str, *statuses: str) -> dict[str, Any]:
        """A service's newest deployment, once it has one of these states."""
        return dict(until(lambda: next((one for one in self.history(name)[:1] if one["status"] in statuses), None)))

    def completed(self, name: str) -> dict[str, Any]:
        """A service's one deployment as DescribeServices has it, once its rollout is complete."""
        self.ended(name, "SUCCESSFUL", "ROLLBACK_SUCCESSFUL")
        rows = until(lambda: [r for r in self.service(name)["deployments"] if r["rolloutState"] == "COMPLETED"])
        return dict(rows[0])

    def _wait(self, waiter: str, **what: Any) -> None:
        self.ecs.get_waiter(waiter).wait(cluster=CLUSTER, **what, WaiterConfig={"Delay": 0.05, "MaxAttempts": 600})


def until(true: Callable[[], Any], *, seconds: float = 60) -> Any:
    """What `true` gives once it gives something; a failure after `seconds`."""
    end = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < end, "it did not come true"
        pause(0.03)
    return value


def address(task: dict[str, Any]) -> str:
    """A task's own address."""
    return str(task["containers"][0]["networkInterfaces"][0]["privateIpv4Address"])


def pid(task: dict[str, Any]) -> int:
    """The process behind a task, found as anybody would: by its environment."""
    wanted = f"TASK_IP={address(task)}".encode()
    output = subprocess.run(["pgrep", "-f", "main.sh|http.server"], capture_output=True, text=True, check=False).stdout
    for number in map(int, output.split()):
        try:
            with open(f"/proc/{number}/environ", "rb") as environment:  # noqa: PTH123 (a file of the kernel)
                if wanted in environment.read().split(b"\0"):
                    return number
        except OSError:
            continue
    raise LookupError(address(task))


def kill(task: dict[str, Any], number: signal.Signals = signal.SIGKILL) -> None:
    """Signal all processes of a task."""
    os.killpg(pid(task), number)
