"""Redis as a real part: it forgets what it held when it dies, as a cache node does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import redis as client

from pytest_envdr.errors import PartFailed
from pytest_envdr.sandbox.data_plane.redis import PORT, Redis, version
from pytest_envdr.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS = 10.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Redis]:
    server = _started(tmp_path / "redis", "127.215.64.100")
    yield server
    server.stop()


def _started(directory: Path, address: str) -> Redis:
    server = Redis(directory, address=address)
    server.start()
    server.wait_until_ready(deadline=SECONDS)
    return server


def _client(server: Redis) -> client.Redis:
    return client.Redis(server.address, PORT, decode_responses=True)


def test_it_is_the_real_server(server: Redis) -> None:
    """It says its version, evicts nothing and persists nothing."""
    asked = _client(server)
    assert asked.info("server")["redis_version"] == version()
    assert asked.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
    assert (asked.config_get("save")["save"], asked.config_get("appendonly")["appendonly"]) == ("", "no")


def test_a_restarted_node_is_empty(server: Redis) -> None:
    """What a killed node held is gone when it is back."""
    _client(server).rpush("queue", "job")
    server.kill()
    wait_until(lambda: server.exit_code() == 137, what="the server's end", deadline=5, interval=0.01)
    assert not server.answers(timeout=0.3)
    server.start()
    server.wait_until_ready(deadline=SECONDS)
    assert _client(server).exists("queue") == 0


def test_a_frozen_server_does_not_answer(server: Redis) -> None:
    """Frozen, it is no longer ready; thawed, it is."""
    server.freeze()
    try:
        assert not server.answers(timeout=0.3)
    finally:
        server.thaw()
    assert server.answers(timeout=5)


def test_two_side_by_side(server: Redis, tmp_path: Path) -> None:
    """Two at the same port of different addresses do not see one another."""
    other = _started(tmp_path / "other", "127.215.64.101")
    try:
        _client(server).set("key", "here")
        assert _client(other).get("key") is None
    finally:
        other.stop()


def test_a_server_that_cannot_listen_is_told(tmp_path: Path) -> None:
    """An address that cannot be bound is an error with the end of the server's log, not a hang."""
    second = Redis(tmp_path / "second", address="192.0.2.1")
    second.start()
    with pytest.raises(PartFailed, match="Cannot assign requested address"):
        second.wait_until_ready(deadline=SECONDS)
