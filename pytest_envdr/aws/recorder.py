"""Every call as a value: what was asked, what was answered, how long it took, and what stood behind the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pytest_envdr.timeline import Clock

FIDELITY_HEADER = "x-envdr-fidelity"
"""The header that a sandbox adds to its answers."""


@dataclass(frozen=True)
class Call:
    """One call.

    Attributes:
        service, operation: "ecs", "DescribeServices".
        request_id: AWS's own; None where it gave none.
        status: the HTTP status; None when nothing was answered.
        milliseconds: from the first attempt to the answer, retries among it.
        fidelity: what a sandbox says stands behind the answer; None from AWS.
        error: AWS's code, or what kept the call from being answered; None when it went well.
        at, clock: when it was begun, in UTC and on the monotonic clock.
        retries: how many attempts failed before.
    """

    service: str
    operation: str
    request_id: str | None
    status: int | None
    milliseconds: float
    fidelity: str | None
    error: str | None
    at: datetime
    clock: float
    retries: int = 0


class Recorder:
    """Hooks of a client that tell of each call when it is over."""

    def __init__(self, on_call: Callable[[Call], None], clock: Clock) -> None:
        self._on_call = on_call
        self._clock = clock

    def attach(self, events: Any, service: str) -> None:
        """Put the hooks into a client: `events` is botocore's emitter of that client."""

        def begin(context: dict[str, Any], **_: Any) -> None:
            context["envdr_begin"] = self._clock.monotonic()

        def answered(model: Any, context: dict[str, Any], parsed: dict[str, Any], **_: Any) -> None:
            self._on_call(self._call(service, model.name, context, parsed))

        def failed(context: dict[str, Any], exception: Exception, **_: Any) -> None:
            operation = context.get("envdr_operation", "")
            self._on_call(self._call(service, operation, context, {}, type(exception).__name__))

        def named(model: Any, context: dict[str, Any], **_: Any) -> None:
            context["envdr_operation"] = model.name

        events.register_last("before-call", named, unique_id="envdr-recorder-name")
        events.register_last("before-call", begin, unique_id="envdr-recorder-begin")
        events.register("after-call", answered, unique_id="envdr-recorder-end")
        events.register("after-call-error", failed, unique_id="envdr-recorder-error")

    def _call(
        self, service: str, operation: str, context: dict[str, Any], parsed: dict[str, Any], error: str | None = None
    ) -> Call:
        begin = context.get("envdr_begin", self._clock.monotonic())
        facts = parsed.get("ResponseMetadata", {})
        return Call(
            service=service,
            operation=operation,
            request_id=facts.get("RequestId"),
            status=facts.get("HTTPStatusCode"),
            milliseconds=round((self._clock.monotonic() - begin) * 1000, 1),
            fidelity=facts.get("HTTPHeaders", {}).get(FIDELITY_HEADER),
            error=error or parsed.get("Error", {}).get("Code"),
            at=self._clock.at(begin),
            clock=begin,
            retries=facts.get("RetryAttempts", 0),
        )
