"""A session with drills: refused before anything is touched, or held to its end, with evidence."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.journal import Header, Inverse, Journal, journal_path
from tests import account
from tests.plugin import stack_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., pytest.RunResult]

OWN = '''
    """Steps of a scenario of our own."""
    import pytest

    @pytest.mark.ecs_failover(rto_seconds=20)
    def test_words_reach_the_evidence(drill, stack):
        """The criterion."""
        with drill.phase("trigger"):
            drill.mark("fault")
            drill.note("a note")
            drill.deviation("not as the runbook says")
            drill.attach("answer.txt", "text")
            assert drill.wait_until(lambda: 1, what="something", deadline=1) == 1
        assert stack.name == "test"
        assert drill.rto_seconds == 20
'''


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run pytest on the project in this process (a new one costs seconds), with a state directory of its own."""
    monkeypatch.setenv("ENVDR_STATE_DIR", str(pytester.path / "state"))

    def run(*arguments: str) -> pytest.RunResult:
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", *arguments)

    return run


def held(pytester: pytest.Pytester, run: Run, source: str, *arguments: str, **changes: Any) -> pytest.RunResult:
    """A run of one test file against the moto server's account."""
    pytester.makepyfile(source)
    stack = stack_file.write(pytester.path, **changes)
    return run("--envdr-stack", str(stack), "--envdr-evidence", str(pytester.path / "proof"), *arguments)


def record(pytester: pytest.Pytester) -> dict[str, Any]:
    """What the run's record says."""
    return dict(json.loads((pytester.path / "proof" / "record.json").read_text()))


def told(pytester: pytest.Pytester, kind: str) -> list[dict[str, Any]]:
    """What the run's events of a kind say."""
    lines = (pytester.path / "proof" / "events.jsonl").read_text().splitlines()
    return [event["data"] for event in map(json.loads, lines) if event["kind"] == kind]


def refused(pytester: pytest.Pytester, result: pytest.RunResult, *words: str) -> None:
    """One message, exit code 4, no traceback, and nothing left behind."""
    shown = result.stdout.str() + result.stderr.str()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "Traceback" not in shown
    assert "INTERNALERROR" not in shown
    assert not [word for word in words if word not in shown]
    assert not (pytester.path / "proof").exists()


def test_an_endpoint_elsewhere_is_refused_before_any_call(pytester: pytest.Pytester, run: Run) -> None:
    """Anything but loopback is refused, because clearance is not built yet."""
    result = held(pytester, run, OWN, endpoint="http://192.0.2.1:4566")
    refused(pytester, result, "192.0.2.1 is no loopback address", "clearance for accounts is not built yet")


def test_aws_itself_is_refused_before_any_call(pytester: pytest.Pytester, run: Run) -> None:
    """A stack file without an endpoint means AWS."""
    refused(pytester, held(pytester, run, OWN, endpoint=None), "AWS itself", "not cleared")


def test_an_endpoint_where_nobody_listens_is_refused(pytester: pytest.Pytester, run: Run) -> None:
    """At once, naming endpoint and stack file."""
    result = held(pytester, run, OWN, endpoint="http://127.0.0.1:9")
    refused(pytester, result, "http://127.0.0.1:9 does not answer", "stack.toml: endpoint")


def test_another_account_is_refused(pytester: pytest.Pytester, run: Run) -> None:
    """The credentials must belong to the stack's account."""
    result = held(pytester, run, OWN, account="999999999999")
    refused(pytester, result, "belong to account 123456789012, the stack to account 999999999999")


def test_a_scenario_without_approval_is_refused(pytester: pytest.Pytester, run: Run) -> None:
    """The message shows the row to add."""
    result = held(pytester, run, OWN, approvals={})
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(
        ["*ECS Service Failover is not approved for this stack*", "*[[]approvals.ecs_failover]*"]
    )


