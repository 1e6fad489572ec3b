"""A deployment that whoever watches it has stopped and rolled back, before the circuit breaker does."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from pytest_envdr.errors import WaitTimedOut
from pytest_envdr.timeline import Mark
from pytest_envdr.waiting import wait_until
from tests.drills import deployment_rig as rig
from tests.drills.stranger import PATIENCE, Stranger
from tests.drills.test_deployment_rollback import ROUNDING, Drilled, first_stamp

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.sweep


def test_it_is_green_and_says_who_stopped_it(sandbox_stack: Path, tmp_path: Path) -> None:
    """Seen by a task that failed its health checks; rolled back on request, the circuit breaker never triggered, no
    client noticed; and nothing is left."""
    ran = rig.drilled(sandbox_stack, tmp_path, "hq", rig.STOPPED, "unhealthy")
    assert ran.code == 0, ran.said
    assert ran.as_before
    noticed = ran.noticed()
    assert noticed["ECS, by its tasks"][0] != "never"
    assert "StopServiceDeployment" in noticed["rolled back by ECS"][1]
    assert noticed["circuit breaker"][0] == "never"
    assert noticed["a client"][0] == "never"
    (change,) = rig.service_deployments(Stranger(sandbox_stack), "hq", since=ran.mark("fault"))
    assert change["status"] == "ROLLBACK_SUCCESSFUL"
    assert ran.mark("seen") < change["rollback"]["startedAt"] < ran.mark("recovered")
    check_agrees(Drilled(ran, [change], rig.stopped_tasks(Stranger(sandbox_stack), "hq")))


def check_agrees(outcome: Drilled) -> None:
    """Seen is the instant at which ECS gave the first broken task up; recovered is the first answer after the rollback
    had ended and the last broken task was gone, within the stated error."""
    failed = min(map(first_stamp, outcome.broken))
    assert abs((outcome.ran.mark("seen") - failed).total_seconds()) <= ROUNDING
    gone = [task["executionStoppedAt"] for task in outcome.broken if "executionStoppedAt" in task]
    late = (outcome.ran.mark("recovered") - max([outcome.changes[0]["finishedAt"], *gone])).total_seconds()
    assert -ROUNDING <= late <= outcome.blur


def test_a_deployment_that_is_over_is_not_stopped(sandbox_stack: Path, tmp_path: Path) -> None:
    """ECS called it a success already: that is a deviation and a finding, and the revision of before is deployed."""
    stack, stranger = rig.aimed(sandbox_stack, tmp_path, "hq"), Stranger(sandbox_stack)
    before, fault = rig.looked_at(stranger, "hq"), datetime.now(UTC)
    with rig.rehearsing(stack, tmp_path, "answers-500") as (_, drill, bad):
        wait_until(
            lambda: rig.service_deployments(stranger, "hq", since=fault)[-1:],
            lambda rows: all(row["status"] == "SUCCESSFUL" for row in rows),
            what="the bad deployment complete",
            deadline=PATIENCE,
        )
        bad.stop()
        recovery = bad.wait_until_recovered()
    deviations = [entry.data["text"] for entry in drill.entries if entry.kind == "deviation"]
    assert any(text.startswith("the deployment could not be stopped: it was SUCCESSFUL") for text in deviations)
    assert "deployment.not-rolled-back" in [finding.id for finding in drill.failures]
    assert recovery.rta_seconds > 0
    assert rig.looked_at(stranger, "hq") == before


def test_a_deployment_in_which_no_task_fails_is_not_seen(sandbox_stack: Path, tmp_path: Path) -> None:
    """Whoever watches for failing tasks sees nothing where all pass their health checks: the drill is over, and red."""
    stack = rig.aimed(sandbox_stack, tmp_path, "hq", objectives__bad_deployment_rollback={"rto_seconds": 4.0})
    before = rig.looked_at(Stranger(sandbox_stack), "hq")
    with (
        rig.rehearsing(stack, tmp_path, "answers-500") as (_, drill, bad),
        pytest.raises(WaitTimedOut, match="a task of the broken revision given up"),
    ):
        bad.wait_until_failing()
    assert drill.marked(Mark.SEEN) is None
    assert rig.looked_at(Stranger(sandbox_stack), "hq") == before
