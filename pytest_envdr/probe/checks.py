"""What the probe asks: one class for each kind of probe in the stack file.

Every request has a connection of its own: through the load balancer, as a new client would come, past any proxy.
"""

from __future__ import annotations

import http.client
import json
import secrets
import socket
import ssl
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from pytest_envdr.probe.samples import Answer
from pytest_envdr.probe.websocket import WebSocket
from pytest_envdr.stack import HeartbeatProbe, HttpProbe, JobProbe, WebSocketProbe

if TYPE_CHECKING:
    from pytest_envdr.stack import Probe

TIMEOUT_SECONDS = 3.0
TAKEN = (http.HTTPStatus.OK, http.HTTPStatus.CREATED, http.HTTPStatus.ACCEPTED)
"""What says that a job was put into the queue."""
POLL_SECONDS = 0.2
QUEUED_POLL_SECONDS = 1.0


class _Garbled(OSError):
    """An answer that is not HTTP, or broke off in the middle."""


_CLASSES: tuple[tuple[type[Exception], str], ...] = (
    (TimeoutError, "timeout"),
    (ConnectionRefusedError, "refused"),
    (http.client.RemoteDisconnected, "closed"),
    (ConnectionError, "reset"),
    (socket.gaierror, "name"),
    (ssl.SSLError, "tls"),
    (_Garbled, "protocol"),
    (OSError, "network"),
    (ValueError, "not json"),
)


class Check(Protocol):
    """One question that can be asked again and again, from several threads at once."""

    def __call__(self) -> Answer: ...

    def prime(self) -> None:
        """Before the first question."""

    def stop(self) -> None:
        """No more questions; those that wait give up."""

    def error_class(self, error: Exception) -> str:
        """One word for what kept the answer from coming."""


