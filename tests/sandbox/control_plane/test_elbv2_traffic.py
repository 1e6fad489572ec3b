"""What clients get through a load balancer, and how its targets' states come about: real targets, real requests."""

from __future__ import annotations

import signal
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from moto.elbv2.models import elbv2_backends

from tests.sandbox.control_plane.elb_rig import PORT, Rig, eventually, forward, get, opened, running

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with running(tmp_path_factory.mktemp("elb")) as account:
        yield account


def host(*values: str) -> dict[str, Any]:
    return {"Field": "host-header", "HostHeaderConfig": {"Values": list(values)}}


def fixed(status: int, body: str = "") -> dict[str, Any]:
    response = {"StatusCode": str(status), "ContentType": "text/plain", "MessageBody": body}
    return {"Type": "fixed-response", "FixedResponseConfig": response}


def test_a_load_balancer_becomes_active_and_answers_at_its_dns_name(rig: Rig) -> None:
    """The waiter load_balancer_available passes, and the DNS name is an address that answers."""
    arn, address = rig.balancer()
    first = rig.elbv2.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"][0]["State"]["Code"]
    rig.elbv2.get_waiter("load_balancer_available").wait(LoadBalancerArns=[arn], WaiterConfig={"Delay": 1})
    rig.listener(arn, fixed(200, "here"))
    eventually(lambda: opened(address), what="the listener")
    assert first == "provisioning"
    assert get(address).body == "here"


def test_schemes_have_their_subnets(rig: Rig) -> None:
    """An internal load balancer's address is in a private subnet, a public one's in a public one."""
    assert rig.balancer(scheme="internal")[1].startswith("127.203.32.")
    assert rig.balancer()[1].startswith("127.203.0.")


