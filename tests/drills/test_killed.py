"""Whatever ends a drill, and whenever: the service is as before, by the drill itself or by `envdr undo`.

The drill's own process kills itself at each step of its journal, and at random; runs of pytest get every signal that a
user or a CI service sends; so does `envdr undo`. Services are taken down side by side, each with a journal of its own.
"""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.waiting import pause, wait_until
from tests.drills import lanes, runs
from tests.drills.failover import Order
from tests.drills.stranger import Stranger, copied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

QUEUE, TELL, SUSPEND, LOWER = ACTS = (
    "sqs.CreateQueue",
    "sns.Subscribe",
    "application-autoscaling.RegisterScalableTarget",
    "ecs.UpdateService",
)
"""The acts of the full outage, in order."""
BACK = [f"{moment} {act}" for act in reversed(ACTS) for moment in ("reversing", "reversed", "closed")]
STEPS = [f"{moment} {act}" for act in ACTS for moment in ("before", "intended", "answered", "settled")] + BACK
SEED = 20
RANDOM = random.Random(SEED)  # noqa: S311 (instants, not secrets)
SECONDS = [milliseconds / 1000 for milliseconds in RANDOM.sample(range(800), 20)]
"""How long after it has begun to act a drill is killed. It acts for a tenth of a second and needs some more to put
back."""
UNDO_SECONDS = [milliseconds / 1000 for milliseconds in RANDOM.sample(range(300, 1500), 6)]
"""How long after its start `envdr undo` is killed, one after the other."""
SCALED, PLAIN = ("api", "tenant"), ("hq", "reverb")


@dataclass(frozen=True)
class Death:
    """A drill whose process dies at a step, or so many seconds after it began to act; with neither, it ends well."""

    name: str
    service: str
    step: str = ""
    seconds: float = -1.0


@dataclass(frozen=True)
class Ending:
    """A run of pytest that gets a signal while its service is down."""

    name: str
    service: str
    number: signal.Signals


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes:
        place: where it wrote.
        code: how the process ended.
        said: what it printed.
        before, between, after: the service; `between` is before the undo.
        left, owed: what the drill left, and what its journal says it owes, before the undo.
            refused: how a run ended that was begun before the undo, and what it said; None where none was.
        undone: what `envdr undo` said, and a second one.
        left_after: what is there of the drill after that.
    """

    place: runs.Place
    code: int
    said: str
    before: Mapping[str, Any]
    between: Mapping[str, Any]
    after: Mapping[str, Any]
    left: Sequence[str]
    owed: Sequence[str]
    refused: tuple[int, str] | None
    undone: tuple[str, str]
    left_after: Sequence[str]

    @property
    def down(self) -> bool:
        """Whether the process left the service down."""
        return bool(self.between["desiredCount"] == 0)


DEATHS = [Death(step, SCALED[number % 2], step=step) for number, step in enumerate(STEPS)]
CHANCES = [Death(f"{seconds} s", PLAIN[number % 2], seconds=seconds) for number, seconds in enumerate(SECONDS)]
WHOLE = Death("not at all", SCALED[0])
ENDINGS = [
    Ending("SIGTERM", PLAIN[0], signal.SIGTERM),
    Ending("SIGINT", PLAIN[1], signal.SIGINT),
    # What pytest-timeout's method `signal` lets the kernel send when the time is over.
    Ending("time-out", PLAIN[0], signal.SIGALRM),
    Ending("SIGKILL", PLAIN[1], signal.SIGKILL),
]
Case = Death | Ending
CASES: list[Case] = [WHOLE, *DEATHS, *CHANCES, *ENDINGS]


@pytest.fixture(scope="module")
def outcome_of(
    request: pytest.FixtureRequest, killed_stack: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Case], Outcome]]:
    """What became of a case."""
    above, stranger = tmp_path_factory.mktemp("killed"), Stranger(killed_stack)

    def do(case: Case) -> Outcome:
        place = runs.Place(above / case.name.replace(" ", "-"))
        place.directory.mkdir()
        return brought_back(stranger, case, place)

    cases = lanes.wanted(request, CASES)
    with lanes.side_by_side(cases, lane=lambda case: case.service, do=do) as outcome_of:
        yield outcome_of


@pytest.fixture(scope="module")
def killed_stack(battered_stack: Path) -> Iterator[Path]:
    """A stack where somebody suspended a part of one service's scaling before: it must come back suspended."""
    stranger = Stranger(battered_stack)
    stranger.register(SCALED[1], SuspendedState={"DynamicScalingInSuspended": True})
    yield battered_stack
    stranger.register(SCALED[1], SuspendedState={"DynamicScalingInSuspended": False})


def exercise(case: Death) -> str:
    """What the run of a drill that dies is called."""
    return f"die-{CASES.index(case)}"


def quiet(stack_file: Path, place: runs.Place) -> Path:
    """The stack without alarms, which take long to become quiet after an outage and are not what this is about."""
    silent: dict[str, dict[str, Any]] = {f"services__{word}": {"alarms": []} for word in (*SCALED, *PLAIN)}
    return copied(stack_file, place.directory / "stack.toml", **silent)


