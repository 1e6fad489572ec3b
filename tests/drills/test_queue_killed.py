"""Whatever ends a queue's drill, and whenever: `envdr undo` brings the workers back, and takes every job of the drill
out of every place of the queue, and no other.

The drill's own process kills itself at each step of its journal, and at random.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr import stack
from pytest_envdr.aws import Aws
from tests.drills import lanes, runs
from tests.drills.queue_deaths import Order
from tests.drills.queue_rig import WORKER, Hand
from tests.drills.stranger import copied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

QUEUE, TELL, DISPATCH = "sqs.CreateQueue", "sns.Subscribe", "laravel.Dispatch"
SUSPEND, LOWER, RUN = "application-autoscaling.RegisterScalableTarget", "ecs.UpdateService", "ecs.RunTask"
STOP, REBOOT = "ecs.StopTask", "rds.RebootDBInstance"
ACTS = (f"{QUEUE} 1", f"{TELL} 1", f"{RUN} 1", f"{RUN} 2", f"{SUSPEND} 1", f"{LOWER} 1", f"{RUN} 4")
"""RunTask lists what has failed, dispatches, lists again and retries."""
MOMENTS = ("before", "intended", "answered", "settled")
FORTH = [
    *(f"{moment} {act}" for act in ACTS for moment in MOMENTS),
    *(f"{moment} {DISPATCH} 1" for moment in MOMENTS if moment != "answered"),
]
BACK = [
    f"{moment} {act} 1"
    for act in (LOWER, SUSPEND, DISPATCH, TELL, QUEUE)
    for moment in ("reversing", "reversed", "closed")
]
OTHERS = [("killed", f"{moment} {STOP} 1") for moment in MOMENTS] + [
    ("database away", f"{moment} {REBOOT} 1") for moment in MOMENTS
]
WAYS = ("killed", "all stopped", "database away", "stopped")
UNSEEN = ("database away", "cache rebooted", "cache failed over")
"""Where nobody can look between death and undo: what would tell is away."""
RANDOM = random.Random(20)  # noqa: S311 (instants, not secrets)
SECONDS = [milliseconds / 1000 for milliseconds in RANDOM.sample(range(14_000), 20)]
"""How long after it began to dispatch a drill is killed: while it dispatches, breaks, waits, retries, or puts back."""
GATED = (f"answered {RUN} 2",)
"""What the gate takes; a sweep takes all."""


@dataclass(frozen=True)
class Death:
    """A drill whose process dies at a step, or so many seconds after it began to dispatch."""

    name: str
    how: str = "all stopped"
    step: str = ""
    seconds: float = -1.0


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes:
        code: how the process ended.
        said: what it printed.
        before, between, after: all that a drill may leave behind; `between` is before the undo.
        owed, owed_after: what the journal says is owed before the undo, and after it.
        undone: what `envdr undo` said, and a second one.
    """

    code: int
    said: str
    before: Mapping[str, Any]
    between: Mapping[str, Any]
    after: Mapping[str, Any]
    owed: Sequence[str]
    owed_after: Sequence[str]
    undone: tuple[str, str]


DEATHS = [*(Death(step, step=step) for step in [*FORTH, *BACK]), *(Death(step, how, step) for how, step in OTHERS)]
CHANCES = [Death(f"{seconds} s", WAYS[number % 4], seconds=seconds) for number, seconds in enumerate(SECONDS)]
CASES = [*DEATHS, *CHANCES]


@pytest.fixture(scope="module")
def hand(battered_stack: Path) -> Iterator[Hand]:
    """Somebody else's hand, with a failed job and a delayed one of its own, which nobody else may touch."""
    hand = Hand(Aws(stack.read(battered_stack)))
    uuid = hand.strange_failure()
    payload = json.dumps({"uuid": uuid, "displayName": "SendInvoice", "attempts": 0})
    hand.cache.zadd("envelope_database_queues:default:delayed", {payload: 4e9})
    yield hand
    hand.cache.zrem("envelope_database_queues:default:delayed", payload)
    hand.sql("DELETE FROM failed_jobs WHERE uuid = %s", uuid)


@pytest.fixture(scope="module")
def outcome_of(hand: Hand, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Death], Outcome]:
    """What becomes of a death; one after the other, since all are of the same workers."""
    above = tmp_path_factory.mktemp("killed-queues")

    def do(case: Death) -> Outcome:
        place = runs.Place(above / f"die-{CASES.index(case)}")
        place.directory.mkdir()
        return brought_back(hand, case, place)

    return do


def brought_back(hand: Hand, case: Death, place: runs.Place) -> Outcome:
    """Let a drill die, bring back what it owes, and look before, between and after."""
    hand.stranger.wait_until_steady(WORKER)
    before = hand.left()
    silent = copied(hand.stranger.stack_file, place.directory / "stack.toml", services__worker={"alarms": []})
    name = place.directory.name
    order = Order(str(silent), str(place.state), WORKER, name, step=case.step, seconds=case.seconds, how=case.how)
    command = [sys.executable, "-m", "tests.drills.queue_deaths", order.to_json()]
    made = subprocess.run(command, cwd=runs.ROOT, text=True, capture_output=True, timeout=runs.SECONDS, check=False)
    owed = place.owed
    between = {} if case.how in UNSEEN else hand.left()
    undone = undo(place), undo(place)
    hand.stranger.wait_until_steady(WORKER)
    after = hand.left()
    return Outcome(made.returncode, made.stdout + made.stderr, before, between, after, owed, place.owed, undone)


def undo(place: runs.Place) -> str:
    """What `envdr undo` says; it must succeed."""
    code, said = runs.envdr(place, "undo")
    assert code == 0, said
    return said


def check_brought_back(outcome: Outcome) -> None:
    """Workers and scaling as before, no job of the drill in any place, no lock, no row, no task; others' untouched."""
    assert outcome.after == outcome.before
    assert outcome.owed_after == []
    assert "Nothing is owed." in outcome.undone[1]


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=() if case.step in GATED else (pytest.mark.sweep,), id=case.name) for case in DEATHS],
)
def test_killed_at_a_step(case: Death, outcome_of: Callable[[Death], Outcome]) -> None:
    """SIGKILL before and after each entry of the journal, between call and settle, and on the way back: what was done
    is owed, and `envdr undo` brings it back."""
    outcome = outcome_of(case)
    assert outcome.code == -signal.SIGKILL, outcome.said
    assert outcome.owed or case.step in (f"before {QUEUE} 1", f"closed {QUEUE} 1")
    if case.step.startswith(("settled", "answered", "intended")) and case.step.endswith(f"{LOWER} 1"):
        assert outcome.between["rows"]["dr_outbox"] > outcome.before["rows"]["dr_outbox"]
    check_brought_back(outcome)


@pytest.mark.sweep
@pytest.mark.parametrize("case", lanes.thinned(CHANCES, every=20), ids=lambda case: case.name)
def test_killed_at_random(case: Death, outcome_of: Callable[[Death], Outcome]) -> None:
    """SIGKILL at an instant that nobody chose, whatever the workers, the scheduler and the database do meanwhile."""
    outcome = outcome_of(case)
    assert outcome.code in (-signal.SIGKILL, 0), outcome.said
    check_brought_back(outcome)