def test_one_pass_makes_a_new_target_healthy(rig: Rig) -> None:
    """A new target is healthy after its first passed check although the threshold is 10; the waiter sees it."""
    group, address = rig.served(HealthyThresholdCount=10, HealthCheckIntervalSeconds=300)
    target = rig.target(group)
    before = rig.states(group)
    rig.elbv2.get_waiter("target_in_service").wait(TargetGroupArn=group, WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    assert before == ["initial"]
    eventually(lambda: get(address).body == f"{target.address}:{PORT}", what="it serves")


def test_registration_and_first_checks_have_reasons(rig: Rig) -> None:
    """A target in its first checks shows why, and gets no traffic: the load balancer answers 503."""
    group, address = rig.served(UnhealthyThresholdCount=10, HealthCheckIntervalSeconds=300)
    target = rig.target(group, status=500)
    registering = rig.health(group)
    checking = eventually(
        lambda: rig.health(group), lambda found: found[0][1] != "Elb.RegistrationInProgress", what="first checks"
    )
    assert registering == [("initial", "Elb.RegistrationInProgress", "Target registration is in progress")]
    assert checking == [("initial", "Elb.InitialHealthChecking", "Initial health checks in progress")]
    assert get(address).status == 503
    assert target.seen == []


def test_thresholds_hold_both_ways(rig: Rig) -> None:
    """A sick target turns unhealthy with the code in its description, gets no traffic, and comes back."""
    group, address = rig.served()
    good, sick = rig.target(group), rig.target(group)
    rig.until(group, "healthy", "healthy")
    sick.status = 503
    eventually(
        lambda: rig.health(group)[1],
        lambda health: (
            health == ("unhealthy", "Target.ResponseCodeMismatch", "Health checks failed with these codes: [503]")
        ),
        what="the sick one is unhealthy",
    )
    eventually(lambda: len({get(address).body for _ in range(4)}) == 1, what="only one serves")
    assert get(address).body == f"{good.address}:{PORT}"
    sick.status = 200
    rig.until(group, "healthy", "healthy")
    eventually(lambda: len({get(address).body for _ in range(4)}) == 2, what="both serve")


def test_the_load_balancer_fails_open(rig: Rig) -> None:
    """When all targets are unhealthy, requests go to all of them, and what they answer is passed on."""
    group, address = rig.served()
    targets = [rig.target(group), rig.target(group)]
    rig.until(group, "healthy", "healthy")
    for target in targets:
        target.status = 500
    rig.until(group, "unhealthy", "unhealthy")
    answers = eventually(
        lambda: [get(address) for _ in range(6)], lambda found: len({a.body for a in found}) == 2, what="both serve"
    )
    assert {answer.status for answer in answers} == {500}
    assert "awselb" not in answers[0].headers.get("server", "")


def test_no_target_is_503(rig: Rig) -> None:
    """Without a registered target the load balancer itself answers 503, as `awselb/2.0`."""
    _, address = rig.served()
    answer = get(address)
    assert answer.status == 503
    assert answer.headers["server"] == "awselb/2.0"
    assert "503 Service Temporarily Unavailable" in answer.body


def test_a_dead_target_is_502_then_unhealthy(rig: Rig) -> None:
    """A target that died refuses connections: 502, and its checks fail with that reason."""
    group, address = rig.served()
    target = rig.target(group)
    rig.until(group, "healthy")
    eventually(lambda: get(address).status == 200, what="it serves")
    target.stop()
    answer = get(address)
    rig.until(group, "unhealthy")
    assert (answer.status, answer.headers["server"]) == (502, "awselb/2.0")
    assert rig.health(group) == [("unhealthy", "Target.FailedHealthChecks", "Health checks failed")]
    assert get(address).status == 502


def test_a_frozen_target_times_out(rig: Rig) -> None:
    """A stopped process takes connections but does not answer: 504 for clients, Target.Timeout for the checks."""
    group, address = rig.served(HealthCheckPath="/")
    process, _ = rig.process(group)
    rig.until(group, "healthy")
    eventually(lambda: get(address).status == 200, what="it serves")
    process.send_signal(signal.SIGSTOP)
    rig.until(group, "unhealthy")
    assert rig.health(group) == [("unhealthy", "Target.Timeout", "Request timed out")]
    assert get(address).status == 504
    process.send_signal(signal.SIGCONT)
    rig.until(group, "healthy")


def test_draining_lets_a_slow_request_finish(rig: Rig) -> None:
    """A deregistered target finishes what it has, gets nothing new, and is gone when the delay is over."""
    group, address = rig.served()
    target = rig.target(group)
    rig.until(group, "healthy")
    eventually(lambda: get(address).status == 200, what="it serves")
    rig.drains(group, seconds=100)
    answers = []
    client = threading.Thread(target=lambda: answers.append(get(address, "/slow")))
    client.start()
    assert target.started.wait(10)
    rig.elbv2.deregister_targets(TargetGroupArn=group, Targets=[target.key])
    draining = rig.health(group)
    eventually(lambda: get(address).status, lambda status: status == 503, what="nothing new")
    target.release.set()
    client.join(10)
    rig.elbv2.get_waiter("target_deregistered").wait(
        TargetGroupArn=group, Targets=[target.key], WaiterConfig={"Delay": 1}
    )
    assert draining == [("draining", "Target.DeregistrationInProgress", "Target deregistration is in progress")]
    assert [answer.status for answer in answers] == [200]
    assert rig.health(group) == []
    gone = ("unused", "Target.NotRegistered", "Target is not registered to the target group")
    assert rig.health(group, target.key) == [gone]


def test_the_delay_holds_without_connections_and_bars_the_address(rig: Rig) -> None:
    """An idle target drains for the whole delay; its address cannot be registered before, and is new after."""
    group, _ = rig.served()
    rig.drains(group, seconds=3000)
    target = rig.target(group)
    rig.until(group, "healthy")
    rig.elbv2.deregister_targets(TargetGroupArn=group, Targets=[target.key])
    with pytest.raises(ClientError, match="InvalidTarget"):
        rig.elbv2.register_targets(TargetGroupArn=group, Targets=[target.key])
    assert rig.states(group) == ["draining"]


def test_a_target_can_come_back(rig: Rig) -> None:
    """After the delay the same address is registered anew and becomes healthy again."""
    group, address = rig.served()
    rig.drains(group, seconds=10)
    target = rig.target(group)
    rig.until(group, "healthy")
    rig.elbv2.deregister_targets(TargetGroupArn=group, Targets=[target.key])
    rig.until(group)
    rig.elbv2.register_targets(TargetGroupArn=group, Targets=[target.key])
    rig.until(group, "healthy")
    eventually(lambda: get(address).status == 200, what="it serves again")


def test_a_delay_that_is_over_cuts_what_is_open(rig: Rig) -> None:
    """A request that outlives the deregistration delay is cut off."""
    group, address = rig.served()
    rig.drains(group, seconds=10)
    target = rig.target(group)
    rig.until(group, "healthy")
    eventually(lambda: get(address).status == 200, what="it serves")
    answers: list[int] = []
    client = threading.Thread(target=lambda: answers.append(get(address, "/slow").status))
    client.start()
    assert target.started.wait(10)
    rig.elbv2.deregister_targets(TargetGroupArn=group, Targets=[target.key])
    client.join(20)
    target.release.set()
    assert answers
    assert answers[0] >= 500


def test_one_address_two_ports(rig: Rig) -> None:
    """The same address on two ports is two targets; one can be sick, or leave, without the other."""
    group, address = rig.served()
    one = rig.target(group)
    other = rig.target(group, address=one.address, port=PORT + 1)
    rig.until(group, "healthy", "healthy")
    other.status = 500
    rig.until(group, "healthy", "unhealthy")
    rig.elbv2.deregister_targets(TargetGroupArn=group, Targets=[other.key])
    rig.until(group, "healthy")
    assert {get(address).body for _ in range(4)} == {f"{one.address}:{PORT}"}


def test_an_unused_group_checks_nothing(rig: Rig) -> None:
    """Targets of a group that no listener uses are unused; a rule puts them to use, its deletion ends that."""
    group = rig.group()
    rig.target(group)
    arn, _ = rig.balancer()
    listener = rig.listener(arn, fixed(404))
    unused = ("unused", "Target.NotInUse", "Target group is not configured to receive traffic from the load balancer")
    assert rig.health(group) == [unused]
    rule = rig.rule(listener, 5, group, host("a.test"))
    rig.until(group, "healthy")
    rig.elbv2.delete_rule(RuleArn=rule)
    rig.until(group, "unused")
    assert rig.health(group) == [unused]


def test_host_and_path_rules_by_priority(rig: Rig) -> None:
    """Rules are weighed by priority, in whatever order they were made; wildcards, ports and case are as on AWS."""
    arn, address = rig.balancer()
    listener = rig.listener(arn, fixed(404, "nobody"))
    group = rig.group()
    rig.rule(listener, 30, fixed(200, "wild"), host("*.wild.test"))
    rig.rule(listener, 20, fixed(200, "tame"), host("tame.wild.test", "tame.test"))
    rig.rule(listener, 25, group, host("real.test"), {"Field": "path-pattern", "Values": ["/app/*"]})
    rig.rule(listener, 40, fixed(200, 'a "quote", a $HOME\\ and %[src]'), {"Field": "path-pattern", "Values": ["/q?"]})
    header = {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-Kind", "Values": ["b*"]}}
    rig.rule(listener, 50, fixed(201, "header"), header)
    target = rig.target(group)
    rig.until(group, "healthy")
    eventually(lambda: get(address, "/app/x", host="real.test").status == 200, what="the rules")
    assert get(address, host="TAME.wild.test").body == "tame"
    assert get(address, host="tame.test:8080").body == "tame"
    assert get(address, host="other.wild.test").body == "wild"
    assert get(address, "/app/x", host="real.test").body == f"{target.address}:{PORT}"
    assert get(address, "/else", host="real.test").status == 404
    assert get(address, "/q1").body == 'a "quote", a $HOME\\ and %[src]'
    assert get(address, "/q12").status == 404
    assert get(address, X_Kind="beta").status == 201


def test_redirects_and_weights(rig: Rig) -> None:
    """A redirect keeps what it names of the request; weighted groups share requests, a weight of 0 gets none."""
    arn, address = rig.balancer()
    listener = rig.listener(arn, fixed(404))
    groups = [rig.group() for _ in range(3)]
    targets = [rig.target(group) for group in groups]
    weighted = [{"TargetGroupArn": group, "Weight": weight} for group, weight in zip(groups, (1, 1, 0), strict=True)]
    rig.rule(listener, 1, {"Type": "forward", "ForwardConfig": {"TargetGroups": weighted}}, host("w.test"))
    config = {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}
    rig.rule(listener, 2, {"Type": "redirect", "RedirectConfig": config}, host("r.test"))
    for group in groups:
        rig.until(group, "healthy")
    eventually(
        lambda: {get(address, host="w.test").body for _ in range(20)},
        lambda bodies: bodies == {f"{target.address}:{PORT}" for target in targets[:2]},
        what="both groups share",
    )
    answer = get(address, "/a/b?c=d%20e", host="r.test")
    assert answer.status == 301
    assert answer.headers["location"] == "https://r.test:443/a/b?c=d%20e"


def test_targets_see_where_a_request_came_from(rig: Rig) -> None:
    """X-Forwarded-For is appended to, X-Forwarded-Proto and -Port are set, the Host header stays."""
    group, address = rig.served()
    target = rig.target(group)
    rig.until(group, "healthy")
    eventually(lambda: get(address, host="api.test", X_Forwarded_For="9.9.9.9").status == 200, what="it serves")
    seen = target.seen[-1]
    assert seen["x-forwarded-for"] == "9.9.9.9, 127.0.0.1"
    assert (seen["x-forwarded-proto"], seen["x-forwarded-port"], seen["host"]) == ("http", "8080", "api.test")


def test_a_websocket_passes(rig: Rig) -> None:
    """An upgraded connection carries bytes both ways."""
    group, address = rig.served()
    rig.target(group)
    rig.until(group, "healthy")
    eventually(lambda: get(address).status == 200, what="it serves")
    with socket.create_connection((address, 8080), timeout=10) as connection:
        connection.sendall(b"GET /app HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n")
        connection.sendall(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(1000)
        connection.sendall(b"ping")
        rest = head.partition(b"\r\n\r\n")[2] + connection.recv(100)
    assert head.split()[1] == b"101"
    assert rest == b"PING"


def test_no_request_is_lost_while_targets_and_rules_change(rig: Rig) -> None:
    """Under steady load targets join and leave and rules come and go: every request is answered 200."""
    arn, address = rig.balancer()
    group = rig.group()
    listener = rig.listener(arn, group)
    first = rig.target(group)
    rig.until(group, "healthy")
    eventually(lambda: get(address).status == 200, what="it serves")
    statuses, stop = [], threading.Event()

    def ask() -> None:
        while not stop.is_set():
            statuses.append(get(address).status)

    clients = [threading.Thread(target=ask) for _ in range(2)]
    for client in clients:
        client.start()
    second = rig.target(group)
    rig.until(group, "healthy", "healthy")
    eventually(lambda: second.seen, what="the second one serves")
    rule = rig.rule(listener, 1, fixed(404), host("new.test"))
    eventually(lambda: get(address, host="new.test").status == 404, what="the new rule")
    rig.elbv2.deregister_targets(TargetGroupArn=group, Targets=[first.key])
    rig.until(group, "healthy")
    rig.elbv2.delete_rule(RuleArn=rule)
    eventually(lambda: get(address, host="new.test").status == 200, what="the rule is gone")
    stop.set()
    for client in clients:
        client.join(10)
    assert set(statuses) == {200}


def test_the_group_s_settings_can_be_changed(rig: Rig) -> None:
    """modify_target_group's path, matcher and port are what is checked from then on; the answer has all attributes."""
    group, _ = rig.served()
    target = rig.target(group, status=202)
    rig.until(group, "unhealthy")
    rig.elbv2.modify_target_group(TargetGroupArn=group, Matcher={"HttpCode": "200-201,202"})
    rig.until(group, "healthy")
    other = rig.target(address=target.address, port=PORT + 5, status=404)
    rig.elbv2.modify_target_group(TargetGroupArn=group, HealthCheckPort=str(other.port))
    rig.until(group, "unhealthy")
    described = rig.elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"][0]
    assert described["HealthCheckPort"] == str(other.port)
    answer = rig.elbv2.modify_target_group_attributes(
        TargetGroupArn=group, Attributes=[{"Key": "slow_start.duration_seconds", "Value": "30"}]
    )
    attributes = {each["Key"]: each["Value"] for each in answer["Attributes"]}
    assert attributes["slow_start.duration_seconds"] == "30"
    assert attributes["deregistration_delay.timeout_seconds"] == "50"


def test_a_group_has_one_load_balancer(rig: Rig) -> None:
    """As on AWS, a target group cannot stand behind two load balancers."""
    group, _ = rig.served()
    other, _ = rig.balancer()
    with pytest.raises(ClientError, match="TargetGroupAssociationLimit"):
        rig.listener(other, group)


def test_an_unknown_target_deregisters_silently(rig: Rig) -> None:
    """Deregistering what is not registered succeeds, as the API says."""
    group = rig.group()
    rig.elbv2.deregister_targets(TargetGroupArn=group, Targets=[{"Id": "127.203.40.1"}])
    assert rig.states(group, {"Id": "127.203.40.1"}) == ["unused"]


def test_other_services_register_in_process(rig: Rig) -> None:
    """moto's own way of calling, in lower case, is the same as the API's."""
    backend = elbv2_backends[rig.world.account][rig.world.region]
    group, _ = rig.served()
    target = rig.target()
    backend.register_targets(group, [{"id": target.address, "port": target.port}])
    rig.until(group, "healthy")
    status = backend.describe_target_health(group, [{"id": target.address, "port": target.port}])[0]
    assert (status.instance_id, int(status.port), status.status) == (target.address, PORT, "healthy")
    assert status.reason is None
    backend.deregister_targets(group, [{"id": target.address, "port": target.port}])
    assert rig.states(group) == ["draining"]


def test_a_deleted_load_balancer_stops_listening(rig: Rig) -> None:
    """After its deletion nobody listens at the address, and its targets are unused."""
    arn, address = rig.balancer()
    group = rig.group()
    rig.listener(arn, forward(group))
    rig.target(group)
    rig.until(group, "healthy")
    rig.elbv2.delete_load_balancer(LoadBalancerArn=arn)
    rig.until(group, "unused")
    eventually(lambda: not opened(address), what="nobody listens")
