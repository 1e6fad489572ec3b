"""What importing and installing the package costs, and what it offers."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import pytest_envdr

PACKAGE = Path(pytest_envdr.__file__).parent
HEAVY = {"boto3", "botocore", "moto", "pydantic", "tenacity", "pymysql", "werkzeug"}
EXPORTING = sorted(
    path.relative_to(PACKAGE.parent).with_suffix("")
    for path in PACKAGE.rglob("*.py")
    if "__all__" in path.read_text() and "sandbox" not in path.parts
)


def imported(*command: str) -> set[str]:
    """The top-level packages that a command has imported when it ends."""
    code = "import sys, atexit; atexit.register(lambda: print('imported', *sorted(sys.modules)));"
    done = subprocess.run(
        [sys.executable, "-c", code + command[0], *command[1:]], capture_output=True, text=True, check=False
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("imported "))
    return {name.split(".")[0] for name in line.split()[1:]} | {
        name for name in line.split() if name.startswith("pytest_envdr.")
    }


def test_an_unused_plugin_imports_nothing_heavy(tmp_path: Path) -> None:
    """Collecting an ordinary project with the plugin installed imports neither boto3, moto nor pydantic, nor our own
    parts that stand on them."""
    (tmp_path / "test_ordinary.py").write_text("def test_ordinary(tmp_path): pass\n")
    found = imported("import pytest; pytest.main(sys.argv[1:])", str(tmp_path), "-p", "no:cacheprovider", "-q")
    assert "pytest_envdr.plugin" in found, "the plugin was loaded"
    assert not found & HEAVY
    assert not {name for name in found if name.startswith(("pytest_envdr.aws", "pytest_envdr.sandbox"))}
    assert not found & {"pytest_envdr.exercise", "pytest_envdr.stack", "pytest_envdr.evidence", "pytest_envdr.drills"}


def test_collecting_drills_does_not_start_anything(tmp_path: Path) -> None:
    """The embedded sandbox's services are known without boto3 or moto, and without a process."""
    (tmp_path / "test_drill.py").write_text("def test_drill(stopped_ecs_service): pass\n")
    found = imported(
        "import pytest; pytest.main(sys.argv[1:])", str(tmp_path), "-p", "no:cacheprovider", "--collect-only"
    )
    assert not found & HEAVY


def test_the_package_itself_imports_nothing() -> None:
    """`import pytest_envdr` loads no other module of the project."""
    found = imported("import pytest_envdr")
    assert not {name for name in found if name.startswith("pytest_envdr.")}


def test_the_version_is_the_distribution_s() -> None:
    """`__version__` is looked up, so that it stands in one place only."""
    assert pytest_envdr.__version__ == version("pytest-envdr")
    with pytest.raises(AttributeError, match="has no attribute"):
        pytest_envdr.nothing  # noqa: B018


@pytest.mark.parametrize("module", EXPORTING, ids=str)
def test_what_is_exported_is_sorted_and_there(module: Path) -> None:
    """Every name in `__all__` exists, and a newcomer finds it in order."""
    found = importlib.import_module(str(module).replace("/", ".").removesuffix(".__init__"))
    assert list(found.__all__) == sorted(found.__all__)
    assert not [name for name in found.__all__ if not hasattr(found, name)]


def test_the_map_names_every_floor() -> None:
    """The package's docstring names every module and package at its top."""
    text = ast.get_docstring(ast.parse((PACKAGE / "__init__.py").read_text())) or ""
    names = {path.stem for path in PACKAGE.glob("*.py")} | {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert not {name for name in names - {"__init__"} if name not in text}
