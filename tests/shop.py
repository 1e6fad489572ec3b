"""A small real server that answers all four kinds of probes, and can be stopped, slowed and spoilt."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from typing_extensions import override

from pytest_envdr.waiting import pause

OK = 200
LONG = 126


class Shop:
    """What the server shall do; each attribute may be changed while it runs."""

    def __init__(self) -> None:
        self.port = 0
        self.status = OK
        self.spoil = False
        self.body: bytes | None = None
        self.delay = 0.0
        self.sequence = 1
        self.done: dict[str, float] = {}
        self.working = True
        self.hosts: set[str] = set()
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen; after a stop on the same port as before."""
        self._server = _Server(self)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def work(self) -> None:
        """Do the jobs that wait."""
        self.done.update({value: time.time() for value, done_at in list(self.done.items()) if not done_at})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        super().__init__(("127.0.0.1", shop.port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    @property
    def shop(self) -> Shop:
        return cast("_Server", self.server).shop

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def do_POST(self) -> None:
        value = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["value"]
        self.shop.hosts.add(self.headers["Host"])
        pause(self.shop.delay)
        if self.path == "/dr/jobs":
            self.shop.done[value] = time.time() if self.shop.working else 0
        self._answer({"value": "another" if self.shop.spoil else value})

    def do_GET(self) -> None:
        if self.headers.get("Upgrade") == "websocket" and self.shop.status == OK:
            self._converse()
        elif self.path == "/dr/heartbeat":
            self._answer({"sequence": self.shop.sequence, "written_at": time.time()})
        else:
            self._answer({"done_at": self.shop.done.get(self.path.rsplit("/", 1)[-1]) or None})

    def _answer(self, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode() if self.shop.body is None else self.shop.body
        self.send_response(self.shop.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _converse(self) -> None:
        """The handshake; then a ping, a greeting, and the answer to the one question."""
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        signature = base64.b64encode(hashlib.sha1(key.encode(), usedforsecurity=False).digest()).decode()
        self.protocol_version = "HTTP/1.1"
        self.send_response(101)
        for name, value in (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", signature)):
            self.send_header(name, value)
        self.end_headers()
        self._frame(0x9, b"are you there")
        self._frame(0x1, json.dumps({"event": "pusher:connection_established", "data": "{}"}).encode())
        asked = json.loads(self._text())["data"]["value"]
        data = json.dumps({"value": "another" if self.shop.spoil else asked})
        self._frame(0x1, json.dumps({"event": "dr:probe", "data": data}).encode())

    def _frame(self, opcode: int, payload: bytes) -> None:
        self.wfile.write(bytes([0x80 | opcode, len(payload)]) + payload)

    def _text(self) -> bytes:
        """The next text frame that the client masked."""
        while True:
            first, second = self.rfile.read(2)
            size = second & 0x7F
            if size == LONG:
                (size,) = struct.unpack("!H", self.rfile.read(2))
            mask, payload = self.rfile.read(4), self.rfile.read(size)
            if first & 0x0F == 0x1:
                return bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
