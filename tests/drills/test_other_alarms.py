"""A drill held as a library, without pytest's fixtures, while another service's alarm fires."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_envdr.drills import services
from pytest_envdr.exercise import Charge, Exercise
from pytest_envdr.sandbox.envelope.account import Account
from pytest_envdr.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def rehearsed(sandbox_stack: Path, tmp_path: Path) -> Iterator[Exercise]:
    """An exercise on the running stack, with evidence and state of its own."""
    chosen = Settings(stack=sandbox_stack, evidence=tmp_path / "evidence", state_directory=tmp_path / "state")
    begun = Exercise.begin(chosen, root=tmp_path)
    yield begun
    begun.release()


def test_another_service_s_alarm_is_not_this_one_s(rehearsed: Exercise) -> None:
    """While one service is down, another's alarm tells its own story: it is noted, and does not count as seen."""
    stack = rehearsed.stack
    row, other = stack.services["hq"], stack.services["tenant"].alarms[0]
    account = Account(type("Place", (), {"region": stack.region, "endpoint": stack.endpoint})())
    drill = rehearsed.drill(Charge("rehearsal", "ecs_failover", overrides={"rto_seconds": 30, "detect_seconds": 3}))
    with services.stopped(rehearsed.aws, rehearsed.journal, drill, row) as service:
        account.client("cloudwatch").set_alarm_state(AlarmName=other, StateValue="ALARM", StateReason="a rehearsal")
        service.wait_until_seen()
        service.restore()
        service.wait_until_recovered()
    assert f"message: {other} ALARM" in [entry.data.get("text") for entry in drill.entries if entry.kind == "note"]
    assert drill.marked("seen") is None or drill.marked(f"message: {row.alarms[0]} ALARM") is not None
