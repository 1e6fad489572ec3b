"""The addresses of tasks: a free one of the subnet, at the same time the loopback address that the task binds."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

RESERVED_HOSTS = 256
"""The low addresses of a large subnet are left to what stands for good: load balancers, databases, caches."""


class Addresses:
    """Who has which address. Taken in turn, from the start again at the end: an address rests as long as possible."""

    def __init__(self) -> None:
        self._leased: set[str] = set()
        self._last: dict[IPv4Network, int] = {}

    def lease(self, subnet: IPv4Network) -> str | None:
        """The next free address of a subnet, or None where all are taken."""
        first, end = _usable(subnet)
        position = self._last.get(subnet, first - 1)
        for _ in range(end - first):
            position = position + 1 if first <= position + 1 < end else first
            address = str(IPv4Address(int(subnet.network_address) + position))
            if address not in self._leased:
                self._last[subnet] = position
                self._leased.add(address)
                return address
        return None

    def release(self, address: str) -> None:
        """Give an address back, once nothing of the task is alive."""
        self._leased.discard(address)


def _usable(subnet: IPv4Network) -> tuple[int, int]:
    # AWS keeps the first four addresses and the last one of every subnet to itself.
    first = RESERVED_HOSTS if subnet.num_addresses > 4 * RESERVED_HOSTS else 4
    return first, subnet.num_addresses - 1
