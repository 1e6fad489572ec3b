"""How far data came back, and the tables that a drill tells: from the drill to the record, the verdict and the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.drills import TABLE_ROWS, Drill, RecoveryPoint
from pytest_envdr.evidence import events, html, record
from pytest_envdr.evidence.rows import Verdict
from pytest_envdr.stack import Objective
from pytest_envdr.timeline import Clock
from tests.evidence import exercises
from tests.evidence.test_html import Report

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_envdr.evidence import rows

TEST = "dr_tests/test_database_restore.py::test_restore[automated]"
PROMISED: dict[str, Any] = {
    "rto_seconds": 60,
    "rpo_seconds": 40,
    "detect_seconds": None,
    "rpo_seconds_from": {"automated": 8640},
}


def told(directory: Path, *points: RecoveryPoint, tables: tuple[tuple[Any, ...], ...] = (), rpo: bool = True) -> None:
    """The evidence of a drill that passed, with what a `Drill` says of its data."""
    objectives = PROMISED if rpo else {**PROMISED, "rpo_seconds": None, "rpo_seconds_from": {}}
    with exercises.exercise(directory) as teller:
        exercises.outage(teller, TEST, shift=0, scenario="database_restore", objectives=objectives)
        drill = Drill(
            TEST,
            exercise_id="x",
            objective=Objective(**objectives),
            directory=directory,
            sink=teller.log.sink(TEST),
            clock=Clock(),
        )
        for point in points:
            drill.recovery_point(point)
        for title, columns, content in tables:
            drill.table(title, columns, content, caption="read it so")
        teller.end()


def recorded(directory: Path) -> rows.Drill:
    """The record's one drill."""
    (drill,) = record.compute(events.read(directory)).drills
    return drill


def point(seconds: float | None, **changes: Any) -> RecoveryPoint:
    """A recovery point of a store."""
    usual: dict[str, Any] = {"store": "database central", "newest": "heartbeat 17", "lost": 3, "error_seconds": 1.0}
    return RecoveryPoint(**{**usual, "rpa_seconds": seconds, **changes})


@pytest.mark.parametrize(
    ("points", "verdict", "reason"),
    [
        ([point(39.9)], Verdict.PASSED, ""),
        ([point(40.1)], Verdict.FAILED, "database central: the RPA of 40.1 s lies above the RPO of 40 s"),
        (
            [point(1), point(50, store="database tenant_acme")],
            Verdict.FAILED,
            "database tenant_acme: the RPA of 50.0 s",
        ),
        ([point(500, source="automated")], Verdict.PASSED, ""),
        ([point(9000, source="automated")], Verdict.FAILED, "above the RPO of 8640 s"),
        ([point(None)], Verdict.NOT_VERIFIED, "nothing that survived tells its RPA"),
        ([], Verdict.NOT_VERIFIED, "never measured, so there is no RPA"),
    ],
)
def test_the_verdict_weighs_lost_data(
    tmp_path: Path, points: list[RecoveryPoint], verdict: Verdict, reason: str
) -> None:
    """An RPA above what is promised for its source fails the drill; one that is not known verifies nothing."""
    told(tmp_path, *points)
    drill = recorded(tmp_path)
    assert (drill.verdict, reason in " ".join(drill.reasons)) == (verdict, True)


def test_without_an_objective_lost_data_is_told_only(tmp_path: Path) -> None:
    """A store's recovery point stands in the record, and nothing is judged by it."""
    told(tmp_path, point(5000), rpo=False)
    drill = recorded(tmp_path)
    assert drill.verdict is Verdict.PASSED
    assert (drill.rpo_seconds, drill.rpa_seconds) == (None, 5000)


def test_the_worst_store_is_the_drills(tmp_path: Path) -> None:
    """The drill's RPA is that of the store that lost most; one of which nothing survived is worse than all."""
    told(tmp_path / "known", point(1), point(7, store="bucket"), point(3))
    told(tmp_path / "unknown", point(1), point(None, store="bucket"))
    assert recorded(tmp_path / "known").rpa_seconds == 7
    assert recorded(tmp_path / "unknown").rpa_seconds is None


def test_a_drill_knows_its_own_worst(tmp_path: Path) -> None:
    """What a test asserts is the worst of the stores, and nothing where one is not known."""
    drill = Drill("x", exercise_id="x", objective=None, directory=tmp_path, sink=lambda _: None, clock=Clock())
    assert drill.rpa_seconds is None
    drill.recovery_point(point(2))
    drill.recovery_point(point(4))
    assert drill.rpa_seconds == 4
    drill.recovery_point(point(None))
    assert drill.rpa_seconds is None


def test_the_page_shows_data_and_tables(tmp_path: Path) -> None:
    """RPO and RPA beside RTO and RTA, each store's recovery point, each table with its caption."""
    told(tmp_path, point(3.25), tables=(("Differences", ("database", "kind"), [("tenant_acme", "changed-row <b>")]),))
    html.render(tmp_path)
    report = Report(tmp_path / html.FILE)
    section = report.section(TEST).text
    assert "RPO 40 s RPA 3.2 s" in section
    assert "database central 40 s 3.2 ± 1.0 s heartbeat 17 3" in section
    assert "Differences read it so database kind tenant_acme changed-row <b>" in section
    assert "40 s 3.2 s" in report.page.text


def test_a_long_table_is_shown_in_part_and_kept_whole(tmp_path: Path) -> None:
    """The first rows stand in the record, all of them in a file beside it; an empty table says so."""
    many = [(number, f"row, {number}") for number in range(TABLE_ROWS + 7)]
    told(tmp_path, point(1), tables=(("Many", ("#", "what"), many), ("Few", ("a",), [])))
    drill = recorded(tmp_path)
    assert [(table.title, len(table.rows), table.total) for table in drill.tables] == [
        ("Many", TABLE_ROWS, TABLE_ROWS + 7),
        ("Few", 0, 0),
    ]
    (kept,) = drill.attachments
    assert (tmp_path / kept.path).read_text().splitlines()[-1] == '56,"row, 56"'
    html.render(tmp_path)
    section = Report(tmp_path / html.FILE).section(TEST).text
    assert "and 7 more: all of them are attached as Many.csv" in section
    assert "Few read it so None." in section