def died(case: Death, stack_file: Path, place: runs.Place) -> tuple[int, str]:
    """Let a drill die; its code, and the steps that it told."""
    return obeyed(
        Order(str(stack_file), str(place.state), case.service, exercise(case), step=case.step, seconds=case.seconds)
    )


def obeyed(order: Order) -> tuple[int, str]:
    """The process of tests/drills/failover.py: its code, and what it told."""
    command = [sys.executable, "-m", "tests.drills.failover", order.to_json()]
    made = subprocess.run(command, cwd=runs.ROOT, text=True, capture_output=True, timeout=runs.SECONDS, check=False)
    return made.returncode, made.stdout + made.stderr


def begin(case: Ending, stack_file: Path, place: runs.Place, evidence: str = "evidence") -> subprocess.Popen[str]:
    """A run of the full outage of a service."""
    where = str(place.directory / evidence)
    chosen = ("--envdr-evidence", where, "--envdr-service", case.service, "-k", "full_outage")
    return runs.begin(place, stack_file, *chosen)


def ended(case: Ending, stack_file: Path, place: runs.Place) -> tuple[int, str]:
    """End a run of pytest while its service is down."""
    run = begin(case, stack_file, place)
    place.wait_until_down()
    run.send_signal(case.number)
    return runs.ended(run)


def brought_back(stranger: Stranger, case: Case, place: runs.Place) -> Outcome:
    """Let a drill end as the case says, bring back what it owes, and look at the service before, between and after."""
    stranger.wait_until_steady(case.service)
    before = stranger.state(case.service)
    if isinstance(case, Death):
        (code, said), run = died(case, quiet(stranger.stack_file, place), place), exercise(case)
    else:
        (code, said), run = ended(case, stranger.stack_file, place), place.exercise
    between, left, owed = stranger.state(case.service), stranger.left_by(run), place.owed
    refused = (
        runs.ended(begin(case, stranger.stack_file, place, "again")) if owed and isinstance(case, Ending) else None
    )
    undone = undo(place), undo(place)
    after = stranger.state(case.service)
    return Outcome(place, code, said, before, between, after, left, owed, refused, undone, stranger.left_by(run))


def undo(place: runs.Place) -> str:
    """What `envdr undo` says; it must succeed."""
    code, said = runs.envdr(place, "undo")
    assert code == 0, said
    return said


def check_brought_back(outcome: Outcome) -> None:
    """All is as before, nothing of the drill is left, and nothing more is owed."""
    assert outcome.after == outcome.before
    assert outcome.left_after == []
    assert outcome.place.owed == []
    assert "Nothing is owed." in outcome.undone[1]
    told = [line for line in outcome.undone[0].splitlines() if line.startswith(("brought back", "was as before"))]
    assert len(told) == len(outcome.owed)


def within(step: str, first: str, last: str) -> bool:
    """Whether a step lies from the first on, and before the last."""
    return STEPS.index(first) <= STEPS.index(step) < STEPS.index(last)


@pytest.mark.sweep
@pytest.mark.parametrize("case", [WHOLE], ids=lambda case: case.name)
def test_these_are_the_steps(case: Death, outcome_of: Callable[[Case], Outcome]) -> None:
    """A drill that nobody kills takes each of the steps below, in this order and no other, and owes nothing."""
    outcome = outcome_of(case)
    assert outcome.said.split("\n")[:-1] == STEPS
    assert outcome.code == 0
    assert outcome.owed == []
    check_brought_back(outcome)


@pytest.mark.parametrize("case", lanes.thinned(DEATHS, every=24), ids=lambda case: case.name)
def test_killed_at_a_step(case: Death, outcome_of: Callable[[Case], Outcome]) -> None:
    """SIGKILL before and after each entry of the journal, between call and settle, and on the way back: what was done
    is owed, and `envdr undo` brings it back."""
    outcome = outcome_of(case)
    assert outcome.code == -signal.SIGKILL, outcome.said
    intended = sum(within(case.step, f"intended {act}", f"closed {act}") for act in ACTS)
    assert len(outcome.owed) == intended
    assert outcome.down == within(case.step, f"answered {LOWER}", f"reversed {LOWER}")
    suspended = within(case.step, f"answered {SUSPEND}", f"reversed {SUSPEND}")
    assert (outcome.between["scaling"] != outcome.before["scaling"]) == suspended
    assert bool(outcome.left) == within(case.step, f"answered {QUEUE}", f"reversed {QUEUE}")
    check_brought_back(outcome)


