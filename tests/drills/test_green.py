"""The drill on a stack that is well: green both ways, and what it proved was acted out."""

from __future__ import annotations

import html
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pytest_envdr import settings
from pytest_envdr.journal import journal_paths

ROOT = Path(__file__).parents[2]
SERVICES = ("hq", "worker")
"""One behind a load balancer, one that is measured by its work. `make exercise` takes all six."""
PROVED = (
    "ecs.UpdateService",
    "ecs.DescribeServices",
    "ecs.ListTasks",
    "ecs.DescribeTasks",
    "elbv2.DescribeTargetHealth",
)
"""What a recovery rests on: each of these answers must have had a real part behind it."""


@pytest.fixture(scope="module")
def held(sandbox_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run of `dr_tests` as a user starts it; the evidence is in `proof`."""
    directory = tmp_path_factory.mktemp("green")
    command = [sys.executable, "-m", "pytest", str(ROOT / "dr_tests"), "-p", "no:cacheprovider", "-m", "ecs_failover"]
    command += ["--envdr-stack", str(sandbox_stack), "--envdr-service", ",".join(SERVICES)]
    command += ["--envdr-evidence", str(directory / "proof")]
    environment = settings.child_environment() | {"ENVDR_STATE_DIR": str(directory / "state")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stdout
    return directory


@pytest.fixture(scope="module")
def record(held: Path) -> dict[str, Any]:
    """What the run's record says."""
    return dict(json.loads((held / "proof" / "record.json").read_text()))


@pytest.fixture(scope="module")
def drills(record: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """The drills by way and service."""
    (scenario,) = record["scenarios"]
    return {(drill["name"].split(" · ")[0], drill["service"]): drill for drill in scenario["drills"]}


def test_both_ways_pass(record: dict[str, Any], drills: dict[tuple[str, str], dict[str, Any]]) -> None:
    """Self-healing first, for all services, then the full outages; every verdict is passed."""
    ways = ("Self healing", "Full outage")
    assert list(drills) == [(way, service) for way in ways for service in sorted(SERVICES, key=_order)]
    assert {drill["verdict"] for drill in drills.values()} == {"passed"}
    assert record["exercise"]["proves"] == "mechanism"
    assert "never counts as verified recovery" in record["exercise"]["statement"]


def test_the_record_keeps_to_its_schema(record: dict[str, Any]) -> None:
    """What is published is what is written."""
    schema = json.loads((ROOT / "pytest_envdr" / "evidence" / "record.schema.json").read_text())
    jsonschema.validate(record, schema)


def test_recovery_was_acted_out(drills: dict[tuple[str, str], dict[str, Any]]) -> None:
    """No vacuous pass: what a recovery rests on had a real part behind each of its answers."""
    for (way, service), drill in drills.items():
        operations = drill["fidelity"]["operations"]
        for operation in PROVED:
            if operation in operations:
                assert set(operations[operation]) == {"acted"}, f"{way} {service}: {operation}"
    assert set(PROVED) <= set(drills["Full outage", "hq"]["fidelity"]["operations"])


def test_the_parts_make_up_the_whole(drills: dict[tuple[str, str], dict[str, Any]]) -> None:
    """RTA = detect + recover + validate, within the objective; the error of a part is stated."""
    for drill in drills.values():
        parts = drill["detect_seconds"] + drill["recover_seconds"] + drill["validate_seconds"]
        assert drill["rta_seconds"] == pytest.approx(parts, abs=0.01)
        assert drill["rta_seconds"] <= drill["rto_seconds"]
        assert drill["error_seconds"] > 0


def test_an_outage_was_seen_by_all(drills: dict[tuple[str, str], dict[str, Any]]) -> None:
    """No healthy target, then the alarm's message at a subscriber, then the restoring; clients got 503 meanwhile."""
    drill = drills["Full outage", "hq"]
    names = [mark["name"] for mark in drill["marks"]]
    wanted = ["fault", "no healthy target", "seen", "restore", "recovered", "verified"]
    assert [name for name in names if name in wanted] == wanted
    assert "message: envelope-prod-hq-no-healthy-host ALARM" in names
    assert drill["probe"]["classes"].keys() >= {"HTTP 503"}
    assert drill["probe"]["rate_hertz"] >= 4


def test_work_is_measured_by_work(drills: dict[tuple[str, str], dict[str, Any]]) -> None:
    """A service without a port: jobs were not done while it was down, and done after."""
    drill = drills["Full outage", "worker"]
    assert drill["probe"]["classes"].keys() == {"not done"}
    assert "message: envelope-prod-worker-stalled ALARM" in [mark["name"] for mark in drill["marks"]]


def test_ecs_s_own_stamps_stand_beside_the_client_s(drills: dict[tuple[str, str], dict[str, Any]]) -> None:
    """Tasks stopping, created, started; the service's events; the alarm's history: at their own instants."""
    whats = " ".join(fact["what"] for fact in drills["Full outage", "worker"]["facts"])
    for what in ("stopping", "stopped", "created", "pull started", "started", "service event", "StateUpdate", "Action"):
        assert what in whats


def test_scaling_is_suspended_first_and_resumed_last(held: Path) -> None:
    """The order of the journal: suspend, then desired count 0; raised again, then resumed. Nothing is owed."""
    lines = (held / "proof" / "events.jsonl").read_text().splitlines()
    told = [
        event["data"] for event in map(json.loads, lines) if event["kind"] == "journal" and "worker" in event["drill"]
    ]
    acts = [(entry["act"].partition(".")[2], entry["state"]) for entry in told]
    scaling, count = "RegisterScalableTarget", "UpdateService"
    assert [act for act in acts if act[0] in (scaling, count)] == [
        (scaling, "intended"),
        (scaling, "settled"),
        (count, "intended"),
        (count, "settled"),
        (count, "reversed"),
        (scaling, "reversed"),
    ]
    assert journal_paths(held / "state"), "a sandbox that goes on keeps its journal"


def test_the_report_stands_by_itself(held: Path) -> None:
    """One HTML file with the criterion, the steps and the drawn time-line."""
    page = html.unescape((held / "proof" / "report.html").read_text())
    for words in ("ECS Service Failover", "suspend auto scaling", "lastingly, within the RTO", "<svg"):
        assert words in page


def _order(service: str) -> int:
    return ("api", "worker", "scheduler", "reverb", "tenant", "hq").index(service)
