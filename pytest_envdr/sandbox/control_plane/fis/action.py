"""The one action that is done here, and what a request must say for it. Source: FIS user guide, "Actions reference"."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from moto.fis.exceptions import FISException

if TYPE_CHECKING:
    from collections.abc import Mapping

DISRUPT = "aws:network:route-table-disrupt-cross-region-connectivity"
SUBNET = "aws:ec2:subnet"
DURATION = re.compile(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?")
SHORTEST, LONGEST = 60, 12 * 3600
"""Seconds that an action may last."""
DESCRIPTION: dict[str, Any] = {
    "id": DISRUPT,
    "description": "Blocks traffic that originates in the target subnets and is destined for the specified Region.",
    "parameters": {
        "duration": {"description": "The duration, in ISO 8601 format.", "required": True},
        "region": {"description": "The code of the Region to isolate.", "required": True},
    },
    "targets": {"Subnets": {"resourceType": SUBNET}},
    "tags": {},
}
"""What GetAction shows of it."""


class ValidationFailed(FISException):
    """A request that FIS does not take."""

    code = 400

    def __init__(self, message: str) -> None:
        super().__init__("ValidationException", message)


def seconds(duration: str) -> int:
    """An ISO 8601 duration.

    Raises:
        ValidationFailed: it is none, or shorter or longer than an action may last.
    """
    match = DURATION.fullmatch(duration)
    hours, minutes, rest = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    total = 3600 * hours + 60 * minutes + rest
    if not SHORTEST <= total <= LONGEST:
        raise ValidationFailed(f"The duration {duration} is not between PT1M and PT12H.")
    return total


def check(actions: Mapping[str, Any], targets: Mapping[str, Any]) -> None:
    """Raise ValidationFailed for an action of ours without its parameters, or with a target that there is not."""
    for name, action in actions.items():
        if action.get("actionId") != DISRUPT:
            continue
        parameters = action.get("parameters") or {}
        for needed in ("duration", "region"):
            if not parameters.get(needed):
                raise ValidationFailed(f"The parameter {needed} of the action {name} is missing.")
        seconds(parameters["duration"])
        target = targets.get((action.get("targets") or {}).get("Subnets", ""))
        if target is None or target.get("resourceType") != SUBNET:
            raise ValidationFailed(f"The action {name} needs a target Subnets of the type {SUBNET}.")
