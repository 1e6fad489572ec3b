"""Pages of the application, asked as a client outside asks them."""

from __future__ import annotations

import http
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_envdr.stack import Service

SECONDS = 5.0


def status(row: Service, path: str, *, seconds: float = SECONDS) -> int:
    """The status of a GET through the load balancer.

    Raises:
        OSError: nobody answers within `seconds`.
    """
    headers = {"Host": row.probe.host} if row.probe.host else {}
    request = urllib.request.Request(f"{row.probe.url.rstrip('/')}{path}", headers=headers)  # noqa: S310 (the stack file's)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=seconds) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def answers(row: Service, path: str) -> bool:
    """Whether a page answers 200; nobody there counts as no."""
    try:
        return status(row, path) == http.HTTPStatus.OK
    except OSError:
        return False
