"""The HTML report: made from the events alone, in pytest-html's own form."""

from __future__ import annotations

import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from pytest_envdr.errors import EnvdrError
from pytest_envdr.evidence import events, html, record
from pytest_envdr.evidence.wording import NONE
from tests.evidence import exercises

pytest.importorskip("pytest_html")
HOSTILE = "</script><img src=x onerror=alert(1)>\"'&\udc80"


class Elements(HTMLParser):
    """What a browser would find: names, attributes and the text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One element."""
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Its text."""
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def ids(self) -> set[str]:
        return {attributes["id"] or "" for _, attributes in self.found if "id" in attributes}


class Report:
    """A report as one reads it: the head, and what each test's row unfolds to."""

    def __init__(self, path: Path) -> None:
        self.source = path.read_text()
        self.page = Elements(self.source)
        blob = next(attributes["data-jsonblob"] for _, attributes in self.page.found if "data-jsonblob" in attributes)
        self.tests: dict[str, list[dict[str, Any]]] = json.loads(blob or "")["tests"]

    def row(self, node_id: str) -> Elements:
        return Elements("".join(self.tests[node_id][0]["resultsTableRow"]))

    def section(self, node_id: str) -> Elements:
        return Elements("".join(extra["content"] for extra in self.tests[node_id][0]["extras"]))

    def results(self) -> dict[str, list[str]]:
        return {node_id: [row["result"] for row in rows] for node_id, rows in self.tests.items()}


def rendered(directory: Path) -> Report:
    path = html.render(directory)
    assert path == directory / html.FILE
    return Report(path)


TEST = "dr_tests/test_ecs_failover.py::test_full_outage"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("failover")
    exercises.failover(place)
    return place


@pytest.fixture(scope="module")
def failover(directory: Path) -> Report:
    return rendered(directory)


def test_the_exercise_stands_on_top(failover: Report) -> None:
    """Id, stack, target, account, Region, speed, commit, versions, who ran it and with which command."""
    for shown in (
        "Disaster-recovery exercise 20260504-101500-k3f9",
        "envelope-prod",
        "http://127.0.0.1:4566",
        "123456789012",
        "eu-west-1",
        "speed 10",
        "4c1f0e2a9b7d",
        "pytest 9.2.0",
        "mira on build-7",
        "pytest dr_tests -m ecs_failover",
        "events.jsonl",
    ):
        assert shown in failover.page.text


def test_a_sandbox_says_so(failover: Report) -> None:
    """That it proves the mechanism and not AWS's own path is said in prominent words."""
    assert "never counts as verified recovery" in failover.page.text
    assert ("p", {"class": "statement mechanism"}) in failover.page.found


def test_the_table_of_scenarios(failover: Report) -> None:
    """Scenario, drills, RTO, RTA with its error, RPO, RPA, the RTA's parts, findings, fidelity, verdict."""
    text = failover.page.text
    assert "ECS Service Failover 30 s" in text
    assert f"Full outage · api 30 s 15.0 ± 0.3 s {NONE} {NONE} 6.0 · 6.0 · 3.0 s 1 warning 31 acted" in text
    assert f"Full outage · worker 30 s {NONE} {NONE} {NONE} {NONE} 1 failure 1 acted failed" in text


def test_each_drill_of_the_table_has_its_section(failover: Report) -> None:
    """The links of the table lead to the sections."""
    links = {attributes["href"] for name, attributes in failover.page.found if name == "a"}
    ids = set().union(*(failover.section(node_id).ids() for node_id in failover.tests))
    assert {link for link in links if link and link.startswith("#")} == {f"#{one}" for one in ids if "drill-" in one}


def test_what_is_owed_is_said(failover: Report) -> None:
    """A change that was not put back stands on top, with the remedy."""
    assert "Not undone" in failover.page.text
    assert "service envelope-prod-worker desired count 2" in failover.page.text


def test_a_test_tells_its_drill(failover: Report) -> None:
    """Criterion, steps, runbook and its hash, the drawing, findings, deviations, waits, calls, facts, changes."""
    section = failover.section(f"{TEST}[api]")
    for shown in (
        exercises.CRITERION,
        "Trigger Auto scaling is suspended",
        "runbooks/ecs-failover.md",
        exercises.SHA256,
        "longest outage 10.8 s",
        "HTTP 503 \N{MULTIPLICATION SIGN} 37",
        "A total outage leaves envelope-prod-api-5xx without data",
        "Remedy:",
        "not paged by telephone",
        "the alarm's message at the on-call queue",
        "req-4-UpdateService",
        "ThrottlingException",
        "has reached a steady state",
        "service envelope-prod-api desired count 2",
        "AlarmHistoryItems",
    ):
        assert shown in section.text, shown
    assert any(name == "svg" for name, _ in section.found)
    assert "has changed" not in section.text


