"""The running sandbox that all tests which need one share: started when the first asks for it, ended with the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_envdr.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SPEED = 20
"""Fast enough for many drills, slow enough for an alarm's window (60 s / 20) to hold several beats of a second."""


@pytest.fixture(scope="session")
def sandbox_stack() -> Iterator[Path]:
    """The stack file of a running sandbox. A test that changes the stack puts it back."""
    with Sandbox(speed=SPEED, tenants=3) as sandbox:
        yield sandbox.stack
