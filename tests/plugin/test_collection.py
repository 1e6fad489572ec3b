"""What is refused before any test runs, and what the plugin leaves alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_envdr.scenarios import SCENARIOS
from pytest_envdr.settings import OPTIONS
from tests.plugin import stack_file

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., pytest.RunResult]

DRILL = """
    import pytest

    @pytest.mark.ecs_failover
    def test_outage(stopped_ecs_service): pass
"""


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run pytest on the project in this process (a new one costs a second), with a stack that cannot be reached."""
    stack = stack_file.write(pytester.path, endpoint="http://127.0.0.1:9")

    def run(*arguments: str, stack: str | None = str(stack)) -> pytest.RunResult:
        given = ("--envdr-stack", stack) if stack else ()
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", *given, *arguments)

    return run


def refused(result: pytest.RunResult, *words: str) -> None:
    """One message, exit code 4, and no traceback."""
    shown = result.stdout.str() + result.stderr.str()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "Traceback" not in shown
    assert "INTERNALERROR" not in shown
    for word in words:
        assert word in shown


def test_the_nine_markers_are_explained(run: Run) -> None:
    """`pytest --markers` names each scenario, what it may say otherwise, and what it breaks."""
    shown = run("--markers").stdout.str()
    for row in SCENARIOS.values():
        assert f"@pytest.mark.{row.word}(rto_seconds, rpo_seconds, detect_seconds): {row.title}." in shown
        assert row.breaks in shown


def test_every_fixture_is_explained(run: Run) -> None:
    """`pytest --fixtures` shows each of ours with its docstring."""
    shown = run("--fixtures").stdout.str()
    ours = shown.partition("fixtures defined from pytest_envdr.fixtures")[2].partition("fixtures defined from")[0]
    for name in ("aws", "crashed_ecs_service", "drill", "ecs_service", "exercise", "journal", "stack"):
        assert f"\n{name} " in ours
    assert "no docstring available" not in ours


def test_every_option_is_explained(run: Run) -> None:
    """`pytest --help` shows each option and each ini key."""
    shown = run("--help").stdout.str()
    for row in OPTIONS:
        assert row.flag in shown
        assert row.ini in shown


def test_a_drill_runs_once_for_each_service(pytester: pytest.Pytester, run: Run) -> None:
    """The services come from the stack file, in its order."""
    pytester.makepyfile(DRILL)
    run("--collect-only", "-q").stdout.fnmatch_lines(["*test_outage[[]api[]]", "*test_outage[[]worker[]]"])


def test_the_embedded_sandbox_s_services_are_known_without_it(pytester: pytest.Pytester, run: Run) -> None:
    """Without a stack file, the six services are there and nothing is started."""
    pytester.makepyfile(DRILL)
    shown = run("--collect-only", "-q", stack=None).stdout.str()
    assert [word for word in ("api", "worker", "scheduler", "reverb", "tenant", "hq") if f"[{word}]" not in shown] == []


def test_one_service_may_be_chosen(pytester: pytest.Pytester, run: Run) -> None:
    """`--envdr-service` narrows the drills, and a test may choose for itself."""
    pytester.makepyfile(
        DRILL
        + """
    @pytest.mark.parametrize("ecs_service", ["api"], indirect=True)
    def test_own(crashed_ecs_service): pass
"""
    )
    shown = run("--collect-only", "-q", "--envdr-service", "worker").stdout.str()
    assert "test_outage[worker]" in shown
    assert "test_outage[api]" not in shown
    assert "test_own[api]" in shown
    assert "test_own[worker]" not in shown


def test_an_unknown_service_is_refused(pytester: pytest.Pytester, run: Run) -> None:
    """The message says which services there are, and where that was looked up."""
    pytester.makepyfile(DRILL)
    refused(run("--envdr-service", "web"), "no service web", "there are api, worker", "stack.toml")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("name = 1\nkind = 'sandbox'", ("name", "services: Field required", "stack.toml")),
        ("[", ("is not TOML", "stack.toml")),
        (None, ("cannot be read", "No such file", "missing.toml")),
    ],
)
def test_a_wrong_stack_file_is_refused(
    pytester: pytest.Pytester, run: Run, content: str | None, words: tuple[str, ...]
) -> None:
    """Wrong keys, wrong syntax, no file: the message names file and key."""
    pytester.makepyfile(DRILL)
    path = pytester.path / ("missing.toml" if content is None else "stack.toml")
    if content is not None:
        path.write_text(content)
    refused(run(stack=str(path)), *words)


@pytest.mark.parametrize("option", [("--envdr-speed", "fast"), ("--envdr-tenants", "0"), ("--envdr-queue", "x")])
def test_a_wrong_option_is_refused(pytester: pytest.Pytester, run: Run, option: tuple[str, str]) -> None:
    """The message names the option and what it takes."""
    pytester.makepyfile(DRILL)
    refused(run(*option), option[0], repr(option[1]))


