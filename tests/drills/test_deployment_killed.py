"""Whatever ends a bad deployment's drill, and whenever: `envdr undo` brings the revision of before back, and no broken
one can be deployed any more.

The drill's own process kills itself at each step of its journal, and at random; three services are deployed to side by
side, each with a journal of its own.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.drills import deployment_rig as rig
from tests.drills import lanes, runs
from tests.drills.deployment_deaths import Order
from tests.drills.stranger import Stranger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

REGISTER, DEPLOY = ACTS = ("ecs.RegisterTaskDefinition", "ecs.UpdateService")
"""The acts of a bad deployment, in order."""
STOP = "ecs.StopServiceDeployment"
"""What a drill may do that does not wait for ECS to roll back."""
STEPS = [
    *(f"{moment} {act}" for act in ACTS for moment in ("before", "intended", "answered", "settled")),
    *(f"{moment} {act}" for act in reversed(ACTS) for moment in ("reversing", "reversed", "closed")),
]
RANDOM = random.Random(20)  # noqa: S311 (instants, not secrets)
SECONDS = [milliseconds / 1000 for milliseconds in RANDOM.sample(range(6000), 20)]
"""How long after it has begun to act a drill is killed: while it deploys, while ECS or a hand rolls back, or later."""
WORDS = ("api", "tenant", "hq")
WAYS = (
    (rig.BREAKER, "exits"),
    (rig.HAND, "answers-500"),
    (rig.BREAKER, "unhealthy"),
    (rig.BREAKER, "cannot-be-pulled"),
)


@dataclass(frozen=True)
class Death:
    """A drill whose process dies at a step, or so many seconds after it began to act; with neither, it ends well."""

    name: str
    word: str
    step: str = ""
    seconds: float = -1.0
    way: str = ""
    kind: str = "answers-500"


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes:
        code: how the process ended.
        said: what it printed.
        before, between, after: the service and its revisions; `between` is before the undo.
        deployments: status and rollout state of the service's deployments after the undo.
        owed, owed_after: what the journal says is owed before the undo, and after it.
        undone: what `envdr undo` said, and a second one.
    """

    code: int
    said: str
    before: Mapping[str, Any]
    between: Mapping[str, Any]
    after: Mapping[str, Any]
    deployments: Sequence[tuple[str, str]]
    owed: Sequence[str]
    owed_after: Sequence[str]
    undone: tuple[str, str]


WHOLE = Death("not at all", WORDS[0])
DEATHS = [Death(step, WORDS[number % 3], step=step) for number, step in enumerate(STEPS)]
CHANCES = [
    Death(f"{seconds} s", WORDS[number % 3], seconds=seconds, way=WAYS[number % 4][0], kind=WAYS[number % 4][1])
    for number, seconds in enumerate(SECONDS)
]
STOPS = [
    Death(f"{moment} {STOP}", WORDS[number % 3], step=f"{moment} {STOP}", way=rig.STOPPED, kind="unhealthy")
    for number, moment in enumerate(("before", "intended", "answered", "settled"))
]
CASES = [WHOLE, *DEATHS, *CHANCES, *STOPS]
GATED = (f"answered {DEPLOY}",)
"""What the gate takes; a sweep takes all."""


def gated(cases: list[Death]) -> list[Any]:
    """Cases for `parametrize`; a sweep takes those that the gate does not."""
    return [
        pytest.param(case, marks=() if case.step in GATED else (pytest.mark.sweep,), id=case.name) for case in cases
    ]


@pytest.fixture(scope="module")
def outcome_of(
    request: pytest.FixtureRequest, sandbox_stack: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Death], Outcome]]:
    """What became of a death."""
    above, stranger = tmp_path_factory.mktemp("killed-deployments"), Stranger(sandbox_stack)

    def do(case: Death) -> Outcome:
        return brought_back(stranger, case, runs.Place(above / case.name.replace(" ", "-")))

    cases = lanes.wanted(request, CASES)
    with lanes.side_by_side(cases, lane=lambda case: case.word, do=do) as outcome_of:
        yield outcome_of


