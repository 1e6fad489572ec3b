"""buildspec.yml, version 0.2: what a build does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from pytest_envdr.sandbox.control_plane.codebuild.errors import PhaseFailed

PHASES = ("install", "pre_build", "build", "post_build")
"""The phases that a buildspec may have, in their order."""
FILE_NAME = "buildspec.yml"


@dataclass(frozen=True)
class Phase:
    """A phase's commands; `last` (its `finally`) run even where one of them fails."""

    commands: tuple[str, ...] = ()
    last: tuple[str, ...] = ()


@dataclass(frozen=True)
class Artifacts:
    """Which files are handed on, and from which directory; `flat` leaves their own directories out."""

    files: tuple[str, ...] = ()
    base: str = "."
    flat: bool = False


@dataclass(frozen=True)
class Buildspec:
    """What a build does."""

    variables: dict[str, str] = field(default_factory=dict)
    phases: dict[str, Phase] = field(default_factory=dict)
    artifacts: Artifacts = field(default_factory=Artifacts)


def parse(text: str) -> Buildspec:
    """Read a buildspec.

    Raises:
        PhaseFailed: it is not one.
    """
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _invalid(f"YAML file is invalid: {error}") from error
    if not isinstance(content, dict):
        raise _invalid("the buildspec is no mapping")
    if str(content.get("version")) != "0.2":
        raise _invalid(f"unknown buildspec version: {content.get('version')}")
    found = _mapping(content, "phases")
    if not found or not found.keys() <= set(PHASES):
        raise _invalid(f"unknown keys or no phase in phases: {', '.join(map(str, found))}")
    variables = _mapping(_mapping(content, "env"), "variables")
    return Buildspec(
        variables={str(name): str(value) for name, value in variables.items()},
        phases={name: _phase(_mapping(found, name)) for name in found},
        artifacts=_artifacts(_mapping(content, "artifacts")),
    )


def _phase(content: dict[str, Any]) -> Phase:
    return Phase(_strings(content, "commands"), _strings(content, "finally"))


def _artifacts(content: dict[str, Any]) -> Artifacts:
    flat = str(content.get("discard-paths", "no")).lower() in {"yes", "true"}
    return Artifacts(_strings(content, "files"), str(content.get("base-directory", ".")), flat)


def _mapping(content: dict[str, Any], key: str) -> dict[str, Any]:
    found = content.get(key) or {}
    if not isinstance(found, dict):
        raise _invalid(f"{key} is no mapping")
    return found


def _strings(content: dict[str, Any], key: str) -> tuple[str, ...]:
    found = content.get(key) or []
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise _invalid(f"{key} is no list of strings")
    return tuple(found)


def _invalid(why: str) -> PhaseFailed:
    return PhaseFailed("YAML_FILE_ERROR", f"YAML_FILE_ERROR: {why}")
