"""A server in front of the account's: it answers some requests itself, as S3 does and moto does not, and passes on
all others."""

from __future__ import annotations

import http.client
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests import account

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Answer = Callable[[str, str, Mapping[str, str]], "tuple[int, bytes] | None"]
    """Method, path with query, headers -> status and body, or None: pass it on."""

HOP = {"connection", "transfer-encoding", "content-length", "server", "date"}


def error(code: str) -> bytes:
    """S3's error document."""
    return f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()


@dataclass
class Front:
    """Where it listens, and how many requests of each method it passed on and answered itself."""

    endpoint: str
    passed: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)


@contextmanager
def front(answer: Answer) -> Iterator[Front]:
    """A server that asks `answer` about each request."""
    lock, behind = Lock(), urlsplit(account.endpoint()).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def relay(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with lock:
                own = answer(self.command, self.path, dict(self.headers))
                (told.answered if own else told.passed)[self.command] += 1
            if own:
                self.reply(own[0], {"Content-Type": "application/xml"}, own[1])
                return
            connection = http.client.HTTPConnection(behind, timeout=30)
            connection.request(self.command, self.path, body, dict(self.headers))
            response = connection.getresponse()
            length = response.getheader("Content-Length", "0")
            content = response.read()
            self.reply(response.status, dict(response.getheaders()), content, length)
            connection.close()

        def reply(self, status: int, headers: Mapping[str, str], body: bytes, length: str | None = None) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", length if self.command == "HEAD" and length else str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = relay  # noqa: N815 (http.server's names)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told = Front(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
