"""AWS/ApplicationELB comes from what the load balancer really did."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.sandbox.control_plane.elbv2.metrics import of_requests
from pytest_envdr.sandbox.control_plane.elbv2.traffic import Request, parsed
from tests.sandbox.control_plane.elb_rig import Rig, eventually, get, running

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMESPACE = "AWS/ApplicationELB"


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with running(tmp_path_factory.mktemp("elb"), network="127.218.0.0/16") as account:
        yield account


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        ("R g.1 127.0.0.1:80 200 12\n", Request("g.1", chosen=True, status=200, seconds=0.012)),
        ("R g.1 127.0.0.1:80 503 1", Request("g.1", chosen=True, status=503, seconds=0.001)),
        ("R g.1 127.0.0.1:80 503 -1", Request("g.1", chosen=True, status=502, seconds=None)),
        ("R g.1 127.0.0.1:80 504 -1", Request("g.1", chosen=True, status=504, seconds=None)),
        ("R g.1 <NOSRV> 503 -1", Request("g.1", chosen=False, status=503, seconds=None)),
        ("R l-8080 <NOSRV> 404 -1", Request(None, chosen=False, status=404, seconds=None)),
        ("Server g.1/127.0.0.1:80 is UP/READY (leaving forced maintenance).", None),
        ("Server g.1/127.0.0.1:80 is DOWN", None),
    ],
)
def test_log_lines_are_understood(line: str, request_: Request | None) -> None:
    """A line of HAProxy's log is the request that a client made, with the status that the client got."""
    assert parsed(line) == request_


def test_who_made_an_error_decides_where_it_counts() -> None:
    """The load balancer's own codes and the targets' are counted apart, and only for whom AWS documents them."""
    requests = [
        Request("g", chosen=True, status=503, seconds=0.5),
        Request("g", chosen=True, status=502, seconds=None),
        Request("g", chosen=False, status=503, seconds=None),
        Request(None, chosen=False, status=503, seconds=None),
    ]
    data = of_requests("app/x/1", {"g": "targetgroup/g/2"}, requests, datetime.now(UTC))
    sums = {(each["MetricName"], len(each["Dimensions"])): each["StatisticValues"]["Sum"] for each in data}
    assert sums == {
        ("RequestCount", 1): 2,
        ("RequestCount", 2): 2,
        ("HTTPCode_Target_5XX_Count", 1): 1,
        ("HTTPCode_Target_5XX_Count", 2): 1,
        ("TargetResponseTime", 1): 0.5,
        ("TargetResponseTime", 2): 0.5,
        ("HTTPCode_ELB_5XX_Count", 1): 2,
        ("HTTPCode_ELB_502_Count", 1): 1,
        ("HTTPCode_ELB_503_Count", 1): 1,
    }


def test_requests_are_counted_with_the_dimensions_of_aws(rig: Rig) -> None:
    """N requests are N in RequestCount and HTTPCode_Target_2XX_Count, by load balancer and by target group."""
    group, address = rig.served()
    balancer = balancer_of(rig, group)
    target = rig.target(group)
    rig.until(group, "healthy")
    eventually(lambda: get(address).status == 200, what="it serves")
    eventually(lambda: value(rig, "RequestCount", balancer) == len(target.seen), what="the first ones are counted")
    for _ in range(7):
        get(address)
    expected = len(target.seen)
    for arns in ((balancer,), (balancer, group)):
        for metric in ("RequestCount", "HTTPCode_Target_2XX_Count"):
            read = partial(value, rig, metric, *arns)
            eventually(read, lambda found: found == expected, what=f"{metric} is {expected}")
    seconds = value(rig, "TargetResponseTime", balancer, group, statistic="Average")
    assert seconds is not None
    assert 0 <= seconds < 5
    assert value(rig, "HTTPCode_Target_5XX_Count", balancer) is None