def test_an_expired_approval_is_refused(pytester: pytest.Pytester, run: Run) -> None:
    """An approval ends with its day."""
    yesterday = (datetime.now(UTC) - timedelta(days=2)).date()
    result = held(pytester, run, OWN, approvals={"ecs_failover": {"by": "X", "until": str(yesterday)}})
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines([f"*was approved until {yesterday}*"])


def test_a_drill_without_an_objective_is_refused(pytester: pytest.Pytester, run: Run) -> None:
    """A drill that promises nothing proves nothing; the marker may promise."""
    result = held(pytester, run, OWN.replace("(rto_seconds=20)", ""), objectives={})
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["*Nothing is promised for ecs_failover*", "*[[]objectives.ecs_failover]*"])


BESIDE_IT = """
    import pytest

    @pytest.mark.control_plane_loss
    @pytest.mark.parametrize("lost_terraform_state", [("deleted", "copy")], indirect=True)
    def test_state(lost_terraform_state):
        raise AssertionError("it began")
"""
TERRAFORM = {"directory": ".", "bucket": "states", "key": "prod.tfstate", "program": "no-such-terraform"}


@pytest.mark.parametrize(
    ("table", "words"),
    [(TERRAFORM, "Terraform cannot be run: no-such-terraform not found"), (None, r"[[]terraform[]]")],
    ids=["a program", "a table"],
)
def test_what_one_scenario_lacks_keeps_no_other_from_it(
    pytester: pytest.Pytester, run: Run, table: dict[str, str] | None, words: str
) -> None:
    """A program, or a part of the stack file, that only one of them needs: that one is red with the reason, and the
    next one is run."""
    scenarios = {name: {"by": "the tests"} for name in ("ecs_failover", "control_plane_loss")}
    promised = {name: {"rto_seconds": 30, "rpo_seconds": 0} for name in scenarios}
    pytester.makepyfile(test_a_state=BESIDE_IT)
    result = held(pytester, run, OWN, approvals=scenarios, objectives=promised, terraform=table)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([f"*{words}*"])


@pytest.mark.parametrize("directory", ["/proc/nowhere", "used"])
def test_evidence_that_cannot_be_written_is_refused(pytester: pytest.Pytester, run: Run, directory: str) -> None:
    """No access, or another exercise's evidence: nothing is begun."""
    (pytester.path / "used").mkdir()
    (pytester.path / "used" / "events.jsonl").write_text("theirs")
    result = held(pytester, run, OWN, "--envdr-evidence", directory)
    refused(pytester, result, "The evidence cannot be written", "--envdr-evidence")
    assert (pytester.path / "used" / "events.jsonl").read_text() == "theirs"


def test_what_an_earlier_run_owes_is_refused(pytester: pytest.Pytester, run: Run) -> None:
    """Nothing begins on a target that was left changed; the message says `envdr undo`."""
    path = journal_path(pytester.path / "state", account.ACCOUNT, account.REGION, account.endpoint())
    with Journal.open(path, Header("earlier", account.ACCOUNT, account.REGION, account.endpoint())) as journal:
        journal.intend("ecs.UpdateService", {}, inverse=Inverse("ecs.UpdateService", {}, "service x desired count 2"))
    refused(pytester, held(pytester, run, OWN), "service x desired count 2", "earlier", "`envdr undo`")


def test_a_run_at_work_on_the_same_target_is_refused(pytester: pytest.Pytester, run: Run) -> None:
    """Two runs never work on one target."""
    path = journal_path(pytester.path / "state", account.ACCOUNT, account.REGION, account.endpoint())
    with Journal.open(path, Header("other", account.ACCOUNT, account.REGION, account.endpoint())):
        refused(pytester, held(pytester, run, OWN), str(path))