def test_a_row_has_words_and_figures(failover: Report) -> None:
    """The row names the test in words, and has verdict, RTO and RTA."""
    assert "Full outage · api dr_tests/test_ecs_failover.py::test_full_outage[api]" in failover.row(f"{TEST}[api]").text
    assert "passed 30 s 15.0 ± 0.3 s" in failover.row(f"{TEST}[api]").text
    assert failover.results() == {
        f"{TEST}[api]": ["Passed"],
        f"{TEST}[tenant]": ["Passed"],
        f"{TEST}[hq]": ["Passed"],
        f"{TEST}[worker]": ["Failed"],
        f"{TEST}[reverb]": ["Skipped"],
    }


def test_it_is_self_contained(failover: Report) -> None:
    """Nothing is loaded from anywhere else."""
    for name, attributes in failover.page.found:
        assert name != "link"
        assert not (name in {"script", "img", "source"} and (attributes.get("src") or "").startswith("http"))
    assert "@import" not in failover.source


def test_it_can_be_made_again(directory: Path) -> None:
    """A second rendering replaces the first, and leaves nothing else behind."""
    before = sorted(path.name for path in directory.iterdir())
    assert rendered(directory).results()
    assert sorted(path.name for path in directory.iterdir()) == before


def test_a_killed_run_has_a_report(tmp_path: Path) -> None:
    """After a kill the report says so; the test that ran is shown with what is known of it."""
    teller = exercises.Teller(tmp_path)
    exercises.outage(teller, "t.py::test_done", shift=0)
    teller.end()
    exercises.outage(teller, "t.py::test_killed", shift=60)
    teller.report(when="setup")
    with (tmp_path / events.FILE).open("ab") as file:
        file.write(b'{"seq": 99')
    report = rendered(tmp_path)
    assert "did not come to its end" in report.page.text
    assert "1 unreadable line" in report.page.text
    assert report.results() == {"t.py::test_done": ["Passed"], "t.py::test_killed": ["Failed"]}
    assert "interrupted before this test ended" in report.tests["t.py::test_killed"][0]["log"]
    assert "the run was interrupted" in report.section("t.py::test_killed").text
    assert "15.0 ± 0.3 s" in report.row("t.py::test_killed").text


def test_a_run_killed_before_its_first_test_has_a_report(tmp_path: Path) -> None:
    """With no drill at all there is still a page."""
    exercises.Teller(tmp_path)
    assert "No scenario was exercised" in rendered(tmp_path).page.text


def test_nothing_from_outside_becomes_markup(tmp_path: Path) -> None:
    """Hostile words anywhere stay words."""
    with exercises.exercise(tmp_path, exercise_id=HOSTILE) as teller:
        teller.begin(
            f"t.py::test_it[{HOSTILE}]",
            shift=0,
            **dict.fromkeys(("scenario", "title", "service", "criterion", "steps"), HOSTILE),
            runbook={"path": HOSTILE, "sha256": HOSTILE, "found": True},
        )
        teller.phases((HOSTILE, 0, 2))
        teller.marks(**{HOSTILE: 1})
        teller.at(1, "probe", ok=False, status=None, error=HOSTILE, milliseconds=1)
        teller.call(1, f"ecs.{HOSTILE.replace('.', '')}", HOSTILE, request_id=HOSTILE, error=HOSTILE, status=HOSTILE)
        for kind in ("note", "deviation", "aws.fact", "finding", "wait", "attachment", "journal"):
            names = ("text", "what", "id", "title", "detail", "remedy", "name", "path", "act", "restores", "state")
            teller.at(2, kind, **dict.fromkeys(names, HOSTILE))
        teller.end("failed", longrepr=HOSTILE)
    report = rendered(tmp_path)
    (node_id,) = report.tests
    rows = report.tests[node_id]
    logs = Elements("".join(row["log"] for row in rows))
    for part in (report.page, report.row(node_id), report.section(node_id), logs):
        assert not [name for name, attributes in part.found if "onerror" in attributes or attributes.get("src") == "x"]
    assert "alert(1)" in report.section(node_id).text


