"""One event on its way to one target, and what a target is given of it."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_envdr.sandbox.control_plane.events import delays

if TYPE_CHECKING:
    from collections.abc import Mapping

STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\['([^']+)'\]")
PLACE = re.compile(r"<([^<>]+)>")


class Undeliverable(Exception):
    """A target did not take an event.

    Attributes:
        code: `ERROR_CODE` in the dead-letter queue.
        again: whether it may be tried again: not without permission, nor where the target is gone.
    """

    def __init__(self, code: str, message: str, *, again: bool) -> None:
        super().__init__(message)
        self.code, self.again = code, again


@dataclass
class Delivery:
    """An event that a rule has matched, for one of its targets.

    Attributes:
        bus, rule, rule_arn: which rule.
        target: as PutTargets got it.
        event: as the bus has it.
        tries: how often it was tried.
        due: when it is tried next; monotonic.
    """

    bus: str
    rule: str
    rule_arn: str
    target: Mapping[str, Any]
    event: Mapping[str, Any]
    accepted: float = field(default_factory=time.monotonic)
    due: float = field(default_factory=time.monotonic)
    tries: int = 0

    @property
    def body(self) -> str:
        """What the target is given."""
        return given(self.target, self.event, self.rule_arn, self.rule)

    @property
    def dead_letter(self) -> str:
        """The queue's ARN for what cannot be delivered, or ""."""
        return str(self.target.get("DeadLetterConfig", {}).get("Arn", ""))

    def failed(self, problem: Undeliverable, speed: float) -> str | None:
        """It is due again later (None), or which bound it has hit ("" where trying again is of no use)."""
        self.tries += 1
        if not problem.again:
            return ""
        policy = self.target.get("RetryPolicy", {})
        if self.tries > policy.get("MaximumRetryAttempts", delays.MOST_RETRIES):
            return "MaximumRetryAttempts"
        self.due = time.monotonic() + delays.backoff(self.tries) / speed
        if self.due - self.accepted > policy.get("MaximumEventAgeInSeconds", delays.MOST_AGE_SECONDS) / speed:
            return "MaximumEventAgeInSeconds"
        return None

    def letter(self, problem: Undeliverable, exhausted: str) -> dict[str, str]:
        """The attributes of the message in the dead-letter queue ("Using dead-letter queues", user guide)."""
        condition = {"EXHAUSTED_RETRY_CONDITION": exhausted} if exhausted else {}
        return {
            "RULE_ARN": self.rule_arn,
            "TARGET_ARN": self.target["Arn"],
            "ERROR_CODE": problem.code,
            "ERROR_MESSAGE": str(problem),
            "RETRY_ATTEMPTS": str(self.tries - 1),
            **condition,
        }


def given(target: Mapping[str, Any], event: Mapping[str, Any], rule_arn: str = "", rule: str = "") -> str:
    """What a target is given of an event: all of it, unless it has an Input, InputPath or InputTransformer."""
    if "Input" in target:
        return str(target["Input"])
    if "InputPath" in target:
        return json.dumps(_found(event, target["InputPath"]))
    if "InputTransformer" in target:
        known = {
            "aws.events.event.json": event,
            "aws.events.event.ingestion-time": event["time"],
            "aws.events.rule-arn": rule_arn,
            "aws.events.rule-name": rule,
        }
        paths = target["InputTransformer"].get("InputPathsMap", {})
        values = known | {name: _found(event, path) for name, path in paths.items()}
        return _filled(target["InputTransformer"]["InputTemplate"], values)
    return json.dumps(event)


def _found(event: Mapping[str, Any], path: str) -> Any:
    """What a JSON path of names and numbers leads to; None where there is nothing."""
    value: Any = event
    for name, number, quoted in STEP.findall(path.removeprefix("$")):
        try:
            value = value[int(number)] if number else value[name or quoted]
        except (LookupError, TypeError):
            return None
    return value


def _filled(template: str, values: Mapping[str, Any]) -> str:
    """A template with its places filled: within quotes as they are, elsewhere as JSON."""

    def fill(match: re.Match[str]) -> str:
        if match[1] not in values:
            return match[0]
        value = values[match[1]]
        quoted = template[: match.start()].count('"') % 2 == 1
        if quoted:
            text = value if isinstance(value, str) else json.dumps(value)
            return json.dumps(text)[1:-1]
        return json.dumps(value)

    return PLACE.sub(fill, template)
