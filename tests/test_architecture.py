"""The rules of the house that a linter does not know, as failing tests."""

from __future__ import annotations

import ast
import functools
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pytest_envdr"
MODULES = sorted(PACKAGE.rglob("*.py"))
SURFACE = {"plugin.py", "fixtures.py", "collection.py", "running.py"}
VAGUE = {"utils", "helpers", "common", "base", "manager"}


def name(path: Path) -> str:
    """The module's path in the package."""
    return str(path.relative_to(PACKAGE))


@functools.cache
def tree(path: Path) -> ast.Module:
    """A module's syntax."""
    return ast.parse(path.read_text())


@functools.cache
def imports(path: Path) -> set[str]:
    """The top-level packages that a module imports at run time."""
    found: set[str] = set()
    guarded = {
        id(node)
        for block in ast.walk(tree(path))
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
        for node in ast.walk(block)
    }
    for node in ast.walk(tree(path)):
        if id(node) in guarded:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


@functools.cache
def calls(part: ast.AST) -> set[str]:
    """The dotted names that a module or function calls or reads."""
    return {ast.unparse(node) for node in ast.walk(part) if isinstance(node, ast.Attribute | ast.Name)}


def importers(package: str) -> set[str]:
    """The modules that import a package at run time."""
    return {name(path) for path in MODULES if package in imports(path)}


def test_only_the_surface_imports_pytest() -> None:
    """Everything below the plugin is a library that works without pytest."""
    assert importers("pytest") <= SURFACE


def test_boto3_is_in_the_hands_and_the_seed() -> None:
    """boto3 is imported by `aws` alone, and by the sandbox, which seeds its account through it."""
    assert {module.split("/")[0] for module in importers("boto3")} <= {"aws", "sandbox"}


def test_moto_is_in_the_sandbox() -> None:
    """moto is an extra: nothing outside of the sandbox may need it."""
    assert {module.split("/")[0] for module in importers("moto")} == {"sandbox"}


@pytest.mark.parametrize(
    ("used", "allowed"),
    [
        ("time.sleep", {"waiting.py"}),
        ("os.environ", {"settings.py"}),
        ("print", set()),
    ],
)
def test_what_is_in_one_place_only(used: str, allowed: set[str]) -> None:
    """Sleeping, the environment and printing have one place each, or none."""
    assert {name(path) for path in MODULES if used in calls(tree(path))} <= allowed


def test_no_assert_in_the_product() -> None:
    """A criterion is asserted in a test; production code raises."""
    found = {name(path) for path in MODULES for node in ast.walk(tree(path)) if isinstance(node, ast.Assert)}
    assert not found


def test_no_room_with_a_vague_name() -> None:
    """A newcomer must know from its name what is in a file."""
    assert not [name(path) for path in MODULES if path.stem in VAGUE]


def test_every_module_and_public_name_is_documented() -> None:
    """Each module says in its docstring what it is for."""
    assert not [name(path) for path in MODULES if not ast.get_docstring(tree(path))]


def test_files_are_small() -> None:
    """No file over 400 lines: a room that has outgrown its name is to be divided."""
    assert not {name(path): lines for path in MODULES if (lines := len(path.read_text().splitlines())) > 400}


def test_a_change_to_aws_shows_in_the_signature() -> None:
    """In `aws`, a function that acts takes the journal: `aws.act` writes its intent down, `aws.call` only reads."""
    for path in sorted((PACKAGE / "aws").glob("*.py")):
        if path.stem == "__init__":
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef) and "aws.act" in calls(node):
                assert "journal" in {argument.arg for argument in node.args.args}, f"{name(path)}: {node.name}"


def test_no_mock_of_aws() -> None:
    """AWS code is tested against something that parses the request."""
    banned = {"MagicMock", "Stubber", "mock_aws"}
    found = {
        (path.name, word) for path in sorted((ROOT / "tests").rglob("*.py")) for word in banned & calls(tree(path))
    }
    assert not found


def test_no_two_files_share_a_network() -> None:
    """Files of tests run side by side, and what listens in a network of one must not answer for another's."""
    users = Counter(
        network
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for network in set(re.findall(r"\b127\.\d+(?=\.0\.0/16)", path.read_text()))
    )
    assert len(users) > 50
    assert {network for network, files in users.items() if files > 1} == set()


@functools.cache
def acts() -> set[str]:
    """The functions that change AWS: those of `aws` that take the journal."""
    return {
        node.name
        for path in (PACKAGE / "aws").glob("*.py")
        if path.stem != "__init__"
        for node in tree(path).body
        if isinstance(node, ast.FunctionDef) and "journal" in {argument.arg for argument in node.args.args}
    }


@pytest.mark.parametrize("path", sorted((PACKAGE / "drills").glob("*.py")), ids=lambda path: path.stem)
def test_a_drill_that_changes_aws_takes_the_journal(path: Path) -> None:
    """In `drills`, a function that calls an act, or the undo, has the journal from its own signature."""
    changing = acts() | {"undo.reverse", "undo.replay"}
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.FunctionDef):
            continue
        called = {ast.unparse(call.func) for call in ast.walk(node) if isinstance(call, ast.Call)}
        if {one for one in called if one in changing or one.rpartition(".")[2] in changing}:
            assert "journal" in {argument.arg for argument in node.args.args}, f"{name(path)}: {node.name}"
