"""`maxResults` and `nextToken` of the List operations."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from pytest_envdr.sandbox.control_plane.ecs.errors import InvalidParameterException


def page(rows: list[Any], key: str, *, size: int | None, token: str | None, default: int) -> dict[str, Any]:
    """The page of `rows` that a token asks for, with the next token where more follow."""
    first = _position(token) if token else 0
    last = first + max(1, min(size or default, 100))
    answer: dict[str, Any] = {key: rows[first:last]}
    if last < len(rows):
        answer["nextToken"] = base64.urlsafe_b64encode(str(last).encode()).decode()
    return answer


def _position(token: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(token.encode()))
    except (binascii.Error, ValueError) as error:
        raise InvalidParameterException("Invalid token.") from error
