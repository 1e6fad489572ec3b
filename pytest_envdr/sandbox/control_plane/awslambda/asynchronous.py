"""Asynchronous invocations: accepted at once, tried up to three times, and then handed on or dropped.

Source: "Asynchronous invocation" and "Error handling for asynchronous invocation" (Lambda developer guide), and its
notice of 30 August 2021 on a reserved concurrency of 0. Pure but for the clock.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_envdr.sandbox.control_plane.awslambda import delays

if TYPE_CHECKING:
    from datetime import datetime

    from pytest_envdr.sandbox.control_plane.awslambda.execution import Outcome
    from pytest_envdr.sandbox.control_plane.awslambda.function import InvokeConfig, SandboxFunction

MOST_RETRIES = 2
SUCCESS, EXHAUSTED, TOO_OLD, ZERO = "Success", "RetriesExhausted", "EventAgeExceeded", "ZeroReservedConcurrency"
"""How an event ends, as the record for a destination names it."""
TRIED = 200
"""The status of an execution, whatever came of it."""
THROTTLED = 429
MESSAGES = {
    ZERO: "Function not invoked. Function is configured with zero reserved concurrent executions",
    TOO_OLD: "Rate Exceeded.",
}
"""What a dead-letter queue is told of an event that was never tried."""


@dataclass
class Event:
    """An accepted event on its way.

    Attributes:
        function: the version it is for.
        qualifier: which version or alias was asked for.
        payload: JSON.
        request_id: the same for all attempts.
        tries: how often the function was called with it.
        due: when it is looked at next; monotonic.
        throttles: how often in a row there was no room for it.
        outcome: of the last try.
    """

    function: SandboxFunction
    qualifier: str
    payload: str
    request_id: str
    accepted: float = field(default_factory=time.monotonic)
    due: float = field(default_factory=time.monotonic)
    tries: int = 0
    throttles: int = 0
    outcome: Outcome | None = None

    def throttled(self, speed: float) -> None:
        """There was no room for it: it waits, twice as long each time."""
        self.throttles += 1
        self.due = time.monotonic() + delays.backoff(self.throttles) / speed

    def tried(self, outcome: Outcome, config: InvokeConfig | None, speed: float) -> str | None:
        """How it ends with that outcome; None where it is tried again."""
        self.tries, self.throttles, self.outcome = self.tries + 1, 0, outcome
        if not outcome.error:
            return SUCCESS
        retries = MOST_RETRIES if config is None or config.retries is None else config.retries
        if self.tries > retries:
            return EXHAUSTED
        self.due = time.monotonic() + delays.RETRY_SECONDS[self.tries - 1] / speed
        return None

    def is_too_old(self, config: InvokeConfig | None, speed: float) -> bool:
        """Whether it is older than the function wants events to be."""
        age = delays.MOST_AGE_SECONDS if config is None or config.age is None else config.age
        return time.monotonic() - self.accepted >= age / speed

    def record(self, condition: str, now: datetime) -> dict[str, Any]:
        """What a destination is told ("Configuring destinations for asynchronous invocation")."""
        context = {
            "requestId": self.request_id,
            "functionArn": f"{self.function.root_arn}:{self.qualifier}",
            "condition": condition,
            "approximateInvokeCount": self.tries,
        }
        told: dict[str, Any] = {
            "version": "1.0",
            "timestamp": f"{now.isoformat(timespec='milliseconds').removesuffix('+00:00')}Z",
            "requestContext": context,
            "requestPayload": json.loads(self.payload),
        }
        if self.outcome is not None:
            version = str(self.function.version)
            error = {"functionError": self.outcome.error} if self.outcome.error else {}
            told["responseContext"] = {"statusCode": TRIED, "executedVersion": version, **error}
            told["responsePayload"] = json.loads(self.outcome.payload)
        return told

    def letter(self, condition: str) -> dict[str, str]:
        """The attributes of the message in a dead-letter queue, whose body is the event itself. One that a reserved
        concurrency of 0 ended has no ErrorCode."""
        tried = self.outcome is not None
        message = self.outcome.message if self.outcome is not None else MESSAGES[condition]
        code = {} if condition == ZERO else {"ErrorCode": str(TRIED if tried else THROTTLED)}
        return {"RequestID": self.request_id, **code, "ErrorMessage": message[:1024]}
