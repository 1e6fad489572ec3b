"""Wherever a drill that builds the standby Region is killed, the undo leaves that Region empty, and the states' bucket.

Each is a build of its own, of a minute or two: all of it belongs to the sweep.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr import leftovers, undo
from pytest_envdr.aws import Aws
from pytest_envdr.errors import UndoFailed
from pytest_envdr.journal import Header, Journal
from pytest_envdr.sandbox import Sandbox
from pytest_envdr.sandbox.envelope.names import PREFIX, STANDBY_REGION
from pytest_envdr.stack import read
from tests import account
from tests.drills import region_deaths, runs
from tests.drills.region_deaths import Order

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_envdr.stack import Stack

pytestmark = pytest.mark.sweep

INIT, APPLY, RESTORE = "terraform.Init", "terraform.Apply", "rds.RestoreDBInstanceToPointInTime"
DEATHS: dict[str, dict[str, Any]] = {
    "before there is a state": {"act": INIT},
    "before the network is built": {"act": APPLY},
    "while the network is built": {"act": APPLY, "seconds": 2.0},
    "the network is built": {"act": APPLY, "state": "settled"},
    "while the database is restored": {"act": RESTORE, "state": "settled"},
    "while the rest is built": {"act": APPLY, "turn": 2, "seconds": 15.0},
    "all is built": {"act": APPLY, "turn": 2, "state": "settled"},
}


@pytest.mark.parametrize("death", DEATHS)
def test_a_killed_build_is_taken_away(sandbox_stack: Path, tmp_path: Path, death: str) -> None:
    """SIGKILL to the drill: a Terraform at work ends by itself and writes its state, by which all is destroyed."""
    stack, journal = killed(sandbox_stack, tmp_path, **DEATHS[death])
    undone(stack, journal)
    assert left(stack) == []


def test_what_a_killed_terraform_made_is_told(tmp_path: Path) -> None:
    """SIGKILL to Terraform and its provider too, which wrote no state since: the undo destroys what the state knows,
    names all that is left, and stays owed."""
    with Sandbox(speed=20, tenants=2) as sandbox:
        stack, journal = killed(sandbox.stack, tmp_path, act=APPLY, turn=2, seconds=15.0, terraform=True)
        with pytest.raises(UndoFailed) as failure:
            undone(stack, journal)
        there = Aws(stack).elsewhere(STANDBY_REGION)
        found = [*leftovers.in_region(there, prefixes=(PREFIX, "envdr-")), *leftovers.tagged(there)]
        assert {"load balancer envelope-prod-public", "cache envelope-prod-redis"} <= set(found)
        told = [line.strip() for line in str(failure.value).splitlines()]
        assert set(found) <= set(told)
        header = Header("look", stack.account, stack.region, stack.endpoint)
        with Journal.open(journal, header) as opened:
            assert [entry.act for entry in opened.owed()] == [INIT]


def killed(stack_file: Path, directory: Path, **how: Any) -> tuple[Stack, Path]:
    """Let a drill die; where its journal is."""
    stack, journal = read(stack_file), directory / f"{account.unique('dies')}.jsonl"
    order = region_deaths.to_json(Order(str(stack_file), str(journal), **how))
    command = [sys.executable, "-m", "tests.drills.region_deaths", order]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=runs.ROOT, timeout=runs.SECONDS)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return stack, journal


def undone(stack: Stack, path: Path) -> None:
    """What `envdr undo` does; nothing is owed afterwards."""
    header = Header("undo", stack.account, stack.region, stack.endpoint)
    with Journal.open(path, header) as journal:
        assert journal.owed() != []
        undo.replay(Aws(stack, journal), journal)
        assert journal.owed() == []


def keys(stack: Stack) -> list[str]:
    """What is in the bucket of the standby Region's states."""
    assert stack.secondary is not None
    there = Aws(stack).elsewhere(STANDBY_REGION)
    rows = there.pages("s3.ListObjectVersions", "Versions", what="", Bucket=stack.secondary.terraform.bucket)
    return [row["Key"] for row in rows]


def left(stack: Stack) -> list[str]:
    """All that a drill may leave, in the Region and in the bucket of its states."""
    there = Aws(stack).elsewhere(STANDBY_REGION)
    found = leftovers.in_region(there, prefixes=(PREFIX, "envdr-"))
    return [*found, *leftovers.tagged(there), *keys(stack)]
