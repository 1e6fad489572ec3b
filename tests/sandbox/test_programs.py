"""What the sandbox stands on is named where it is missing, with the packages that bring it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_envdr.errors import MissingProgram
from pytest_envdr.sandbox import programs

if TYPE_CHECKING:
    from pathlib import Path


def test_a_queue_in_sqs_needs_one_more_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the client a sandbox with its queue in Redis starts all the same; one with SQS says what to install."""
    monkeypatch.setattr(programs, "SQS_CLIENT", tmp_path / "autoload.php")
    programs.require()
    with pytest.raises(MissingProgram, match=r"async-aws not found.*\n.*\n.*apt-get install .* php-async-aws-sqs"):
        programs.require(queue="sqs")
    assert programs.missing("async-aws") == ["async-aws"]


def test_what_is_there_is_not_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is named that is there."""
    client = tmp_path / "autoload.php"
    client.touch()
    monkeypatch.setattr(programs, "SQS_CLIENT", client)
    programs.require(queue="sqs")
