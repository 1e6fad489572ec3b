"""Whatever ends a drill of the provisioner, and whenever: the undo brings concurrency, rule, permission and handler
back, and leaves no tenant, bucket or message of the drill's.

One after the other, on one provisioner: all of it belongs to the sweep. What one act owes, `tests.aws` shows.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr import stack, undo
from pytest_envdr.aws import Aws
from pytest_envdr.journal import Header, Journal, journal_path
from pytest_envdr.waiting import pause
from tests.drills import lanes, runs
from tests.drills.provisioner_deaths import STEPS_FILE, Order
from tests.drills.provisioner_rig import Hand
from tests.drills.stranger import Stranger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_envdr.drills.provisioner import Disabling

pytestmark = pytest.mark.sweep

QUEUE, SUBSCRIBE, PUT, INVOKE = "sqs.CreateQueue", "sns.Subscribe", "events.PutEvents", "lambda.Invoke"
EXPECT, CREATE, FORGET = "s3.ExpectBucket", "s3.CreateBucket", "sqs.DeleteMessage"
TELL, FOUND, NOTE = "application.TellOfTenant", "application.FoundTenant", "ecs.RunTask"
FAULTS: dict[Disabling, str] = {
    "concurrency 0": "lambda.PutFunctionConcurrency",
    "permission removed": "lambda.RemovePermission",
    "code broken": "lambda.UpdateFunctionConfiguration",
    "rule disabled": "events.DisableRule",
}
RANDOM = random.Random(20)  # noqa: S311 (instants, not secrets)
SECONDS = [milliseconds / 1000 for milliseconds in RANDOM.sample(range(12_000), 20)]
"""How long after its first act a drill is killed: it takes some twelve seconds."""
LATE_SECONDS = 8.0
"""How long what comes late may take at most: three tries, 180 s of AWS's, divided by the sandbox's speed, and some."""


@dataclass(frozen=True)
class Death:
    """When a drill dies: at a step, or after so many seconds; `taken`: the tenant's name is another account's."""

    step: str
    how: Disabling = "concurrency 0"
    seconds: float = -1.0
    taken: bool = False

    @property
    def name(self) -> str:
        return f"{self.step or f'{self.seconds} s'}, {self.how}"


def _around(act: str, how: Disabling = "concurrency 0", **more: Any) -> list[Death]:
    """Before its call, between call and settle, and after that; "... #2" where it is the second such act."""
    name, _, turn = act.partition(" ")
    moments = ("intended", "answered", "settled")
    return [Death(f"{moment} {name} {turn}".strip(), how, **more) for moment in moments]


STEPS = [
    *_around(QUEUE),
    *_around(SUBSCRIBE),
    *_around(PUT),
    *(death for how, act in FAULTS.items() for death in _around(act, how)),
    *_around(f"{PUT} #2"),
    *_around(TELL),
    *_around(FOUND),
    *_around(CREATE),
    *_around("s3.PutBucketPolicy"),
    *_around(NOTE, taken=True),
    *_around(f"{PUT} #3"),
    *_around(INVOKE),
    *_around(FORGET),
    *_around("events.StartReplay", "rule disabled"),
    # Events that are still tried meanwhile: the bucket is there already, and nobody may make it again.
    *(Death(f"settled {act}", "code broken") for act in (FOUND, CREATE, "s3.PutBucketNotificationConfiguration")),
    *(Death(f"{moment} {act}", how) for how, act in FAULTS.items() for moment in ("reversed", "closed")),
    *(Death(f"{moment} {act}") for act in (EXPECT, TELL, FOUND) for moment in ("reversing", "closed")),
]
CHANCES = [Death("", [*FAULTS][number % len(FAULTS)], seconds) for number, seconds in enumerate(SECONDS)]


@dataclass(frozen=True)
class Outcome:
    """How a drill died, at which step, what it owed; and all that it may leave, before it and after the undo."""

    code: int
    last: str
    owed: int
    before: dict[str, Any]
    after: dict[str, Any]


class Rehearsed:
    """Drills that die one after the other on one stack."""

    def __init__(self, stack_file: Path, directory: Path, process: subprocess.Popen[str]) -> None:
        self._stack_file, self._directory, self._process = stack_file, directory, process
        self._stranger = Stranger(stack_file)
        self.hand = Hand(Aws(stack.read(stack_file)))
        self.before = self.hand.left()

    def outcome(self, death: Death, number: int) -> Outcome:
        """Let a drill die, bring back what it owes, and wait for what might come late."""
        state, exercise = self._directory / f"died-{number}", f"20260101T000000Z-{number:06x}"
        order = Order(str(self._stack_file), str(state), exercise, death.how, death.step, death.seconds, death.taken)
        code = self._obeyed(order)
        owed = self._undone(state)
        self.hand.give_back_names()
        pause(LATE_SECONDS if death.how == "code broken" else LATE_SECONDS / 4)
        steps = (state / STEPS_FILE).read_text().splitlines()
        left = {**self.hand.left(), "subscribers": self._stranger.left_by(exercise)}
        return Outcome(code, steps[-1] if steps else "", owed, {**self.before, "subscribers": []}, left)

    def _obeyed(self, order: Order) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(asdict(order))}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def _undone(self, state: Path) -> int:
        """What `envdr undo` does; how many entries were owed. A second time there is nothing to do."""
        read = stack.read(self._stack_file)
        target = (read.account, read.region, read.endpoint)
        with Journal.open(journal_path(state, *target), Header("undo", *target)) as journal:
            owed = len(journal.owed())
            undo.replay(Aws(read, journal), journal)
            assert journal.owed() == []
        return owed


@contextmanager
def _obeying() -> Iterator[subprocess.Popen[str]]:
    """The process of tests/drills/provisioner_deaths.py."""
    command, pipe = [sys.executable, "-m", "tests.drills.provisioner_deaths"], subprocess.PIPE
    with subprocess.Popen(command, cwd=runs.ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, battered_stack: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[Death, Outcome]:
    """All that were selected die, one after the other."""
    with _obeying() as process:
        rehearsed = Rehearsed(battered_stack, tmp_path_factory.mktemp("killed-provisioner"), process)
        deaths = lanes.wanted(request, [*STEPS, *CHANCES])
        return {death: rehearsed.outcome(death, number) for number, death in enumerate(deaths)}


@pytest.mark.parametrize("death", STEPS, ids=lambda death: death.name)
def test_killed_at_a_step(outcomes: dict[Death, Outcome], death: Death) -> None:
    """SIGKILL around each kind of act, and on the way back: all is as before, and nothing of the drill's is left."""
    outcome = outcomes[death]
    assert outcome.code == -signal.SIGKILL
    assert outcome.last == death.step.partition(" #")[0]
    assert outcome.owed
    assert outcome.after == outcome.before


@pytest.mark.parametrize("death", CHANCES, ids=lambda death: death.name)
def test_killed_at_random(outcomes: dict[Death, Outcome], death: Death) -> None:
    """SIGKILL at an instant that nobody chose."""
    outcome = outcomes[death]
    assert outcome.code in (-signal.SIGKILL, 0), "a fast machine is done before"
    assert outcome.owed or not outcome.code
    assert outcome.after == outcome.before
