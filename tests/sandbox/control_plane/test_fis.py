"""An experiment that cuts a Region off: nothing there answers while it runs, and all goes on as it was when it ends."""

from __future__ import annotations

import json
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pymysql
import pytest
import redis
from botocore.exceptions import ClientError

from pytest_envdr.sandbox.control_plane import ecs, elasticache, elbv2, fis, logs, rds, s3
from pytest_envdr.sandbox.control_plane.fis import action
from pytest_envdr.waiting import wait_until
from tests.sandbox.control_plane.balanced import SPEED, Balanced
from tests.sandbox.control_plane.fargate import Fargate, until
from tests.sandbox.control_plane.rds_rig import PASSWORD, Rig
from tests.sandbox.control_plane.served import ACCOUNT, Served, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE, THERE = "eu-west-1", "eu-central-1"
DISRUPT = "aws:network:route-table-disrupt-cross-region-connectivity"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/experimenter"
TRUST = {"Version": "2012-10-17", "Statement": []}


@dataclass
class Lab:
    """The Region that experiments are made in, and what they need."""

    served: Served
    subnet: str

    def __post_init__(self) -> None:
        self.fis = self.served.client("fis")

    def template(
        self,
        duration: str = "PT10M",
        *,
        does: str = DISRUPT,
        subnet: str | None = None,
        role: str = ROLE,
        region: str = HERE,
    ) -> str:
        """A new template's id."""
        arn = f"arn:aws:ec2:{THERE}:{ACCOUNT}:subnet/{subnet or self.subnet}"
        target = {"resourceType": "aws:ec2:subnet", "resourceArns": [arn], "selectionMode": "ALL"}
        parameters = {"duration": duration, "region": region}
        cut = {"actionId": does, "parameters": parameters, "targets": {"Subnets": "subnets"}}
        made = self.fis.create_experiment_template(
            description="no dependency",
            roleArn=role,
            stopConditions=[{"source": "none"}],
            targets={"subnets": target},
            actions={"cut": cut},
        )
        return str(made["experimentTemplate"]["id"])

    def start(self, template: str, **more: Any) -> str:
        """A new experiment's id."""
        return str(self.fis.start_experiment(experimentTemplateId=template, **more)["experiment"]["id"])

    def state(self, experiment: str) -> dict[str, str]:
        return dict(self.fis.get_experiment(id=experiment)["experiment"]["state"])

    def await_state(self, experiment: str, status: str) -> str:
        """Wait for a state; its reason."""
        seen = wait_until(
            lambda: self.state(experiment), lambda state: state["status"] == status, what=status, deadline=30
        )
        return seen["reason"]

    @contextmanager
    def cut_off(self) -> Iterator[str]:
        """The other Region cut off; the experiment's id."""
        experiment = self.start(self.template())
        self.await_state(experiment, "running")
        try:
            yield experiment
        finally:
            self.fis.stop_experiment(id=experiment)
            self.await_state(experiment, "stopped")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The Region that is cut off, with the other one beside it."""
    directory = tmp_path_factory.mktemp("fis")
    modules = {"rds": rds, "elasticache": elasticache, "elbv2": elbv2, "ecs": ecs, "logs": logs, "s3": s3, "fis": fis}
    with serving(
        directory, modules, region=HERE, network="127.22.0.0/16", speed=SPEED, beside=(THERE, "127.23.0.0/16")
    ) as served:
        assert served.beside is not None
        served.world.cache = served.beside.world.cache = directory / "cache"
        served.client("iam").create_role(RoleName="experimenter", AssumeRolePolicyDocument=json.dumps(TRUST))
        yield served


@pytest.fixture(scope="module")
def lab(served: Served) -> Lab:
    assert served.beside is not None
    ec2 = served.beside.client("ec2")
    vpc = ec2.create_vpc(CidrBlock=str(served.beside.world.network))["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=str(served.beside.world.subnet(2)))["Subnet"]["SubnetId"]
    return Lab(served.beside, subnet)


@dataclass
class Parts:
    """What stands in the Region that is cut off, and how each of it is asked."""

    balanced: Balanced
    databases: Rig
    cache: str

    def probes(self) -> dict[str, Callable[[], object]]:
        return {
            "load balancer": lambda: urllib.request.urlopen(self.balanced.url, timeout=0.5).status,  # noqa: S310
            "task": lambda: urllib.request.urlopen(f"http://{self._task}:8000", timeout=0.5).status,
            "database": self.ask_database,
            "cache": lambda: redis.Redis(self.cache, socket_timeout=0.5).ping(),
        }

    def __post_init__(self) -> None:
        [task] = self.balanced.fargate.tasks("cut")
        self._task = str(task["containers"][0]["networkInterfaces"][0]["privateIpv4Address"])
        self._database = self.databases.row("cut")["Endpoint"]["Address"]

    def ask_database(self) -> object:
        with pymysql.connect(
            host=self._database, user="owner", password=PASSWORD, connect_timeout=1, read_timeout=1, ssl_disabled=True
        ) as connection:
            return connection.cursor().execute("SELECT 1")

    def answering(self) -> set[str]:
        """Those that answer within a second."""
        found = set()
        for name, probe in self.probes().items():
            try:
                probe()
            except (OSError, pymysql.MySQLError, redis.RedisError):
                continue
            found.add(name)
        return found


@pytest.fixture(scope="module")
def parts(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Parts:
    fargate, databases = Fargate(served, tmp_path_factory.mktemp("images")), Rig(served)
    balanced = Balanced(fargate, "cut", desired=1)
    client = served.client("elasticache")
    client.create_cache_cluster(CacheClusterId="cut", Engine="redis", CacheNodeType="cache.t4g.small", NumCacheNodes=1)
    databases.create("cut")
    client.get_waiter("cache_cluster_available").wait(CacheClusterId="cut", WaiterConfig={"Delay": 0.1})
    until(balanced.complete)
    [row] = client.describe_cache_clusters(ShowCacheNodeInfo=True)["CacheClusters"]
    return Parts(balanced, databases, row["CacheNodes"][0]["Endpoint"]["Address"])


def test_a_region_that_is_cut_off_does_not_answer(served: Served, lab: Lab, parts: Parts) -> None:
    """Its API is unavailable, its parts do not answer; afterwards they do, and none of them was restarted."""
    served.client("s3").create_bucket(Bucket="cut", CreateBucketConfiguration={"LocationConstraint": HERE})
    there = lab.served.client("s3")
    there.put_object(Bucket="cut", Key="k", Body=b"x")
    tasks = [task["taskArn"] for task in parts.balanced.fargate.tasks("cut")]
    assert parts.answering() == set(parts.probes())
    with lab.cut_off():
        for call in (served.client("ecs").list_clusters, served.client("fis").list_experiments):
            with pytest.raises(ClientError, match="eu-west-1 cannot be reached"):
                call()
        with pytest.raises(ClientError, match="ServiceUnavailable"):
            there.get_object(Bucket="cut", Key="k")
        assert parts.answering() == set()
        assert lab.served.client("ecs").list_clusters()["clusterArns"] == []
        assert served.client("iam").get_role(RoleName="experimenter")["Role"]["Arn"] == ROLE
    assert parts.answering() == set(parts.probes())
    assert there.get_object(Bucket="cut", Key="k")["Body"].read() == b"x"
    until(lambda: parts.databases.row("cut")["DBInstanceStatus"] == "available" and parts.balanced.healthy())
    assert not [text for text in parts.databases.messages("cut") if "Recovery" in text]
    assert [task["taskArn"] for task in parts.balanced.fargate.tasks("cut")] == tasks
    cache = served.client("elasticache").describe_events(SourceIdentifier="cut", SourceType="cache-cluster")["Events"]
    assert not [event for event in cache if "recover" in event["Message"].lower()]


def test_an_experiment_ends_by_itself(served: Served, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its duration it is completed, with its action, and the Region answers; stopping it then changes nothing."""
    monkeypatch.setattr(action, "SHORTEST", 1)
    experiment = lab.start(lab.template("PT1S"))
    lab.await_state(experiment, "running")
    lab.await_state(experiment, "completed")
    served.client("ecs").list_clusters()
    lab.fis.stop_experiment(id=experiment)
    shown = lab.fis.get_experiment(id=experiment)["experiment"]
    assert shown["state"]["status"] == shown["actions"]["cut"]["state"]["status"] == "completed"
    assert shown["endTime"] > shown["startTime"]