def test_attachments_are_shown_and_checked(tmp_path: Path) -> None:
    """One that changed or is gone is said to; nothing from outside the directory gets in."""
    (tmp_path / "secret.txt").write_text("secret word")
    place = tmp_path / "evidence"
    with exercises.exercise(place) as teller:
        exercises.outage(teller, "t.py::test_it", shift=0)
        for name in ("kept.json", "changed.json", "gone.json"):
            exercises.attach(teller, place, name, f'"{name} in full"')
        for path in ("../secret.txt", str(tmp_path / "secret.txt"), "nul\0", "a" * 5000):
            teller.at(20, "attachment", name="outside", path=path, media_type="text/plain", sha256="")
        teller.end()
    (place / "attachments/changed.json").write_text("other")
    (place / "attachments/gone.json").unlink()
    section = rendered(place).section("t.py::test_it")
    assert '"kept.json in full"' in section.text
    assert "changed.json has changed since it was attached" in section.text
    assert "gone.json is missing" in section.text
    assert "secret word" not in section.text


PLUGIN = """
import pathlib, pytest
from pytest_envdr.evidence.events import EventLog
from pytest_envdr.timeline import Clock

def pytest_addoption(parser):
    parser.addoption("--log-to", type=pathlib.Path)

def pytest_configure(config):
    config.log = EventLog(config.getoption("--log-to"), "ex", Clock())

def _write(config, report):
    data = config.hook.pytest_report_to_serializable(config=config, report=report)
    config.log.write("report", drill=report.nodeid, report=data)

@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    _write(item.config, report)
    return report

@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    report = yield
    _write(collector.config, report)
    return report
"""
TESTS = """
import pytest

@pytest.fixture
def broken():
    raise RuntimeError("no database")

@pytest.fixture
def leaving():
    yield
    raise RuntimeError("not put back")

def test_passes(): print("said so")
def test_fails(): assert {"a": 1} == {"a": 2}
def test_setup_fails(broken): pass
def test_teardown_fails(leaving): pass
def test_skips(): pytest.skip("not today")
@pytest.mark.xfail
def test_known(): assert False
@pytest.mark.parametrize("word", ["<b>", "é", "a::b"])
def test_words(word): pass
"""


def test_real_reports_are_replayed_as_they_were(tmp_path: Path) -> None:
    """Every outcome that pytest knows comes out as pytest-html itself would show it, with its log."""
    (tmp_path / "logging_plugin.py").write_text(PLUGIN)
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "test_torn.py").write_text("import nothing_of_that_name")
    place = tmp_path / "evidence"
    command = [sys.executable, "-m", "pytest", "-p", "logging_plugin", "-p", "no:envdr", f"--log-to={place}"]
    subprocess.run(
        [
            *command,
            "--continue-on-collection-errors",
            "-q",
            "-c",
            "/dev/null",
            "--rootdir",
            str(tmp_path),
            str(tmp_path),
        ],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    report = rendered(place)
    shown = {node_id.partition("::")[2] or node_id: results for node_id, results in report.results().items()}
    assert shown == {
        "test_torn.py": ["Error"],
        "test_passes": ["Passed"],
        "test_fails": ["Failed"],
        "test_setup_fails": ["Error"],
        "test_teardown_fails": ["Passed", "Error"],
        "test_skips": ["Skipped"],
        "test_known": ["XFailed"],
        "test_words[<b>]": ["Passed"],
        "test_words[\\xe9]": ["Passed"],
        "test_words[a::b]": ["Passed"],
    }
    assert "said so" in report.tests["test_it.py::test_passes"][0]["log"]
    assert "{&#x27;a&#x27;: 1}" in report.tests["test_it.py::test_fails"][0]["log"]


def test_the_project_around_it_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken conftest and ini files, and options in the environment, do not reach the rendering."""
    (tmp_path / "conftest.py").write_text("raise RuntimeError('conftest')")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --nothing-of-that-name\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTEST_ADDOPTS", "--nothing-of-that-name")
    monkeypatch.setenv("PYTEST_PLUGINS", "nothing_of_that_name")
    exercises.Teller(tmp_path / "evidence")
    assert html.render(Path("evidence"))


def test_without_pytest_html_there_is_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pytest-html is not installed, no page is made, and the record still is."""
    exercises.Teller(tmp_path)
    monkeypatch.setitem(sys.modules, "pytest_html", None)
    assert html.render(tmp_path) is None
    record.write(tmp_path)
    assert (tmp_path / record.FILE).exists()
    assert not (tmp_path / html.FILE).exists()


def test_no_events_no_report(tmp_path: Path) -> None:
    """Where nothing was recorded, the error says where it was looked."""
    with pytest.raises(EnvdrError, match=str(tmp_path)):
        html.render(tmp_path)
