"""The AWS API on loopback: moto's application, with what every answer must have.

Each answer names its fidelity and a request id, and is logged. An operation that the sandbox does not have is answered
with a protocol-correct 501 that names it (botocore does not retry a 501), and so is a fault of ours with a 500: never
an HTML page, which a client would take for an AWS fault.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
import warnings
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from pytest_envdr.errors import UsageError
from pytest_envdr.sandbox.fidelity import HEADER, STORED, Fidelity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pytest_envdr.sandbox.world import World

MISSING = "NotImplementedInSandbox"
UNREACHABLE = "ServiceUnavailable"
EVERYWHERE = frozenset({"iam", "route53", "cloudfront", "organizations", "account"})
"""Services without a Region, though a client that is given an endpoint signs for its own."""
REQUEST_ID = "x-amzn-requestid"
JSON_SERVICES = frozenset({"backup", "lambda", "fis", "scheduler", "pipes", "eks", "batch", "elasticfilesystem"})
"""Services of the REST-JSON protocol, which no header tells from REST-XML."""

log = logging.getLogger("envdr.sandbox")


@dataclass
class _Asked(threading.local):
    """Which operation the request in this thread is for; moto's dispatcher fills it in."""

    service: str = ""
    operation: str = ""
    json_target: bool = False


_asked = _Asked()


class Unreachable(Exception):
    """A Region is cut off."""

    def __init__(self, region: str) -> None:
        super().__init__(f"{region} cannot be reached: an experiment of AWS FIS has cut it off.")


class NotInSandbox(ServiceException):
    """An operation that neither moto nor the sandbox has."""

    code = MISSING


class Dispatcher(DomainDispatcherApplication):
    """moto's dispatcher by service; a service that moto does not have at all is a missing operation as well."""

    def get_backend_for_host(self, host: str | None) -> Any:
        """moto's backend for a host name.

        Raises:
            NotImplementedError: there is none.
        """
        known = any(pattern.match(f"http://{host}") for _, pattern in self.backend_url_patterns)
        if host is not None and "amazonaws.com" in host and not known:
            raise NotImplementedError(host)
        return super().get_backend_for_host(host)

    def infer_service_region_host(self, environ: dict[str, Any], path: str) -> str | None:
        """moto's, by the signature; also by the one in a presigned URL, which moto takes for S3's."""
        scope = parse_qs(environ.get("QUERY_STRING", "")).get("X-Amz-Credential", [""])[0].split("/")
        if "HTTP_AUTHORIZATION" not in environ and len(scope) == 5 and scope[3] != "s3":
            return f"{scope[3]}.{scope[2]}.amazonaws.com"
        return super().infer_service_region_host(environ, path)


class QuietHandler(MotoRequestHandler):
    """moto's request handler without a line on standard error for each request: the front writes its own log."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing."""


@dataclass
class Front:
    """The WSGI application around moto's.

    Attributes:
        fidelities: service -> operation -> what stands behind its answer; what is not in it is `stored`.
        journal: where each answer is logged, a JSON object a line.
        regions: the Regions that something acts in; one that is cut off answers nobody.
    """

    fidelities: Mapping[str, Mapping[str, Fidelity]]
    journal: IO[str]
    regions: Mapping[str, World] = field(default_factory=dict)
    application: Callable[..., Iterable[bytes]] = field(default_factory=lambda: Dispatcher(create_backend_app))

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        started = time.monotonic()
        region, _asked.service = _scope(environ)
        _asked.operation = ""
        _asked.json_target = "HTTP_X_AMZ_TARGET" in environ
        answer = _Answer()
        try:
            body = b"".join(self._application_of(region, _asked.service)(environ, answer.start))
        except Unreachable as error:
            body = answer.fail(503, UNREACHABLE, str(error))
        except NotImplementedError:
            body = answer.fail(501, MISSING, f"The sandbox does not have {_named(environ)}.")
        except Exception as error:
            # The boundary of the server: a client must never see one of our own tracebacks.
            log.exception("%s", environ.get("PATH_INFO"))
            body = answer.fail(500, "InternalFailure", f"{type(error).__name__}: {error}")
        if answer.is_page:
            body = answer.fail(501, MISSING, f"The sandbox does not have {_named(environ)}.")
        self._complete(answer, time.monotonic() - started)
        start_response(answer.status, answer.headers)
        return [body]

    def _application_of(self, region: str, service: str) -> Callable[..., Iterable[bytes]]:
        """What answers in a Region.

        Raises:
            Unreachable: nothing does.
        """
        world = self.regions.get(region)
        if world is not None and world.cut_off and service not in EVERYWHERE:
            raise Unreachable(region)
        return self.application

    def _complete(self, answer: _Answer, seconds: float) -> None:
        fidelity = self.fidelities.get(_asked.service, {}).get(_asked.operation, STORED)
        answer.headers.append((HEADER, str(fidelity)))
        if not answer.header(REQUEST_ID):
            answer.headers.append((REQUEST_ID, str(uuid.uuid4())))
        row = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "service": _asked.service,
            "operation": _asked.operation,
            "status": int(answer.status.split()[0]),
            "milliseconds": round(1000 * seconds, 1),
            "fidelity": str(fidelity),
            "request_id": answer.header(REQUEST_ID),
        }
        self.journal.write(json.dumps(row) + "\n")
        self.journal.flush()