def test_a_scenario_of_one_s_own_is_in_the_evidence(pytester: pytest.Pytester, run: Run) -> None:
    """What a test tells the drill is in the record: phases, marks, notes, deviations, attachments, criterion, steps."""
    result = held(pytester, run, OWN, "--junitxml=junit.xml")
    result.assert_outcomes(passed=1)
    (scenario,) = record(pytester)["scenarios"]
    (drill,) = scenario["drills"]
    assert scenario["scenario"] == "ecs_failover"
    assert drill["criterion"] == "The criterion."
    assert drill["steps"] == "Steps of a scenario of our own."
    assert drill["rto_seconds"] == 20
    assert [phase["phase"] for phase in drill["phases"]] == ["trigger"]
    assert [note["text"] for note in drill["notes"]] == ["a note"]
    assert drill["deviations"][0]["text"] == "not as the runbook says"
    (attached,) = drill["attachments"]
    assert (pytester.path / "proof" / attached["path"]).read_text() == "text"
    assert (pytester.path / "proof" / "report.html").stat().st_size
    assert 'failures="0"' in (pytester.path / "junit.xml").read_text()


def test_the_end_of_a_run_says_where_the_evidence_lies(pytester: pytest.Pytester, run: Run) -> None:
    """A table with objective, actual and verdict, the statement what a sandbox proves, and the directory."""
    result = held(pytester, run, OWN)
    result.stdout.fnmatch_lines(
        [
            "drill*RTO*RTA*RPO*RPA*verdict",
            "Words reach the evidence*20.0 s*not verified",
            "*does not prove AWS's own path*",
            "evidence: proof",
        ]
    )


def test_the_evidence_goes_to_a_directory_of_its_own(pytester: pytest.Pytester, run: Run) -> None:
    """Without an option: evidence/<exercise id>/ in the project."""
    pytester.makepyfile(OWN)
    stack = stack_file.write(pytester.path)
    run("--envdr-stack", str(stack)).assert_outcomes(passed=1)
    (directory,) = (pytester.path / "evidence").iterdir()
    assert {path.name for path in directory.iterdir()} >= {"events.jsonl", "record.json", "report.html"}


def test_a_test_without_a_marker_is_a_scenario_too(pytester: pytest.Pytester, run: Run) -> None:
    """Its name is its title; nothing is promised, so nothing is measured against."""
    held(pytester, run, "def test_our_own_way(drill): drill.note('x')\n").assert_outcomes(passed=1)
    (scenario,) = record(pytester)["scenarios"]
    assert scenario["title"] == "Our own way"


def test_a_failure_that_was_found_fails_the_test(pytester: pytest.Pytester, run: Run) -> None:
    """Whatever the test asserts: a finding of severity `failure` is red, with its words."""
    source = """
        from pytest_envdr.drills import Finding

        def test_any(drill):
            drill.finding(Finding("thing.bad", "failure", "a thing is bad", "seen so"))
            drill.finding(Finding("thing.odd", "warning", "a thing is odd"))
    """
    result = held(pytester, run, source)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*[[]thing.bad] a thing is bad (seen so)*"])
    (scenario,) = record(pytester)["scenarios"]
    assert scenario["verdict"] == "failed"
    assert [finding["severity"] for finding in scenario["findings"]] == ["failure", "warning"]


def test_what_was_found_stands_beside_what_failed(pytester: pytest.Pytester, run: Run) -> None:
    """A failing assertion shows the findings as well: they are its likely reason."""
    source = """
        from pytest_envdr.drills import Finding

        def test_any(drill):
            drill.finding(Finding("thing.bad", "failure", "a thing is bad"))
            assert 1 == 2
    """
    result = held(pytester, run, source)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*assert 1 == 2*", "*[[]thing.bad] a thing is bad*"])


def test_a_timeout_of_ours_has_no_traceback(pytester: pytest.Pytester, run: Run) -> None:
    """What was awaited, for how long, and what was seen last: one message."""
    source = "def test_any(drill): drill.wait_until(lambda: 0, what='the moon', deadline=0.1)\n"
    result = held(pytester, run, source)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["the moon: not within 0.1 s.", "Last seen: 0"])
    assert "waiting.py" not in result.stdout.str()