def brought_back(stranger: Stranger, case: Death, place: runs.Place) -> Outcome:
    """Let a drill die, bring back what it owes, and look at the service before, between and after."""
    stranger.wait_until_steady(case.word)
    before = rig.looked_at(stranger, case.word)
    stack = rig.aimed(stranger.stack_file, place.directory, case.word, objectives__bad_deployment_rollback=rig.BRIEF)
    order = Order(
        str(stack),
        str(place.state),
        case.word,
        f"die-{CASES.index(case)}",
        step=case.step,
        seconds=case.seconds,
        kind=case.kind,
        way=case.way,
    )
    command = [sys.executable, "-m", "tests.drills.deployment_deaths", order.to_json()]
    made = subprocess.run(command, cwd=runs.ROOT, text=True, capture_output=True, timeout=runs.SECONDS, check=False)
    between, owed = rig.looked_at(stranger, case.word), place.owed
    undone = undo(place), undo(place)
    listed = [(one["status"], one["rolloutState"]) for one in stranger.service(case.word)["deployments"]]
    after = rig.looked_at(stranger, case.word)
    said = made.stdout + made.stderr
    return Outcome(made.returncode, said, before, between, after, listed, owed, place.owed, undone)


def undo(place: runs.Place) -> str:
    """What `envdr undo` says; it must succeed."""
    code, said = runs.envdr(place, "undo")
    assert code == 0, said
    return said


def check_brought_back(outcome: Outcome) -> None:
    """The service runs the revision of before, completed; nothing else can be deployed, nothing more is owed."""
    assert outcome.after == outcome.before
    assert outcome.deployments == [("PRIMARY", "COMPLETED")]
    assert outcome.owed_after == []
    assert "Nothing is owed." in outcome.undone[1]
    told = [line for line in outcome.undone[0].splitlines() if line.startswith(("brought back", "was as before"))]
    assert len(told) == len(outcome.owed)


def within(step: str, first: str, last: str) -> bool:
    """Whether a step lies from the first on, and before the last."""
    return STEPS.index(first) <= STEPS.index(step) < STEPS.index(last)


@pytest.mark.parametrize("case", [pytest.param(WHOLE, marks=pytest.mark.sweep)], ids=lambda case: case.name)
def test_these_are_the_steps(case: Death, outcome_of: Callable[[Death], Outcome]) -> None:
    """A drill that nobody kills takes each of the steps below, in this order and no other, and owes nothing."""
    outcome = outcome_of(case)
    assert outcome.code == 0, outcome.said
    assert outcome.said.split("\n")[:-1] == STEPS
    assert outcome.owed == []
    check_brought_back(outcome)


@pytest.mark.parametrize("case", gated(DEATHS))
def test_killed_at_a_step(case: Death, outcome_of: Callable[[Death], Outcome]) -> None:
    """SIGKILL before and after each entry of the journal, between call and settle, and on the way back: what was done
    is owed, and `envdr undo` brings it back."""
    outcome = outcome_of(case)
    assert outcome.code == -signal.SIGKILL, outcome.said
    assert len(outcome.owed) == sum(within(case.step, f"intended {act}", f"closed {act}") for act in ACTS)
    stray = within(case.step, f"answered {REGISTER}", f"reversed {REGISTER}")
    assert (outcome.between["revisions"] != outcome.before["revisions"]) == stray
    bad = within(case.step, f"answered {DEPLOY}", f"reversed {DEPLOY}")
    assert (outcome.between["taskDefinition"] != outcome.before["taskDefinition"]) == bad
    check_brought_back(outcome)


@pytest.mark.sweep
@pytest.mark.parametrize("case", lanes.thinned(CHANCES, every=10), ids=lambda case: case.name)
def test_killed_at_random(case: Death, outcome_of: Callable[[Death], Outcome]) -> None:
    """SIGKILL at an instant that nobody chose, whatever ECS is doing with the deployment meanwhile."""
    outcome = outcome_of(case)
    assert outcome.code in (-signal.SIGKILL, 0), outcome.said
    assert outcome.owed or outcome.between == outcome.before
    check_brought_back(outcome)


@pytest.mark.sweep
@pytest.mark.parametrize("case", STOPS, ids=lambda case: case.name)
def test_killed_while_it_stops_the_deployment(case: Death, outcome_of: Callable[[Death], Outcome]) -> None:
    """SIGKILL around the request that ECS roll back: whether it has by then or not, the revision of before is there."""
    outcome = outcome_of(case)
    assert outcome.code == -signal.SIGKILL, outcome.said
    assert len(outcome.owed) == len(ACTS), "ECS itself brings back what it was asked to roll back"
    check_brought_back(outcome)
