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
        said = _replayed(directory.resolve(), made)
        if not made.exists():
            raise EnvdrError(f"The HTML report could not be made.\nLooked at: {directory}\n{said}")
        partial = directory / f".{FILE}.partial"
        partial.write_bytes(made.read_bytes())
    return partial.replace(directory / FILE)


def _replayed(directory: Path, made: Path) -> str:
    """Run the replay; what it said."""
    try:
        ended = subprocess.run(
            _command(directory, made),
            cwd=made.parent,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_DEADLINE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"It took longer than {_DEADLINE_SECONDS} s."
    return ended.stdout.decode(errors="replace").strip()


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
