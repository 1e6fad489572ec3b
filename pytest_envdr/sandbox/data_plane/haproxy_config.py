"""What a load balancer shall do, as values, and the HAProxy configuration that does it.

Pure: nothing here starts or asks anything. HAProxy carries the traffic; it makes no health checks of its own. Servers
are switched on and off at run time; those known when the configuration is written are in it, so that a reload has no
moment without them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SOCKET = "s"
"""The runtime API's socket, relative to HAProxy's directory: a socket's path may have 107 bytes."""
SERVER_HEADER = "awselb/2.0"
ERRORS = {
    400: "Bad Request",
    408: "Request Time-out",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Temporarily Unavailable",
    504: "Gateway Time-out",
}
"""The answers that an ALB makes itself, with the reason phrases it uses."""
REQUEST_MARK = "R"
"""First word of a log line that reports a request; HAProxy logs its servers' states into the same stream."""


class ServerState(StrEnum):
    """What a server gets, in the runtime API's words."""

    READY = "ready"
    """New requests."""
    MAINT = "maint"
    """None; what it has it may finish."""


@dataclass(frozen=True, order=True)
class Server:
    """A target in a group. The same address may serve on several ports, and in several groups."""

    group: str
    address: str
    port: int

    @property
    def path(self) -> str:
        """Its name in the runtime API."""
        return f"{self.group}/{self.address}:{self.port}"


class Subject(StrEnum):
    """What of a request a condition looks at; the value is HAProxy's sample fetch."""

    HOST = "req.hdr(host),host_only -m reg -i"
    PATH = "path -m reg"
    METHOD = "method -m str"
    QUERY = "query -m reg -i"
    SOURCE = "src -m ip"
    HEADER = "req.hdr({name}) -m reg -i"


@dataclass(frozen=True)
class Condition:
    """True if any pattern matches: regular expressions, but for METHOD (words) and SOURCE (CIDR blocks)."""

    subject: Subject
    patterns: tuple[str, ...]
    header: str = ""


@dataclass(frozen=True)
class Forward:
    """To one of several groups, by weight."""

    groups: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Fixed:
    """An answer of the load balancer's own."""

    status: int
    content_type: str
    body: str


@dataclass(frozen=True)
class Redirect:
    """`location` may hold `#{protocol}`, `#{host}`, `#{port}`, `#{path}` and `#{query}`."""

    status: int
    location: str


Action = Forward | Fixed | Redirect


@dataclass(frozen=True)
class Rule:
    """The action for requests that meet all conditions."""

    conditions: tuple[Condition, ...]
    action: Action


@dataclass(frozen=True)
class Listener:
    """A port; the first rule that matches decides."""

    port: int
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class Group:
    """A backend. `balance` is HAProxy's algorithm."""

    name: str
    balance: str = "roundrobin"
    secure: bool = False


@dataclass(frozen=True)
class LoadBalancer:
    """All of one HAProxy. Timeouts in wall seconds; requests are logged to UDP `log_port` at `address`."""

    address: str
    log_port: int
    listeners: tuple[Listener, ...]
    groups: tuple[Group, ...]
    idle_timeout: float
    connect_timeout: float


def render(balancer: LoadBalancer, servers: Mapping[Server, ServerState]) -> str:
    """The configuration file."""
    lines = [*_global(balancer), *_defaults(balancer)]
    for listener in balancer.listeners:
        lines += _frontend(balancer.address, listener)
    for group in balancer.groups:
        members = sorted(server for server in servers if server.group == group.name)
        lines += _backend(group, [(member, servers[member]) for member in members])
    return "\n".join(lines) + "\n"


def error_page(status: int) -> str:
    """A whole HTTP answer, as an ALB makes it."""
    title = f"{status} {ERRORS[status]}"
    lines = [
        "<html>",
        f"<head><title>{title}</title></head>",
        "<body>",
        f"<center><h1>{title}</h1></center>",
        "</body>",
        "</html>",
    ]
    body = "".join(f"{line}\r\n" for line in lines)
    head = f"HTTP/1.1 {title}\r\nServer: {SERVER_HEADER}\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n{body}"


def server_options(*, secure: bool) -> str:
    """What follows the address of a server; an ALB does not verify its targets' certificates."""
    return " ssl verify none" if secure else ""


def _global(balancer: LoadBalancer) -> list[str]:
    return [
        "global",
        f"  stats socket unix@{SOCKET} mode 600 level admin expose-fd listeners",
        f"  log {balancer.address}:{balancer.log_port} format raw local0 info",
        # One thread is plenty here, and leaves the other core to the application.
        "  nbthread 1",
        # A replaced process lives on for its open connections, but not for ever.
        f"  hard-stop-after {_milliseconds(max(30.0, balancer.idle_timeout))}",
    ]


