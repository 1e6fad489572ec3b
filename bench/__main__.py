"""`make bench`: the sandbox's start, the plugin's cost when unused, verification and its peers, the drill's wall time,
Terraform's plan and a lost state's recovery.

Wall seconds on this machine; other work on it shows in them. Compare figures of one run with one another.
`make bench ARGS=--no-drills` leaves out the minutes that the drills take.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import terraform_state, verify_bucket, verify_database
from pytest_envdr.sandbox import Sandbox

RUNS = 9


def say(name: str, *figures: float, unit: str = "s") -> None:
    """One line: name, minimum, median and maximum."""
    spread = f"{min(figures):8.2f} {statistics.median(figures):8.2f} {max(figures):8.2f} {unit}   n={len(figures)}"
    sys.stdout.write(f"{name:<52}{spread}\n")
    sys.stdout.flush()


def start(cache: Path) -> tuple[float, float]:
    """Seconds until the API answers, and until all services are steady and their targets healthy."""
    began = time.monotonic()
    api: list[float] = []
    with Sandbox(cache=cache, on_progress=lambda _: api.append(time.monotonic() - began)):
        return api[0], time.monotonic() - began


def sandbox() -> None:
    """Cold: no database template in the cache. Warm: there is one."""
    colds, warms = [], []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as cache:
            colds.append(start(Path(cache)))
            warms.append(start(Path(cache)))
    say("sandbox, cold: API up", *(api for api, _ in colds))
    say("sandbox, cold: all services steady and healthy", *(steady for _, steady in colds))
    say("sandbox, warm: API up", *(api for api, _ in warms))
    say("sandbox, warm: all services steady and healthy", *(steady for _, steady in warms))


def collect(directory: str, *arguments: str) -> float:
    """Milliseconds that `pytest --collect-only` takes in an empty project."""
    began = time.monotonic()
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *arguments]
    subprocess.run(command, cwd=directory, capture_output=True, check=False)
    return 1000 * (time.monotonic() - began)


def plugin() -> None:
    """What the plugin adds to a run that does not use it; paired, so that other work hits both alike."""
    with tempfile.TemporaryDirectory() as directory:
        collect(directory)
        pairs = [(collect(directory, "-p", "no:envdr"), collect(directory)) for _ in range(RUNS)]
    say("pytest --collect-only, empty project, -p no:envdr", *(without for without, _ in pairs), unit="ms")
    say("pytest --collect-only, empty project", *(with_ for _, with_ in pairs), unit="ms")
    say("added by the plugin", *(with_ - without for without, with_ in pairs), unit="ms")


def drills() -> None:
    """The first drill over all services, both ways, with the sandbox's start and end."""
    with tempfile.TemporaryDirectory() as evidence:
        began = time.monotonic()
        command = [sys.executable, "-m", "pytest", "dr_tests", "-m", "ecs_failover", "-q", "--envdr-evidence", evidence]
        code = subprocess.run(command, capture_output=True, check=False).returncode
        say(f"pytest dr_tests -m ecs_failover (exit code {code})", time.monotonic() - began)


def main() -> None:
    """Measure, a line at a time."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--no-drills", action="store_true", help="leave out the drills")
    parser.add_argument("--objects", type=int, default=5000, help="verify buckets of so many objects; 0: do not")
    parser.add_argument("--tenants", type=int, default=1000, help="verify so many tenants' databases; 0: do not")
    options = parser.parse_args()
    sys.stdout.write(f"{os.cpu_count()} processors{'':<39}{'min':>8} {'median':>8} {'max':>8}\n")
    plugin()
    sandbox()
    if options.objects:
        verify_bucket.run(say, objects=options.objects)
    if options.tenants:
        verify_database.run(say, tenants=options.tenants)
    if not options.no_drills:
        drills()
        terraform_state.run(say)


main()
