"""Where an exercise comes from: versions, commit, who ran it. What an auditor asks first."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from typing import TYPE_CHECKING, Any

from pytest_envdr import settings

if TYPE_CHECKING:
    from pathlib import Path

DISTRIBUTIONS = ("pytest-envdr", "pytest", "pytest-html", "pytest-timeout", "boto3", "botocore", "moto")
_GIT_SECONDS = 10.0


def versions() -> dict[str, str]:
    """The versions of what took part; what is not installed is left out."""
    found = {"python": platform.python_version()}
    for name in DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def origin(root: Path) -> dict[str, Any]:
    """Commit of the tests in `root`, whether they were changed since, and who runs them where."""
    status = _git(root, "status", "--porcelain")
    return {
        "commit": _git(root, "rev-parse", "HEAD"),
        "dirty": None if status is None else bool(status),
        "user": settings.user(),
        "host": settings.host(),
    }


def _git(root: Path, *arguments: str) -> str | None:
    """What git says; None where there is no git or no repository."""
    try:
        done = subprocess.run(
            ("git", "-C", str(root), *arguments),
            capture_output=True,
            text=True,
            env=settings.child_environment() | {"GIT_OPTIONAL_LOCKS": "0"},
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
