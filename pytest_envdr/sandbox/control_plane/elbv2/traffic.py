"""What HAProxy did, request by request, from its log over UDP on the load balancer's own address."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_envdr.sandbox.data_plane.haproxy_config import REQUEST_MARK

if TYPE_CHECKING:
    from asyncio import DatagramTransport

RECEIVE_BUFFER = 4 << 20
"""Bytes of log that may wait; the kernel may grant less. HAProxy drops what does not fit, it never waits."""
NO_SERVER = "<NOSRV>"
FORWARDED_ERRORS = {503: 502}
"""HAProxy's own word for a target that refused the connection, and what the client gets and an ALB counts."""


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes:
        group: the target group's name in HAProxy, or None where no rule forwarded it.
        chosen: whether a target was chosen for it.
        status: what the client got, or -1 where it went away before.
        seconds: until the target began to answer; None where it did not, and the answer is the load balancer's own.
    """

    group: str | None
    chosen: bool
    status: int
    seconds: float | None


def parsed(line: str) -> Request | None:
    """The request that a log line reports, or None for a line that reports something else."""
    words = line.split()
    if len(words) != 5 or words[0] != REQUEST_MARK:
        return None
    _, backend, server, status, milliseconds = words
    answered = int(milliseconds) >= 0
    chosen = server != NO_SERVER
    code = int(status)
    if chosen and not answered:
        code = FORWARDED_ERRORS.get(code, code)
    # Without a backend HAProxy names the frontend.
    group = None if backend.startswith("l-") else backend
    return Request(group, chosen, code, int(milliseconds) / 1000 if answered else None)


class Log(asyncio.DatagramProtocol):
    """The receiving end of one load balancer's log."""

    def __init__(self, address: str) -> None:
        self._requests: deque[Request] = deque()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._socket.bind((address, 0))
        self._transport: DatagramTransport | None = None
        self.port: int = self._socket.getsockname()[1]

    async def open(self) -> None:
        """Receive from now on; what came before waits in the socket."""
        self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, sock=self._socket)

    def datagram_received(self, data: bytes, _address: object) -> None:
        request = parsed(data.decode(errors="replace"))
        if request is not None:
            self._requests.append(request)

    def take(self) -> list[Request]:
        """The requests since the last call; may be called from another thread."""
        return [self._requests.popleft() for _ in range(len(self._requests))]

    def close(self) -> None:
        """Idempotent."""
        if self._transport:
            self._transport.close()
        else:
            self._socket.close()
