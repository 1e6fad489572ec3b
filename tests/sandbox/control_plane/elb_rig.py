"""A small account with load balancers: moto served on loopback, the control loop, and targets that can be spoilt."""

from __future__ import annotations

import base64
import hashlib
import http.client
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Network
from itertools import count
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from moto.backends import get_backend
from moto.core.base_backend import BackendDict
from moto.elbv2.models import ELBv2Backend, elbv2_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from pytest_envdr.sandbox.api import QuietHandler
from pytest_envdr.sandbox.control_loop import ControlLoop
from pytest_envdr.sandbox.control_plane import cloudwatch, elbv2
from pytest_envdr.sandbox.world import World
from pytest_envdr.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytest_envdr.sandbox.control_plane.elbv2.controller import Controller

ACCOUNT, REGION = "123456789012", "eu-west-2"
"""A Region of its own: moto's backends are one set a process."""
SPEED = 50.0
PORT = 8000
LISTENER = 8080

_hosts = count(300)
_names = count(1)


@dataclass
class Target:
    """A real HTTP server at an address of its own.

    Attributes:
        status: what it answers.
        hang: it takes requests and does not answer them.
        release: lets `/slow` end.
        seen: headers of the requests, but for health checks.
    """

    address: str
    port: int
    status: int = 200
    hang: bool = False
    release: threading.Event = field(default_factory=threading.Event)
    started: threading.Event = field(default_factory=threading.Event)
    seen: list[dict[str, str]] = field(default_factory=list)
    server: ThreadingHTTPServer | None = None

    @property
    def key(self) -> dict[str, Any]:
        return {"Id": self.address, "Port": self.port}

    def start(self) -> None:
        self.server = ThreadingHTTPServer((self.address, self.port), _handler(self))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """From now on connections are refused. Idempotent."""
        self.release.set()
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None


def _accepts(key: str) -> str:
    """RFC 6455, 4.2.2."""
    digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()  # noqa: S324 (RFC 6455)
    return base64.b64encode(digest).decode()


