"""moto's elbv2 backend, recording intent and answering from the truth.

moto keys targets by their id and calls each of them healthy; here each (id, port) is a target with a life of its own
(`target_health`), and a load balancer is `active` when its HAProxy serves.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from moto.elbv2.exceptions import (
    DuplicateListenerError,
    DuplicateLoadBalancerName,
    ELBClientError,
    TargetGroupNotFoundError,
)
from moto.elbv2.models import ELBv2Backend, FakeHealthStatus, FakeLoadBalancer, FakeTargetGroup

from pytest_envdr.sandbox.control_plane.elbv2.routing import forwarded, used_groups
from pytest_envdr.sandbox.control_plane.elbv2.target_health import (
    NOT_REGISTERED,
    Event,
    Health,
    State,
    Target,
    Thresholds,
    after,
)
from pytest_envdr.sandbox.control_plane.extension import backend_lock, moto_urls

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from moto.elbv2.models import FakeListener, FakeListenerRule, FakeRule

    from pytest_envdr.sandbox.world import World

FIRST_HOST = 10
"""The first load balancer's host number in its subnet."""
SUBNETS = {"internet-facing": 0, "internal": 2}
"""The world's subnet that a load balancer of a scheme gets its address in."""

ATTRIBUTES = {
    "access_logs.s3.enabled": "false",
    "idle_timeout.timeout_seconds": "60",
    "load_balancing.cross_zone.enabled": "true",
    "routing.http.desync_mitigation_mode": "defensive",
    "routing.http.drop_invalid_header_fields.enabled": "false",
    "routing.http.preserve_host_header.enabled": "false",
    "routing.http.xff_client_port.enabled": "false",
    "routing.http.xff_header_processing.mode": "append",
    "routing.http2.enabled": "true",
    "waf.fail_open.enabled": "false",
}
"""An application load balancer's attributes from the start, of which moto knows a few (ELB User Guide, attributes)."""

Key = tuple[str, int]


