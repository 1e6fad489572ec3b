"""Terraform's state in the sandbox: when it is made, a plan of the whole stack, a lost one's recovery."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_envdr import stack
from pytest_envdr.aws import Aws, s3_states
from pytest_envdr.sandbox import Sandbox
from pytest_envdr.terraform import Terraform

if TYPE_CHECKING:
    from collections.abc import Callable

PLANS = 5
LOCKS = ("file", "table")


def run(say: Callable[..., None]) -> None:
    """Plans of a fresh sandbox; then the scenario, once with each lock."""
    for lock in LOCKS:
        with tempfile.TemporaryDirectory() as directory, Sandbox(terraform_lock=lock) as sandbox:
            if lock == LOCKS[0]:
                plans(say, Path(directory), sandbox.stack)
            drills(say, directory, sandbox.stack, lock)


def plans(say: Callable[..., None], directory: Path, stack_file: Path) -> None:
    """The first request for the state makes it; then Terraform reads all that it knows, again and again."""
    aws = Aws(stack.read(stack_file))
    row = aws.stack.terraform
    if row is None:
        return
    began = time.monotonic()
    s3_states.body(aws, row.bucket, row.object_key)
    say("terraform state of a fresh sandbox, made", time.monotonic() - began)
    terraform = Terraform.of(aws, directory / "work")
    began = time.monotonic()
    terraform.init()
    say("terraform init", time.monotonic() - began)
    seconds, changes = [], 0
    for _ in range(PLANS):
        began = time.monotonic()
        plan = terraform.plan()
        seconds.append(time.monotonic() - began)
        changes += len(plan.changes)
    say(f"terraform plan, {len(plan.resources)} resources, {changes} changes", *seconds)


def drills(say: Callable[..., None], directory: str, stack_file: Path, lock: str) -> None:
    """What the drills measured: from the loss until it was seen, from there until it was back, and until verified."""
    command = [sys.executable, "-m", "pytest", "dr_tests", "-m", "control_plane_loss", "-q"]
    command += ["--envdr-stack", str(stack_file), "--envdr-evidence", directory]
    code = subprocess.run(command, capture_output=True, check=False).returncode
    record = json.loads((Path(directory) / "record.json").read_text())
    found = [drill for scenario in record["scenarios"] for drill in scenario["drills"] if drill["rta_seconds"]]
    for part in ("detect", "recover", "validate", "rta"):
        seconds = [drill[f"{part}_seconds"] for drill in found]
        say(f"lost state, lock {lock} (exit code {code}): {part}", *seconds)