def _defaults(balancer: LoadBalancer) -> list[str]:
    idle = _milliseconds(balancer.idle_timeout)
    return [
        "defaults",
        "  mode http",
        "  log global",
        # A WebSocket counts when it is answered, not when it ends.
        "  option logasap",
        f'  log-format "{REQUEST_MARK} %b %s %ST %Tr"',
        # An ALB does not try another target.
        "  retries 0",
        # A connection for each request: none that a target closes at the wrong moment, none that delays removal.
        "  option http-server-close",
        f"  timeout connect {_milliseconds(balancer.connect_timeout)}",
        f"  timeout client {idle}",
        f"  timeout server {idle}",
        f"  timeout tunnel {idle}",
        f"  timeout http-request {idle}",
        *(f"  errorfile {status} {status}.http" for status in ERRORS),
    ]


def _frontend(address: str, listener: Listener) -> list[str]:
    lines = [
        f"frontend l-{listener.port}",
        f"  bind {address}:{listener.port}",
        "  acl forwarded req.hdr(X-Forwarded-For) -m found",
        '  http-request set-header X-Forwarded-For "%[req.hdr(X-Forwarded-For)], %[src]" if forwarded',
        '  http-request set-header X-Forwarded-For "%[src]" if !forwarded',
        "  http-request set-header X-Forwarded-Proto http",
        f"  http-request set-header X-Forwarded-Port {listener.port}",
    ]
    # First all rules are weighed, then one acts: HAProxy would run every `return` before any `use_backend`.
    lines += [_choice(number, rule) for number, rule in enumerate(listener.rules)]
    for number, rule in enumerate(listener.rules):
        lines += _acts(number, rule.action)
    return lines


def _choice(number: int, rule: Rule) -> str:
    conditions = " ".join(_matcher(condition) for condition in rule.conditions)
    return f"  http-request set-var(txn.rule) str(r{number}) if !{{ var(txn.rule) -m found }} {conditions}".rstrip()


def _matcher(condition: Condition) -> str:
    fetch = condition.subject.value.format(name=condition.header)
    return f"{{ {fetch} {' '.join(quoted(pattern) for pattern in condition.patterns)} }}"


def _acts(number: int, action: Action) -> list[str]:
    chosen = f"{{ var(txn.rule) -m str r{number} }}"
    match action:
        case Fixed():
            content = f"content-type {quoted(action.content_type)} string {quoted(action.body)}" if action.body else ""
            return [f"  http-request return status {action.status} {content} hdr Server {SERVER_HEADER} if {chosen}"]
        case Redirect():
            location = f"hdr Location {_location(action.location)}"
            return [f"  http-request return status {action.status} {location} hdr Server {SERVER_HEADER} if {chosen}"]
        case Forward():
            return _forwards(action, chosen)


def _forwards(action: Forward, chosen: str) -> list[str]:
    groups = [(name, weight) for name, weight in action.groups if weight > 0]
    if not groups:
        return [f"  http-request return status 503 errorfile 503.http if {chosen}"]
    *others, (last, _) = groups
    lines = []
    if others:
        total = sum(weight for _, weight in groups)
        lines.append(f"  http-request set-var(txn.draw) rand({total}) if {chosen}")
    below = 0
    for name, weight in others:
        below += weight
        lines.append(f"  use_backend {name} if {chosen} {{ var(txn.draw) -m int lt {below} }}")
    return [*lines, f"  use_backend {last} if {chosen}"]


def _backend(group: Group, members: Iterable[tuple[Server, ServerState]]) -> list[str]:
    lines = [
        f"backend {group.name}",
        f"  balance {group.balance}",
        # Nothing to send to is the load balancer's 503; HAProxy's own 503 is a target that refused, an ALB's 502.
        # Not `nbsrv`: it is 0 in a process that has been replaced and still has requests to read.
        f"  http-request return status 503 errorfile 503.http if {{ connslots({group.name}) eq 0 }}",
        "  errorfile 503 502.http",
    ]
    for server, state in members:
        disabled = " disabled" if state is ServerState.MAINT else ""
        address = f"{server.address}:{server.port}"
        lines.append(f"  server {address} {address}{server_options(secure=group.secure)}{disabled}")
    return lines


_PLACEHOLDERS = {
    "#{protocol}": "http",
    "#{host}": "%[req.hdr(host),host_only]",
    "#{port}": "%[dst_port]",
    "#{path}": "%[path,regsub(^/,)]",
    "#{query}": "%[query]",
}


def _location(location: str) -> str:
    """A log-format word: literals escaped, the placeholders as sample fetches."""
    text = quoted(location.replace("%", "%%"))
    for placeholder, fetch in _PLACEHOLDERS.items():
        text = text.replace(quoted(placeholder)[1:-1], fetch)
    return text


def quoted(text: str) -> str:
    """A word of the configuration: whatever is in `text`, it stays one word and has no meaning to HAProxy."""
    return '"' + "".join(_escaped(byte) for byte in text.encode()) + '"'


def _escaped(byte: int) -> str:
    character = chr(byte)
    return (
        character
        if character.isascii() and (character.isalnum() or character in "^.*?/:;,=&|()+<>@ -_%[]{}!~")
        else f"\\x{byte:02x}"
    )


def _milliseconds(seconds: float) -> str:
    return f"{max(1, round(seconds * 1000))}ms"
