"""A WebSocket client of a few lines (RFC 6455), so that the server is not judged by code of this project."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
from typing import Any, Self

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA


class WebSocket:
    """One connection."""

    def __init__(self, address: str, port: int, path: str, *, timeout: float = 5.0) -> None:
        self._socket = socket.create_connection((address, port), timeout)
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self._file = self._socket.makefile("rb")
        self.status = int(self._file.readline().split()[1])
        headers = dict(line.decode().strip().split(": ", 1) for line in iter(self._file.readline, b"\r\n"))
        expected = base64.b64encode(hashlib.sha1(f"{key}{GUID}".encode()).digest()).decode()  # noqa: S324 (RFC 6455)
        self.accepted = headers.get("Sec-WebSocket-Accept") == expected

    def send(self, payload: bytes, opcode: int = TEXT, *, final: bool = True) -> None:
        """One masked frame."""
        mask, length = os.urandom(4), len(payload)
        head = bytes([0x80 * final | opcode])
        size = bytes([0x80 | length]) if length < 126 else bytes([0xFE]) + length.to_bytes(2, "big")
        self._socket.sendall(head + size + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))

    def receive(self) -> tuple[int, bytes]:
        """The next frame's opcode and payload."""
        first, size = self._file.read(2)
        length = int.from_bytes(self._file.read(2), "big") if size == 126 else size
        return first & 0x0F, self._file.read(length)

    def ask(self, message: Any) -> Any:
        """Send a message as JSON; the answer."""
        self.send(json.dumps(message).encode())
        return self.message()

    def message(self) -> Any:
        """The next message, parsed."""
        return json.loads(self.receive()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()
