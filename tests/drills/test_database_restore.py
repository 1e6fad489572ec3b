"""Database Restore on a stack that is well: a run from every source is green, and says why; so is the cutover."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from pytest_envdr import settings
from tests.drills import runs
from tests.drills.restored import standing
from tests.drills.stranger import Stranger

if TYPE_CHECKING:
    from pathlib import Path

RESTORES = [f"Restore · {source}" for source in settings.SOURCES]
PROVED = ("rds.DescribeDBInstances", "ecs.DescribeTasks", "ecs.DescribeServices")
"""What a restore rests on besides SQL and HTTP: each of these answers must have had a real part behind it."""


@pytest.fixture(scope="module")
def before(battered_stack: Path) -> dict[str, Any]:
    """What stood in the account before the run."""
    return standing(Stranger(battered_stack))


@pytest.fixture(scope="module")
def place(battered_stack: Path, before: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> runs.Place:
    """A user's run of `dr_tests`."""
    assert before
    place = runs.Place(tmp_path_factory.mktemp("restore"))
    code, said = runs.ended(runs.begin(place, battered_stack, "-m", "database_restore", "-k", "not cutover"))
    assert code == 0, said
    return place


@pytest.fixture(scope="module")
def drills(place: runs.Place) -> dict[str, dict[str, Any]]:
    """The record's drills by name."""
    (scenario,) = place.record["scenarios"]
    return {drill["name"]: drill for drill in scenario["drills"]}


def test_every_source_passes(place: runs.Place, drills: dict[str, dict[str, Any]]) -> None:
    """One drill for each source, in order: all passed, each within RTO and RPO; the record keeps to its schema."""
    assert list(drills) == RESTORES
    for name, drill in drills.items():
        assert drill["verdict"] == "passed", name
        assert drill["rta_seconds"] <= drill["rto_seconds"]
        assert drill["rpa_seconds"] <= min(point["rpo_seconds"] for point in drill["recovery_points"])
    schema = json.loads((runs.ROOT / "pytest_envdr" / "evidence" / "record.schema.json").read_text())
    jsonschema.validate(place.record, schema)


def test_nothing_is_left(battered_stack: Path, before: dict[str, Any], place: runs.Place) -> None:
    """No instance, snapshot, group, revision or task of the drill's own is left, the services are deployed as before,
    and nothing is owed."""
    assert standing(Stranger(battered_stack)) == before
    assert place.owed == []
    assert place.record["undo"]["owed"] == []


def test_what_came_back_is_what_was(drills: dict[str, dict[str, Any]]) -> None:
    """The tables say it: central and both tenants compared and equal, and only declared settings differ."""
    for name in RESTORES:
        tables = {table["title"]: table for table in drills[name]["tables"]}
        assert tables["Integrity"]["rows"] == []
        assert "3 databases compared" in tables["Integrity"]["caption"]
        declared = {row[0]: row[3] for row in tables["Configuration"]["rows"]}
        assert set(declared) == {
            "security groups",
            "parameter group",
            "backup retention, days",
            "deletion protection",
            "tags",
            "parameter event_scheduler",
        }
        assert "NOT DECLARED" not in declared.values()


def test_the_loss_is_counted_in_heartbeats(drills: dict[str, dict[str, Any]]) -> None:
    """A point in time loses less than the first backup did; each states the newest heartbeat that survived, how many
    were lost up to the fault, and no hole."""
    lost = {}
    for name in RESTORES:
        central, worst = drills[name]["recovery_points"]
        assert central["store"] == "database central"
        assert worst["store"].startswith("database tenant_")
        assert central["newest"].startswith("heartbeat ")
        assert central["lost"] == pytest.approx(central["rpa_seconds"], abs=2 + central["rpa_seconds"] / 4)
        rows = next(table["rows"] for table in drills[name]["tables"] if table["title"] == "Recovery points")
        assert [row[5] for row in rows] == ["0", "0", "0"]
        lost[name] = central["lost"]
    assert lost["Restore · point-in-time"] < lost["Restore · automated"]


def test_the_order_of_a_restore(drills: dict[str, dict[str, Any]]) -> None:
    """Fault, request, available, logged in, first answer, verified; maintenance mode ends before anything goes."""
    drill = drills[RESTORES[0]]
    names = [mark["name"] for mark in drill["marks"]]
    assert names == ["fault", "seen", "available", "logged in", "recovered", "verified"]
    undone = [note["text"] for note in drill["notes"] if note["text"].endswith(": brought back")]
    assert undone[0].startswith("the application out of maintenance mode")
    assert any(text.startswith("no instance envdr-dbrestore-") for text in undone[1:])


@pytest.mark.sweep
def test_the_services_work_on_the_copy(
    battered_stack: Path, before: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The cutover passes; its marks: out, on the copy, and back on the source; the services are deployed as before."""
    place = runs.Place(tmp_path_factory.mktemp("cutover"))
    code, said = runs.ended(runs.begin(place, battered_stack, "-m", "database_restore", "-k", "cutover"))
    assert code == 0, said
    names = [mark["name"] for mark in place.drill["marks"]]
    assert names[-3:] == ["cutover", "cut over", "back on the source"]
    assert names.index("verified") < names.index("cutover")
    assert standing(Stranger(battered_stack)) == before


def test_aws_backup_was_told_the_verdict(battered_stack: Path, drills: dict[str, dict[str, Any]]) -> None:
    """The restore job carries SUCCESSFUL and the exercise that says so."""
    assert drills["Restore · backup"]["verdict"] == "passed"
    jobs = Stranger(battered_stack).client("backup").list_restore_jobs()["RestoreJobs"]
    told = [job for job in jobs if job.get("ValidationStatus")]
    assert [job["ValidationStatus"] for job in told] == ["SUCCESSFUL"] * len(told)
    assert told
    assert all("verified" in job["ValidationStatusMessage"] for job in told)


def test_it_was_acted_out(drills: dict[str, dict[str, Any]]) -> None:
    """No vacuous pass: what a restore rests on had a real part behind each of its answers."""
    for name, drill in drills.items():
        for operation in PROVED:
            assert set(drill["fidelity"]["operations"][operation]) == {"acted"}, f"{name}: {operation}"


def test_the_report_tells_it(place: runs.Place) -> None:
    """One page with criterion, runbook, configuration, integrity, recovery points and the parts of the time."""
    page = html.unescape((place.evidence / "report.html").read_text())
    for words in (
        "Database Restore",
        "docs/backup-restore-runbook.md",
        "Configuration",
        "Integrity",
        "Recovery points",
        "Recovery time by part",
        "first answer that proves it",
    ):
        assert words in page
