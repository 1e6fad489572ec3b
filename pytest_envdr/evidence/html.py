"""`report.html`: the pytest-html report, made from the events alone, and so at any time again.

The recorded pytest reports are replayed through pytest-html's own hooks in a pytest process of its own, which is kept
apart from the project under test: no ini file, no conftest, no plugin but the three that it needs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest_envdr
from pytest_envdr import settings
from pytest_envdr.errors import EnvdrError
from pytest_envdr.evidence import events, replay

FILE = "report.html"
_DEADLINE_SECONDS = 120
_FAILED = "The HTML report could not be made"
_CAME_TO_ITS_END = (0, 1, 5)
"""pytest's exit codes: tests passed, some failed, there were none."""


def available() -> bool:
    """Whether pytest-html is installed."""
    return find_spec("pytest_html") is not None


def render(directory: Path) -> Path | None:
    """Lay `report.html` beside `events.jsonl`, over an older one; None where pytest-html is not installed.

    Raises:
        EnvdrError: there are no events, or the report could not be made; says why.
    """
    events.read(directory)
    if not available():
        return None
    with tempfile.TemporaryDirectory(prefix="envdr-report-") as place:
        made = Path(place, FILE)
        _replay(directory, made)
        partial = directory / f".{FILE}.partial"
        partial.write_bytes(made.read_bytes())
    return partial.replace(directory / FILE)


def _replay(directory: Path, made: Path) -> None:
    """Run it, and see that it came to its end: pytest says so, whatever it says of the tests."""
    try:
        ended = subprocess.run(
            _command(directory.resolve(), made),
            cwd=made.parent,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_DEADLINE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EnvdrError(f"{_FAILED} within {_DEADLINE_SECONDS} s.\nLooked at: {directory}") from error
    if ended.returncode not in _CAME_TO_ITS_END or not made.exists():
        said = ended.stdout.decode(errors="replace").strip()
        raise EnvdrError(f"{_FAILED}.\nLooked at: {directory}\n{said}")


def _command(directory: Path, made: Path) -> list[str]:
    empty = made.with_name("pytest.ini")
    empty.write_text("[pytest]\ninitial_sort = original\nrender_collapsed =\n")
    plugins = ("metadata", "html", replay.__name__, "no:cacheprovider")
    return [
        *(sys.executable, "-m", "pytest", "--disable-plugin-autoload"),
        *(part for plugin in plugins for part in ("-p", plugin)),
        *("-c", str(empty), f"--rootdir={made.parent}", f"--confcutdir={made.parent}", "-q"),
        *(f"--html={made}", "--self-contained-html", f"--css={Path(__file__).with_name('report.css')}"),
        *(replay.OPTION, str(directory)),
    ]


def _environment() -> dict[str, str]:
    """This process's environment without what steers pytest, and with this package on the path."""
    own = {name: value for name, value in settings.child_environment().items() if not name.startswith("PYTEST_")}
    package = Path(pytest_envdr.__file__).resolve().parent.parent
    path = os.pathsep.join(part for part in (own.get("PYTHONPATH", ""), str(package)) if part)
    return {**own, "PYTHONPATH": path, "PYTHONUTF8": "1"}
