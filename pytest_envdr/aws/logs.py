"""CloudWatch Logs: what containers and functions wrote."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pytest_envdr.errors import NotFound

if TYPE_CHECKING:
    from pytest_envdr.aws import Aws


@dataclass(frozen=True)
class LogEvent:
    """One line; `at` is the writer's time stamp."""

    at: datetime
    stream: str
    message: str


def events(aws: Aws, group: str, *, since: datetime, pattern: str | None = None) -> list[LogEvent]:
    """The lines of a log group since an instant, oldest first; a line may take some seconds to be found.

    Args:
        aws: the account.
        group: the log group's name.
        since: aware UTC; milliseconds count.
        pattern: a CloudWatch Logs filter pattern.

    Raises:
        NotFound: there is no such log group.
    """
    arguments: dict[str, Any] = {"logGroupName": group, "startTime": int(since.timestamp() * 1000)}
    if pattern is not None:
        arguments["filterPattern"] = pattern
    rows = aws.pages("logs.FilterLogEvents", "events", what=f"Log group {group} cannot be read", **arguments)
    found = [
        LogEvent(datetime.fromtimestamp(row["timestamp"] / 1000, UTC), row["logStreamName"], row["message"])
        for row in rows
    ]
    return sorted(found, key=lambda event: event.at)


def names(aws: Aws, group: str, word: str, *, since: datetime) -> bool:
    """Whether a log group has a word in it since an instant, and not only as the beginning of a longer name; not where
    there is no such group: a function's comes with its first line."""
    try:
        text = "\n".join(line.message for line in events(aws, group, since=since))
    except NotFound:
        return False
    return re.search(rf"{re.escape(word)}(?![\w-])", text) is not None