def test_two_experiments_are_both_to_end(served: Served, lab: Lab) -> None:
    """A Region that two experiments cut off answers only when both have ended."""
    with lab.cut_off():
        with lab.cut_off():
            pass
        with pytest.raises(ClientError, match="ServiceUnavailable"):
            served.client("ecs").list_clusters()
    served.client("ecs").list_clusters()


def test_an_experiment_without_role_or_subnets_fails(served: Served, lab: Lab) -> None:
    """It does nothing, and says why; with its actions skipped it does nothing either."""
    failing = lab.start(lab.template(role=f"arn:aws:iam::{ACCOUNT}:role/none"))
    assert lab.await_state(failing, "failed").startswith("Unable to assume role")
    failing = lab.start(lab.template(subnet="subnet-00000000"))
    assert lab.await_state(failing, "failed") == "Target resolution returned empty set."
    lab.await_state(lab.start(lab.template(), experimentOptions={"actionsMode": "skip-all"}), "completed")
    served.client("ecs").list_clusters()


def test_what_fis_does_not_take_is_refused(lab: Lab) -> None:
    """A duration out of range is invalid; another action, and a Region that is not acted out, are not implemented."""
    for duration in ("PT30S", "PT13H", "ten minutes"):
        with pytest.raises(ClientError, match="ValidationException"):
            lab.template(duration)
    for template in (lab.template(does="aws:ecs:stop-task"), lab.template(region="us-east-1")):
        with pytest.raises(ClientError, match="NotImplementedInSandbox"):
            lab.start(template)
    assert [row["id"] for row in lab.fis.list_actions()["actions"]] == [DISRUPT]
    assert lab.fis.get_action(id=DISRUPT)["action"]["targets"]["Subnets"]["resourceType"] == "aws:ec2:subnet"
