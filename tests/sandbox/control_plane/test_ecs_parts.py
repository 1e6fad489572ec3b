"""The small parts of ECS: addresses, pages of output, restarts."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import IPv4Network
from pathlib import Path

from pytest_envdr.sandbox.control_plane.ecs.addresses import Addresses
from pytest_envdr.sandbox.control_plane.ecs.output import OutputReader, Stream
from pytest_envdr.sandbox.control_plane.ecs.throttle import Throttle
from pytest_envdr.sandbox.world import World
from tests.sandbox.control_plane.fargate import until


def test_addresses_rest_before_they_are_used_again() -> None:
    """Addresses are given in turn; one in use is never given twice, one given back comes last."""
    addresses = Addresses()
    subnet = IPv4Network("127.2.0.0/28")
    given = [addresses.lease(subnet) for _ in range(11)]
    assert given == [f"127.2.0.{host}" for host in range(4, 15)]
    assert addresses.lease(subnet) is None
    addresses.release("127.2.0.9")
    assert addresses.lease(subnet) == "127.2.0.9"


def test_low_addresses_of_a_large_subnet_are_left_alone() -> None:
    """Load balancers and databases have the first 256 addresses for themselves."""
    assert Addresses().lease(IPv4Network("127.2.32.0/20")) == "127.2.33.0"


def test_attempts_are_spaced_out_and_a_success_ends_that() -> None:
    """Tasks of one attempt count once, a failed attempt closes the throttle, and a task that runs opens it."""
    throttle = Throttle(World("1", "r", 1, Path(), IPv4Network("127.0.0.0/16")))
    assert throttle.open()
    assert [throttle.failed(0), throttle.failed(0)] == [True, False]
    assert not throttle.open()
    throttle.ran(0)
    assert not throttle.open()
    throttle.ran(1)
    assert throttle.open()


def test_output_is_shipped_in_whole_lines() -> None:
    """A line that comes in pieces is one event, the rest without a newline is one at the end, and a log that cannot be
    written does not stop the others."""
    shipped: dict[str, list[str]] = {}

    def ship(group: str, stream: str, lines: list[tuple[datetime, str]]) -> None:
        if group == "/broken":
            raise OSError(group)
        assert all(at <= datetime.now(UTC) for at, _ in lines)
        shipped.setdefault(stream, []).extend(line for _, line in lines)

    reader = OutputReader(ship)
    broken, stream = Stream("/broken", "b"), Stream("/ecs/shop", "a")
    with open(reader.open(broken), "wb", buffering=0) as other, open(reader.open(stream), "wb", buffering=0) as pipe:  # noqa: PTH123
        other.write(b"lost\n")
        pipe.write(b"one\ntw")
        until(lambda: shipped.get("a") == ["one"])
        pipe.write(b"o\r\nthree")
    assert stream.ended.wait(5)
    assert broken.ended.wait(5)
    assert shipped == {"a": ["one", "two", "three"]}
    reader.close()
