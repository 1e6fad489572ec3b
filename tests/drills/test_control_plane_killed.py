"""Whatever ends the recovery of a state, and whenever: the undo brings state, digest and lock back, and nothing of a
copy is left."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr import undo
from pytest_envdr.aws import Aws
from pytest_envdr.journal import Header, Journal
from tests.drills import lanes, runs, state_deaths
from tests.drills.state_deaths import Order
from tests.drills.state_rig import Rig, rigged

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_envdr.stack import Stack

COPY, DELETE, PUT, MARKER = "s3.CopyObject", "s3.DeleteObjects", "s3.PutObject", "s3.DeleteObject"
ITEM, UNLOCK, REPLICAS = "dynamodb.PutItem", "terraform.ForceUnlock", "s3.ExpectReplicas"
RANDOM = random.Random(7)  # noqa: S311 (instants, not secrets)
SECONDS = [milliseconds / 1000 for milliseconds in RANDOM.sample(range(3000), 20)]
"""How long after its beginning a drill is killed: it takes some two seconds."""


@dataclass(frozen=True)
class Death:
    """When a drill dies: at a step, or after so many seconds; `lock` says which stack it works on: how its state is
    locked, or that it is replicated."""

    name: str
    how: Mapping[str, Any]
    lock: str = "file"


def _around(act: str, words: str, *, lock: str = "file", **how: Any) -> list[Death]:
    """Before the call, between call and settle, and after it."""
    states = ("intended", "answered", "settled")
    return [Death(f"{state} {words}", {"state": state, "act": act, **how}, lock) for state in states]


STEPS = [
    *_around(COPY, "the copy"),
    *_around(DELETE, "the marker"),
    *_around(PUT, "the foreign state", loss="foreign"),
    *_around(COPY, "the way back", loss="foreign", turn=2),
    *_around(MARKER, "the marker's end"),
    *_around(PUT, "the stale lock", loss="locked"),
    *(
        Death(f"{state} the lock's release", {"state": state, "act": UNLOCK, "loss": "locked"})
        for state in ("intended",)
    ),
    *_around(ITEM, "the copy's digest", lock="table", loss="foreign"),
    *_around(ITEM, "the foreign digest", lock="table", loss="foreign", turn=2),
    *_around(ITEM, "the mended digest", lock="table", loss="foreign", turn=3),
    *_around(COPY, "the copy of what is replicated", lock="replicated")[1:],
    *(
        Death(f"{state} its replicas", {"state": state, "act": REPLICAS}, "replicated")
        for state in ("intended", "settled")
    ),
    Death("reversed its replicas", {"state": "reversed", "act": REPLICAS}, "replicated"),
    *_around(PUT, "the original's lock", where="original"),
    *_around(DELETE, "the original's marker", where="original"),
    *_around(COPY, "the original's way back", where="original", loss="truncated"),
    *_around(ITEM, "the original's foreign digest", lock="table", where="original", loss="foreign", turn=2),
    *(
        Death(f"reversed {act}, {where}", {"state": "reversed", "act": act, "where": where, "loss": "truncated"})
        for where in ("copy", "original")
        for act in (COPY, PUT)
    ),
]
CHANCES = [
    Death(
        f"{seconds} s",
        {"seconds": seconds, "loss": ("foreign", "locked")[number % 2], "where": "copy"},
        ("file", "table")[number % 4 // 2],
    )
    for number, seconds in enumerate(SECONDS)
]
DEATHS = [*STEPS, *CHANCES]


@dataclass(frozen=True)
class Outcome:
    """How a drill died, what it owed, and bucket and lock table before it and after the undo."""

    code: int
    owed: int
    before: Any
    after: Any


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """S3 and DynamoDB, for this module."""
    with rigged(tmp_path_factory.mktemp("killed-states"), region="ca-central-1", network="127.239.0.0/16") as rig:
        yield rig


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, rig: Rig) -> dict[str, Outcome]:
    """All that were selected die, one after the other, and each is undone before the next."""
    stacks = {lock: rig.founded(lock=lock, allows=("state",)) for lock in ("file", "table")}
    replica = rig.bucket()
    stacks["replicated"] = rig.founded()
    rig.replicate(bucket_of(stacks["replicated"]), replica)
    found = {}
    for number, death in enumerate(lanes.wanted(request, DEATHS)):
        stack = stacks[death.lock]
        before = [rig.all_of(name) for name in (bucket_of(stack), replica)]
        journal = str(rig.directory / f"died-{number}" / "target.jsonl")
        order = Order(stack.model_dump_json(exclude={"path"}), journal, **death.how)
        command = [sys.executable, "-m", "tests.drills.state_deaths", state_deaths.to_json([order])]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=runs.ROOT, timeout=runs.SECONDS)
        assert done.returncode == 0, done.stderr
        owed = undone(stack, journal)
        found[death.name] = Outcome(
            json.loads(done.stdout)[0], owed, before, [rig.all_of(name) for name in (bucket_of(stack), replica)]
        )
    return found


def bucket_of(stack: Stack) -> str:
    """Where its state is."""
    assert stack.terraform is not None
    return stack.terraform.bucket


def undone(stack: Stack, journal: str) -> int:
    """Bring back what a drill owes; how many entries that were. A second time there is nothing to do."""
    header = Header("undo", stack.account, stack.region, stack.endpoint)
    with Journal.open(Path(journal), header) as journal_:
        owed = len(journal_.owed())
        undo.replay(Aws(stack, journal_), journal_)
        assert journal_.owed() == []
    return owed


@pytest.mark.parametrize("death", lanes.thinned(STEPS, every=40), ids=lambda death: death.name)
def test_killed_at_a_step(outcomes: dict[str, Outcome], death: Death) -> None:
    """SIGKILL around a call, in the loss, the recovery and on the way back: bucket and lock table are as before."""
    outcome = outcomes[death.name]
    assert outcome.code == -signal.SIGKILL
    assert outcome.after == outcome.before


@pytest.mark.parametrize("death", lanes.thinned(CHANCES, every=20), ids=lambda death: death.name)
def test_killed_at_random(outcomes: dict[str, Outcome], death: Death) -> None:
    """SIGKILL at an instant that nobody chose, a Terraform at work among them."""
    outcome = outcomes[death.name]
    assert outcome.code in (-signal.SIGKILL, 0), "a fast machine is done before"
    assert outcome.after == outcome.before


def test_some_owed_something(outcomes: dict[str, Outcome]) -> None:
    """Those that were killed were at work."""
    assert any(outcome.owed for outcome in outcomes.values())
