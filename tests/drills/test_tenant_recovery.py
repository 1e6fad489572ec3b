"""Single Tenant Recovery on a stack that is well: a user's run of every damage is green, and leaves nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from pytest_envdr.drills.damages import DAMAGES
from tests.drills import runs
from tests.drills.restored import standing
from tests.drills.stranger import Stranger
from tests.drills.tenant_rig import files, hands, held

if TYPE_CHECKING:
    from pathlib import Path

RUNS = [
    pytest.param(("rows deleted", "database dropped"), id="two damages"),
    pytest.param(DAMAGES, marks=pytest.mark.sweep, id="every damage"),
]
"""What is chosen of the scenario: the gate takes the first run, a sweep the second."""
PROVED = "rds.DescribeDBInstances"
"""What a recovery rests on besides SQL and HTTP: each of its answers must have had a real part behind it."""


def looked_at(stack_file: Path) -> dict[str, Any]:
    """All that a recovery may leave behind or change."""
    return held(hands(stack_file)) | standing(Stranger(stack_file))


@pytest.fixture(scope="module")
def before(battered_stack: Path) -> dict[str, Any]:
    """What stood before the run."""
    return looked_at(battered_stack)


@pytest.fixture(scope="module", params=RUNS)
def place(
    request: pytest.FixtureRequest,
    battered_stack: Path,
    before: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> runs.Place:
    """A user's run of `dr_tests`."""
    assert before
    place = runs.Place(tmp_path_factory.mktemp("tenant"))
    chosen = " or ".join(f"({damage.replace(' ', ' and ')})" for damage in request.param)
    code, said = runs.ended(runs.begin(place, battered_stack, "-m", "single_tenant_recovery", "-k", chosen))
    assert code == 0, said
    (scenario,) = place.record["scenarios"]
    assert [drill["name"] for drill in scenario["drills"]] == [f"Recovery · {damage}" for damage in request.param]
    return place


@pytest.fixture(scope="module")
def drills(place: runs.Place) -> dict[str, dict[str, Any]]:
    """The record's drills by name."""
    (scenario,) = place.record["scenarios"]
    return {drill["name"]: drill for drill in scenario["drills"]}


def test_every_damage_is_recovered_from(place: runs.Place, drills: dict[str, dict[str, Any]]) -> None:
    """One drill for each damage: passed, within RTO and RPO; the record keeps to its schema."""
    for name, drill in drills.items():
        assert drill["verdict"] == "passed", name
        assert drill["findings"] == []
        assert 0 < drill["rta_seconds"] <= drill["rto_seconds"]
        (point,) = drill["recovery_points"]
        assert point["source"] == "point-in-time"
        assert point["newest"].startswith("heartbeat ")
        assert 0 <= drill["rpa_seconds"] <= point["rpo_seconds"]
    schema = json.loads((runs.ROOT / "pytest_envdr" / "evidence" / "record.schema.json").read_text())
    jsonschema.validate(place.record, schema)


def test_nothing_is_left(battered_stack: Path, before: dict[str, Any], place: runs.Place) -> None:
    """Every database has the digest of before, the tenant is in service; no instance, group, copy or dump is left, and
    nothing is owed."""
    assert looked_at(battered_stack) == before
    assert files(place.state) == []
    assert place.owed == []
    assert place.record["undo"]["owed"] == []


def test_the_others_are_shown_to_be_untouched(before: dict[str, Any], drills: dict[str, dict[str, Any]]) -> None:
    """Digests of the central database and of every other tenant, before and after, are in the evidence: those that the
    server gives now."""
    for drill in drills.values():
        tables = {table["title"]: table for table in drill["tables"]}
        rows = tables["Databases of others"]["rows"]
        assert [row[0] for row in rows] == ["central", "tenant_acme"]
        for name, first, last in rows:
            assert first == last == before["databases"][name]
        assert tables["What the tenant lost"]["rows"] == []


def test_the_order_of_a_recovery(drills: dict[str, dict[str, Any]]) -> None:
    """Damaged, seen, restored aside, extracted, swapped in, answering, verified; the damage is told in words."""
    for name, drill in drills.items():
        marks = [mark["name"] for mark in drill["marks"]]
        assert marks == [
            "fault",
            "seen",
            "available",
            "logged in",
            "extracted",
            "swapped in",
            "recovered",
            "verified",
        ]
        told = " ".join(note["text"] for note in drill["notes"])
        assert name.split()[-1] in told
        assert ("the damaged database is kept" in told) == (name != "Recovery · database dropped")


def test_it_was_acted_out(drills: dict[str, dict[str, Any]]) -> None:
    """No vacuous pass: instances had a real part behind each answer, and neither RDS nor S3 was merely stored."""
    for name, drill in drills.items():
        operations = drill["fidelity"]["operations"]
        assert set(operations[PROVED]) == {"acted"}, name
        for operation in ("rds.RestoreDBInstanceToPointInTime", "s3.ListObjectsV2"):
            assert "stored" not in operations[operation], f"{name}: {operation}"
