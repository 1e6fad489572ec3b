"""The example projects run as a user would run them, on the running sandbox."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parents[2]
OWN = ROOT / "tests" / "examples" / "own_scenario"


def test_the_readme_shows_the_example() -> None:
    """What the README tells a user to write is what is tested here."""
    assert (OWN / "test_mine.py").read_text().strip() in (ROOT / "README.md").read_text()


def test_a_scenario_of_one_s_own(
    pytester: pytest.Pytester, sandbox_stack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few lines make a drill: green, verified, with its criterion and an RTA in the record."""
    monkeypatch.setenv("ENVDR_STATE_DIR", str(pytester.path / "state"))
    (pytester.path / "test_mine.py").write_text((OWN / "test_mine.py").read_text())
    result = pytester.runpytest_subprocess(
        "-p",
        "no:cacheprovider",
        "--envdr-stack",
        str(sandbox_stack),
        "--envdr-service",
        "hq",
        "--envdr-evidence",
        "proof",
    )
    result.assert_outcomes(passed=1)
    (scenario,) = json.loads((pytester.path / "proof" / "record.json").read_text())["scenarios"]
    assert scenario["verdict"] == "passed"
    assert scenario["rto_seconds"] == 60
    assert 0 < scenario["rta_seconds"] < 60
    assert "answers again within a minute" in scenario["drills"][0]["criterion"]
