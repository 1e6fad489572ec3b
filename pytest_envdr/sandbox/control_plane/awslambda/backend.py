"""moto's Lambda backend, with functions that run."""

from __future__ import annotations

import json
import threading
import uuid
from typing import TYPE_CHECKING, Any, cast

from moto.awslambda.models import LambdaBackend, LambdaFunction
from typing_extensions import override

from pytest_envdr.sandbox.control_plane.awslambda import concurrency, metrics
from pytest_envdr.sandbox.control_plane.awslambda.asynchronous import Event
from pytest_envdr.sandbox.control_plane.awslambda.errors import (
    InvalidParameterValueException,
    InvalidRequestContentException,
    NotPermitted,
    RequestTooLargeException,
    ResourceConflictException,
    ResourceNotFoundException,
    TooManyRequestsException,
)
from pytest_envdr.sandbox.control_plane.awslambda.function import LATEST, InvokeConfig, SandboxFunction, require_zip
from pytest_envdr.sandbox.control_plane.extension import backend_lock, moto_urls
from pytest_envdr.sandbox.control_plane.s3.policy import ALLOW, verdict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from pytest_envdr.sandbox.world import World

SYNCHRONOUS_BYTES, ASYNCHRONOUS_BYTES = 6 * 1024 * 1024, 1024 * 1024
"""How large an event may be."""


