"""What a database is restored from: all sources, those of the option, or those that a test chooses."""

from __future__ import annotations

import pytest

from pytest_envdr.settings import SOURCES
from tests.plugin import stack_file

DRILL = """
    import pytest

    @pytest.mark.database_restore
    def test_all(restored_rds): pass

    @pytest.mark.database_restore
    @pytest.mark.parametrize("restore_source", ["backup"], indirect=True)
    def test_chosen(restored_rds): pass
"""


def collected(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Collect the drills, on a stack that nobody serves."""
    pytester.makepyfile(DRILL)
    stack = stack_file.write(pytester.path, endpoint="http://127.0.0.1:9")
    given = ("--envdr-stack", str(stack), "--collect-only", "-q", "-p", "no:cacheprovider")
    return pytester.runpytest_subprocess(*given, *arguments)


@pytest.mark.parametrize(("chosen", "run"), [((), SOURCES), (("manual,point-in-time",), ("manual", "point-in-time"))])
def test_once_for_each_source(pytester: pytest.Pytester, chosen: tuple[str, ...], run: tuple[str, ...]) -> None:
    """Without the option all that there are; a test that chooses itself is left alone."""
    options = [word for value in chosen for word in ("--envdr-restore-from", value)]
    lines = [line.partition("::")[2] for line in collected(pytester, *options).outlines if "::" in line]
    assert lines == [*(f"test_all[{source}]" for source in run), "test_chosen[backup]"]


def test_a_source_that_there_is_not(pytester: pytest.Pytester) -> None:
    """Refused before anything runs, with those that there are."""
    result = collected(pytester, "--envdr-restore-from", "tape")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    shown = result.stdout.str() + result.stderr.str()
    for word in ("--envdr-restore-from", "tape", *SOURCES):
        assert word in shown
