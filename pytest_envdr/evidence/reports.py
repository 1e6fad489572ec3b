"""The serialised pytest reports of an exercise, completed so that each test can be shown, a killed one too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_envdr.evidence.events import Events
    from pytest_envdr.evidence.stories import Story

Report = dict[str, Any]
"""What `pytest_report_to_serializable` gives."""
CUT_OFF = "The run was interrupted before this test ended."


def replayable(events: Events, told: list[Story]) -> list[Report]:
    """The reports by test, each with its last phase: pytest-html shows a test when it was torn down.

    A test without a report of its call or a failure before it was cut off, and says so.
    """
    collected: list[Report] = []
    tests: dict[str, list[Report]] = {story.node_id: [] for story in told}
    for event in events.of("report"):
        report = event.data.get("report")
        if not isinstance(report, dict) or "nodeid" not in report:
            continue
        if report.get("$report_type") == "CollectReport":
            collected.append(report)
        else:
            tests.setdefault(str(report["nodeid"]), []).append(report)
    return collected + [report for node_id, reports in tests.items() for report in _whole(node_id, reports)]


def shown(report: Report) -> bool:
    """Whether it makes a row of its own."""
    return report.get("when") == "call" or report.get("outcome") != "passed"


def _whole(node_id: str, reports: list[Report]) -> Iterator[Report]:
    before = [report for report in reports if report.get("when") != "teardown"]
    after = [report for report in reports if report.get("when") == "teardown"]
    yield from before
    if not any(shown(report) for report in before):
        yield _made(node_id, "call", "failed", CUT_OFF)
    yield from after or [_made(node_id, "teardown", "passed", None)]


def _made(node_id: str, when: str, outcome: str, longrepr: str | None) -> Report:
    return {
        "$report_type": "TestReport",
        "nodeid": node_id,
        "location": [node_id.split("::", 1)[0], None, node_id.rpartition("::")[2]],
        "keywords": {},
        "outcome": outcome,
        "longrepr": longrepr,
        "when": when,
        "user_properties": [],
        "sections": [],
        "duration": 0.0,
        "start": 0.0,
        "stop": 0.0,
    }
