"""What makes the recorded load balancers true: nodes, health checks, states, metrics.

`step` only looks at moto's objects, moves the targets' state machines and says what is wanted; all that waits happens
in the background thread (`node`, `checker`).
"""

from __future__ import annotations

import signal
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from pytest_envdr.sandbox.control_plane.elbv2 import metrics
from pytest_envdr.sandbox.control_plane.elbv2.backend import check_port, thresholds
from pytest_envdr.sandbox.control_plane.elbv2.background import Background
from pytest_envdr.sandbox.control_plane.elbv2.checker import MINIMUM_TIMEOUT, Check, verdict
from pytest_envdr.sandbox.control_plane.elbv2.node import Condition, Node, Wanted
from pytest_envdr.sandbox.control_plane.elbv2.routing import balancer_of, group_name, used_groups
from pytest_envdr.sandbox.control_plane.elbv2.target_health import (
    CHECKING,
    CHECKS_DISABLED,
    HEALTHY,
    INVALID_STATE,
    IP_UNUSABLE,
    NOT_IN_USE,
    Event,
    Health,
    State,
    Target,
    after,
    routable,
)
from pytest_envdr.sandbox.control_plane.extension import backend_lock
from pytest_envdr.sandbox.data_plane.haproxy_config import Server, ServerState

if TYPE_CHECKING:
    from moto.elbv2.models import FakeLoadBalancer, FakeTargetGroup

    from pytest_envdr.sandbox.control_plane.elbv2.backend import Key, SandboxELBv2
    from pytest_envdr.sandbox.world import World

PROVISIONING_SECONDS = 5.0
"""AWS-side seconds until a load balancer is active; it takes minutes on AWS, which nothing here depends on."""
REGISTRATION_SECONDS = 3.0
"""AWS-side seconds until a registered target is first checked (memory: a few seconds on AWS)."""
CODES = {
    Condition.STARTING: "provisioning",
    Condition.SERVING: "active",
    Condition.IMPAIRED: "active_impaired",
    Condition.DOWN: "failed",
}
"""A node's condition as the code of a load balancer's state."""