def _handler(target: Target) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if "ELB-HealthChecker" not in self.headers.get("User-Agent", ""):
                target.seen.append({name.lower(): value for name, value in self.headers.items()})
            if target.hang:
                target.release.wait(30)
            if self.path == "/slow":
                target.started.set()
                target.release.wait(30)
            if self.headers.get("Upgrade") == "websocket":
                self._echo()
                return
            body = f"{target.address}:{target.port}".encode()
            self.send_response(target.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _echo(self) -> None:
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.send_header("Sec-WebSocket-Accept", _accepts(self.headers["Sec-WebSocket-Key"]))
            self.end_headers()
            self.wfile.write(self.rfile.read(4).upper())
            self.close_connection = True

        def log_message(self, *_args: object) -> None:
            """Nothing."""

    return Handler


@dataclass
class Answer:
    """What a client got."""

    status: int
    headers: dict[str, str]
    body: str


def get(address: str, path: str = "/", *, host: str = "x.test", timeout: float = 20, **headers: str) -> Answer:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(address, LISTENER, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Host": host, **{k.replace("_", "-"): v for k, v in headers.items()}})
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read().decode())
    finally:
        connection.close()


def eventually(read: Callable[[], Any], satisfied: Callable[[Any], bool] = bool, *, what: str) -> Any:
    """Poll quickly; generous deadline."""
    return wait_until(read, satisfied, what=what, deadline=25, interval=0.02, longest_interval=0.1)


@dataclass
class Rig:
    """The account. `elbv2`, `ec2` and `cloudwatch` are boto3 clients."""

    world: World
    controller: Controller
    elbv2: Any
    ec2: Any
    cloudwatch: Any
    vpc: str
    subnets: list[str]
    closing: ExitStack

    def name(self) -> str:
        return f"t{next(_names)}"

    def balancer(self, *, scheme: str = "internet-facing") -> tuple[str, str]:
        """ARN and address of a new load balancer, active."""
        made = self.elbv2.create_load_balancer(Name=self.name(), Subnets=self.subnets, Scheme=scheme)
        made = made["LoadBalancers"][0]
        return made["LoadBalancerArn"], made["DNSName"]

    def group(self, **settings: Any) -> str:
        """ARN of a new target group: checks every 0.2 s wall, thresholds 3 (healthy) and 2 (unhealthy)."""
        wanted = {
            "Protocol": "HTTP",
            "Port": PORT,
            "VpcId": self.vpc,
            "TargetType": "ip",
            "HealthCheckPath": "/up",
            "HealthCheckIntervalSeconds": 10,
            "HealthCheckTimeoutSeconds": 5,
            "HealthyThresholdCount": 3,
            "UnhealthyThresholdCount": 2,
            "Matcher": {"HttpCode": "200"},
            **settings,
        }
        group: str = self.elbv2.create_target_group(Name=self.name(), **wanted)["TargetGroups"][0]["TargetGroupArn"]
        self.drains(group, seconds=50)
        return group

    def drains(self, group: str, *, seconds: int) -> None:
        """Set the deregistration delay, in AWS's seconds."""
        self.elbv2.modify_target_group_attributes(
            TargetGroupArn=group,
            Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": str(seconds)}],
        )

    def listener(self, balancer: str, action: dict[str, Any] | str, *, port: int = LISTENER) -> str:
        """ARN of a new listener; a target group's ARN stands for a forward to it."""
        actions = [forward(action) if isinstance(action, str) else action]
        made = self.elbv2.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=port, DefaultActions=actions)
        return str(made["Listeners"][0]["ListenerArn"])

    def rule(self, listener: str, priority: int, action: dict[str, Any] | str, *conditions: dict[str, Any]) -> str:
        """ARN of a new rule."""
        actions = [forward(action) if isinstance(action, str) else action]
        made = self.elbv2.create_rule(
            ListenerArn=listener, Priority=priority, Conditions=list(conditions), Actions=actions
        )
        return str(made["Rules"][0]["RuleArn"])

    def served(self, **settings: Any) -> tuple[str, str]:
        """A target group behind a load balancer of its own: the group's ARN and the load balancer's address."""
        arn, address = self.balancer()
        group = self.group(**settings)
        self.listener(arn, group)
        eventually(lambda: opened(address), what=f"{address} listens")
        return group, address

    def target(self, group: str | None = None, *, address: str | None = None, port: int = PORT, **state: Any) -> Target:
        """A new running target, registered in `group`."""
        target = Target(address or self.world.address(2, next(_hosts)), port, **state)
        target.start()
        self.closing.callback(target.stop)
        if group:
            self.elbv2.register_targets(TargetGroupArn=group, Targets=[target.key])
        return target

    def process(self, group: str) -> tuple[subprocess.Popen[bytes], str]:
        """A target that is a process, so that it can be frozen; its address."""
        address = self.world.address(2, next(_hosts))
        command = [sys.executable, "-m", "http.server", "--bind", address, str(PORT)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/proc/self/fd")
        self.closing.callback(process.wait)
        self.closing.callback(process.kill)
        self.elbv2.register_targets(TargetGroupArn=group, Targets=[{"Id": address, "Port": PORT}])
        return process, address

    def health(self, group: str, *targets: dict[str, Any]) -> list[tuple[str, str | None, str | None]]:
        """State, reason and description of each target."""
        asked = {"Targets": list(targets)} if targets else {}
        answer = self.elbv2.describe_target_health(TargetGroupArn=group, **asked)
        found = [each["TargetHealth"] for each in answer["TargetHealthDescriptions"]]
        return [(each["State"], each.get("Reason"), each.get("Description")) for each in found]

    def states(self, group: str, *targets: dict[str, Any]) -> list[str]:
        return [state for state, _, _ in self.health(group, *targets)]

    def until(self, group: str, *states: str) -> None:
        """Wait for the states of all targets of a group, in the order in which they were registered."""
        eventually(lambda: self.states(group), lambda found: found == list(states), what=f"{states} in {group}")


def forward(group: str) -> dict[str, Any]:
    """The action that sends to a target group."""
    return {"Type": "forward", "TargetGroupArn": group}


def opened(address: str) -> bool:
    """Whether somebody listens."""
    try:
        get(address)
    except OSError:
        return False
    return True


@contextmanager
def running(directory: Path, *, region: str = REGION, network: str = "127.203.0.0/16") -> Iterator[Rig]:
    """The account, served until the context ends."""
    world = World(ACCOUNT, region, SPEED, directory, IPv4Network(network))
    for backends in tuple(BackendDict._instances):  # type: ignore[misc] # what another module left in that Region
        for regions in backends.values():
            regions.pop(region, None)
    stock = ELBv2Backend
    controller = elbv2.install(world)
    # moto adds up the data of all that have *at least* the dimensions asked for.
    cloudwatch.install(world)
    application = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=QuietHandler)
    with ExitStack() as closing:
        # Whoever comes next in this process finds moto as it was.
        closing.callback(setattr, get_backend("elbv2"), "backend", stock)
        closing.callback(elbv2_backends[ACCOUNT][region].reset)
        loop = ControlLoop([controller])
        threading.Thread(target=server.serve_forever, daemon=True).start()
        closing.callback(server.shutdown)
        closing.callback(loop.close)
        loop.start()
        world.endpoint = f"http://127.0.0.1:{server.server_port}"
        yield _rig(world, controller, closing)


def _rig(world: World, controller: Controller, closing: ExitStack) -> Rig:
    elbv2_client, ec2, cloudwatch = (client(world, service) for service in ("elbv2", "ec2", "cloudwatch"))
    vpc = ec2.create_vpc(CidrBlock=str(world.network))["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=str(world.subnet(number)), AvailabilityZone=zone)["Subnet"]["SubnetId"]
        for number, zone in enumerate((f"{world.region}a", f"{world.region}b"))
    ]
    return Rig(world, controller, elbv2_client, ec2, cloudwatch, vpc, subnets, closing)


def client(world: World, service: str) -> Any:
    """A boto3 client of the account."""
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=world.region)  # noqa: S106
    return session.client(service, endpoint_url=world.endpoint, config=Config(proxies={}))  # type: ignore[call-overload]
