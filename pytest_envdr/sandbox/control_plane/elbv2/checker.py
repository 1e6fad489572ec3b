"""Health checks: real HTTP requests to a target, as the load balancer's nodes make them."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_envdr.sandbox.control_plane.elbv2.target_health import CHECK_FAILED, HEALTHY, TIMED_OUT, Health, mismatch

if TYPE_CHECKING:
    from asyncio import StreamReader

AGENT = "ELB-HealthChecker/2.0"
MINIMUM_TIMEOUT = 1.0
"""Wall seconds that a target gets at least: AWS's timeout is divided by `speed`, the application is not any faster."""


@dataclass(frozen=True)
class Check:
    """One check. `timeout` in wall seconds; `matcher` as in the API: `200`, `200-299`, `200,202`."""

    address: str
    port: int
    path: str
    secure: bool
    matcher: str
    timeout: float
    source: str


async def verdict(check: Check) -> Health:
    """HEALTHY, or what kept the target from it."""
    try:
        async with asyncio.timeout(check.timeout):
            code = await _status(check)
    except TimeoutError:
        return TIMED_OUT
    except (OSError, ValueError, EOFError):
        # Refused, reset, closed without an answer, or an answer that is not HTTP.
        return CHECK_FAILED
    return HEALTHY if matches(code, check.matcher) else mismatch(code)


def matches(code: int, matcher: str) -> bool:
    """Whether `code` is among the codes of a target group's Matcher."""
    for part in matcher.split(","):
        low, _, high = part.strip().partition("-")
        if int(low) <= code <= int(high or low):
            return True
    return False


async def _status(check: Check) -> int:
    reader, writer = await asyncio.open_connection(
        check.address, check.port, ssl=_trusting() if check.secure else None, local_addr=(check.source, 0)
    )
    try:
        host = f"{check.address}:{check.port}"
        writer.write(
            f"GET {check.path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nUser-Agent: {AGENT}\r\n\r\n".encode()
        )
        return await _status_code(reader)
    finally:
        writer.close()


async def _status_code(reader: StreamReader) -> int:
    """The code of an answer whose head is complete.

    Raises:
        ValueError: that was not HTTP.
        EOFError: the target closed the connection too early.
    """
    head = await reader.readuntil(b"\r\n\r\n")
    version, _, rest = head.partition(b" ")
    if not version.startswith(b"HTTP/"):
        raise ValueError("not HTTP")
    return int(rest[:3])


def _trusting() -> ssl.SSLContext:
    """An ALB does not verify its targets' certificates."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
