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
RUNS = [
    pytest.param("backup or point-in-time", id="two sources"),
    pytest.param("not cutover", marks=pytest.mark.sweep, id="every source"),
]
"""What is chosen of the scenario: the gate takes the first run, a sweep the second."""
PROVED = ("rds.DescribeDBInstances", "ecs.DescribeTasks", "ecs.DescribeServices")
"""What a restore rests on besides SQL and HTTP: each of these answers must have had a real part behind it."""


@pytest.fixture(scope="module")
def before(battered_stack: Path) -> dict[str, Any]:
    """What stood in the account before the run."""
    return standing(Stranger(battered_stack))


@pytest.fixture(scope="module", params=RUNS)
def place(
    request: pytest.FixtureRequest,
    battered_stack: Path,
    before: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> runs.Place:
    """A user's run of `dr_tests`."""
    assert before
    place, chosen = runs.Place(tmp_path_factory.mktemp("restore")), f"({request.param}) and not cutover"
    code, said = runs.ended(runs.begin(place, battered_stack, "-m", "database_restore", "-k", chosen))
    assert code == 0, said
    return place


@pytest.fixture(scope="module")
def drills(place: runs.Place) -> dict[str, dict[str, Any]]:
    """The record's drills by name."""
    (scenario,) = place.record["scenarios"]
    return {drill["name"]: drill for drill in scenario["drills"]}


def test_every_source_passes(place: runs.Place, drills: dict[str, dict[str, Any]]) -> None:
    """One drill for each source: all passed, each within RTO and RPO; the record keeps to its schema."""
    assert [name for name in RESTORES if name in drills] == list(drills)
    assert len(drills) in (2, 4)
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
    for drill in drills.values():
        tables = {table["title"]: table for table in drill["tables"]}
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
    """A point in time loses less than a backup does; each states the newest heartbeat that survived, how many
    were lost up to the fault, and no hole."""
    lost = {}
    for name, drill in drills.items():
        central, worst = drill["recovery_points"]
        assert central["store"] == "database central"
        assert worst["store"].startswith("database tenant_")
        assert central["newest"].startswith("heartbeat ")
        assert central["lost"] == pytest.approx(central["rpa_seconds"], abs=2 + central["rpa_seconds"] / 4)
        rows = next(table["rows"] for table in drill["tables"] if table["title"] == "Recovery points")
        assert [row[5] for row in rows] == ["0", "0", "0"]
        lost[name] = central["lost"]
    assert lost["Restore · point-in-time"] < lost["Restore · backup"]


def test_the_order_of_a_restore(drills: dict[str, dict[str, Any]]) -> None:
    """Fault, request, available, logged in, first answer, verified; maintenance mode ends before anything goes."""
    drill = drills["Restore · point-in-time"]
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


def test_aws_backup_was_told_the_verdict(
    battered_stack: Path, place: runs.Place, drills: dict[str, dict[str, Any]]
) -> None:
    """The restore job carries SUCCESSFUL and the exercise that says so."""
    assert drills["Restore · backup"]["verdict"] == "passed"
    jobs = Stranger(battered_stack).client("backup").list_restore_jobs()["RestoreJobs"]
    told = {job["ValidationStatusMessage"]: job["ValidationStatus"] for job in jobs if job.get("ValidationStatus")}
    assert told[f"exercise {place.exercise}: verified"] == "SUCCESSFUL"


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
