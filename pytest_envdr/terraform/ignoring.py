"""What modules keep Terraform from looking at: the attributes in `ignore_changes`, which no plan's JSON tells of."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMENTS = re.compile(r"/\*.*?\*/|^\s*(?:#|//)[^\n]*|\s(?:#|//)[^\n]*", re.DOTALL | re.MULTILINE)
RESOURCE = re.compile(r'^\s*resource\s+"([^"]+)"\s+"([^"]+)"', re.MULTILINE)
IGNORED = re.compile(r"(?:^|\{)\s*ignore_changes\s*=\s*(all\b|\[[^\]]*\])", re.DOTALL | re.MULTILINE)
MODULES = "modules/modules.json"
"""Where `init` writes down which modules there are, in its data directory."""


def ignored(directory: Path, data: Path) -> list[tuple[str, str]]:
    """Each resource that a root module, or a module of it, has with `ignore_changes`, and which attributes these are.

    Args:
        directory: the root module's.
        data: Terraform's data directory, after `init`.
    """
    found = []
    for address, place in _modules(directory, data):
        for file in sorted(place.glob("*.tf")):
            found += [(address + name, names) for name, names in _in_words(file.read_text("utf-8", "replace"))]
        for file in sorted(place.glob("*.tf.json")):
            found += [(address + name, names) for name, names in _in_json(file)]
    return found


def _modules(directory: Path, data: Path) -> Iterator[tuple[str, Path]]:
    """How the addresses in each module begin, and where it lies."""
    rows: list[dict[str, Any]] = []
    with suppress(OSError, ValueError, KeyError):
        rows = json.loads((data / MODULES).read_text())["Modules"]
    for row in rows or [{"Key": "", "Dir": "."}]:
        yield "".join(f"module.{name}." for name in row["Key"].split(".") if name), directory / row["Dir"]


def _in_words(text: str) -> Iterator[tuple[str, str]]:
    plain = COMMENTS.sub("", text)
    begins = [(match.start(), ".".join(match.groups())) for match in RESOURCE.finditer(plain)]
    for match in IGNORED.finditer(plain):
        name = next((name for at, name in reversed(begins) if at < match.start()), "")
        if names := " ".join(match[1].strip("[]").replace(",", " ").split()):
            yield name, names.replace(" ", ", ")


def _in_json(file: Path) -> Iterator[tuple[str, str]]:
    with suppress(OSError, ValueError, AttributeError):
        for kind, named in json.loads(file.read_text()).get("resource", {}).items():
            for name, body in named.items():
                if given := body.get("lifecycle", {}).get("ignore_changes"):
                    yield f"{kind}.{name}", given if isinstance(given, str) else ", ".join(given)