@dataclass
class _Answer:
    """An answer on its way through the front."""

    status: str = "200 OK"
    headers: list[tuple[str, str]] = field(default_factory=list)

    def start(self, status: str, headers: list[tuple[str, str]], *_: Any) -> Callable[[bytes], None]:
        self.status, self.headers = status, list(headers)
        return lambda _: None

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")

    @property
    def is_page(self) -> bool:
        """Flask's own page for a route or method that moto does not have."""
        return self.status[:3] in {"404", "405", "500"} and self.header("content-type").startswith("text/html")

    def fail(self, status: int, code: str, message: str) -> bytes:
        """Turn the answer into an error in the service's own protocol; its body."""
        body, kind = _error_body(_asked.service, json_target=_asked.json_target, code=code, message=message)
        self.status = f"{status} {code}"
        self.headers = [("content-type", kind), ("content-length", str(len(body))), ("x-amzn-errortype", code)]
        return body


def _error_body(service: str, *, json_target: bool, code: str, message: str) -> tuple[bytes, str]:
    """An error in the protocol that the client speaks: AWS's JSON protocols name a target, or are known by service."""
    if json_target or service in JSON_SERVICES:
        return json.dumps({"__type": code, "message": message}).encode(), "application/x-amz-json-1.1"
    error = f"<Code>{code}</Code><Message>{escape(message)}</Message>"
    if service == "s3":
        return f"<Error>{error}</Error>".encode(), "text/xml"
    return f"<ErrorResponse><Error><Type>Receiver</Type>{error}</Error></ErrorResponse>".encode(), "text/xml"


def _scope(environ: Mapping[str, Any]) -> tuple[str, str]:
    """Region and service in the credential scope of the signature, or of the presigned URL."""
    presigned = parse_qs(str(environ.get("QUERY_STRING", ""))).get("X-Amz-Credential", [""])[0]
    parts = (str(environ.get("HTTP_AUTHORIZATION", "")) or f"{presigned}/").split("/")
    return (parts[2], parts[3]) if len(parts) > 4 else ("", "s3")


def _named(environ: Mapping[str, Any]) -> str:
    operation = _asked.operation or f"{environ.get('REQUEST_METHOD')} {environ.get('PATH_INFO')}"
    return f"{_asked.service} {operation}"


def is_asked(service: str, operation: str) -> None:
    """Say what the request in this thread is for, where moto's dispatcher does not know (S3)."""
    _asked.service, _asked.operation = service, operation


def _call_action(original: Callable[[BaseResponse], Any]) -> Callable[[BaseResponse], Any]:
    def call_action(self: BaseResponse) -> Any:
        _asked.service = self.boto3_service_name
        _asked.operation = self._get_action() or ""
        try:
            return original(self)
        except NotImplementedError as error:
            return _missing(self, error)

    return call_action


def _missing(response: BaseResponse, error: NotImplementedError) -> Any:
    log.info("missing: %s", error)
    refusal = NotInSandbox(f"The sandbox does not have {_asked.service} {_asked.operation}.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # moto's, that no service's model has this code: it is ours on purpose
        _, headers, body = response.serialized(ActionResult(refusal))
    return 501, headers, body


def observe_operations() -> None:
    """Note each request's operation on its way through moto, and answer the missing ones; once a process."""
    BaseResponse.call_action = _call_action(BaseResponse.call_action)  # type: ignore[method-assign,assignment]


class Api:
    """The API's HTTP server, in threads of its own."""

    def __init__(self, front: Front, *, port: int) -> None:
        """Bind 127.0.0.1:`port` (0: any free one).

        Raises:
            UsageError: the port is taken.
        """
        try:
            self._server: BaseWSGIServer = make_server(
                "127.0.0.1", port, front, threaded=True, request_handler=QuietHandler
            )
        except (OSError, SystemExit) as error:
            raise UsageError(
                f"The sandbox's API cannot listen on 127.0.0.1:{port}: {error}.\n"
                "To go on: choose another --port, or none to take a free one."
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="api", daemon=True)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