class _Asking:
    def __init__(self, probe: Probe, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._url = urlsplit(probe.url)
        self._path = self._url.path.rstrip("/") + probe.path
        self._host = probe.host or self._url.netloc
        self._timeout = timeout_seconds

    def prime(self) -> None:
        """Nothing to do for most kinds."""

    def stop(self) -> None:
        """Nothing waits for most kinds."""

    def error_class(self, error: Exception) -> str:
        return next((word for kind, word in _CLASSES if isinstance(error, kind)), type(error).__name__)

    def _connection(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
        return kind(self._url.hostname or "", self._url.port, timeout=self._timeout)

    def _request(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Status and JSON object of one exchange; an answer that is not 200 has no object."""
        connection = self._connection()
        try:
            headers = {"Host": self._host, "Connection": "close", "Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            content = response.read()
        except http.client.HTTPException as error:
            raise error if isinstance(error, OSError) else _Garbled(str(error)) from error
        finally:
            connection.close()
        return response.status, _object(content) if response.status == http.HTTPStatus.OK else {}


class HttpCheck(_Asking):
    """Writes a value and reads it back; the verdict is on the value."""

    def __call__(self) -> Answer:
        value = secrets.token_hex(8)
        status, body = self._request("POST", self._path, {"value": value})
        return _refused(status) or _valued(status, body.get("value") == value)


class WebSocketCheck(_Asking):
    """A handshake, and one question that is answered from the database."""

    def __call__(self) -> Answer:
        value = secrets.token_hex(8)
        connection = self._connection()
        try:
            connection.connect()
            socket_ = WebSocket(connection.sock, time.monotonic() + self._timeout)
            status = socket_.shake_hands(self._host, self._path)
            if status != http.HTTPStatus.SWITCHING_PROTOCOLS:
                return Answer(ok=False, status=status, error=f"http {status}")
            socket_.send(json.dumps({"event": "dr:probe", "data": {"value": value}}))
            return _valued(status, self._reply(socket_) == value)
        finally:
            connection.close()

    def _reply(self, socket_: WebSocket) -> Any:
        """The value in the answer; what the server says of its own accord before is passed over."""
        while True:
            frame = json.loads(socket_.receive())
            if isinstance(frame, dict) and frame.get("event") == "dr:probe":
                data = frame.get("data")
                data = json.loads(data) if isinstance(data, str) else data
                return data.get("value") if isinstance(data, dict) else None


class JobCheck(_Asking):
    """Puts a job into the queue and waits until it is done, `within_seconds` at most.

    Queues are served in order: the oldest job that is not done yet is asked for often, the others now and then.
    """

    def __init__(self, probe: JobProbe, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        super().__init__(probe, timeout_seconds)
        self._within = probe.within_seconds
        self._turn = threading.Condition()
        self._waiting: deque[str] = deque()
        self._stopped = False

    def __call__(self) -> Answer:
        value = secrets.token_hex(8)
        deadline = time.monotonic() + self._within
        status, _ = self._request("POST", self._path, {"value": value})
        if status not in TAKEN:
            return Answer(ok=False, status=status, error=f"http {status}")
        with self._turn:
            self._waiting.append(value)
        try:
            return self._wait_until_done(value, deadline)
        finally:
            with self._turn:
                self._waiting.remove(value)
                self._turn.notify_all()

    def stop(self) -> None:
        with self._turn:
            self._stopped = True
            self._turn.notify_all()

    def _wait_until_done(self, value: str, deadline: float) -> Answer:
        asked = time.monotonic()
        while not self._stopped and time.monotonic() < deadline:
            status, body = self._request("GET", f"{self._path}/{value}")
            if body.get("done_at") is not None:
                return Answer(ok=True, status=status, value_ok=True, blur_seconds=time.monotonic() - asked)
            asked = time.monotonic()
            self._wait_for_turn(value)
        return Answer(ok=False, error="not done")

    def _wait_for_turn(self, value: str) -> None:
        until = time.monotonic() + QUEUED_POLL_SECONDS
        with self._turn:
            if self._waiting[0] == value:
                self._turn.wait_for(lambda: self._stopped, POLL_SECONDS)
                return
            self._turn.wait_for(lambda: self._stopped or self._waiting[0] == value, until - time.monotonic())


class HeartbeatCheck(_Asking):
    """Looks for a new heartbeat; the last one may be `within_seconds` old, by this machine's clock."""

    def __init__(self, probe: HeartbeatProbe, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        super().__init__(probe, timeout_seconds)
        self._within = probe.within_seconds
        self._lock = threading.Lock()
        self._newest: int | None = None
        self._seen_at = time.monotonic()

    def __call__(self) -> Answer:
        status, body = self._request("GET", self._path)
        return _refused(status) or self._judged(status, _sequence(body))

    def prime(self) -> None:
        """The number before the first question, so that the first question has something to compare with."""
        try:
            status, body = self._request("GET", self._path)
            if status == http.HTTPStatus.OK:
                self._judged(status, _sequence(body))
        except (OSError, ValueError):
            return  # the first question will say so

    def _judged(self, status: int, sequence: int) -> Answer:
        with self._lock:
            now = time.monotonic()
            new = self._newest is None or sequence > self._newest
            if new:
                self._newest, self._seen_at = sequence, now
            fresh = now - self._seen_at <= self._within
        return Answer(ok=fresh, status=status, error=None if fresh else "no heartbeat", value_ok=fresh, proof=new)


_CHECKS: dict[str, type[HttpCheck | WebSocketCheck | JobCheck | HeartbeatCheck]] = {
    "http": HttpCheck,
    "websocket": WebSocketCheck,
    "job": JobCheck,
    "heartbeat": HeartbeatCheck,
}


def check_for(probe: Probe, *, timeout_seconds: float = TIMEOUT_SECONDS) -> Check:
    """The check for a probe of the stack file."""
    match probe:
        case HttpProbe():
            return HttpCheck(probe, timeout_seconds)
        case WebSocketProbe():
            return WebSocketCheck(probe, timeout_seconds)
        case JobProbe():
            return JobCheck(probe, timeout_seconds)
        case HeartbeatProbe():
            return HeartbeatCheck(probe, timeout_seconds)


def _object(content: bytes) -> dict[str, Any]:
    """The JSON object in an answer."""
    found = json.loads(content)
    if not isinstance(found, dict):
        raise ValueError("the answer is not a JSON object")
    return found


def _sequence(body: dict[str, Any]) -> int:
    """The heartbeat's number; 0 before the first."""
    found = body.get("sequence", ...)
    if found is not None and not isinstance(found, int):
        raise ValueError("the answer has no sequence number")
    return found or 0


def _refused(status: int) -> Answer | None:
    return None if status == http.HTTPStatus.OK else Answer(ok=False, status=status, error=f"http {status}")


def _valued(status: int, right: bool) -> Answer:  # noqa: FBT001 (the verdict itself)
    return Answer(ok=right, status=status, error=None if right else "wrong value", value_ok=right)
