"""CloudWatch Logs: what was written, in order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pytest_envdr.aws import Aws, logs
from pytest_envdr.errors import NotFound
from tests import account


def test_lines_are_read_in_order_across_streams() -> None:
    """Lines of several streams come by their time; a start and a pattern narrow them."""
    group, now = account.unique("/ecs/api"), datetime.now(UTC).replace(microsecond=0)
    client = account.plain("logs")
    client.create_log_group(logGroupName=group)
    for stream, offsets in (("one/1", (0, 2)), ("two/1", (1, 3))):
        client.create_log_stream(logGroupName=group, logStreamName=stream)
        events = [
            {"timestamp": int((now + timedelta(seconds=offset)).timestamp() * 1000), "message": f"line {offset}"}
            for offset in offsets
        ]
        client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
    aws = Aws(account.stack())
    found = logs.events(aws, group, since=now)
    assert [event.message for event in found] == ["line 0", "line 1", "line 2", "line 3"]
    assert found[0].at == now
    later = logs.events(aws, group, since=now + timedelta(seconds=2))
    assert [event.message for event in later] == ["line 2", "line 3"]
    assert [event.stream for event in logs.events(aws, group, since=now, pattern='"line 3"')] == ["two/1"]


def test_an_unknown_log_group_is_named() -> None:
    """A log group that is not there is NotFound with its name."""
    with pytest.raises(NotFound, match="Log group /no/such"):
        logs.events(Aws(account.stack()), "/no/such", since=datetime.now(UTC))
