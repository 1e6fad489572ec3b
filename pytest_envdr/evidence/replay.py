"""The pytest plugin of the process that makes the report: it runs no test, and tells pytest-html what was recorded.

Only `html.render` starts it. Of pytest it needs nothing but the names of the hooks.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_envdr.evidence import drills, events, page, record, reports, section, stories, wording
from pytest_envdr.evidence.markup import Html, join, tag, text

if TYPE_CHECKING:
    import pytest

    from pytest_envdr.evidence.rows import Drill
    from pytest_envdr.evidence.stories import Story

OPTION = "--envdr-replay"
_COLUMNS = ("Verdict", "RTO", "RTA", "RPO", "RPA")
_TEST = 1
"""Where pytest-html has the cell with the test's name."""
_LINKS = 3
"""Where it has the links; our columns come before."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The directory whose events are told."""
    parser.addoption(OPTION, dest="envdr_replay", type=Path)


def pytest_configure(config: pytest.Config) -> None:
    """Read the events."""
    config.pluginmanager.register(Replay(config.getoption("envdr_replay")), "envdr-replay")


def pytest_metadata(metadata: dict[str, Any]) -> None:
    """This process's own environment is not the exercise's: the head of the report has that."""
    metadata.clear()


class Replay:
    """What was recorded, as pytest-html asks for it."""

    def __init__(self, directory: Path) -> None:
        log = events.read(directory)
        self._directory = directory
        self._told = stories.tell(log)
        self._reports = reports.replayable(log, self._told)
        self._record = record.load(directory)
        self._drills: dict[str, list[tuple[int, Drill]]] = {}
        for number, drill in enumerate(self._record.drills, 1):
            self._drills.setdefault(drill.node_id, []).append((number, drill))
        self._sections: set[str] = set()

    def pytest_collection(self) -> bool:
        """Nothing is collected."""
        return True

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Nothing is run: the recorded reports are told instead."""
        hook = session.config.hook
        for data in self._reports:
            report = hook.pytest_report_from_serializable(config=session.config, data=data)
            if data.get("$report_type") == "CollectReport":
                hook.pytest_collectreport(report=report)
                continue
            if reports.shown(data):
                report.extras = [*getattr(report, "extras", []), *self._extras(report.nodeid)]
            hook.pytest_runtest_logreport(report=report)
        return True

    def pytest_html_report_title(self, report: Any) -> None:
        """The title is the exercise's."""
        report.title = page.title(self._record)

    def pytest_html_results_summary(self, prefix: list[str]) -> None:
        """The head of the report."""
        prefix.append(str(page.render(self._record)))

    def pytest_html_results_table_header(self, cells: list[str]) -> None:
        """Columns for what a drill is about."""
        cells[_LINKS:_LINKS] = [tag("th", name) for name in _COLUMNS]

    def pytest_html_results_table_row(self, report: pytest.TestReport, cells: list[str]) -> None:
        """The test in words, and its drill's figures. pytest-html does not escape the name itself."""
        told = self._drills.get(report.nodeid, [])
        cells[_TEST] = tag("td", *_named(report), class_="col-testId")
        cells[_LINKS:_LINKS] = [tag("td", *values) for values in _figures([drill for _, drill in told])]

    def pytest_html_results_table_html(self, data: list[str]) -> None:
        """No box for a log where there is none."""
        if data == ["No log output captured."]:
            data.clear()

    def _extras(self, node_id: str) -> list[dict[str, Any]]:
        """The sections of a test's drills, once."""
        if node_id in self._sections:
            return []
        self._sections.add(node_id)
        told = self._drills.get(node_id, [])
        content = join(*(section.render(drill, self._story(drill), number, self._directory) for number, drill in told))
        return [{"name": "drill", "format_type": "html", "content": str(content), "extension": "", "mime_type": ""}]

    def _story(self, drill: Drill) -> Story:
        return next(one for one in self._told if (one.node_id, one.begin.at) == (drill.node_id, drill.began_at))


def _named(report: pytest.TestReport) -> tuple[Html, Html]:
    step = f"::{report.when}" if report.when in {"setup", "teardown"} else ""
    return text(drills.readable(report.nodeid) + step), tag("small", report.nodeid)


def _figures(told: list[Drill]) -> list[tuple[Html, ...]]:
    """Verdict, objectives and actuals of a test's last drill."""
    if not told:
        return [(text(wording.NONE),)] * len(_COLUMNS)
    drill = told[-1]
    rto = text(wording.objective(drill.rto_seconds))
    return [
        (section.badge(drill.verdict),),
        (rto,),
        (text(wording.with_error(drill.rta_seconds, drill.error_seconds)),),
        (text(wording.objective(drill.rpo_seconds)),),
        (text(wording.seconds(drill.rpa_seconds)),),
    ]
