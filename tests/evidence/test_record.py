"""The record: computed from the events, by its schema."""

from __future__ import annotations

import copy
import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from pytest_envdr.errors import EnvdrError
from pytest_envdr.evidence import drills, events, record, rows
from tests.evidence import exercises

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = json.loads(Path(record.__file__).with_name("record.schema.json").read_text())
TEST = "dr_tests/test_ecs_failover.py::test_full_outage"


@pytest.fixture(scope="module")
def failover(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("failover")
    exercises.failover(directory)
    record.write(directory)
    return directory


@pytest.fixture
def written(failover: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((failover / record.FILE).read_text())
    return content


def problems(content: object) -> list[str]:
    found = jsonschema.Draft202012Validator(SCHEMA).iter_errors(content)
    return [f"{problem.json_path}: {problem.message}" for problem in found]


def places(content: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every key of every object in it."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield (*path, key)
            yield from places(value, (*path, key))
    elif isinstance(content, list):
        for index, value in enumerate(content):
            yield from places(value, (*path, index))


def free(place: tuple[str | int, ...]) -> bool:
    """Whether it is an entry of an open table (versions, failure classes, operations), or in a list but not first."""
    return bool({"versions", "classes", "operations"} & set(place[:-1])) or any(
        isinstance(step, int) and step > 0 for step in place
    )


def test_the_schema_is_one_and_describes_everything() -> None:
    """The published schema is valid, stands alone, and has a description for each property."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert "$id" not in json.dumps(SCHEMA)
    objects = [SCHEMA, *(part for part in SCHEMA["$defs"].values() if part["type"] == "object")]
    for part in objects:
        assert part["description"]
        assert set(part["required"]) == set(part["properties"])
        assert not part["additionalProperties"]
        assert all(row["description"] for row in part["properties"].values())


def test_the_schema_and_the_rows_have_the_same_fields() -> None:
    """No field is in the one and not in the other."""
    for name, part in SCHEMA["$defs"].items():
        if part["type"] == "object":
            row = getattr(rows, "".join(word.capitalize() for word in name.split("_")))
            assert {field.name for field in dataclasses.fields(row)} == set(part["properties"]), name


def test_a_record_keeps_the_schema(written: dict[str, Any]) -> None:
    """What is written for a realistic exercise validates."""
    assert problems(written) == []


def test_nothing_may_be_missing(written: dict[str, Any]) -> None:
    """A record that lacks any of its fields does not validate."""
    validator = jsonschema.Draft202012Validator(SCHEMA)
    for place in places(written):
        if free(place):
            continue
        cut = copy.deepcopy(written)
        parent = cut
        for step in place[:-1]:
            parent = parent[step]  # type: ignore[index]
        del parent[place[-1]]  # type: ignore[arg-type]
        assert not validator.is_valid(cut), place


def test_the_scenario_hangs_on_its_worst_drill(written: dict[str, Any]) -> None:
    """Two passes do not outweigh a drill that never came back: the scenario failed and has no RTA."""
    (scenario,) = written["scenarios"]
    assert scenario["verdict"] == written["verdict"] == "failed"
    assert scenario["decisive"] == f"{TEST}[worker]"
    assert scenario["rta_seconds"] is None
    assert [drill["verdict"] for drill in scenario["drills"]] == [
        "passed",
        "passed",
        "failed",
        "failed",
        "not verified",
    ]


def test_the_actuals_of_a_pass(written: dict[str, Any]) -> None:
    """RTA = detect + recover + validate, with its error, from the marks."""
    drill = written["scenarios"][0]["drills"][0]
    parts = [drill[f"{name}_seconds"] for name in ("detect", "recover", "validate")]
    assert parts == [6.0, 6.0, 3.0]
    assert (drill["rta_seconds"], drill["error_seconds"], drill["rto_seconds"]) == (15.0, 0.3, 30)
    assert drill["zero"] == "fault"
    assert drill["phases"][0]["phase"] == "kick-off"
    assert drill["probe"]["outage_seconds"] == 10.75


def test_a_passed_test_that_was_too_slow_has_failed(written: dict[str, Any]) -> None:
    """The verdict is the evidence's: RTA above RTO is red though pytest was green."""
    drill = written["scenarios"][0]["drills"][2]
    assert (drill["outcome"], drill["verdict"]) == ("passed", "failed")
    assert "above the RTO" in drill["reasons"][0]


def test_several_scenarios_and_the_closest_call(tmp_path: Path) -> None:
    """Scenarios come in the order of their first drill; where all passed, the slowest decides."""
    with exercises.exercise(tmp_path) as teller:
        exercises.outage(teller, "a::x", shift=0)
        teller.end()
        exercises.outage(teller, "a::y", shift=50, slower=5)
        teller.end()
        exercises.outage(teller, "b::x", shift=100, scenario="worker_queue_recovery", title="Worker Queue Recovery")
        teller.end()
    told = record.write(tmp_path)
    assert [(one.scenario, one.verdict, one.decisive) for one in told.scenarios] == [
        ("ecs_failover", "passed", "a::y"),
        ("worker_queue_recovery", "passed", "b::x"),
    ]
    assert told.scenarios[0].rta_seconds == 20.0
    assert told.verdict == "passed"


def test_a_drill_that_ran_again_is_two(tmp_path: Path) -> None:
    """A repeated test does not mix its two time-lines."""
    with exercises.exercise(tmp_path) as teller:
        for shift in (0, 60):
            exercises.outage(teller, "a::x", shift=shift)
            teller.end()
    told = record.write(tmp_path)
    assert [drill.rta_seconds for drill in told.drills] == [15.0, 15.0]
    assert [drill.probe.samples for drill in told.drills if drill.probe] == [78, 78]


def test_a_killed_run_has_a_record(tmp_path: Path) -> None:
    """Without an end it is interrupted: the drill is not verified, what is owed is named, and it validates."""
    teller = exercises.Teller(tmp_path)
    teller.begin("a::x", shift=0)
    teller.at(1, "phase.begin", phase="trigger")
    teller.marks(fault=1)
    teller.at(1, "journal", act="ecs.UpdateService", restores="service api desired count 2", state="intended")
    teller.at(1.2, "journal", act="ecs.StopTask", restores="", state="settled")
    with (tmp_path / events.FILE).open("ab") as file:
        file.write(b'{"seq": 9, "at"')
    told = record.write(tmp_path)
    (drill,) = told.drills
    assert (told.exercise.status, told.exercise.exit_status) == ("interrupted", None)
    assert (drill.outcome, drill.verdict, drill.seconds) == ("interrupted", "not verified", None)
    assert drill.phases[0].seconds is None
    assert [change.act for change in told.undo.owed] == ["ecs.UpdateService"]
    assert (told.undo.changes, told.undo.reversed, told.undo.healed) == (2, 0, 1)
    assert told.source.unreadable_lines == 1
    assert problems(json.loads((tmp_path / record.FILE).read_text())) == []


@pytest.mark.parametrize("seconds", range(0, 260, 20))
def test_a_run_killed_at_any_line_has_a_record(failover: Path, tmp_path: Path, seconds: int) -> None:
    """Whatever prefix of the events is left, even none, it gives a record that validates."""
    lines = (failover / events.FILE).read_bytes().splitlines(keepends=True)
    kept = b"".join(lines[: len(lines) * seconds // 260])
    (tmp_path / events.FILE).write_bytes(kept[:-7])
    record.write(tmp_path)
    assert problems(json.loads((tmp_path / record.FILE).read_text())) == []


def test_no_marks_no_rta(tmp_path: Path) -> None:
    """A drill that passed without marks is not verified, its offsets count from its beginning."""
    with exercises.exercise(tmp_path) as teller:
        teller.begin("a::x", shift=3)
        teller.call(1, "ecs.DescribeServices")
        teller.at(2, "note", text="looked")
        teller.end()
    (drill,) = record.write(tmp_path).drills
    assert (drill.verdict, drill.rta_seconds, drill.zero) == ("not verified", None, "begin")
    assert drill.notes[0].offset_seconds == 2.0


def test_a_missing_runbook_is_a_deviation(tmp_path: Path) -> None:
    """A runbook that was not found is among the deviations; where none is named, there is none."""
    with exercises.exercise(tmp_path) as teller:
        teller.begin("a::x", shift=0, runbook={"path": "gone.md", "sha256": None, "found": False})
        teller.end()
        teller.begin("a::y", shift=10, runbook=None)
        teller.end()
    gone, none = record.write(tmp_path).drills
    assert "gone.md" in gone.deviations[0].text
    assert (none.deviations, none.runbook) == ((), None)


def test_a_misspelt_severity_is_taken_for_the_worst(tmp_path: Path) -> None:
    """A finding is never lost to an unknown word."""
    with exercises.exercise(tmp_path) as teller:
        exercises.outage(teller, "a::x", shift=0)
        teller.at(5, "finding", id="x", severity="Failiure", title="t", detail="d", remedy="r")
        teller.end()
    assert record.write(tmp_path).verdict == "failed"


@pytest.mark.parametrize(("kind", "proves"), [("sandbox", "mechanism"), ("aws", "recovery")])
def test_what_a_run_proves_is_said(tmp_path: Path, kind: str, proves: str) -> None:
    """A sandbox run never says that it proves recovery, an AWS run does."""
    with exercises.exercise(tmp_path, kind=kind) as teller:
        exercises.outage(teller, "a::x", shift=0)
        teller.end()
    exercise = record.write(tmp_path).exercise
    assert exercise.proves == proves
    assert ("never counts as verified recovery" in exercise.statement) is (kind == "sandbox")


def test_the_record_names_its_source(failover: Path, written: dict[str, Any]) -> None:
    """The events' number and hash are in it, and computing it again gives the same."""
    assert written["source"]["events"] == len((failover / events.FILE).read_bytes().splitlines())
    before = (failover / record.FILE).read_bytes()
    record.write(failover)
    assert (failover / record.FILE).read_bytes() == before


def test_what_was_undone(written: dict[str, Any]) -> None:
    """Changes that were put back are counted, the rest is named."""
    assert (written["undo"]["changes"], written["undo"]["reversed"]) == (4, 3)
    assert written["undo"]["owed"][0]["restores"] == "service envelope-prod-worker desired count 2"


def test_no_events_no_record(tmp_path: Path) -> None:
    """Where nothing was recorded, the error says where it was looked."""
    with pytest.raises(EnvdrError, match=str(tmp_path)):
        record.write(tmp_path)


@pytest.mark.parametrize(
    ("node_id", "name"),
    [
        ("a/test_x.py::test_full_outage[api]", "Full outage · api"),
        ("a/test_x.py::TestThat::test_it", "It"),
        ("a/test_x.py::test_it[a-b[0]]", "It · a-b[0]"),
        ("test_only", "Only"),
        ("", ""),
    ],
)
def test_a_test_is_named_in_words(node_id: str, name: str) -> None:
    """Its function's words, and its parameters."""
    assert drills.readable(node_id) == name


def test_the_record_needs_no_pytest_and_no_cloud() -> None:
    """Evidence is ordinary library code: it brings in neither pytest, boto3, moto nor pydantic."""
    script = (
        "import sys, pytest_envdr.evidence.record, pytest_envdr.evidence.html, pytest_envdr.evidence.replay\n"
        "print({'pytest', 'boto3', 'moto', 'pydantic'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"
