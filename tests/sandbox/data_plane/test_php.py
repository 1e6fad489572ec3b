"""What the tasks need to run: missing programs are named with the packages that bring them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_envdr.errors import MissingProgram
from pytest_envdr.sandbox.data_plane import php

if TYPE_CHECKING:
    from pathlib import Path

check_anew = php.check_installed.__wrapped__


def test_php_and_laravel_are_found_here() -> None:
    """On a machine with the packages there is nothing to say."""
    check_anew()


@pytest.mark.parametrize(
    ("code", "said"),
    [(3, "Laravel not found.*php-laravel-framework"), (2, "php not found.*extensions.*php-redis")],
)
def test_what_php_lacks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, said: str) -> None:
    """A PHP without Laravel, or without an extension, is told apart, with the packages."""
    program = tmp_path / "php"
    program.write_text(f"#!/bin/sh\nexit {code}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(MissingProgram, match=f"(?s){said}"):
        check_anew()


def test_a_machine_without_php_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PHP both are missing, and the places that were searched are named."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingProgram, match=f"(?s)php, Laravel not found.*{tmp_path}.*php-cli"):
        check_anew()
