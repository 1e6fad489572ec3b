"""Whatever ends a drill whose broken revision the pipeline ships, and whenever: `envdr undo` ends its executions,
brings the revision of before back, takes away what the pipeline registered, and opens the way, in this order."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.sandbox import Sandbox
from pytest_envdr.sandbox.envelope.pipeline import DEPLOY
from tests.drills import deployment_rig as rig
from tests.drills import lanes, runs
from tests.drills.deployment_deaths import Order
from tests.drills.shipping_rig import aimed, at_rest, executions, stage
from tests.drills.stranger import Stranger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.sweep

CLOSE, START, AGAIN = (
    f"codepipeline.{name}" for name in ("DisableStageTransition", "StartPipelineExecution", "RollbackStage")
)
REGISTER, DEPLOYS = "ecs.RegisterTaskDefinition", "ecs.UpdateService"
"""What the pipeline does, and is written down before it is started."""
ACT = ("before", "intended", "answered", "settled")
WRITTEN = ("before", "intended")
BACK = ("reversing", "reversed", "closed")
STEPS = [
    *(f"{moment} {CLOSE}" for moment in ACT),
    *(f"{moment} {act}" for act in (REGISTER, DEPLOYS) for moment in WRITTEN),
    *(f"{moment} {START}" for moment in ACT),
    *(f"settled {act}" for act in (DEPLOYS, REGISTER)),
    *(f"{moment} {CLOSE}" for moment in BACK),
    *(f"{moment} {CLOSE} #2" for moment in ACT),
    *(f"{moment} {START}" for moment in BACK),
    *(f"{moment} {DEPLOYS}" for moment in ("reversing", "closed")),
    *(f"{moment} {REGISTER}" for moment in BACK),
    *(f"{moment} {act} #2" for act in (REGISTER, DEPLOYS) for moment in WRITTEN),
    *(f"{moment} {AGAIN}" for moment in ACT),
    *(f"settled {act} #2" for act in (DEPLOYS, REGISTER)),
    *(f"{moment} {AGAIN}" for moment in ("reversing", "closed")),
    *(f"{moment} {DEPLOYS} #2" for moment in ("reversing",)),
    *(f"{moment} {DEPLOYS}" for moment in ("reversed",)),
    *(f"{moment} {DEPLOYS} #2" for moment in ("closed",)),
    *(f"{moment} {REGISTER} #2" for moment in BACK),
    *(f"{moment} {CLOSE} #2" for moment in BACK),
]
"""All that a drill takes which nobody kills, in this order."""
GATED = (f"answered {START}", f"settled {CLOSE} #2", f"answered {AGAIN}")
"""Nobody was told the execution's id; its deployment is in progress; the same of the one that ships again."""
RANDOM = random.Random(20)  # noqa: S311 (instants, not secrets)
SECONDS = [milliseconds / 1000 for milliseconds in RANDOM.sample(range(12_000), 20)]
"""How long after it has begun to act a drill is killed."""


@pytest.fixture(scope="module")
def stranger() -> Iterator[Stranger]:
    """A developer of a sandbox of its own: its pipeline ships to its api."""
    with Sandbox(speed=20, tenants=1) as sandbox:
        yield Stranger(sandbox.stack)


def gated(steps: list[str]) -> list[Any]:
    """Cases for `parametrize`; a sweep takes those that the gate does not."""
    return [pytest.param(step, marks=() if step in GATED else (pytest.mark.sweep,)) for step in steps]


def died(stranger: Stranger, place: runs.Place, *, step: str = "", seconds: float = -1.0) -> tuple[int, str]:
    """How the process of a drill ended that kills itself, and what it said."""
    at_rest(stranger)
    stack = aimed(stranger, place.directory, objectives__bad_deployment_rollback=rig.BRIEF)
    name = f"die-{step or seconds}".replace(" ", "-").replace("#", "")
    order = Order(
        str(stack), str(place.state), "api", name, step=step, seconds=seconds, way=rig.BREAKER, via="pipeline"
    )
    command = [sys.executable, "-m", "tests.drills.deployment_deaths", order.to_json()]
    made = subprocess.run(command, cwd=runs.ROOT, text=True, capture_output=True, timeout=runs.SECONDS, check=False)
    return made.returncode, made.stdout + made.stderr


def check_brought_back(stranger: Stranger, place: runs.Place, before: dict[str, Any]) -> None:
    """One undo brings all back, a second has nothing to do; no execution is under way, and the way is open."""
    code, said = runs.envdr(place, "undo")
    assert code == 0, said
    assert place.owed == []
    assert rig.looked_at(stranger, "api") == before
    assert stage(stranger, DEPLOY)["inboundTransitionState"]["enabled"]
    assert {row["status"] for row in executions(stranger)} <= {"Succeeded", "Stopped", "Failed"}
    stranger.wait_until_steady("api")
    assert rig.looked_at(stranger, "api") == before, "what was abandoned has deployed nothing afterwards"
    assert "Nothing is owed." in runs.envdr(place, "undo")[1]


@pytest.mark.sweep
def test_these_are_the_steps(stranger: Stranger, tmp_path: Path) -> None:
    """A drill that nobody kills takes each of the steps below, in this order and no other, and owes nothing."""
    before, place = rig.looked_at(stranger, "api"), runs.Place(tmp_path)
    code, said = died(stranger, place)
    assert code == 0, said
    assert said.split("\n")[:-1] == [step.removesuffix(" #2") for step in STEPS]
    assert place.owed == []
    assert rig.looked_at(stranger, "api") == before


@pytest.mark.parametrize("step", gated(STEPS))
def test_killed_at_a_step(step: str, stranger: Stranger, tmp_path: Path) -> None:
    """SIGKILL before and after each entry of the journal, between call and settle, and on the way back."""
    at_rest(stranger)
    before, place = rig.looked_at(stranger, "api"), runs.Place(tmp_path)
    code, said = died(stranger, place, step=step)
    assert code == -signal.SIGKILL, said
    check_brought_back(stranger, place, before)


@pytest.mark.parametrize("seconds", lanes.thinned(SECONDS, every=20))
def test_killed_at_random(seconds: float, stranger: Stranger, tmp_path: Path) -> None:
    """SIGKILL at an instant that nobody chose, whatever pipeline and ECS are doing meanwhile."""
    at_rest(stranger)
    before, place = rig.looked_at(stranger, "api"), runs.Place(tmp_path)
    code, said = died(stranger, place, seconds=seconds)
    assert code in (-signal.SIGKILL, 0), said
    check_brought_back(stranger, place, before)