@pytest.mark.sweep
@pytest.mark.parametrize("case", CHANCES, ids=lambda case: case.name)
def test_killed_at_random(case: Death, outcome_of: Callable[[Case], Outcome]) -> None:
    """SIGKILL at an instant that nobody chose: `envdr undo` brings back what is owed."""
    outcome = outcome_of(case)
    assert outcome.code == -signal.SIGKILL, outcome.said
    assert not outcome.down or outcome.owed
    check_brought_back(outcome)


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=[] if case.name == "SIGTERM" else [pytest.mark.sweep]) for case in ENDINGS[:3]],
    ids=lambda case: case.name,
)
def test_a_run_that_is_ended_puts_back(case: Ending, outcome_of: Callable[[Case], Outcome]) -> None:
    """SIGTERM, Ctrl-C and a time-out: the run puts back what it changed and closes its evidence before it ends."""
    outcome = outcome_of(case)
    assert outcome.between == outcome.before
    assert outcome.owed == []
    assert outcome.left == []
    late = case.number == signal.SIGALRM
    assert outcome.code == (pytest.ExitCode.TESTS_FAILED if late else pytest.ExitCode.INTERRUPTED), outcome.said
    assert ("from pytest-timeout" if late else "KeyboardInterrupt") in outcome.said
    assert outcome.place.drill["verdict"] != "passed"
    assert outcome.place.record["undo"]["owed"] == []
    check_brought_back(outcome)


@pytest.mark.parametrize("case", ENDINGS[3:], ids=lambda case: case.name)
def test_a_killed_run_is_undone(case: Ending, outcome_of: Callable[[Case], Outcome]) -> None:
    """SIGKILL: the sandbox survives, the evidence can be rendered, no other run begins before `envdr undo`."""
    outcome = outcome_of(case)
    assert outcome.code == -signal.SIGKILL, outcome.said
    assert outcome.down
    assert outcome.refused is not None
    code, said = outcome.refused
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "`envdr undo` brings it back" in said
    assert all(owed in said for owed in outcome.owed)
    check_brought_back(outcome)
    assert runs.envdr(outcome.place, "report", str(outcome.place.evidence))[0] == 0
    assert outcome.place.record["exercise"]["status"] == "interrupted"
    assert outcome.place.drill["verdict"] != "passed"


@pytest.mark.sweep
def test_an_undo_that_is_killed_is_done_again(killed_stack: Path, tmp_path: Path) -> None:
    """SIGKILL before each inverse, after it, and after it was written down: the next undo goes on from there."""
    stranger, order = owing(killed_stack, tmp_path)
    before = stranger.state(order.service)
    assert obeyed(order)[0] == -signal.SIGKILL
    for step in BACK:
        assert obeyed(replace(order, step=step, undo=True))[0] == -signal.SIGKILL, step
    assert "Nothing is owed." in undo(runs.Place(tmp_path))
    assert stranger.state(order.service) == before
    assert stranger.left_by(order.exercise) == []


@pytest.mark.sweep
def test_an_undo_that_is_killed_at_random_is_done_again(killed_stack: Path, tmp_path: Path) -> None:
    """SIGKILL to `envdr undo` itself, at instants that nobody chose."""
    stranger, order = owing(killed_stack, tmp_path)
    before, place = stranger.state(order.service), runs.Place(tmp_path)
    assert obeyed(order)[0] == -signal.SIGKILL
    for seconds in UNDO_SECONDS:
        with runs.beginning(place, "undo") as process:
            pause(seconds)
            process.kill()
    undo(place)
    assert "Nothing is owed." in undo(place)
    assert stranger.state(order.service) == before
    assert stranger.left_by(order.exercise) == []


def owing(stack_file: Path, directory: Path) -> tuple[Stranger, Order]:
    """A steady service, and the order to a drill that will owe all that it may."""
    stranger, service = Stranger(stack_file), SCALED[0]
    stranger.wait_until_steady(service)
    place = runs.Place(directory)
    return stranger, Order(
        str(quiet(stack_file, place)), str(place.state), service, f"die-{directory.name}", step=f"settled {LOWER}"
    )


@pytest.mark.sweep
def test_what_was_owed_to_a_sandbox_ends_with_it(tmp_path: Path) -> None:
    """SIGKILL to a run that started its sandbox: nothing of either is left, and nothing is owed to what is gone."""
    place = runs.Place(tmp_path)
    arguments = ("--envdr-speed", "40", "--envdr-tenants", "1", "--envdr-service", "hq", "-k", "full_outage")
    run = runs.begin(place, None, *arguments)
    place.wait_until_down()
    begun = next(event for event in place.events if event["kind"] == "exercise.begin")
    run.kill()
    assert runs.ended(run)[0] == -signal.SIGKILL
    assert place.owed
    wait_until(lambda: silent(begun["data"]["stack"]["endpoint"]), what="the sandbox gone", deadline=60)
    wait_until(lambda: "its sandbox has ended" in undo(place), what="its debts void", deadline=60)
    assert place.owed == []
    assert "Nothing is owed." in undo(place)


def silent(endpoint: str) -> bool:
    """Whether nobody listens there."""
    host, port = endpoint.removeprefix("http://").split(":")
    with socket.socket() as client:
        return client.connect_ex((host, int(port))) != 0
