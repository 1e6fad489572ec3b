"""A pytest run that is ended from outside, in the midst of an outage, puts everything back and leaves its evidence."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr import settings
from pytest_envdr.waiting import wait_until
from tests.drills import rehearsal

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., subprocess.Popen[str]]

DR_TESTS = Path(__file__).parents[2] / "dr_tests"
SERVICE = "tenant"
OUTAGE = f"test_ecs_failover.py::test_full_outage[{SERVICE}]"


@pytest.fixture
def run(sandbox_stack: Path, tmp_path: Path) -> Run:
    """Start the drill of one service in a process of its own."""

    def run(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "pytest", f"{DR_TESTS / OUTAGE}", "-p", "no:cacheprovider"]
        command += ["--envdr-stack", str(sandbox_stack), "--envdr-evidence", str(tmp_path / "proof"), *arguments]
        environment = settings.child_environment() | {"ENVDR_STATE_DIR": str(tmp_path / "state")}
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)

    return run


@pytest.fixture
def look(sandbox_stack: Path) -> Callable[[], dict[str, Any]]:
    """The service and its scaling, as somebody else sees them."""
    ecs = rehearsal.other(sandbox_stack, "ecs")
    scaling = rehearsal.other(sandbox_stack, "application-autoscaling")

    def look() -> dict[str, Any]:
        name = f"envelope-prod-{SERVICE}"
        (row,) = ecs.describe_services(cluster="envelope-prod-cluster", services=[name])["services"]
        (target,) = scaling.describe_scalable_targets(
            ServiceNamespace="ecs", ResourceIds=[f"service/envelope-prod-cluster/{name}"]
        )["ScalableTargets"]
        return {"desired": row["desiredCount"], "suspended": target["SuspendedState"]}

    return look


def events(directory: Path) -> list[str]:
    """The kinds of events in the evidence."""
    return [json.loads(line)["kind"] for line in (directory / "events.jsonl").read_text().splitlines()]


def ended(process: subprocess.Popen[str], look: Callable[[], dict[str, Any]], number: signal.Signals) -> str:
    """What a run said that got a signal while its service was down."""
    wait_until(lambda: look()["desired"], lambda desired: desired == 0, what="the service down", deadline=90)
    process.send_signal(number)
    said, _ = process.communicate(timeout=90)
    return said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_midst_of_an_outage(
    run: Run, look: Callable[[], dict[str, Any]], tmp_path: Path, number: signal.Signals
) -> None:
    """A stopped CI job and Ctrl-C: the service and its scaling are as before, nothing is owed, the evidence stands."""
    before = look()
    said = ended(run(), look, number)
    assert look() == before
    assert "KeyboardInterrupt" in said
    assert f"evidence: {tmp_path / 'proof'}" in said
    record = json.loads((tmp_path / "proof" / "record.json").read_text())
    assert record["exercise"]["exit_status"] == pytest.ExitCode.INTERRUPTED
    assert record["undo"]["owed"] == []
    assert record["scenarios"][0]["verdict"] != "passed"
    assert events(tmp_path / "proof")[-1] == "exercise.end"


def test_a_timeout_in_the_midst_of_an_outage(run: Run, look: Callable[[], dict[str, Any]], tmp_path: Path) -> None:
    """pytest-timeout's signal method fails the test; the service and its scaling are as before."""
    before = look()
    process = run("--timeout=8", "--timeout-method=signal")
    said, _ = process.communicate(timeout=120)
    assert look() == before
    assert "Timeout (>8.0s) from pytest-timeout" in said
    record = json.loads((tmp_path / "proof" / "record.json").read_text())
    assert record["undo"]["owed"] == []
    (drill,) = record["scenarios"][0]["drills"]
    assert drill["verdict"] == "failed"
    assert "fault" in [mark["name"] for mark in drill["marks"]]


def test_a_killed_run_is_readable_and_owes_what_it_took(
    run: Run, look: Callable[[], dict[str, Any]], tmp_path: Path
) -> None:
    """SIGKILL: the sandbox survives, the events can be read and rendered, `envdr undo` brings the service back."""
    before = look()
    ended(run(), look, signal.SIGKILL)
    assert look()["desired"] == 0, "the sandbox still answers, and the service is still down"

    def envdr(*arguments: str) -> str:
        command = [str(Path(sys.executable).with_name("envdr")), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    envdr("report", str(tmp_path / "proof"))
    record = json.loads((tmp_path / "proof" / "record.json").read_text())
    assert record["exercise"]["status"] == "interrupted"
    assert record["undo"]["owed"]
    refused = run("--envdr-evidence", str(tmp_path / "next"))
    said, _ = refused.communicate(timeout=60)
    assert refused.returncode == pytest.ExitCode.USAGE_ERROR
    assert "envdr undo" in said
    assert f"desired count {before['desired']}" in envdr("undo", "--state-dir", str(tmp_path / "state"))
    assert look() == before