@pytest.mark.parametrize(
    "arguments",
    ["rto=5", "20", "rto_seconds='20'", "rto_seconds=0", "rto_seconds=-1", "detect_seconds=True", "services='api'"],
)
def test_wrong_arguments_of_a_marker_are_refused(pytester: pytest.Pytester, run: Run, arguments: str) -> None:
    """The message names file and line, the argument, and those there are."""
    path = pytester.makepyfile(f"""
        import pytest

        @pytest.mark.ecs_failover({arguments})
        def test_any(): pass
    """)
    refused(run(), f"{path.name}:", arguments, "rto_seconds, rpo_seconds, detect_seconds")


def test_right_arguments_of_a_marker_are_taken(pytester: pytest.Pytester, run: Run) -> None:
    """Whole and broken seconds; a recovery point of nought."""
    pytester.makepyfile("""
        import pytest

        @pytest.mark.ecs_failover(rto_seconds=20, rpo_seconds=0, detect_seconds=2.5)
        def test_any(): pass
    """)
    run().assert_outcomes(passed=1)


def test_the_thread_method_by_option_is_refused(pytester: pytest.Pytester, run: Run) -> None:
    """`--timeout-method=thread` would leave what a drill broke as it is."""
    pytester.makepyfile(DRILL)
    refused(run("--timeout-method=thread"), "--timeout-method", "`thread` ends the whole process", "`signal`")


def test_the_thread_method_by_ini_is_refused(pytester: pytest.Pytester, run: Run) -> None:
    """The same by the ini file; the command line may put it right."""
    pytester.makepyfile(DRILL)
    pytester.makeini("[pytest]\ntimeout_method = thread")
    refused(run(), "timeout_method in the ini file", "`thread` ends the whole process")
    assert run("--timeout-method=signal", "--collect-only").ret == pytest.ExitCode.OK


def test_the_thread_method_by_environment_is_refused(
    pytester: pytest.Pytester, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same by PYTEST_ADDOPTS."""
    pytester.makepyfile(DRILL)
    monkeypatch.setenv("PYTEST_ADDOPTS", "--timeout-method=thread")
    refused(run(), "`thread` ends the whole process")


@pytest.mark.parametrize("arguments", ["5, 'thread'", "5, method='thread'", "timeout=5, method='thread'"])
def test_the_thread_method_by_marker_is_refused(pytester: pytest.Pytester, run: Run, arguments: str) -> None:
    """The same by a marker on a drill; the message names file and line."""
    path = pytester.makepyfile(
        DRILL.replace("@pytest.mark.ecs", f"@pytest.mark.timeout({arguments})\n    @pytest.mark.ecs")
    )
    refused(run(), f"{path.name}:", "@pytest.mark.timeout", "`thread` ends the whole process")


def test_the_thread_method_is_nobody_s_business_without_drills(pytester: pytest.Pytester, run: Run) -> None:
    """A project without drills, or with the drills deselected, may use it."""
    pytester.makepyfile(DRILL + "\n    def test_other(): pass\n")
    run("--timeout-method=thread", "-k", "other").assert_outcomes(passed=1, deselected=2)


def test_xdist_is_refused_for_drills(pytester: pytest.Pytester, run: Run) -> None:
    """With -n, drills would break and mend the same stack at once."""
    pytester.makepyfile(DRILL)
    refused(run("-n", "2"), "Drills are not run by pytest-xdist", "leave -n out")


def test_xdist_runs_other_tests_as_ever(pytester: pytest.Pytester, run: Run) -> None:
    """A project without drills may be spread; -n 0 spreads nothing."""
    pytester.makepyfile("def test_one(): pass\ndef test_two(): pass\n")
    run("-n", "2").assert_outcomes(passed=2)
    pytester.makepyfile(DRILL)
    assert run("-n", "0", "--collect-only").ret == pytest.ExitCode.OK


def test_without_the_plugin_nothing_of_it_is_there(pytester: pytest.Pytester, run: Run) -> None:
    """`-p no:envdr` takes options, markers and fixtures away."""
    pytester.makepyfile("def test_ordinary(): pass\n")
    run("-p", "no:envdr", stack=None).assert_outcomes(passed=1)
    assert "envdr" not in run("-p", "no:envdr", "--help", stack=None).stdout.str().replace(str(pytester.path), "")
    assert "ecs_failover" not in run("-p", "no:envdr", "--markers", stack=None).stdout.str()
    assert "stopped_ecs_service" not in run("-p", "no:envdr", "--fixtures", stack=None).stdout.str()


@pytest.mark.parametrize("plugin", ["html", "timeout", "xdist", "terminalreporter", "capture"])
def test_no_other_plugin_is_needed_to_collect(pytester: pytest.Pytester, run: Run, plugin: str) -> None:
    """Without a plugin that it works with, ours still collects drills and runs other tests."""
    pytester.makepyfile(DRILL + "\n    def test_ordinary(): pass\n")
    assert run("-p", f"no:{plugin}", "-k", "ordinary").ret == pytest.ExitCode.OK
    assert run("-p", f"no:{plugin}", "--collect-only").ret == pytest.ExitCode.OK
