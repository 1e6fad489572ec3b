"""`maxResults` and `nextToken`, and the filters of the List operations."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC
from typing import TYPE_CHECKING, Any

from pytest_envdr.sandbox.control_plane.backup.errors import InvalidParameterValueException

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

MOST = 1000


def page(rows: list[dict[str, Any]], key: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The page that the parameters ask for, under `key`."""
    size, token = parameters.get("MaxResults"), parameters.get("NextToken")
    if size is not None and not 1 <= int(size) <= MOST:
        raise InvalidParameterValueException(f"maxResults must be between 1 and {MOST}")
    first = _position(str(token)) if token else 0
    last = first + int(size or MOST)
    answer: dict[str, Any] = {key: rows[first:last]}
    if last < len(rows):
        answer["NextToken"] = base64.urlsafe_b64encode(str(last).encode()).decode()
    return answer


def _position(token: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(token.encode()))
    except (binascii.Error, ValueError) as error:
        raise InvalidParameterValueException("Invalid nextToken") from error


def aware(moment: datetime) -> datetime:
    """moto parses time stamps into naive UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def chosen(
    rows: list[dict[str, Any]],
    parameters: Mapping[str, Any],
    *,
    equal: Mapping[str, str],
    after: Mapping[str, str],
    before: Mapping[str, str],
) -> list[dict[str, Any]]:
    """The rows that pass the filters; each maps a parameter's name to the member it looks at."""
    return [
        row
        for row in rows
        if all(row.get(member) == parameters[name] for name, member in equal.items() if parameters.get(name))
        and all(_beyond(row, member, parameters[name], 1) for name, member in after.items() if parameters.get(name))
        and all(_beyond(row, member, parameters[name], -1) for name, member in before.items() if parameters.get(name))
    ]


def _beyond(row: Mapping[str, Any], member: str, moment: datetime, sign: int) -> bool:
    value = row.get(member)
    return value is not None and sign * (value - aware(moment)).total_seconds() > 0