def test_own_errors_count_for_the_load_balancer(rig: Rig) -> None:
    """503s without a target and 502s of a dead one are HTTPCode_ELB_*; a 503 does not count as a request served."""
    group, address = rig.served(UnhealthyThresholdCount=10, HealthCheckIntervalSeconds=300)
    balancer = balancer_of(rig, group)
    eventually(lambda: value(rig, "HTTPCode_ELB_503_Count", balancer), what="503s of the start-up")
    before = value(rig, "HTTPCode_ELB_5XX_Count", balancer) or 0
    for _ in range(3):
        assert get(address).status == 503
    eventually(lambda: value(rig, "HTTPCode_ELB_5XX_Count", balancer) == before + 3, what="the 503s")
    assert value(rig, "RequestCount", balancer) is None
    target = rig.target(group)
    rig.until(group, "healthy")
    eventually(lambda: get(address).status == 200, what="it serves")
    target.stop()
    assert get(address).status == 502
    eventually(lambda: value(rig, "HTTPCode_ELB_502_Count", balancer) == 1, what="the 502")
    assert value(rig, "HTTPCode_ELB_502_Count", balancer, group) is None


def test_without_requests_nothing_is_reported_of_them(rig: Rig) -> None:
    """Without a request there is no datum of requests, not even a zero, while the hosts are counted on."""
    arn, _ = rig.balancer()
    group = rig.group()
    rig.listener(arn, group)
    rig.target(group)
    rig.until(group, "healthy")
    eventually(lambda: samples(rig, "HealthyHostCount", arn, group) >= 5, what="five reports")
    names = {each["MetricName"] for each in listed(rig, arn)}
    assert names == {"HealthyHostCount", "UnHealthyHostCount"}


def test_hosts_are_counted_while_some_are_registered(rig: Rig) -> None:
    """Host counts follow the states, and vanish with the last registered target instead of falling to 0."""
    arn, _ = rig.balancer()
    group = rig.group()
    rig.listener(arn, group)
    good, bad = rig.target(group), rig.target(group, status=500)
    rig.until(group, "healthy", "unhealthy")
    eventually(lambda: value(rig, "UnHealthyHostCount", arn, group, statistic="Maximum") == 1, what="one unhealthy")
    assert value(rig, "HealthyHostCount", arn, group, statistic="Maximum") == 1
    rig.elbv2.deregister_targets(TargetGroupArn=group, Targets=[good.key, bad.key])
    rig.until(group)
    before = samples(rig, "HealthyHostCount", arn, group)
    other = rig.served()[0]
    rig.target(other)
    rig.until(other, "healthy")
    eventually(lambda: samples(rig, "HealthyHostCount", balancer_of(rig, other), other) >= 5, what="time passes")
    assert samples(rig, "HealthyHostCount", arn, group) == before


def balancer_of(rig: Rig, group: str) -> str:
    """The ARN of the load balancer that uses a target group."""
    return str(rig.elbv2.describe_target_groups(TargetGroupArns=[group])["TargetGroups"][0]["LoadBalancerArns"][0])


def dimensions(arns: tuple[str, ...]) -> list[dict[str, str]]:
    """As a user of the AWS console would copy them from the ARNs."""
    names = {"loadbalancer": "LoadBalancer", "targetgroup": "TargetGroup"}
    return [
        {"Name": names[kind], "Value": arn.split(f":{kind}/")[1] if kind == "loadbalancer" else arn.split(":")[-1]}
        for arn in arns
        for kind in names
        if f":{kind}/" in arn
    ]


def statistics(rig: Rig, metric: str, arns: tuple[str, ...], statistic: str) -> list[dict[str, Any]]:
    """Data points of exactly these dimensions, over an hour."""
    now = datetime.now(UTC)
    answer = rig.cloudwatch.get_metric_statistics(
        Namespace=NAMESPACE,
        MetricName=metric,
        Dimensions=dimensions(arns),
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(hours=1),
        Period=86400,
        Statistics=[statistic],
    )
    points: list[dict[str, Any]] = answer["Datapoints"]
    return points


def value(rig: Rig, metric: str, *arns: str, statistic: str = "Sum") -> float | None:
    """A statistic over all of the time; None where there is no datum."""
    points = statistics(rig, metric, arns, statistic)
    return points[0][statistic] if points else None


def samples(rig: Rig, metric: str, *arns: str) -> float:
    """How often a metric was reported."""
    return value(rig, metric, *arns, statistic="SampleCount") or 0


def listed(rig: Rig, balancer: str) -> list[dict[str, Any]]:
    """The metrics that there are of a load balancer."""
    found: list[dict[str, Any]] = rig.cloudwatch.list_metrics(Namespace=NAMESPACE, Dimensions=dimensions((balancer,)))[
        "Metrics"
    ]
    return found