class Controller:
    """The load balancers of one account and Region."""

    def __init__(self, world: World, backend: SandboxELBv2) -> None:
        self._world = world
        self._backend = backend
        self._background = Background("elbv2")
        self._nodes: dict[str, Node] = {}
        self._created: dict[str, float] = {}
        self._number = 0
        self._due: dict[tuple[str, Key, float], float] = {}
        self._verdicts: SimpleQueue[tuple[str, Target, Health]] = SimpleQueue()
        self._publish_at = 0.0

    @property
    def nodes(self) -> dict[str, Node]:
        """The node of each load balancer, by its ARN."""
        return self._nodes

    def step(self) -> None:
        now = time.monotonic()
        with backend_lock:
            self._adopt(now)
            self._hear_verdicts()
            for arn, group in self._backend.target_groups.items():
                self._place(arn, group, now)
            self._direct()
            self._publish(now)
        self._check(now)

    def freeze(self) -> None:
        """Stop all load balancers in their tracks."""
        for node in self._nodes.values():
            node.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them run on."""
        for node in self._nodes.values():
            node.signal(signal.SIGCONT)

    def close(self) -> None:
        for node in self._nodes.values():
            node.close()
        self._background.close()

    # Load balancers

    def _adopt(self, now: float) -> None:
        """A node for each load balancer, none for a deleted one; and what each says of itself."""
        balancers = {arn: each for arn, each in self._backend.load_balancers.items() if each.type == "application"}
        for arn in self._nodes.keys() - balancers.keys():
            self._nodes.pop(arn).close()
        for arn, balancer in balancers.items():
            if arn not in self._nodes:
                self._nodes[arn] = self._node(balancer)
                self._created[arn] = now
            ready = now >= self._created[arn] + self._world.scaled(PROVISIONING_SECONDS)
            if balancer.state != "provisioning" or ready:
                balancer.state = CODES[self._nodes[arn].condition]

    def _node(self, balancer: FakeLoadBalancer) -> Node:
        self._number += 1
        directory = self._world.directory / "elb" / str(self._number)
        return Node(balancer.name, balancer.dns_name, directory, self._background)

    def _direct(self) -> None:
        """Tell each node what is wanted of it."""
        for arn, node in self._nodes.items():
            balancer = self._backend.load_balancers[arn]
            groups = self._backend.target_groups
            wanted = balancer_of(
                balancer, groups, address=node.address, log_port=node.requests.port, speed=self._world.speed
            )
            servers: dict[Server, ServerState] = {}
            for group in used_groups(balancer) & groups.keys():
                servers |= self._servers(group)
            node.want(Wanted(wanted, servers))

    def _servers(self, arn: str) -> dict[Server, ServerState]:
        targets = [target for target in self._backend.targets.get(arn, {}).values() if target.state is not State.UNUSED]
        ready = routable(targets)
        return {self._server(arn, target): _server_state(target, ready) for target in targets}

    def _server(self, arn: str, target: Target) -> Server:
        return Server(group_name(arn), self._address(target), target.port)

    def _address(self, target: Target) -> str:
        """An instance's private address, or the target's id, which is an address."""
        if not target.id.startswith("i-"):
            return target.id
        instance = self._backend.ec2_backend.get_instance_by_id(target.id)
        return str(instance.private_ip_address) if instance else "127.0.0.1"

    # Targets

    def _hear_verdicts(self) -> None:
        while True:
            try:
                arn, checked, health = self._verdicts.get_nowait()
            except Empty:
                return
            self._due[arn, (checked.id, checked.port), checked.since] = self._next_check(arn)
            group = self._backend.target_groups.get(arn)
            target = self._backend.targets.get(arn, {}).get((checked.id, checked.port))
            if group and target and target.since == checked.since and target.health != NOT_IN_USE:
                event = Event.PASSED if health == HEALTHY else Event.FAILED
                self._backend.put(arn, after(target, event, thresholds(group), cause=health))

    def _next_check(self, arn: str) -> float:
        group = self._backend.target_groups.get(arn)
        return time.monotonic() + (self._world.scaled(float(group.health_check_interval_seconds)) if group else 0.0)

    def _place(self, arn: str, group: FakeTargetGroup, now: float) -> None:
        """What a group's place, and time, make of its targets."""
        node = next((self._nodes[each] for each in group.load_balancer_arns if each in self._nodes), None)
        for target in list(self._backend.targets.get(arn, {}).values()):
            moved = target
            for event, cause in self._events(arn, group, target, node, now):
                moved = after(moved, event, thresholds(group), cause=cause)
            if moved != target:
                self._backend.put(arn, moved)

    def _events(
        self, arn: str, group: FakeTargetGroup, target: Target, node: Node | None, now: float
    ) -> list[tuple[Event, Health]]:
        if target.state is State.DRAINING:
            return [(Event.DRAINED, NOT_IN_USE)] if now >= target.until or node is None else []
        obstacle = self._obstacle(group, target, node)
        if obstacle is not None:
            return [(Event.EXCLUDED, obstacle)] if target.health != obstacle else []
        settled = now >= target.since + self._world.scaled(REGISTRATION_SECONDS)
        admitted = node is not None and settled and self._server(arn, target) in node.servers
        return [(Event.ATTACHED, NOT_IN_USE), *([(Event.ADMITTED, NOT_IN_USE)] if admitted else [])]

    def _obstacle(self, group: FakeTargetGroup, target: Target, node: Node | None) -> Health | None:
        """What keeps a target from taking part."""
        if node is None:
            return NOT_IN_USE
        if not group.health_check_enabled:
            return CHECKS_DISABLED
        if any(target.id == each.address for each in self._nodes.values()):
            return IP_UNUSABLE
        if target.id.startswith("i-"):
            instance = self._backend.ec2_backend.get_instance_by_id(target.id)
            return None if instance and instance.state == "running" else INVALID_STATE
        return None

    # Health checks

    def _check(self, now: float) -> None:
        """Start the checks that are due; one that runs is not due."""
        with backend_lock:
            due = [
                (arn, target, self._check_of(group, target))
                for arn, group in self._backend.target_groups.items()
                for target in self._backend.targets.get(arn, {}).values()
                if _is_checked(target) and self._due.get((arn, (target.id, target.port), target.since), 0.0) <= now
            ]
            for arn, target, _ in due:
                self._due[arn, (target.id, target.port), target.since] = float("inf")
            self._forget()
        for arn, target, check in due:
            self._background.submit(self._carry_out(arn, target, check))

    def _check_of(self, group: FakeTargetGroup, target: Target) -> Check:
        node = next(self._nodes[each] for each in group.load_balancer_arns if each in self._nodes)
        return Check(
            address=self._address(target),
            port=check_port(group, target.port),
            path=group.health_check_path or "/",
            secure=group.health_check_protocol == "HTTPS",
            matcher=str(group.matcher.get("HttpCode", "200")),
            timeout=max(MINIMUM_TIMEOUT, self._world.scaled(float(group.health_check_timeout_seconds))),
            source=node.address,
        )

    async def _carry_out(self, arn: str, target: Target, check: Check) -> None:
        self._verdicts.put((arn, target, await verdict(check)))

    def _forget(self) -> None:
        known = {
            (arn, key, target.since)
            for arn, members in self._backend.targets.items()
            for key, target in members.items()
        }
        self._due = {key: due for key, due in self._due.items() if key in known}

    # Metrics

    def _publish(self, now: float) -> None:
        if now < self._publish_at:
            return
        self._publish_at = now + self._world.scaled(metrics.PUBLISH_SECONDS)
        moment = self._world.now()
        groups = {group_name(arn): metrics.full_name(arn) for arn in self._backend.target_groups}
        for arn, node in self._nodes.items():
            balancer = metrics.full_name(arn)
            data = metrics.of_requests(balancer, groups, node.requests.take(), moment)
            for group in sorted(used_groups(self._backend.load_balancers[arn])):
                members = self._backend.targets.get(group, {}).values()
                data += metrics.of_hosts(balancer, metrics.full_name(group), members, moment)
            metrics.publish(self._world, data)


def _is_checked(target: Target) -> bool:
    return target.health == CHECKING or target.state in (State.HEALTHY, State.UNHEALTHY)


def _server_state(target: Target, ready: set[Target]) -> ServerState:
    return ServerState.READY if target in ready else ServerState.MAINT
