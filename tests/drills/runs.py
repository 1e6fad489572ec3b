"""Runs of the drill and of `envdr` as a user starts them: processes of their own, with evidence and state of their
own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_envdr import settings
from pytest_envdr.durable import read_lines
from pytest_envdr.entries import entries_of
from pytest_envdr.guard import mutating
from pytest_envdr.journal import journal_paths
from pytest_envdr.waiting import wait_until

ROOT = Path(__file__).parents[2]
SECONDS = 540.0
"""How long a run may take on a slow machine."""


@dataclass(frozen=True)
class Place:
    """Where a run keeps what it writes."""

    directory: Path

    @property
    def evidence(self) -> Path:
        return self.directory / "evidence"

    @property
    def state(self) -> Path:
        """The state directory, with the journals."""
        return self.directory / "state"

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events so far; one that is being written is left out."""
        path = self.evidence / "events.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    @property
    def record(self) -> dict[str, Any]:
        """record.json."""
        found: dict[str, Any] = json.loads((self.evidence / "record.json").read_text())
        return found

    @property
    def drill(self) -> dict[str, Any]:
        """The record's one drill."""
        ((drill,),) = (scenario["drills"] for scenario in self.record["scenarios"])
        found: dict[str, Any] = drill
        return found

    @property
    def exercise(self) -> str:
        """The last run's id."""
        return next(str(event["data"]["id"]) for event in self.events[::-1] if event["kind"] == "exercise.begin")

    @property
    def failures(self) -> dict[str, str]:
        """The findings that failed the drill, by their id: title and detail."""
        found = [finding for finding in self.drill["findings"] if finding["severity"] == "failure"]
        return {finding["id"]: f"{finding['title']} ({finding['detail']})" for finding in found}

    @property
    def changes(self) -> list[str]:
        """The calls that changed AWS, in order."""
        rows = [event["data"] for event in self.events if event["kind"] == "aws.call"]
        calls = [f"{row['service']}.{row['operation']}" for row in rows]
        return [call for call in calls if mutating(call)]

    @property
    def owed(self) -> list[str]:
        """What the journals say is still to be brought back."""
        entries = [entry for path in journal_paths(self.state) for entry in entries_of(read_lines(path)[0])]
        return [entry.inverse.restores for entry in entries if entry.owed]

    def wait_until_down(self) -> None:
        """Until the fault is in the evidence."""
        faults = {"name": "fault"}
        wait_until(
            lambda: [event for event in self.events if event["kind"] == "mark" and event["data"] == faults],
            what="the fault",
            deadline=SECONDS,
            longest_interval=0.25,
        )


def begin(place: Place, stack_file: Path | None, *arguments: str) -> subprocess.Popen[str]:
    """`pytest dr_tests` with a stack file."""
    command = [sys.executable, "-m", "pytest", "dr_tests", "-m", "ecs_failover", "-p", "no:cacheprovider"]
    stack = ["--envdr-stack", str(stack_file)] if stack_file else []
    command += [*stack, "--envdr-evidence", str(place.evidence), *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, env=_environment(place), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit code of a run, and all that it said."""
    with process:
        said, _ = process.communicate(timeout=SECONDS)
    return process.returncode, said


def envdr(place: Place, *arguments: str) -> tuple[int, str]:
    """`envdr ...`: its exit code, and all that it said."""
    return ended(beginning(place, *arguments))


def beginning(place: Place, *arguments: str) -> subprocess.Popen[str]:
    """`envdr ...`."""
    return subprocess.Popen(
        [Path(sys.executable).with_name("envdr"), *arguments],
        cwd=place.directory,
        env=_environment(place),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def _environment(place: Place) -> dict[str, str]:
    """The user's, without what the pytest around it says of itself."""
    kept = {
        key: value for key, value in settings.child_environment().items() if not key.startswith(("PYTEST", "ENVDR"))
    }
    return kept | {"ENVDR_STATE_DIR": str(place.state), "PYTHONPATH": str(ROOT)}
