"""Whatever kills a drill, and whenever: `envdr undo` brings the service back as it was."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr import cli
from pytest_envdr.waiting import pause
from tests.drills import rehearsal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_envdr.exercise import Exercise

    AsItIs = Callable[[str], dict[str, Any]]

ACTS, REVERSALS = 4, 4
"""The drill's acts: a queue, its subscription, scaling suspended, desired count 0. All of them are reversed."""
MOMENTS = ACTS * 4 + REVERSALS * 2
RANDOM = 20
LASTING = 4.0
"""How long a drill lives at least, in seconds: a kill at random falls within it."""
SERVICES = ("tenant", "api")
"""Taken in turns: while one starts again, the other is killed."""


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state directory of the runs that are killed, and of the undo."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def as_it_is(sandbox_stack: Path) -> AsItIs:
    """What of the stack a drill changes, as somebody else sees it."""
    ecs = rehearsal.other(sandbox_stack, "ecs")
    scaling = rehearsal.other(sandbox_stack, "application-autoscaling")
    sns, sqs = rehearsal.other(sandbox_stack, "sns"), rehearsal.other(sandbox_stack, "sqs")
    topic = sns.list_topics()["Topics"][0]["TopicArn"]

    def read(service: str) -> dict[str, Any]:
        name = f"envelope-prod-{service}"
        (row,) = ecs.describe_services(cluster="envelope-prod-cluster", services=[name])["services"]
        (target,) = scaling.describe_scalable_targets(
            ServiceNamespace="ecs", ResourceIds=[f"service/envelope-prod-cluster/{name}"]
        )["ScalableTargets"]
        told = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        return {
            "desired": row["desiredCount"],
            "scaling": {key: target[key] for key in ("MinCapacity", "MaxCapacity", "SuspendedState")},
            "queues": sqs.list_queues(QueueNamePrefix="envdr-").get("QueueUrls", []),
            "subscribers": [one["Endpoint"] for one in told],
        }

    return read


@pytest.fixture(scope="module")
def watch(sandbox_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Exercise:
    """Reads of ours, on no journal."""
    directory = tmp_path_factory.mktemp("watch")
    with rehearsal.exercise(sandbox_stack, directory) as exercise:
        return exercise


def held(stack: Path, state: Path, service: str, moment: int) -> subprocess.Popen[str]:
    """A drill in a process of its own, which has begun."""
    order = {"stack": str(stack), "state": str(state), "service": service, "moment": moment}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.drills.hold_and_die", json.dumps(order)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


def brought_back(state: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What `envdr undo` says; a second one finds nothing more."""
    capsys.readouterr()
    assert cli.main(["undo", "--state-dir", str(state)]) == 0
    said = capsys.readouterr().out
    assert cli.main(["undo", "--state-dir", str(state)]) == 0
    assert "Nothing is owed" in capsys.readouterr().out
    return said


def test_a_drill_has_these_moments(sandbox_stack: Path, state: Path) -> None:
    """The kills below fall at every moment of the journal that there is."""
    with held(sandbox_stack, state, "tenant", 0) as process:
        said, _ = process.communicate(timeout=120)
    assert int(said) == MOMENTS


@pytest.mark.parametrize("moment", range(1, MOMENTS + 1))
def test_killed_at_a_moment_of_its_journal(
    sandbox_stack: Path,
    state: Path,
    watch: Exercise,
    as_it_is: AsItIs,
    capsys: pytest.CaptureFixture[str],
    moment: int,
) -> None:
    """SIGKILL before and after each entry, between a call and its settling, and on the way back: all is as before."""
    service = SERVICES[moment % len(SERVICES)]
    rehearsal.wait_until_steady(watch, service)
    before = as_it_is(service)
    with held(sandbox_stack, state, service, moment) as process:
        process.wait(timeout=120)
    assert process.returncode == -signal.SIGKILL
    brought_back(state, capsys)
    assert as_it_is(service) == before


@pytest.mark.parametrize("seed", range(RANDOM))
def test_killed_at_a_random_time(
    sandbox_stack: Path,
    state: Path,
    watch: Exercise,
    as_it_is: AsItIs,
    capsys: pytest.CaptureFixture[str],
    seed: int,
) -> None:
    """SIGKILL whenever it comes: all is as before."""
    service = SERVICES[seed % len(SERVICES)]
    rehearsal.wait_until_steady(watch, service)
    before = as_it_is(service)
    with held(sandbox_stack, state, service, 0) as process:
        pause(random.Random(seed).uniform(0, LASTING))  # noqa: S311 (a time, not a secret)
        process.kill()
    brought_back(state, capsys)
    assert as_it_is(service) == before