class SandboxELBv2(ELBv2Backend):
    """One account's load balancers in one Region. `world` is None where no control loop acts."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.world: World | None = None
        self.targets: dict[str, dict[Key, Target]] = {}

    @property
    def _url_module(self) -> ModuleType:
        return moto_urls("elbv2")

    def reset(self) -> None:
        """moto's reset makes the object anew; the world stays."""
        world = self.world
        super().reset()
        self.world = world

    # Load balancers

    def create_load_balancer(self, name: str, *args: Any, **kwargs: Any) -> FakeLoadBalancer:
        with backend_lock:
            scheme = kwargs.get("scheme") or "internet-facing"
            for existing in self.load_balancers.values():
                if existing.name == name:
                    return _same_or_refuse(existing, scheme)
            balancer: FakeLoadBalancer = super().create_load_balancer(name, *args, **{**kwargs, "scheme": scheme})
            if balancer.type == "application":
                balancer.attrs |= ATTRIBUTES
            if self.world and balancer.type == "application":
                balancer.dns_name = self._free_address(self.world, SUBNETS[scheme])
            return balancer

    def describe_load_balancers(self, arns: list[str] | None, names: list[str] | None) -> list[FakeLoadBalancer]:
        """As they are: moto would make each active by being asked."""
        with backend_lock:
            states = {arn: balancer.state for arn, balancer in self.load_balancers.items()}
            found: list[FakeLoadBalancer] = super().describe_load_balancers(arns, names)
            for arn, state in states.items():
                self.load_balancers[arn].state = state
            return found

    def delete_load_balancer(self, arn: str) -> None:
        with backend_lock:
            balancer = self.load_balancers.get(arn)
            if balancer and balancer.attrs.get("deletion_protection.enabled") == "true":
                raise ELBClientError(
                    "OperationNotPermitted",
                    f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled",
                )
            super().delete_load_balancer(arn)
            self._associate()

    # Listeners and rules: moto's, then the association of target groups with load balancers is counted anew

    def create_listener(
        self, load_balancer_arn: str, protocol: str, port: str, *args: Any, **kwargs: Any
    ) -> FakeListener:
        with backend_lock:
            balancer = self.load_balancers.get(load_balancer_arn)
            if balancer and any(str(listener.port) == str(port) for listener in balancer.listeners.values()):
                raise DuplicateListenerError
            self._refuse_second_balancer(load_balancer_arn, kwargs.get("actions", []))
            listener: FakeListener = super().create_listener(load_balancer_arn, protocol, port, *args, **kwargs)
            self._associate()
            return listener

    def modify_listener(self, arn: str, *args: Any, **kwargs: Any) -> FakeListener:
        with backend_lock:
            listener: FakeListener = super().modify_listener(arn, *args, **kwargs)
            self._associate()
            return listener

    def delete_listener(self, listener_arn: str) -> FakeListener:
        with backend_lock:
            listener: FakeListener = super().delete_listener(listener_arn)
            self._associate()
            return listener

    def create_rule(self, listener_arn: str, *args: Any, **kwargs: Any) -> FakeListenerRule:
        with backend_lock:
            balancer = listener_arn.replace(":listener/", ":loadbalancer/").rpartition("/")[0]
            self._refuse_second_balancer(balancer, kwargs.get("actions", []))
            rule: FakeListenerRule = super().create_rule(listener_arn, *args, **kwargs)
            self._associate()
            return rule

    def modify_rule(self, rule_arn: str, *args: Any, **kwargs: Any) -> FakeRule:
        with backend_lock:
            rule: FakeRule = super().modify_rule(rule_arn, *args, **kwargs)
            self._associate()
            return rule

    def delete_rule(self, arn: str) -> None:
        with backend_lock:
            super().delete_rule(arn)
            self._associate()

    def delete_target_group(self, target_group_arn: str) -> FakeTargetGroup:
        with backend_lock:
            group: FakeTargetGroup = super().delete_target_group(target_group_arn)
            self.targets.pop(target_group_arn, None)
            return group

    # Targets

    def register_targets(self, target_group_arn: str, instances: list[Any]) -> None:
        """Record targets: `{"Id": ..., "Port": ...}` as the API has it, or in lower case as moto's own ECS does.

        One that is there already stays as it is. An IP address that drains cannot be registered again (AWS: "you must
        wait for the deregistration delay to complete before you can register the same IP address again").
        """
        with backend_lock:
            group = self._group(target_group_arn)
            for key in (self._key(group, instance) for instance in instances):
                self._register(group, key)

    def deregister_targets(self, target_group_arn: str, instances: list[dict[str, Any]]) -> None:
        """Let targets drain. AWS: "If the specified target does not exist, the action returns successfully"."""
        with backend_lock:
            group = self._group(target_group_arn)
            members = self.targets.get(target_group_arn, {})
            for key in (self._key(group, instance) for instance in instances):
                if key in members:
                    self.put(target_group_arn, after(members[key], Event.DEREGISTERED, thresholds(group)))

    def describe_target_health(self, target_group_arn: str, targets: list[dict[str, Any]]) -> list[FakeHealthStatus]:
        """The health of `targets`, or of all that are registered or drain."""
        with backend_lock:
            group = self._group(target_group_arn)
            members = self.targets.get(target_group_arn, {})
            keys = [self._key(group, target) for target in targets] if targets else list(members)
            return [_status(group, key, members[key].health if key in members else NOT_REGISTERED) for key in keys]

    def put(self, group_arn: str, target: Target) -> None:
        """Keep a target's new state; one that is not registered any more is forgotten. Under the lock."""
        members = self.targets.setdefault(group_arn, {})
        key = (target.id, target.port)
        if target.health == NOT_REGISTERED:
            members.pop(key, None)
            return
        if target.state is State.DRAINING and not target.until:
            group = self.target_groups[group_arn]
            delay = float(str(group.attributes["deregistration_delay.timeout_seconds"]))
            target = target.draining_until(time.monotonic() + (self.world.scaled(delay) if self.world else delay))
        members[key] = target

    def _register(self, group: FakeTargetGroup, key: Key) -> None:
        known = self.targets.get(group.arn, {}).get(key)
        if known is not None and known.registered:
            return
        if known is not None and group.target_type == "ip":
            raise ELBClientError(
                "InvalidTarget",
                f"The IP address '{key[0]}' is being deregistered; wait for the deregistration delay to complete",
            )
        # moto's own checks: an instance must be running.
        group.register([{"Id": key[0], "Port": key[1]}])
        target = Target(key[0], key[1], since=time.monotonic())
        # Not left to the control loop: whoever asks at once would take `unused` for "has left".
        in_use = self.world is not None and bool(group.load_balancer_arns)
        self.put(group.arn, after(target, Event.ATTACHED, thresholds(group)) if in_use else target)

    def _group(self, arn: str) -> FakeTargetGroup:
        group: FakeTargetGroup | None = self.target_groups.get(arn)
        if group is None:
            raise TargetGroupNotFoundError
        return group

    def _key(self, group: FakeTargetGroup, target: Mapping[str, Any]) -> Key:
        port = target.get("Port") or target.get("port") or group.port
        return str(target.get("Id") or target["id"]), int(port)

    def _free_address(self, world: World, subnet: int) -> str:
        taken = {balancer.dns_name for balancer in self.load_balancers.values()}
        host = FIRST_HOST
        while world.address(subnet, host) in taken:
            host += 1
        return world.address(subnet, host)

    def _refuse_second_balancer(self, balancer_arn: str, actions: list[dict[str, Any]]) -> None:
        for arn in (arn for action in actions for arn, _ in forwarded(action)):
            group = self.target_groups.get(arn)
            if group and set(group.load_balancer_arns) - {balancer_arn}:
                raise ELBClientError(
                    "TargetGroupAssociationLimit",
                    f"The following target groups cannot be associated with more than one load balancer: {arn}",
                )

    def _associate(self) -> None:
        for group in self.target_groups.values():
            group.load_balancer_arns = [
                arn for arn, balancer in self.load_balancers.items() if group.arn in used_groups(balancer)
            ]


def thresholds(group: FakeTargetGroup) -> Thresholds:
    """The thresholds of a group, which moto keeps as strings or numbers."""
    return Thresholds(int(group.healthy_threshold_count), int(group.unhealthy_threshold_count))


def check_port(group: FakeTargetGroup, target_port: int) -> int:
    """The port that is checked: the target's own, or the one that the group names."""
    port = group.health_check_port
    return target_port if port in (None, "traffic-port") else int(port)


def _same_or_refuse(existing: FakeLoadBalancer, scheme: str) -> FakeLoadBalancer:
    """AWS: creating the same load balancer again succeeds, another one of that name does not."""
    if existing.scheme != scheme:
        raise DuplicateLoadBalancerName
    return existing


def _status(group: FakeTargetGroup, key: Key, health: Health) -> FakeHealthStatus:
    # moto annotates the port as text; the API's is a number.
    port: Any = key[1]
    return FakeHealthStatus(
        key[0], port, str(check_port(group, key[1])), health.state.value, health.reason, health.description
    )