def test_what_a_test_owes_is_put_back_at_its_end(pytester: pytest.Pytester, run: Run) -> None:
    """An act without a context manager is undone when its drill ends, before the next begins."""
    name = account.ecs_service(desired=2)
    source = f"""
        from pytest_envdr.aws import ecs

        def test_first(drill, aws, journal):
            service = ecs.service(aws, {name!r}, {account.CLUSTER!r})
            ecs.set_desired_count(aws, journal, service, count=0)

        def test_second(drill, aws):
            assert ecs.service(aws, {name!r}, {account.CLUSTER!r}).desired == 2
    """
    held(pytester, run, source).assert_outcomes(passed=2)
    assert account.desired_count(name) == 2
    assert [change["state"] for change in told(pytester, "journal")] == ["intended", "settled", "reversed"]


def test_a_run_without_pytest_html_makes_its_evidence(pytester: pytest.Pytester, run: Run) -> None:
    """`-p no:html` and `-p no:timeout` break nothing."""
    held(pytester, run, OWN, "-p", "no:html", "-p", "no:timeout").assert_outcomes(passed=1)
    assert record(pytester)["exercise"]["exit_status"] == 0


def test_every_call_is_in_the_evidence(pytester: pytest.Pytester, run: Run) -> None:
    """With its request id; those of a drill belong to it."""
    name = account.ecs_service()
    source = f"""
        from pytest_envdr.aws import ecs

        def test_any(drill, aws): ecs.service(aws, {name!r}, {account.CLUSTER!r})
    """
    held(pytester, run, source).assert_outcomes(passed=1)
    calls = told(pytester, "aws.call")
    assert [(call["service"], call["operation"]) for call in calls] == [
        ("sts", "GetCallerIdentity"),
        ("ecs", "DescribeServices"),
    ]
    assert all(call["request_id"] for call in calls)


def on_a_terminal(directory: Path, *arguments: str) -> str:
    """What pytest writes when its output is a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments], cwd=directory, stdout=theirs
    ):
        os.close(theirs)
        shown = b""
        while True:
            try:
                more = os.read(ours, 65536)
            except OSError:
                break
            if not more:
                break
            shown += more
    os.close(ours)
    return shown.decode(errors="replace")


WAITS = """
    def test_waits(drill):
        try:
            with drill.phase("observe"):
                drill.wait_until(lambda: 0, what="the moon", deadline=2.5)
        except Exception:
            pass
"""


def test_a_long_wait_is_one_line_on_a_terminal(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elapsed time, phase, what is awaited and the deadline, written over and over, though output is captured."""
    monkeypatch.setenv("ENVDR_STATE_DIR", str(pytester.path / "state"))
    monkeypatch.setenv("TERM", "xterm")
    pytester.makepyfile(WAITS)
    stack = stack_file.write(pytester.path)
    shown = on_a_terminal(pytester.path, "--envdr-stack", str(stack))
    lines = [part for part in shown.split("\r") if "waiting for the moon" in part]
    assert len(lines) >= 2
    assert "observe: waiting for the moon (1 of at most 2 s)" in shown
    assert not [line for line in lines if "\n" in line.rstrip("\n ")]


def test_a_short_wait_is_not_told_of_in_ci(pytester: pytest.Pytester, run: Run) -> None:
    """Where lines cannot be written over, only a long wait is worth one."""
    result = held(pytester, run, WAITS)
    result.assert_outcomes(passed=1)
    assert "waiting for the moon" not in result.stdout.str()


def test_ctrl_c_at_an_instruction_without_a_line(pytester: pytest.Pytester) -> None:
    """It ends the run as any Ctrl-C does, and says where; pytest by itself ends with a TypeError."""
    pytester.makepyfile("""
        def interrupted():
            raise KeyboardInterrupt("here")

        interrupted.__code__ = interrupted.__code__.replace(co_linetable=b"")

        def test_long():
            interrupted()
    """)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*test_ctrl_c_at_an_instruction_without_a_line.py:7: KeyboardInterrupt: here"])
    bare = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:envdr")
    assert bare.ret == pytest.ExitCode.TESTS_FAILED
    bare.stderr.fnmatch_lines(["TypeError: unsupported operand*"])
