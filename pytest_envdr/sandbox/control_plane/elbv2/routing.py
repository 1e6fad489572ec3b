"""From the API's listeners and rules to what HAProxy shall do. Pure reading of moto's objects."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pytest_envdr.sandbox.data_plane.haproxy_config import (
    Action,
    Condition,
    Fixed,
    Forward,
    Group,
    Listener,
    LoadBalancer,
    Redirect,
    Rule,
    Subject,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from moto.elbv2.models import FakeListener, FakeLoadBalancer, FakeTargetGroup

IDLE_SECONDS = 60.0
"""The attribute idle_timeout.timeout_seconds where it is not set."""
CONNECT_SECONDS = 10.0
"""An ALB's timeout for connecting to a target; not adjustable."""
MINIMUM_IDLE, MINIMUM_CONNECT = 5.0, 2.0
"""Wall seconds, whatever the speed: the application's own answers do not get faster."""
ALGORITHMS = {"least_outstanding_requests": "leastconn", "weighted_random": "random"}
SUBJECTS = {
    "host-header": ("HostHeaderConfig", Subject.HOST),
    "path-pattern": ("PathPatternConfig", Subject.PATH),
    "http-request-method": ("HttpRequestMethodConfig", Subject.METHOD),
    "source-ip": ("SourceIpConfig", Subject.SOURCE),
    "http-header": ("HttpHeaderConfig", Subject.HEADER),
    "query-string": ("QueryStringConfig", Subject.QUERY),
}
HEADER_NAME = re.compile(r"[A-Za-z0-9_-]+")


def group_name(arn: str) -> str:
    """A target group in HAProxy: `<name>.<hex>`, from the ARN's `targetgroup/<name>/<hex>`."""
    return ".".join(arn.split("/")[-2:])


def used_groups(balancer: FakeLoadBalancer) -> set[str]:
    """The ARNs of the target groups that a rule of the load balancer forwards to."""
    return {
        arn
        for listener in balancer.listeners.values()
        for rule in listener.rules.values()
        for action in rule.actions
        for arn, _ in forwarded(action.data)
    }


def forwarded(action: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Target group ARNs and weights of a forward action; nothing for another one."""
    if action.get("Type") != "forward":
        return []
    weighted = action.get("ForwardConfig", {}).get("TargetGroups", [])
    if weighted:
        return [(group["TargetGroupArn"], int(group.get("Weight", 1))) for group in weighted]
    return [(action["TargetGroupArn"], 1)]


def balancer_of(
    balancer: FakeLoadBalancer, groups: Mapping[str, FakeTargetGroup], *, address: str, log_port: int, speed: float
) -> LoadBalancer:
    """What HAProxy shall be for a load balancer; timeouts divided by `speed`, down to their minimum."""
    used = sorted(used_groups(balancer) & groups.keys())
    idle = float(balancer.attrs.get("idle_timeout.timeout_seconds", IDLE_SECONDS))
    return LoadBalancer(
        address=address,
        log_port=log_port,
        # TLS is not ended here yet.
        listeners=tuple(_listener(listener) for listener in balancer.listeners.values() if listener.protocol == "HTTP"),
        groups=tuple(_group(groups[arn]) for arn in used),
        idle_timeout=max(MINIMUM_IDLE, idle / speed),
        connect_timeout=max(MINIMUM_CONNECT, CONNECT_SECONDS / speed),
    )


def _group(group: FakeTargetGroup) -> Group:
    algorithm = str(group.attributes.get("load_balancing.algorithm.type"))
    return Group(group_name(group.arn), ALGORITHMS.get(algorithm, "roundrobin"), secure=group.protocol == "HTTPS")


def _listener(listener: FakeListener) -> Listener:
    rules = [rule for rule in listener.rules.values() if not rule.is_default]
    ordered = sorted(rules, key=lambda rule: int(rule.priority))
    everything = [(rule.conditions, rule.actions) for rule in ordered] + [([], listener.default_actions)]
    return Listener(
        int(listener.port),
        tuple(
            Rule(_conditions(conditions), _action(action.data for action in actions))
            for conditions, actions in everything
        ),
    )


def _conditions(conditions: Iterable[Mapping[str, Any]]) -> tuple[Condition, ...]:
    return tuple(_condition(condition) for condition in conditions)


def _condition(condition: Mapping[str, Any]) -> Condition:
    key, subject = SUBJECTS[condition["Field"]]
    config = condition.get(key, {})
    values = config.get("Values") or condition.get("Values", [])
    match subject:
        case Subject.METHOD | Subject.SOURCE:
            return Condition(subject, tuple(values))
        case Subject.QUERY:
            return Condition(subject, tuple(_query(value) for value in values))
        case Subject.HEADER if not HEADER_NAME.fullmatch(config["HttpHeaderName"]):
            # No request has a header of that name.
            return Condition(Subject.METHOD, ("NONE",))
        case _:
            return Condition(subject, tuple(f"^{_glob(value)}$" for value in values), config.get("HttpHeaderName", ""))


def _query(pair: Mapping[str, str]) -> str:
    key = f"{_glob(pair['Key'], any_one='[^&=]')}=" if pair.get("Key") else "([^&=]*=)?"
    return f"(^|&){key}{_glob(pair['Value'], any_one='[^&]')}(&|$)"


def _glob(pattern: str, *, any_one: str = ".") -> str:
    """AWS's wildcards as a regular expression: `*` is any number of characters, `?` is one."""
    words = {"*": f"{any_one}*", "?": any_one}
    return "".join(words.get(character, re.escape(character)) for character in pattern)


def _action(actions: Iterable[Mapping[str, Any]]) -> Action:
    """The action that ends a request; authentication before it is not acted out."""
    last = sorted(actions, key=lambda action: int(action.get("Order", 1)))[-1]
    match last["Type"]:
        case "fixed-response":
            config = last["FixedResponseConfig"]
            return Fixed(
                int(config["StatusCode"]), config.get("ContentType", "text/plain"), config.get("MessageBody", "")
            )
        case "redirect":
            return _redirect(last["RedirectConfig"])
        case _:
            return Forward(tuple((group_name(arn), weight) for arn, weight in forwarded(last)))


def _redirect(config: Mapping[str, str]) -> Redirect:
    protocol, port = config.get("Protocol", "#{protocol}").lower(), config.get("Port", "#{port}")
    host, path, query = config.get("Host", "#{host}"), config.get("Path", "/#{path}"), config.get("Query", "#{query}")
    location = f"{protocol}://{host}:{port}{path}" + (f"?{query}" if query else "")
    return Redirect(301 if config["StatusCode"] == "HTTP_301" else 302, location)
