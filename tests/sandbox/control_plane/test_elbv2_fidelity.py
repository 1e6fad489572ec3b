"""That what is called `acted` stands on a real part: freeze it, and the answer changes."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from botocore.loaders import Loader

from pytest_envdr.sandbox.control_plane import elbv2
from pytest_envdr.sandbox.fidelity import ACTED
from tests.sandbox.control_plane.elb_rig import Rig, eventually, get, running

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with running(tmp_path_factory.mktemp("elb"), network="127.217.0.0/16") as account:
        yield account


def code(rig: Rig, arn: str) -> str:
    """The state of a load balancer."""
    balancer = rig.elbv2.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"][0]
    return str(balancer["State"]["Code"])


def pid_of(rig: Rig, arn: str) -> int:
    """HAProxy's process."""
    pid: int = eventually(lambda: rig.controller.nodes[arn].pid, what="HAProxy runs")
    return pid


def test_a_frozen_load_balancer_is_not_active(rig: Rig) -> None:
    """A HAProxy that hangs makes its load balancer `failed`; when it goes on, it is active again."""
    arn, _ = rig.balancer()
    eventually(lambda: code(rig, arn) == "active", what="active")
    pid = pid_of(rig, arn)
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: code(rig, arn) == "failed", what="failed")
    os.kill(pid, signal.SIGCONT)
    eventually(lambda: code(rig, arn) == "active", what="active again")
    assert pid_of(rig, arn) == pid


def test_a_dead_load_balancer_is_replaced(rig: Rig) -> None:
    """A HAProxy that is killed is started anew, with its targets, and serves again."""
    group, address = rig.served()
    arn = rig.elbv2.describe_target_groups(TargetGroupArns=[group])["TargetGroups"][0]["LoadBalancerArns"][0]
    rig.target(group)
    rig.until(group, "healthy")
    eventually(lambda: get(address).status == 200, what="it serves")
    pid = pid_of(rig, arn)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: rig.controller.nodes[arn].pid not in (None, pid), what="another process")
    eventually(lambda: get(address).status == 200, what="it serves again")
    eventually(lambda: code(rig, arn) == "active", what="active")


def test_a_port_that_is_taken_impairs_the_load_balancer(rig: Rig) -> None:
    """A listener whose port somebody else has makes the load balancer impaired, until the port is free."""
    arn, address = rig.balancer()
    eventually(lambda: code(rig, arn) == "active", what="active")
    intruder = rig.target(address=address, port=8080)
    rig.listener(
        arn, {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "204", "ContentType": "text/plain"}}
    )
    eventually(lambda: code(rig, arn) == "active_impaired", what="impaired")
    intruder.stop()
    eventually(lambda: code(rig, arn) == "active", what="active again")
    assert get(address).status == 204


def test_fidelity_names_operations() -> None:
    """The table names operations of the API, and only reads of real parts are acted."""
    operations = Loader().load_service_model("elbv2", "service-2")["operations"]
    assert set(elbv2.FIDELITY) <= set(operations)
    acted = {name for name, fidelity in elbv2.FIDELITY.items() if fidelity is ACTED}
    assert acted == {"DescribeLoadBalancers", "DescribeTargetHealth"}


def test_closing_leaves_nothing(tmp_path: Path) -> None:
    """When the sandbox closes, HAProxy is gone and its port free; closing twice is harmless."""
    with running(tmp_path, region="eu-west-3", network="127.204.0.0/16") as account:
        group, address = account.served()
        arn = account.elbv2.describe_target_groups(TargetGroupArns=[group])["TargetGroups"][0]["LoadBalancerArns"][0]
        pid = pid_of(account, arn)
    account.controller.close()
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(OSError, match="refused"):
        get(address)