class SandboxLambda(LambdaBackend):
    """One account's functions in one Region. `world` is None where no control loop acts.

    Attributes:
        waiting: asynchronous events that have not ended, in the order in which they came.
        executions: how many there are now, of all functions.
        stopping: set where the sandbox ends.
    """

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.world: World | None = None
        self.waiting: list[Event] = []
        self.executions = 0
        self.stopping = threading.Event()

    @property
    def _url_module(self) -> ModuleType:
        return moto_urls("awslambda")

    def reset(self) -> None:
        """moto's reset makes the object anew; the world stays."""
        world = self.world
        super().reset()
        self.world = world

    @property
    def here(self) -> World:
        """The world.

        Raises:
            NotImplementedError: nothing acts in this Region; answered 501.
        """
        if self.world is None:
            raise NotImplementedError(f"functions in {self.region_name}")
        return self.world

    @override
    def create_function(self, spec: dict[str, Any]) -> LambdaFunction:
        """CreateFunction."""
        name = spec["FunctionName"].rsplit(":", 1)[-1]
        wanted = {**spec, "FunctionName": name}
        function = SandboxFunction(self.account_id, wanted, self.region_name, self.here)  # type: ignore[abstract]
        self._lambdas.put_function(function)
        if spec.get("Publish"):
            self.publish_version(name)
        return function

    def function(self, name: str, qualifier: str | None = None) -> SandboxFunction:
        """A function by name or ARN, in the version asked for.

        Raises:
            UnknownFunctionException: moto's, ResourceNotFoundException for the client.
        """
        return cast("SandboxFunction", self.get_function(name, qualifier))

    def replace_code(self, name: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """UpdateFunctionCode."""
        function = self.function(name)
        before = (function.code_bytes, function.code_size, function.code_sha_256, function.code_digest)
        if not wanted.get("DryRun"):
            function.begin_update()
        function.update_function_code(dict(wanted))
        try:
            require_zip(function.code_bytes)
        except InvalidParameterValueException:
            function.code_bytes, function.code_size, function.code_sha_256, function.code_digest = before
            function.life.updated_at = 0.0
            raise
        if wanted.get("Publish"):
            return cast("SandboxFunction", self.publish_version(name)).get_configuration()
        return function.get_configuration()

    @override
    def add_permission(self, function_name: str, qualifier: str, raw: str) -> dict[str, Any]:
        """AddPermission."""
        named = json.loads(raw)["StatementId"]
        if any(each["Sid"] == named for each in self.function(function_name, qualifier).policy.statements):
            raise ResourceConflictException(
                f"The statement id ({named}) provided already exists. Please provide a new statement id, or remove the "
                "existing statement."
            )
        return super().add_permission(function_name, qualifier, raw)

    # Concurrency

    @property
    def functions(self) -> list[SandboxFunction]:
        """All of them, each in its latest version."""
        return cast("list[SandboxFunction]", self._lambdas.latest())

    def reserve(self, name: str, wanted: int) -> int:
        """PutFunctionConcurrency."""
        function = self.function(name)
        concurrency.require_reservable(self.functions, function, wanted)
        function.reserved_concurrency = wanted
        return wanted

    # Invocations

    def admit(self, name: str, qualifier: str | None, payload: str) -> SandboxFunction:
        """The function that shall run at once; it counts as running from here on.

        Raises:
            ServiceException: it may not, in Lambda's words.
        """
        with backend_lock:
            function = self._invocable(name, qualifier, payload, SYNCHRONOUS_BYTES)
            limit = concurrency.limit_hit(self.functions, function)
            if limit is not None:
                metrics.publish(self.here, function.function_name, Throttles=1)
                raise TooManyRequestsException(limit)
            self.begin(function)
            return function

    def begin(self, function: SandboxFunction) -> None:
        """It runs once more, until it is released. Callers hold the lock."""
        function.life.running += 1
        self.executions += 1

    def release(self, function: SandboxFunction) -> None:
        """That run has ended."""
        with backend_lock:
            function.life.running -= 1
            self.executions -= 1

    def accept(self, name: str, payload: str, qualifier: str | None = None, request_id: str | None = None) -> str:
        """Take an event to run the function with, soon; the request's id.

        It is taken whether or not there is room, also where the reserved concurrency is 0.

        Raises:
            ServiceException: there is no such function, or the event is none.
        """
        with backend_lock:
            function = self._invocable(name, qualifier, payload, ASYNCHRONOUS_BYTES)
            event = Event(function, qualifier or LATEST, payload, request_id or str(uuid.uuid4()))
            self.waiting.append(event)
            metrics.publish(self.here, function.function_name, AsyncEventsReceived=1)
            return event.request_id

    def accept_from(self, service: str, arn: str, payload: str, *, source: str) -> str:
        """The same for another service, if the function's policy lets it in.

        Args:
            service: `events.amazonaws.com`, ...
            arn: the function's.
            payload: the event, JSON.
            source: the ARN of what it comes from, such as the rule.

        Raises:
            NotPermitted: it may not.
            ServiceException: there is no such function.
        """
        with backend_lock:
            function = self.function(arn)
            asked = {"aws:principalservicename": service, "aws:sourcearn": source, "aws:sourceaccount": self.account_id}
            policy = json.dumps({"Statement": function.policy.statements})
            if verdict(policy, action="lambda:InvokeFunction", resource=arn, asked=asked) != ALLOW:
                raise NotPermitted(
                    f"User: {service} is not authorized to perform: lambda:InvokeFunction on resource: {arn} because "
                    "no resource-based policy allows the lambda:InvokeFunction action"
                )
            return self.accept(arn, payload)

    def _invocable(self, name: str, qualifier: str | None, payload: str, most: int) -> SandboxFunction:
        function = self.function(name, qualifier)
        if len(payload.encode()) > most:
            raise RequestTooLargeException(
                f"{len(payload.encode())} byte payload is too large for the invocation type (limit {most} bytes)"
            )
        try:
            json.loads(payload)
        except ValueError as error:
            raise InvalidRequestContentException(f"Could not parse request body into json: {error}") from error
        if not function.active:
            raise ResourceConflictException(
                "The operation cannot be performed at this time. The function is currently in the following state: "
                "Pending"
            )
        return function

    def notify(self, function: SandboxFunction, body: str) -> None:
        """What moto's services call: S3, with a bucket's event."""
        (record,) = json.loads(body).get("Records") or [{}]
        if record.get("eventSource") != "aws:s3":
            raise NotImplementedError("functions that other services than S3 call")
        self.accept_from("s3.amazonaws.com", function.root_arn, body, source=record["s3"]["bucket"]["arn"])

    @override
    def send_sns_message(
        self, function_name: str, message: str, subject: str | None = None, qualifier: str | None = None
    ) -> None:
        """What moto's topics call: not through a function's policy, which they do not know of."""
        raise NotImplementedError("functions that are subscribed to topics")

    @override
    def create_event_source_mapping(self, spec: dict[str, Any]) -> Any:
        """CreateEventSourceMapping: nothing would poll."""
        raise NotImplementedError("event source mappings")

    # How asynchronous invocations are dealt with

    def config(self, name: str, qualifier: str | None) -> InvokeConfig:
        """GetFunctionEventInvokeConfig."""
        function = self.function(name)
        config = function.life.configs.get(qualifier or LATEST)
        if config is None:
            arn = f"{function.root_arn}:{qualifier or LATEST}"
            raise ResourceNotFoundException(f"The function {arn} doesn't have an EventInvokeConfig")
        return config

    def configure(self, name: str, qualifier: str | None, given: Mapping[str, Any], *, anew: bool) -> InvokeConfig:
        """PutFunctionEventInvokeConfig where it is set `anew`, else UpdateFunctionEventInvokeConfig."""
        now = self.here.now()
        before = InvokeConfig(now) if anew else self.config(name, qualifier)
        config = before.updated(given, now)
        self.function(name).life.configs[qualifier or LATEST] = config
        return config
