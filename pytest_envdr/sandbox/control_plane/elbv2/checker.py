"""Health checks: real HTTP requests to a target, as the load balancer's nodes make them."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_envdr.sandbox.control_plane.elbv2.target_health import CHECK_FAILED, HEALTHY, TIMED_OUT, Health, mismatch

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter

AGENT = "ELB-HealthChecker/2.0"
MINIMUM_TIMEOUT = 1.0
"""Wall seconds that a target gets at least: AWS's timeout is divided by `speed`, the application is not any faster."""
REST_SECONDS = 0.5
"""Wall seconds for the body of the answer."""


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
    writer = None
    try:
        async with asyncio.timeout(check.timeout):
            reader, writer = await _connected(check)
            code = await _status(check, reader, writer)
        await _rest(reader)
    except TimeoutError:
        return TIMED_OUT
    except (OSError, ValueError, EOFError, asyncio.LimitOverrunError):
        # Refused, reset, closed without an answer, or an answer that is not HTTP.
        return CHECK_FAILED
    finally:
        if writer is not None:
            writer.close()
    return HEALTHY if matches(code, check.matcher) else mismatch(code)


def matches(code: int, matcher: str) -> bool:
    """Whether `code` is among the codes of a target group's Matcher."""
    for part in filter(None, matcher.split(",")):
        low, _, high = part.strip().partition("-")
        if int(low) <= code <= int(high or low):
            return True
    return False


async def _connected(check: Check) -> tuple[StreamReader, StreamWriter]:
    security = _trusting() if check.secure else None
    return await asyncio.open_connection(check.address, check.port, ssl=security, local_addr=(check.source, 0))


async def _status(check: Check, reader: StreamReader, writer: StreamWriter) -> int:
    """The code of an answer whose head is complete.

    Raises:
        ValueError: that was not HTTP.
        EOFError: the target closed the connection too early.
    """
    lines = [
        f"GET {check.path} HTTP/1.1",
        f"Host: {check.address}:{check.port}",
        "Connection: close",
        f"User-Agent: {AGENT}",
    ]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    head = await reader.readuntil(b"\r\n\r\n")
    version, _, rest = head.partition(b" ")
    if not version.startswith(b"HTTP/"):
        raise ValueError("not HTTP")
    return int(rest[:3])


async def _rest(reader: StreamReader) -> None:
    """Take the body, which decides nothing, so that the target does not see its answer fail."""
    try:
        async with asyncio.timeout(REST_SECONDS):
            while await reader.read(1 << 16):
                pass
    except OSError:
        # Too long, or cut off (a TimeoutError is an OSError): it has answered.
        return


def _trusting() -> ssl.SSLContext:
    """An ALB does not verify its targets' certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
