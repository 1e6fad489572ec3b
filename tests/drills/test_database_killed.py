"""Whenever a restore is killed: `envdr undo` ends maintenance mode, and leaves nothing of it behind.

The drill's own process kills itself at steps of its journal: between each call that creates something and its being
settled, before the first and the last, on the way back, and at random. (`sweep` takes all steps; it takes minutes.)
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.drills import lanes, restoring, runs
from tests.drills.failover import Order
from tests.drills.restored import standing
from tests.drills.stranger import Stranger

if TYPE_CHECKING:
    from pathlib import Path

DOWN, PARAMETERS, SET, GROUP, OPEN, RESTORE = (
    "laravel.Down",
    "rds.CopyDBParameterGroup",
    "rds.ModifyDBParameterGroup",
    "ec2.CreateSecurityGroup",
    "ec2.AuthorizeSecurityGroupIngress",
    "rds.RestoreDBInstanceFromDBSnapshot",
)
RUN = "ecs.RunTask"
MOMENTS = ("before", "intended", "answered", "settled")
FORTH = [
    f"before {DOWN}",
    f"intended {DOWN}",
    *(f"{moment} {RUN}" for moment in MOMENTS),
    f"settled {DOWN}",
    *(f"{moment} {act}" for act in (PARAMETERS, SET, GROUP, OPEN, RESTORE) for moment in MOMENTS),
    *(f"{moment} {RUN} 2" for moment in MOMENTS),
]
BACK = [
    f"reversing {RUN}",
    f"closed {RUN}",
    *(f"{moment} {DOWN}" for moment in ("reversing", "reversed", "closed")),
    *(f"reversing {RUN} 2", f"reversed {RUN}", f"closed {RUN} 2"),
    *(f"{moment} {act}" for act in (RESTORE, GROUP, PARAMETERS) for moment in ("reversing", "reversed", "closed")),
]
STEPS = FORTH + BACK
"""All steps of a restore that nobody kills, in order. Maintenance mode ends first."""
CHOSEN = [
    f"intended {DOWN}",
    f"answered {RUN}",
    f"answered {GROUP}",
    f"intended {RESTORE}",
    f"answered {RESTORE}",
    f"reversed {RESTORE}",
]
RANDOM = random.Random(20)  # noqa: S311 (instants, not secrets)
SECONDS = [milliseconds / 1000 for milliseconds in RANDOM.sample(range(6000), 20)]
"""How long after its kick-off a restore is killed; it takes some six seconds here."""


@pytest.fixture
def stranger(battered_stack: Path) -> Stranger:
    """Who looks what is there."""
    return Stranger(battered_stack)


def obeyed(
    place: runs.Place, stack_file: Path, *, step: str = "", seconds: float = -1.0, what: str = "manual"
) -> tuple[int, list[str]]:
    """The process of tests/drills/restoring.py: its code, and the steps that it told."""
    exercise = f"die-{place.directory.name}"[:40]
    order = Order(str(stack_file), str(place.state), what, exercise, step=step, seconds=seconds)
    command = [sys.executable, "-m", "tests.drills.restoring", order.to_json()]
    made = subprocess.run(command, cwd=runs.ROOT, text=True, capture_output=True, timeout=runs.SECONDS, check=False)
    assert made.returncode in {0, -signal.SIGKILL}, made.stderr
    return made.returncode, made.stdout.splitlines()


def page(stranger: Stranger) -> int:
    """What a page of the application answers: 503 in maintenance mode."""
    probe = stranger.stack["services"]["api"]["probe"]
    request = urllib.request.Request(f"{probe['url']}/api/tenants", headers={"Host": probe["host"]})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 (the sandbox's own)
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def check_undone(stranger: Stranger, place: runs.Place, before: dict[str, Any]) -> None:
    """`envdr undo` brings back what is owed; then all is as before, and nothing is owed."""
    code, said = runs.envdr(place, "undo")
    assert code == 0, said
    assert place.owed == []
    assert page(stranger) == 200
    assert standing(stranger) == before


@pytest.mark.sweep
def test_these_are_the_steps(stranger: Stranger, tmp_path: Path) -> None:
    """A restore that nobody kills takes each of the steps above, in this order and no other, and owes nothing."""
    place, before = runs.Place(tmp_path), standing(stranger)
    code, told = obeyed(place, stranger.stack_file)
    assert (code, told) == (0, STEPS)
    assert place.owed == []
    check_undone(stranger, place, before)


@pytest.mark.parametrize("step", lanes.thinned(CHOSEN, every=6))
def test_killed_at_a_step(step: str, stranger: Stranger, tmp_path: Path) -> None:
    """SIGKILL: what was intended is owed, whether or not it was answered, and goes again."""
    place, before = runs.Place(tmp_path), standing(stranger)
    code, told = obeyed(place, stranger.stack_file, step=step)
    assert code == -signal.SIGKILL
    assert told == STEPS[: STEPS.index(step) + 1]
    assert place.owed
    check_undone(stranger, place, before)


@pytest.mark.parametrize(
    ("what", "step"),
    [
        pytest.param("backup", "answered backup.StartRestoreJob", marks=pytest.mark.sweep),
        pytest.param(restoring.CUTOVER, "answered ecs.UpdateService 3", marks=pytest.mark.sweep),
    ],
)
def test_killed_elsewhere(what: str, step: str, stranger: Stranger, tmp_path: Path) -> None:
    """SIGKILL while AWS Backup has not created anything yet: it does, and that goes. SIGKILL with half the services
    deployed on the copy: they go back before it goes."""
    place, before = runs.Place(tmp_path), standing(stranger)
    code, told = obeyed(place, stranger.stack_file, step=step, what=what)
    assert (code, told[-1]) == (-signal.SIGKILL, step)
    check_undone(stranger, place, before)


@pytest.mark.sweep
@pytest.mark.parametrize("seconds", SECONDS[:1])
def test_killed_at_random(seconds: float, stranger: Stranger, tmp_path: Path) -> None:
    """SIGKILL at an instant that nobody chose."""
    place, before = runs.Place(tmp_path), standing(stranger)
    obeyed(place, stranger.stack_file, seconds=seconds)
    check_undone(stranger, place, before)


def sweep(stack_file: Path, directory: Path) -> int:
    """Die at every step, and at twenty instants that nobody chose; how many deaths. For a thorough day:
    `python -c "from tests.drills.test_database_killed import sweep; ..."`."""
    stranger = Stranger(stack_file)
    before = standing(stranger)
    cases: list[dict[str, Any]] = [{"step": step} for step in STEPS] + [{"seconds": seconds} for seconds in SECONDS]
    for number, case in enumerate(cases):
        place = runs.Place(directory / str(number))
        place.directory.mkdir()
        obeyed(place, stack_file, **case)
        check_undone(stranger, place, before)
    return len(cases)
