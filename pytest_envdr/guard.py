"""Clearance: which calls a run may make, and against what. Everything else is refused before it is made.

Until clearance for accounts is built, only an endpoint on this machine's loopback addresses is cleared.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pytest_envdr.errors import NotCleared, UsageError
from pytest_envdr.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from pytest_envdr.stack import Stack

READS = re.compile(r"(Describe|Get|List|Filter|BatchGet|Lookup|Head|Search|Receive|Test(?!Failover))([A-Z]|$)")
"""How the names of operations begin that change nothing (receiving hides a message for a while, no more)."""

NOT_BUILT = "only a sandbox on this machine's loopback addresses is cleared; clearance for accounts is not built yet"


def check_endpoint(stack: Stack) -> None:
    """Refuse a stack whose API is not on this machine's loopback addresses; nothing is sent to find out.

    Raises:
        NotCleared: it is AWS itself, or an endpoint elsewhere.
        UsageError: the endpoint is no URL, or its name is unknown.
    """
    if stack.endpoint is None:
        raise NotCleared(
            f"AWS itself (account {stack.account}, {stack.region}) is not cleared: {NOT_BUILT}.\n"
            f"Looked at: {stack.path}: endpoint (there is none)\n"
            "To go on: name a sandbox's stack file, or none at all and one is started."
        )
    outside = [address for address in _addresses(stack) if not ipaddress.ip_address(address).is_loopback]
    if outside:
        raise NotCleared(
            f"The endpoint {stack.endpoint} is not cleared: {outside[0]} is no loopback address, and {NOT_BUILT}.\n"
            f"Looked at: {stack.path}: endpoint\n"
            "To go on: name a sandbox's stack file, or none at all and one is started."
        )


def _addresses(stack: Stack) -> list[str]:
    """Every address that the endpoint's host stands for."""
    try:
        parts = urlsplit(stack.endpoint or "")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if host is None or parts.scheme not in {"http", "https"}:
        raise UsageError(
            f"The endpoint {stack.endpoint!r} is no URL.\nLooked at: {stack.path}: endpoint\n"
            'To go on: endpoint = "http://127.0.0.1:5000", for example.'
        )
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UsageError(
            f"The endpoint {stack.endpoint} has a host that is not known: {error}.\nLooked at: {stack.path}: endpoint"
        ) from error
    return [str(row[4][0]).partition("%")[0] for row in found]


def check_account(stack: Stack, account: str) -> None:
    """Refuse credentials that belong to another account than the stack's.

    Raises:
        NotCleared: with both accounts.
    """
    if account != stack.account:
        raise NotCleared(
            f"The credentials belong to account {account}, the stack to account {stack.account}: nothing is touched.\n"
            f"Looked at: {stack.path}: account\nTo go on: use the credentials of the stack's account."
        )


def check_region(stack: Stack, region: str) -> None:
    """Refuse any Region but the stack's own and the one that it would be built again in.

    Raises:
        NotCleared: with those that are cleared.
    """
    if region not in {stack.region, stack.standby_region}:
        standby = stack.standby_region or "none to be built again in"
        raise NotCleared(
            f"Region {region} is not cleared: the stack stands in {stack.region}, and has {standby}.\n"
            f"Looked at: {stack.path}: region, standby_region"
        )


def check_approval(stack: Stack, scenario: str, today: date) -> None:
    """Refuse a scenario that nobody approved for this stack, or whose approval has expired.

    Raises:
        NotCleared: with the row to add.
    """
    approval = stack.approvals.get(scenario)
    if approval is not None and (approval.until is None or today <= approval.until):
        return
    title = SCENARIOS[scenario].title
    why = "is not approved" if approval is None else f"was approved until {approval.until}, which is over"
    raise NotCleared(
        f"{title} {why} for this stack; it breaks {SCENARIOS[scenario].breaks}.\nLooked at: {stack.path}: [approvals]\n"
        f'To go on: add to the stack file   [approvals.{scenario}]   by = "who approved it"   until = {today}'
    )


def check_allowed(stack: Stack, scenario: str, act: str, today: date) -> None:
    """Refuse what goes further than the scenario itself, unless its approval allows it: "swap", "reboot" and others.

    Raises:
        NotCleared: with the key to add.
    """
    check_approval(stack, scenario, today)
    if act not in stack.approvals[scenario].allows:
        raise NotCleared(
            f"{SCENARIOS[scenario].title}: {act} is not allowed for this stack.\n"
            f"Looked at: {stack.path}: approvals.{scenario}.allows\n"
            f'To go on: let who approves it add   allows = ["{act}"]'
        )


def mutating(operation: str) -> bool:
    """Whether a call changes AWS; "ecs.UpdateService" does. Only what is known to read counts as reading."""
    return READS.match(operation.partition(".")[2]) is None


def check_intended(operation: str, permits: Callable[[str], bool]) -> None:
    """Refuse a call that changes AWS unless its inverse lies on disk.

    Raises:
        NotCleared: no intent for it is open.
    """
    if mutating(operation) and not permits(operation):
        raise NotCleared(
            f"{operation} is refused: no call changes AWS before its inverse lies on disk.\n"
            "To go on: make it through `Aws.act`, with its inverse."
        )


def attach(events: Any, service: str, *, permits: Callable[[str], bool], endpoint: str | None) -> None:
    """Put the guard into a client: `events` is botocore's emitter of that client, `service` its boto3 name.

    Refused are calls that change AWS and that the journal does not permit, and requests to elsewhere than `endpoint`.
    """
    cleared = urlsplit(endpoint or "").netloc

    def before_call(model: Any, **_: Any) -> None:
        check_intended(f"{service}.{model.name}", permits)

    def before_send(request: Any, **_: Any) -> None:
        if urlsplit(request.url).netloc != cleared:
            raise NotCleared(f"A request to {request.url} is refused: {endpoint} alone is cleared.")

    events.register_first("before-call", before_call, unique_id="envdr-guard-call")
    events.register_first("before-send", before_send, unique_id="envdr-guard-send")
