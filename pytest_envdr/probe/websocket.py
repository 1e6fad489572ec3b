"""Enough of RFC 6455 for a client that asks one question: the handshake, masked text out, text in."""

from __future__ import annotations

import base64
import hashlib
import secrets
import struct
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _CLOSE, _PING, _PONG = 0x1, 0x8, 0x9, 0xA
_SHORT, _TWO_BYTES, _EIGHT_BYTES = 125, 126, 127
_HEAD_BYTES = 16_384


class WebSocket:
    """A WebSocket on a connected socket; every wait ends at `deadline` (monotonic seconds) with TimeoutError."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._socket = connection
        self._deadline = deadline
        self._buffer = b""

    def shake_hands(self, host: str, path: str) -> int:
        """Ask for the upgrade; the status of the answer. A 101 with a wrong signature is an OSError."""
        key = base64.b64encode(secrets.token_bytes(16))
        self._socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key.decode()}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = self._head()
        status = int(head.split(b" ", 2)[1])
        signature = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
        if status == HTTPStatus.SWITCHING_PROTOCOLS and signature not in head:
            raise ConnectionError("the handshake's signature is wrong")
        return status

    def send(self, text: str) -> None:
        """One masked text frame."""
        self._send(_TEXT, text.encode())

    def receive(self) -> str:
        """The next text frame; pings are answered, a close is a ConnectionError."""
        while True:
            opcode, payload = self._frame()
            if opcode == _TEXT:
                return payload.decode()
            if opcode == _CLOSE:
                raise ConnectionResetError("the server closed the WebSocket")
            if opcode == _PING:
                self._send(_PONG, payload)

    def _send(self, opcode: int, payload: bytes) -> None:
        mask = secrets.token_bytes(4)
        size = len(payload)
        length = bytes([0x80 | size]) if size <= _SHORT else bytes([0x80 | _TWO_BYTES]) + struct.pack("!H", size)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        self._socket.sendall(bytes([0x80 | opcode]) + length + mask + masked)

    def _frame(self) -> tuple[int, bytes]:
        first, second = self._take(2)
        size = second & 0x7F
        if size == _TWO_BYTES:
            (size,) = struct.unpack("!H", self._take(2))
        elif size == _EIGHT_BYTES:
            (size,) = struct.unpack("!Q", self._take(8))
        return first & 0x0F, self._take(size)

    def _head(self) -> bytes:
        while b"\r\n\r\n" not in self._buffer:
            if len(self._buffer) > _HEAD_BYTES:
                raise ConnectionError("the handshake's answer does not end")
            self._more()
        head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
        if not head.startswith(b"HTTP/1."):
            raise ConnectionError("the handshake was not answered in HTTP")
        return head

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def _more(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        more = self._socket.recv(65_536)
        if not more:
            raise ConnectionResetError("the server closed the connection")
        self._buffer += more
