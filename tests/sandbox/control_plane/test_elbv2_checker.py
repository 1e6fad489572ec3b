"""Health checks against servers that misbehave in every way."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from pytest_envdr.sandbox.control_plane.elbv2.checker import Check, matches, verdict
from pytest_envdr.sandbox.control_plane.elbv2.target_health import CHECK_FAILED, HEALTHY, TIMED_OUT, Health, mismatch

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS = "127.216.64.9"


def check(port: int) -> Check:
    return Check(ADDRESS, port, "/up?a=b", secure=False, matcher="200-299", timeout=0.5, source="127.216.0.200")


@contextmanager
def replying(reply: bytes | None) -> Iterator[tuple[int, list[bytes]]]:
    """A server that answers each connection with these bytes and closes; with None it never answers."""
    asked: list[bytes] = []
    open_ones: list[socket.socket] = []

    def serve(server: socket.socket) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            open_ones.append(connection)
            asked.append(connection.recv(4096))
            if reply is not None:
                connection.sendall(reply)
                connection.close()

    with socket.create_server((ADDRESS, 0)) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        yield server.getsockname()[1], asked
        server.shutdown(socket.SHUT_RDWR)
    for connection in open_ones:
        connection.close()


@pytest.mark.parametrize(
    ("reply", "health"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", HEALTHY, id="fine"),
        pytest.param(b"HTTP/1.0 204 No Content\r\nA: b\r\n\r\nrest", HEALTHY, id="in the range"),
        pytest.param(b"HTTP/1.1 503 Sorry\r\n\r\n", mismatch(503), id="another code"),
        pytest.param(b"", CHECK_FAILED, id="closed"),
        pytest.param(b"HTTP/1.1 200 OK\r\nCont", CHECK_FAILED, id="cut off"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n\r\n", CHECK_FAILED, id="not HTTP"),
        pytest.param(b"HTTP/1.1 what\r\n\r\n", CHECK_FAILED, id="no code"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20000, CHECK_FAILED, id="endless head"),
        pytest.param(None, TIMED_OUT, id="no answer"),
    ],
)
def test_an_answer_is_judged(reply: bytes | None, health: Health) -> None:
    """Each kind of answer, and each way not to answer, has the reason that AWS gives it."""
    with replying(reply) as (port, asked):
        assert asyncio.run(verdict(check(port))) == health
    assert asked[0].startswith(b"GET /up?a=b HTTP/1.1\r\n")
    assert b"\r\nUser-Agent: ELB-HealthChecker/2.0\r\n" in asked[0]


def test_a_refused_connection_is_a_failed_check() -> None:
    """Nobody listens: the check failed, at once."""
    with socket.create_server((ADDRESS, 0)) as server:
        port = server.getsockname()[1]
    assert asyncio.run(verdict(check(port))) == CHECK_FAILED


@pytest.mark.parametrize(
    ("code", "matcher", "expected"),
    [
        (200, "200", True),
        (201, "200", False),
        (299, "200-299", True),
        (300, "200-299", False),
        (202, "200,202", True),
        (201, "200,202", False),
        (404, "200-299,404", True),
        (200, "200,", True),
    ],
)
def test_matchers(code: int, matcher: str, expected: bool) -> None:  # noqa: FBT001 (a table)
    """A matcher is codes and ranges, separated by commas."""
    assert matches(code, matcher) is expected
